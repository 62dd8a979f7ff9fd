/* SPDX-License-Identifier: Apache-2.0 */
#include "apimodel/field.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "apimodel/internal.h"

#define FIELDS_MAX 128 /* rows of the longest table */

static void *at(void *obj, uint32_t offset)
{
	return (char *) obj + offset;
}

static const void *cat(const void *obj, uint32_t offset)
{
	return (const char *) obj + offset;
}

int reader_fail(struct reader *rd, const char *name, const char *fmt, ...)
{
	char msg[sizeof(rd->err->msg)];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(rd->err, ERR_INVALID, "%s%s: %s", rd->path, name, msg);
}

size_t reader_enter(struct reader *rd, const char *name)
{
	size_t mark = strlen(rd->path);
	(void) snprintf(rd->path + mark, sizeof(rd->path) - mark, "%s.", name);
	return mark;
}

size_t reader_enter_item(struct reader *rd, const char *name, size_t i)
{
	size_t mark = strlen(rd->path);
	(void) snprintf(rd->path + mark, sizeof(rd->path) - mark, "%s[%zu].", name, i);
	return mark;
}

void reader_leave(struct reader *rd, size_t mark)
{
	rd->path[mark] = '\0';
}

int reader_unknown(struct reader *rd, const char *name)
{
	char text[PATH_FIELD_MAX + 80];
	if (strv_len(*rd->unknown) >= UNKNOWN_MAX)
		return 0;
	(void) snprintf(text, sizeof(text), "%s%.64s", rd->path, name);
	return strv_push(rd->unknown, text) < 0 ? err_oom(rd->err) : 0;
}

int reader_kind(struct reader *rd, const char *name, const struct json *v, enum json_kind want)
{
	enum json_kind k = json_kind(v);
	if (k == JSON_KIND_NULL || k == JSON_KIND_ABSENT)
		return 0;
	if (k != want)
		return reader_fail(rd, name, "expected %s, got %s", json_kind_name(want), json_kind_name(k));
	return 1;
}

bool value_is_empty(const struct json *v)
{
	switch (json_kind(v)) {
	case JSON_KIND_BOOL:
		return !json_bool(v, false);
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		return json_number(v, 0) == 0;
	case JSON_KIND_STRING:
		return *json_str(v, "") == '\0';
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		return json_len(v) == 0;
	default:
		return true;
	}
}

bool word_is_one_of(const char *const *words, const char *s)
{
	while (*words && !str_eq(*words, s))
		words++;
	return *words;
}

/* One string against the field's limits; @i: element, -1 for a plain value. */
static int check_text(struct reader *rd, const struct field *f, const char *s)
{
	size_t max = f->max_bytes ? f->max_bytes : FIELD_BYTES_DEFAULT, len = strlen(s);
	if (len > max)
		return reader_fail(rd, f->name, "'%.40s...' is %zu bytes long, at most %zu are taken", s, len, max);
	if (!(f->flags & FIELD_TEXT) && !str_is_plain(s))
		return reader_fail(rd, f->name, "'%.60s' holds a control character", s);
	return 0;
}

static int check_count(struct reader *rd, const struct field *f, const struct json *v)
{
	size_t max = f->max_items ? f->max_items : FIELD_ITEMS_DEFAULT;
	if (json_len(v) > max)
		return reader_fail(rd, f->name, "%zu entries, at most %zu are taken", json_len(v), max);
	return 0;
}

static int read_str(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	char **p = at(obj, f->offset);
	int r = reader_kind(rd, f->name, v, JSON_KIND_STRING);
	if (r <= 0)
		return r;
	const char *s = json_str(v, "");
	if (*s == '\0')
		return 0;
	r = check_text(rd, f, s);
	if (r < 0)
		return r;
	free(*p);
	*p = strdup(s);
	return *p ? 0 : err_oom(rd->err);
}

static int read_bool(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_BOOL);
	if (r > 0)
		*(bool *) at(obj, f->offset) = json_bool(v, false);
	return MIN(r, 0);
}

static int read_tri(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_BOOL);
	if (r > 0)
		*(int *) at(obj, f->offset) = json_bool(v, false);
	return MIN(r, 0);
}

/* Integers of every width: range first, store after. */
static int read_int(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_INT);
	if (r <= 0)
		return r;
	int64_t n = json_int(v, 0), min = f->min, max = f->max;
	if (min == 0 && max == 0)
		max = f->kind == FIELD_U32 ? UINT32_MAX : INT64_MAX;
	if (n < min || n > max) {
		if (max == INT64_MAX)
			return reader_fail(rd, f->name, "%lld is less than %lld", (long long) n, (long long) min);
		return reader_fail(rd, f->name, "%lld is not between %lld and %lld", (long long) n, (long long) min, (long long) max);
	}
	if (f->kind == FIELD_U32)
		*(uint32_t *) at(obj, f->offset) = (uint32_t) n;
	else if (f->kind == FIELD_U64)
		*(uint64_t *) at(obj, f->offset) = (uint64_t) n;
	else
		*(int64_t *) at(obj, f->offset) = n;
	return 0;
}

static int read_strv_items(struct reader *rd, const struct field *f, const struct json *v, char ***ret)
{
	int r = check_count(rd, f, v);
	if (r < 0)
		return r;
	JSON_FOREACH(e, i, v) {
		const char *s = json_str(e, NULL);
		if (!s)
			return reader_fail(rd, f->name, "element %zu: expected a string, got %s", i, json_kind_name(json_kind(e)));
		r = check_text(rd, f, s);
		if (r < 0)
			return r;
		if (strv_push(ret, s) < 0)
			return err_oom(rd->err);
	}
	return 0;
}

static int read_strv(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	_cleanup_strv_ char **out = NULL;
	char ***p = at(obj, f->offset);
	int r;
	if ((f->flags & FIELD_SCALAR) && json_kind(v) == JSON_KIND_STRING) {
		r = check_text(rd, f, json_str(v, ""));
		if (r >= 0 && strv_push(&out, json_str(v, "")) < 0)
			r = err_oom(rd->err);
	} else {
		r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
		if (r == 0)
			return 0;
		if (r > 0)
			r = read_strv_items(rd, f, v, &out);
	}
	if (r < 0)
		return r;
	if ((f->flags & FIELD_RESET) && strv_len(out) == 1 && !*out[0])
		out = strv_free(out);
	strv_free(*p);
	*p = take_ptr(out);
	if (f->set_offset)
		*(bool *) at(obj, f->set_offset) = true;
	return 0;
}

static int read_keys(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r > 0)
		r = check_count(rd, f, v);
	JSON_FOREACH_MEMBER(key, val, r < 0 ? NULL : v) {
		r = check_text(rd, f, key);
		if (r < 0)
			return r;
		if (strv_push(at(obj, f->offset), key) < 0)
			return err_oom(rd->err);
		size_t mark = reader_enter(rd, f->name);
		r = value_is_empty(val) ? 0 : reader_unknown(rd, key);
		reader_leave(rd, mark);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

static int read_kv(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r > 0)
		r = check_count(rd, f, v);
	JSON_FOREACH_MEMBER(key, val, r < 0 ? NULL : v) {
		r = json_kind(val) == JSON_KIND_NULL ? 1 : reader_kind(rd, f->name, val, JSON_KIND_STRING);
		if (r < 0)
			return r;
		if (*key == '\0' || !str_is_plain(key))
			return reader_fail(rd, f->name, "the key '%.60s' is empty or holds a control character", key);
		r = check_text(rd, f, json_str(val, ""));
		if (r < 0)
			return r;
		if (strlen(key) > FIELD_BYTES_DEFAULT)
			return reader_fail(rd, f->name, "the key '%.40s...' is longer than %d bytes", key, FIELD_BYTES_DEFAULT);
		if (kv_list_append(at(obj, f->offset), key, json_str(val, "")) < 0)
			return err_oom(rd->err);
	}
	return MIN(r, 0);
}

static int read_obj(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	size_t mark = reader_enter(rd, f->name);
	r = fields_read(rd, f->sub, v, obj);
	reader_leave(rd, mark);
	return r;
}

static int read_custom(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	return f->read(rd, f, v, obj);
}

static int read_fixed(struct reader *rd, const struct field *f, const struct json *v, void *obj _unused_)
{
	return value_is_empty(v) ? 0 : reader_unknown(rd, f->name);
}

static int read_ignored(struct reader *rd _unused_, const struct field *f _unused_, const struct json *v _unused_, void *obj _unused_)
{
	return 0;
}

static int (*const readers[])(struct reader *, const struct field *, const struct json *, void *) = {
	[FIELD_STR] = read_str,   [FIELD_BOOL] = read_bool, [FIELD_I64] = read_int,       [FIELD_U64] = read_int,
	[FIELD_U32] = read_int,   [FIELD_TRI] = read_tri,   [FIELD_STRV] = read_strv,     [FIELD_KEYS] = read_keys,
	[FIELD_KV] = read_kv,     [FIELD_OBJ] = read_obj,   [FIELD_CUSTOM] = read_custom, [FIELD_FIXED] = read_fixed,
	[FIELD_IGNORED] = read_ignored,
};
static_assert(ARRAY_LEN(readers) == FIELD_KIND_MAX_, "every kind has a reader");

/* Row of @key in @table. Clients send keys in the order of the API, so the search goes on from @hint and wraps. */
static ssize_t find(const struct field *table, size_t n, const char *key, size_t hint)
{
	int c = tolower((unsigned char) key[0]);
	for (size_t k = 0, i = hint < n ? hint : 0; k < n; k++, i = i + 1 < n ? i + 1 : 0)
		if (tolower((unsigned char) table[i].name[0]) == c && strcasecmp(table[i].name, key) == 0)
			return (ssize_t) i;
	return -1;
}

int fields_read(struct reader *rd, const struct field *table, const struct json *v, void *obj)
{
	const struct json *vals[FIELDS_MAX] = {NULL};
	size_t n = 0, hint = 0;
	while (table[n].name)
		n++;
	assert(n <= FIELDS_MAX);
	JSON_FOREACH_MEMBER(key, val, v) {
		ssize_t i = find(table, n, key, hint);
		if (i < 0) {
			int r = value_is_empty(val) ? 0 : reader_unknown(rd, key);
			if (r < 0)
				return r;
			continue;
		}
		if (vals[i])
			return reader_fail(rd, table[i].name, "given twice, in two spellings ('%.64s')", key);
		vals[i] = val;
		hint = (size_t) i + 1;
	}
	for (size_t i = 0; i < n; i++) {
		int r = vals[i] ? readers[table[i].kind](rd, &table[i], vals[i], obj) : 0;
		if (r >= 0 && vals[i] && table[i].check)
			r = table[i].check(rd, &table[i], obj);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Writes what stands for "unset"; @zero is the JSON of the kind's zero. */
static void write_empty(struct json_writer *w, const struct field *f, const char *zero)
{
	if (f->empty == EMPTY_ZERO)
		jw_raw(w, f->name, zero);
	else if (f->empty == EMPTY_NULL)
		jw_null(w, f->name);
}

static void write_int(struct json_writer *w, const struct field *f, int64_t v)
{
	if (v == f->unset && f->empty != EMPTY_ZERO)
		write_empty(w, f, "0");
	else
		jw_int(w, f->name, v);
}

static void write_strv(struct json_writer *w, const struct field *f, const void *obj)
{
	char *const *v = *(char ***) cat(obj, f->offset);
	bool set = f->set_offset && *(const bool *) cat(obj, f->set_offset);
	if (v || set)
		jw_strv(w, f->name, v);
	else
		write_empty(w, f, "[]");
}

static void write_keys(struct json_writer *w, const struct field *f, char *const *v)
{
	if (!v) {
		write_empty(w, f, "{}");
		return;
	}
	jw_obj(w, f->name);
	STRV_FOREACH(s, v)
		jw_raw(w, s, "{}");
	jw_end(w);
}

static void write_kv(struct json_writer *w, const struct field *f, const struct kv_list *l)
{
	if (!l->keys) {
		write_empty(w, f, "{}");
		return;
	}
	jw_obj(w, f->name);
	for (size_t i = 0; l->keys[i]; i++)
		jw_str(w, l->keys[i], l->values[i]);
	jw_end(w);
}

static void write_str(struct json_writer *w, const struct field *f, const char *s)
{
	if (s && *s)
		jw_str(w, f->name, s);
	else
		write_empty(w, f, "\"\"");
}

static void write_tri(struct json_writer *w, const struct field *f, int v)
{
	if (v >= 0)
		jw_bool(w, f->name, v > 0);
	else
		write_empty(w, f, "false");
}

static void write_bool(struct json_writer *w, const struct field *f, bool v)
{
	if (v)
		jw_bool(w, f->name, true);
	else
		write_empty(w, f, "false");
}

static void write_obj(struct json_writer *w, const struct field *f, const void *obj)
{
	jw_obj(w, f->name);
	fields_write(w, f->sub, obj);
	jw_end(w);
}

static void write_one(struct json_writer *w, const struct field *f, const void *obj)
{
	const void *p = cat(obj, f->offset);
	switch ((enum field_kind) f->kind) {
	case FIELD_STR:
		write_str(w, f, *(char *const *) p);
		break;
	case FIELD_BOOL:
		write_bool(w, f, *(const bool *) p);
		break;
	case FIELD_I64:
		write_int(w, f, *(const int64_t *) p);
		break;
	case FIELD_U64:
		write_int(w, f, (int64_t) *(const uint64_t *) p);
		break;
	case FIELD_U32:
		write_int(w, f, *(const uint32_t *) p);
		break;
	case FIELD_TRI:
		write_tri(w, f, *(const int *) p);
		break;
	case FIELD_STRV:
		write_strv(w, f, obj);
		break;
	case FIELD_KEYS:
		write_keys(w, f, *(char ***) p);
		break;
	case FIELD_KV:
		write_kv(w, f, p);
		break;
	case FIELD_OBJ:
		write_obj(w, f, obj);
		break;
	case FIELD_CUSTOM:
		f->write(w, f, obj);
		break;
	case FIELD_FIXED:
	case FIELD_IGNORED:
		if (f->text)
			jw_raw(w, f->name, f->text);
		break;
	case FIELD_KIND_MAX_:
		break;
	}
}

void fields_write(struct json_writer *w, const struct field *table, const void *obj)
{
	for (; table->name; table++)
		write_one(w, table, obj);
}
