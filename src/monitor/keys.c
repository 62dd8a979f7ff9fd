/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/keys.h"

#include <string.h>

/* the longest beginning of the sequence that ends the held bytes followed by @c; what no longer fits is forwarded */
static size_t fall_back(struct keys *k, uint8_t c, uint8_t *out)
{
	uint8_t held[MONITOR_DETACH_KEYS_MAX + 1];
	size_t n = k->pos;
	memcpy(held, k->seq, n);
	held[n++] = c;
	size_t skip = 1;
	while (skip < n && memcmp(held + skip, k->seq, n - skip) != 0)
		skip++;
	memcpy(out, held, skip);
	k->pos = (uint8_t) (n - skip);
	return skip;
}

bool keys_scan(struct keys *k, const uint8_t *in, size_t len, uint8_t *out, size_t *ret_len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (k->n && in[i] == k->seq[k->pos]) {
			if (++k->pos == k->n) {
				k->pos = 0;
				*ret_len = n;
				return true;
			}
		} else if (k->pos)
			n += fall_back(k, in[i], out + n);
		else
			out[n++] = in[i];
	}
	*ret_len = n;
	return false;
}
