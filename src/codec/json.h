/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: a strict reader over jansson (this room's door) and a streaming writer. The reader refuses duplicate keys, trailing
 * data, invalid UTF-8, embedded NULs and documents over the caller's size and depth (R15, R17). Values are immutable and
 * borrowed from their document. Accessors take NULL for "absent" and answer with the fallback, so lookups chain without checks;
 * a *wrong type* is told by the json_read_* table reader, which names field and value. Whole numbers up to 2^64-1 are exact: those
 * above 2^63-1 are given by json_read_u64() alone (json_int() answers with its fallback), and json_dump() writes them as they were.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct json; /* one value; the root owns the whole document */

enum json_kind {
	JSON_KIND_ABSENT,
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
	JSON_KIND_MAX_,
};

#define JSON_DEPTH_MAX 64

/** json_parse() - parse @len bytes. @what: names the document in errors. @max: refuse longer input.
 *  Return: 0 with *@ret owned by the caller (json_free); ERR_INVALID. */
int json_parse(const char *text, size_t len, size_t max, const char *what, struct json **ret, struct err *err);
/** json_free() - release a root. Takes NULL. Return: NULL. */
struct json *json_free(struct json *root);
void json_freep(struct json **root);
#define _cleanup_json_ _cleanup_(json_freep)

enum json_kind json_kind(const struct json *v);
const char *json_kind_name(enum json_kind k);
/** json_get() - member @key of object @v; NULL when @v is no object or lacks it. */
const struct json *json_get(const struct json *v, const char *key);
/** json_get_fold() - the same, key matched without regard to ASCII case, as Go's decoder does; an exact match wins. */
const struct json *json_get_fold(const struct json *v, const char *key);
/** json_str() - text of a string value (borrowed), else @fallback. */
const char *json_str(const struct json *v, const char *fallback);
int64_t json_int(const struct json *v, int64_t fallback);
double json_number(const struct json *v, double fallback);
bool json_bool(const struct json *v, bool fallback);
/** json_len() - elements of an array or members of an object, else 0. */
size_t json_len(const struct json *v);
const struct json *json_at(const struct json *array, size_t i);
/** json_each() - call @fn for each member of an object, in document order, until it returns non-zero. Return: that, or 0. */
int json_each(const struct json *v, int (*fn)(const char *key, const struct json *val, void *ctx), void *ctx);
/* JSON_FOREACH_MEMBER(key, val, obj) - iterate an object's members. */
void *json_iter(const struct json *v);
void *json_iter_next(const struct json *v, void *iter);
const char *json_iter_key(void *iter);
const struct json *json_iter_value(void *iter);
#define JSON_FOREACH_MEMBER(key, val, obj)                                                                             \
	for (void *it_ = json_iter(obj); it_; it_ = json_iter_next(obj, it_))                                          \
		for (const char *key = json_iter_key(it_); key; key = NULL)                                            \
			for (const struct json *val = json_iter_value(it_); val; val = NULL)
#define JSON_FOREACH(val, i, arr)                                                                                      \
	for (size_t i = 0, n_##i = json_len(arr); i < n_##i; i++)                                                      \
		for (const struct json *val = json_at(arr, i); val; val = NULL)
/** json_dump() - compact text of a value (caller frees), NULL when out of memory. */
char *json_dump(const struct json *v);
/** json_strv() - array of strings into *@ret. Return: 0; ERR_INVALID naming @what and the element. null = empty. */
int json_strv(const struct json *v, const char *what, char ***ret, struct err *err);

/* Typed reads with a good error: absent or null leaves *@ret alone and returns 0; wrong type or range returns ERR_INVALID
 * "FIELD: expected a number, got string". */
int json_read_str(const struct json *obj, const char *key, const char **ret, struct err *err);
int json_read_dup(const struct json *obj, const char *key, char **ret, struct err *err);
int json_read_bool(const struct json *obj, const char *key, bool *ret, struct err *err);
int json_read_i64(const struct json *obj, const char *key, int64_t *ret, struct err *err);
int json_read_u32(const struct json *obj, const char *key, uint32_t *ret, struct err *err);
int json_read_u64(const struct json *obj, const char *key, uint64_t *ret, struct err *err);
int json_read_strv(const struct json *obj, const char *key, char ***ret, struct err *err);
int json_read_obj(const struct json *obj, const char *key, const struct json **ret, struct err *err);
int json_read_arr(const struct json *obj, const char *key, const struct json **ret, struct err *err);

/*
 * Writer: appends to a strbuf; commas by itself. @key is NULL inside arrays and at the root. `<>&` stay as they are (as the
 * Engine API wants), control characters and invalid UTF-8 are escaped (the latter as U+FFFD). Failures latch in the strbuf.
 *   jw_obj(&w, NULL); jw_str(&w, "Id", id); jw_arr(&w, "Names"); jw_str(&w, NULL, n); jw_end(&w); jw_end(&w);
 */
struct json_writer {
	struct strbuf *out; /* borrowed */
	uint64_t is_array, has_items; /* one bit a level */
	unsigned depth;
};
void jw_init(struct json_writer *w, struct strbuf *out);
void jw_obj(struct json_writer *w, const char *key);
void jw_arr(struct json_writer *w, const char *key);
void jw_end(struct json_writer *w);
void jw_str(struct json_writer *w, const char *key, const char *s); /* NULL writes null */
void jw_strn(struct json_writer *w, const char *key, const char *s, size_t n);
void jw_int(struct json_writer *w, const char *key, int64_t v);
void jw_uint(struct json_writer *w, const char *key, uint64_t v);
void jw_bool(struct json_writer *w, const char *key, bool v);
void jw_null(struct json_writer *w, const char *key);
/** jw_raw() - insert already valid JSON text. */
void jw_raw(struct json_writer *w, const char *key, const char *json);
/** jw_strv() - array of strings; an empty vector writes []. */
void jw_strv(struct json_writer *w, const char *key, char *const *v);
