/* SPDX-License-Identifier: Apache-2.0 */
/* CPU: shares and idleness exclude each other, and period, quota and burst are checked against each other by the kernel at each write. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/cgroup_knobs.h"

#define BITS 48 /* behind the point */
#define ONE ((uint64_t) 1 << BITS)

static uint64_t mul(uint64_t a, uint64_t b)
{
	return (uint64_t) ((unsigned __int128) a * b >> BITS);
}

/* log2 of @x, 1 to 2^18, by squaring: each time the square passes 2 the next bit is 1. */
static uint64_t log2_fixed(uint64_t x)
{
	unsigned whole = 63 - (unsigned) __builtin_clzll(x);
	uint64_t m = x << (BITS - whole), f = 0;
	for (uint64_t bit = ONE >> 1; bit; bit >>= 1) {
		m = mul(m, m);
		if (m >= 2 * ONE) {
			m >>= 1;
			f |= bit;
		}
	}
	return whole * ONE + f;
}

/* 10 ^ @e, from the powers 10 ^ (2^-i). */
static uint64_t exp10_fixed(uint64_t e)
{
	static const double roots[] = { /* 10 ^ (1/2), 10 ^ (1/4), ... each the root of the one before */
		3.16227766016837933200, 1.77827941003892280123, 1.33352143216332402568, 1.15478198468945817967, 1.07460782832131749722,
		1.03663292843769799729, 1.01815172171818184147, 1.00903504484144743776, 1.00450736425446251566, 1.00225114829291291547,
		1.00112494139987987589, 1.00056231260220863662, 1.00028111678778013240, 1.00014054851694725816, 1.00007027178941143554,
		1.00003513527746185661, 1.00001756748442267383, 1.00000878370363461215, 1.00000439184217316724, 1.00000219591867555420,
	};
	uint64_t v = ONE;
	for (uint64_t whole = e / ONE; whole > 0; whole--)
		v *= 10;
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		if (e & (ONE >> (i + 1)))
			v = mul(v, (uint64_t) (roots[i] * (double) ONE + 0.5));
	/* what is left is below 2^-20, where 10^e is 1 + e ln 10 */
	uint64_t left = e & ((ONE >> ARRAY_LEN(roots)) - 1);
	return v + mul(v, mul(left, (uint64_t) (2.30258509299404568402 * (double) ONE)));
}

uint64_t cgroup_weight_of_shares(uint64_t shares)
{
	shares = MAX((uint64_t) 2, MIN(shares, (uint64_t) 262144));
	uint64_t l = log2_fixed(shares);
	uint64_t e = (mul(l, l) + 125 * l) / 612, least = ONE * 7 / 34;
	uint64_t w = exp10_fixed(e > least ? e - least : 0);
	return (w + ONE - 1 - (ONE >> 24)) / ONE; /* rounded up, but not for what the last bits made of a whole number */
}

static int put(const struct knob_run *run, const struct knob *k, const char *file, int64_t v, struct err *err)
{
	char text[32];
	(void) snprintf(text, sizeof(text), "%lld", (long long) v);
	return knob_put(run, k, k->c, file, text, false, err);
}

static int weight(const struct knob_run *run, const struct knob *k, bool v2, struct err *err)
{
	const struct resources_spec *r = run->r;
	if (!r->has_shares || r->shares == 0)
		return 0;
	return v2 ? put(run, k, k->v2, (int64_t) cgroup_weight_of_shares(r->shares), err) : put(run, k, k->v1, (int64_t) MIN(r->shares, (uint64_t) INT64_MAX), err);
}

/* An idle cgroup has a weight of its own, below all others: the kernel takes no shares then (cgroup-v2.rst "cpu.idle", Linux 5.15). */
static int weight_and_idle(const struct knob_run *run, const struct knob *k, bool v2, struct err *err)
{
	const struct resources_spec *r = run->r;
	const struct knob *idle = k + 4;
	int e = r->has_idle ? put(run, idle, v2 ? idle->v2 : idle->v1, r->idle, err) : 0;
	return e == 0 && !(r->has_idle && r->idle == 1) ? weight(run, k, v2, err) : e;
}

/* cpu.max is quota and period in one; what the document leaves out stays as it is. */
static int max_v2(const struct knob_run *run, const struct knob *k, struct err *err)
{
	const struct resources_spec *r = run->r;
	char now[64] = "max 100000", text[64], quota[24];
	bool has_quota = r->has_quota && r->quota != 0, has_period = r->has_period && r->period != 0;
	if (!has_quota && !has_period)
		return 0;
	if (run->update)
		(void) cgroup_read(run->cg, CG_CPU, NULL, "cpu.max", now, sizeof(now)); /* unreadable: the kernel's default */
	size_t n = strcspn(now, " ");
	(void) snprintf(quota, sizeof(quota), "%.*s", (int) MIN(n, (size_t) 20), now);
	if (has_quota && r->quota > 0)
		(void) snprintf(quota, sizeof(quota), "%lld", (long long) r->quota);
	else if (has_quota)
		(void) snprintf(quota, sizeof(quota), "max");
	if (has_period)
		(void) snprintf(text, sizeof(text), "%s %llu", quota, (unsigned long long) r->period);
	else
		(void) snprintf(text, sizeof(text), "%s%s", quota, now[n] ? now + n : " 100000");
	return knob_put(run, k + 2, CG_CPU, k[2].v2, text, false, err);
}

/* The three files of v1, of which each write is checked against the two others: what is refused now may be taken after the rest. */
static int bandwidth_v1(const struct knob_run *run, const struct knob *k, struct err *err)
{
	const struct resources_spec *r = run->r;
	const struct {
		const struct knob *k;
		bool asked;
		int64_t v;
	} files[] = {
		{k + 1, r->has_period && r->period != 0, (int64_t) MIN(r->period, (uint64_t) INT64_MAX)},
		{k + 2, r->has_quota && r->quota != 0, MAX(r->quota, (int64_t) -1)},
		{k + 3, r->has_burst, (int64_t) MIN(r->burst, (uint64_t) INT64_MAX)},
	};
	unsigned left = 0;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		left |= files[i].asked ? 1u << i : 0;
	for (unsigned round = 0, before = ~0u; left && left != before; round++) {
		before = left;
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			if (!(left & (1u << i)))
				continue;
			int e = put(run, files[i].k, files[i].k->v1, files[i].v, err);
			if (e < 0 && e != -EINVAL)
				return e;
			left &= e == 0 ? ~(1u << i) : ~0u;
		}
	}
	return left ? -EINVAL : 0; /* err is the last refusal's */
}

static int bandwidth_v2(const struct knob_run *run, const struct knob *k, struct err *err)
{
	const struct resources_spec *r = run->r;
	const struct knob *burst = k + 3;
	int64_t v = (int64_t) MIN(r->burst, (uint64_t) INT64_MAX);
	/* burst may not be above the quota: before it when the burst shrinks, after it when it grows */
	int e = r->has_burst ? put(run, burst, burst->v2, v, err) : 0;
	if (e < 0 && (e != -EINVAL || !r->has_quota))
		return e;
	bool again = e < 0;
	e = max_v2(run, k, err);
	return e == 0 && again ? put(run, burst, burst->v2, v, err) : e;
}

int knob_cpu_group(const struct knob_run *run, const struct knob *k, struct err *err)
{
	bool v2 = cgroup_has(&run->cg->layout, CG_CPU) == 2;
	int e = weight_and_idle(run, k, v2, err);
	if (e < 0)
		return e;
	return v2 ? bandwidth_v2(run, k, err) : bandwidth_v1(run, k, err);
}
