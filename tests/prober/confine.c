/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober-confine FILTER PROGRAM [ARG...]: run a static program as pid 1 of fresh user, pid and mount namespaces with its own
 * /proc, no_new_privs and the filter in FILTER (raw struct sock_filter; "-": none). Nothing else of a container, so that what the
 * prober reports is the filter's doing. Needs root, to map ids that nobody has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define MAP "0 3000000000 65536\n" /* above every range that Debian hands out */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "prober-confine: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void load(const char *filter, size_t len)
{
	struct sock_fprog prog = {(unsigned short) (len / sizeof(struct sock_filter)), (struct sock_filter *) filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	if (len > 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		die("seccomp");
}

static _Noreturn void inside(int program, char **argv, const char *filter, size_t len)
{
	static char *env[] = {NULL};
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die("/proc");
	load(filter, len);
	(void) syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	die("exec");
}

static void write_map(pid_t pid, const char *name)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
	int r = write_file(AT_FDCWD, path, MAP);
	errno = -r;
	if (r < 0)
		die(path);
}

int main(int argc, char **argv)
{
	char *filter = NULL, byte = 0;
	int ready[2];
	if (argc < 3)
		return 2;
	ssize_t len = strcmp(argv[1], "-") == 0 ? 0 : read_file(AT_FDCWD, argv[1], 1 << 16, &filter);
	int program = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (len < 0 || program < 0 || pipe2(ready, O_CLOEXEC) < 0)
		die("arguments");
	long pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		(void) close(ready[1]);
		if (read(ready[0], &byte, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
			die("ids");
		inside(program, argv + 2, filter, (size_t) len);
	}
	if (pid < 0)
		die("clone");
	write_map((pid_t) pid, "uid_map");
	write_map((pid_t) pid, "gid_map");
	int status = 0;
	if (write(ready[1], &byte, 1) != 1 || waitpid((pid_t) pid, &status, 0) != pid)
		die("child");
	free(filter);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
