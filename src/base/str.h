/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings: comparison, a growing buffer with a ceiling, and a NULL-terminated vector of strings. Buffers latch their
 * first failure (out of memory, over the ceiling), so that a builder checks once at its end with strbuf_err().
 */
#pragma once

#include <string.h>

#include "base/macro.h"

static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/** str_after() - what follows @prefix in @s, or NULL when @s does not start with it. */
static inline const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline bool str_empty(const char *s)
{
	return !s || !*s;
}

/** str_copy() - copy @src into @dst[@size], always terminated. Return: 0, or -ENAMETOOLONG (dst then holds ""). */
int str_copy(char *dst, size_t size, const char *src);
/** str_format() - snprintf that refuses truncation. Return: length, or -ENAMETOOLONG (dst then holds ""). */
int str_format(char *dst, size_t size, const char *fmt, ...) _printf_(3, 4);
/** str_printf() - allocated formatted string; NULL when out of memory. */
char *str_printf(const char *fmt, ...) _printf_(1, 2);
/** str_is_plain() - true when @s has no byte below 0x20 and no 0x7f: safe for one line of a generated file (R15). */
bool str_is_plain(const char *s);

struct strbuf {
	char *s;      /* owned; always NUL-terminated once non-NULL; may hold NULs inside */
	size_t len, cap, max; /* max: bytes it may hold */
	int err;      /* first failure as -errno, 0 if none */
};
#define STRBUF_INIT(max_) {.max = (max_)}

void strbuf_init(struct strbuf *b, size_t max);
void strbuf_done(struct strbuf *b);
#define _cleanup_strbuf_ _cleanup_(strbuf_done)
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
void strbuf_reset(struct strbuf *b);
/** strbuf_steal() - hand the text over (never NULL unless failed), leaving @b empty. */
char *strbuf_steal(struct strbuf *b);
static inline int strbuf_err(const struct strbuf *b)
{
	return b->err;
}

/* A NULL-terminated, owned vector of owned strings. NULL is the empty vector. */
/** strv_free() - free vector and strings. Return: NULL. */
char **strv_free(char **v);
void strv_freep(char ***v);
#define _cleanup_strv_ _cleanup_(strv_freep)
size_t strv_len(char *const *v);
/** strv_push() - append a copy of @s. Return: 0 or -ENOMEM. */
int strv_push(char ***v, const char *s);
/** strv_push_take() - append @s itself; owned by the vector on success. Return: 0, -ENOMEM (also when @s is NULL). */
int strv_push_take(char ***v, char *s);
/** strv_dup() - deep copy of @v into *@ret (NULL for an empty one). Return: 0 or -ENOMEM. */
int strv_dup(char *const *v, char ***ret);
bool strv_has(char *const *v, const char *s);
/** strv_find_key() - the value of the entry "key=value" in an environment-like vector, or NULL. */
const char *strv_find_key(char *const *v, const char *key);
#define STRV_FOREACH(s, v) for (char *const *s##_i = (v), *s = s##_i ? *s##_i : NULL; s; s = *++s##_i)
