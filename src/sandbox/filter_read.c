/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of a running process, read back from the kernel and hashed: the one way to know that what confines it is
 * what was compiled. The process is stopped for the time of two system calls (PTRACE_SEIZE, so that no SIGSTOP is seen).
 */
#include <errno.h>
#include <linux/filter.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/digest.h"
#include "sandbox/posture_facts.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

/* Filters are counted from the newest (0); ours is the only one or the oldest that the container could not remove. */
static int get_filter(pid_t pid, char hash[65])
{
	long n = -1, index = 0;
	for (long i = 0; i < 64; i++) {
		long len = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *) i, NULL);
		if (len < 0)
			break;
		n = len;
		index = i;
	}
	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	struct sock_filter *f = calloc((size_t) n, sizeof(*f));
	if (!f)
		return -ENOMEM;
	long got = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *) index, f);
	if (got == n)
		digest_sha256_hex(f, (size_t) n * sizeof(*f), hash);
	int e = errno;
	free(f);
	return got == n ? (int) n : -e;
}

int filter_read_back(pid_t pid, char hash[65])
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return -errno;
	int status, r;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
		r = -errno;
	else
		r = get_filter(pid, hash);
	(void) ptrace(PTRACE_DETACH, pid, NULL, NULL); /* gone: nothing to detach from */
	return r == -EIO || r == -EINVAL ? -EOPNOTSUPP : r;
}
