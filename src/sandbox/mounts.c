/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a plan, in the document's order. The creator clones the bind sources in the host's mount namespace (bind.c) and makes what
 * shows namespaces of the host or of another container; init makes the filesystems that belong to its own namespaces (fs.c, cgroup_mount.c); this file resolves the targets inside the root and attaches.
 */
#include "sandbox/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/copyup.h"

int mounts_prepare(struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->plan.n_mounts && !mounts_by_init(s); i++) {
		struct plan_mount *m = &s->plan.mounts[i];
		int r = m->kind == PLAN_BIND ? bind_prepare(s, m, err) : m->foreign ? fs_prepare(s, m, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Targets, and their parents, that must be ordinary directories: what is made and written below them would land elsewhere in the root, and
 * labels and sysctls were once fooled so (CVE-2019-19921, CVE-2023-27561; /dev: runc CVE-2026-41579). -ENOENT: @dst is none of these. */
static int strict_target(struct sandbox *s, const char *dst, bool *existed, struct err *err)
{
	static const char *const strict[] = {"/proc", "/sys", "/dev"};
	for (size_t i = 0; i < ARRAY_LEN(strict); i++) {
		if (!str_eq(dst, strict[i]))
			continue;
		*existed = mkdirat(s->root_fd, dst + 1, 0755) < 0;
		if (*existed && errno != EEXIST)
			return err_sys(err, -errno, "mount target '%s' inside the root filesystem", dst);
		int fd = open_beneath_nosymlink(s->root_fd, dst + 1, O_PATH | O_DIRECTORY, 0);
		if (fd == -ELOOP || fd == -ENOTDIR)
			return err_set(err, ERR_INVALID, "%s in the root filesystem is not an ordinary directory", dst);
		return fd < 0 ? err_sys(err, fd, "mount target '%s' inside the root filesystem", dst) : fd;
	}
	return -ENOENT;
}

int mount_target(struct sandbox *s, const char *dst, bool dir, bool *ret_existed, struct err *err)
{
	bool existed = false;
	int fd = dir ? strict_target(s, dst, &existed, err) : -ENOENT;
	if (fd == -ENOENT) {
		fd = open_in_root(s->root_fd, dst, O_PATH, 0);
		existed = fd >= 0;
		if (fd == -ENOENT)
			fd = dir ? mkdir_in_root(s->root_fd, dst, 0755) : touch_in_root(s->root_fd, dst, 0644);
		if (fd < 0)
			return err_sys(err, fd, "mount target '%s' inside the root filesystem", dst);
	} else if (fd < 0)
		return fd;
	struct stat st;
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) != dir) {
		safe_close(fd);
		return err_set(err, ERR_INVALID, "%s: cannot mount a %s on a %s", dst, dir ? "directory" : "file", dir ? "file" : "directory");
	}
	if (ret_existed)
		*ret_existed = existed;
	return fd;
}

/* A procfs that something else stands in for would lie to whatever runs inside about itself; only what lxcfs and its kind cover may be covered
 * (CVE-2019-16884). What we ourselves write goes through a procfs of our own in any case. */
static int check_proc(const struct sandbox *s, const struct plan_mount *m, int mnt, int target, struct err *err)
{
	static const char *const covered[] = {"cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev",
					      "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"};
	const char *below = str_after(m->dst, "/proc/");
	if (!s->plan.obey)
		return 0;
	if (str_eq(m->dst, "/proc"))
		return fd_is_on(mnt, PROC_SUPER_MAGIC) == 1 ? 0 : err_set(err, ERR_INVALID, "mounts: /proc: only a procfs can be mounted there, not '%s'", m->fstype ?: m->src);
	if (fd_is_on(target, PROC_SUPER_MAGIC) != 1)
		return 0;
	for (size_t i = 0; below && i < ARRAY_LEN(covered); i++)
		if (str_eq(below, covered[i]))
			return 0;
	return err_set(err, ERR_INVALID, "mounts: '%s' is inside of a procfs, where only files such as cpuinfo and meminfo can be covered (maskedPaths and readonlyPaths cover the rest)",
		       m->dst);
}

int mount_attach(struct sandbox *s, struct plan_mount *m, int mnt, int target, struct err *err)
{
	int r = check_proc(s, m, mnt, target, err);
	if (r < 0)
		return r;
	r = mnt_attach(mnt, target);
	return r < 0 ? err_sys(err, r, "attaching '%s'", m->dst) : 0;
}

static int attach_bind(struct sandbox *s, struct plan_mount *m, struct err *err)
{
	struct stat st;
	int r = mounts_by_init(s) ? bind_prepare(s, m, err) : 0;
	if (r < 0)
		return r;
	if (fstat(m->fd, &st) < 0)
		return err_sys(err, -errno, "%s", m->dst);
	_cleanup_close_ int target = mount_target(s, m->dst, S_ISDIR(st.st_mode), NULL, err);
	if (target < 0)
		return target;
	r = m->copyup ? copyup(target, m->fd, err) : 0;
	if (r < 0)
		return err_wrap(err, "%s: filling the volume from the image", m->dst);
	return mount_attach(s, m, m->fd, target, err);
}

int mounts_attach(struct sandbox *s, struct err *err)
{
	static int (*const attach[])(struct sandbox *, struct plan_mount *, struct err *) = {
		[PLAN_FS] = fs_attach, [PLAN_BIND] = attach_bind, [PLAN_CGROUP] = cgroups_attach, [PLAN_REMOUNT] = fs_remount,
	};
	for (size_t i = 0; i < s->plan.n_mounts; i++) {
		int r = attach[s->plan.mounts[i].kind](s, &s->plan.mounts[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int mounts_finish(struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < s->plan.n_mounts; i++) {
		struct plan_mount *m = &s->plan.mounts[i];
		int r = m->kind == PLAN_FS && m->fd >= 0 ? mnt_attr(m->fd, MOUNT_ATTR_RDONLY, 0, false) : 0;
		if (r < 0)
			return err_sys(err, r, "making '%s' read-only", m->dst);
	}
	return 0;
}

/* With a pid namespace of somebody else's there is no procfs of our own to be had: the host's, in our copy of its mounts, which nothing of the
 * container has touched. What it shows below sys/ depends on who looks (fs/proc/proc_sysctl.c). */
static int host_proc(void)
{
	struct stat st;
	_cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_ino == 1 ? take_fd(&fd) : -EINVAL; /* fs/proc/root.c PROC_ROOT_INO */
}

int mounts_proc(struct sandbox *s, struct err *err)
{
	/* R3: every write to a sysctl or attribute goes through the mount that was just made, by its descriptor, while nothing covers it and
	 * nobody else runs. A container without a proc of its own gets one that is never attached; closing that waits for an RCU grace period. */
	if (s->proc_fd < 0)
		s->proc_fd = mnt_new("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (s->proc_fd == -EPERM && (s->plan.obey || s->spec->ns[NS_PID].mode == NS_MODE_HOST))
		s->proc_fd = host_proc();
	if (s->proc_fd < 0)
		return err_sys(err, s->proc_fd, "a private procfs");
	return fd_is_on(s->proc_fd, PROC_SUPER_MAGIC) == 1 ? 0 : err_set(err, ERR_SYSTEM, "the private procfs is something else");
}
