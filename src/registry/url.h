/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as registries name them: pure text, strict. */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define URL_MAX 8192
#define URL_HOST_MAX 300

struct url {
	bool https;
	char host[URL_HOST_MAX];   /* lower case with its port: "registry.example:443" */
	char name[URL_HOST_MAX];   /* without the port; [v6] with its brackets */
	char path[URL_MAX];        /* with the query; begins with "/" */
};
/** url_parse() - an absolute http or https address. No user information, no fragment kept, no blanks or control characters. ERR_INVALID. */
int url_parse(const char *s, struct url *ret, struct err *err);
/** url_resolve() - @location relative to @base: an absolute address, or a path (with query) of the same host. */
int url_resolve(const struct url *base, const char *location, struct url *ret, struct err *err);
/** url_same_origin() - scheme, host and port alike. */
bool url_same_origin(const struct url *a, const struct url *b);
/** url_text() - into @buf. Return: 0; -ENAMETOOLONG. */
int url_text(const struct url *u, char buf[URL_MAX + URL_HOST_MAX + 16]);
/** url_query_add() - append "key=value", the value escaped, to @b. */
void url_query_add(struct strbuf *b, const char *key, const char *value);
