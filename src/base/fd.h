/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: ownership, whole reads and writes, small files, and passing descriptors over unix sockets.
 * Every function returns >= 0 or -errno, never logs, and opens with O_CLOEXEC. "None" is -EBADF, since 0 is valid.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/** safe_close() - close @fd if it is one; keeps errno, never retries. Return: -EBADF, for `fd = safe_close(fd)`. */
int safe_close(int fd);

static inline void closep(int *fd)
{
	*fd = safe_close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

/** take_fd() - hand a descriptor over and leave -EBADF behind. */
#define take_fd(p)                                                                                                     \
	({                                                                                                             \
		int v_ = *(p);                                                                                         \
		*(p) = -EBADF;                                                                                         \
		v_;                                                                                                    \
	})

/** write_all() - write @len bytes, retrying short writes and EINTR. Return: 0 or -errno. Async-signal-safe. */
int write_all(int fd, const void *buf, size_t len);
/** read_full() - read until @len bytes or EOF. Return: bytes read or -errno. Async-signal-safe. */
ssize_t read_full(int fd, void *buf, size_t len);
/** write_file() - open @path below @dfd (no O_CREAT) and write @text in one write(), as /proc and cgroup files want. Return: 0 or -errno. */
int write_file(int dfd, const char *path, const char *text);
/** read_file() - whole small file below @dfd. @max: refuse with -EFBIG above it. @ret: NUL-terminated, caller frees. Return: length or -errno. */
ssize_t read_file(int dfd, const char *path, size_t max, char **ret);
/** write_file_atomic() - create @path below @dfd by temp name and rename (no fsync). Return: 0 or -errno; nothing half-made stays. */
int write_file_atomic(int dfd, const char *path, const void *buf, size_t len, mode_t mode);
/** send_fds() - one message of @len (>=1) bytes with @nfds (<=253) descriptors over a unix socket. Return: 0 or -errno. */
int send_fds(int sock, const void *buf, size_t len, const int *fds, size_t nfds);
/** recv_fds() - receive one message with up to *@nfds descriptors (CLOEXEC, owned by the caller). *@nfds: in room, out count.
 *  Return: bytes, 0 at EOF, -errno; -EMSGSIZE when more came than fits (then nothing is leaked). */
ssize_t recv_fds(int sock, void *buf, size_t len, int *fds, size_t *nfds);
/** fd_set_nonblock() - set or clear O_NONBLOCK. */
int fd_set_nonblock(int fd, bool on);
/** rm_rf_at() - remove @name below @dfd and everything in it without following links or crossing mounts; a missing name is fine. Return: 0 or -errno. */
int rm_rf_at(int dfd, const char *name);
/** mkdir_open_at() - open directory @name (one component) below @dfd, made with @mode when missing; never follows a link. Return: fd or -errno. */
int mkdir_open_at(int dfd, const char *name, mode_t mode);
