/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime document read strictly: types and ranges checked, paths absolute, extents without overflow, duplicates of a
 * namespace refused; unknown keys ignored as the specification asks. Errors read "linux: resources: memory: limit: expected ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "spec/runtime_fields.h"

#define SPEC_BYTES_MAX (4u << 20)
#define LIST_MAX 4096 /* mounts, devices, rules, groups: far above any real document */

/* Allocate an array for every element of @arr, or refuse. */
static int list_alloc(const struct json *arr, const char *what, size_t size, size_t max, void *ret, size_t *n, struct err *err)
{
	*n = 0;
	size_t len = json_len(arr);
	if (len == 0)
		return 0;
	if (len > max)
		return err_set(err, ERR_INVALID, "%s: %zu entries, at most %zu are taken", what, len, max);
	void *p = calloc(len, size);
	if (!p)
		return err_oom(err);
	*(void **) ret = p;
	*n = len;
	return 0;
}

static int need_object(const struct json *v, const char *what, size_t i, struct err *err)
{
	if (json_kind(v) == JSON_KIND_OBJECT)
		return 0;
	return err_set(err, ERR_INVALID, "%s[%zu]: expected an object, got %s", what, i, json_kind_name(json_kind(v)));
}

/* Process */

static int read_cap_set(const struct json *caps, const char *key, uint64_t *ret, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = json_read_strv(caps, key, &names, err);
	if (r < 0)
		return r;
	STRV_FOREACH(name, names) {
		int cap = cap_from_name(name);
		if (cap < 0)
			return err_set(err, ERR_INVALID, "%s: unknown capability '%s'", key, name);
		*ret |= UINT64_C(1) << cap;
	}
	return 0;
}

static int read_caps(const struct json *proc, struct process_spec *p, struct err *err)
{
	const struct json *caps = NULL;
	int r = json_read_obj(proc, "capabilities", &caps, err);
	if (r < 0 || !caps)
		return r;
	p->has_caps = true;
	for (size_t i = 0; i < ARRAY_LEN(spec_cap_set_fields); i++) {
		r = read_cap_set(caps, spec_cap_set_fields[i].key, (uint64_t *) ((char *) &p->caps + spec_cap_set_fields[i].off), err);
		if (r < 0)
			return err_wrap(err, "capabilities");
	}
	return 0;
}

static int check_id(uint32_t id, const char *what, struct err *err)
{
	return id == UINT32_MAX ? err_set(err, ERR_INVALID, "%s: 4294967295 is no id", what) : 0;
}

static int read_groups(const struct json *user, struct process_spec *p, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(user, "additionalGids", &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, "additionalGids", sizeof(*p->groups), LIST_MAX, &p->groups, &p->n_groups, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		int64_t gid = json_int(v, -1);
		if (json_kind(v) != JSON_KIND_INT || gid < 0 || gid >= UINT32_MAX)
			return err_set(err, ERR_INVALID, "additionalGids[%zu]: expected a group id", i);
		p->groups[i] = (uint32_t) gid;
	}
	return 0;
}

static int read_user(const struct json *proc, struct process_spec *p, struct err *err)
{
	const struct json *user = NULL;
	int r = json_read_obj(proc, "user", &user, err);
	if (r < 0 || !user)
		return r;
	p->has_umask = json_kind(json_get_fold(user, "umask")) > JSON_KIND_NULL;
	r = json_read_u32(user, "uid", &p->uid, err);
	r = r < 0 ? r : json_read_u32(user, "gid", &p->gid, err);
	r = r < 0 ? r : json_read_u32(user, "umask", &p->umask, err);
	r = r < 0 ? r : check_id(p->uid, "uid", err);
	r = r < 0 ? r : check_id(p->gid, "gid", err);
	r = r < 0 ? r : read_groups(user, p, err);
	if (r >= 0 && p->umask > 0777)
		r = err_set(err, ERR_INVALID, "umask: %u is more than 0777", p->umask);
	return r < 0 ? err_wrap(err, "user") : 0;
}

static int read_console(const struct json *proc, struct process_spec *p, struct err *err)
{
	const struct json *size = NULL;
	uint32_t rows = 0, cols = 0;
	int r = json_read_obj(proc, "consoleSize", &size, err);
	r = r < 0 ? r : json_read_u32(size, "height", &rows, err);
	r = r < 0 ? r : json_read_u32(size, "width", &cols, err);
	if (r < 0)
		return r;
	p->rows = (uint16_t) MIN(rows, UINT16_MAX);
	p->cols = (uint16_t) MIN(cols, UINT16_MAX);
	return 0;
}

/* -1 stands for 2^64-1, see shrink_infinity(). */
static int read_limit(const struct json *obj, const char *key, uint64_t *ret, struct err *err)
{
	int64_t v = 0;
	int r = json_read_i64(obj, key, &v, err);
	if (r < 0)
		return r;
	if (v < -1)
		return err_set(err, ERR_INVALID, "%s: %lld is negative", key, (long long) v);
	*ret = v == -1 ? UINT64_MAX : (uint64_t) v;
	return 0;
}

static int read_rlimits(const struct json *proc, struct process_spec *p, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(proc, "rlimits", &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, "rlimits", sizeof(*p->rlimits), 64, &p->rlimits, &p->n_rlimits, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		struct rlimit_spec *l = &p->rlimits[i];
		r = need_object(v, "rlimits", i, err);
		r = r < 0 ? r : json_read_dup(v, "type", &l->name, err);
		r = r < 0 ? r : read_limit(v, "soft", &l->soft, err);
		r = r < 0 ? r : read_limit(v, "hard", &l->hard, err);
		if (r < 0)
			return err_wrap(err, "rlimits[%zu]", i);
		if (!l->name)
			return err_set(err, ERR_INVALID, "rlimits[%zu]: type is missing", i);
		for (size_t k = 0; k < i; k++)
			if (str_eq(p->rlimits[k].name, l->name))
				return err_set(err, ERR_INVALID, "rlimits[%zu]: '%s' is there twice", i, l->name);
	}
	return 0;
}

static int read_process(const struct json *proc, struct process_spec *p, struct err *err)
{
	int r = spec_fields_read(&spec_process_fields, proc, p, err);
	r = r < 0 ? r : read_user(proc, p, err);
	r = r < 0 ? r : read_console(proc, p, err);
	r = r < 0 ? r : read_caps(proc, p, err);
	r = r < 0 ? r : read_rlimits(proc, p, err);
	if (r < 0)
		return r;
	if (!p->args)
		return err_set(err, ERR_INVALID, "args: nothing to run");
	if (!p->cwd || p->cwd[0] != '/')
		return err_set(err, ERR_INVALID, "cwd: '%s' is not an absolute path", p->cwd ?: "");
	return 0;
}

/* Id maps */

static bool extents_overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t) a < (uint64_t) b + b_size && (uint64_t) b < (uint64_t) a + a_size;
}

static int check_extent(const struct id_map *m, size_t i, struct err *err)
{
	const struct id_extent *e = &m->v[i];
	if (e->size == 0)
		return err_set(err, ERR_INVALID, "size: 0 maps nothing");
	if ((uint64_t) e->ctr + e->size > UINT32_MAX || (uint64_t) e->host + e->size > UINT32_MAX)
		return err_set(err, ERR_INVALID, "size: %u ids from %u/%u go past the last id", e->size, e->ctr, e->host);
	for (size_t k = 0; k < i; k++)
		if (extents_overlap(e->ctr, e->size, m->v[k].ctr, m->v[k].size) || extents_overlap(e->host, e->size, m->v[k].host, m->v[k].size))
			return err_set(err, ERR_INVALID, "overlaps entry %zu", k);
	return 0;
}

static int read_id_map(const struct json *obj, const char *key, struct id_map *m, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(obj, key, &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, key, sizeof(*m->v), IDMAP_EXTENTS_MAX, &m->v, &m->n, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		r = need_object(v, key, i, err);
		r = r < 0 ? r : json_read_u32(v, "containerID", &m->v[i].ctr, err);
		r = r < 0 ? r : json_read_u32(v, "hostID", &m->v[i].host, err);
		r = r < 0 ? r : json_read_u32(v, "size", &m->v[i].size, err);
		r = r < 0 ? r : check_extent(m, i, err);
		if (r < 0)
			return err_wrap(err, "%s[%zu]", key, i);
	}
	return 0;
}

/* Mounts */

static int read_mounts(const struct json *root, struct runtime_spec *s, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(root, "mounts", &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, "mounts", sizeof(*s->mounts), LIST_MAX, &s->mounts, &s->n_mounts, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		struct mount_spec *m = &s->mounts[i];
		r = need_object(v, "mounts", i, err);
		r = r < 0 ? r : spec_fields_read(&spec_mount_fields, v, m, err);
		r = r < 0 ? r : read_id_map(v, "uidMappings", &m->uids, err);
		r = r < 0 ? r : read_id_map(v, "gidMappings", &m->gids, err);
		if (r >= 0 && (!m->destination || m->destination[0] != '/'))
			r = err_set(err, ERR_INVALID, "destination: '%s' is not an absolute path", m->destination ?: "");
		if (r < 0)
			return err_wrap(err, "mounts[%zu]", i);
	}
	return 0;
}

/* Linux */

static int ns_from_name(const char *name)
{
	for (int i = 0; i < NS_KIND_MAX_; i++)
		if (str_eq(spec_ns_names[i], name))
			return i;
	return -EINVAL;
}

static int read_namespace(const struct json *v, struct runtime_spec *s, struct err *err)
{
	const char *type = NULL, *path = NULL;
	int r = json_read_str(v, "type", &type, err);
	r = r < 0 ? r : json_read_str(v, "path", &path, err);
	if (r < 0)
		return r;
	int kind = ns_from_name(type ?: "");
	if (kind < 0)
		return err_set(err, ERR_INVALID, "type: unknown namespace '%s'", type ?: "");
	struct ns_spec *ns = &s->ns[kind];
	if (ns->mode != NS_MODE_HOST)
		return err_set(err, ERR_INVALID, "type: '%s' is there twice", type);
	ns->mode = str_empty(path) ? NS_MODE_NEW : NS_MODE_PATH;
	if (ns->mode == NS_MODE_NEW)
		return 0;
	if (path[0] != '/')
		return err_set(err, ERR_INVALID, "path: '%s' is not absolute", path);
	ns->path = strdup(path);
	return ns->path ? 0 : err_oom(err);
}

static int read_namespaces(const struct json *linux_, struct runtime_spec *s, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(linux_, "namespaces", &arr, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		r = need_object(v, "namespaces", i, err);
		r = r < 0 ? r : read_namespace(v, s, err);
		if (r < 0)
			return err_wrap(err, "namespaces[%zu]", i);
	}
	return 0;
}

static int read_char(const struct json *v, const char *key, const char *allowed, char *ret, struct err *err)
{
	const char *s = NULL;
	int r = json_read_str(v, key, &s, err);
	if (r < 0 || !s)
		return r;
	if (strlen(s) != 1 || !strchr(allowed, s[0]))
		return err_set(err, ERR_INVALID, "%s: '%s' is not one of '%s'", key, s, allowed);
	*ret = s[0];
	return 0;
}

static int read_devices(const struct json *linux_, struct runtime_spec *s, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(linux_, "devices", &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, "devices", sizeof(*s->devices), LIST_MAX, &s->devices, &s->n_devices, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		struct device_spec *d = &s->devices[i];
		r = need_object(v, "devices", i, err);
		r = r < 0 ? r : spec_fields_read(&spec_device_fields, v, d, err);
		r = r < 0 ? r : read_char(v, "type", "cbup", &d->type, err);
		if (r >= 0 && (!d->path || d->path[0] != '/'))
			r = err_set(err, ERR_INVALID, "path: '%s' is not an absolute path", d->path ?: "");
		if (r >= 0 && !d->type)
			r = err_set(err, ERR_INVALID, "type is missing");
		if (r < 0)
			return err_wrap(err, "devices[%zu]", i);
	}
	return 0;
}

static int read_access(const struct json *v, struct device_rule *d, struct err *err)
{
	const char *s = NULL;
	int r = json_read_str(v, "access", &s, err);
	if (r < 0 || !s)
		return r;
	if (strlen(s) > 3 || strspn(s, "rwm") != strlen(s))
		return err_set(err, ERR_INVALID, "access: '%s' is not made of r, w and m", s);
	(void) str_copy(d->access, sizeof(d->access), s);
	return 0;
}

static int read_device_rules(const struct json *res, struct resources_spec *s, struct err *err)
{
	const struct json *arr = NULL;
	int r = json_read_arr(res, "devices", &arr, err);
	if (r < 0 || !arr)
		return r;
	r = list_alloc(arr, "devices", sizeof(*s->devices), LIST_MAX, &s->devices, &s->n_devices, err);
	if (r < 0)
		return r;
	JSON_FOREACH(v, i, arr) {
		struct device_rule *d = &s->devices[i];
		*d = (struct device_rule){.type = 'a', .major = -1, .minor = -1};
		r = need_object(v, "devices", i, err);
		r = r < 0 ? r : json_read_bool(v, "allow", &d->allow, err);
		r = r < 0 ? r : read_char(v, "type", "acb", &d->type, err);
		r = r < 0 ? r : json_read_i64(v, "major", &d->major, err);
		r = r < 0 ? r : json_read_i64(v, "minor", &d->minor, err);
		r = r < 0 ? r : read_access(v, d, err);
		if (r < 0)
			return err_wrap(err, "devices[%zu]", i);
	}
	return 0;
}

static int read_keyvals(const struct json *obj, const char *key, struct keyval **ret, size_t *n, struct err *err)
{
	const struct json *map = NULL;
	int r = json_read_obj(obj, key, &map, err);
	if (r < 0)
		return r;
	if (json_len(map) > LIST_MAX)
		return err_set(err, ERR_INVALID, "%s: %zu entries, at most %d are taken", key, json_len(map), LIST_MAX);
	JSON_FOREACH_MEMBER(k, v, map) {
		const char *s = json_str(v, NULL);
		if (!s)
			return err_set(err, ERR_INVALID, "%s: '%s': expected a string, got %s", key, k, json_kind_name(json_kind(v)));
		if (keyval_add(ret, n, k, s) < 0)
			return err_oom(err);
	}
	return 0;
}

static int read_part(const struct json *obj, const char *key, const struct field_table *t, void *base, struct err *err)
{
	const struct json *part = NULL;
	int r = json_read_obj(obj, key, &part, err);
	if (r < 0 || !part)
		return r;
	r = spec_fields_read(t, part, base, err);
	return r < 0 ? err_wrap(err, "%s", key) : 0;
}

static int read_resources(const struct json *linux_, struct resources_spec *s, struct err *err)
{
	const struct json *res = NULL;
	int r = json_read_obj(linux_, "resources", &res, err);
	if (r < 0 || !res)
		return r;
	r = read_device_rules(res, s, err);
	r = r < 0 ? r : read_part(res, "memory", &spec_memory_fields, s, err);
	r = r < 0 ? r : read_part(res, "cpu", &spec_cpu_fields, s, err);
	r = r < 0 ? r : read_part(res, "pids", &spec_pids_fields, s, err);
	r = r < 0 ? r : read_keyvals(res, "unified", &s->unified, &s->n_unified, err);
	return r < 0 ? err_wrap(err, "resources") : 0;
}

static int read_linux(const struct json *root, struct runtime_spec *s, struct err *err)
{
	const struct json *l = NULL, *seccomp = NULL;
	int r = json_read_obj(root, "linux", &l, err);
	if (r < 0 || !l)
		return r;
	r = spec_fields_read(&spec_linux_fields, l, s, err);
	r = r < 0 ? r : read_id_map(l, "uidMappings", &s->uids, err);
	r = r < 0 ? r : read_id_map(l, "gidMappings", &s->gids, err);
	r = r < 0 ? r : read_namespaces(l, s, err);
	r = r < 0 ? r : read_devices(l, s, err);
	r = r < 0 ? r : read_resources(l, &s->resources, err);
	r = r < 0 ? r : read_keyvals(l, "sysctl", &s->sysctls, &s->n_sysctls, err);
	r = r < 0 ? r : json_read_obj(l, "seccomp", &seccomp, err);
	if (r < 0)
		return err_wrap(err, "linux");
	if (seccomp) {
		s->seccomp_json = json_dump(seccomp);
		if (!s->seccomp_json)
			return err_oom(err);
	}
	return 0;
}

/* The whole */

static int read_ext(const struct json *root, struct coffer_ext *e, struct err *err)
{
	const struct json *c = NULL;
	int r = json_read_obj(root, "coffer", &c, err);
	if (r < 0 || !c)
		return r;
	e->present = true;
	r = spec_fields_read(&spec_coffer_fields, c, e, err);
	return r < 0 ? err_wrap(err, "coffer") : 0;
}

static int read_root(const struct json *root, struct runtime_spec *s, struct err *err)
{
	const struct json *o = NULL;
	int r = json_read_obj(root, "root", &o, err);
	if (r < 0 || !o)
		return r;
	r = json_read_dup(o, "path", &s->root_path, err);
	r = r < 0 ? r : json_read_bool(o, "readonly", &s->root_readonly, err);
	return r < 0 ? err_wrap(err, "root") : 0;
}

static int read_document(const struct json *root, struct runtime_spec *s, struct err *err)
{
	const struct json *proc = NULL;
	int r = spec_fields_read(&spec_top_fields, root, s, err);
	if (r < 0)
		return r;
	if (!s->version || !str_after(s->version, "1."))
		return err_set(err, ERR_INVALID, "ociVersion: '%s' is not a 1.x version", s->version ?: "");
	r = json_read_obj(root, "process", &proc, err);
	if (r >= 0 && proc) {
		r = read_process(proc, &s->process, err);
		if (r < 0)
			return err_wrap(err, "process");
	}
	r = r < 0 ? r : read_root(root, s, err);
	r = r < 0 ? r : read_mounts(root, s, err);
	r = r < 0 ? r : read_linux(root, s, err);
	r = r < 0 ? r : read_keyvals(root, "annotations", &s->annotations, &s->n_annotations, err);
	r = r < 0 ? r : read_ext(root, &s->coffer, err);
	if (r >= 0 && str_empty(s->root_path) && !s->coffer.layers)
		r = err_set(err, ERR_INVALID, "root: path is missing");
	return r;
}

/* RLIM_INFINITY is written as 2^64-1, which the JSON reader's 64 signed bits do not hold: outside strings it becomes -1. */
static char *shrink_infinity(const char *text, size_t len)
{
	static const char inf[] = "18446744073709551615", minus[] = "                  -1";
	static_assert(sizeof(inf) == sizeof(minus), "replaced in place");
	if (!memmem(text, len, inf, sizeof(inf) - 1))
		return NULL;
	char *copy = malloc(len ?: 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	bool quoted = false;
	for (size_t i = 0; i < len; i++) {
		if (quoted && copy[i] == '\\')
			i++;
		else if (copy[i] == '"')
			quoted = !quoted;
		else if (!quoted && len - i >= sizeof(inf) - 1 && memcmp(copy + i, inf, sizeof(inf) - 1) == 0 && i > 0 && strchr(": ,[\t\n", copy[i - 1]))
			memcpy(copy + i, minus, sizeof(minus) - 1);
	}
	return copy;
}

static int parse_text(const char *text, size_t len, const char *what, struct json **ret, struct err *err)
{
	_cleanup_free_ char *copy = len <= SPEC_BYTES_MAX ? shrink_infinity(text, len) : NULL;
	int r = json_parse(copy ?: text, len, SPEC_BYTES_MAX, what, ret, err);
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
	r = read_document(root, s, err);
	if (r < 0)
		return err_wrap(err, "config.json");
	*ret = take_ptr(s);
	return 0;
}

int exec_spec_parse(const char *text, size_t len, struct process_spec *ret, struct coffer_ext *ret_ext, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	const struct json *proc = NULL;
	int r = parse_text(text, len, "exec document", &root, err);
	r = r < 0 ? r : json_read_obj(root, "process", &proc, err);
	if (r < 0)
		return r;
	if (!proc)
		return err_set(err, ERR_INVALID, "exec document: process is missing");
	struct process_spec p = {0};
	struct coffer_ext e = {0};
	r = read_process(proc, &p, err);
	r = r < 0 ? err_wrap(err, "process") : read_ext(root, &e, err);
	if (r < 0) {
		process_spec_done(&p);
		coffer_ext_done(&e);
		return err_wrap(err, "exec document");
	}
	*ret = p;
	*ret_ext = e;
	return 0;
}
