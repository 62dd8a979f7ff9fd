/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and swap: two limits that hold each other. v1 counts memory+swap and refuses memory above it, so what grows is written from above and what shrinks from
 * below; v2 counts swap alone. The document speaks v1 (config-linux.md "Memory").
 */
#include <errno.h>
#include <stdio.h>

#include "base/num.h"
#include "base/str.h"
#include "sandbox/cgroup_knobs.h"

int cgroup_swap_max(int64_t memory, int64_t swap, int64_t *ret)
{
	if (swap == -1) {
		*ret = -1;
		return 0;
	}
	if (memory <= 0)
		return -EDOM;
	if (swap < memory)
		return -EINVAL;
	*ret = swap - memory;
	return 0;
}

static bool read_number(const struct knob_run *run, const char *v1, const char *v2, uint64_t *ret)
{
	char text[64];
	if (cgroup_read(run->cg, CG_MEMORY, v1, v2, text, sizeof(text)) < 0)
		return false;
	if (str_eq(text, "max")) {
		*ret = UINT64_MAX;
		return true;
	}
	return parse_u64(text, ret) == 0;
}

static int put(const struct knob_run *run, const struct knob *k, const char *file, const char *none, int64_t v, bool may_lack, struct err *err)
{
	char text[32];
	(void) snprintf(text, sizeof(text), "%lld", (long long) v);
	return knob_put(run, k, k->c, file, v < 0 ? none : text, may_lack, err);
}

static int put_limit(const struct knob_run *run, const struct knob *k, bool v2, int64_t limit, struct err *err)
{
	int r = put(run, k, v2 ? k->v2 : k->v1, v2 ? "max" : "-1", limit, false, err);
	uint64_t usage;
	if (r == -EBUSY && read_number(run, "memory.usage_in_bytes", "memory.current", &usage))
		return err_wrap(err, "%llu bytes are in use", (unsigned long long) usage);
	return r;
}

/* v1's order. A new directory has no limit: everything shrinks. */
static bool swap_goes_first(const struct knob_run *run, int64_t swap)
{
	uint64_t now;
	if (!run->update)
		return false;
	return swap == -1 || (read_number(run, "memory.limit_in_bytes", NULL, &now) && now < (uint64_t) swap);
}

static int limits_v1(const struct knob_run *run, const struct knob *k, int64_t limit, int64_t swap, struct err *err)
{
	bool may_lack = swap == -1, first = limit && swap && swap_goes_first(run, swap);
	if (limit == -1 && swap == 0) { /* no limit on memory with one on both would be no change */
		swap = -1;
		may_lack = first = true;
	}
	int r = swap && first ? put(run, k + 1, k[1].v1, "-1", swap, may_lack, err) : 0;
	if (r == 0 && limit)
		r = put_limit(run, k, false, limit, err);
	if (r == 0 && swap && !first)
		r = put(run, k + 1, k[1].v1, "-1", swap, may_lack, err);
	return r;
}

static int limits_v2(const struct knob_run *run, const struct knob *k, int64_t limit, int64_t swap, struct err *err)
{
	int64_t alone = -1;
	int r = 0;
	if (swap != 0) {
		uint64_t now;
		int64_t memory = limit;
		if (memory == 0 && run->update && read_number(run, NULL, "memory.max", &now) && now < INT64_MAX)
			memory = (int64_t) now; /* the limit stays as it is */
		r = cgroup_swap_max(memory, swap, &alone);
		if (r == -EDOM)
			return err_set(err, ERR_INVALID, "linux.resources.memory.swap: %lld is memory and swap together and needs memory.limit on cgroup v2", (long long) swap);
		if (r < 0)
			return err_set(err, ERR_INVALID, "linux.resources.memory.swap: %lld is memory and swap together, and less than the %lld of memory", (long long) swap, (long long) memory);
	}
	if (swap != 0 || limit == -1)
		r = put(run, k + 1, k[1].v2, "max", alone, alone <= 0, err); /* a kernel without swap accounting uses none for it, or all there is */
	return r == 0 && limit ? put_limit(run, k, true, limit, err) : r;
}

static int check_usage(const struct knob_run *run, const struct resources_spec *r, struct err *err)
{
	uint64_t usage;
	if (!run->update || !r->has_check_before || !r->check_before_update || !r->has_memory || r->memory <= 0)
		return 0;
	if (!read_number(run, "memory.usage_in_bytes", "memory.current", &usage) || usage <= (uint64_t) r->memory)
		return 0;
	return err_set(err, ERR_CONFLICT, "linux.resources.memory.limit: %lld is less than the %llu bytes in use (checkBeforeUpdate)", (long long) r->memory,
		       (unsigned long long) usage);
}

int knob_memory_group(const struct knob_run *run, const struct knob *k, struct err *err)
{
	const struct resources_spec *r = run->r;
	bool v2 = cgroup_has(&run->cg->layout, CG_MEMORY) == 2;
	/* 0 is "not asked", as everywhere in documents that Go programs write; below -1 is no number of bytes */
	int64_t limit = r->has_memory ? MAX(r->memory, (int64_t) -1) : 0, swap = r->has_swap ? MAX(r->swap, (int64_t) -1) : 0;
	int e = check_usage(run, r, err);
	if (e == 0)
		e = v2 ? limits_v2(run, k, limit, swap, err) : limits_v1(run, k, limit, swap, err);
	if (e == 0 && r->has_reservation && r->reservation != 0)
		e = put(run, k + 2, v2 ? k[2].v2 : k[2].v1, v2 ? "max" : "-1", r->reservation, false, err);
	return e;
}
