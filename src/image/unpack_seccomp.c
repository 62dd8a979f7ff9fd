/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a confined unpacker still may ask of the kernel: files below its root, memory that is not executable, its two sockets' ends.
 * Anything else kills it: no part of the job needs it, so only a helper that was taken over asks.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "image/unpack.h"
#include "kernel/compat.h"
#include "kernel/confine.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp table for this architecture"
#endif

static const int allowed[] = {
	SYS_read, SYS_write, SYS_lseek, SYS_close, SYS_openat, SYS_openat2, SYS_newfstatat, SYS_fstat, SYS_ftruncate,
	SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_readlinkat, SYS_fchown, SYS_fchownat,
	SYS_fchmod, SYS_utimensat, SYS_fsetxattr, SYS_getdents64, SYS_fcntl, SYS_sendmsg, SYS_recvmsg,
	SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_getrandom, SYS_clock_gettime, SYS_exit_group, SYS_exit, SYS_restart_syscall,
#ifdef BUILD_SANITIZED /* its allocator and its reports */
	SYS_sched_yield, SYS_futex, SYS_getpid, SYS_gettid, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_prctl, SYS_ioctl,
#endif
};

int unpack_seccomp(void)
{
	struct sock_filter f[2 * ARRAY_LEN(allowed) + 16];
	size_t n = 0;
	f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) { /* an x32 number has bit 30 set and equals none of these */
		f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) allowed[i], 0, 1);
		f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0);
	f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])); /* prot, low half */
	f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	assert(n <= ARRAY_LEN(f));
	return confine_seccomp(f, n, 0);
}
