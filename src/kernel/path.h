/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths are opened by policy (R1, P7): each call says in its name what it trusts. All are openat2(2), Linux >= 5.6; -EAGAIN (a
 * rename raced the walk) is retried a bounded number of times. Return: fd or -errno. Async-signal-safe.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/** open_beneath() - @path strictly below @dfd; symlinks are followed while they stay below; no magic links. For trees of ours that hold links. */
int open_beneath(int dfd, const char *path, int flags, mode_t mode);
/** open_beneath_nosymlink() - no symlink anywhere in @path. For trees whose parents must be real directories. */
int open_beneath_nosymlink(int dfd, const char *path, int flags, mode_t mode);
/** open_in_root() - resolve as if @dfd were "/" (absolute links and ".." stay inside); no magic links. For anything inside a rootfs. */
int open_in_root(int dfd, const char *path, int flags, mode_t mode);
/** open_under_root() - relative to @dfd, where absolute links and ".." reach as far as the process's own root directory; no magic links. For a process whose
 *  root is the container's. */
int open_under_root(int dfd, const char *path, int flags, mode_t mode);
/** open_xdev_none() - as open_beneath_nosymlink() and never across a mount: for a private procfs (R3). */
int open_xdev_none(int dfd, const char *path, int flags, mode_t mode);

/** mkdir_in_root() - make directory @path (absolute or relative to the root @dfd) with all parents inside that root; existing parts are
 *  walked with open_in_root(), new ones made on the pinned parent; a symlink that leads to nothing yet has its target made, inside the root as
 *  well. @mode: of new ones. Return: O_PATH fd of the directory, or -errno (-ENOTDIR when a part is something else). */
int mkdir_in_root(int dfd, const char *path, mode_t mode);
/** touch_in_root() - the same for a regular file (made empty with @mode when missing; its parents 0755). Return: O_PATH fd. */
int touch_in_root(int dfd, const char *path, mode_t mode);
/** fd_is_on() - whether @fd lies on a filesystem with @magic (statfs). Return: 1, 0 or -errno. */
int fd_is_on(int fd, unsigned long magic);
