/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "kernel/compat.h"

pid_t process_clone(uint64_t flags, int cgroup_fd, struct pidref *ret)
{
	int pidfd = -EBADF;
	struct clone_args a = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t) (uintptr_t) &pidfd,
		/* with CLONE_PARENT the exit signal is the caller's own (clone(2)) and must be 0 here */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	if (cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t) cgroup_fd;
	}
	pid_t pid = (pid_t) syscall(SYS_clone3, &a, sizeof(a));
	if (pid < 0)
		return -errno;
	if (pid > 0)
		*ret = (struct pidref) {.pid = pid, .fd = pidfd};
	return pid;
}

int process_pidfd(pid_t pid)
{
	int fd = (int) syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

int process_kill(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int process_wait(pid_t pid, int *ret_status)
{
	for (;;) {
		if (waitpid(pid, ret_status, 0) == pid)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* @state: the letter behind the name */
static int read_stat(pid_t pid, uint64_t *ticks, char *state)
{
	char path[32], buf[1024];
	(void) str_format(path, sizeof(path), "/proc/%d/stat", (int) pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	ssize_t n = read_full(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return (int) n;
	buf[n] = '\0';
	char *p = strrchr(buf, ')'); /* the name may hold blanks and brackets */
	if (!p || p[1] != ' ')
		return -EBADMSG;
	*state = p[2];
	p += 2;
	for (int field = 3; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	p++;
	p[strcspn(p, " \n")] = '\0';
	return parse_u64(p, ticks);
}

int proc_start_ticks(pid_t pid, uint64_t *ret)
{
	char state;
	return read_stat(pid, ret, &state);
}

bool proc_is(pid_t pid, uint64_t ticks)
{
	uint64_t t;
	char state;
	return pid > 0 && read_stat(pid, &t, &state) == 0 && t == ticks && state != 'Z' && state != 'X';
}

int proc_status_field(const char *status, const char *key, char *buf, size_t size)
{
	size_t n = strlen(key);
	for (const char *line = status; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) != 0 || line[n] != ':')
			continue;
		line += n + 1;
		line += strspn(line, " \t");
		size_t len = MIN(strcspn(line, "\n"), size - 1);
		memcpy(buf, line, len);
		buf[len] = '\0';
		return 0;
	}
	return -ENOENT;
}

int exit_code_from_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
