/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request targets: percent-decoding of paths and queries by strict rules, once, into one canonical form that routes and
 * policy both look at (R15, R16): "%2e%2e", "//" and their kin never reach a router.
 */
#pragma once

#include "base/str.h"

#define HTTP_QUERY_MAX 128 /* parameters */

struct http_query {
	char **keys, **values; /* owned, parallel */
};

/** http_path_decode() - decode @n bytes of a raw path. Refused (-EINVAL): broken escapes, an empty, "." or ".." segment (a slash at the
 *  end counts), control characters, bytes above 0x7e. "%2F" decodes to "/", as docker's clients write image names.
 *  *@ret: owned, starts with "/". Return: 0, -EINVAL, -ENOMEM. */
int http_path_decode(const char *raw, size_t n, char **ret);
/** http_query_parse() - decode "a=b&c" ("+" is a blank). Refused (-EINVAL): broken escapes, NUL, more than HTTP_QUERY_MAX parameters.
 *  Return: 0, -EINVAL, -ENOMEM (*@ret is empty then). */
int http_query_parse(const char *raw, struct http_query *ret);
void http_query_done(struct http_query *q);
/** http_query_get() - first value of @key, NULL: absent. */
const char *http_query_get(const struct http_query *q, const char *key);
/** http_query_twice() - a key that is given more than once and is not in the NULL-terminated list @may; NULL: none. */
const char *http_query_twice(const struct http_query *q, const char *const *may);
/** http_query_bool() - docker's reading: "", 0, no, false, none (any case, trimmed) are false, anything else is true. */
bool http_query_bool(const struct http_query *q, const char *key, bool fallback);
