/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From linux.resources to the files of a cgroup: one row a field, with its controller, its file on v1, its file on v2 and how the value is put. Rows stand in the
 * order in which the kernel takes them. docs/cgroups.md shows the table. Private to the room.
 */
#pragma once

#include "base/err.h"
#include "kernel/cgroup.h"
#include "spec/runtime.h"

/* One writing of one document's limits. */
struct knob_run {
	const struct cgroup *cg;         /* borrowed; open */
	const struct resources_spec *r;  /* borrowed */
	bool update; /* the cgroup is in use: values in force matter */
};

/** knobs_controllers() - bit mask of enum cg_controller that @r needs, devices and unified left out. */
unsigned knobs_controllers(const struct resources_spec *r);
/** knobs_first_asked() - the first field of @r that asks for something ("linux.resources.memory.limit"), NULL: nothing is asked. Devices count when @devices. */
const char *knobs_first_asked(const struct resources_spec *r, bool devices);
/** knob_is_there() - whether @cg, below a root, has a file for @field ("memory.swappiness"). */
bool knob_is_there(const struct cgroup *cg, const char *field);
/** knob_controller() - the controller of @field, which is a field of the table. */
enum cg_controller knob_controller(const char *field);
/** knobs_write() - all of it but devices. Return: 0; <0 with @err naming the field. */
int knobs_write(const struct knob_run *k, struct err *err);

/* One value on its way to one file. */
struct knob_out {
	char file[80], value[160];
	bool may_lack; /* no such file is as good: the value says "no limit" */
	bool doubtful; /* there are kernels that take it and do nothing: read back */
};

struct knob {
	const char *field;  /* below linux.resources: "memory.limit" */
	enum { ASKED_FLAG, ASKED_COUNT, ASKED_PTR } asked;
	size_t at;          /* offset of that bool, size_t or pointer in struct resources_spec */
	enum cg_controller c;
	const char *v1, *v2; /* file; NULL: that version has no such limit. With "%s" where the value's own name goes in */
	/* the @i-th value for @version. Return: 1 with *@out (file preset), 0 no more, <0 with @err */
	int (*value)(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
	/* or: several fields that must be written together; the other rows of the group have neither */
	int (*group)(const struct knob_run *run, const struct knob *k, struct err *err);
};

/** knob_put() - write @value to @file in @c's directory for @field; @may_lack as above. Return: 0; -errno with @err. */
int knob_put(const struct knob_run *run, const struct knob *k, enum cg_controller c, const char *file, const char *value, bool may_lack, struct err *err);

/* cgroup_memory.c, cgroup_cpu.c, cgroup_io.c: the groups and converters */
int knob_memory_group(const struct knob_run *run, const struct knob *k, struct err *err);
int knob_cpu_group(const struct knob_run *run, const struct knob *k, struct err *err);
int knob_blkio_weight(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_blkio_leaf_weight(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_blkio_devices(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_throttle_read_bps(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_throttle_write_bps(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_throttle_read_iops(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);
int knob_throttle_write_iops(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err);

/* Conversions from the document's v1 numbers, as runc and crun do them. */
/** cgroup_weight_of_shares() - cpu.shares 2..262144 to cpu.weight 1..10000, so that 2, 1024 and 262144 become 1, 100 and 10000: ceil(10 ^ ((l^2 + 125 l) / 612 - 7 / 34)) with
 *  l = log2(shares). Source: crun.1 "CGROUP v2", opencontainers/cgroups ConvertCPUSharesToCgroupV2Value. */
uint64_t cgroup_weight_of_shares(uint64_t shares);
/** cgroup_io_weight_of_blkio() - blkio weight 10..1000 to io.weight 1..10000, linear. */
uint64_t cgroup_io_weight_of_blkio(uint64_t weight);
/** cgroup_swap_max() - memory+swap to swap alone. @memory, @swap: -1 unlimited. Return: 0 with *@ret (-1 unlimited), -EINVAL swap below memory, -EDOM a finite
 *  memory+swap without a finite memory. */
int cgroup_swap_max(int64_t memory, int64_t swap, int64_t *ret);
