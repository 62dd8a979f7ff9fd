/* SPDX-License-Identifier: Apache-2.0 */
/* The tar reader, pax and sparse forms included: whatever comes in, each entry keeps the promises of codec/tar.h. */
#include "base/str.h"
#include "codec/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left;
};

static ssize_t read_some(void *ctx, void *buf, size_t len)
{
	struct input *in = ctx;
	size_t n = MIN(MIN(len, in->left), (size_t) 1000);
	memcpy(buf, in->p, n);
	in->p += n;
	in->left -= n;
	return (ssize_t) n;
}

static void check(struct tar *t, const struct tar_entry *e)
{
	assert(strlen(e->path) <= 4096 && strlen(e->link) <= 4096 && e->mode <= 07777);
	uint64_t got = 0, last = 0;
	const void *p;
	uint64_t offset;
	ssize_t n;
	while ((n = tar_data(t, &p, &offset)) > 0) {
		assert(offset >= last && offset + (uint64_t) n <= e->size);
		last = offset + (uint64_t) n;
		got += (uint64_t) n;
	}
	assert(n < 0 || got == e->data_size || (e->sparse && got <= e->data_size));
	assert(e->type == TAR_FILE || got == 0);
	for (size_t i = 0; i < e->n_xattrs; i++)
		assert(e->xattrs[i].name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const struct tar_limits limits = {.entries_max = 1000, .header_max = 65536, .xattr_max = 65536, .path_max = 4096, .chunks_max = 1000,
		.end_optional = size & 1};
	struct tar *t;
	const struct tar_entry *e;
	char esc[64];
	if (tar_new(read_some, &in, &limits, &t) < 0)
		return 0;
	int r;
	while ((r = tar_next(t, &e)) > 0) {
		(void) tar_escape(esc, sizeof(esc), e->path);
		check(t, e);
	}
	assert(r == 0 || tar_why(t)[0]);
	assert(r != 0 || in.left == 0);
	(void) tar_free(t);
	return 0;
}
