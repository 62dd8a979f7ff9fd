/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime document read strictly: types, ranges and names checked, paths absolute, extents without overflow; unknown keys ignored as the
 * specification asks. What is read stands in the tables of runtime_*.c; errors name the field: "config.json: linux.resources.memory.limit: ...".
 */
#include "spec/runtime_fields.h"

#define SPEC_BYTES_MAX (4u << 20)

static int parse_text(const char *text, size_t len, const char *what, struct json **ret, struct err *err)
{
	int r = json_parse(text, len, SPEC_BYTES_MAX, what, ret, err);
	if (r < 0)
		return r;
	if (json_kind(*ret) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected an object, got %s", what, json_kind_name(json_kind(*ret)));
	return 0;
}

int runtime_spec_parse(const char *text, size_t len, struct runtime_spec **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	int r = parse_text(text, len, "config.json", &root, err);
	if (r < 0)
		return r;
	_cleanup_runtime_spec_ struct runtime_spec *s = runtime_spec_new();
	if (!s)
		return err_oom(err);
	r = spec_fields_read(&spec_document_fields, root, s, err);
	if (r < 0)
		return err_wrap(err, "config.json");
	*ret = take_ptr(s);
	return 0;
}

static int read_part(const struct json *root, const char *key, const struct field_table *t, void *base, bool *ret_present, struct err *err)
{
	const struct json *v = NULL;
	int r = json_read_obj(root, key, &v, err);
	if (r < 0 || !v)
		return r;
	*ret_present = true;
	r = spec_fields_read(t, v, base, err);
	return r < 0 ? spec_err_in(err, "%s", key) : 0;
}

int exec_spec_parse(const char *text, size_t len, struct process_spec *ret, struct coffer_ext *ret_ext, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	struct process_spec p = {0};
	struct coffer_ext e = {0};
	bool there = false;
	int r = parse_text(text, len, "exec document", &root, err);
	if (r < 0)
		return r;
	r = read_part(root, "process", &spec_process_fields, &p, &there, err);
	if (r >= 0 && !there)
		r = err_set(err, ERR_INVALID, "process: is missing");
	r = r < 0 ? r : read_part(root, "coffer", &spec_coffer_fields, &e, &e.present, err);
	if (r < 0) {
		process_spec_done(&p);
		coffer_ext_done(&e);
		return err_wrap(err, "exec document");
	}
	*ret = p;
	*ret_ext = e;
	return 0;
}
