/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a tar header: octal and base-256 numbers, checksum. */
#include <errno.h>

#include "codec/tar_internal.h"

/* GNU's form for what octal cannot hold: high bit set, then a two's complement big-endian number. */
static int base256(const unsigned char *p, size_t size, int64_t *ret)
{
	bool negative = p[0] == 0xff;
	if (!negative && p[0] != 0x80)
		return -EINVAL;
	/* everything above the low 8 bytes must be sign extension */
	size_t skip = size > 8 ? size - 8 : 1;
	for (size_t i = 1; i < skip; i++)
		if (p[i] != (negative ? 0xff : 0))
			return -EINVAL;
	uint64_t v = negative ? UINT64_MAX : 0;
	for (size_t i = skip; i < size; i++)
		v = v << 8 | p[i];
	if (((int64_t) v < 0) != negative)
		return -EINVAL;
	*ret = (int64_t) v;
	return 0;
}

int tar_number(const char *field, size_t size, int64_t *ret)
{
	const unsigned char *p = (const unsigned char *) field;
	if (p[0] & 0x80)
		return base256(p, size, ret);
	size_t i = 0;
	while (i < size && p[i] == ' ')
		i++;
	uint64_t v = 0;
	for (; i < size && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 60)
			return -EINVAL;
		v = v << 3 | (uint64_t) (p[i] - '0');
	}
	/* only blanks may follow, and digits may not come back: readers differ on those */
	for (; i < size; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return -EINVAL;
	*ret = (int64_t) v;
	return 0;
}

bool tar_checksum_ok(const struct tar_header *h)
{
	int64_t want;
	if (tar_number(h->chksum, sizeof(h->chksum), &want) < 0)
		return false;
	const unsigned char *p = (const unsigned char *) h;
	int64_t u = 0, s = 0;
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++) {
		bool in_sum = i >= offsetof(struct tar_header, chksum) && i < offsetof(struct tar_header, chksum) + sizeof(h->chksum);
		u += in_sum ? ' ' : p[i];
		s += in_sum ? ' ' : (signed char) p[i];
	}
	return want == u || want == s;
}

bool tar_is_zero_block(const void *block)
{
	const unsigned char *p = block;
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
		if (p[i])
			return false;
	return true;
}
