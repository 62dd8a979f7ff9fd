/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demux.h"

#include <errno.h>

int demux_next(struct demux *d, const char **p, size_t *n, const char **ret, size_t *ret_len)
{
	while (!d->raw && d->remaining == 0 && *n > 0) {
		d->head[d->head_len++] = (unsigned char) **p;
		(*p)++;
		(*n)--;
		if (d->head_len < sizeof(d->head))
			continue;
		const unsigned char *h = d->head;
		d->head_len = 0;
		d->remaining = (uint32_t) h[4] << 24 | (uint32_t) h[5] << 16 | (uint32_t) h[6] << 8 | h[7];
		if (h[0] > 3 || h[1] || h[2] || h[3])
			return -EPROTO;
	}
	if (*n == 0)
		return 0;
	size_t len = d->raw ? *n : MIN(*n, (size_t) d->remaining);
	*ret = *p;
	*ret_len = len;
	*p += len;
	*n -= len;
	if (d->raw)
		return 1;
	d->remaining -= (uint32_t) len;
	return d->head[0] >= 2 ? 2 : 1;
}
