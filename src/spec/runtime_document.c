/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document's top: version, root, mounts, annotations and our extension. Source: runtime-spec config.md.
 * solaris, windows, vm, zos and freebsd are other platforms' objects: ignored like any unknown key.
 */
#include <errno.h>

#include "spec/runtime_fields.h"

static int check_mount(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct mount_spec *m = base;
	if (!m->uids.n != !m->gids.n)
		return err_set(err, ERR_INVALID, "%s: is missing, uidMappings and gidMappings come together", m->uids.n ? "gidMappings" : "uidMappings");
	if (!*m->destination)
		return err_set(err, ERR_INVALID, "destination: is empty");
	int r = spec_map_check(&m->uids, "uidMappings", err);
	return r < 0 ? r : spec_map_check(&m->gids, "gidMappings", err);
}

static const struct field mount_rows[] = {
	FIELD(struct mount_spec, "destination", FIELD_STR, destination, .need = true),
	FIELD(struct mount_spec, "type", FIELD_STR, type),
	FIELD(struct mount_spec, "source", FIELD_STR, source),
	FIELD(struct mount_spec, "options", FIELD_STRV, options),
	FIELD(struct mount_spec, "uidMappings", FIELD_LIST, uids.v, LIST_OF(struct mount_spec, uids.v, uids.n, spec_id_fields, IDMAP_EXTENTS_MAX)),
	FIELD(struct mount_spec, "gidMappings", FIELD_LIST, gids.v, LIST_OF(struct mount_spec, gids.v, gids.n, spec_id_fields, IDMAP_EXTENTS_MAX)),
};
const struct field_table spec_mount_fields = TABLE(mount_rows, .check = check_mount);

static const struct field join_rows[] = {
	FIELD(struct join_spec, "pid", FIELD_U32, pid, .need = true, .always = true),
	FIELD(struct join_spec, "startTicks", FIELD_U64, start_ticks, .need = true, .always = true),
	FIELD(struct join_spec, "name", FIELD_STR, name, .need = true),
};
static const struct field_table join_fields = TABLE(join_rows);

#define IFACE(key, kind, member) FIELD(struct interface_spec, key, kind, member)
static const struct field interface_rows[] = {
	IFACE("name", FIELD_STR, name), IFACE("hostName", FIELD_STR, host_name), IFACE("bridge", FIELD_STR, bridge), IFACE("gatewayBridge", FIELD_STR, gateway_bridge), IFACE("mac", FIELD_STR, mac), IFACE("gatewayMac", FIELD_STR, gateway_mac),
	IFACE("mtu", FIELD_U32, mtu), IFACE("ipv6", FIELD_BOOL, ipv6), IFACE("isolated", FIELD_BOOL, isolated), IFACE("hairpin", FIELD_BOOL, hairpin), IFACE("addresses", FIELD_STRV, addresses), IFACE("gateway4", FIELD_STR, gateway4),
	IFACE("gateway6", FIELD_STR, gateway6),
};
static const struct field_table interface_fields = TABLE(interface_rows);

#define EXT(key, kind, member, ...) FIELD(struct coffer_ext, key, kind, member __VA_OPT__(, ) __VA_ARGS__)
static const struct field coffer_rows[] = {
	EXT("layers", FIELD_STRV, layers),
	EXT("upper", FIELD_STR, upper),
	EXT("work", FIELD_STR, work),
	EXT("seccompFilter", FIELD_STR, seccomp_filter),
	EXT("seccompName", FIELD_STR, seccomp_name),
	EXT("seccompHash", FIELD_STR, seccomp_hash),
	EXT("seccompFlags", FIELD_U32, seccomp_flags),
	EXT("cgroupPath", FIELD_STR, cgroup_path),
	EXT("initPath", FIELD_STR, init_path),
	EXT("user", FIELD_STR, user),
	EXT("groupNames", FIELD_STRV, group_names),
	EXT("pingGroup", FIELD_BOOL, ping_group),
	EXT("landlock", FIELD_BOOL, landlock),
	EXT("lockUserns", FIELD_BOOL, lock_userns),
	EXT("createCwd", FIELD_BOOL, create_cwd),
	EXT("runtime", FIELD_STR, runtime),
	EXT("ephemeral", FIELD_BOOL, ephemeral),
	FIELD(struct coffer_ext, "joins", FIELD_LIST, joins, LIST_OF(struct coffer_ext, joins, n_joins, join_fields, NS_KIND_MAX_)),
	EXT("shmFrom", FIELD_STR, shm_from),
	EXT("dnsRun", FIELD_STR, dns_run),
	EXT("dnsId", FIELD_STR, dns_id),
	EXT("interfaces", FIELD_LIST, interfaces, LIST_OF(struct coffer_ext, interfaces, n_interfaces, interface_fields, INTERFACES_MAX)),
};
const struct field_table spec_coffer_fields = TABLE(coffer_rows);

static const struct field root_rows[] = {
	FIELD(struct runtime_spec, "path", FIELD_STR, root_path),
	FIELD(struct runtime_spec, "readonly", FIELD_BOOL, root_readonly),
};
static const struct field_table root_fields = TABLE(root_rows);

static int read_process(const struct json *v, void *base, struct err *err)
{
	if (json_kind(v) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "process: expected an object, got %s", json_kind_name(json_kind(v)));
	int r = spec_fields_read(&spec_process_fields, v, &((struct runtime_spec *) base)->process, err);
	return r < 0 ? spec_err_in(err, "process") : 0;
}

/* A document may have no process: nothing to start, then. */
static void write_process(struct json_writer *w, const char *key, const void *base)
{
	const struct process_spec *p = &((const struct runtime_spec *) base)->process;
	if (!p->args)
		return;
	jw_obj(w, key);
	spec_fields_write(&spec_process_fields, w, p);
	jw_end(w);
}

/* SemVer of major version 1: minor versions only add, and what they add and we do not know is ignored as an unknown key. */
static bool is_version(const char *s)
{
	const char *minor = str_after(s, "1.");
	size_t n = minor ? strspn(minor, "0123456789") : 0;
	if (n == 0 || n > 9 || minor[n] != '.')
		return false;
	const char *patch = minor + n + 1;
	n = strspn(patch, "0123456789");
	return n > 0 && n <= 9 && (patch[n] == '\0' || patch[n] == '-' || patch[n] == '+');
}

static int check_document(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct runtime_spec *s = base;
	if (!is_version(s->version))
		return err_set(err, ERR_INVALID, "ociVersion: '%.60s' is not a 1.x version", str_is_plain(s->version) ? s->version : "?");
	if (str_empty(s->root_path) && !s->coffer.layers)
		return err_set(err, ERR_INVALID, "root.path: is missing");
	return 0;
}

#define TOP(key, kind, member, ...) FIELD(struct runtime_spec, key, kind, member __VA_OPT__(, ) __VA_ARGS__)
static const struct field document_rows[] = {
	TOP("ociVersion", FIELD_STR, version, .need = true),
	TOP("hostname", FIELD_STR, hostname),
	TOP("domainname", FIELD_STR, domainname),
	TOP("process", FIELD_OTHER, process, .read = read_process, .write = write_process),
	{.key = "root", .kind = FIELD_OBJ, .sub = &root_fields},
	TOP("mounts", FIELD_LIST, mounts, LIST_OF(struct runtime_spec, mounts, n_mounts, spec_mount_fields, FIELD_LIST_MAX)),
	{.key = "hooks", .kind = FIELD_OBJ, .sub = &spec_hooks_fields},
	{.key = "linux", .kind = FIELD_OBJ, .sub = &spec_linux_fields},
	TOP("annotations", FIELD_STRMAP, annotations, COUNT(struct runtime_spec, n_annotations)),
	TOP("coffer", FIELD_OBJ, coffer, HAS(struct runtime_spec, coffer.present), .sub = &spec_coffer_fields),
};
const struct field_table spec_document_fields = TABLE(document_rows, .check = check_document);
