/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"

int mnt_fsopen(const char *fstype)
{
	int fd = (int) syscall(SYS_fsopen, fstype, FSOPEN_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int fsconfig_(int fsfd, unsigned cmd, const char *key, const void *value, int aux)
{
	return syscall(SYS_fsconfig, fsfd, cmd, key, value, aux) < 0 ? -errno : 0;
}

int mnt_set_string(int fsfd, const char *key, const char *value)
{
	return fsconfig_(fsfd, FSCONFIG_SET_STRING, key, value, 0);
}

int mnt_set_flag(int fsfd, const char *key)
{
	return fsconfig_(fsfd, FSCONFIG_SET_FLAG, key, NULL, 0);
}

int mnt_set_fd(int fsfd, const char *key, int fd)
{
	return fsconfig_(fsfd, FSCONFIG_SET_FD, key, NULL, fd);
}

int mnt_create(int fsfd, unsigned attrs)
{
	int r = fsconfig_(fsfd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0)
		return r;
	int fd = (int) syscall(SYS_fsmount, fsfd, FSMOUNT_CLOEXEC, attrs);
	return fd < 0 ? -errno : fd;
}

int mnt_new(const char *fstype, const char *const (*opts)[2], unsigned attrs)
{
	_cleanup_close_ int fsfd = mnt_fsopen(fstype);
	if (fsfd < 0)
		return fsfd;
	for (; opts && (*opts)[0]; opts++) {
		int r = (*opts)[1] ? mnt_set_string(fsfd, (*opts)[0], (*opts)[1]) : mnt_set_flag(fsfd, (*opts)[0]);
		if (r < 0)
			return r;
	}
	return mnt_create(fsfd, attrs);
}

int mnt_pick(int mntfd)
{
	int fd = (int) syscall(SYS_fspick, mntfd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	return fd < 0 ? -errno : fd;
}

int mnt_reconfigure(int fsfd)
{
	return fsconfig_(fsfd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
}

int mnt_mount_on(int target_fd, const char *source, const char *fstype, unsigned long flags, const char *data)
{
	char path[32];
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", target_fd);
	return mount(source, path, fstype, flags, data) < 0 ? -errno : 0;
}

char *mnt_last_message(int fsfd, char *buf, size_t size)
{
	ssize_t n = read(fsfd, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	if (n > 2 && buf[1] == ' ') /* "e text", "w text", "i text" */
		memmove(buf, buf + 2, (size_t) n - 1);
	return buf;
}

int mnt_clone(int dfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | (recursive ? AT_RECURSIVE : 0);
	if (!*path)
		flags |= AT_EMPTY_PATH;
	int fd = (int) syscall(SYS_open_tree, dfd, path, flags);
	return fd < 0 ? -errno : fd;
}

int mnt_clone_private(int dfd, const char *path, bool recursive)
{
	_cleanup_close_ int fd = mnt_clone(dfd, path, recursive);
	int r = fd < 0 ? fd : mnt_propagation(fd, MS_PRIVATE, recursive);
	return r < 0 ? r : take_fd(&fd);
}

static int setattr(int fd, struct mount_attr *a, bool recursive)
{
	return syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), a, sizeof(*a)) < 0 ? -errno : 0;
}

int mnt_attr(int mntfd, uint64_t set, uint64_t clear, bool recursive)
{
	/* the atime modes are a field, not bits: whoever sets one must clear the field (mount_setattr(2)) */
	if ((set | clear) & MOUNT_ATTR__ATIME)
		clear |= MOUNT_ATTR__ATIME;
	struct mount_attr a = {.attr_set = set, .attr_clr = clear};
	return set || clear ? setattr(mntfd, &a, recursive) : 0;
}

int mnt_idmap(int mntfd, int userns_fd, bool recursive)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns_fd};
	return setattr(mntfd, &a, recursive);
}

int mnt_propagation(int mntfd, uint64_t propagation, bool recursive)
{
	struct mount_attr a = {.propagation = propagation};
	return setattr(mntfd, &a, recursive);
}

int mnt_attach(int mntfd, int dst_fd)
{
	return syscall(SYS_move_mount, mntfd, "", dst_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

int mnt_attach_at(int mntfd, int dfd, const char *name)
{
	return syscall(SYS_move_mount, mntfd, "", dfd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

int mnt_pivot(int root_fd)
{
	if (fchdir(root_fd) < 0)
		return -errno;
	/* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is detached from there */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

int mnt_chroot(int root_fd)
{
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}
