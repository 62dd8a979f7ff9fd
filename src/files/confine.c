/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a confined helper still may: files of the container, memory that is not executable, its two ends. The capabilities are those of the
 * container's user namespace, where they mean the container's files and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "files/serve.h"
#include "kernel/compat.h"
#include "kernel/confine.h"
#include "kernel/helper.h"

#define CAP(c) (1ULL << (c))
#define READ_CAPS CAP(CAP_DAC_OVERRIDE)
#define WRITE_CAPS (READ_CAPS | CAP(CAP_CHOWN) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) | CAP(CAP_SETFCAP))

static const int reading[] = {
	SYS_read, SYS_write, SYS_lseek, SYS_close, SYS_openat, SYS_openat2, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_readlinkat, SYS_fgetxattr, SYS_flistxattr, SYS_getdents64,
	SYS_fcntl, SYS_sendmsg, SYS_recvmsg, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise, SYS_getrandom, SYS_clock_gettime, SYS_exit_group, SYS_exit, SYS_restart_syscall, SYS_rt_sigreturn,
	SYS_sysinfo, /* glibc's qsort() asks how much memory there is */
#ifdef BUILD_SANITIZED /* its allocator and its reports */
	SYS_sched_yield, SYS_futex, SYS_getpid, SYS_gettid, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_prctl, SYS_ioctl,
#endif
};
static const int writing[] = {
	SYS_pwrite64, SYS_ftruncate, SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat2, SYS_fchown, SYS_fchownat, SYS_fchmod, SYS_utimensat, SYS_fsetxattr,
};

static int set_limits(const struct files_budget *b, struct err *err)
{
	const struct helper_limit limits[] = {
		{RLIMIT_NOFILE, 2 * b->depth + 64}, {RLIMIT_CORE, 1}, {RLIMIT_CPU, b->cpu_s}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0}, {RLIMIT_FSIZE, b->bytes},
#ifndef BUILD_SANITIZED /* its shadow needs terabytes of address space */
		{RLIMIT_AS, b->memory},
#endif
	};
	int r = helper_limits(limits, ARRAY_LEN(limits));
	return r < 0 ? err_sys(err, r, "files helper: setting its limits") : 0;
}

/* Move @fd to @to, which is free or whose content is done with. */
static int place(int *fd, int to)
{
	if (*fd < 0 || *fd == to)
		return 0;
	if (dup3(*fd, to, O_CLOEXEC) < 0)
		return -errno;
	(void) close(*fd);
	*fd = to;
	return 0;
}

/* The view's descriptors behind the stream, and nothing else open: first out of the way of each other. */
static int close_others(struct files_view *v)
{
	int *fds[] = {&v->root, &v->upper, &v->lower}, to = FILES_FD_STREAM + 1, r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fds); i++)
		if (*fds[i] >= 0) {
			int up = fcntl(*fds[i], F_DUPFD_CLOEXEC, 20);
			if (up < 0)
				return -errno;
			*fds[i] = up;
		}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fds); i++)
		if (*fds[i] >= 0)
			r = place(fds[i], to++);
	return r < 0 ? r : close_from((unsigned) to);
}

int files_confine(const struct files_request *req, struct files_view *view, struct err *err)
{
	int allowed[ARRAY_LEN(reading) + ARRAY_LEN(writing)];
	size_t n = ARRAY_LEN(reading);
	memcpy(allowed, reading, sizeof(reading));
	if (req->job == FILES_PUT) {
		memcpy(allowed + n, writing, sizeof(writing));
		n += ARRAY_LEN(writing);
	}
	int r = close_others(view);
	if (r < 0)
		return err_sys(err, r, "files helper: closing descriptors");
	r = set_limits(&req->budget, err);
	if (r < 0)
		return r;
	(void) umask(0);
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, -errno, "files helper: prctl");
	r = confine_keyring();
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "files helper: making a session keyring");
	r = helper_caps(req->job == FILES_PUT ? WRITE_CAPS : READ_CAPS);
	if (r < 0)
		return err_sys(err, r, "files helper: dropping capabilities");
	r = helper_seccomp(allowed, n);
	return r < 0 ? err_sys(err, r, "files helper: installing its seccomp filter") : 0;
}
