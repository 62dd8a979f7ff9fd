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
enum { FILTER_MAX = 512 };

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

struct filter {
	struct sock_filter v[FILTER_MAX];
	size_t n;
};

static void add(struct filter *f, struct sock_filter i)
{
	assert(f->n < FILTER_MAX);
	f->v[f->n++] = i;
}

static void load(struct filter *f, size_t offset)
{
	add(f, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset));
}

static void add_rule(struct filter *f, const struct helper_rule *r)
{
	add(f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) r->nr, 0, 5));
	load(f, offsetof(struct seccomp_data, args) + 8 * r->arg); /* little-endian: the low half */
	add(f, (struct sock_filter) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask));
	add(f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1));
	add(f, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	load(f, offsetof(struct seccomp_data, nr));
}

int helper_seccomp_rules(const int *allowed, size_t n, const struct helper_rule *rules, size_t n_rules)
{
	static const struct helper_rule memory[] = {{SYS_mmap, 2, PROT_EXEC, 0}, {SYS_mprotect, 2, PROT_EXEC, 0}};
	struct filter f = {.n = 0};
	load(&f, offsetof(struct seccomp_data, arch));
	add(&f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0));
	add(&f, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	load(&f, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n; i++) { /* an x32 number has bit 30 set and equals none of these */
		add(&f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) allowed[i], 0, 1));
		add(&f, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	}
	for (size_t i = 0; i < n_rules; i++)
		add_rule(&f, &rules[i]);
	for (size_t i = 0; i < ARRAY_LEN(memory); i++)
		add_rule(&f, &memory[i]);
	add(&f, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	return confine_seccomp(f.v, f.n, 0);
}

int helper_seccomp(const int *allowed, size_t n)
{
	return helper_seccomp_rules(allowed, n, NULL, 0);
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
