/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzer gives, as a source that readers pull from. */
#pragma once

#include "base/str.h"

struct input {
	const uint8_t *p; /* borrowed */
	size_t left;
};

#define INPUT_PIECE 999 /* no block of any format ends where a read does */

/** input_read() - at most INPUT_PIECE bytes. Return: how many, 0 at the end. */
static inline ssize_t input_read(void *ctx, void *buf, size_t len)
{
	struct input *in = ctx;
	size_t n = MIN(MIN(len, in->left), (size_t) INPUT_PIECE);
	memcpy(buf, in->p, n);
	in->p += n;
	in->left -= n;
	return (ssize_t) n;
}
