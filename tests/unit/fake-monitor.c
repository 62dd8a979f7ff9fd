/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor with a sandbox that confines nothing, for tests/e2e/test_monitor.py: BUNDLE/config.json and BUNDLE/exec-<id>.json are not JSON
 * but a word ("pipe", "tty", "fail", "die", "die-late" or "slow") and the argument vector, each ended by a NUL. It reports as sandbox/sandbox.h draws.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/report.h"
#include "monitor/monitor.h"

#define ARGS_MAX 16

static _Noreturn void fail(int report_fd, enum err_kind kind, const char *what)
{
	struct report r = {.kind = REPORT_FAILED};
	(void) err_set(&r.err, kind, "%s", what);
	(void) report_send(report_fd, &r, -EBADF);
	_exit(1);
}

static void use_terminal(int report_fd)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		fail(report_fd, ERR_SYSTEM, "no pty");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	(void) setsid();
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		fail(report_fd, ERR_SYSTEM, "no terminal");
	for (int i = 0; i < 3; i++)
		(void) dup2(slave, i);
	struct report r = {.kind = REPORT_CONSOLE};
	(void) report_send(report_fd, &r, master);
	(void) close(master);
}

static _Noreturn void be_init(const char *word, char **argv, int report_fd, const int stdio[3])
{
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strcmp(word, "tty") == 0)
		use_terminal(report_fd);
	else
		for (int i = 0; i < 3; i++)
			(void) dup2(stdio[i], i);
	(void) execvp(argv[0], argv);
	fail(report_fd, errno == ENOENT ? ERR_CMD_NOT_FOUND : ERR_CMD_DENIED, argv[0]);
}

static _Noreturn void create_from(int dir, const char *name, int report_fd, const int stdio[3])
{
	char buf[4096], *argv[ARGS_MAX + 1];
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read_full(fd, buf, sizeof(buf) - 1);
	if (len <= 0)
		fail(report_fd, ERR_INVALID, "no document");
	buf[len] = '\0';
	int n = 0;
	for (char *p = buf + strlen(buf) + 1; p < buf + len && n < ARGS_MAX; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	if (strcmp(buf, "fail") == 0)
		fail(report_fd, ERR_UNSUPPORTED, "this fails on purpose");
	if (strcmp(buf, "die") == 0)
		abort();
	int pidfd = -EBADF;
	pid_t pid = (pid_t) syscall(SYS_clone, CLONE_PARENT | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, 0);
	if (pid == 0)
		be_init(buf, argv, report_fd, stdio);
	if (pid < 0)
		fail(report_fd, ERR_SYSTEM, "clone");
	if (strcmp(buf, "slow") == 0)
		(void) usleep(700000); /* more than two ticks of the monitor */
	struct report r = {.kind = REPORT_PID, .pid = pid};
	(void) report_send(report_fd, &r, pidfd);
	if (strcmp(buf, "die-late") == 0)
		abort();
	_exit(0);
}

static void create(void *ctx, const struct monitor_create_args *a)
{
	create_from(a->bundle_fd, "config.json", a->report_fd, a->stdio);
}

static void exec(void *ctx, const struct monitor_exec_args *a)
{
	create_from(a->bundle_fd, a->exec_file, a->report_fd, a->stdio);
}

static int oom_killed(const char *cgroup_path)
{
	return strcmp(cgroup_path, "/oom") == 0;
}

int main(void)
{
	static const struct monitor_ops ops = {.create = create, .exec = exec, .oom_killed = oom_killed};
	return monitor_run(&ops, 3);
}
