/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-init: pid 1 of a container that was run with --init. It starts its arguments as its child, in a process group of its own that gets the
 * terminal if there is one, forwards every signal that can be forwarded, reaps orphans, and leaves with the child's status.
 *
 * It is here in every such container, below our seccomp filter and with no_new_privs, so it is made without a C library: no memory of its own but
 * a stack, a few kilobytes of text, nothing to initialise. Only kernel constants are taken from the headers.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#undef errno /* system calls return it here, negated */

#if defined(__x86_64__)
static inline long sys(long nr, long a, long b, long c, long d)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#elif defined(__aarch64__)
static inline long sys(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tand sp, x0, #-16\n\tbl begin\n");
#else
#error "coffer-init has no system call of this architecture"
#endif

#define SIGSET_BYTES 8 /* the kernel's sigset_t */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define BIT(sig) (1ull << ((sig) -1))

/* The compiler may call these by itself. */
void *memcpy(void *to, const void *from, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((char *) to)[i] = ((const char *) from)[i];
	return to;
}

void *memset(void *to, int c, unsigned long n);
void *memset(void *to, int c, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((volatile char *) to)[i] = (char) c;
	return to;
}

static unsigned long length(const char *s)
{
	unsigned long n = 0;
	while (s[n])
		n++;
	return n;
}

_Noreturn static void leave(int code)
{
	for (;;)
		(void) sys(__NR_exit_group, code, 0, 0, 0);
}

static void say(const char *s)
{
	(void) sys(__NR_write, 2, (long) s, (long) length(s), 0);
}

_Noreturn static void die(int code, const char *name, const char *why)
{
	say("coffer-init: ");
	if (name) {
		say("'");
		say(name);
		say("': ");
	}
	say(why);
	say("\n");
	leave(code);
}

/* --- starting --- */

static const char *path_of(char *const *env)
{
	for (; *env; env++) {
		const char *want = "PATH=", *have = *env;
		while (*want && *want == *have) {
			want++;
			have++;
		}
		if (!*want)
			return have;
	}
	return DEFAULT_PATH;
}

static int has_slash(const char *s)
{
	while (*s && *s != '/')
		s++;
	return *s == '/';
}

/* As execvp(3): a directory that may not be searched or a file that may not be executed is remembered, and the search goes on. Return: why nothing
 * was executed. */
static long exec_by_path(char **argv, char **env)
{
	char file[PATH_MAX];
	const char *p = path_of(env);
	unsigned long name_len = length(argv[0]);
	long why = -ENOENT;
	if (!name_len)
		return why;
	if (has_slash(argv[0]))
		return sys(__NR_execve, (long) argv[0], (long) argv, (long) env, 0);
	for (;;) {
		unsigned long n = 0;
		while (p[n] && p[n] != ':')
			n++;
		if (n + name_len + 2 <= sizeof(file)) {
			memcpy(file, p, n);
			if (n)
				file[n] = '/';
			memcpy(file + n + (n ? 1 : 0), argv[0], name_len + 1);
			long r = sys(__NR_execve, (long) file, (long) argv, (long) env, 0);
			if (r == -EACCES)
				why = r;
			else if (r != -ENOENT && r != -ENOTDIR && r != -ELOOP && r != -ENAMETOOLONG)
				return r;
		}
		if (!p[n])
			return why;
		p += n + 1;
	}
}

static const char *reason(long r)
{
	switch (-r) {
	case ENOENT:
	case ENOTDIR:
		return "no such file or directory";
	case EACCES:
		return "permission denied";
	case EISDIR:
		return "is a directory";
	case ENOEXEC:
		return "exec format error";
	case E2BIG:
		return "argument list too long";
	case ENOMEM:
		return "out of memory";
	default:
		return "cannot be executed";
	}
}

struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static void signal_set(int sig, void (*handler)(int))
{
	struct kernel_sigaction a;
	memset(&a, 0, sizeof(a));
	a.handler = handler;
	(void) sys(__NR_rt_sigaction, sig, (long) &a, 0, SIGSET_BYTES);
}

/* A new process group, which becomes the terminal's foreground: a shell's job control then works, and keys send signals to it directly. */
static void take_terminal(void)
{
	(void) sys(__NR_setpgid, 0, 0, 0, 0); /* fails for nobody but a session leader, which a fresh child is not */
	int group = (int) sys(__NR_getpid, 0, 0, 0, 0);
	signal_set(SIGTTOU, SIG_IGN); /* we ask from the background */
	(void) sys(__NR_ioctl, 0, TIOCSPGRP, (long) &group, 0); /* ENOTTY: there is no terminal */
	signal_set(SIGTTOU, SIG_DFL);
}

_Noreturn static void be_child(char **argv, char **env, uint64_t old_mask)
{
	take_terminal();
	(void) sys(__NR_rt_sigprocmask, SIG_SETMASK, (long) &old_mask, 0, SIGSET_BYTES);
	long r = exec_by_path(argv, env);
	die(r == -ENOENT || r == -ENOTDIR ? 127 : 126, argv[0], reason(r));
}

/* --- waiting --- */

static int code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* reap what there is; leave with the child */
static void reap(long child)
{
	for (;;) {
		int status = 0;
		long pid = sys(__NR_wait4, -1, (long) &status, WNOHANG, 0);
		if (pid == child)
			leave(code_of(status));
		if (pid == -ECHILD)
			leave(1); /* the child cannot be gone before it was seen */
		if (pid <= 0)
			return;
	}
}

_Noreturn static void serve(long child, uint64_t mask)
{
	for (;;) {
		long sig = sys(__NR_rt_sigtimedwait, (long) &mask, 0, 0, SIGSET_BYTES);
		if (sig == SIGCHLD)
			reap(child);
		else if (sig > 0)
			(void) sys(__NR_kill, child, sig, 0, 0); /* ESRCH: SIGCHLD follows */
	}
}

void begin(long *stack) __attribute__((noreturn, used));
void begin(long *stack)
{
	long argc = stack[0];
	char **argv = (char **) (stack + 1), **env = argv + argc + 1;
	/* what says that this program itself is broken is not held back, nor what stops it at the terminal */
	uint64_t mask = ~(BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGABRT) | BIT(SIGTRAP) | BIT(SIGSYS) | BIT(SIGTTIN) | BIT(SIGTTOU)), old = 0;
	if (argc > 1 && argv[1][0] == '-' && argv[1][1] == '-' && !argv[1][2]) { /* "coffer-init -- COMMAND", as docker-init is called */
		argv++;
		argc--;
	}
	if (argc < 2)
		die(125, 0, "usage: coffer-init COMMAND [ARG...]");
	(void) sys(__NR_rt_sigprocmask, SIG_SETMASK, (long) &mask, (long) &old, SIGSET_BYTES);
	signal_set(SIGCHLD, SIG_DFL);
	signal_set(SIGTTIN, SIG_IGN);
	signal_set(SIGTTOU, SIG_IGN);
	long child = sys(__NR_clone, SIGCHLD, 0, 0, 0);
	if (child == 0) {
		signal_set(SIGTTIN, SIG_DFL);
		be_child(argv + 1, env, old);
	}
	if (child < 0)
		die(126, argv[1], child == -EAGAIN ? "the container's limit of processes is reached" : "cannot start a process");
	serve(child, mask);
}
