/* SPDX-License-Identifier: Apache-2.0 */
/* Rows read: every kind of value, with its range, its words and its place in the error. Writing and freeing are in runtime_fields_write.c. */
#include "spec/runtime_fields.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

/* Errors */

int spec_err_in(struct err *err, const char *fmt, ...)
{
	if (!err)
		return -EINVAL;
	char old[sizeof(err->msg)];
	memcpy(old, err->msg, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t) n < sizeof(err->msg))
		(void) snprintf(err->msg + n, sizeof(err->msg) - (size_t) n, "%s%.*s", old[0] == '[' ? "" : ".", (int) (sizeof(old) - 1), old);
	return err->sys;
}

int spec_need_absolute(const char *path, const char *what, struct err *err)
{
	return !path || path[0] == '/' ? 0 : err_set(err, ERR_INVALID, "%s: '%s' is not an absolute path", what, path);
}

int spec_need_absolutes(char *const *paths, const char *what, struct err *err)
{
	for (size_t i = 0; i < strv_len(paths); i++)
		if (paths[i][0] != '/')
			return err_set(err, ERR_INVALID, "%s[%zu]: '%s' is not an absolute path", what, i, paths[i]);
	return 0;
}

/* A name from the document, fit for a message. */
static const char *plain(const char *s)
{
	return str_is_plain(s) ? s : "?";
}

/* Reading: single values */

static bool has_word(const char *const *words, const char *s)
{
	for (; *words; words++)
		if (strcmp(*words, s) == 0)
			return true;
	return false;
}

static int check_word(const struct field *f, const char *s, struct err *err)
{
	char known[200];
	size_t len = 0;
	if (!f->words || has_word(f->words, s))
		return 0;
	known[0] = '\0';
	for (const char *const *w = f->words; *w && len < sizeof(known); w++)
		len += (size_t) MAX(0, snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", *w));
	return err_set(err, ERR_INVALID, "%s: '%s' is not known, only: %s", f->key, s, known[0] ? known : "none");
}

static int check_range(const struct field *f, int64_t v, struct err *err)
{
	if ((f->lo == 0 && f->hi == 0) || (v >= f->lo && v <= f->hi))
		return 0;
	return err_set(err, ERR_INVALID, "%s: %lld is not between %lld and %lld", f->key, (long long) v, (long long) f->lo, (long long) f->hi);
}

static int read_i64(const struct field *f, const struct json *obj, int64_t lo, int64_t hi, int64_t *ret, struct err *err)
{
	int r = json_read_i64(obj, f->key, ret, err);
	r = r < 0 ? r : check_range(f, *ret, err);
	if (r >= 0 && (*ret < lo || *ret > hi))
		r = err_set(err, ERR_INVALID, "%s: %lld is out of range", f->key, (long long) *ret);
	return r;
}

static int read_number(const struct field *f, const struct json *obj, void *p, struct err *err)
{
	int64_t v = 0;
	int r;
	switch (f->kind) {
	case FIELD_U16:
		r = read_i64(f, obj, 0, UINT16_MAX, &v, err);
		*(uint16_t *) p = (uint16_t) v;
		return r;
	case FIELD_U32:
		r = json_read_u32(obj, f->key, p, err);
		return r < 0 ? r : check_range(f, *(uint32_t *) p, err);
	case FIELD_U64:
		r = json_read_u64(obj, f->key, p, err);
		return r < 0 ? r : check_range(f, (int64_t) MIN(*(uint64_t *) p, (uint64_t) INT64_MAX), err);
	case FIELD_I64:
		return read_i64(f, obj, INT64_MIN, INT64_MAX, p, err);
	default:
		r = read_i64(f, obj, INT_MIN, INT_MAX, &v, err);
		*(int *) p = (int) v;
		return r;
	}
}

static int read_char(const struct field *f, const struct json *obj, char *ret, struct err *err)
{
	const char *s = NULL;
	int r = json_read_str(obj, f->key, &s, err);
	if (r < 0 || !s)
		return r;
	if (strlen(s) != 1 || !strchr(f->words[0], s[0]))
		return err_set(err, ERR_INVALID, "%s: '%s' is not one of '%s'", f->key, s, f->words[0]);
	*ret = s[0];
	return 0;
}

static int read_str(const struct field *f, const struct json *obj, char **ret, struct err *err)
{
	int r = json_read_dup(obj, f->key, ret, err);
	return r < 0 || !*ret ? r : check_word(f, *ret, err);
}

static int read_strv(const struct field *f, const struct json *obj, char ***ret, struct err *err)
{
	int r = json_read_strv(obj, f->key, ret, err);
	for (size_t i = 0; r >= 0 && i < strv_len(*ret); i++)
		r = check_word(f, (*ret)[i], err);
	return r;
}

static int read_raw(const struct field *f, const struct json *obj, char **ret, struct err *err)
{
	const struct json *v = NULL;
	int r = json_read_obj(obj, f->key, &v, err);
	if (r < 0 || !v)
		return r;
	*ret = json_dump(v);
	return *ret ? 0 : err_oom(err);
}

/* Reading: counted values */

static int check_len(const char *key, size_t len, size_t max, struct err *err)
{
	return len <= max ? 0 : err_set(err, ERR_INVALID, "%s: %zu entries, at most %zu are taken", key, len, max);
}

static int read_u32v(const struct field *f, const struct json *obj, void *base, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(obj, f->key, &arr, err);
	r = r < 0 ? r : check_len(f->key, json_len(arr), FIELD_LIST_MAX, err);
	if (r < 0 || json_len(arr) == 0)
		return r;
	uint32_t *v = calloc(json_len(arr), sizeof(*v));
	if (!v)
		return err_oom(err);
	*(uint32_t **) ((char *) base + f->off) = v;
	*(size_t *) ((char *) base + f->n_off) = json_len(arr);
	JSON_FOREACH(e, i, arr) {
		int64_t n = json_int(e, -1);
		if (json_kind(e) != JSON_KIND_INT || n < 0 || n > UINT32_MAX || (f->hi && n > f->hi))
			return err_set(err, ERR_INVALID, "%s[%zu]: expected a number from 0 to %lld", f->key, i, (long long) (f->hi ?: UINT32_MAX));
		v[i] = (uint32_t) n;
	}
	return 0;
}

static int read_caps(const struct field *f, const struct json *obj, uint64_t *ret, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = json_read_strv(obj, f->key, &names, err);
	STRV_FOREACH(name, names) {
		int cap = cap_from_name(name);
		if (cap >= 0)
			*ret |= UINT64_C(1) << cap;
	}
	return r;
}

static int read_strmap(const struct field *f, const struct json *obj, void *base, struct err *err)
{
	const struct json *map = NULL;
	int r = json_read_obj(obj, f->key, &map, err);
	r = r < 0 ? r : check_len(f->key, json_len(map), FIELD_LIST_MAX, err);
	if (r < 0)
		return r;
	JSON_FOREACH_MEMBER(k, v, map) {
		const char *s = json_str(v, NULL);
		if (!s)
			return err_set(err, ERR_INVALID, "%s.%.100s: expected a string, got %s", f->key, plain(k), json_kind_name(json_kind(v)));
		if (keyval_add((struct keyval **) ((char *) base + f->off), (size_t *) ((char *) base + f->n_off), k, s) < 0)
			return err_oom(err);
	}
	return 0;
}

static int read_element(const struct field *f, const struct json *v, char *element, struct err *err)
{
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, ": expected an object, got %s", json_kind_name(json_kind(v)));
	if (f->sub->blank)
		memcpy(element, f->sub->blank, f->size);
	return spec_fields_read(f->sub, v, element, err);
}

/* "NAME[3].type: ..." and "NAME[3]: ..." for an element that is no object */
static int element_err(struct err *err, const char *name)
{
	if (!err || err->msg[0] != ':')
		return spec_err_in(err, "%s", name);
	char text[sizeof(err->msg)];
	memcpy(text, err->msg, sizeof(text));
	(void) snprintf(err->msg, sizeof(err->msg), "%s%.*s", name, (int) sizeof(text) - 1, text);
	return err->sys;
}

static int read_elements(const struct field *f, const struct json *obj, void *base, struct err *err)
{
	const struct json *all = NULL;
	char name[160];
	int r = f->kind == FIELD_LIST ? json_read_arr(obj, f->key, &all, err) : json_read_obj(obj, f->key, &all, err);
	r = r < 0 ? r : check_len(f->key, json_len(all), f->max, err);
	if (r < 0 || json_len(all) == 0)
		return r;
	char *v = calloc(json_len(all), f->size);
	if (!v)
		return err_oom(err);
	*(void **) ((char *) base + f->off) = v;
	size_t *n = (size_t *) ((char *) base + f->n_off);
	JSON_FOREACH(e, i, all) {
		(*n)++;
		r = read_element(f, e, v + i * f->size, err);
		if (r < 0) {
			(void) snprintf(name, sizeof(name), "%s[%zu]", f->key, i);
			return element_err(err, name);
		}
	}
	JSON_FOREACH_MEMBER(k, e, all) {
		char *element = v + (*n)++ * f->size;
		r = read_element(f, e, element, err);
		if (r < 0) {
			(void) snprintf(name, sizeof(name), "%s.%.100s", f->key, plain(k));
			return element_err(err, name);
		}
		char **key = (char **) (element + f->key_off);
		*key = strdup(k);
		if (!*key)
			return err_oom(err);
	}
	return 0;
}

static int read_obj(const struct field *f, const struct json *obj, void *p, struct err *err)
{
	const struct json *v = NULL;
	int r = json_read_obj(obj, f->key, &v, err);
	if (r < 0 || !v)
		return r;
	r = spec_fields_read(f->sub, v, p, err);
	return r < 0 ? spec_err_in(err, "%s", f->key) : 0;
}

static int field_read(const struct field *f, const struct json *obj, void *base, struct err *err)
{
	void *p = (char *) base + f->off;
	switch (f->kind) {
	case FIELD_STR:
		return read_str(f, obj, p, err);
	case FIELD_STRV:
		return read_strv(f, obj, p, err);
	case FIELD_BOOL:
		return json_read_bool(obj, f->key, p, err);
	case FIELD_CHAR:
		return read_char(f, obj, p, err);
	case FIELD_U16:
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_I64:
	case FIELD_INT:
		return read_number(f, obj, p, err);
	case FIELD_U32V:
		return read_u32v(f, obj, base, err);
	case FIELD_CAPS:
		return read_caps(f, obj, p, err);
	case FIELD_RAW:
		return read_raw(f, obj, p, err);
	case FIELD_STRMAP:
		return read_strmap(f, obj, base, err);
	case FIELD_OBJ:
		return read_obj(f, obj, p, err);
	case FIELD_LIST:
	case FIELD_MAP:
		return read_elements(f, obj, base, err);
	case FIELD_OTHER:
		return f->read(json_get_fold(obj, f->key), base, err);
	}
	assert(!"every kind is read");
	return -EINVAL;
}

int spec_fields_read(const struct field_table *t, const struct json *obj, void *base, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->v[i];
		bool present = json_kind(json_get_fold(obj, f->key)) > JSON_KIND_NULL;
		if (!present && f->need)
			return err_set(err, ERR_INVALID, "%s: is missing", f->key);
		if (!present)
			continue;
		int r = field_read(f, obj, base, err);
		if (r < 0)
			return r;
		if (f->flag)
			*(bool *) ((char *) base + f->flag - 1) = true;
	}
	return t->check ? t->check(base, obj, err) : 0;
}
