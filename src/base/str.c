/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);
	if (n >= size) {
		if (size)
			dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(dst, src, n + 1);
	return 0;
}

int str_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t) n >= size) {
		if (size)
			dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	return n;
}

char *str_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

bool str_is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

void strbuf_init(struct strbuf *b, size_t max)
{
	*b = (struct strbuf) STRBUF_INIT(max);
}

void strbuf_done(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf) STRBUF_INIT(b->max);
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->s)
		b->s[0] = '\0';
}

/* Make room for @n more bytes and the terminator; latches the failure. */
static bool strbuf_room(struct strbuf *b, size_t n)
{
	if (b->err)
		return false;
	if (n < b->cap - b->len && b->len + n <= b->max && b->cap > b->len) /* the common case; cap is 0 before the first byte */
		return true;
	if (n > b->max || b->len > b->max - n) {
		b->err = -EFBIG;
		return false;
	}
	if (b->len + n + 1 <= b->cap)
		return true;
	size_t cap = MAX(b->cap * 2, MAX(b->len + n + 1, (size_t) 64));
	char *p = realloc(b->s, cap);
	if (!p) {
		b->err = -ENOMEM;
		return false;
	}
	b->s = p;
	b->cap = cap;
	return true;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
	if (!strbuf_room(b, n))
		return;
	if (n)
		memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void strbuf_addc(struct strbuf *b, char c)
{
	if (!strbuf_room(b, 1))
		return;
	b->s[b->len++] = c;
	b->s[b->len] = '\0';
}

void strbuf_adds(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0 && strbuf_room(b, (size_t) n)) {
		(void) vsnprintf(b->s + b->len, (size_t) n + 1, fmt, again);
		b->len += (size_t) n;
	}
	va_end(again);
}

char *strbuf_steal(struct strbuf *b)
{
	if (!b->s && !b->err)
		strbuf_add(b, "", 0);
	char *s = b->err ? NULL : take_ptr(b->s);
	size_t max = b->max;
	if (!s)
		free(b->s);
	*b = (struct strbuf) STRBUF_INIT(max);
	return s;
}

char **strv_free(char **v)
{
	if (v)
		for (char **p = v; *p; p++)
			free(*p);
	free(v);
	return NULL;
}

void strv_freep(char ***v)
{
	*v = strv_free(*v);
}

size_t strv_len(char *const *v)
{
	size_t n = 0;
	while (v && v[n])
		n++;
	return n;
}

int strv_push_take(char ***v, char *s)
{
	if (!s)
		return -ENOMEM;
	size_t n = strv_len(*v);
	/* grow at powers of two only: the length is the one thing we know */
	if ((n & (n + 1)) == 0 || n == 0) {
		char **p = realloc(*v, 2 * (n + 1) * sizeof(char *));
		if (!p)
			return -ENOMEM;
		*v = p;
	}
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
	return 0;
}

int strv_push(char ***v, const char *s)
{
	char *c = strdup(s);
	int r = strv_push_take(v, c);
	if (r < 0)
		free(c);
	return r;
}

int strv_dup(char *const *v, char ***ret)
{
	_cleanup_strv_ char **c = NULL;
	for (; v && *v; v++) {
		int r = strv_push(&c, *v);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(c);
	return 0;
}

bool strv_has(char *const *v, const char *s)
{
	for (; v && *v; v++)
		if (strcmp(*v, s) == 0)
			return true;
	return false;
}

const char *strv_find_key(char *const *v, const char *key)
{
	size_t n = strlen(key);
	for (; v && *v; v++)
		if (strncmp(*v, key, n) == 0 && (*v)[n] == '=')
			return *v + n + 1;
	return NULL;
}
