/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse files: the old GNU header (map in the header and continuation blocks) and the pax forms 0.0 and 0.1 (map in records)
 * and 1.0 (map at the head of the data). Source: GNU tar manual, "Storing Sparse Files".
 */
#include <errno.h>

#include "codec/tar_internal.h"

int tar_chunk_add(struct tar *t, uint64_t offset, uint64_t len)
{
	struct tar_list *m = &t->map;
	if (m->n >= t->limits.chunks_max)
		return tar_fail(t, -EDQUOT, "a sparse file of more than %zu pieces", t->limits.chunks_max);
	if (m->n == m->cap) {
		size_t cap = MAX(m->cap * 2, (size_t) 16);
		struct tar_chunk *c = realloc(m->chunks, cap * sizeof(*c));
		if (!c)
			return tar_fail(t, -ENOMEM, "out of memory");
		m->chunks = c;
		m->cap = cap;
	}
	m->chunks[m->n++] = (struct tar_chunk) {offset, len};
	return 0;
}

int tar_chunks_check(struct tar *t, uint64_t size, uint64_t *ret_data)
{
	uint64_t at = 0, data = 0;
	for (size_t i = 0; i < t->map.n; i++) {
		const struct tar_chunk *c = &t->map.chunks[i];
		if (c->offset < at || c->offset > size || c->len > size - c->offset)
			return tar_fail(t, -EBADMSG, "the map of a sparse file is out of order or beyond its end");
		at = c->offset + c->len;
		data += c->len;
	}
	*ret_data = data;
	return 0;
}

static int gnu_entries(struct tar *t, const struct tar_gnu_sparse *v, size_t n, bool *ret_end)
{
	for (size_t i = 0; i < n; i++) {
		int64_t offset, len;
		if (v[i].len[0] == '\0') { /* unused from here on */
			*ret_end = true;
			continue;
		}
		if (*ret_end || tar_number(v[i].offset, 12, &offset) < 0 || tar_number(v[i].len, 12, &len) < 0 || offset < 0 || len < 0)
			return tar_fail(t, -EBADMSG, "the map of a sparse file holds no numbers");
		int r = tar_chunk_add(t, (uint64_t) offset, (uint64_t) len);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_sparse_gnu(struct tar *t, const struct tar_header *h)
{
	struct tar_gnu_tail g;
	memcpy(&g, (const char *) h + 345, sizeof(g));
	int64_t real;
	if (tar_number(g.realsize, sizeof(g.realsize), &real) < 0 || real < 0)
		return tar_fail(t, -EBADMSG, "the real size of a sparse file is no number");
	bool end = false, more = g.isextended != 0;
	int r = gnu_entries(t, g.sparse, ARRAY_LEN(g.sparse), &end);
	while (r >= 0 && more) {
		const unsigned char *block;
		struct tar_gnu_extension x;
		r = tar_take(t, sizeof(x), &block);
		if (r < 0)
			return r;
		memcpy(&x, block, sizeof(x));
		more = x.isextended != 0;
		r = gnu_entries(t, x.sparse, ARRAY_LEN(x.sparse), &end);
		if (r >= 0 && end && more)
			return tar_fail(t, -EBADMSG, "the map of a sparse file goes on behind its end");
	}
	if (r < 0)
		return r;
	t->e.size = (uint64_t) real;
	return 0;
}

/* One decimal line of the 1.0 map, which lies in 512-byte blocks at the head of the data. */
struct map_reader {
	const unsigned char *block;
	size_t at;
};

static int map_line(struct tar *t, struct map_reader *m, uint64_t *ret)
{
	uint64_t v = 0;
	for (int digits = 0;; digits++) {
		if (m->at == TAR_BLOCK_SIZE || !m->block) {
			if (t->left < TAR_BLOCK_SIZE)
				return tar_fail(t, -EBADMSG, "the map of a sparse file is longer than its data");
			int r = tar_take(t, TAR_BLOCK_SIZE, &m->block);
			if (r < 0)
				return r;
			t->left -= TAR_BLOCK_SIZE;
			m->at = 0;
		}
		unsigned char c = m->block[m->at++];
		if (c == '\n' && digits > 0)
			break;
		if (c < '0' || c > '9' || digits >= 19)
			return tar_fail(t, -EBADMSG, "the map of a sparse file holds no numbers");
		v = v * 10 + (uint64_t) (c - '0');
	}
	*ret = v;
	return 0;
}

static int read_map_1_0(struct tar *t)
{
	struct map_reader m = {0};
	uint64_t n, offset, len;
	int r = map_line(t, &m, &n);
	for (uint64_t i = 0; r >= 0 && i < n; i++) {
		r = map_line(t, &m, &offset);
		if (r >= 0)
			r = map_line(t, &m, &len);
		if (r >= 0)
			r = tar_chunk_add(t, offset, len);
	}
	return r;
}

int tar_sparse_pax(struct tar *t)
{
	const struct pax *p = &t->pax;
	bool v1 = p->has & PAX_SPARSE_MAJOR;
	if (v1 && (p->sparse_major != 1 || !(p->has & PAX_SPARSE_MINOR) || p->sparse_minor != 0))
		return tar_fail(t, -EOPNOTSUPP, "sparse format %llu.%llu is not known", (unsigned long long) p->sparse_major, (unsigned long long) p->sparse_minor);
	if (!(p->has & (v1 ? PAX_SPARSE_REAL : PAX_SPARSE_SIZE)) || (v1 && (p->has & PAX_SPARSE_MAP)))
		return tar_fail(t, -EBADMSG, "a sparse file whose headers do not fit together");
	if (t->map.n > 0 && t->map.chunks[t->map.n - 1].len == UINT64_MAX)
		return tar_fail(t, -EBADMSG, "a sparse file whose last piece has no length");
	if (!v1 && (p->has & PAX_SPARSE_BLOCKS) && p->sparse_blocks != t->map.n)
		return tar_fail(t, -EBADMSG, "a sparse file of %zu pieces where %llu were announced", t->map.n, (unsigned long long) p->sparse_blocks);
	t->e.size = p->sparse_size;
	return v1 ? read_map_1_0(t) : 0;
}
