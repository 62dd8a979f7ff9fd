/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts by descriptor (R2, P4): build detached (fsopen, open_tree), set attributes and id maps on the detached tree, attach
 * with move_mount from fd to fd. Nothing here takes a path that was resolved in a container. All calls return an fd >= 0 or 0,
 * or -errno; none logs or allocates; all are async-signal-safe. Linux >= 5.12. Source: fsopen(2), open_tree(2), mount_setattr(2), move_mount(2).
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/** mnt_fsopen() - a filesystem context. Return: fd. */
int mnt_fsopen(const char *fstype);
/** mnt_set_string() / mnt_set_flag() / mnt_set_fd() - one parameter of a context. -EINVAL: the filesystem refused it. */
int mnt_set_string(int fsfd, const char *key, const char *value);
int mnt_set_flag(int fsfd, const char *key);
int mnt_set_fd(int fsfd, const char *key, int fd);
/** mnt_create() - create the superblock and a detached mount of it. @attrs: MOUNT_ATTR_*. Return: mount fd. */
int mnt_create(int fsfd, unsigned attrs);
/** mnt_new() - mnt_fsopen + @opts ("key", "value" pairs; value NULL = flag; ends with NULL key; may be NULL) + mnt_create. Return: mount fd. */
int mnt_new(const char *fstype, const char *const (*opts)[2], unsigned attrs);
/** mnt_pick() - a context for the superblock of the mount @mntfd, to change its parameters with mnt_set_*() and mnt_reconfigure(). Return: fd. */
int mnt_pick(int mntfd);
int mnt_reconfigure(int fsfd);
/** mnt_mount_on() - mount(2) on the object @target_fd, for what a context cannot take: a parameter of more than 255 bytes, flags such as MS_I_VERSION.
 *  Needs a procfs of the caller's at /proc. Return: 0 or -errno. */
int mnt_mount_on(int target_fd, const char *source, const char *fstype, unsigned long flags, const char *data);
/** mnt_last_message() - the kernel's own words about the last failure on @fsfd, "" when it has none. Return: @buf. */
char *mnt_last_message(int fsfd, char *buf, size_t size);
/** mnt_clone() - detached copy of the mount at @path below @dfd ("" with AT_EMPTY_PATH semantics: @dfd itself). @recursive: with submounts. Return: mount fd. */
int mnt_clone(int dfd, const char *path, bool recursive);
/** mnt_clone_private() - the same without the relation to its original: where that is shared, as everything is under systemd, a clone is its peer, and
 *  what is mounted on the one appears on the other. */
int mnt_clone_private(int dfd, const char *path, bool recursive);
/** mnt_attr() - set and clear MOUNT_ATTR_* on a mount. @recursive: the whole tree. */
int mnt_attr(int mntfd, uint64_t set, uint64_t clear, bool recursive);
/** mnt_idmap() - shift ids of a detached mount by the map of user namespace @userns_fd. -EINVAL: this filesystem cannot (say so to the user). */
int mnt_idmap(int mntfd, int userns_fd, bool recursive);
/** mnt_propagation() - MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE on a mount given by fd. */
int mnt_propagation(int mntfd, uint64_t propagation, bool recursive);
/** mnt_attach() - attach a detached mount on the object @dst_fd (a directory or file opened O_PATH). */
int mnt_attach(int mntfd, int dst_fd);
/** mnt_attach_at() - the same onto @name below @dfd: only for trees of our own where nobody else can write. */
int mnt_attach_at(int mntfd, int dfd, const char *name);
/** mnt_pivot() - make the directory @root_fd (a mount point) the root of the calling process's mount namespace and detach the old root. */
int mnt_pivot(int root_fd);
/** mnt_chroot() - where pivot_root(2) cannot work (a root on the kernel's own rootfs): make @root_fd, which is attached over "/", the root directory. */
int mnt_chroot(int root_fd);
