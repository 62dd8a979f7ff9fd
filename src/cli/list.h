/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ps, images, history and volume ls have in common: rows of named columns, shown as a table, by a template, as JSON, or as
 * bare ids.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

struct list_view {
	bool no_trunc, quiet, human;
	const char *format; /* borrowed; NULL: the kind's table */
	int64_t now_ns;
};

struct column {
	const char *name, *header;
	/** cell() - append the text of row @i of @item to @out. */
	void (*cell)(const struct json *item, size_t i, const struct list_view *v, struct strbuf *out);
};

struct list_kind {
	const struct column *columns;
	size_t n;
	const char *table; /* the default format, without "table " */
	const char *quiet; /* the template of -q */
	size_t (*rows)(const struct json *item); /* NULL: one row an item */
};

/** list_print() - show every element of @items on stdout. Return: 0; ERR_INVALID for a bad format. */
int list_print(const struct list_kind *k, const struct json *items, const struct list_view *v, struct err *err);
/** list_filters() - "k=v" entries as the value of the filters parameter: {"k":{"v":true}}. *@ret: owned; NULL when there are none. */
int list_filters(char *const *filters, char **ret, struct err *err);

/* Cells that several kinds share. */
void cell_ago(int64_t then_s, const struct list_view *v, struct strbuf *out);
void cell_date(int64_t then_s, struct strbuf *out);
void cell_id(const char *id, const struct list_view *v, struct strbuf *out);
void cell_labels(const struct json *labels, struct strbuf *out);
