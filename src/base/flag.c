/* SPDX-License-Identifier: Apache-2.0 */
#include "base/flag.h"

#include <errno.h>
#include <stdio.h>

#include "base/num.h"
#include "base/str.h"
#include "base/suggest.h"

struct parse {
	const struct flag_table *const *tables;
	char **argv;
	int argc, at; /* argv[at] is the next word */
	void *options;
	struct err *err;
};

bool flag_takes_value(const struct flag *f)
{
	return f->kind != FLAG_BOOL && f->kind != FLAG_TRISTATE && f->kind != FLAG_REFUSED_BOOL;
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"}, *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_eq(s, yes[i]) || str_eq(s, no[i])) {
			*ret = str_eq(s, yes[i]);
			return 0;
		}
	return -EINVAL;
}

static const struct flag *find_long(const struct flag_table *const *t, const char *name, size_t len)
{
	for (; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (strncmp((*t)->rows[i].name, name, len) == 0 && !(*t)->rows[i].name[len])
				return &(*t)->rows[i];
	return NULL;
}

static const struct flag *find_short(const struct flag_table *const *t, char c)
{
	for (; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->rows[i].abbr == c)
				return &(*t)->rows[i];
	return NULL;
}

/* "-m, --memory", as docker names a flag in an error */
static const char *label(const struct flag *f, char *buf, size_t size)
{
	if (f->abbr)
		(void) snprintf(buf, size, "-%c, --%s", f->abbr, f->name);
	else
		(void) snprintf(buf, size, "--%s", f->name);
	return buf;
}

static int bad_value(struct parse *p, const struct flag *f, const char *value, const char *why)
{
	char name[64], reason[400];
	(void) snprintf(reason, sizeof(reason), "%s", why); /* @why may lie in err itself */
	return err_set(p->err, ERR_INVALID, "invalid argument \"%.80s\" for \"%s\" flag: %s", value, label(f, name, sizeof(name)), reason);
}

static int set_number(struct parse *p, const struct flag *f, int64_t *field, const char *value)
{
	uint64_t bytes = 0;
	int r = f->kind == FLAG_INT ? parse_i64(value, field) : parse_size(value, &bytes);
	if (r == -ERANGE || bytes > INT64_MAX)
		return bad_value(p, f, value, "value out of range");
	if (r < 0)
		return bad_value(p, f, value, f->kind == FLAG_INT ? "not a whole number" : "invalid size: use a number with b, k, m, g or t");
	if (f->kind == FLAG_SIZE)
		*field = (int64_t) bytes;
	return 0;
}

static int set_bool(struct parse *p, const struct flag *f, void *field, const char *value)
{
	bool on = true;
	if (value && parse_bool(value, &on) < 0)
		return bad_value(p, f, value, "neither true nor false");
	if (f->kind == FLAG_TRISTATE)
		*(int8_t *) field = on;
	else
		*(bool *) field = on;
	return 0;
}

static int set_value(struct parse *p, const struct flag *f, const char *value)
{
	void *field = (char *) p->options + f->offset;
	struct err why = {};
	bool on = true;
	switch (f->kind) {
	case FLAG_BOOL:
	case FLAG_TRISTATE:
		return set_bool(p, f, field, value);
	case FLAG_STR:
		*(const char **) field = value;
		return 0;
	case FLAG_FILTER:
		if (!strchr(value, '='))
			return bad_value(p, f, value, "bad format of filter (expected name=value)");
		return strv_push(field, value) < 0 ? err_oom(p->err) : 0;
	case FLAG_LIST:
		return strv_push(field, value) < 0 ? err_oom(p->err) : 0;
	case FLAG_INT:
	case FLAG_SIZE:
		return set_number(p, f, field, value);
	case FLAG_SET:
		if (f->set(field, value, &why) == 0)
			return 0;
		if (why.kind == ERR_UNSUPPORTED)
			return err_set(p->err, ERR_UNSUPPORTED, "--%s %.60s is not there yet: %s", f->name, value, why.msg);
		return bad_value(p, f, value, why.msg);
	case FLAG_REFUSED_BOOL:
		if (value && parse_bool(value, &on) == 0 && !on)
			return 0; /* --flag=false asks for nothing */
		return err_set(p->err, ERR_UNSUPPORTED, "--%s is not there yet: %s", f->name, f->help);
	case FLAG_REFUSED:
		return err_set(p->err, ERR_UNSUPPORTED, "--%s is not there yet: %s", f->name, f->help);
	}
	return err_set(p->err, ERR_INVALID, "--%s cannot be read", f->name);
}

static int unknown_long(struct parse *p, const char *name, size_t len)
{
	struct suggest s;
	suggest_init(&s, name, len);
	for (const struct flag_table *const *t = p->tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			suggest_offer(&s, (*t)->rows[i].name);
	const char *near = suggest_best(&s);
	return err_set(p->err, ERR_INVALID, "unknown flag: --%.*s%s%s%s", (int) MIN(len, (size_t) 80), name, near ? ", did you mean --" : "",
		       near ? near : "", near ? "?" : "");
}

static int parse_long(struct parse *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : NULL;
	if (len == 4 && strncmp(word, "help", 4) == 0)
		return FLAG_HELP;
	const struct flag *f = find_long(p->tables, word, len);
	if (!f)
		return unknown_long(p, word, len);
	if (!value && flag_takes_value(f) && f->kind != FLAG_REFUSED) {
		if (p->at >= p->argc)
			return err_set(p->err, ERR_INVALID, "flag needs an argument: --%s", f->name);
		value = p->argv[p->at++];
	}
	return set_value(p, f, value);
}

/* "-it", "-eK=V", "-e=K=V", "-e K=V": switches until one takes the rest */
static int parse_short(struct parse *p, const char *word)
{
	for (const char *c = word; *c; c++) {
		const struct flag *f = find_short(p->tables, *c);
		if (!f)
			return *c == 'h' ? FLAG_HELP : err_set(p->err, ERR_INVALID, "unknown shorthand flag: '%c' in -%.80s", *c, word);
		if (!flag_takes_value(f)) {
			bool assigned = c[1] == '=';
			int r = set_value(p, f, assigned ? c + 2 : NULL);
			if (r != 0 || assigned)
				return r;
			continue;
		}
		const char *value = c[1] == '=' ? c + 2 : c[1] ? c + 1 : p->at < p->argc ? p->argv[p->at++] : NULL;
		if (!value && f->kind != FLAG_REFUSED)
			return err_set(p->err, ERR_INVALID, "flag needs an argument: '%c' in -%.80s", *c, word);
		return set_value(p, f, value);
	}
	return 0;
}

int flag_parse(const struct flag_table *const *tables, int argc, char **argv, unsigned mode, void *options, const char **args, size_t *ret_n_args,
	       struct err *err)
{
	struct parse p = {.tables = tables, .argv = argv, .argc = argc, .options = options, .err = err};
	size_t n = 0;
	bool flags = true;
	while (p.at < argc) {
		const char *word = argv[p.at++];
		bool dashed = flags && word[0] == '-' && word[1];
		if (!dashed) {
			args[n++] = word;
			flags = flags && (mode & FLAG_INTERSPERSED);
			continue;
		}
		if (strcmp(word, "--") == 0) {
			flags = false;
			continue;
		}
		int r = word[1] == '-' ? parse_long(&p, word + 2) : parse_short(&p, word + 1);
		if (r != 0)
			return r;
	}
	*ret_n_args = n;
	return 0;
}

void flag_release(const struct flag_table *const *tables, void *options)
{
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if ((*t)->rows[i].kind == FLAG_LIST || (*t)->rows[i].kind == FLAG_FILTER)
				strv_freep((char ***) ((char *) options + (*t)->rows[i].offset));
}
