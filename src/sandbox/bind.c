/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bind mounts: the source is opened in the host's mount namespace by the creator (in init's own copy of it when the caller has no host
 * privilege) and cloned, detached; ids are shifted by the container's user namespace or by maps of the mount's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "kernel/userns.h"
#include "sandbox/mounts.h"
#include "sandbox/shm.h"

int bundle_open(const struct sandbox *s, const char *path, int flags)
{
	char proc[32], bundle[PATH_MAX];
	if (path[0] == '/' || !mounts_by_init(s)) {
		int fd = openat(s->bundle_fd, path, flags | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	/* the descriptor is of the creator's mount namespace, from which nothing can be cloned: by name in ours */
	(void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", s->bundle_fd);
	ssize_t n = readlink(proc, bundle, sizeof(bundle) - 1);
	if (n < 0)
		return -errno;
	bundle[n] = '\0';
	_cleanup_close_ int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What stays of the clone's relation to the host's mount. A peer only where the document opens the way to the host twice, by the mount's own word and by
 * linux.rootfsPropagation, and no user namespace stands between. */
static uint64_t relation(const struct sandbox *s, const struct plan_mount *m)
{
	uint64_t root = s->plan.root_propagation;
	if (!(m->propagation & (MS_SLAVE | MS_SHARED)) || root & (MS_PRIVATE | MS_UNBINDABLE))
		return MS_PRIVATE;
	bool peer = !(m->propagation & MS_SLAVE) && root & MS_SHARED && !s->has_own[NS_USER] && !mounts_by_init(s);
	return peer ? MS_SHARED : MS_SLAVE;
}

int bind_words(const struct plan_mount *m, int mnt, struct err *err)
{
	uint64_t word = m->propagation & (MS_SHARED | MS_UNBINDABLE);
	int r = word ? mnt_propagation(mnt, word, m->propagation & MS_REC) : 0;
	return r < 0 ? err_sys(err, r, "%s: mount propagation", m->dst) : 0;
}

static bool same_maps(const struct plan_mount *a, const struct plan_mount *b)
{
	const struct id_map *x[] = {a->uids, a->gids}, *y[] = {b->uids, b->gids};
	for (int i = 0; i < 2; i++)
		if (x[i]->n != y[i]->n || memcmp(x[i]->v, y[i]->v, x[i]->n * sizeof(*x[i]->v)) != 0)
			return false;
	return true;
}

/* The user namespace that @m is shifted by, borrowed; one for all mounts with the same maps. -EBADF: none. */
static int shifting_userns(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	if (!m->uids && s->userns_fd < 0 && mounts_by_init(s))
		s->userns_fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	if (!m->uids)
		return s->userns_fd;
	for (struct plan_mount *other = s->plan.mounts; other < m; other++)
		if (other->map_fd >= 0 && same_maps(other, m))
			return other->map_fd;
	_cleanup_strbuf_ struct strbuf uids = STRBUF_INIT(64u << 10), gids = STRBUF_INIT(64u << 10);
	plan_id_map_text(m->uids, &uids);
	plan_id_map_text(m->gids, &gids);
	if (strbuf_err(&uids) < 0 || strbuf_err(&gids) < 0)
		return err_oom(err);
	m->map_fd = userns_for_maps(uids.s, gids.s);
	if (m->map_fd >= 0)
		return m->map_fd;
	int r = m->map_fd;
	m->map_fd = -EBADF;
	return err_sys(err, r, "mounts: %s: uidMappings: a user namespace with these maps", m->dst);
}

static int shift(struct sandbox *s, struct plan_mount *m, int mnt, struct err *err)
{
	if (!m->idmap)
		return 0;
	int ns = shifting_userns(s, m, err);
	if (ns == -EBADF)
		return 0; /* no user namespace, no maps: nothing to shift by (a foreign document was refused) */
	if (ns < 0)
		return ns;
	int r = mnt_idmap(mnt, ns, m->idmap_tree);
	if (r == -EINVAL && m->idmap_optional) {
		m->attr_set |= MOUNT_ATTR_RDONLY;
		return 0;
	}
	if (r == -EINVAL)
		return err_set(err, ERR_UNSUPPORTED, "%s: the filesystem of '%s' cannot shift ids (idmapped mounts); use a bind without idmap, or copy the data", m->dst, m->src);
	if (r == -EPERM && mounts_by_init(s))
		return err_set(err, ERR_DENIED, "%s: only the host's root can shift the ids of '%s' (idmap)", m->dst, m->src);
	return r < 0 ? err_sys(err, r, "%s: shifting ids of '%s'", m->dst, m->src) : 0;
}

/* An ordinary user's namespaces inherit the host's mounts with their options locked: what is tighter than asked stays so, as with other runtimes. */
static int clear(const struct sandbox *s, int mnt, uint64_t attrs, bool tree)
{
	int r = mnt_attr(mnt, 0, attrs, tree);
	return r == -EPERM && mounts_by_init(s) ? 0 : r;
}

static int set_options(const struct sandbox *s, const struct plan_mount *m, int mnt)
{
	/* an unprivileged mount namespace may not loosen what it inherits: a device or setuid file of the host stays dead in there */
	uint64_t own = !s->plan.obey && s->userns_fd >= 0 && !m->idmap ? MOUNT_ATTR_NOSUID : 0;
	uint64_t tree = m->tree_set | m->tree_clear ? m->tree_set | own : 0;
	int r;
	if (!mounts_by_init(s)) {
		r = mnt_attr(mnt, m->attr_set | own, m->attr_clear, false);
		return r < 0 ? r : mnt_attr(mnt, tree, m->tree_clear, true);
	}
	r = mnt_attr(mnt, m->attr_set, 0, false);
	r = r < 0 ? r : clear(s, mnt, m->attr_clear, false);
	r = r < 0 ? r : mnt_attr(mnt, tree, 0, true);
	return r < 0 ? r : clear(s, mnt, m->tree_clear, true);
}

int bind_prepare(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	_cleanup_close_ int src = m->shm ? -EBADF : bundle_open(s, m->src, O_PATH);
	if (src < 0 && !m->shm)
		return err_sys(err, src, "%s: bind source '%s'", m->dst, m->src);
	if (m->subpath) {
		int sub = open_in_root(src, m->subpath, O_PATH, 0); /* a link in there leads nowhere else */
		if (sub < 0)
			return err_sys(err, sub, "%s: the path '%s' inside the volume", m->dst, m->subpath);
		safe_close(src);
		src = sub;
	}
	_cleanup_close_ int mnt = m->shm ? shm_clone(s->shm_ns_fd, err) : mnt_clone(src, "", m->recursive);
	if (mnt < 0 && m->shm)
		return mnt;
	if (mnt == -EINVAL && mounts_by_init(s) && !m->recursive)
		return err_set(err, ERR_DENIED, "%s: other filesystems are mounted below '%s', and an ordinary user may not show what they cover: use rbind", m->dst, m->src);
	if (mnt < 0)
		return err_sys(err, mnt, "%s: cloning '%s'", m->dst, m->src);
	uint64_t keep = relation(s, m);
	int r = keep == MS_SHARED ? 0 : mnt_propagation(mnt, keep, m->recursive);
	if (r < 0)
		return err_sys(err, r, "%s: mount propagation of '%s'", m->dst, m->src);
	r = shift(s, m, mnt, err);
	if (r < 0)
		return r;
	r = set_options(s, m, mnt);
	if (r < 0)
		return err_sys(err, r, "%s: mount options", m->dst);
	r = bind_words(m, mnt, err);
	if (r < 0)
		return r;
	m->fd = take_fd(&mnt);
	return 0;
}
