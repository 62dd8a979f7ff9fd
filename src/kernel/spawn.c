/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

#include "base/fd.h"

enum { FDS_MAX = 16, PARKED_MIN = 64 };

static int add_fds(posix_spawn_file_actions_t *fa, const struct spawn_fd *fds, size_t n, int parked[FDS_MAX])
{
	int first_free = 3;
	for (size_t i = 0; i < n; i++) {
		/* parked high, so that no dup2 runs over a source that is still to come */
		parked[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, PARKED_MIN);
		if (parked[i] < 0)
			return -errno;
		int r = posix_spawn_file_actions_adddup2(fa, parked[i], fds[i].to);
		if (r != 0)
			return -r;
		first_free = MAX(first_free, fds[i].to + 1);
	}
	assert(first_free <= PARKED_MIN);
	return -posix_spawn_file_actions_addclosefrom_np(fa, first_free);
}

static int set_attr(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	(void) sigfillset(&all);
	(void) sigemptyset(&none);
	int r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attr, 0);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	return -r;
}

int spawn_program(const char *path, char *const argv[], char *const envp[], const struct spawn_fd *fds, size_t n, struct pidref *ret)
{
	assert(n <= FDS_MAX);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int parked[FDS_MAX], r = -posix_spawn_file_actions_init(&fa);
	for (size_t i = 0; i < FDS_MAX; i++)
		parked[i] = -EBADF;
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r < 0) {
		(void) posix_spawn_file_actions_destroy(&fa);
		return r;
	}
	r = add_fds(&fa, fds, n, parked);
	if (r >= 0)
		r = set_attr(&attr);
	pid_t pid = 0;
	if (r >= 0)
		r = -posix_spawn(&pid, path, &fa, &attr, argv, envp);
	for (size_t i = 0; i < n; i++)
		(void) safe_close(parked[i]);
	(void) posix_spawn_file_actions_destroy(&fa);
	(void) posix_spawnattr_destroy(&attr);
	if (r < 0)
		return r;
	int fd = process_pidfd(pid); /* not reaped yet, so the number is still its */
	if (fd < 0) {
		(void) kill(pid, SIGKILL);
		(void) process_wait(pid, NULL);
		return fd;
	}
	*ret = (struct pidref) {.pid = pid, .fd = fd};
	return 0;
}
