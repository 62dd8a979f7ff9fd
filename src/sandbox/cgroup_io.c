/* SPDX-License-Identifier: Apache-2.0 */
/* Block I/O: weights of three generations of schedulers (CFQ, BFQ, iocost) and throttling. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "sandbox/cgroup_knobs.h"

uint64_t cgroup_io_weight_of_blkio(uint64_t w)
{
	w = MAX((uint64_t) 10, MIN(w, (uint64_t) 1000));
	return 1 + (w - 10) * 9999 / 990;
}

static bool has_file(const struct knob_run *run, const char *file)
{
	int dfd = cgroup_dir(run->cg, CG_BLKIO, NULL);
	return dfd >= 0 && faccessat(dfd, file, F_OK, 0) == 0;
}

static int check_weight(uint64_t w, const char *field, struct err *err)
{
	return w >= 10 && w <= 1000 ? 0 : err_set(err, ERR_INVALID, "linux.resources.blockIO.%s: %llu is not in 10..1000", field, (unsigned long long) w);
}

/* BFQ's file where there is one: it takes the document's numbers as they are. */
static uint64_t weight_and_file(const struct knob_run *run, int version, uint64_t w, const char *bfq, struct knob_out *out)
{
	if (has_file(run, bfq)) {
		(void) str_copy(out->file, sizeof(out->file), bfq);
		return w;
	}
	return version == 2 ? cgroup_io_weight_of_blkio(w) : w;
}

int knob_blkio_weight(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	uint64_t w = run->r->blkio_weight;
	if (i > 0 || w == 0)
		return 0;
	int r = check_weight(w, "weight", err);
	if (r < 0)
		return r;
	w = weight_and_file(run, version, w, version == 2 ? "io.bfq.weight" : "blkio.bfq.weight", out);
	(void) snprintf(out->value, sizeof(out->value), "%llu", (unsigned long long) w);
	return 1;
}

int knob_blkio_leaf_weight(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	uint64_t w = run->r->blkio_leaf_weight;
	if (i > 0 || w == 0)
		return 0;
	int r = check_weight(w, "leafWeight", err);
	(void) snprintf(out->value, sizeof(out->value), "%llu", (unsigned long long) w);
	return r < 0 ? r : 1;
}

static int device_weight(const struct knob_run *run, int version, const struct blkio_device *d, bool leaf, struct knob_out *out, struct err *err)
{
	uint64_t w = leaf ? d->leaf_weight : d->weight;
	int r = check_weight(w, "weightDevice", err);
	if (r < 0)
		return r;
	if (leaf && version == 2)
		return err_set(err, ERR_UNSUPPORTED, "linux.resources.blockIO.weightDevice: leafWeight: cgroup v2 has no such limit");
	if (leaf)
		(void) str_copy(out->file, sizeof(out->file), "blkio.leaf_weight_device");
	else
		w = weight_and_file(run, version, w, version == 2 ? "io.bfq.weight" : "blkio.bfq.weight_device", out);
	(void) snprintf(out->value, sizeof(out->value), "%lld:%lld %llu", (long long) d->major, (long long) d->minor, (unsigned long long) w);
	return 1;
}

/* Up to two values a device: its weight, and its leaf weight, which only v1 had. */
int knob_blkio_devices(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	const struct blkio_list *l = &run->r->blkio_weight_devices;
	size_t seen = 0;
	for (size_t d = 0; d < l->n; d++)
		for (int leaf = 0; leaf < 2; leaf++)
			if ((leaf ? l->v[d].leaf_weight : l->v[d].weight) > 0 && seen++ == i)
				return device_weight(run, version, &l->v[d], leaf, out, err);
	return 0;
}

static int throttle(const struct knob_run *run, int version, size_t i, enum blkio_throttle t, struct knob_out *out)
{
	static const char *const keys[] = {"rbps", "wbps", "riops", "wiops"};
	const struct blkio_list *l = &run->r->throttle[t];
	if (i >= l->n)
		return 0;
	const struct blkio_device *d = &l->v[i];
	char rate[24];
	(void) snprintf(rate, sizeof(rate), "%llu", (unsigned long long) d->rate);
	if (version == 2) /* 0 takes the limit away on v1 and is refused by v2 */
		(void) snprintf(out->value, sizeof(out->value), "%lld:%lld %s=%s", (long long) d->major, (long long) d->minor, keys[t], d->rate ? rate : "max");
	else
		(void) snprintf(out->value, sizeof(out->value), "%lld:%lld %s", (long long) d->major, (long long) d->minor, rate);
	return 1;
}

int knob_throttle_read_bps(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return throttle(run, version, i, BLKIO_READ_BPS, out);
}

int knob_throttle_write_bps(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return throttle(run, version, i, BLKIO_WRITE_BPS, out);
}

int knob_throttle_read_iops(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return throttle(run, version, i, BLKIO_READ_IOPS, out);
}

int knob_throttle_write_iops(const struct knob_run *run, int version, size_t i, struct knob_out *out, struct err *err)
{
	return throttle(run, version, i, BLKIO_WRITE_IOPS, out);
}
