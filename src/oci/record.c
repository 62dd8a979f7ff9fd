/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/record.h"

#include <errno.h>
#include <limits.h>

#include "codec/json.h"

#define ID_BYTES_MAX 1024 /* as runc */

int container_id_check(const char *id, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	size_t n = strlen(id);
	if (n == 0)
		return err_set(err, ERR_INVALID, "container id cannot be empty");
	if (n > ID_BYTES_MAX || id[strspn(id, allowed)] || str_eq(id, ".") || str_eq(id, ".."))
		return err_set(err, ERR_INVALID, "invalid container id '%.80s': at most %d of a-z A-Z 0-9 _ + - . and not '.' or '..'", id, ID_BYTES_MAX);
	return 0;
}

struct record *record_free(struct record *r)
{
	if (!r)
		return NULL;
	free(r->oci_version);
	free(r->id);
	free(r->bundle);
	free(r->rootfs);
	free(r->cgroup_path);
	for (size_t i = 0; i < r->n_annotations; i++) {
		free(r->annotations[i].key);
		free(r->annotations[i].value);
	}
	free(r->annotations);
	free(r);
	return NULL;
}

void record_freep(struct record **r)
{
	*r = record_free(*r);
}

enum row_kind { ROW_STR, ROW_I64, ROW_U64, ROW_U32, ROW_BOOL };

/* Everything that is a plain value, for both directions. */
#define R(field) offsetof(struct record, field)
static const struct {
	const char *key;
	enum row_kind kind;
	size_t off;
} rows[] = {
	{"ociVersion", ROW_STR, R(oci_version)}, {"id", ROW_STR, R(id)}, {"startTicks", ROW_U64, R(start_ticks)}, {"createdNs", ROW_I64, R(created_ns)},
	{"owner", ROW_U32, R(owner)}, {"bundle", ROW_STR, R(bundle)}, {"rootfs", ROW_STR, R(rootfs)}, {"cgroupPath", ROW_STR, R(cgroup_path)},
	{"systemdCgroup", ROW_BOOL, R(systemd_cgroup)}, {"privatePids", ROW_BOOL, R(private_pids)}, {"hasPoststart", ROW_BOOL, R(has_poststart)},
	{"hasPoststop", ROW_BOOL, R(has_poststop)},
};
#undef R

int record_write(const struct record *r, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_int(&w, "version", RECORD_VERSION);
	jw_int(&w, "pid", r->pid);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const void *p = (const char *) r + rows[i].off;
		switch (rows[i].kind) {
		case ROW_STR:
			jw_str(&w, rows[i].key, *(char *const *) p);
			break;
		case ROW_I64:
			jw_int(&w, rows[i].key, *(const int64_t *) p);
			break;
		case ROW_U64:
			jw_uint(&w, rows[i].key, *(const uint64_t *) p);
			break;
		case ROW_U32:
			jw_uint(&w, rows[i].key, *(const uint32_t *) p);
			break;
		case ROW_BOOL:
			jw_bool(&w, rows[i].key, *(const bool *) p);
			break;
		}
	}
	jw_obj(&w, "annotations");
	for (size_t i = 0; i < r->n_annotations; i++)
		jw_str(&w, r->annotations[i].key, r->annotations[i].value);
	jw_end(&w);
	jw_end(&w);
	int e = strbuf_err(out);
	return e < 0 ? err_sys(err, e, "writing the state") : 0;
}

static int read_row(const struct json *root, size_t i, struct record *r, struct err *err)
{
	void *p = (char *) r + rows[i].off;
	if (json_kind(json_get(root, rows[i].key)) <= JSON_KIND_NULL)
		return err_set(err, ERR_CORRUPT, "%s is missing", rows[i].key);
	switch (rows[i].kind) {
	case ROW_STR:
		return json_read_dup(root, rows[i].key, p, err);
	case ROW_I64:
		return json_read_i64(root, rows[i].key, p, err);
	case ROW_U64:
		return json_read_u64(root, rows[i].key, p, err);
	case ROW_U32:
		return json_read_u32(root, rows[i].key, p, err);
	case ROW_BOOL:
		return json_read_bool(root, rows[i].key, p, err);
	}
	return 0;
}

static int read_pid(const struct json *root, struct record *r, struct err *err)
{
	int64_t version = 0, pid = 0;
	int e = json_read_i64(root, "version", &version, err);
	e = e < 0 ? e : json_read_i64(root, "pid", &pid, err);
	if (e < 0)
		return e;
	if (version != RECORD_VERSION)
		return err_set(err, ERR_CORRUPT, "version: %lld is not %d", (long long) version, RECORD_VERSION);
	if (pid <= 0 || pid > INT_MAX)
		return err_set(err, ERR_CORRUPT, "pid: %lld is no pid", (long long) pid);
	r->pid = (pid_t) pid;
	return 0;
}

static int read_annotations(const struct json *root, struct record *r, struct err *err)
{
	const struct json *map = NULL;
	int e = json_read_obj(root, "annotations", &map, err);
	if (e < 0)
		return e;
	JSON_FOREACH_MEMBER(key, val, map) {
		const char *s = json_str(val, NULL);
		if (!s)
			return err_set(err, ERR_CORRUPT, "annotations: '%.80s': expected a string, got %s", key, json_kind_name(json_kind(val)));
		if (keyval_add(&r->annotations, &r->n_annotations, key, s) < 0)
			return err_oom(err);
	}
	return 0;
}

static int read_all(const struct json *root, struct record *r, struct err *err)
{
	int e = read_pid(root, r, err);
	for (size_t i = 0; e == 0 && i < ARRAY_LEN(rows); i++)
		e = read_row(root, i, r, err);
	e = e < 0 ? e : read_annotations(root, r, err);
	if (e < 0)
		return e;
	if (r->bundle[0] != '/' || r->rootfs[0] != '/')
		return err_set(err, ERR_CORRUPT, "%s: not an absolute path", r->bundle[0] != '/' ? "bundle" : "rootfs");
	return container_id_check(r->id, err);
}

int record_parse(const char *text, size_t len, struct record **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	_cleanup_record_ struct record *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	int e = json_parse(text, len, RECORD_BYTES_MAX, "state.json", &root, err);
	if (e == 0 && json_kind(root) != JSON_KIND_OBJECT)
		e = err_set(err, ERR_CORRUPT, "expected an object, got %s", json_kind_name(json_kind(root)));
	e = e < 0 ? e : read_all(root, r, err);
	if (e < 0)
		return err_wrap(err, "state.json");
	*ret = take_ptr(r);
	return 0;
}
