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
	bool own_size; /* of a container: without its image's */
	const char *format; /* borrowed; NULL: the kind's table */
	int64_t now_ns;
};

/* In the order of docker's JSON: by name. */
struct column {
	const char *name, *header;
	/** cell() - append the text of row @i of @item to @out; NULL: null in JSON, always. */
	void (*cell)(const struct json *item, size_t i, const struct list_view *v, struct strbuf *out);
};

struct list_kind {
	const struct column *columns;
	size_t n;
	const char *table; /* the default format, without "table "; NULL: none */
	const char *quiet; /* the template of -q */
	size_t (*rows)(const struct json *item); /* NULL: one row an item */
	const char *labels; /* member of an item with what {{.Label "key"}} finds; NULL: no such method */
};
#define FORMAT_HELP "Go template, json, table, or 'table TEMPLATE'"

/** list_print() - show every element of @items on stdout. Return: 0; ERR_INVALID for a bad format. */
int list_print(const struct list_kind *k, const struct json *items, const struct list_view *v, struct err *err);
/** list_json() - the rows of @items as an array of objects, appended to @out. */
int list_json(const struct list_kind *k, const struct json *items, const struct list_view *v, struct strbuf *out, struct err *err);
/** list_filters() - "k=v" entries as the value of the filters parameter: {"k":{"v":true}}. *@ret: owned; NULL when there are none. */
int list_filters(char *const *filters, char **ret, struct err *err);

/* Cells that several kinds share. */
void cell_na(const struct json *item, size_t i, const struct list_view *v, struct strbuf *out); /* "N/A" */
void cell_ago(int64_t then_s, const struct list_view *v, struct strbuf *out);
void cell_date(int64_t then_s, struct strbuf *out);
void cell_id(const char *id, const struct list_view *v, struct strbuf *out);
void cell_labels(const struct json *labels, struct strbuf *out);

/* The lists of `system df -v`, each in the file of its noun. */
extern const struct list_kind list_image_usage, list_container_usage, list_volume_usage;
