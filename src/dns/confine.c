/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/helper_ids.h"
#include "kernel/caps.h"
#include "kernel/compat.h"
#include "kernel/confine.h"
#include "kernel/helper.h"

#define MEMORY_MAX (1ULL << 30)
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#ifdef BUILD_SANITIZED /* its allocator and its reports */
#define SANITIZER_CALLS SYS_sched_yield, SYS_futex, SYS_getpid, SYS_gettid, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_prctl, SYS_write,
#else
#define SANITIZER_CALLS
#endif

#ifdef SYS_epoll_wait
#define EPOLL_WAIT SYS_epoll_wait, SYS_epoll_pwait
#else
#define EPOLL_WAIT SYS_epoll_pwait
#endif

/* Packets in and out of descriptors that are there, and memory. */
#define WORKER_CALLS                                                                                                   \
	SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_accept4, EPOLL_WAIT, SYS_epoll_ctl, SYS_close, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, \
		SYS_getrandom, SYS_clock_gettime, SYS_exit_group, SYS_exit, SYS_restart_syscall, SYS_rt_sigreturn

static const int worker_calls[] = {SANITIZER_CALLS WORKER_CALLS};

/* Besides: a worker is forked, confined, waited for and killed; the host's resolv.conf is read; sockets lead to resolvers; the lock of the last look. */
static const int keeper_calls[] = {
	SANITIZER_CALLS WORKER_CALLS, SYS_connect, SYS_wait4, SYS_kill, SYS_openat, SYS_read, SYS_write, SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_flock, SYS_fcntl, SYS_setsid,
	SYS_epoll_create1, SYS_setsockopt, SYS_prctl, SYS_seccomp, SYS_getpid, SYS_getppid, SYS_gettid, SYS_set_robust_list, SYS_rseq, SYS_prlimit64, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_dup3,
};
static const struct helper_rule keeper_rules[] = {
	{SYS_socket, 0, UINT32_MAX, AF_INET},
	{SYS_socket, 0, UINT32_MAX, AF_INET6},
	{SYS_socketpair, 0, UINT32_MAX, AF_UNIX},
	{SYS_clone, 0, NAMESPACES, 0},
	{SYS_ioctl, 1, UINT32_MAX, SIOCGIFINDEX},
};

static int set_limits(void)
{
	struct rlimit files;
	const struct rlimit core = {.rlim_cur = 1, .rlim_max = 1}; /* 1: no helper program gets it either (core(5)) */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
		return -errno;
	files.rlim_cur = files.rlim_max; /* two sockets for each container */
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
#ifndef BUILD_SANITIZED /* its shadow needs terabytes of address space */
	const struct rlimit memory = {.rlim_cur = MEMORY_MAX, .rlim_max = MEMORY_MAX};
	if (setrlimit(RLIMIT_AS, &memory) < 0)
		return -errno;
#endif
	return 0;
}

static int change_id(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(HELPER_ID_DNS, HELPER_ID_DNS, HELPER_ID_DNS) < 0 || setresuid(HELPER_ID_DNS, HELPER_ID_DNS, HELPER_ID_DNS) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static int no_capabilities(void)
{
	int r = caps_raise_ambient(0);
	return r < 0 ? r : caps_set(0, 0, 0);
}

static int own_keyring(void)
{
	int r = confine_keyring();
	return r == -ENOSYS ? 0 : r;
}

static int drop_bounding(void)
{
	return caps_drop_bounding(0);
}

static int keeper_filter(void)
{
	return helper_seccomp_rules(keeper_calls, ARRAY_LEN(keeper_calls), keeper_rules, ARRAY_LEN(keeper_rules));
}

int dns_confine_keeper(struct err *err)
{
	static const struct {
		const char *what;
		int (*fn)(void);
	} steps[] = {
		{"limits", set_limits},
		{"bounding set", drop_bounding},
		{"user id", change_id},
		{"capabilities", no_capabilities},
		{"keyring", own_keyring},
		{"no_new_privs", confine_no_new_privs},
		{"seccomp filter", keeper_filter},
	};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r = steps[i].fn();
		if (r < 0)
			return err_sys(err, r, "name server: setting its %s", steps[i].what);
	}
	return 0;
}

int dns_confine_worker(void)
{
	return helper_seccomp(worker_calls, ARRAY_LEN(worker_calls));
}
