/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup limits, device rules and rlimits: finite defaults, never inherited (R12). */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/internal.h"

#define CPU_PERIOD_US 100000

/* Without a mount namespace of its own on these nodes a container cannot work; anything else is asked for (threats.md section 2, Devices). */
static const struct device_rule device_defaults[] = {
	{.allow = false, .type = 'a', .major = -1, .minor = -1, .access = "rwm"},
	{.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "rwm"},	/* null */
	{.allow = true, .type = 'c', .major = 1, .minor = 5, .access = "rwm"},	/* zero */
	{.allow = true, .type = 'c', .major = 1, .minor = 7, .access = "rwm"},	/* full */
	{.allow = true, .type = 'c', .major = 1, .minor = 8, .access = "rwm"},	/* random */
	{.allow = true, .type = 'c', .major = 1, .minor = 9, .access = "rwm"},	/* urandom */
	{.allow = true, .type = 'c', .major = 5, .minor = 0, .access = "rwm"},	/* tty */
	{.allow = true, .type = 'c', .major = 5, .minor = 1, .access = "rwm"},	/* console */
	{.allow = true, .type = 'c', .major = 5, .minor = 2, .access = "rwm"},	/* ptmx */
	{.allow = true, .type = 'c', .major = 136, .minor = -1, .access = "rwm"}, /* pts */
};

/* "c 1:3 rwm", whose form the request's reader has checked */
static void device_rule_of(const char *text, struct device_rule *ret)
{
	const char *part[2] = {text + 2, strchr(text, ':') + 1};
	long long n[2] = {-1, -1}; /* '*' */
	for (int i = 0; i < 2; i++)
		(void) sscanf(part[i], "%9lld", &n[i]);
	*ret = (struct device_rule){.allow = true, .type = text[0], .major = n[0], .minor = n[1]};
	(void) str_copy(ret->access, sizeof(ret->access), strrchr(text, ' ') + 1); /* at most 3 */
}

static int device_rules(const struct container_request *r, struct resources_spec *s, struct err *err)
{
	s->devices = calloc(ARRAY_LEN(device_defaults) + r->n_devices + strv_len(r->device_cgroup_rules), sizeof(*s->devices));
	if (!s->devices)
		return err_oom(err);
	memcpy(s->devices, device_defaults, sizeof(device_defaults));
	s->n_devices = ARRAY_LEN(device_defaults);
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_request *d = &r->devices[i];
		struct stat st;
		if (stat(d->host, &st) < 0)
			return err_sys(err, -errno, "device '%.200s'", d->host);
		struct device_rule *rule = &s->devices[s->n_devices++];
		*rule = (struct device_rule){.allow = true, .type = S_ISBLK(st.st_mode) ? 'b' : 'c', .major = (int64_t) major(st.st_rdev), .minor = (int64_t) minor(st.st_rdev)};
		(void) str_copy(rule->access, sizeof(rule->access), str_empty(d->permissions) ? "rwm" : d->permissions); /* at most 3 by policy */
	}
	STRV_FOREACH(text, r->device_cgroup_rules)
		device_rule_of(text, &s->devices[s->n_devices++]);
	return 0;
}

static void memory(const struct container_request *r, struct resources_spec *s)
{
	s->has_memory = r->memory > 0;
	s->memory = r->memory;
	s->has_reservation = r->memory_reservation > 0;
	s->reservation = r->memory_reservation;
	s->has_swap = r->memory > 0 && r->memory_swap != 0;
	s->swap = r->memory_swap;
	if (r->memory > 0 && r->memory_swap == 0) { /* docker's default: as much swap as memory */
		s->has_swap = true;
		s->swap = r->memory > INT64_MAX / 2 ? -1 : r->memory * 2;
	}
	s->has_swappiness = r->memory_swappiness >= 0;
	s->swappiness = (uint64_t) MAX(r->memory_swappiness, 0);
	s->has_oom_disable = s->oom_disable = r->oom_kill_disable;
}

static int cpu(const struct container_request *r, struct resources_spec *s)
{
	s->has_shares = r->cpu_shares > 0;
	s->shares = (uint64_t) MAX(r->cpu_shares, 0);
	if (r->nano_cpus > 0) {
		s->has_period = s->has_quota = true;
		s->period = CPU_PERIOD_US;
		s->quota = r->nano_cpus / (1000000000 / CPU_PERIOD_US);
	} else {
		s->has_period = r->cpu_period > 0;
		s->period = (uint64_t) MAX(r->cpu_period, 0);
		s->has_quota = r->cpu_quota != 0;
		s->quota = r->cpu_quota;
	}
	s->has_rt_period = r->cpu_rt_period > 0;
	s->rt_period = (uint64_t) MAX(r->cpu_rt_period, 0);
	s->has_rt_runtime = r->cpu_rt_runtime > 0;
	s->rt_runtime = r->cpu_rt_runtime;
	if (!str_empty(r->cpuset_cpus) && !(s->cpus = strdup(r->cpuset_cpus)))
		return -ENOMEM;
	if (!str_empty(r->cpuset_mems) && !(s->mems = strdup(r->cpuset_mems)))
		return -ENOMEM;
	return 0;
}

static int blkio_list(const struct blkio_limits *l, bool weight, struct blkio_list *ret, struct err *err)
{
	ret->v = l->n ? calloc(l->n, sizeof(*ret->v)) : NULL;
	if (l->n && !ret->v)
		return err_oom(err);
	for (size_t i = 0; i < l->n; i++) {
		struct stat st;
		if (stat(l->v[i].path, &st) < 0)
			return err_sys(err, -errno, "block device '%.200s'", l->v[i].path);
		uint64_t n = (uint64_t) l->v[i].value;
		ret->v[ret->n++] = (struct blkio_device){.major = (int64_t) major(st.st_rdev), .minor = (int64_t) minor(st.st_rdev), .weight = weight ? n : 0, .rate = weight ? 0 : n};
	}
	return 0;
}

static int blkio(const struct container_request *r, struct resources_spec *s, struct err *err)
{
	const struct {
		const struct blkio_limits *from;
		struct blkio_list *to;
	} lists[] = {
		{&r->blkio_read_bps, &s->throttle[BLKIO_READ_BPS]}, {&r->blkio_write_bps, &s->throttle[BLKIO_WRITE_BPS]},
		{&r->blkio_read_iops, &s->throttle[BLKIO_READ_IOPS]}, {&r->blkio_write_iops, &s->throttle[BLKIO_WRITE_IOPS]},
	};
	s->has_blkio_weight = r->blkio_weight > 0;
	s->blkio_weight = (uint32_t) r->blkio_weight;
	int rc = blkio_list(&r->blkio_weight_devices, true, &s->blkio_weight_devices, err);
	for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(lists); i++)
		rc = blkio_list(lists[i].from, false, lists[i].to, err);
	return rc;
}

/* What no --ulimit names: as much as the host's root has at most, and less where a default is wiser. */
static const struct {
	const char *name;
	int resource;
	uint64_t soft, hard;
} rlimits[] = {
	{"RLIMIT_CORE", RLIMIT_CORE, 1, 1}, /* exactly 1 keeps piped core_pattern helpers away too (core(5), kernel/coredump.c) */
	{"RLIMIT_NOFILE", RLIMIT_NOFILE, 1024, 524288},
	{"RLIMIT_NPROC", RLIMIT_NPROC, UINT64_MAX, UINT64_MAX},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, 8 << 20, 8 << 20},
	{"RLIMIT_STACK", RLIMIT_STACK, 8 << 20, UINT64_MAX},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING, 65536, 65536},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE, 819200, 819200},
	{"RLIMIT_NICE", RLIMIT_NICE, 0, 0},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO, 0, 0},
	{"RLIMIT_AS", RLIMIT_AS, UINT64_MAX, UINT64_MAX},
	{"RLIMIT_DATA", RLIMIT_DATA, UINT64_MAX, UINT64_MAX},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE, UINT64_MAX, UINT64_MAX},
	{"RLIMIT_CPU", RLIMIT_CPU, UINT64_MAX, UINT64_MAX},
};

static bool is_overridden(const struct container_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_ulimits; i++)
		if (str_eq(rlimit_name(r->ulimits[i].name), name))
			return true;
	return false;
}

static int limits(const struct container_request *r, struct process_spec *p)
{
	for (size_t i = 0; i < ARRAY_LEN(rlimits); i++) {
		struct rlimit own;
		if (is_overridden(r, rlimits[i].name) || getrlimit((__rlimit_resource_t) rlimits[i].resource, &own) < 0)
			continue;
		uint64_t hard = MIN(rlimits[i].hard, (uint64_t) own.rlim_max); /* RLIM_INFINITY is the largest number */
		if (runtime_spec_add_rlimit(p, rlimits[i].name, MIN(rlimits[i].soft, hard), hard) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < r->n_ulimits; i++) {
		const struct ulimit_request *u = &r->ulimits[i];
		if (runtime_spec_add_rlimit(p, rlimit_name(u->name), (uint64_t) u->soft, (uint64_t) u->hard) < 0) /* -1: unlimited */
			return -ENOMEM;
	}
	return 0;
}

int bundle_resources(const struct bundle_plan *b, struct runtime_spec *s, struct err *err)
{
	const struct container_request *r = b->c->req;
	struct resources_spec *res = &s->resources;
	res->has_pids = true;
	res->pids = r->pids_limit == 0 ? DEFAULT_PIDS_MAX : r->pids_limit;
	memory(r, res);
	if (cpu(r, res) < 0 || limits(r, &s->process) < 0)
		return err_oom(err);
	int rc = blkio(r, res, err);
	return rc < 0 ? rc : device_rules(r, res, err);
}
