/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of a container: the fixed ones, three generated files, then what was asked for by depth of its destination. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "engine/share.h"

#define OPTIONS_MAX 8

struct fixed_mount {
	const char *dst, *type, *src;
	const char *options[OPTIONS_MAX];
};

static const struct fixed_mount fixed[] = {
	{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
	{"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

static int add_mount(struct runtime_spec *s, const char *dst, const char *type, const char *src, const char *const *options, struct mount_spec **ret)
{
	return runtime_spec_add_mount(s, dst, type, src, (char *const *) options, ret);
}

static bool is_asked_for(const struct container_request *r, const char *target)
{
	for (size_t i = 0; i < r->n_mounts; i++)
		if (str_eq(r->mounts[i].target, target))
			return true;
	return strv_has(r->volumes, target);
}

static bool gid_is_mapped(const struct bundle_plan *b, uint32_t gid)
{
	if (!b->map)
		return true;
	for (size_t i = 0; i < b->map->n_gid; i++)
		if (gid >= b->map->gid[i].ctr && gid - b->map->gid[i].ctr < b->map->gid[i].size)
			return true;
	return false;
}

/* The host's message queues are shown as the host mounts them, where it does (plan.c). */
static bool lacks_host_queues(const struct bundle_plan *b, const struct fixed_mount *f)
{
	bool host = share_of(b->c->req, NS_IPC, NULL) == SHARE_HOST || (b->shares && b->shares->v[NS_IPC].host);
	return host && str_eq(f->type, "mqueue") && access("/dev/mqueue", F_OK) < 0;
}

static int add_fixed(const struct bundle_plan *b, struct runtime_spec *s)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		struct mount_spec *m;
		if (is_asked_for(b->c->req, fixed[i].dst) || lacks_host_queues(b, &fixed[i]))
			continue;
		if (add_mount(s, fixed[i].dst, fixed[i].type, fixed[i].src, fixed[i].options, &m) < 0)
			return -ENOMEM;
		if (str_eq(fixed[i].type, "devpts") && gid_is_mapped(b, 5) && strv_push(&m->options, "gid=5") < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_shm(const struct bundle_plan *b, struct runtime_spec *s)
{
	static const char *const of_host[] = {"bind", "rprivate", "nosuid", "noexec", "nodev", NULL}, *const of_other[] = {"bind", "rprivate", "nosuid", "noexec", "nodev", "shmof", NULL};
	char size[32];
	enum share share = share_of(b->c->req, NS_IPC, NULL);
	if (is_asked_for(b->c->req, "/dev/shm") || share == SHARE_NONE)
		return 0;
	if (share == SHARE_HOST || (share == SHARE_JOIN && b->shares && b->shares->v[NS_IPC].host))
		return add_mount(s, "/dev/shm", "bind", "/dev/shm", of_host, NULL);
	if (share == SHARE_JOIN)
		return add_mount(s, "/dev/shm", "bind", "/dev/shm", of_other, NULL);
	(void) str_format(size, sizeof(size), "size=%lld", (long long) (b->c->req->shm_size ?: SHM_DEFAULT));
	const char *const options[] = {"nosuid", "noexec", "nodev", "mode=1777", size, NULL};
	return add_mount(s, "/dev/shm", "tmpfs", "shm", options, NULL);
}

/* Generated beside the writable layer and owned by the host's root: shifted, so that they are the container's root's; where the kernel cannot shift a
 * tmpfs (before 6.3) they are read-only. */
static int add_files(const struct bundle_plan *b, struct runtime_spec *s)
{
	static const char *const names[] = {"hostname", "hosts", "resolv.conf"};
	static const char *const options[] = {"bind", "rprivate", "nosuid", "nodev", "noexec", "tryidmap", NULL};
	/* with another container's network its files */
	const char *donor = b->shares && b->shares->v[NS_NET].joined ? b->shares->v[NS_NET].id : NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *src = donor ? str_printf("%s/containers/%s/%s", b->state_dir, donor, names[i]) : str_printf("%s/containers/%s/%s", b->state_dir, b->c->id, names[i]);
		_cleanup_free_ char *dst = str_printf("/etc/%s", names[i]);
		if (!src || !dst)
			return -ENOMEM;
		if (!is_asked_for(b->c->req, dst) && add_mount(s, dst, "bind", src, options, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *volume_path_of(const struct bundle_plan *b, const char *target)
{
	for (size_t i = 0; b->volume_targets && b->volume_targets[i]; i++)
		if (str_eq(b->volume_targets[i], target))
			return b->volume_paths[i];
	return NULL;
}

static int add_volume(const struct bundle_plan *b, struct runtime_spec *s, const char *target, const struct mount_request *m, struct err *err)
{
	_cleanup_free_ char *subpath = m && m->subpath ? str_printf("subpath=%s", m->subpath) : NULL;
	const char *path = volume_path_of(b, target);
	if (!path)
		return err_set(err, ERR_CORRUPT, "the volume for '%s' is not recorded", target);
	const char *options[OPTIONS_MAX] = {"bind", "rprivate", "nosuid", "nodev", "idmap"};
	size_t n = 5;
	if (m && m->subpath && !subpath)
		return err_oom(err);
	if (subpath)
		options[n++] = subpath;
	if (m && m->read_only)
		options[n++] = "ro";
	else if (!subpath && !(m && m->no_copy))
		options[n++] = "copyup"; /* the sandbox fills an empty volume from the image, from inside the container */
	return add_mount(s, target, "bind", path, options, NULL) < 0 ? err_oom(err) : 0;
}

static int add_bind(struct runtime_spec *s, const struct mount_request *m)
{
	const char *propagation = str_empty(m->propagation) ? "rprivate" : m->propagation;
	const char *options[OPTIONS_MAX] = {m->non_recursive ? "bind" : "rbind", propagation};
	size_t n = 2;
	if (m->read_only)
		options[n++] = m->ro_non_recursive ? "ro" : "rro";
	if (m->idmap)
		options[n++] = "idmap";
	return add_mount(s, m->target, "bind", m->source, options, NULL);
}

static int add_tmpfs(struct runtime_spec *s, const struct mount_request *m, struct err *err)
{
	_cleanup_strv_ char **options = NULL;
	int rc = tmpfs_options(m, &options, err);
	if (rc < 0)
		return rc;
	return runtime_spec_add_mount(s, m->target, "tmpfs", "tmpfs", options, NULL) < 0 ? err_oom(err) : 0;
}

static int add_asked(const struct bundle_plan *b, struct runtime_spec *s, struct err *err)
{
	const struct container_request *r = b->c->req;
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct mount_request *m = &r->mounts[i];
		int rc;
		if (m->kind == MOUNT_VOLUME)
			rc = add_volume(b, s, m->target, m, err);
		else if (m->kind == MOUNT_TMPFS)
			rc = add_tmpfs(s, m, err);
		else
			rc = add_bind(s, m) < 0 ? err_oom(err) : 0;
		if (rc < 0)
			return rc;
	}
	STRV_FOREACH(target, r->volumes) {
		bool covered = false;
		for (size_t i = 0; i < r->n_mounts; i++)
			covered |= str_eq(r->mounts[i].target, target);
		int rc = covered ? 0 : add_volume(b, s, target, NULL, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_devices(const struct container_request *r, struct runtime_spec *s)
{
	static const char *const options[] = {"bind", "rprivate", "nosuid", "noexec", NULL};
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_request *d = &r->devices[i];
		if (add_mount(s, str_empty(d->container) ? d->host : d->container, "bind", d->host, options, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static size_t depth(const char *path)
{
	size_t n = 0;
	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Insertion keeps the given order among equals; lists are short. */
static void sort_by_depth(struct mount_spec *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct mount_spec m = v[i];
		size_t k = i;
		for (; k > 0 && depth(v[k - 1].destination) > depth(m.destination); k--)
			v[k] = v[k - 1];
		v[k] = m;
	}
}

int bundle_mounts(const struct bundle_plan *b, struct runtime_spec *s, struct err *err)
{
	if (add_fixed(b, s) < 0 || add_shm(b, s) < 0 || add_files(b, s) < 0)
		return err_oom(err);
	size_t first = s->n_mounts;
	int rc = add_asked(b, s, err);
	if (rc < 0)
		return rc;
	if (add_devices(b->c->req, s) < 0)
		return err_oom(err);
	sort_by_depth(s->mounts + first, s->n_mounts - first);
	return 0;
}
