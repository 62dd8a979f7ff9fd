/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

#include <errno.h>
#include <jansson.h>
#include <strings.h>

#include "codec/json_internal.h"

static inline json_t *J(const struct json *v)
{
	return (json_t *) v;
}

static const struct json *V(json_t *j)
{
	return (const struct json *) j;
}

/* Depth is checked before jansson sees the text, so that its own fixed limit (2048) never decides. */
static bool too_deep(const char *s, size_t n)
{
	size_t depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < n; i++) {
		if (quoted) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				quoted = false;
		} else if (s[i] == '"')
			quoted = true;
		else if (s[i] == '{' || s[i] == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((s[i] == '}' || s[i] == ']') && depth > 0)
			depth--;
	}
	return false;
}

int json_parse(const char *text, size_t len, size_t max, const char *what, struct json **ret, struct err *err)
{
	if (len > max)
		return err_set(err, ERR_INVALID, "%s: %zu bytes of JSON, at most %zu are taken", what, len, max);
	if (too_deep(text, len))
		return err_set(err, ERR_INVALID, "%s: JSON nested deeper than %d levels", what, JSON_DEPTH_MAX);
	_cleanup_free_ char *marked = NULL;
	size_t marked_len = 0;
	if (json_big_quote(text, len, &marked, &marked_len) < 0)
		return err_oom(err);
	json_error_t je;
	json_t *j = json_loadb(marked ?: text, marked ? marked_len : len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (!j)
		return err_set(err, ERR_INVALID, "%s: not valid JSON: line %d, column %d: %s", what, je.line, je.column, je.text);
	*ret = (struct json *) j;
	return 0;
}

struct json *json_free(struct json *root)
{
	json_decref(J(root));
	return NULL;
}

void json_freep(struct json **root)
{
	*root = json_free(*root);
}

enum json_kind json_kind(const struct json *v)
{
	static const enum json_kind kinds[] = {
		[JSON_OBJECT] = JSON_KIND_OBJECT, [JSON_ARRAY] = JSON_KIND_ARRAY, [JSON_STRING] = JSON_KIND_STRING,
		[JSON_INTEGER] = JSON_KIND_INT,   [JSON_REAL] = JSON_KIND_REAL,   [JSON_TRUE] = JSON_KIND_BOOL,
		[JSON_FALSE] = JSON_KIND_BOOL,    [JSON_NULL] = JSON_KIND_NULL,
	};
	if (!v)
		return JSON_KIND_ABSENT;
	return json_big_value(json_string_value(J(v)), NULL) ? JSON_KIND_INT : kinds[json_typeof(J(v))];
}

const char *json_kind_name(enum json_kind k)
{
	static const char *const names[] = {"nothing", "null", "a boolean", "a whole number", "a fraction", "a string", "an array", "an object"};
	static_assert(ARRAY_LEN(names) == JSON_KIND_MAX_, "every kind has a name");
	return (unsigned) k < JSON_KIND_MAX_ ? names[k] : "?";
}

const struct json *json_get(const struct json *v, const char *key)
{
	return V(json_object_get(J(v), key));
}

const struct json *json_get_fold(const struct json *v, const char *key)
{
	const struct json *hit = json_get(v, key);
	if (hit)
		return hit;
	JSON_FOREACH_MEMBER(k, val, v)
		if (strcasecmp(k, key) == 0)
			return val;
	return NULL;
}

const char *json_str(const struct json *v, const char *fallback)
{
	return json_kind(v) == JSON_KIND_STRING ? json_string_value(J(v)) : fallback;
}

int64_t json_int(const struct json *v, int64_t fallback)
{
	return json_is_integer(J(v)) ? json_integer_value(J(v)) : fallback;
}

double json_number(const struct json *v, double fallback)
{
	return json_is_number(J(v)) ? json_number_value(J(v)) : fallback;
}

bool json_bool(const struct json *v, bool fallback)
{
	return json_is_boolean(J(v)) ? json_is_true(J(v)) : fallback;
}

size_t json_len(const struct json *v)
{
	if (json_is_array(J(v)))
		return json_array_size(J(v));
	return json_is_object(J(v)) ? json_object_size(J(v)) : 0;
}

const struct json *json_at(const struct json *array, size_t i)
{
	return V(json_array_get(J(array), i));
}

void *json_iter(const struct json *v)
{
	return json_is_object(J(v)) ? json_object_iter(J(v)) : NULL;
}

void *json_iter_next(const struct json *v, void *iter)
{
	return json_object_iter_next(J(v), iter);
}

const char *json_iter_key(void *iter)
{
	return json_object_iter_key(iter);
}

const struct json *json_iter_value(void *iter)
{
	return V(json_object_iter_value(iter));
}

int json_each(const struct json *v, int (*fn)(const char *key, const struct json *val, void *ctx), void *ctx)
{
	int r = 0;
	for (void *it = json_iter(v); it && r == 0; it = json_iter_next(v, it))
		r = fn(json_iter_key(it), json_iter_value(it), ctx);
	return r;
}

char *json_dump(const struct json *v)
{
	char *text = json_dumps(J(v), JSON_COMPACT | JSON_ENCODE_ANY);
	if (text)
		json_big_unquote(text);
	return text;
}

int json_strv(const struct json *v, const char *what, char ***ret, struct err *err)
{
	_cleanup_strv_ char **out = NULL;
	enum json_kind k = json_kind(v);
	if (k != JSON_KIND_ARRAY && k != JSON_KIND_NULL && k != JSON_KIND_ABSENT)
		return err_set(err, ERR_INVALID, "%s: expected an array of strings, got %s", what, json_kind_name(k));
	JSON_FOREACH(e, i, v) {
		const char *s = json_str(e, NULL);
		if (!s)
			return err_set(err, ERR_INVALID, "%s[%zu]: expected a string, got %s", what, i, json_kind_name(json_kind(e)));
		if (strv_push(&out, s) < 0)
			return err_oom(err);
	}
	strv_free(*ret);
	*ret = take_ptr(out);
	return 0;
}

/* 1: present and of kind @want, 0: absent or null, <0: wrong type */
static int expect(const struct json *obj, const char *key, enum json_kind want, const struct json **ret, struct err *err)
{
	const struct json *v = json_get_fold(obj, key);
	enum json_kind k = json_kind(v);
	if (k == JSON_KIND_ABSENT || k == JSON_KIND_NULL)
		return 0;
	if (k != want)
		return err_set(err, ERR_INVALID, "%s: expected %s, got %s", key, json_kind_name(want), json_kind_name(k));
	*ret = v;
	return 1;
}

int json_read_str(const struct json *obj, const char *key, const char **ret, struct err *err)
{
	const struct json *v;
	int r = expect(obj, key, JSON_KIND_STRING, &v, err);
	if (r > 0)
		*ret = json_string_value(J(v));
	return MIN(r, 0);
}

int json_read_dup(const struct json *obj, const char *key, char **ret, struct err *err)
{
	const char *s = NULL;
	int r = json_read_str(obj, key, &s, err);
	if (r < 0 || !s)
		return r;
	char *c = strdup(s);
	if (!c)
		return err_oom(err);
	free(*ret);
	*ret = c;
	return 0;
}

int json_read_bool(const struct json *obj, const char *key, bool *ret, struct err *err)
{
	const struct json *v;
	int r = expect(obj, key, JSON_KIND_BOOL, &v, err);
	if (r > 0)
		*ret = json_is_true(J(v));
	return MIN(r, 0);
}

int json_read_i64(const struct json *obj, const char *key, int64_t *ret, struct err *err)
{
	const struct json *v;
	int r = expect(obj, key, JSON_KIND_INT, &v, err);
	if (r > 0 && json_is_string(J(v)))
		return err_set(err, ERR_INVALID, "%s: %s is more than 9223372036854775807", key, json_string_value(J(v)) + 1);
	if (r > 0)
		*ret = json_integer_value(J(v));
	return MIN(r, 0);
}

int json_read_u64(const struct json *obj, const char *key, uint64_t *ret, struct err *err)
{
	int64_t v = -1;
	const struct json *j;
	int r = expect(obj, key, JSON_KIND_INT, &j, err);
	if (r <= 0)
		return r;
	if (json_big_value(json_string_value(J(j)), ret))
		return 0;
	v = json_integer_value(J(j));
	if (v < 0)
		return err_set(err, ERR_INVALID, "%s: %lld is negative", key, (long long) v);
	*ret = (uint64_t) v;
	return 0;
}

int json_read_u32(const struct json *obj, const char *key, uint32_t *ret, struct err *err)
{
	uint64_t v = *ret;
	int r = json_read_u64(obj, key, &v, err);
	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return err_set(err, ERR_INVALID, "%s: %llu is more than 4294967295", key, (unsigned long long) v);
	*ret = (uint32_t) v;
	return 0;
}

int json_read_strv(const struct json *obj, const char *key, char ***ret, struct err *err)
{
	const struct json *v = json_get_fold(obj, key);
	enum json_kind k = json_kind(v);
	if (k == JSON_KIND_ABSENT || k == JSON_KIND_NULL)
		return 0;
	return json_strv(v, key, ret, err);
}

int json_read_obj(const struct json *obj, const char *key, const struct json **ret, struct err *err)
{
	return MIN(expect(obj, key, JSON_KIND_OBJECT, ret, err), 0);
}

int json_read_arr(const struct json *obj, const char *key, const struct json **ret, struct err *err)
{
	return MIN(expect(obj, key, JSON_KIND_ARRAY, ret, err), 0);
}
