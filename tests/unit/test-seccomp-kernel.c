/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled filters in the real kernel: installed in a forked child with no_new_privs, then asked with real calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/confine.h"
#include "seccomp/compile.h"

struct question {
	long nr, a0, a1;
	int want; /* errno; 0: success; -1: anything but EPERM and ENOSYS */
};

/* In the child: load, then ask. Return: 0, or the number of the first wrong answer, or 200 when loading failed. */
static int ask_all(const struct seccomp_program *p, const struct question *q, size_t n)
{
	if (confine_no_new_privs() < 0 || confine_seccomp(p->insn, p->n, 0) < 0)
		return 200;
	for (size_t i = 0; i < n; i++) {
		errno = 0;
		long r = syscall(q[i].nr, q[i].a0, q[i].a1, 0, 0, 0, 0);
		int got = r < 0 ? errno : 0;
		if (q[i].want >= 0 ? got != q[i].want : got == EPERM || got == ENOSYS)
			return (int) i + 1;
	}
	return 0;
}

static int in_child(const struct seccomp_program *p, const struct question *q, size_t n)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		(void) syscall(SYS_exit_group, ask_all(p, q, n)); /* not _exit(): a sanitizer's makes more calls */
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void the_default_profile_loads_and_answers(void **state)
{
	static const struct question questions[] = {
	    {SYS_getppid, 0, 0, 0},
	    {SYS_unshare, 0x10000000, 0, EPERM},
	    {SYS_setns, -1, 0, EPERM},
	    {SYS_mount, 0, 0, EPERM},
	    {435 /* clone3 */, 0, 0, ENOSYS},
	    {SYS_keyctl, 0, 0, EPERM},
	    {425 /* io_uring_setup */, 1, 0, EPERM},
	    {SYS_socket, 38, 5, EPERM},
	    {SYS_socket, 38 | 1L << 32, 5, EPERM},
	    {SYS_socket, 40, 1, EPERM},
	    {SYS_socket, 1, 1, 0},
	    {SYS_ioctl, -1, 0x5412, EPERM},
	    {SYS_ioctl, -1, 0x5412 | 1L << 32, EPERM},
	    {SYS_ioctl, -1, 0x541c, EPERM},
	    {SYS_ioctl, -1, 0x5401, EBADF},
	    {SYS_personality, 0xffffffff, 0, 0},
	    {SYS_personality, 0x0040000, 0, EPERM},
	    {470, 0, 0, ENOSYS},
	    {1023, 0, 0, ENOSYS},
	};
	struct seccomp_env env;
	struct err err;
	_cleanup_seccomp_program_ struct seccomp_program p = {0};
	seccomp_env_init(&env);
	env.caps = UINT64_C(0x800405fb);
	assert_int_equal(seccomp_compile(seccomp_profile_default(), &env, &p, &err), 0);
	assert_int_equal(in_child(&p, questions, ARRAY_LEN(questions)), 0);
}

static void a_killed_call_kills(void **state)
{
	static const char *const names[] = {"exit_group", "exit", NULL};
	static const struct question question[] = {{SYS_getppid, 0, 0, 0}};
	_cleanup_seccomp_program_ struct seccomp_program p = {0};
	struct err err;
	assert_int_equal(seccomp_compile_allow(names, SECCOMP_RET_KILL_PROCESS, &p, &err), 0);
	int status = in_child(&p, question, 1);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	assert_int_equal(in_child(&p, question, 0), 0);
}

#if defined(__x86_64__)
static void the_32_bit_entry_kills(void **state)
{
	struct seccomp_env env;
	struct err err;
	_cleanup_seccomp_program_ struct seccomp_program p = {0};
	seccomp_env_init(&env);
	assert_int_equal(seccomp_compile(seccomp_profile_default(), &env, &p, &err), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		long r = 20; /* getpid of i386 */
		if (confine_no_new_privs() < 0 || confine_seccomp(p.insn, p.n, 0) < 0)
			_exit(200);
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_loads_and_answers),
		cmocka_unit_test(a_killed_call_kills),
#if defined(__x86_64__)
		cmocka_unit_test(the_32_bit_entry_kills),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
