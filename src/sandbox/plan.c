/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/plan.h"

#include <errno.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "kernel/cgroup.h"
#include "kernel/compat.h"
#include "kernel/mount.h"

/* Filesystems that a container may have made for it; anything else would parse foreign bytes in the kernel (threats.md section 3). */
static const char *const fs_allowed[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"};

static const struct {
	const char *name;
	uint64_t propagation;
} propagations[] = {
	{"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE}, {"slave", MS_SLAVE},           {"rslave", MS_SLAVE},
	{"shared", MS_SHARED},   {"rshared", MS_SHARED},   {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE},
};

/* One option of a mount. Return: 0, or <0 with @err. */
static int plan_option(struct plan_mount *m, const char *opt, struct err *err)
{
	bool rec = false;
	if (mnt_attr_from_option(opt, &m->attr_set, &m->attr_clear, &rec)) {
		m->attr_recursive |= rec;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++)
		if (str_eq(opt, propagations[i].name)) {
			m->propagation = propagations[i].propagation;
			return 0;
		}
	if (str_eq(opt, "bind") || str_eq(opt, "rbind")) {
		m->kind = PLAN_BIND;
		m->recursive |= opt[0] == 'r';
	} else if (str_eq(opt, "idmap") || str_eq(opt, "ridmap"))
		m->idmap = true;
	else if (str_eq(opt, "tryidmap")) /* ours: for the generated files in /etc */
		m->idmap = m->idmap_optional = true;
	else if (str_eq(opt, "copyup") || str_eq(opt, "tmpcopyup"))
		m->copyup = true;
	else if (m->kind == PLAN_BIND)
		return err_set(err, ERR_INVALID, "mounts: %s: unknown option '%s' for a bind mount", m->dst, opt);
	else if (strv_push(&m->fs_options, opt) < 0)
		return err_oom(err);
	return 0;
}

/* Lexical check only: resolution happens by openat2 when the time comes. */
static int check_destination(const char *dst, struct err *err)
{
	if (str_empty(dst) || dst[0] != '/')
		return err_set(err, ERR_INVALID, "mounts: destination '%s' is not an absolute path", dst ? dst : "");
	if (strspn(dst, "/.") == strlen(dst))
		return err_set(err, ERR_INVALID, "mounts: destination '%s' would cover the root filesystem", dst);
	for (const char *p = dst; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return err_set(err, ERR_INVALID, "mounts: destination '%s' contains '..'", dst);
	return 0;
}

static int plan_one_mount(const struct plan *p, const struct mount_spec *s, struct plan_mount *m, struct err *err)
{
	*m = (struct plan_mount) {.dst = s->destination, .src = s->source, .fstype = s->type, .propagation = MS_PRIVATE, .fd = -EBADF};
	int r = check_destination(s->destination, err);
	if (r < 0)
		return r;
	if (str_empty(s->type) || str_eq(s->type, "none") || str_eq(s->type, "bind"))
		m->kind = PLAN_BIND;
	STRV_FOREACH(opt, s->options)
		if (str_eq(opt, "bind") || str_eq(opt, "rbind"))
			m->kind = PLAN_BIND;
	STRV_FOREACH(opt, s->options) {
		r = plan_option(m, opt, err);
		if (r < 0)
			return r;
	}
	if (s->uids.n || s->gids.n)
		m->idmap = true;
	if (m->kind == PLAN_BIND) {
		if (str_empty(m->src) || m->src[0] != '/')
			return err_set(err, ERR_INVALID, "mounts: %s: bind source '%s' is not an absolute path", m->dst, m->src ? m->src : "");
		return 0;
	}
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(fs_allowed); i++)
		known |= str_eq(m->fstype, fs_allowed[i]);
	if (!known)
		return err_set(err, ERR_UNSUPPORTED, "mounts: %s: filesystem type '%s' is not mounted for containers", m->dst, m->fstype);
	if (strncmp(m->fstype, "cgroup", 6) == 0) {
		m->kind = PLAN_CGROUP;
		m->optional = true;
	}
	/* sysfs shows the network namespace of its mounter, and only that namespace's owner may mount it (fs/sysfs/mount.c): with the host's
	 * network the host's /sys is bound instead, read-only all through */
	if (str_eq(m->fstype, "sysfs") && !p->own_netns) {
		m->kind = PLAN_BIND;
		m->src = "/sys";
		m->recursive = m->attr_recursive = true;
		m->attr_set |= MOUNT_ATTR_RDONLY;
	}
	return 0;
}

static int plan_mounts(struct plan *p, struct err *err)
{
	const struct runtime_spec *s = p->spec;
	p->mounts = calloc(s->n_mounts + 1, sizeof(*p->mounts));
	if (!p->mounts)
		return err_oom(err);
	for (size_t i = 0; i < s->n_mounts; i++) {
		int r = plan_one_mount(p, &s->mounts[i], &p->mounts[i], err);
		p->n_mounts = i + 1;
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_namespaces(struct plan *p, struct err *err)
{
	static const uint64_t flags[NS_KIND_MAX_] = {
		[NS_USER] = CLONE_NEWUSER, [NS_MOUNT] = CLONE_NEWNS, [NS_PID] = CLONE_NEWPID,       [NS_NET] = CLONE_NEWNET,
		[NS_IPC] = CLONE_NEWIPC,   [NS_UTS] = CLONE_NEWUTS,  [NS_CGROUP] = CLONE_NEWCGROUP, [NS_TIME] = 0,
	};
	const struct ns_spec *ns = p->spec->ns;
	if (ns[NS_MOUNT].mode != NS_MODE_NEW)
		return err_set(err, ERR_UNSUPPORTED, "linux.namespaces: a container needs a mount namespace of its own");
	if (ns[NS_TIME].mode != NS_MODE_HOST)
		return err_set(err, ERR_UNSUPPORTED, "linux.namespaces: time namespaces are not there yet");
	for (int k = 0; k < NS_KIND_MAX_; k++)
		if (ns[k].mode == NS_MODE_NEW && k != NS_CGROUP)
			p->clone_flags |= flags[k];
	p->new_userns = ns[NS_USER].mode == NS_MODE_NEW;
	p->own_netns = ns[NS_NET].mode == NS_MODE_NEW;
	p->new_cgroupns = ns[NS_CGROUP].mode == NS_MODE_NEW;
	return 0;
}

static int plan_ids(struct plan *p, struct err *err)
{
	const struct runtime_spec *s = p->spec;
	if (s->ns[NS_USER].mode == NS_MODE_HOST) {
		if (s->uids.n || s->gids.n)
			return err_set(err, ERR_INVALID, "linux.uidMappings: id mappings without a user namespace");
		return 0;
	}
	if (s->uids.n == 0 || s->gids.n == 0)
		return err_set(err, ERR_INVALID, "linux.uidMappings: a user namespace needs uid and gid mappings");
	if (!id_map_to_host(&s->uids, 0, &p->root_uid) || !id_map_to_host(&s->gids, 0, &p->root_gid))
		return err_set(err, ERR_INVALID, "linux.uidMappings: container id 0 is not mapped: nobody could set the container up");
	return 0;
}

static void plan_controllers(struct plan *p)
{
	const struct resources_spec *r = &p->spec->resources;
	p->controllers = 1u << CG_PIDS | 1u << CG_MEMORY | 1u << CG_CPU | 1u << CG_DEVICES;
	if (r->cpus || r->mems)
		p->controllers |= 1u << CG_CPUSET;
}

int plan_build(const struct runtime_spec *spec, struct plan *ret, struct err *err)
{
	struct plan p = {.spec = spec};
	int r = plan_namespaces(&p, err);
	if (r == 0)
		r = plan_ids(&p, err);
	if (r == 0)
		r = plan_mounts(&p, err);
	if (r < 0) {
		plan_done(&p);
		return r;
	}
	plan_controllers(&p);
	*ret = p;
	return 0;
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n_mounts; i++) {
		strv_free(p->mounts[i].fs_options);
		safe_close(p->mounts[i].fd);
	}
	free(p->mounts);
	*p = (struct plan) {0};
}
