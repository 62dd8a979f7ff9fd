/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/random.h"

#include <string.h>
#include <sys/random.h>

void dns_random_bytes(struct dns_random *r, void *p, size_t n)
{
	if (r->left < n) {
		/* never short up to 256 bytes once the kernel is seeded (getrandom(2)); without it no id could be trusted */
		for (size_t at = 0; at < sizeof(r->pool); at += 256)
			if (getrandom(r->pool + at, 256, 0) != 256)
				abort();
		r->left = sizeof(r->pool);
	}
	r->left -= n;
	memcpy(p, r->pool + r->left, n);
	memset(r->pool + r->left, 0, n);
}

uint32_t dns_random_u32(struct dns_random *r)
{
	uint32_t v;
	dns_random_bytes(r, &v, sizeof(v));
	return v;
}
