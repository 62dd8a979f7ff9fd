/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/plan.h"

#include <errno.h>
#include <limits.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "kernel/cgroup.h"
#include "kernel/compat.h"
#include "kernel/mount_option.h"
#include "sandbox/cgroup_knobs.h"
#include "sandbox/sandbox.h"

/* Filesystems that a container may have made for it; anything else would parse foreign bytes in the kernel (threats.md section 3). */
static const char *const fs_allowed[] = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"};

/* Words that only our engine writes. */
static bool engine_option(struct plan_mount *m, const char *opt)
{
	if (str_eq(opt, "tryidmap")) /* for the generated files in /etc */
		m->idmap = m->idmap_optional = true;
	else if (str_eq(opt, "copyup"))
		m->copyup = true;
	else if (str_after(opt, "subpath=")) /* inside @src, whose files are the container's own to make */
		m->subpath = str_after(opt, "subpath=");
	else if (str_eq(opt, "shmof")) /* the /dev/shm of coffer_ext.shm_from */
		m->shm = true;
	else
		return false;
	return true;
}

static void add_propagation(struct plan_mount *m, const struct mnt_option *o)
{
	/* "slave" and then "shared" is the one pair that means more than its last word: it receives, and it passes on */
	uint64_t before = m->propagation & MS_SLAVE && o->set == MS_SHARED ? MS_SLAVE : 0;
	m->propagation = before | o->set | (o->recursive ? MS_REC : 0);
}

static int plan_option(const struct plan *p, struct plan_mount *m, const char *opt, struct err *err);

/* Options for the filesystem. Several may stand in one string, as in fstab; quoted or escaped commas are part of a value. */
static int add_fs_option(const struct plan *p, struct plan_mount *m, const char *opt, struct err *err)
{
	/* a value is for a filesystem, and mount(2) drops it for a bind ("mode=755" is found in the wild); a word could be a misspelt restriction */
	if (m->kind == PLAN_BIND && p->obey && strchr(opt, '=') && !strstr(opt, "context="))
		return 0;
	if (m->kind == PLAN_BIND)
		return err_set(err, ERR_INVALID, "mounts: %s: unknown option '%s' for a bind mount", m->dst, opt);
	if (!p->obey || !strchr(opt, ',') || strpbrk(opt, "\"\\"))
		return strv_push(&m->fs_options, opt) < 0 ? err_oom(err) : 0;
	while (*opt) {
		size_t n = strcspn(opt, ",");
		_cleanup_free_ char *one = strndup(opt, n);
		int r = !one ? err_oom(err) : n ? plan_option(p, m, one, err) : 0;
		if (r < 0)
			return r;
		opt += n + (opt[n] == ',');
	}
	return 0;
}

/* One option of a mount. Return: 0, or <0 with @err. */
static int plan_option(const struct plan *p, struct plan_mount *m, const char *opt, struct err *err)
{
	const struct mnt_option *o = mnt_option_find(opt);
	if (!o) {
		if (p->obey ? str_empty(opt) : engine_option(m, opt))
			return 0;
		return add_fs_option(p, m, opt, err);
	}
	switch (o->kind) {
	case MNT_OPTION_ATTR:
		mnt_option_apply(o, o->recursive ? &m->tree_set : &m->attr_set, o->recursive ? &m->tree_clear : &m->attr_clear);
		break;
	case MNT_OPTION_SUPER:
		mnt_option_apply(o, &m->super_set, &m->super_clear);
		break;
	case MNT_OPTION_PROPAGATION:
		add_propagation(m, o);
		break;
	case MNT_OPTION_BIND:
		m->recursive |= o->recursive;
		break;
	case MNT_OPTION_IDMAP:
		m->idmap = true;
		m->idmap_tree |= o->recursive;
		break;
	case MNT_OPTION_COPYUP:
		m->copyup = true;
		break;
	case MNT_OPTION_NONE:
	case MNT_OPTION_REMOUNT:
		break;
	}
	return 0;
}

char *plan_clean_path(const char *path)
{
	char buf[PATH_MAX];
	size_t n = 0;
	while (*path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			while (n > 0 && buf[--n] != '/')
				;
		else if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (n + len + 2 > sizeof(buf))
				return NULL;
			buf[n++] = '/';
			memcpy(buf + n, path, len);
			n += len;
		}
		path += len;
		path += *path == '/';
	}
	buf[n] = '\0';
	return strdup(n ? buf : "/");
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

/* A foreign document's destination is read as documents of 1.0 and other runtimes do: "proc" is "/proc", ".." goes up lexically. */
static int obeyed_destination(struct plan_mount *m, struct err *err)
{
	if (str_empty(m->dst))
		return err_set(err, ERR_INVALID, "mounts: a mount without destination");
	m->dst_own = plan_clean_path(m->dst);
	if (!m->dst_own)
		return err_set(err, ERR_INVALID, "mounts: destination '%.64s...' is longer than a path can be", m->dst);
	if (str_eq(m->dst_own, "/"))
		return err_set(err, ERR_INVALID, "mounts: destination '%s' would cover the root filesystem", m->dst);
	m->dst = m->dst_own;
	return 0;
}

static enum plan_mount_kind kind_of(const struct plan *p, const struct mount_spec *s)
{
	if (p->obey && strv_has(s->options, "remount"))
		return PLAN_REMOUNT;
	if (strv_has(s->options, "bind") || strv_has(s->options, "rbind") || str_empty(s->type) || str_eq(s->type, "none") || str_eq(s->type, "bind"))
		return PLAN_BIND;
	return strncmp(s->type, "cgroup", 6) == 0 ? PLAN_CGROUP : PLAN_FS;
}

static bool map_equal(const struct id_map *a, const struct id_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].ctr != b->v[i].ctr || a->v[i].host != b->v[i].host || a->v[i].size != b->v[i].size)
			return false;
	return true;
}

static int plan_idmap(const struct plan *p, const struct mount_spec *s, struct plan_mount *m, struct err *err)
{
	if (!p->obey) {
		m->idmap |= s->uids.n || s->gids.n;
		m->idmap_tree = m->recursive;
		return 0;
	}
	if (!s->uids.n != !s->gids.n)
		return err_set(err, ERR_INVALID, "mounts: %s: %s without %s", m->dst, s->uids.n ? "uidMappings" : "gidMappings", s->uids.n ? "gidMappings" : "uidMappings");
	m->idmap |= s->uids.n > 0;
	if (!m->idmap)
		return 0;
	if (m->kind != PLAN_BIND)
		return err_set(err, ERR_UNSUPPORTED, "mounts: %s: only a bind mount can shift ids (idmap)", m->dst);
	bool own = p->spec->ns[NS_USER].mode != NS_MODE_HOST;
	if (!s->uids.n && !own)
		return err_set(err, ERR_INVALID, "mounts: %s: 'idmap' needs uidMappings and gidMappings, or a user namespace to take them from", m->dst);
	if (s->uids.n && !(own && map_equal(&s->uids, &p->spec->uids) && map_equal(&s->gids, &p->spec->gids))) {
		m->uids = &s->uids;
		m->gids = &s->gids;
	}
	return 0;
}

/* A filesystem that shows a namespace which is somebody else's: only the namespace's owner may mount it
 * (fs/sysfs/mount.c, fs/proc/root.c, ipc/mqueue.c). */
static void plan_fallback(const struct plan *p, struct plan_mount *m)
{
	static const struct {
		const char *fstype, *host;
		enum ns_kind ns;
	} shows[] = {{"sysfs", "/sys", NS_NET}, {"proc", "/proc", NS_PID}, {"mqueue", "/dev/mqueue", NS_IPC}};
	for (size_t i = 0; i < ARRAY_LEN(shows); i++)
		if (str_eq(m->fstype, shows[i].fstype) && p->spec->ns[NS_USER].mode != NS_MODE_HOST && p->spec->ns[shows[i].ns].mode != NS_MODE_NEW)
			m->fallback = shows[i].host;
	/* a pid namespace is not the creator's own even when it has joined one (pid_namespaces(7)) */
	m->foreign = m->fallback && !str_eq(m->fstype, "proc") && p->spec->ns[NS_USER].mode == NS_MODE_NEW;
}

static void plan_host_fallback(const struct plan *p, struct plan_mount *m)
{
	bool pid = str_eq(m->fstype, "proc") && p->spec->ns[NS_PID].mode == NS_MODE_HOST, ipc = str_eq(m->fstype, "mqueue") && p->spec->ns[NS_IPC].mode == NS_MODE_HOST;
	if (p->spec->ns[NS_USER].mode != NS_MODE_HOST && (pid || ipc))
		m->fallback = pid ? "/proc" : "/dev/mqueue";
}

static int plan_fs(const struct plan *p, struct plan_mount *m, struct err *err)
{
	if (p->obey) {
		plan_fallback(p, m);
		return m->copyup && !str_eq(m->fstype, "tmpfs") ? err_set(err, ERR_INVALID, "mounts: %s: 'tmpcopyup' is for tmpfs, not for '%s'", m->dst, m->fstype) : 0;
	}
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(fs_allowed); i++)
		known |= str_eq(m->fstype, fs_allowed[i]);
	if (!known)
		return err_set(err, ERR_UNSUPPORTED, "mounts: %s: filesystem type '%s' is not mounted for containers", m->dst, m->fstype);
	/* what shows a namespace of the host's is the host's; one of another container's is mounted by whoever has joined that and its user namespace */
	plan_host_fallback(p, m);
	/* sysfs shows the network namespace of its mounter: with the host's network the host's /sys is bound instead, read-only all through */
	if (str_eq(m->fstype, "sysfs") && p->spec->ns[NS_NET].mode == NS_MODE_HOST) {
		m->kind = PLAN_BIND;
		m->src = "/sys";
		m->recursive = true;
		m->tree_set |= m->attr_set | MOUNT_ATTR_RDONLY;
	}
	return 0;
}

static int plan_bind(struct plan *p, struct plan_mount *m, struct err *err)
{
	if (p->obey && m->copyup)
		return err_set(err, ERR_INVALID, "mounts: %s: 'tmpcopyup' is for tmpfs, not for a bind mount", m->dst);
	if (str_empty(m->src) || (m->src[0] != '/' && !p->obey))
		return err_set(err, ERR_INVALID, "mounts: %s: bind source '%s' is not an absolute path", m->dst, m->src ? m->src : "");
	p->no_dev |= p->obey && str_eq(m->dst, "/dev");
	return 0;
}

static int plan_one_mount(struct plan *p, const struct mount_spec *s, struct plan_mount *m, struct err *err)
{
	*m = (struct plan_mount) {.kind = kind_of(p, s), .dst = s->destination, .src = s->source, .fstype = s->type, .propagation = MS_PRIVATE, .fd = -EBADF, .map_fd = -EBADF};
	int r = p->obey ? obeyed_destination(m, err) : check_destination(s->destination, err);
	if (r < 0)
		return r;
	STRV_FOREACH(opt, s->options) {
		r = plan_option(p, m, opt, err);
		if (r < 0)
			return r;
	}
	r = plan_idmap(p, s, m, err);
	if (r < 0)
		return r;
	m->optional = m->kind == PLAN_CGROUP;
	return m->kind == PLAN_BIND ? plan_bind(p, m, err) : m->kind == PLAN_FS ? plan_fs(p, m, err) : 0;
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
	if (!p->obey && ns[NS_MOUNT].mode != NS_MODE_NEW)
		return err_set(err, ERR_UNSUPPORTED, "linux.namespaces: a container needs a mount namespace of its own");
	if (ns[NS_MOUNT].mode == NS_MODE_HOST && ns[NS_USER].mode != NS_MODE_HOST)
		return err_set(err, ERR_UNSUPPORTED, "linux.namespaces: a container with a user namespace needs a mount namespace of its own");
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
	if (p->obey && s->ns[NS_USER].mode == NS_MODE_PATH && !s->uids.n && !s->gids.n)
		return 0; /* its maps are written already */
	if (s->uids.n == 0 || s->gids.n == 0)
		return err_set(err, ERR_INVALID, "linux.uidMappings: a user namespace needs uid and gid mappings");
	if (!id_map_to_host(&s->uids, 0, &p->root_uid) || !id_map_to_host(&s->gids, 0, &p->root_gid))
		return err_set(err, ERR_INVALID, "linux.uidMappings: container id 0 is not mapped: nobody could set the container up");
	return 0;
}

static int plan_root_propagation(struct plan *p, struct err *err)
{
	const char *word = p->spec->rootfs_propagation;
	if (!p->obey || str_empty(word))
		return 0;
	const struct mnt_option *o = mnt_option_find(word);
	if (!o || o->kind != MNT_OPTION_PROPAGATION)
		return err_set(err, ERR_INVALID, "linux.rootfsPropagation: '%s' is not one of shared, slave, private, unbindable (or rshared, ...)", word);
	p->root_propagation = o->set | (o->recursive ? MS_REC : 0);
	return 0;
}

static void plan_controllers(struct plan *p)
{
	const struct resources_spec *r = &p->spec->resources;
	p->controllers = 1u << CG_PIDS | 1u << CG_MEMORY | 1u << CG_CPU | 1u << CG_DEVICES | knobs_controllers(r);
}

void plan_id_map_text(const struct id_map *m, struct strbuf *b)
{
	for (size_t i = 0; i < m->n; i++)
		strbuf_addf(b, "%u %u %u\n", m->v[i].ctr, m->v[i].host, m->v[i].size);
}

int plan_build(const struct runtime_spec *spec, unsigned flags, struct plan *ret, struct err *err)
{
	struct plan p = {.spec = spec, .obey = flags & SANDBOX_OBEY};
	int r = plan_namespaces(&p, err);
	if (r == 0)
		r = plan_ids(&p, err);
	if (r == 0)
		r = plan_mounts(&p, err);
	if (r == 0)
		r = plan_root_propagation(&p, err);
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
		free(p->mounts[i].dst_own);
		safe_close(p->mounts[i].fd);
		safe_close(p->mounts[i].map_fd);
	}
	free(p->mounts);
	*p = (struct plan) {0};
}
