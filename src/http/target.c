/* SPDX-License-Identifier: Apache-2.0 */
#include "http/target.h"

#include <errno.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode @n bytes into @out (at least n + 1). Return: length, or -EINVAL for a broken escape or NUL. */
static ssize_t decode(const char *raw, size_t n, bool plus, char *out)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		char c = raw[i];
		if (c == '%') {
			int hi = i + 2 < n ? hex_digit(raw[i + 1]) : -1;
			int lo = i + 2 < n ? hex_digit(raw[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -EINVAL;
			c = (char) (hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus)
			c = ' ';
		if (c == '\0')
			return -EINVAL;
		out[len++] = c;
	}
	out[len] = '\0';
	return (ssize_t) len;
}

static bool segments_are_plain(const char *path)
{
	for (const char *s = path; *s == '/';) {
		size_t n = strcspn(++s, "/");
		if ((n == 0 && path[1] != '\0') || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += n;
	}
	for (const char *s = path; *s; s++)
		if ((unsigned char) *s < 0x21 || (unsigned char) *s > 0x7e)
			return false;
	return true;
}

int http_path_decode(const char *raw, size_t n, char **ret)
{
	_cleanup_free_ char *out = malloc(n + 1);
	if (!out)
		return -ENOMEM;
	ssize_t len = decode(raw, n, /* plus= */ false, out);
	if (len <= 0 || out[0] != '/' || !segments_are_plain(out))
		return -EINVAL;
	*ret = take_ptr(out);
	return 0;
}

static int add_pair(struct http_query *q, const char *raw, size_t n)
{
	size_t eq = 0;
	while (eq < n && raw[eq] != '=')
		eq++;
	_cleanup_free_ char *key = malloc(eq + 1), *value = malloc(n - MIN(eq + 1, n) + 1);
	if (!key || !value)
		return -ENOMEM;
	ssize_t k = decode(raw, eq, /* plus= */ true, key);
	ssize_t v = eq < n ? decode(raw + eq + 1, n - eq - 1, /* plus= */ true, value) : decode("", 0, true, value);
	if (k < 0 || v < 0)
		return -EINVAL;
	int r = strv_push(&q->keys, key);
	return r < 0 ? r : strv_push(&q->values, value);
}

int http_query_parse(const char *raw, struct http_query *ret)
{
	struct http_query q = {NULL, NULL};
	int r = 0;
	for (size_t count = 0; *raw && r == 0; raw += *raw == '&') {
		size_t n = strcspn(raw, "&");
		if (n > 0)
			r = ++count > HTTP_QUERY_MAX ? -EINVAL : add_pair(&q, raw, n);
		raw += n;
	}
	if (r < 0)
		http_query_done(&q);
	*ret = q;
	return r;
}

void http_query_done(struct http_query *q)
{
	strv_free(q->keys);
	strv_free(q->values);
	*q = (struct http_query) {NULL, NULL};
}

const char *http_query_get(const struct http_query *q, const char *key)
{
	for (size_t i = 0; q->keys && q->keys[i]; i++)
		if (str_eq(q->keys[i], key))
			return q->values[i];
	return NULL;
}

static bool is_listed(const char *const *list, const char *s)
{
	while (*list && !str_eq(*list, s))
		list++;
	return *list;
}

const char *http_query_twice(const struct http_query *q, const char *const *may)
{
	for (size_t i = 0; q->keys && q->keys[i]; i++)
		for (size_t k = i + 1; q->keys[k]; k++)
			if (str_eq(q->keys[i], q->keys[k]) && !is_listed(may, q->keys[i]))
				return q->keys[i];
	return NULL;
}

bool http_query_bool(const struct http_query *q, const char *key, bool fallback)
{
	static const char *const words[] = {"", "0", "no", "false", "none"};
	const char *s = http_query_get(q, key);
	if (!s)
		return fallback;
	s += strspn(s, " \t");
	size_t n = strlen(s);
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == n && strncasecmp(words[i], s, n) == 0)
			return false;
	return true;
}
