/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/helper.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kernel/caps.h"
#include "kernel/compat.h"
#include "kernel/confine.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp table for this architecture"
#endif
enum { ALLOWED_MAX = 120 }; /* jumps are 8 bits wide only within a row */

int helper_limits(const struct helper_limit *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit now;
		if (getrlimit(v[i].what, &now) < 0)
			return -errno;
		rlim_t max = MIN((rlim_t) v[i].max, now.rlim_max);
		const struct rlimit set = {.rlim_cur = max, .rlim_max = max};
		if (setrlimit(v[i].what, &set) < 0)
			return -errno;
	}
	(void) signal(SIGXFSZ, SIG_IGN); /* cannot fail */
	return 0;
}

int helper_caps(uint64_t keep)
{
	int r = caps_drop_bounding(keep);
	if (r >= 0)
		r = caps_raise_ambient(0);
	if (r >= 0)
		r = caps_set(keep, keep, 0);
	return r < 0 ? r : confine_no_new_privs();
}

int helper_seccomp(const int *allowed, size_t n_allowed)
{
	struct sock_filter f[2 * ALLOWED_MAX + 16];
	size_t n = 0;
	assert(n_allowed <= ALLOWED_MAX);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n_allowed; i++) { /* an x32 number has bit 30 set and equals none of these */
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

int helper_mind(const struct pidref *child, int sock)
{
	struct pollfd p[2] = {{.fd = child->fd, .events = POLLIN}, {.fd = sock}};
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents || p[1].revents & (POLLHUP | POLLERR))
			break;
	}
	(void) process_kill(child->fd, SIGKILL); /* a zombie does not mind */
	int status = 0;
	return process_wait(child->pid, &status) < 0 ? 127 : exit_code_from_status(status);
}
