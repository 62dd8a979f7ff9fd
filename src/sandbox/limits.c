/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits: rlimits, and the knobs of the container's cgroup on v1 and v2.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/internal.h"

static const struct {
	const char *name;
	int resource;
} rlimits[] = {
	{"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},       {"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},     {"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},     {"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},   {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

static int rlimit_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rlimits); i++)
		if (str_eq(rlimits[i].name, name))
			return rlimits[i].resource;
	return -EINVAL;
}

/* Only host root may raise a hard limit, and init will not be that: raise here, lower in init (a low RLIMIT_NOFILE must not
 * stop the creator from opening layers). */
static int raise_one(const struct rlimit_spec *l, struct err *err)
{
	int res = rlimit_number(l->name);
	if (res < 0)
		return err_set(err, ERR_INVALID, "process.rlimits: unknown limit '%s'", l->name);
	struct rlimit cur;
	if (getrlimit(res, &cur) < 0)
		return err_sys(err, -errno, "reading %s", l->name);
	if (cur.rlim_max == RLIM_INFINITY || l->hard <= cur.rlim_max)
		return 0;
	cur.rlim_max = l->hard;
	if (setrlimit(res, &cur) < 0)
		return err_sys(err, -errno, "%s: the hard limit %llu is above the engine's own", l->name, (unsigned long long) l->hard);
	return 0;
}

int limits_raise(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		int r = raise_one(&p->rlimits[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int limits_apply(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct rlimit_spec *l = &p->rlimits[i];
		struct rlimit v = {.rlim_cur = l->soft, .rlim_max = l->hard};
		if (setrlimit(rlimit_number(l->name), &v) < 0)
			return err_sys(err, -errno, "%s %llu:%llu", l->name, (unsigned long long) l->soft, (unsigned long long) l->hard);
	}
	return 0;
}

static int knob(struct sandbox *s, enum cg_controller c, const char *v1, const char *v2, const char *value, struct err *err)
{
	int r = cgroup_write(&s->cgroup, c, v1, v2, value);
	if (r == -EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, "this host has no %s cgroup to write '%s' to", cgroup_controller_name(c), value);
	if (r < 0)
		return err_sys(err, r, "writing '%s' to %s", value, cgroup_has(&s->cgroup.layout, c) == 1 ? v1 : v2);
	return 0;
}

static int knob_limit(struct sandbox *s, enum cg_controller c, const char *v1, const char *v2, int64_t v, const char *none_v1, struct err *err)
{
	char text[32];
	if (v < 0)
		return knob(s, c, v1, v2, cgroup_has(&s->cgroup.layout, c) == 1 ? none_v1 : "max", err);
	(void) snprintf(text, sizeof(text), "%lld", (long long) v);
	return knob(s, c, v1, v2, text, err);
}

static int memory_knobs(struct sandbox *s, const struct resources_spec *r, struct err *err)
{
	int e = 0;
	if (r->has_memory)
		e = knob_limit(s, CG_MEMORY, "memory.limit_in_bytes", "memory.max", r->memory, "-1", err);
	if (e == 0 && r->has_reservation)
		e = knob_limit(s, CG_MEMORY, "memory.soft_limit_in_bytes", "memory.low", r->reservation, "-1", err);
	if (e == 0 && r->has_swap) {
		/* v1 counts memory+swap, v2 swap alone; the document speaks v1 (config-linux.md "memory") */
		bool v2 = cgroup_has(&s->cgroup.layout, CG_MEMORY) == 2;
		int64_t v = r->swap;
		if (v2 && v >= 0)
			v = r->has_memory && r->memory >= 0 ? v - r->memory : v;
		e = knob_limit(s, CG_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", v, "-1", err);
	}
	if (e == 0 && r->has_oom_disable && r->oom_disable)
		e = knob(s, CG_MEMORY, "memory.oom_control", NULL, "1", err);
	return e;
}

/* cpu.shares 2..262144 to cpu.weight 1..10000, as systemd and the OCI runtimes convert. */
static uint64_t weight_of(uint64_t shares)
{
	shares = MAX((uint64_t) 2, MIN(shares, (uint64_t) 262144));
	return 1 + (shares - 2) * 9999 / 262142;
}

static int cpu_knobs(struct sandbox *s, const struct resources_spec *r, struct err *err)
{
	char text[64];
	bool v2 = cgroup_has(&s->cgroup.layout, CG_CPU) == 2;
	int e = 0;
	if (r->has_shares && r->shares > 0) {
		(void) snprintf(text, sizeof(text), "%llu", (unsigned long long) (v2 ? weight_of(r->shares) : r->shares));
		e = knob(s, CG_CPU, "cpu.shares", "cpu.weight", text, err);
	}
	if (v2) {
		if (e == 0 && (r->has_quota || r->has_period)) {
			uint64_t period = r->has_period ? r->period : 100000;
			if (r->has_quota && r->quota > 0)
				(void) snprintf(text, sizeof(text), "%lld %llu", (long long) r->quota, (unsigned long long) period);
			else
				(void) snprintf(text, sizeof(text), "max %llu", (unsigned long long) period);
			e = knob(s, CG_CPU, NULL, "cpu.max", text, err);
		}
	} else {
		if (e == 0 && r->has_period && r->period > 0) {
			(void) snprintf(text, sizeof(text), "%llu", (unsigned long long) r->period);
			e = knob(s, CG_CPU, "cpu.cfs_period_us", NULL, text, err);
		}
		if (e == 0 && r->has_quota) {
			(void) snprintf(text, sizeof(text), "%lld", (long long) r->quota);
			e = knob(s, CG_CPU, "cpu.cfs_quota_us", NULL, text, err);
		}
	}
	if (e == 0 && r->cpus)
		e = knob(s, CG_CPUSET, "cpuset.cpus", "cpuset.cpus", r->cpus, err);
	if (e == 0 && r->mems)
		e = knob(s, CG_CPUSET, "cpuset.mems", "cpuset.mems", r->mems, err);
	return e;
}

static void number_or_star(char *buf, size_t size, int64_t v)
{
	if (v < 0)
		(void) snprintf(buf, size, "*");
	else
		(void) snprintf(buf, size, "%lld", (long long) v);
}

/* v1 device allow-list: rules in order, each one write (cgroup-v1/devices.rst). On v2 the filter is an eBPF program, which this room
 * does not load yet; a user namespace cannot make device nodes at all, so /dev holds exactly what was bound into it. */
static int device_knobs(struct sandbox *s, const struct resources_spec *r, struct err *err)
{
	if (cgroup_has(&s->cgroup.layout, CG_DEVICES) != 1) {
		if (!s->plan.new_userns && s->spec->ns[NS_USER].mode == NS_MODE_HOST && r->n_devices)
			return err_set(err, ERR_UNSUPPORTED, "this host has no v1 devices cgroup, and without a user namespace nothing else keeps devices closed");
		return 0;
	}
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_rule *d = &r->devices[i];
		char text[80], major[24], minor[24];
		number_or_star(major, sizeof(major), d->major);
		number_or_star(minor, sizeof(minor), d->minor);
		if (d->type == 'a')
			(void) snprintf(text, sizeof(text), "a");
		else
			(void) snprintf(text, sizeof(text), "%c %s:%s %s", d->type, major, minor, *d->access ? d->access : "rwm");
		int e = knob(s, CG_DEVICES, d->allow ? "devices.allow" : "devices.deny", NULL, text, err);
		if (e < 0)
			return e;
	}
	return 0;
}

static int unified_knobs(struct sandbox *s, const struct resources_spec *r, struct err *err)
{
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *file = r->unified[i].key;
		if (strchr(file, '/'))
			return err_set(err, ERR_INVALID, "resources.unified: '%s' is not a file name", file);
		if (s->cgroup.v2 < 0)
			return err_set(err, ERR_UNSUPPORTED, "resources.unified: this host has no cgroup v2 controllers for '%s'", file);
		int e = write_file(s->cgroup.v2, file, r->unified[i].value);
		if (e < 0)
			return err_sys(err, e, "resources.unified: writing '%s' to %s", r->unified[i].value, file);
	}
	return 0;
}

int limits_cgroup(struct sandbox *s, struct err *err)
{
	const struct resources_spec *r = &s->spec->resources;
	int e = 0;
	if (r->has_pids)
		e = knob_limit(s, CG_PIDS, "pids.max", "pids.max", r->pids > 0 ? r->pids : -1, "max", err);
	if (e == 0)
		e = memory_knobs(s, r, err);
	if (e == 0)
		e = cpu_knobs(s, r, err);
	if (e == 0)
		e = device_knobs(s, r, err);
	return e == 0 ? unified_knobs(s, r, err) : e;
}
