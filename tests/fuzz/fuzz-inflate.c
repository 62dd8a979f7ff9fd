/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "codec/inflate.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const struct inflate_source src = {input_read, &in};
	const struct inflate_limits limits = {.out_max = 4 << 20, .ratio_max = 100, .ratio_floor = 1 << 20, .members_max = 50};
	struct inflate *z;
	char buf[4096];
	ssize_t n;
	uint64_t total = 0;
	if (inflate_new(&src, INFLATE_AUTO, &limits, &z) < 0)
		return 0;
	while ((n = inflate_read(z, buf, sizeof(buf))) > 0)
		total += (uint64_t) n;
	assert(total <= limits.out_max);
	assert(n == 0 || inflate_why(z)[0]);
	assert(n != 0 || in.left == 0); /* a clean end means that everything was read */
	(void) inflate_free(z);
	return 0;
}
