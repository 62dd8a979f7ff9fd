/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes that the kernel keeps per process: oom score, scheduling policy, I/O priority, CPU affinity, execution domain, memory
 * policy. What needs host privilege is set by the creator on the new process; what only a process can set on itself is set by it.
 * Sources: sched_setattr(2), ioprio_set(2), sched_setaffinity(2), personality(2), set_mempolicy(2), proc(5); config.md "Linux Process".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "sandbox/internal.h"

struct name_value {
	const char *name;
	uint64_t value;
};

static const struct name_value policies[] = {
	{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2}, {"SCHED_BATCH", 3}, {"SCHED_ISO", 4}, {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
};
static const struct name_value policy_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},        {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
	{"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20}, {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};
static const struct name_value io_classes[] = {{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
static const struct name_value domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
static const struct name_value mempolicies[] = {
	{"MPOL_DEFAULT", MPOL_DEFAULT}, {"MPOL_PREFERRED", MPOL_PREFERRED},           {"MPOL_BIND", MPOL_BIND}, {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
	{"MPOL_LOCAL", MPOL_LOCAL},     {"MPOL_PREFERRED_MANY", 5 /* Linux 5.15 */}, {"MPOL_WEIGHTED_INTERLEAVE", 6 /* Linux 6.9 */},
};
static const struct name_value mempolicy_flags[] = {
	{"MPOL_F_NUMA_BALANCING", 1u << 13 /* Linux 5.12 */}, {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES}, {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
};

static int value_of(const struct name_value *t, size_t n, const char *name, const char *field, uint64_t *ret, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(t[i].name, name)) {
			*ret = t[i].value;
			return 0;
		}
	return err_set(err, ERR_INVALID, "%s: '%s' is not known", field, name);
}

/* "0-3,7" to a bit set. @set: @bits bits, zeroed by us. */
static int parse_list(const char *text, const char *field, unsigned long *set, size_t bits, struct err *err)
{
	const size_t word = 8 * sizeof(*set);
	memset(set, 0, bits / 8);
	for (const char *p = text; *p;) {
		char part[32];
		size_t n = strcspn(p, ",");
		uint32_t from, to;
		if (str_format(part, sizeof(part), "%.*s", (int) n, p + strspn(p, " ")) < 0)
			return err_set(err, ERR_INVALID, "%s: '%s' is not a list like 0-3,7", field, text);
		part[strcspn(part, " ")] = '\0';
		char *dash = strchr(part, '-');
		if (dash)
			*dash = '\0';
		if (parse_u32(part, &from) < 0 || (dash ? parse_u32(dash + 1, &to) : (to = from, 0)) < 0 || to < from || to >= bits)
			return err_set(err, ERR_INVALID, "%s: '%s' is not a list like 0-3,7", field, text);
		for (uint32_t i = from; i <= to; i++)
			set[i / word] |= 1UL << (i % word);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* A forked creator sets what its child shall inherit before it gives its own privilege up; one that stays itself sets the child's. */
static pid_t target(const struct sandbox *s)
{
	return s->own_child ? s->child.pid : getpid();
}

static int write_oom_score(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	if (!p->has_oom_score_adj)
		return 0;
	char text[16], path[48];
	(void) snprintf(text, sizeof(text), "%d", p->oom_score_adj);
	(void) snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int) target(s));
	int r = write_file(AT_FDCWD, path, text);
	if (r == -EACCES && (s->rootless || s->nested))
		return 0; /* lower than our own: only the host's root may (proc(5)); ours holds, and it is the worse one for the container */
	return r < 0 ? err_sys(err, r, "process.oomScoreAdj: %d", p->oom_score_adj) : 0;
}

/* sched_setattr(2); glibc 2.36 has no wrapper and no struct. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int set_scheduler(struct sandbox *s, struct err *err)
{
	const struct scheduler_spec *c = &s->process->scheduler;
	if (!c->policy)
		return 0;
	uint64_t v = 0;
	int r = value_of(policies, ARRAY_LEN(policies), c->policy, "process.scheduler.policy", &v, err);
	if (r < 0)
		return r;
	struct sched_attributes a = {
		.size = sizeof(a), .policy = (uint32_t) v, .nice = c->nice, .priority = (uint32_t) c->priority,
		.runtime = c->runtime, .deadline = c->deadline, .period = c->period,
	};
	STRV_FOREACH(f, c->flags) {
		r = value_of(policy_flags, ARRAY_LEN(policy_flags), f, "process.scheduler.flags", &v, err);
		if (r < 0)
			return r;
		a.flags |= v;
	}
	return syscall(SYS_sched_setattr, target(s), &a, 0) < 0 ? err_sys(err, -errno, "process.scheduler: %s", c->policy) : 0;
}

static int set_io_priority(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	if (!p->io_class)
		return 0;
	uint64_t class = 0;
	int r = value_of(io_classes, ARRAY_LEN(io_classes), p->io_class, "process.ioPriority.class", &class, err);
	if (r < 0)
		return r;
	if (p->io_priority < 0 || p->io_priority > 7)
		return err_set(err, ERR_INVALID, "process.ioPriority.priority: %d is not between 0 and 7", p->io_priority);
	if (syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, target(s), class << 13 | (uint64_t) p->io_priority) < 0)
		return err_sys(err, -errno, "process.ioPriority: %s %d", p->io_class, p->io_priority);
	return 0;
}

static int set_affinity(pid_t pid, const char *list, const char *field, struct err *err)
{
	unsigned long set[8192 / (8 * sizeof(unsigned long))]; /* NR_CPUS of the largest distribution kernels */
	if (str_empty(list))
		return 0;
	int r = parse_list(list, field, set, 8 * sizeof(set), err);
	if (r < 0)
		return r;
	return syscall(SYS_sched_setaffinity, pid, sizeof(set), set) < 0 ? err_sys(err, -errno, "%s: '%s'", field, list) : 0;
}

static int attributes_host(struct sandbox *s, struct err *err)
{
	int r = write_oom_score(s, err);
	if (r == 0)
		r = set_scheduler(s, err);
	if (r == 0)
		r = set_io_priority(s, err);
	if (r == 0 && s->is_exec) /* the container's first process starts with its cgroup's own set */
		r = set_affinity(target(s), s->process->affinity_initial, "process.execCPUAffinity.initial", err);
	return r;
}

static int set_personality(struct sandbox *s, struct err *err)
{
	if (!s->spec->personality)
		return 0;
	uint64_t v = 0;
	int r = value_of(domains, ARRAY_LEN(domains), s->spec->personality, "linux.personality.domain", &v, err);
	if (r < 0)
		return r;
	STRV_FOREACH(f, s->spec->personality_flags)
		return err_set(err, ERR_UNSUPPORTED, "linux.personality.flags: '%s' is not known: the specification reserves the field and names none", f);
	return personality((unsigned long) v) < 0 ? err_sys(err, -errno, "linux.personality: %s", s->spec->personality) : 0;
}

static int set_memory_policy(struct sandbox *s, struct err *err)
{
	const struct memory_policy_spec *m = &s->spec->memory_policy;
	if (!m->mode)
		return 0;
	uint64_t mode = 0, flag = 0;
	unsigned long nodes[1024 / (8 * sizeof(unsigned long))]; /* MAX_NUMNODES of distribution kernels */
	int r = value_of(mempolicies, ARRAY_LEN(mempolicies), m->mode, "linux.memoryPolicy.mode", &mode, err);
	STRV_FOREACH(f, m->flags) {
		r = r < 0 ? r : value_of(mempolicy_flags, ARRAY_LEN(mempolicy_flags), f, "linux.memoryPolicy.flags", &flag, err);
		if (r == 0)
			mode |= flag;
	}
	if (r == 0)
		r = parse_list(m->nodes ? m->nodes : "", "linux.memoryPolicy.nodes", nodes, 8 * sizeof(nodes), err);
	if (r < 0)
		return r;
	bool none = str_empty(m->nodes);
	if (syscall(SYS_set_mempolicy, (int) mode, none ? NULL : nodes, none ? 0UL : 8 * sizeof(nodes) + 1) < 0)
		return err_sys(err, -errno, "linux.memoryPolicy: %s '%s'", m->mode, m->nodes ? m->nodes : "");
	return 0;
}

int attributes_before(struct sandbox *s, struct err *err)
{
	return s->own_child ? 0 : attributes_host(s, err);
}

int attributes_after(struct sandbox *s, struct err *err)
{
	return s->own_child ? attributes_host(s, err) : 0;
}

int attributes_own(struct sandbox *s, struct err *err)
{
	int r = set_personality(s, err);
	if (r == 0)
		r = set_memory_policy(s, err);
	if (r == 0 && s->is_exec)
		r = set_affinity(0, s->process->affinity_final, "process.execCPUAffinity.final", err);
	return r;
}
