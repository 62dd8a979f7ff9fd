/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/cgroup_knobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"

static int put_i64(struct knob_out *out, int64_t v)
{
	(void) snprintf(out->value, sizeof(out->value), "%lld", (long long) v);
	return 1;
}

static int value_pids(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (i > 0)
		return 0;
	if (run->r->pids > 0)
		return put_i64(out, run->r->pids);
	out->may_lack = true;
	return str_copy(out->value, sizeof(out->value), "max") + 1;
}

/* Kernel memory: "no limit" is what there is without a file to write. */
static int kernel_limit(int64_t v, size_t i, struct knob_out *out)
{
	out->doubtful = true; /* "Writing any value to this file has no effect", mm/memcontrol-v1.c since 6.3 */
	return i > 0 || v <= 0 ? 0 : put_i64(out, v);
}

static int value_kernel(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	/* kernel memory counts towards the limit of all memory: where that is no higher, it holds what was asked for whether or not the file does anything */
	bool covered = run->r->memory > 0 && run->r->memory <= run->r->kernel;
	int r = kernel_limit(run->r->kernel, i, out);
	out->may_lack |= covered;
	out->doubtful &= !covered;
	return r;
}

static int value_kernel_tcp(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return kernel_limit(run->r->kernel_tcp, i, out);
}

static int value_swappiness(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (run->r->swappiness > 100)
		return err_set(err, ERR_INVALID, "linux.resources.memory.swappiness: %llu is not in 0..100", (unsigned long long) run->r->swappiness);
	return i > 0 ? 0 : put_i64(out, (int64_t) run->r->swappiness);
}

static int value_oom(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (i > 0 || (!run->r->oom_disable && (version == 2 || !run->update)))
		return 0; /* enabled is what it is */
	return put_i64(out, run->r->oom_disable);
}

static int value_hierarchy(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return i > 0 || run->r->use_hierarchy ? 0 : put_i64(out, 0); /* hierarchical is what v2 is, and v1 since 5.11 */
}

static int value_rt_period(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return i > 0 || run->r->rt_period == 0 ? 0 : put_i64(out, (int64_t) run->r->rt_period);
}

static int value_rt_runtime(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return i > 0 || run->r->rt_runtime == 0 ? 0 : put_i64(out, run->r->rt_runtime);
}

static int value_text(const char *text, const char *field, size_t i, struct knob_out *out, struct err *err)
{
	if (i > 0 || !*text)
		return 0;
	if (str_copy(out->value, sizeof(out->value), text) < 0)
		return err_set(err, ERR_INVALID, "linux.resources.%s: '%.40s...' is too long", field, text);
	return 1;
}

static int value_cpus(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return value_text(run->r->cpus, "cpu.cpus", i, out, err);
}

static int value_mems(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return value_text(run->r->mems, "cpu.mems", i, out, err);
}

/* "2MB", "64KB", "1GB": part of a file's name. */
static bool is_page_size(const char *s)
{
	size_t n = strspn(s, "0123456789");
	return n > 0 && n < 8 && s[0] != '0' && strchr("KMG", s[n]) && s[n] && str_eq(s + n + 1, "B");
}

/* Two files a size: pages in use, and reservations where the kernel counts them (5.7), so that a fault later cannot fail. */
static int value_hugepages(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (i / 2 >= run->r->n_hugepages)
		return 0;
	const struct hugepage_limit *h = &run->r->hugepages[i / 2];
	if (!h->page_size || !is_page_size(h->page_size))
		return err_set(err, ERR_INVALID, "linux.resources.hugepageLimits: page size '%s' is not like 2MB", h->page_size ? h->page_size : "");
	out->may_lack = i % 2;
	(void) snprintf(out->file, sizeof(out->file), "hugetlb.%s%s.%s", h->page_size, i % 2 ? ".rsvd" : "", version == 1 ? "limit_in_bytes" : "max");
	if (h->limit > INT64_MAX)
		return str_copy(out->value, sizeof(out->value), version == 1 ? "-1" : "max") + 1;
	return put_i64(out, (int64_t) h->limit);
}

static int value_rdma(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (i >= run->r->n_rdma)
		return 0;
	const struct rdma_limit *d = &run->r->rdma[i];
	char handles[32] = "", objects[32] = "";
	if (d->has_handles)
		(void) snprintf(handles, sizeof(handles), " hca_handle=%u", d->handles);
	if (d->has_objects)
		(void) snprintf(objects, sizeof(objects), " hca_object=%u", d->objects);
	if (!str_is_plain(d->device) || strchr(d->device, ' ') || str_format(out->value, sizeof(out->value), "%s%s%s", d->device, handles, objects) < 0)
		return err_set(err, ERR_INVALID, "linux.resources.rdma: '%.100s' is not a device's name", d->device);
	return 1;
}

static int value_class_id(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return i > 0 ? 0 : put_i64(out, run->r->class_id);
}

static int value_net_prio(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	if (i >= run->r->n_net_priorities)
		return 0;
	const struct net_priority *p = &run->r->net_priorities[i];
	if (!str_is_plain(p->name) || strchr(p->name, ' ') || str_format(out->value, sizeof(out->value), "%s %u", p->name, p->priority) < 0)
		return err_set(err, ERR_INVALID, "linux.resources.network.priorities: '%.100s' is not an interface's name", p->name);
	return 1;
}

#define FLAG(f) ASKED_FLAG, offsetof(struct resources_spec, f)
#define COUNT(f) ASKED_COUNT, offsetof(struct resources_spec, f)
#define PTR(f) ASKED_PTR, offsetof(struct resources_spec, f)

/* clang-format off */
static const struct knob knobs[] = {
	/* field                    asked by                      controller   v1 file                        v2 file             value or group */
	{"pids.limit",              FLAG(has_pids),               CG_PIDS,     "pids.max",                    "pids.max",         value_pids, NULL},
	{"memory.limit",            FLAG(has_memory),             CG_MEMORY,   "memory.limit_in_bytes",       "memory.max",       NULL, knob_memory_group},
	{"memory.swap",             FLAG(has_swap),               CG_MEMORY,   "memory.memsw.limit_in_bytes", "memory.swap.max",  NULL, NULL},
	{"memory.reservation",      FLAG(has_reservation),        CG_MEMORY,   "memory.soft_limit_in_bytes",  "memory.low",       NULL, NULL},
	{"memory.kernel",           FLAG(has_kernel),             CG_MEMORY,   "memory.kmem.limit_in_bytes",  NULL,               value_kernel, NULL},
	{"memory.kernelTCP",        FLAG(has_kernel_tcp),         CG_MEMORY,   "memory.kmem.tcp.limit_in_bytes", NULL,            value_kernel_tcp, NULL},
	{"memory.swappiness",       FLAG(has_swappiness),         CG_MEMORY,   "memory.swappiness",           NULL,               value_swappiness, NULL},
	{"memory.disableOOMKiller", FLAG(has_oom_disable),        CG_MEMORY,   "memory.oom_control",          NULL,               value_oom, NULL},
	{"memory.useHierarchy",     FLAG(has_use_hierarchy),      CG_MEMORY,   "memory.use_hierarchy",        NULL,               value_hierarchy, NULL},
	{"cpu.shares",              FLAG(has_shares),             CG_CPU,      "cpu.shares",                  "cpu.weight",       NULL, knob_cpu_group},
	{"cpu.period",              FLAG(has_period),             CG_CPU,      "cpu.cfs_period_us",           "cpu.max",          NULL, NULL},
	{"cpu.quota",               FLAG(has_quota),              CG_CPU,      "cpu.cfs_quota_us",            "cpu.max",          NULL, NULL},
	{"cpu.burst",               FLAG(has_burst),              CG_CPU,      "cpu.cfs_burst_us",            "cpu.max.burst",    NULL, NULL},
	{"cpu.idle",                FLAG(has_idle),               CG_CPU,      "cpu.idle",                    "cpu.idle",         NULL, NULL},
	{"cpu.realtimePeriod",      FLAG(has_rt_period),          CG_CPU,      "cpu.rt_period_us",            NULL,               value_rt_period, NULL},
	{"cpu.realtimeRuntime",     FLAG(has_rt_runtime),         CG_CPU,      "cpu.rt_runtime_us",           NULL,               value_rt_runtime, NULL},
	{"cpu.cpus",                PTR(cpus),                    CG_CPUSET,   "cpuset.cpus",                 "cpuset.cpus",      value_cpus, NULL},
	{"cpu.mems",                PTR(mems),                    CG_CPUSET,   "cpuset.mems",                 "cpuset.mems",      value_mems, NULL},
	{"blockIO.weight",          FLAG(has_blkio_weight),       CG_BLKIO,    "blkio.weight",                "io.weight",        knob_blkio_weight, NULL},
	{"blockIO.leafWeight",      FLAG(has_blkio_leaf_weight),  CG_BLKIO,    "blkio.leaf_weight",           NULL,               knob_blkio_leaf_weight, NULL},
	{"blockIO.weightDevice",    COUNT(blkio_weight_devices.n), CG_BLKIO,   "blkio.weight_device",         "io.weight",        knob_blkio_devices, NULL},
	{"blockIO.throttleReadBpsDevice",   COUNT(throttle[BLKIO_READ_BPS].n),   CG_BLKIO, "blkio.throttle.read_bps_device",   "io.max", knob_throttle_read_bps, NULL},
	{"blockIO.throttleWriteBpsDevice",  COUNT(throttle[BLKIO_WRITE_BPS].n),  CG_BLKIO, "blkio.throttle.write_bps_device",  "io.max", knob_throttle_write_bps, NULL},
	{"blockIO.throttleReadIOPSDevice",  COUNT(throttle[BLKIO_READ_IOPS].n),  CG_BLKIO, "blkio.throttle.read_iops_device",  "io.max", knob_throttle_read_iops, NULL},
	{"blockIO.throttleWriteIOPSDevice", COUNT(throttle[BLKIO_WRITE_IOPS].n), CG_BLKIO, "blkio.throttle.write_iops_device", "io.max", knob_throttle_write_iops, NULL},
	{"hugepageLimits",          COUNT(n_hugepages),           CG_HUGETLB,  "hugetlb.*.limit_in_bytes",    "hugetlb.*.max",    value_hugepages, NULL},
	{"rdma",                    COUNT(n_rdma),                CG_RDMA,     "rdma.max",                    "rdma.max",         value_rdma, NULL},
	{"network.classID",         FLAG(has_class_id),           CG_NET_CLS,  "net_cls.classid",             NULL,               value_class_id, NULL},
	{"network.priorities",      COUNT(n_net_priorities),      CG_NET_PRIO, "net_prio.ifpriomap",          NULL,               value_net_prio, NULL},
};
/* clang-format on */

static bool is_asked(const struct knob *k, const struct resources_spec *r)
{
	const char *at = (const char *) r + k->at;
	switch (k->asked) {
	case ASKED_FLAG:
		return *(const bool *) at;
	case ASKED_COUNT:
		return *(const size_t *) (const void *) at > 0;
	case ASKED_PTR:
		return !str_empty(*(char *const *) (const void *) at);
	}
	return false;
}

unsigned knobs_controllers(const struct resources_spec *r)
{
	unsigned mask = 0;
	for (size_t i = 0; i < ARRAY_LEN(knobs); i++)
		mask |= is_asked(&knobs[i], r) ? 1u << knobs[i].c : 0;
	return mask;
}

const char *knobs_first_asked(const struct resources_spec *r, bool devices)
{
	static char name[64]; /* one of a fixed set: whoever asks twice gets the same words */
	for (size_t i = 0; i < ARRAY_LEN(knobs); i++)
		if (is_asked(&knobs[i], r)) {
			(void) snprintf(name, sizeof(name), "linux.resources.%s", knobs[i].field);
			return name;
		}
	if (r->n_unified)
		return "linux.resources.unified";
	return devices && r->n_devices ? "linux.resources.devices" : NULL;
}

static const struct knob *find_knob(const char *field)
{
	size_t i = 0;
	while (!str_eq(knobs[i].field, field)) {
		i++;
		assert(i < ARRAY_LEN(knobs));
	}
	return &knobs[i];
}

enum cg_controller knob_controller(const char *field)
{
	return find_knob(field)->c;
}

bool knob_is_there(const struct cgroup *cg, const char *field)
{
	static const char *const bfq[][2] = {{"blkio.weight", "blkio.bfq.weight"}, {"blkio.weight_device", "blkio.bfq.weight_device"}, {"io.weight", "io.bfq.weight"}};
	const struct knob *k = find_knob(field);
	int version, dfd = cgroup_dir(cg, k->c, &version);
	const char *file = version == 1 ? k->v1 : k->v2;
	if (dfd < 0 || !file)
		return false;
	bool there = faccessat(dfd, file, F_OK, 0) == 0;
	for (size_t i = 0; i < ARRAY_LEN(bfq); i++)
		there |= str_eq(file, bfq[i][0]) && faccessat(dfd, bfq[i][1], F_OK, 0) == 0;
	return there;
}

static int lacks(const struct knob_run *run, const struct knob *k, enum cg_controller c, const char *file, struct err *err)
{
	int version = cgroup_has(&run->cg->layout, c);
	const char *name = version == 2 && c == CG_BLKIO ? "io" : cgroup_controller_name(c);
	if (version == 0)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: this host has no %s cgroup", k->field, name);
	if (cgroup_dir(run->cg, c, NULL) < 0)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: the container has no directory in the %s cgroup", k->field, name);
	if (!file)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: cgroup v%d has no such limit", k->field, version);
	if (version == 2 && !cgroup_enabled(run->cg, name))
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: the %s controller is not switched on for '%.200s' (cgroup.subtree_control of its parents)", k->field,
			       name, run->cg->path);
	return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: this kernel has no %s", k->field, file);
}

int knob_put(const struct knob_run *run, const struct knob *k, enum cg_controller c, const char *file, const char *value, bool may_lack, struct err *err)
{
	int dfd = cgroup_dir(run->cg, c, NULL);
	int r = dfd < 0 || !file ? -ENOENT : write_file(dfd, file, value);
	if (r == -ENOENT)
		return may_lack ? 0 : lacks(run, k, c, file, err);
	return r < 0 ? err_sys(err, r, "linux.resources.%s: writing '%s' to %s", k->field, value, file) : 0;
}

static bool took_effect(const struct knob_run *run, const struct knob *k, const struct knob_out *out)
{
	char text[64];
	uint64_t is, want;
	/* whole pages come back */
	return cgroup_read(run->cg, k->c, out->file, out->file, text, sizeof(text)) == 0 && parse_u64(text, &is) == 0 && parse_u64(out->value, &want) == 0 && is / 65536 == want / 65536;
}

static int write_row(const struct knob_run *run, const struct knob *k, struct err *err)
{
	int version = cgroup_has(&run->cg->layout, k->c);
	const char *file = version == 1 ? k->v1 : version == 2 ? k->v2 : NULL;
	for (size_t i = 0;; i++) {
		struct knob_out out = {0};
		if (file)
			(void) str_copy(out.file, sizeof(out.file), file);
		int r = k->value(run, version, i, &out, err);
		if (r <= 0)
			return r;
		r = knob_put(run, k, k->c, file ? out.file : NULL, out.value, out.may_lack, err);
		if (r == 0 && out.doubtful && !took_effect(run, k, &out))
			return err_set(err, ERR_UNSUPPORTED, "linux.resources.%s: this kernel has %s for show: it takes '%s' and limits nothing", k->field, out.file, out.value);
		if (r < 0)
			return r;
	}
}

/* A value of several lines (io.max, rdma.max) is a line a write. */
static int write_lines(int dfd, const char *file, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	int r = 0;
	for (char *line = copy, *next; r == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = *line || line == copy ? write_file(dfd, file, line) : 0;
	}
	return r;
}

/* Whatever v2 file the document names, in the container's own directory alone. */
static int write_unified(const struct knob_run *run, const struct keyval *kv, struct err *err)
{
	char controller[64];
	const char *dot = strchr(kv->key, '.');
	if (strchr(kv->key, '/') || !dot || dot == kv->key || str_format(controller, sizeof(controller), "%.*s", (int) (dot - kv->key), kv->key) < 0)
		return err_set(err, ERR_INVALID, "linux.resources.unified: '%s' is not the name of a cgroup v2 file, like memory.high", kv->key);
	if (run->cg->v2 < 0)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.unified: '%s': this host has no cgroup v2 for it", kv->key);
	if (!str_eq(controller, "cgroup") && !cgroup_enabled(run->cg, controller))
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.unified: '%s': the %s controller is not switched on here", kv->key, controller);
	int r = write_lines(run->cg->v2, kv->key, kv->value);
	if (r == -ENOENT)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.unified: this kernel has no %s", kv->key);
	return r < 0 ? err_sys(err, r, "linux.resources.unified: writing '%s' to %s", kv->value, kv->key) : 0;
}

int knobs_write(const struct knob_run *run, struct err *err)
{
	bool group_asked = false;
	const struct knob *leader = NULL;
	for (size_t i = 0; i <= ARRAY_LEN(knobs); i++) {
		const struct knob *k = i < ARRAY_LEN(knobs) ? &knobs[i] : NULL;
		bool follows = k && !k->value && !k->group;
		if (!follows && leader && group_asked) {
			int r = leader->group(run, leader, err);
			if (r < 0)
				return r;
		}
		if (!follows) {
			leader = k && k->group ? k : NULL;
			group_asked = false;
		}
		if (!k || !is_asked(k, run->r))
			continue;
		group_asked = true;
		int r = k->value ? write_row(run, k, err) : 0;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < run->r->n_unified; i++) {
		int r = write_unified(run, &run->r->unified[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}
