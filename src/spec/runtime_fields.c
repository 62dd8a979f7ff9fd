/* SPDX-License-Identifier: Apache-2.0 */
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

/* Writing */

static size_t count_of(const struct field *f, const void *base)
{
	return *(const size_t *) ((const char *) base + f->n_off);
}

static bool field_present(const struct field *f, const void *base)
{
	const void *p = (const char *) base + f->off;
	if (f->flag)
		return *(const bool *) ((const char *) base + f->flag - 1);
	if (f->always)
		return true;
	switch (f->kind) {
	case FIELD_STR:
	case FIELD_STRV:
	case FIELD_RAW:
		return *(void *const *) p != NULL;
	case FIELD_BOOL:
		return *(const bool *) p;
	case FIELD_CHAR:
		return *(const char *) p != '\0';
	case FIELD_U16:
		return *(const uint16_t *) p != 0;
	case FIELD_U32:
		return *(const uint32_t *) p != 0;
	case FIELD_U64:
	case FIELD_I64:
	case FIELD_CAPS:
		return *(const uint64_t *) p != 0;
	case FIELD_INT:
		return *(const int *) p != 0;
	case FIELD_U32V:
	case FIELD_STRMAP:
	case FIELD_LIST:
	case FIELD_MAP:
		return count_of(f, base) > 0;
	case FIELD_OBJ:
		return spec_fields_any(f->sub, p);
	case FIELD_OTHER:
		return true;
	}
	return true;
}

bool spec_fields_any(const struct field_table *t, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			return true;
	return false;
}

static void write_counted(const struct field *f, struct json_writer *w, const void *base)
{
	const char *v = *(const char *const *) ((const char *) base + f->off);
	size_t n = count_of(f, base);
	if (f->kind == FIELD_LIST || f->kind == FIELD_U32V)
		jw_arr(w, f->key);
	else
		jw_obj(w, f->key);
	for (size_t i = 0; i < n; i++) {
		const char *e = v + i * f->size;
		switch (f->kind) {
		case FIELD_U32V:
			jw_uint(w, NULL, ((const uint32_t *) v)[i]);
			break;
		case FIELD_STRMAP:
			jw_str(w, ((const struct keyval *) v)[i].key, ((const struct keyval *) v)[i].value);
			break;
		default:
			jw_obj(w, f->kind == FIELD_MAP ? *(char *const *) (e + f->key_off) : NULL);
			spec_fields_write(f->sub, w, e);
			jw_end(w);
		}
	}
	jw_end(w);
}

static void write_caps(struct json_writer *w, const char *key, uint64_t mask)
{
	jw_arr(w, key);
	for (int cap = 0; cap <= CAP_LAST_KNOWN; cap++)
		if (mask & (UINT64_C(1) << cap))
			jw_str(w, NULL, cap_name(cap));
	jw_end(w);
}

static void field_write(const struct field *f, struct json_writer *w, const void *base)
{
	const void *p = (const char *) base + f->off;
	switch (f->kind) {
	case FIELD_STR:
		jw_str(w, f->key, *(char *const *) p);
		break;
	case FIELD_STRV:
		jw_strv(w, f->key, *(char **const *) p);
		break;
	case FIELD_BOOL:
		jw_bool(w, f->key, *(const bool *) p);
		break;
	case FIELD_CHAR:
		jw_strn(w, f->key, p, 1);
		break;
	case FIELD_U16:
		jw_uint(w, f->key, *(const uint16_t *) p);
		break;
	case FIELD_U32:
		jw_uint(w, f->key, *(const uint32_t *) p);
		break;
	case FIELD_U64:
		jw_uint(w, f->key, *(const uint64_t *) p);
		break;
	case FIELD_I64:
		jw_int(w, f->key, *(const int64_t *) p);
		break;
	case FIELD_INT:
		jw_int(w, f->key, *(const int *) p);
		break;
	case FIELD_CAPS:
		write_caps(w, f->key, *(const uint64_t *) p);
		break;
	case FIELD_RAW:
		jw_raw(w, f->key, *(char *const *) p);
		break;
	case FIELD_OBJ:
		jw_obj(w, f->key);
		spec_fields_write(f->sub, w, p);
		jw_end(w);
		break;
	case FIELD_U32V:
	case FIELD_STRMAP:
	case FIELD_LIST:
	case FIELD_MAP:
		write_counted(f, w, base);
		break;
	case FIELD_OTHER:
		f->write(w, f->key, base);
		break;
	}
}

void spec_fields_write(const struct field_table *t, struct json_writer *w, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			field_write(&t->v[i], w, base);
}

/* Freeing */

static void free_counted(const struct field *f, void *base)
{
	char *v = *(char **) ((char *) base + f->off);
	for (size_t i = 0; i < count_of(f, base); i++) {
		if (f->kind == FIELD_STRMAP) {
			free(((struct keyval *) v)[i].key);
			free(((struct keyval *) v)[i].value);
		} else if (f->kind != FIELD_U32V) {
			spec_fields_done(f->sub, v + i * f->size);
			if (f->kind == FIELD_MAP)
				free(*(char **) (v + i * f->size + f->key_off));
		}
	}
	free(v);
	*(void **) ((char *) base + f->off) = NULL;
	*(size_t *) ((char *) base + f->n_off) = 0;
}

void spec_fields_done(const struct field_table *t, void *base)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->v[i];
		void *p = (char *) base + f->off;
		switch (f->kind) {
		case FIELD_STR:
		case FIELD_RAW:
			free(*(char **) p);
			*(char **) p = NULL;
			break;
		case FIELD_STRV:
			strv_freep(p);
			*(char ***) p = NULL;
			break;
		case FIELD_OBJ:
			spec_fields_done(f->sub, p);
			break;
		case FIELD_U32V:
		case FIELD_STRMAP:
		case FIELD_LIST:
		case FIELD_MAP:
			free_counted(f, base);
			break;
		default:
			break;
		}
	}
}
