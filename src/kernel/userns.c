/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/process.h"

static int open_with_maps(pid_t pid, const char *uid_map, const char *gid_map)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
	int r = write_file(AT_FDCWD, path, uid_map);
	(void) snprintf(path, sizeof(path), "/proc/%d/gid_map", (int) pid);
	if (r == 0)
		r = write_file(AT_FDCWD, path, gid_map);
	if (r < 0)
		return r;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int userns_for_maps(const char *uid_map, const char *gid_map)
{
	struct pidref child = PIDREF_NULL;
	pid_t pid = process_clone(CLONE_NEWUSER, -EBADF, &child);
	if (pid < 0)
		return (int) pid;
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* its parent kills it a moment later */
		for (;;)
			(void) pause();
	}
	int fd = open_with_maps(pid, uid_map, gid_map), status;
	(void) process_kill(child.fd, SIGKILL); /* our child, alive: cannot fail */
	(void) process_wait(pid, &status);
	safe_close(child.fd);
	return fd;
}
