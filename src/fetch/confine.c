/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to coffer-fetch: sockets to the network, names (so: the C library's resolver with its configuration and modules, and a thread
 * for it), files that everybody may read. It runs as an id that owns nothing and that no container maps, may write no file, start no
 * program and reach no abstract socket. An unknown call is refused and not fatal: which ones a resolver's module makes differs from host to host.
 */
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/helper_ids.h"
#include "base/str.h"
#include "fetch/serve.h"
#include "kernel/caps.h"
#include "kernel/compat.h"
#include "kernel/confine.h"
#include "kernel/helper.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp table for this architecture"
#endif

static const int allowed[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_close, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_lseek, SYS_mmap, SYS_mprotect,
	SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_ppoll, SYS_pselect6,
	SYS_sched_yield, SYS_sched_getaffinity, SYS_dup, SYS_connect, SYS_bind, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg,
	SYS_recvmmsg, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_socketpair, SYS_setsockopt, SYS_getsockopt, SYS_exit, SYS_exit_group,
	SYS_uname, SYS_fcntl, SYS_getcwd, SYS_readlinkat, SYS_faccessat, SYS_gettimeofday, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpid,
	SYS_gettid, SYS_tgkill, SYS_sysinfo, SYS_futex, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_getdents64, SYS_set_tid_address,
	SYS_set_robust_list, SYS_rseq, SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_openat, SYS_pipe2, SYS_eventfd2,
	SYS_getrandom, SYS_restart_syscall, SYS_ioctl, SYS_membarrier,
#ifdef __x86_64__
	SYS_open, SYS_stat, SYS_lstat, SYS_poll, SYS_select, SYS_access, SYS_readlink, SYS_time, SYS_epoll_wait, SYS_arch_prctl,
#endif
#ifdef BUILD_SANITIZED
	SYS_prctl, SYS_getppid, SYS_process_vm_readv,
#endif
};
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

#define STMT(code, k) (struct sock_filter) BPF_STMT(code, (uint32_t) (k))
#define JUMP(code, k, t, f) (struct sock_filter) BPF_JUMP(code, (uint32_t) (k), t, f)

static int install_filter(void)
{
	struct sock_filter f[2 * ARRAY_LEN(allowed) + 40];
	const struct sock_filter allow = STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), refuse = STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	size_t n = 0;
	f[n++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	f[n++] = STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[n++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) { /* an x32 number has bit 30 set and equals none of these */
		f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		f[n++] = allow;
	}
	f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1); /* its flags cannot be seen from here; the C library falls back to clone */
	f[n++] = STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4); /* threads, nothing else */
	f[n++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	f[n++] = JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
	f[n++] = allow;
	f[n++] = refuse;
	f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1 + 2 * ARRAY_LEN(families));
	f[n++] = STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		f[n++] = JUMP(BPF_JMP | BPF_JEQ | BPF_K, families[i], 0, 1);
		f[n++] = allow;
	}
	f[n++] = refuse;
	assert(n <= ARRAY_LEN(f));
	return confine_seccomp(f, n, 0);
}

static int set_limits(void)
{
	static const struct helper_limit limits[] = {
		{RLIMIT_NOFILE, 64}, {RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0},
#ifndef BUILD_SANITIZED
		{RLIMIT_AS, 1UL << 30},
#endif
	};
	return helper_limits(limits, ARRAY_LEN(limits));
}

static int become_nobody(void)
{
	const uid_t id = HELPER_ID_FIRST + HELPER_ID_COUNT - 1; /* the unpacker's root is the first of the range */
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return -errno;
	return 0;
}

/* While we still may; the others go with root's id, helper_caps() would come too late for this one and too early for that. */
static int drop_bounding(void)
{
	return caps_drop_bounding(0);
}

static int no_caps(void)
{
	int r = caps_set(0, 0, 0);
	return r < 0 ? r : confine_no_new_privs();
}

static int undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int landlock(void)
{
	int r = confine_landlock_readonly();
	return r == -EOPNOTSUPP ? 0 : r; /* an id that owns nothing writes nothing on a kernel without, either */
}

static int keyring(void)
{
	int r = confine_keyring();
	return r == -ENOSYS ? 0 : r;
}

int fetch_confine(struct err *err)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} steps[] = {
		{"limits", set_limits}, {"keyring", keyring}, {"bounding set", drop_bounding}, {"ids", become_nobody}, {"capabilities", no_caps}, {"dumpable", undumpable},
		{"Landlock", landlock}, {"seccomp", install_filter},
	};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r = steps[i].fn();
		if (r < 0)
			return err_sys(err, r, "fetcher: confining itself: %s", steps[i].name);
	}
	return 0;
}
