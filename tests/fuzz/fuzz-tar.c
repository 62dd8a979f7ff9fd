/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar reader, pax and sparse forms included: whatever comes in, each entry keeps the promises of codec/tar.h; and what the writer makes
 * of it is read back as the same entry.
 */
#include "base/str.h"
#include "codec/tar_write.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tar_limits again_limits = {.entries_max = 2, .header_max = 1 << 20, .xattr_max = 65536, .path_max = 4096, .chunks_max = 1};

static int sink(void *ctx, const void *p, size_t len)
{
	strbuf_add(ctx, p, len);
	return strbuf_err(ctx);
}

static void check_again(const struct tar_entry *e, struct strbuf *b)
{
	struct input in = {(const uint8_t *) b->s, b->len};
	struct tar *t;
	const struct tar_entry *got;
	if (tar_new(input_read, &in, &again_limits, &t) < 0)
		return;
	assert(tar_next(t, &got) == 1);
	size_t n = strlen(e->path);
	assert(strncmp(got->path, e->path, n) == 0 && (!got->path[n] || (e->type == TAR_DIR && str_eq(got->path + n, "/"))));
	assert(got->type == e->type && got->mode == e->mode && got->uid == e->uid && got->gid == e->gid && got->n_xattrs == e->n_xattrs);
	assert(got->mtime_s == e->mtime_s && got->mtime_ns == e->mtime_ns && got->size == 0);
	if (e->type == TAR_HARDLINK || e->type == TAR_SYMLINK)
		assert(str_eq(got->link, e->link));
	assert(tar_next(t, &got) == 0);
	(void) tar_free(t);
}

/* The entry without its data, written and read. */
static void round_trip(const struct tar_entry *e)
{
	struct tar_writer *w;
	struct strbuf b = STRBUF_INIT(4 << 20);
	struct tar_entry plain = *e;
	plain.size = 0;
	plain.sparse = false;
	if (tar_writer_new(sink, &b, &w) < 0)
		return;
	if (tar_writer_entry(w, &plain) == 0 && tar_writer_end(w) == 0)
		check_again(&plain, &b);
	(void) tar_writer_free(w);
	strbuf_done(&b);
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
	if (n == 0)
		round_trip(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const struct tar_limits limits = {.entries_max = 1000, .header_max = 65536, .xattr_max = 65536, .path_max = 4096, .chunks_max = 1000,
		.end_optional = size & 1};
	struct tar *t;
	const struct tar_entry *e;
	char esc[64];
	if (tar_new(input_read, &in, &limits, &t) < 0)
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
