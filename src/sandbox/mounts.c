/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a plan. The creator opens every bind source in the host's mount namespace and makes a private detached clone of
 * it, shifted where asked; init makes the filesystems that belong to its own namespaces; both are attached by descriptor on
 * targets that openat2 resolved inside the root (R1, R2; CVE-2021-30465, CVE-2025-52881).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/copyup.h"
#include "sandbox/internal.h"

static int shift(struct sandbox *s, struct plan_mount *m, int mnt, struct err *err)
{
	if (!m->idmap || s->userns_fd < 0)
		return 0;
	int r = mnt_idmap(mnt, s->userns_fd, m->recursive);
	if (r == -EINVAL && m->idmap_optional) {
		m->attr_set |= MOUNT_ATTR_RDONLY;
		return 0;
	}
	if (r == -EINVAL)
		return err_set(err, ERR_UNSUPPORTED, "%s: the filesystem of '%s' cannot shift ids (idmapped mounts); use a bind without idmap, or copy the data", m->dst, m->src);
	return r < 0 ? err_sys(err, r, "%s: shifting ids of '%s'", m->dst, m->src) : 0;
}

static int prepare_bind(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	_cleanup_close_ int src = open(m->src, O_PATH | O_CLOEXEC);
	if (src < 0)
		return err_sys(err, -errno, "%s: bind source '%s'", m->dst, m->src);
	_cleanup_close_ int mnt = mnt_clone(src, "", m->recursive);
	if (mnt < 0)
		return err_sys(err, mnt, "%s: cloning '%s'", m->dst, m->src);
	int r = mnt_propagation(mnt, MS_PRIVATE, m->recursive);
	if (r < 0)
		return err_sys(err, r, "%s: making '%s' private", m->dst, m->src);
	r = shift(s, m, mnt, err);
	if (r < 0)
		return r;
	/* an unprivileged mount namespace may not loosen what it inherits: a device or setuid file of the host stays dead in there */
	r = mnt_attr(mnt, m->attr_set | (s->userns_fd >= 0 && !m->idmap ? MOUNT_ATTR_NOSUID : 0), m->attr_clear, m->attr_recursive);
	if (r < 0)
		return err_sys(err, r, "%s: mount options", m->dst);
	m->fd = take_fd(&mnt);
	return 0;
}

int mounts_prepare(struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->plan.n_mounts; i++) {
		int r = s->plan.mounts[i].kind == PLAN_BIND ? prepare_bind(s, &s->plan.mounts[i], err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* "gid=5" of devpts must be mapped, or the mount fails with -EINVAL. */
static bool option_unmappable(const struct sandbox *s, const char *opt)
{
	const char *v = str_after(opt, "gid=");
	uint32_t id, host;
	return v && s->plan.clone_flags & CLONE_NEWUSER && parse_u32(v, &id) == 0 && !id_map_to_host(&s->spec->gids, id, &host);
}

static int make_fs(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	char msg[256], key[64];
	_cleanup_close_ int fs = mnt_fsopen(m->fstype);
	if (fs < 0)
		return err_sys(err, fs, "%s: %s", m->dst, m->fstype);
	(void) mnt_set_string(fs, "source", m->src ? m->src : m->fstype); /* only what mount(8) shows */
	STRV_FOREACH(opt, m->fs_options) {
		const char *eq = strchr(opt, '=');
		if (option_unmappable(s, opt))
			continue;
		int r;
		if (!eq)
			r = mnt_set_flag(fs, opt);
		else if ((size_t) (eq - opt) >= sizeof(key))
			r = -EINVAL;
		else {
			memcpy(key, opt, (size_t) (eq - opt));
			key[eq - opt] = '\0';
			r = mnt_set_string(fs, key, eq + 1);
		}
		if (r < 0)
			return err_set(err, ERR_INVALID, "%s: %s does not take the option '%s': %s", m->dst, m->fstype, opt, mnt_last_message(fs, msg, sizeof(msg)));
	}
	int mnt = mnt_create(fs, (unsigned) m->attr_set);
	if (mnt == -EPERM || mnt == -EACCES)
		return err_set(err, ERR_DENIED, "%s: the kernel refuses a fresh %s here (is the engine itself in a container whose %s is partly covered?)", m->dst,
			       m->fstype, m->fstype);
	return mnt < 0 ? err_sys(err, mnt, "%s: mounting %s %s", m->dst, m->fstype, mnt_last_message(fs, msg, sizeof(msg))) : mnt;
}

/* A mount target: a directory for directories, a file for anything else, made when missing. The last part may be a symlink inside the
 * root (resolved there), except for /proc, /sys and /dev, which must be ordinary directories (CVE-2019-19921, CVE-2023-27561). */
static int open_target(struct sandbox *s, const char *dst, bool dir, struct err *err)
{
	static const char *const strict[] = {"/proc", "/sys", "/dev"};
	for (size_t i = 0; i < ARRAY_LEN(strict); i++) {
		struct stat st;
		if (str_eq(dst, strict[i]) && fstatat(s->root_fd, dst + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
			return err_set(err, ERR_INVALID, "%s in the root filesystem is not an ordinary directory", dst);
	}
	int fd = dir ? mkdir_in_root(s->root_fd, dst, 0755) : touch_in_root(s->root_fd, dst, 0644);
	if (fd < 0)
		return err_sys(err, fd, "mount target '%s' inside the root filesystem", dst);
	struct stat st;
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) != dir) {
		safe_close(fd);
		return err_set(err, ERR_INVALID, "%s: cannot mount a %s on a %s", dst, dir ? "directory" : "file", dir ? "file" : "directory");
	}
	return fd;
}

static int attach(struct sandbox *s, struct plan_mount *m, int mnt, struct err *err)
{
	struct stat st;
	if (fstat(mnt, &st) < 0)
		return err_sys(err, -errno, "%s", m->dst);
	_cleanup_close_ int target = open_target(s, m->dst, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	if (m->copyup) {
		int r = copyup(target, mnt, err);
		if (r < 0)
			return err_wrap(err, "%s: filling the volume from the image", m->dst);
	}
	int r = mnt_attach(mnt, target);
	if (r == 0 && m->propagation != MS_PRIVATE)
		r = mnt_propagation(mnt, m->propagation, m->recursive);
	return r < 0 ? err_sys(err, r, "attaching '%s'", m->dst) : 0;
}

/* The same directory seen from init's mount namespace: a clone must come from the caller's own (open_tree(2)). */
static int clone_cgroup(const char *mount, const char *path)
{
	char full[300];
	if (str_format(full, sizeof(full), "%s/%s", mount, path) < 0)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = open(full, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : mnt_clone(fd, "", false);
}

/* /sys/fs/cgroup: the container's own directories, read-only. Clones of directories that only it is in, so neither siblings nor
 * release_agent are in sight (R12, CVE-2022-0492). */
static int attach_cgroups(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	const uint64_t flags = m->attr_set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
	const struct cgroup *cg = &s->cgroup;
	_cleanup_close_ int target = open_target(s, m->dst, true, err);
	if (target < 0)
		return target;
	if (cg->v2 >= 0) {
		_cleanup_close_ int mnt = clone_cgroup(cg->layout.v2_mount, cg->path);
		int r = mnt < 0 ? mnt : mnt_attr(mnt, flags, 0, false);
		if (r == 0)
			r = mnt_attach(mnt, target);
		return r < 0 ? err_sys(err, r, "%s", m->dst) : 0;
	}
	static const char *const opts[][2] = {{"mode", "0755"}, {"size", "64k"}, {NULL, NULL}};
	_cleanup_close_ int top = mnt_new("tmpfs", opts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	int r = top < 0 ? top : mnt_attach(top, target);
	for (int c = 0; r == 0 && c < CG_CONTROLLER_MAX_; c++) {
		if (cg->v1[c] < 0)
			continue;
		const char *name = cgroup_controller_name(c);
		_cleanup_close_ int mnt = clone_cgroup(cg->layout.mount[c], cg->path);
		r = mnt < 0 ? mnt : mnt_attr(mnt, flags, 0, false);
		if (r == 0 && mkdirat(top, name, 0755) < 0)
			r = -errno;
		if (r == 0)
			r = mnt_attach_at(mnt, top, name);
	}
	if (r == 0)
		r = mnt_attr(top, MOUNT_ATTR_RDONLY, 0, false);
	return r < 0 ? err_sys(err, r, "%s", m->dst) : 0;
}

int mounts_attach(struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->plan.n_mounts; i++) {
		struct plan_mount *m = &s->plan.mounts[i];
		int r;
		if (m->kind == PLAN_CGROUP)
			r = attach_cgroups(s, m, err);
		else if (m->kind == PLAN_BIND)
			r = attach(s, m, m->fd, err);
		else {
			_cleanup_close_ int mnt = make_fs(s, m, err);
			r = mnt < 0 ? mnt : attach(s, m, mnt, err);
			if (r == 0 && s->proc_fd < 0 && str_eq(m->fstype, "proc"))
				s->proc_fd = take_fd(&mnt);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int mounts_proc(struct sandbox *s, struct err *err)
{
	/* R3: every write to a sysctl or attribute goes through the mount that was just made, by its descriptor, while nothing covers it and
	 * nobody else runs. A container without a proc of its own gets one that is never attached; closing that waits for an RCU grace period. */
	if (s->proc_fd < 0)
		s->proc_fd = mnt_new("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (s->proc_fd < 0)
		return err_sys(err, s->proc_fd, "a private procfs");
	return fd_is_on(s->proc_fd, PROC_SUPER_MAGIC) == 1 ? 0 : err_set(err, ERR_SYSTEM, "the private procfs is something else");
}
