/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes of the kernel's, fetched in batches: ids, letters and turns of answers cost no system call each. */
#pragma once

#include "base/macro.h"

struct dns_random {
	uint8_t pool[1024];
	size_t left; /* bytes of it that were not given out */
};

/** dns_random_bytes() - @n <= 256 of them. */
void dns_random_bytes(struct dns_random *r, void *p, size_t n);
uint32_t dns_random_u32(struct dns_random *r);
