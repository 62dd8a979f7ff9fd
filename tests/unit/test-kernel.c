/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel room against the running kernel: paths by policy under a symlink swap, detached idmapped mounts, cgroups. Root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/caps.h"
#include "kernel/cgroup.h"
#include "kernel/confine.h"
#include "kernel/mount.h"
#include "kernel/mount_option.h"
#include "kernel/path.h"
#include "kernel/process.h"

static char tmp[] = "/var/tmp/coffer-kernel-XXXXXX";
static int tmp_fd = -EBADF;

static int setup(void **state)
{
	return mkdtemp(tmp) && (tmp_fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	tmp_fd = safe_close(tmp_fd);
	return rm_rf_at(AT_FDCWD, tmp);
}

static void paths_stay_inside(void **state)
{
	_cleanup_close_ int root = mkdir_open_at(tmp_fd, "root", 0755), out = mkdir_open_at(tmp_fd, "out", 0755);
	assert_true(root >= 0 && out >= 0);
	assert_int_equal(symlinkat("/", root, "abs"), 0);
	assert_int_equal(symlinkat("../out", root, "up"), 0);
	assert_int_equal(mkdirat(root, "d", 0755), 0);
	int fd = open_beneath_nosymlink(root, "abs/d", O_PATH, 0);
	assert_int_equal(fd, -ELOOP);
	assert_int_equal(open_beneath(root, "up", O_PATH, 0), -EXDEV);
	_cleanup_close_ int in = open_in_root(root, "/abs/d", O_PATH | O_DIRECTORY, 0);
	assert_true(in >= 0);
	struct stat a, b;
	_cleanup_close_ int d = openat(root, "d", O_PATH | O_CLOEXEC);
	assert_true(fstat(in, &a) == 0 && fstat(d, &b) == 0 && a.st_ino == b.st_ino);
	/* "up" resolves to /out inside the root, which does not exist; made, it is made inside */
	_cleanup_close_ int made = mkdir_in_root(root, "/newdir/x/y", 0755);
	assert_true(made >= 0);
	assert_int_equal(faccessat(root, "newdir/x/y", F_OK, 0), 0);
	_cleanup_close_ int file = touch_in_root(root, "/etc/deep/hosts", 0644);
	assert_true(file >= 0);
	assert_int_equal(faccessat(root, "etc/deep/hosts", F_OK, 0), 0);
	assert_int_equal(open_in_root(root, "/proc/self/fd/0/x", O_PATH, 0), -ENOENT);
	_cleanup_free_ char *none = NULL;
	assert_int_equal(rm_rf_at(tmp_fd, "out"), 0);
}

/* R1 under SWAP: a parent is exchanged with a symlink to a canary while mkdir_in_root() works below it. */
static void swap_never_escapes(void **state)
{
	_cleanup_close_ int root = mkdir_open_at(tmp_fd, "swaproot", 0755), canary = mkdir_open_at(tmp_fd, "canary", 0755);
	assert_true(root >= 0 && canary >= 0);
	assert_int_equal(mkdirat(root, "a", 0755), 0);
	assert_int_equal(symlinkat("../canary", root, "b"), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			(void) syscall(SYS_renameat2, root, "a", root, "b", 2 /* RENAME_EXCHANGE */);
	for (int i = 0; i < 2000; i++) {
		char path[64];
		(void) snprintf(path, sizeof(path), "/a/m%d/t", i);
		int fd = i % 2 ? mkdir_in_root(root, path, 0755) : touch_in_root(root, path, 0644);
		safe_close(fd);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(waitpid(pid, NULL, 0) == pid);
	assert_int_equal(unlinkat(tmp_fd, "canary", AT_REMOVEDIR), 0); /* only an empty directory goes */
}

/* A child in a user namespace mapping 0 -> 2000000, kept until its pipe closes. */
static pid_t userns_child(int *ret_pipe)
{
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct pidref ref = PIDREF_NULL;
	pid_t pid = process_clone(CLONE_NEWUSER, -EBADF, &ref);
	assert_true(pid >= 0);
	if (pid == 0) {
		char c;
		(void) close(p[1]);
		_exit((int) read(p[0], &c, 1));
	}
	safe_close(ref.fd);
	(void) close(p[0]);
	*ret_pipe = p[1];
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
	assert_int_equal(write_file(AT_FDCWD, path, "0 2000000 65536"), 0);
	(void) snprintf(path, sizeof(path), "/proc/%d/gid_map", (int) pid);
	assert_int_equal(write_file(AT_FDCWD, path, "0 3000000 65536"), 0);
	return pid;
}

static void idmapped_clone_shifts(void **state)
{
	int pipe_end;
	pid_t pid = userns_child(&pipe_end);
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	_cleanup_close_ int user = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int dir = mkdir_open_at(tmp_fd, "shift", 0755);
	_cleanup_close_ int mnt = mnt_clone(dir, "", false);
	assert_true(user >= 0 && mnt >= 0);
	assert_int_equal(mnt_idmap(mnt, user, false), 0);
	struct stat st;
	assert_int_equal(fstat(mnt, &st), 0);
	assert_int_equal(st.st_uid, 2000000);
	assert_int_equal(st.st_gid, 3000000);
	assert_int_equal(fstat(dir, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(mnt_attr(mnt, 1 /* RDONLY */, 0, false), 0);
	assert_int_equal(openat(mnt, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
	assert_int_equal(errno, EROFS);
	(void) close(pipe_end);
	assert_true(waitpid(pid, NULL, 0) == pid);
}

static void idmap_of_proc_is_refused(void **state)
{
	int pipe_end;
	pid_t pid = userns_child(&pipe_end);
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
	_cleanup_close_ int user = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int mnt = mnt_new("proc", NULL, 0);
	assert_true(mnt >= 0);
	assert_int_equal(mnt_idmap(mnt, user, false), -EINVAL);
	(void) close(pipe_end);
	assert_true(waitpid(pid, NULL, 0) == pid);
}

static void apply(const char *word, uint64_t *set, uint64_t *clear)
{
	const struct mnt_option *o = mnt_option_find(word);
	assert_non_null(o);
	assert_int_equal(o->kind, MNT_OPTION_ATTR);
	mnt_option_apply(o, set, clear);
}

static void mount_options_are_a_table(void **state)
{
	uint64_t set = 0, clear = 0;
	apply("ro", &set, &clear);
	apply("nosuid", &set, &clear);
	assert_true(set == 3);
	apply("rw", &set, &clear); /* the later option wins */
	assert_true(set == 2 && clear == 1);
	assert_true(mnt_option_find("rnoexec")->recursive && !mnt_option_find("noexec")->recursive);
	assert_null(mnt_option_find("size=1"));
	assert_null(mnt_option_find(""));
	set = clear = 0;
	apply("noatime", &set, &clear);
	apply("nostrictatime", &set, &clear); /* takes away what was not there */
	assert_true(set == MOUNT_ATTR_NOATIME);
	apply("strictatime", &set, &clear);
	assert_true(set == MOUNT_ATTR_STRICTATIME);
	apply("atime", &set, &clear);
	assert_true(set == MOUNT_ATTR_STRICTATIME);
	apply("nostrictatime", &set, &clear);
	assert_true(set == 0 && (clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
	size_t n = 0;
	for (const struct mnt_option *o, *last = NULL; (o = mnt_option_at(n)); n++, last = o) {
		assert_true(!last || strcmp(last->name, o->name) < 0);
		assert_ptr_equal(mnt_option_find(o->name), o);
	}
	assert_true(n > 60);
}

static void cgroup_join_limits_and_kill(void **state)
{
	char path[96];
	(void) snprintf(path, sizeof(path), "coffer/test/kernel-%d", (int) getpid());
	struct cgroup cg;
	const char *failed;
	assert_int_equal(cgroup_create(&cg, path, 1u << CG_PIDS | 1u << CG_FREEZER, 0, &failed), 0);
	if (!cgroup_has(&cg.layout, CG_PIDS))
		fail_msg("this host has no pids controller, neither v1 nor v2");
	assert_int_equal(cgroup_write(&cg, CG_PIDS, "pids.max", "pids.max", "3"), 0);
	char v[32];
	assert_int_equal(cgroup_read(&cg, CG_PIDS, "pids.max", "pids.max", v, sizeof(v)), 0);
	assert_string_equal(v, "3");
	int fds[CG_CONTROLLER_MAX_];
	int n = cgroup_join_fds(&cg, fds);
	assert_true(n >= 0);
	struct pidref child = PIDREF_NULL;
	pid_t pid = process_clone(0, cg.v2, &child);
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(1);
		/* two more fit, the third must be refused */
		if (fork() == 0)
			pause();
		if (fork() == 0)
			pause();
		_exit(fork() < 0 && errno == EAGAIN ? 0 : 2);
	}
	for (int i = 0; i < n; i++)
		safe_close(fds[i]);
	int status;
	assert_int_equal(process_wait(pid, &status), 0);
	safe_close(child.fd);
	assert_int_equal(exit_code_from_status(status), 0);
	cgroup_done(&cg);
	assert_int_equal(cgroup_remove(path), 0); /* kills the two that are left */
	assert_int_equal(cgroup_open(&cg, path), -ENOENT);
	cgroup_done(&cg);
	assert_int_equal(cgroup_remove(path), 0); /* idempotent */
	assert_int_equal(cgroup_remove("coffer/test"), 0);
}

static void landlock_refuses_mounts_and_nodes(void **state)
{
	if (landlock_abi() == 0)
		fail_msg("the kernels that we support have Landlock (5.13)");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (confine_no_new_privs() < 0 || confine_landlock(false) < 0)
			_exit(1);
		if (mknodat(tmp_fd, "node", S_IFCHR | 0600, 0x103) == 0 || errno != EACCES)
			_exit(2);
		if (mount("x", tmp, "tmpfs", 0, NULL) == 0 || errno != EPERM)
			_exit(3);
		_exit(mkdirat(tmp_fd, "still", 0755) < 0 ? 4 : 0);
	}
	int status;
	assert_int_equal(process_wait(pid, &status), 0);
	assert_int_equal(exit_code_from_status(status), 0);
}

static void capabilities_drop(void **state)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct cap_sets c;
		uint64_t keep = 1ULL << 0 | 1ULL << 5;
		if (caps_drop_bounding(keep) < 0 || caps_set(keep, keep, 0) < 0 || caps_get(&c) < 0)
			_exit(1);
		_exit(c.effective == keep && c.permitted == keep && c.inheritable == 0 ? 0 : 2);
	}
	int status;
	assert_int_equal(process_wait(pid, &status), 0);
	assert_int_equal(exit_code_from_status(status), 0);
}

static void a_process_is_pid_and_start(void **state)
{
	uint64_t ticks;
	assert_int_equal(proc_start_ticks(getpid(), &ticks), 0);
	assert_true(proc_is(getpid(), ticks));
	assert_false(proc_is(getpid(), ticks + 1));
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t si;
	assert_int_equal(waitid(P_PID, (id_t) pid, &si, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_start_ticks(pid, &ticks), 0);
	assert_false(proc_is(pid, ticks)); /* a zombie is gone */
	assert_true(waitpid(pid, NULL, 0) == pid);
	assert_int_equal(proc_start_ticks(pid, &ticks), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_stay_inside),
		cmocka_unit_test(swap_never_escapes),
		cmocka_unit_test(idmapped_clone_shifts),
		cmocka_unit_test(idmap_of_proc_is_refused),
		cmocka_unit_test(mount_options_are_a_table),
		cmocka_unit_test(cgroup_join_limits_and_kill),
		cmocka_unit_test(landlock_refuses_mounts_and_nodes),
		cmocka_unit_test(capabilities_drop),
		cmocka_unit_test(a_process_is_pid_and_start),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
