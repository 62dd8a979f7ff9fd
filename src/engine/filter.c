/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ?filters= in docker's two forms, {"label":{"a=b":true}} and {"label":["a=b"]}. A filter that is not understood is an error, never
 * nothing: an ignored one would list, or delete, too much.
 */
#include "engine/internal.h"

int filter_values(const char *key, const struct json *v, char ***ret, struct err *err)
{
	int rc = 0;
	if (json_kind(v) == JSON_KIND_ARRAY)
		rc = json_strv(v, key, ret, err);
	else if (json_kind(v) == JSON_KIND_OBJECT) {
		JSON_FOREACH_MEMBER(name, on, v)
			if (rc >= 0 && json_bool(on, true) && strv_push(ret, name) < 0)
				rc = err_oom(err);
	} else
		return err_set(err, ERR_INVALID, "invalid filter '%.64s'", key);
	return rc;
}

int filters_check(const struct json *f, const char *const *known, struct err *err)
{
	if (f && json_kind(f) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "invalid filter");
	JSON_FOREACH_MEMBER(key, v, f) {
		_cleanup_strv_ char **values = NULL;
		bool ok = false;
		for (const char *const *k = known; *k && !ok; k++)
			ok = str_eq(*k, key);
		int rc = ok ? filter_values(key, v, &values, err) : err_set(err, ERR_INVALID, "invalid filter '%.64s'", key);
		if (rc < 0)
			return rc;
	}
	return 0;
}

char **filter_get(const struct json *f, const char *key)
{
	char **values = NULL;
	const struct json *v = json_get(f, key);
	if (v)
		(void) filter_values(key, v, &values, NULL); /* checked before: only memory is left, and then it asks for less */
	return values;
}

int filter_bool(const struct json *f, const char *key, int fallback, struct err *err)
{
	_cleanup_strv_ char **values = filter_get(f, key);
	int ret = fallback;
	STRV_FOREACH(s, values) {
		bool on = str_eq(s, "1") || str_eq(s, "true") || str_eq(s, "True") || str_eq(s, "t");
		if (!on && !str_eq(s, "0") && !str_eq(s, "false") && !str_eq(s, "False") && !str_eq(s, "f"))
			return err_set(err, ERR_INVALID, "invalid filter '%.32s=%.64s'", key, s);
		ret = on;
	}
	return ret;
}

/* "a" or "a=b" */
static bool has_label(char *const *keys, char *const *values, const char *want)
{
	size_t n = strcspn(want, "=");
	for (size_t i = 0; keys && keys[i]; i++)
		if (strlen(keys[i]) == n && strncmp(keys[i], want, n) == 0 && (!want[n] || str_eq(values[i], want + n + 1)))
			return true;
	return false;
}

bool filter_labels(const struct json *f, const struct kv_list *labels)
{
	_cleanup_strv_ char **want = filter_get(f, "label"), **not = filter_get(f, "label!");
	STRV_FOREACH(s, want)
		if (!has_label(labels->keys, labels->values, s))
			return false;
	STRV_FOREACH(s, not)
		if (has_label(labels->keys, labels->values, s))
			return false;
	return true;
}

int filter_until(const struct json *f, int64_t *ret, struct err *err)
{
	_cleanup_strv_ char **values = filter_get(f, "until");
	if (strv_len(values) > 1)
		return err_set(err, ERR_INVALID, "more than one until filter specified");
	if (values && time_parse_when(values[0], now_ns(), ret) < 0)
		return err_set(err, ERR_INVALID, "invalid filter 'until=%.64s': not a time", values[0]);
	return 0;
}
