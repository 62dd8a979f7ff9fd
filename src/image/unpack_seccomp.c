/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a confined unpacker still may ask of the kernel: files below its root, memory that is not executable, its two sockets' ends.
 * Anything else kills it: no part of the job needs it, so only a helper that was taken over asks.
 */
#include <sys/syscall.h>

#include "image/unpack.h"
#include "kernel/helper.h"

static const int allowed[] = {
	SYS_read, SYS_write, SYS_lseek, SYS_close, SYS_openat, SYS_openat2, SYS_newfstatat, SYS_fstat, SYS_ftruncate,
	SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_readlinkat, SYS_fchown, SYS_fchownat,
	SYS_fchmod, SYS_utimensat, SYS_fsetxattr, SYS_sync_file_range, SYS_getdents64, SYS_fcntl, SYS_sendmsg, SYS_recvmsg,
	SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_getrandom, SYS_clock_gettime, SYS_exit_group, SYS_exit, SYS_restart_syscall,
#ifdef BUILD_SANITIZED /* its allocator and its reports */
	SYS_sched_yield, SYS_futex, SYS_getpid, SYS_gettid, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_prctl, SYS_ioctl,
#endif
};

int unpack_seccomp(void)
{
	return helper_seccomp(allowed, ARRAY_LEN(allowed));
}
