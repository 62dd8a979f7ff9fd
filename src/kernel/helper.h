/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every confined helper program (coffer-unpack, coffer-files) does the same way: limits, capabilities of its own user namespace and
 * no others, an allow-list of system calls, and a first stage on the host that minds the confined child. All return 0 or -errno.
 */
#pragma once

#include <sys/types.h>

#include "kernel/process.h"

struct helper_limit {
	int what; /* RLIMIT_* */
	uint64_t max;
};
/** helper_limits() - soft and hard limit of each row, never above what the hard limit is now; SIGXFSZ is ignored, so that EFBIG tells. */
int helper_limits(const struct helper_limit *v, size_t n);
/** helper_caps() - hold the capabilities @keep (a mask) and no others, in every set, and set no_new_privs. */
int helper_caps(uint64_t keep);
/** helper_seccomp() - allow the system calls @allowed (native numbers), and mmap and mprotect without PROT_EXEC; anything else kills the process: no part
 *  of a helper's job needs it, so only one that was taken over asks. */
int helper_seccomp(const int *allowed, size_t n);

/* A call that may be made when the low half of an argument masks to a value. Several rows for one call: any of them will do. */
struct helper_rule {
	int nr;
	unsigned arg; /* 0..5 */
	uint32_t mask, value;
};
/** helper_seccomp_rules() - as helper_seccomp(), and what @rules say. */
int helper_seccomp_rules(const int *allowed, size_t n, const struct helper_rule *rules, size_t n_rules);
/** helper_mind() - wait for the child; when the other end of @sock goes first, kill it. Return: its exit code (128 + signal), 127 when unknown. */
int helper_mind(const struct pidref *child, int sock);
