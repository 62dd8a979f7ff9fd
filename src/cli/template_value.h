/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template computes with: values and the functions on them. Private to template.c and template_value.c.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

#define TEMPLATE_ARGS_MAX 8
#define TEMPLATE_OUTPUT_MAX (16 << 20)

enum value_kind { VALUE_MISSING, VALUE_JSON, VALUE_TEXT, VALUE_INT, VALUE_BOOL };

struct value {
	enum value_kind kind;
	const struct json *json; /* borrowed */
	const char *text;        /* borrowed from the pool */
	int64_t number;
};

/* Everything that a template's run has made; lives as long as the run. */
struct pool {
	char **texts;        /* owned strv */
	struct json **docs;  /* owned */
	size_t n_docs;
	bool header;         /* the row of headers: functions leave it as it is, as docker's do */
	struct err *err;     /* borrowed */
};
void pool_done(struct pool *p);

struct function {
	const char *name;
	size_t min, max; /* arguments */
	int (*call)(struct pool *p, const struct value *v, size_t n, struct value *ret);
};
/** function_find() - by the first @len bytes of @name; NULL when there is none. */
const struct function *function_find(const char *name, size_t len);

/** value_text() - as a template prints it; borrowed from the pool; "" when out of memory. */
const char *value_text(struct pool *p, const struct value *v);
/** value_print() - append it to @out. */
void value_print(struct strbuf *out, const struct value *v);
bool value_is_true(const struct value *v);
/** value_keep() - a text value of @owned, which the pool takes over (NULL: out of memory). */
int value_keep(struct pool *p, struct value *ret, char *owned);
/** value_number() - a number with a fraction, as JSON writes it. */
int value_number(struct pool *p, struct value *ret, const char *text, size_t len);
/** value_of() - @json as a value; NULL is a missing one. */
struct value value_of(const struct json *json);
/** sorted_keys() - the names of an object's members in the order in which Go walks a map. *@ret: owned. Return: 0 or -ENOMEM. */
int sorted_keys(const struct json *object, char ***ret);
