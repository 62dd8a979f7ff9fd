/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/runtime_fields.h"

#include <errno.h>
#include <limits.h>

#define ROW(type, key, kind, member) {key, kind, offsetof(type, member), NO_FLAG}
#define ROW_HAS(type, key, kind, member, flag) {key, kind, offsetof(type, member), offsetof(type, flag)}
#define TABLE(name)                                                                                                                                  \
	const struct field_table name = {name##_rows, ARRAY_LEN(name##_rows)}

static const struct field spec_process_fields_rows[] = {
	ROW(struct process_spec, "terminal", FIELD_BOOL, terminal),
	ROW(struct process_spec, "args", FIELD_STRV, args),
	ROW(struct process_spec, "env", FIELD_STRV, env),
	ROW(struct process_spec, "cwd", FIELD_STR, cwd),
	ROW(struct process_spec, "noNewPrivileges", FIELD_BOOL, no_new_privileges),
	ROW_HAS(struct process_spec, "oomScoreAdj", FIELD_INT, oom_score_adj, has_oom_score_adj),
	ROW(struct process_spec, "apparmorProfile", FIELD_STR, apparmor_profile),
	ROW(struct process_spec, "selinuxLabel", FIELD_STR, selinux_label),
};
TABLE(spec_process_fields);

static const struct field spec_mount_fields_rows[] = {
	ROW(struct mount_spec, "destination", FIELD_STR, destination),
	ROW(struct mount_spec, "type", FIELD_STR, type),
	ROW(struct mount_spec, "source", FIELD_STR, source),
	ROW(struct mount_spec, "options", FIELD_STRV, options),
};
TABLE(spec_mount_fields);

static const struct field spec_coffer_fields_rows[] = {
	ROW(struct coffer_ext, "layers", FIELD_STRV, layers),
	ROW(struct coffer_ext, "upper", FIELD_STR, upper),
	ROW(struct coffer_ext, "work", FIELD_STR, work),
	ROW(struct coffer_ext, "seccompFilter", FIELD_STR, seccomp_filter),
	ROW(struct coffer_ext, "seccompName", FIELD_STR, seccomp_name),
	ROW(struct coffer_ext, "seccompHash", FIELD_STR, seccomp_hash),
	ROW(struct coffer_ext, "seccompFlags", FIELD_U32, seccomp_flags),
	ROW(struct coffer_ext, "cgroupPath", FIELD_STR, cgroup_path),
	ROW(struct coffer_ext, "initPath", FIELD_STR, init_path),
	ROW(struct coffer_ext, "user", FIELD_STR, user),
	ROW(struct coffer_ext, "groupNames", FIELD_STRV, group_names),
	ROW(struct coffer_ext, "pingGroup", FIELD_BOOL, ping_group),
	ROW(struct coffer_ext, "landlock", FIELD_BOOL, landlock),
	ROW(struct coffer_ext, "lockUserns", FIELD_BOOL, lock_userns),
	ROW(struct coffer_ext, "createCwd", FIELD_BOOL, create_cwd),
	ROW(struct coffer_ext, "ephemeral", FIELD_BOOL, ephemeral),
};
TABLE(spec_coffer_fields);

static const struct field spec_memory_fields_rows[] = {
	ROW_HAS(struct resources_spec, "limit", FIELD_I64, memory, has_memory),
	ROW_HAS(struct resources_spec, "reservation", FIELD_I64, reservation, has_reservation),
	ROW_HAS(struct resources_spec, "swap", FIELD_I64, swap, has_swap),
	ROW_HAS(struct resources_spec, "disableOOMKiller", FIELD_BOOL, oom_disable, has_oom_disable),
};
TABLE(spec_memory_fields);

static const struct field spec_cpu_fields_rows[] = {
	ROW_HAS(struct resources_spec, "shares", FIELD_U64, shares, has_shares),
	ROW_HAS(struct resources_spec, "quota", FIELD_I64, quota, has_quota),
	ROW_HAS(struct resources_spec, "period", FIELD_U64, period, has_period),
	ROW(struct resources_spec, "cpus", FIELD_STR, cpus),
	ROW(struct resources_spec, "mems", FIELD_STR, mems),
};
TABLE(spec_cpu_fields);

static const struct field spec_pids_fields_rows[] = {
	ROW_HAS(struct resources_spec, "limit", FIELD_I64, pids, has_pids),
};
TABLE(spec_pids_fields);

static const struct field spec_device_fields_rows[] = {
	ROW(struct device_spec, "path", FIELD_STR, path),
	ROW(struct device_spec, "major", FIELD_I64, major),
	ROW(struct device_spec, "minor", FIELD_I64, minor),
	ROW_HAS(struct device_spec, "fileMode", FIELD_U32, mode, has_mode),
	ROW_HAS(struct device_spec, "uid", FIELD_U32, uid, has_uid),
	ROW_HAS(struct device_spec, "gid", FIELD_U32, gid, has_gid),
};
TABLE(spec_device_fields);

static const struct field spec_linux_fields_rows[] = {
	ROW(struct runtime_spec, "cgroupsPath", FIELD_STR, cgroups_path),
	ROW(struct runtime_spec, "rootfsPropagation", FIELD_STR, rootfs_propagation),
	ROW(struct runtime_spec, "maskedPaths", FIELD_STRV, masked_paths),
	ROW(struct runtime_spec, "readonlyPaths", FIELD_STRV, readonly_paths),
};
TABLE(spec_linux_fields);

static const struct field spec_top_fields_rows[] = {
	ROW(struct runtime_spec, "ociVersion", FIELD_STR, version),
	ROW(struct runtime_spec, "hostname", FIELD_STR, hostname),
	ROW(struct runtime_spec, "domainname", FIELD_STR, domainname),
};
TABLE(spec_top_fields);

const char *const spec_ns_names[NS_KIND_MAX_] = {
	[NS_USER] = "user", [NS_MOUNT] = "mount", [NS_PID] = "pid",	  [NS_NET] = "network",
	[NS_IPC] = "ipc",   [NS_UTS] = "uts",	  [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
};

const struct cap_set_field spec_cap_set_fields[5] = {
	{"bounding", offsetof(struct caps_spec, bounding)},	  {"effective", offsetof(struct caps_spec, effective)},
	{"inheritable", offsetof(struct caps_spec, inheritable)}, {"permitted", offsetof(struct caps_spec, permitted)},
	{"ambient", offsetof(struct caps_spec, ambient)},
};

static int read_int(const struct json *obj, const char *key, int *ret, struct err *err)
{
	int64_t v = *ret;
	int r = json_read_i64(obj, key, &v, err);
	if (r < 0)
		return r;
	if (v < INT_MIN || v > INT_MAX)
		return err_set(err, ERR_INVALID, "%s: %lld is out of range", key, (long long) v);
	*ret = (int) v;
	return 0;
}

static int field_read(const struct field *f, const struct json *obj, void *p, struct err *err)
{
	switch (f->kind) {
	case FIELD_STR:
		return json_read_dup(obj, f->key, p, err);
	case FIELD_STRV:
		return json_read_strv(obj, f->key, p, err);
	case FIELD_BOOL:
		return json_read_bool(obj, f->key, p, err);
	case FIELD_U32:
		return json_read_u32(obj, f->key, p, err);
	case FIELD_U64:
		return json_read_u64(obj, f->key, p, err);
	case FIELD_I64:
		return json_read_i64(obj, f->key, p, err);
	case FIELD_INT:
		return read_int(obj, f->key, p, err);
	}
	assert(!"every kind is read");
	return -EINVAL;
}

int spec_fields_read(const struct field_table *t, const struct json *obj, void *base, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->v[i];
		int r = field_read(f, obj, (char *) base + f->off, err);
		if (r < 0)
			return r;
		if (f->flag != NO_FLAG && json_kind(json_get_fold(obj, f->key)) > JSON_KIND_NULL)
			*(bool *) ((char *) base + f->flag) = true;
	}
	return 0;
}

static bool field_present(const struct field *f, const void *base)
{
	const void *p = (const char *) base + f->off;
	if (f->flag != NO_FLAG)
		return *(const bool *) ((const char *) base + f->flag);
	switch (f->kind) {
	case FIELD_STR:
	case FIELD_STRV:
		return *(void *const *) p != NULL;
	case FIELD_BOOL:
		return *(const bool *) p;
	default:
		return true;
	}
}

bool spec_fields_any(const struct field_table *t, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			return true;
	return false;
}

static void field_write(const struct field *f, struct json_writer *w, const void *p)
{
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
	}
}

void spec_fields_write(const struct field_table *t, struct json_writer *w, const void *base)
{
	for (size_t i = 0; i < t->n; i++)
		if (field_present(&t->v[i], base))
			field_write(&t->v[i], w, (const char *) base + t->v[i].off);
}
