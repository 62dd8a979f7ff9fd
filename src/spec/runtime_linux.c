/* SPDX-License-Identifier: Apache-2.0 */
/* The linux object: namespaces, id maps, devices and the rest, but for resources. Source: runtime-spec config-linux.md. */
#include <errno.h>
#include <net/if.h>

#include "spec/runtime_fields.h"

enum { NET_DEVICES_MAX = 256 };

/* Id maps */

static const struct field id_rows[] = {
	FIELD(struct id_extent, "containerID", FIELD_U32, ctr, .need = true, .always = true),
	FIELD(struct id_extent, "hostID", FIELD_U32, host, .need = true, .always = true),
	FIELD(struct id_extent, "size", FIELD_U32, size, .need = true, .always = true),
};
const struct field_table spec_id_fields = TABLE(id_rows);

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t) a < (uint64_t) b + b_size && (uint64_t) b < (uint64_t) a + a_size;
}

int spec_map_check(const struct id_map *m, const char *what, struct err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct id_extent *e = &m->v[i];
		if (e->size == 0)
			return err_set(err, ERR_INVALID, "%s[%zu].size: 0 maps nothing", what, i);
		if ((uint64_t) e->ctr + e->size > UINT32_MAX || (uint64_t) e->host + e->size > UINT32_MAX)
			return err_set(err, ERR_INVALID, "%s[%zu].size: %u ids from %u/%u go past the last id", what, i, e->size, e->ctr, e->host);
		for (size_t k = 0; k < i; k++)
			if (overlap(e->ctr, e->size, m->v[k].ctr, m->v[k].size) || overlap(e->host, e->size, m->v[k].host, m->v[k].size))
				return err_set(err, ERR_INVALID, "%s[%zu]: overlaps entry %zu", what, i, k);
	}
	return 0;
}

/* Namespaces */

const char *const spec_ns_names[NS_KIND_MAX_ + 1] = {
	[NS_USER] = "user", [NS_MOUNT] = "mount", [NS_PID] = "pid",	  [NS_NET] = "network",
	[NS_IPC] = "ipc",   [NS_UTS] = "uts",	  [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
};

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
	r = spec_need_absolute(path, "path", err);
	if (r < 0)
		return r;
	ns->path = strdup(path);
	return ns->path ? 0 : err_oom(err);
}

static int read_namespaces(const struct json *arr, void *base, struct err *err)
{
	if (json_kind(arr) != JSON_KIND_ARRAY)
		return err_set(err, ERR_INVALID, "namespaces: expected an array, got %s", json_kind_name(json_kind(arr)));
	JSON_FOREACH(v, i, arr) {
		if (json_kind(v) != JSON_KIND_OBJECT)
			return err_set(err, ERR_INVALID, "namespaces[%zu]: expected an object, got %s", i, json_kind_name(json_kind(v)));
		int r = read_namespace(v, base, err);
		if (r < 0)
			return spec_err_in(err, "namespaces[%zu]", i);
	}
	return 0;
}

static void write_namespaces(struct json_writer *w, const char *key, const void *base)
{
	const struct runtime_spec *s = base;
	jw_arr(w, key);
	for (int i = 0; i < NS_KIND_MAX_; i++) {
		if (s->ns[i].mode == NS_MODE_HOST)
			continue;
		jw_obj(w, NULL);
		jw_str(w, "type", spec_ns_names[i]);
		if (s->ns[i].mode == NS_MODE_PATH)
			jw_str(w, "path", s->ns[i].path);
		jw_end(w);
	}
	jw_end(w);
}

/* Clocks of the time namespace */

#define SEC_NS 1000000000u
static const struct field offset_rows[2][2] = {
	{FIELD(struct runtime_spec, "secs", FIELD_I64, time_secs[0]), FIELD(struct runtime_spec, "nanosecs", FIELD_U32, time_nanosecs[0], .lo = 0, .hi = SEC_NS - 1)},
	{FIELD(struct runtime_spec, "secs", FIELD_I64, time_secs[1]), FIELD(struct runtime_spec, "nanosecs", FIELD_U32, time_nanosecs[1], .lo = 0, .hi = SEC_NS - 1)},
};
static const struct field_table offset_fields[2] = {TABLE(offset_rows[0]), TABLE(offset_rows[1])};

static int check_clocks(void *base, const struct json *obj, struct err *err)
{
	(void) base;
	JSON_FOREACH_MEMBER(k, v, obj)
		if (strcmp(k, "monotonic") != 0 && strcmp(k, "boottime") != 0)
			return err_set(err, ERR_INVALID, "%.40s: is not a clock that a time namespace has, only monotonic and boottime", str_is_plain(k) ? k : "?");
	return 0;
}

static const struct field clock_rows[] = {
	{.key = "monotonic", .kind = FIELD_OBJ, .sub = &offset_fields[0], HAS(struct runtime_spec, has_time_offset[0])},
	{.key = "boottime", .kind = FIELD_OBJ, .sub = &offset_fields[1], HAS(struct runtime_spec, has_time_offset[1])},
};
static const struct field_table clock_fields = TABLE(clock_rows, .check = check_clocks);

/* Devices */

static const char *const device_types[] = {"cbup"};

static int check_device(void *base, const struct json *obj, struct err *err)
{
	const struct device_spec *d = base;
	if (d->type != 'p' && (!json_get_fold(obj, "major") || !json_get_fold(obj, "minor")))
		return err_set(err, ERR_INVALID, "%s: is missing", json_get_fold(obj, "major") ? "minor" : "major");
	return spec_need_absolute(d->path, "path", err);
}

static const struct field device_rows[] = {
	FIELD(struct device_spec, "type", FIELD_CHAR, type, .need = true, .words = device_types),
	FIELD(struct device_spec, "path", FIELD_STR, path, .need = true),
	FIELD(struct device_spec, "major", FIELD_I64, major, .always = true, .lo = 0, .hi = UINT32_MAX),
	FIELD(struct device_spec, "minor", FIELD_I64, minor, .always = true, .lo = 0, .hi = UINT32_MAX),
	FIELD(struct device_spec, "fileMode", FIELD_U32, mode, HAS(struct device_spec, has_mode)),
	FIELD(struct device_spec, "uid", FIELD_U32, uid, HAS(struct device_spec, has_uid), .lo = 0, .hi = (int64_t) UINT32_MAX - 1),
	FIELD(struct device_spec, "gid", FIELD_U32, gid, HAS(struct device_spec, has_gid), .lo = 0, .hi = (int64_t) UINT32_MAX - 1),
};
static const struct field_table device_fields = TABLE(device_rows, .check = check_device);

/* Network devices: the kernel's rules for names (dev_valid_name), and "%d" for one that it shall choose. */

static bool is_netdev_name(const char *s)
{
	return *s && strlen(s) < IFNAMSIZ && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !s[strcspn(s, "/: \t\n\v\f\r")];
}

static int check_net_device(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	struct net_device_spec *d = base;
	if (d->name && !*d->name) {
		free(d->name);
		d->name = NULL;
	}
	const char *percent = d->name ? strchr(d->name, '%') : NULL;
	if (d->name && (!is_netdev_name(d->name) || (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))))
		return err_set(err, ERR_INVALID, "name: '%s' is not the name of a network device", str_is_plain(d->name) ? d->name : "?");
	return 0;
}

static const struct field net_device_rows[] = {
	FIELD(struct net_device_spec, "name", FIELD_STR, name),
};
static const struct field_table net_device_fields = TABLE(net_device_rows, .check = check_net_device);

/* Memory policy, set_mempolicy(2) */

const char *const spec_mempolicy_modes[] = {"MPOL_DEFAULT",   "MPOL_BIND",	     "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
					    "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL",	NULL};
const char *const spec_mempolicy_flags[] = {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES", NULL};

static int check_memory_policy(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct memory_policy_spec *m = base;
	bool none = str_eq(m->mode, "MPOL_DEFAULT") || str_eq(m->mode, "MPOL_LOCAL"), any = str_eq(m->mode, "MPOL_PREFERRED");
	if (m->nodes && m->nodes[strspn(m->nodes, "0123456789, -")])
		return err_set(err, ERR_INVALID, "nodes: '%s' is not a list of nodes", str_is_plain(m->nodes) ? m->nodes : "?");
	if (none && !str_empty(m->nodes))
		return err_set(err, ERR_INVALID, "nodes: %s takes none", m->mode);
	if (!none && !any && str_empty(m->nodes))
		return err_set(err, ERR_INVALID, "nodes: %s needs at least one", m->mode);
	return 0;
}

static const struct field memory_policy_rows[] = {
	FIELD(struct memory_policy_spec, "mode", FIELD_STR, mode, .need = true, .words = spec_mempolicy_modes),
	FIELD(struct memory_policy_spec, "nodes", FIELD_STR, nodes),
	FIELD(struct memory_policy_spec, "flags", FIELD_STRV, flags, .words = spec_mempolicy_flags),
};
static const struct field_table memory_policy_fields = TABLE(memory_policy_rows, .check = check_memory_policy);

/* Personality */

static const char *const domains[] = {"LINUX", "LINUX32", NULL}, *const no_words[] = {NULL};
static const struct field personality_rows[] = {
	FIELD(struct runtime_spec, "domain", FIELD_STR, personality, .need = true, .words = domains),
	FIELD(struct runtime_spec, "flags", FIELD_STRV, personality_flags, .words = no_words),
};
static const struct field_table personality_fields = TABLE(personality_rows);

/* Intel RDT: lines of resctrl's schemata file, and a directory below its root ("/" is the root itself) */

static int check_line(const char *s, const char *what, struct err *err)
{
	return !s || str_is_plain(s) ? 0 : err_set(err, ERR_INVALID, "%s: holds a line break or another control character", what);
}

static int check_rdt(void *base, const struct json *obj, struct err *err)
{
	struct rdt_spec *d = base;
	const char *id = d->clos_id;
	bool cmt = false, mbm = false;
	if (id && strcmp(id, "/") != 0 && (!*id || *id == '.' || strchr(id, '/') || !str_is_plain(id)))
		return err_set(err, ERR_INVALID, "closID: '%s' is not the name of a class", str_is_plain(id) ? id : "?");
	int r = check_line(d->l3_schema, "l3CacheSchema", err);
	r = r < 0 ? r : check_line(d->mem_schema, "memBwSchema", err);
	if (r >= 0 && d->mem_schema && !str_after(d->mem_schema, "MB:"))
		r = err_set(err, ERR_INVALID, "memBwSchema: '%s' does not start with 'MB:'", d->mem_schema);
	for (size_t i = 0; r >= 0 && i < strv_len(d->schemata); i++)
		r = check_line(d->schemata[i], "schemata", err);
	r = r < 0 ? r : json_read_bool(obj, "enableCMT", &cmt, err);
	r = r < 0 ? r : json_read_bool(obj, "enableMBM", &mbm, err);
	d->enable_monitoring = d->enable_monitoring || cmt || mbm;
	return r;
}

static const struct field rdt_rows[] = {
	FIELD(struct rdt_spec, "closID", FIELD_STR, clos_id),
	FIELD(struct rdt_spec, "schemata", FIELD_STRV, schemata),
	FIELD(struct rdt_spec, "l3CacheSchema", FIELD_STR, l3_schema),
	FIELD(struct rdt_spec, "memBwSchema", FIELD_STR, mem_schema),
	FIELD(struct rdt_spec, "enableMonitoring", FIELD_BOOL, enable_monitoring),
};
static const struct field_table rdt_fields = TABLE(rdt_rows, .check = check_rdt);

/* The whole object */

static bool ns_new(const struct runtime_spec *s, enum ns_kind k)
{
	return s->ns[k].mode == NS_MODE_NEW;
}

static int check_net_devices(const struct runtime_spec *s, struct err *err)
{
	if (s->n_net_devices && s->ns[NS_NET].mode == NS_MODE_HOST)
		return err_set(err, ERR_INVALID, "netDevices: needs a network namespace of the container's own in linux.namespaces");
	for (size_t i = 0; i < s->n_net_devices; i++)
		if (!is_netdev_name(s->net_devices[i].host))
			return err_set(err, ERR_INVALID, "netDevices: '%.40s' is not the name of a network device",
				       str_is_plain(s->net_devices[i].host) ? s->net_devices[i].host : "?");
	return 0;
}

static int check_linux(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct runtime_spec *s = base;
	int r = spec_map_check(&s->uids, "uidMappings", err);
	r = r < 0 ? r : spec_map_check(&s->gids, "gidMappings", err);
	if (r < 0)
		return r;
	if ((s->has_time_offset[0] || s->has_time_offset[1]) && !ns_new(s, NS_TIME))
		return err_set(err, ERR_INVALID, "timeOffsets: needs a new time namespace in linux.namespaces");
	if (s->uids.n && s->ns[NS_USER].mode == NS_MODE_HOST)
		return err_set(err, ERR_INVALID, "uidMappings: needs a user namespace in linux.namespaces");
	if (s->gids.n && s->ns[NS_USER].mode == NS_MODE_HOST)
		return err_set(err, ERR_INVALID, "gidMappings: needs a user namespace in linux.namespaces");
	r = check_net_devices(s, err);
	r = r < 0 ? r : spec_need_absolutes(s->masked_paths, "maskedPaths", err);
	return r < 0 ? r : spec_need_absolutes(s->readonly_paths, "readonlyPaths", err);
}

#define LINUX(key, kind, member, ...) FIELD(struct runtime_spec, key, kind, member __VA_OPT__(, ) __VA_ARGS__)
#define LINUX_LIST(key, kind, member, count, table, max, ...)                                                                                         \
	LINUX(key, kind, member, LIST_OF(struct runtime_spec, member, count, table, max) __VA_OPT__(, ) __VA_ARGS__)
static const char *const propagations[] = {"shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable", "", NULL};
static const struct field linux_rows[] = {
	LINUX_LIST("uidMappings", FIELD_LIST, uids.v, uids.n, spec_id_fields, IDMAP_EXTENTS_MAX),
	LINUX_LIST("gidMappings", FIELD_LIST, gids.v, gids.n, spec_id_fields, IDMAP_EXTENTS_MAX),
	LINUX("namespaces", FIELD_OTHER, ns, .read = read_namespaces, .write = write_namespaces),
	{.key = "timeOffsets", .kind = FIELD_OBJ, .sub = &clock_fields},
	LINUX_LIST("devices", FIELD_LIST, devices, n_devices, device_fields, FIELD_LIST_MAX),
	LINUX_LIST("netDevices", FIELD_MAP, net_devices, n_net_devices, net_device_fields, NET_DEVICES_MAX, .key_off = offsetof(struct net_device_spec, host)),
	LINUX("cgroupsPath", FIELD_STR, cgroups_path),
	LINUX("resources", FIELD_OBJ, resources, .sub = &spec_resources_fields, .always = true),
	LINUX("intelRdt", FIELD_OBJ, rdt, HAS(struct runtime_spec, rdt.present), .sub = &rdt_fields),
	LINUX("memoryPolicy", FIELD_OBJ, memory_policy, .sub = &memory_policy_fields),
	LINUX("sysctl", FIELD_STRMAP, sysctls, COUNT(struct runtime_spec, n_sysctls)),
	LINUX("seccomp", FIELD_RAW, seccomp_json),
	LINUX("rootfsPropagation", FIELD_STR, rootfs_propagation, .words = propagations),
	LINUX("maskedPaths", FIELD_STRV, masked_paths),
	LINUX("readonlyPaths", FIELD_STRV, readonly_paths),
	LINUX("mountLabel", FIELD_STR, mount_label),
	{.key = "personality", .kind = FIELD_OBJ, .sub = &personality_fields},
};
const struct field_table spec_linux_fields = TABLE(linux_rows, .check = check_linux);
