/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability sets of the calling thread as 64-bit masks (bit = number). Source: capabilities(7), capset(2).
 */
#pragma once

#include "base/macro.h"

struct cap_sets {
	uint64_t effective, permitted, inheritable, bounding, ambient;
};

/** caps_last() - highest capability the running kernel knows (/proc/sys/kernel/cap_last_cap semantics, found by PR_CAPBSET_READ). */
int caps_last(void);
/** caps_get() - effective, permitted and inheritable of the calling thread; the other sets are left 0. Return: 0 or -errno. */
int caps_get(struct cap_sets *ret);
/** caps_set() - effective, permitted and inheritable. Return: 0 or -errno. Async-signal-safe. */
int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable);
/** caps_drop_bounding() - drop everything from the bounding set that is not in @keep. */
int caps_drop_bounding(uint64_t keep);
/** caps_raise_ambient() - clear the ambient set and raise @set (must be permitted and inheritable). */
int caps_raise_ambient(uint64_t set);
