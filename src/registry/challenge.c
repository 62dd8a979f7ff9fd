/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/challenge.h"

#include <ctype.h>
#include <strings.h>

#include "base/str.h"

enum { TOKEN_MAX = 64, VALUE_MAX = 4096 };

static bool is_token(char c)
{
	return isalnum((unsigned char) c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(const char **p, const char *set)
{
	*p += strspn(*p, set);
}

static int take_token(const char **p, char out[TOKEN_MAX])
{
	size_t n = 0;
	while (is_token((*p)[n]))
		n++;
	if (n == 0 || n >= TOKEN_MAX)
		return -1;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n;
	return 0;
}

/* token or quoted-string. */
static int take_value(const char **p, char out[VALUE_MAX])
{
	size_t n = 0;
	const char *s = *p;
	bool quoted = *s == '"';
	for (s += quoted; quoted ? *s && *s != '"' : is_token(*s) || (*s && strchr("/:=@?", *s)); s++) {
		if (quoted && *s == '\\' && s[1])
			s++;
		if (n + 1 >= VALUE_MAX)
			return -1;
		out[n++] = *s;
	}
	if (quoted && *s != '"')
		return -1;
	out[n] = '\0';
	*p = s + quoted;
	return 0;
}

static int broken(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "the registry's WWW-Authenticate header is malformed");
}

static int set(struct challenge *c, const char *key, const char *value, struct err *err)
{
	const struct {
		const char *key;
		char *at;
		size_t size;
	} rows[] = {
		{"realm", c->realm, sizeof(c->realm)}, {"service", c->service, sizeof(c->service)}, {"scope", c->scope, sizeof(c->scope)}, {"error", c->error, sizeof(c->error)},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcasecmp(rows[i].key, key) == 0)
			return *rows[i].at || str_copy(rows[i].at, rows[i].size, value) < 0 ? broken(err) : 0;
	return 0;
}

/* Is there "token BWS =" at @p: a parameter, and not the next scheme? */
static bool at_param(const char *p)
{
	size_t n = 0;
	while (is_token(p[n]))
		n++;
	if (n == 0)
		return false;
	p += n;
	skip(&p, " \t");
	return *p == '=';
}

static int take_params(const char **p, struct challenge *c, bool keep, struct err *err)
{
	char key[TOKEN_MAX], value[VALUE_MAX];
	for (skip(p, " \t,"); at_param(*p); skip(p, " \t,")) {
		if (take_token(p, key) < 0)
			return broken(err);
		skip(p, " \t");
		(*p)++;
		skip(p, " \t");
		if (take_value(p, value) < 0)
			return broken(err);
		int r = keep ? set(c, key, value, err) : 0;
		if (r < 0)
			return r;
		skip(p, " \t");
		if (**p && **p != ',')
			return broken(err);
	}
	return 0;
}

int challenge_parse(const char *s, struct challenge *ret, struct err *err)
{
	struct challenge c = {0};
	char scheme[TOKEN_MAX];
	for (skip(&s, " \t,"); *s; skip(&s, " \t,")) {
		if (take_token(&s, scheme) < 0)
			return broken(err);
		bool bearer = strcasecmp(scheme, "bearer") == 0;
		if (bearer && c.bearer)
			return broken(err);
		c.basic |= strcasecmp(scheme, "basic") == 0;
		c.bearer |= bearer;
		if (*s && *s != ' ' && *s != '\t' && *s != ',')
			return broken(err);
		int r = take_params(&s, &c, bearer, err);
		if (r < 0)
			return r;
	}
	*ret = c;
	return 0;
}
