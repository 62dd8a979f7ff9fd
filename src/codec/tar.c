/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar.h"

#include <errno.h>
#include <stdarg.h>

#include "codec/tar_internal.h"

enum { BUF_SIZE = 1 << 20 };

int tar_new(ssize_t (*read)(void *ctx, void *buf, size_t len), void *ctx, const struct tar_limits *limits, struct tar **ret)
{
	struct tar *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->read = read;
	t->ctx = ctx;
	t->limits = *limits;
	t->buf_size = BUF_SIZE;
	t->buf = malloc(t->buf_size);
	if (!t->buf) {
		free(t);
		return -ENOMEM;
	}
	strbuf_init(&t->pax_bytes, limits->header_max);
	strbuf_init(&t->longname, limits->header_max);
	strbuf_init(&t->longlink, limits->header_max);
	strbuf_init(&t->name, limits->path_max + 512);
	*ret = t;
	return 0;
}

struct tar *tar_free(struct tar *t)
{
	if (!t)
		return NULL;
	strbuf_done(&t->pax_bytes);
	strbuf_done(&t->longname);
	strbuf_done(&t->longlink);
	strbuf_done(&t->name);
	free(t->map.chunks);
	free(t->xattrs.v);
	free(t->buf);
	free(t);
	return NULL;
}

void tar_freep(struct tar **t)
{
	*t = tar_free(*t);
}

char *tar_escape(char *buf, size_t size, const char *name)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	assert(size >= 16);
	for (; *name && n + 8 < size; name++) {
		unsigned char c = (unsigned char) *name;
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			buf[n++] = (char) c;
			continue;
		}
		buf[n++] = '\\';
		buf[n++] = 'x';
		buf[n++] = hex[c >> 4];
		buf[n++] = hex[c & 15];
	}
	for (int i = 0; *name && i < 3; i++)
		buf[n++] = '.';
	buf[n] = '\0';
	return buf;
}

int tar_fail(struct tar *t, int r, const char *fmt, ...)
{
	if (t->failed < 0)
		return t->failed;
	va_list ap;
	va_start(ap, fmt);
	int n = t->member[0] ? snprintf(t->why, sizeof(t->why), "member '%s': ", t->member) : 0;
	if (n >= 0 && (size_t) n < sizeof(t->why))
		(void) vsnprintf(t->why + n, sizeof(t->why) - (size_t) n, fmt, ap);
	va_end(ap);
	t->failed = r;
	return r;
}

const char *tar_why(const struct tar *t)
{
	return t->why;
}

/* One read into the buffer's free end. Return: 1, 0 at the end of the source, -errno. */
static int fill(struct tar *t)
{
	if (t->at == t->have)
		t->at = t->have = 0;
	if (t->eof)
		return 0;
	ssize_t n = t->read(t->ctx, t->buf + t->have, t->buf_size - t->have);
	if (n < 0)
		return tar_fail(t, (int) n, "reading the archive failed");
	if (n == 0) {
		t->eof = true;
		return 0;
	}
	t->have += (size_t) n;
	return 1;
}

/* Have @n bytes in one piece. Return: how many there are, at most @n; -errno. */
static ssize_t gather(struct tar *t, size_t n)
{
	assert(n <= t->buf_size);
	if (t->have - t->at < n && t->at > 0) {
		memmove(t->buf, t->buf + t->at, t->have - t->at);
		t->have -= t->at;
		t->at = 0;
	}
	while (t->have - t->at < n) {
		int r = fill(t);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	return (ssize_t) MIN(n, t->have - t->at);
}

int tar_take(struct tar *t, size_t n, const unsigned char **ret)
{
	ssize_t got = gather(t, n);
	if (got < 0)
		return (int) got;
	if ((size_t) got < n)
		return tar_fail(t, -EBADMSG, "the archive is cut short");
	*ret = t->buf + t->at;
	t->at += n;
	return 0;
}

static int skip(struct tar *t, uint64_t n)
{
	while (n > 0) {
		if (t->at == t->have) {
			int r = fill(t);
			if (r < 0)
				return r;
			if (r == 0)
				return tar_fail(t, -EBADMSG, "the archive is cut short");
		}
		size_t k = (size_t) MIN(n, (uint64_t) (t->have - t->at));
		t->at += k;
		n -= k;
	}
	return 0;
}

/* What follows the first block of the end marker must be zeros to the very end. */
static int drain(struct tar *t)
{
	t->member[0] = '\0';
	for (;;) {
		for (; t->at < t->have; t->at++)
			if (t->buf[t->at])
				return tar_fail(t, -EBADMSG, "bytes behind the end of the archive");
		int r = fill(t);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	t->ended = true;
	return 0;
}

static uint64_t pad(uint64_t n)
{
	return (TAR_BLOCK_SIZE - n % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE;
}

/* The body of an extended header or a long name, into @b. */
static int read_body(struct tar *t, const struct tar_header *h, const char *what, struct strbuf *b)
{
	int64_t size;
	if (tar_number(h->size, sizeof(h->size), &size) < 0 || size < 0)
		return tar_fail(t, -EBADMSG, "%s: its size is no number", what);
	if ((uint64_t) size > t->limits.header_max)
		return tar_fail(t, -EDQUOT, "%s of %lld bytes, at most %zu are taken", what, (long long) size, t->limits.header_max);
	strbuf_reset(b);
	for (uint64_t left = (uint64_t) size; left > 0;) {
		const unsigned char *p;
		size_t n = (size_t) MIN(left, (uint64_t) 65536);
		int r = tar_take(t, n, &p);
		if (r < 0)
			return r;
		strbuf_add(b, p, n);
		left -= n;
	}
	if (strbuf_err(b) < 0)
		return tar_fail(t, strbuf_err(b), "out of memory");
	return skip(t, pad((uint64_t) size));
}

static int read_long(struct tar *t, const struct tar_header *h, const char *what, struct strbuf *b, bool *got)
{
	if (*got || t->got_pax)
		return tar_fail(t, -EOPNOTSUPP, "two extended headers of one kind for one entry");
	int r = read_body(t, h, what, b);
	if (r < 0)
		return r;
	/* the name ends at its NUL, and nothing may lie behind it */
	size_t n = b->len ? strnlen(b->s, b->len) : 0;
	for (size_t i = n; i < b->len; i++)
		if (b->s[i])
			return tar_fail(t, -EBADMSG, "%s: a NUL byte inside", what);
	if (n == 0 || n > t->limits.path_max)
		return tar_fail(t, n ? -EDQUOT : -EBADMSG, "%s of %zu bytes, at most %zu are taken", what, n, t->limits.path_max);
	*got = true;
	return 0;
}

static int read_pax(struct tar *t, const struct tar_header *h)
{
	if (t->got_pax || t->got_longname || t->got_longlink)
		return tar_fail(t, -EOPNOTSUPP, "two extended headers for one entry");
	int r = read_body(t, h, "extended header", &t->pax_bytes);
	if (r < 0)
		return r;
	t->got_pax = true;
	t->pax = t->global;
	return t->pax_bytes.len ? tar_pax_parse(t, &t->pax_bytes, &t->pax, /* global= */ false) : 0;
}

static int read_global(struct tar *t, const struct tar_header *h)
{
	if (t->got_pax || t->got_longname || t->got_longlink)
		return tar_fail(t, -EOPNOTSUPP, "a global header between an extended header and its entry");
	int r = read_body(t, h, "global header", &t->pax_bytes);
	if (r < 0)
		return r;
	r = t->pax_bytes.len ? tar_pax_parse(t, &t->pax_bytes, &t->global, /* global= */ true) : 0;
	t->pax = t->global;
	return r;
}

enum magic { MAGIC_V7, MAGIC_USTAR, MAGIC_GNU, MAGIC_NONE };

static enum magic magic_of(const struct tar_header *h)
{
	static const char zeros[8];
	if (memcmp(h->magic, "ustar\0", 6) == 0)
		return MAGIC_USTAR;
	if (memcmp(h->magic, "ustar  ", 8) == 0) /* magic and version together */
		return MAGIC_GNU;
	return memcmp(h->magic, zeros, 8) == 0 ? MAGIC_V7 : MAGIC_NONE;
}

/* Name and link target of the entry: from pax, from a long name, or from the header's fields. */
static int set_names(struct tar *t, const struct tar_header *h, enum magic m)
{
	struct strbuf *b = &t->name;
	strbuf_reset(b);
	size_t prefix = m == MAGIC_USTAR ? strnlen(h->prefix, sizeof(h->prefix)) : 0;
	strbuf_add(b, h->prefix, prefix);
	if (prefix > 0)
		strbuf_addc(b, '/');
	strbuf_add(b, h->name, strnlen(h->name, sizeof(h->name)));
	strbuf_addc(b, '\0');
	size_t link = b->len;
	strbuf_add(b, h->linkname, strnlen(h->linkname, sizeof(h->linkname)));
	if (strbuf_err(b) < 0)
		return tar_fail(t, strbuf_err(b), "out of memory");
	unsigned has = t->pax.has;
	t->e.path = has & PAX_SPARSE_NAME ? t->pax.sparse_name : has & PAX_PATH ? t->pax.path : t->got_longname ? t->longname.s : b->s;
	t->e.link = has & PAX_LINKPATH ? t->pax.linkpath : t->got_longlink ? t->longlink.s : b->s + link;
	(void) tar_escape(t->member, sizeof(t->member), *t->e.path ? t->e.path : "(no name)");
	return 0;
}

static const struct {
	char flag;
	enum tar_type type;
	bool gnu_sparse;
} types[] = {
	{'0', TAR_FILE, false},	 {'\0', TAR_FILE, false}, {'7', TAR_FILE, false}, {'1', TAR_HARDLINK, false}, {'2', TAR_SYMLINK, false},
	{'3', TAR_CHAR, false}, {'4', TAR_BLOCK, false}, {'5', TAR_DIR, false},	 {'6', TAR_FIFO, false},     {'S', TAR_FILE, true},
};

static int set_type(struct tar *t, const struct tar_header *h, enum magic m, bool *ret_gnu_sparse)
{
	size_t n = strlen(t->e.path);
	bool slash = n > 0 && t->e.path[n - 1] == '/';
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (h->type != types[i].flag)
			continue;
		t->e.type = types[i].type;
		*ret_gnu_sparse = types[i].gnu_sparse;
		if (types[i].gnu_sparse && m != MAGIC_GNU)
			return tar_fail(t, -EOPNOTSUPP, "a GNU sparse file in an archive that is not GNU's");
		if (t->e.type == TAR_FILE && slash) {
			if (h->type != '\0' || m != MAGIC_V7)
				return tar_fail(t, -EOPNOTSUPP, "a file whose name ends in '/'");
			t->e.type = TAR_DIR; /* how v7 wrote directories */
		}
		return 0;
	}
	char c[2] = {h->type, 0}, buf[16];
	return tar_fail(t, -EOPNOTSUPP, "entries of type '%s' are not taken", tar_escape(buf, sizeof(buf), c));
}

static int set_number(struct tar *t, const char *field, size_t size, const char *what, bool negative_ok, int64_t *ret)
{
	if (tar_number(field, size, ret) < 0 || (*ret < 0 && !negative_ok))
		return tar_fail(t, -EBADMSG, "its %s is no number", what);
	return 0;
}
#define NUMBER(t, h, f, neg, ret) set_number(t, (h)->f, sizeof((h)->f), #f, neg, ret)

static int set_numbers(struct tar *t, const struct tar_header *h)
{
	int64_t mode, uid, gid, size, mtime, maj = 0, min = 0;
	bool dev = t->e.type == TAR_CHAR || t->e.type == TAR_BLOCK;
	int r = NUMBER(t, h, mode, false, &mode);
	if (r >= 0)
		r = NUMBER(t, h, uid, false, &uid);
	if (r >= 0)
		r = NUMBER(t, h, gid, false, &gid);
	if (r >= 0)
		r = NUMBER(t, h, size, false, &size);
	if (r >= 0)
		r = NUMBER(t, h, mtime, true, &mtime);
	if (r >= 0 && dev)
		r = NUMBER(t, h, devmajor, false, &maj);
	if (r >= 0 && dev)
		r = NUMBER(t, h, devminor, false, &min);
	if (r < 0)
		return r;
	const struct pax *p = &t->pax;
	t->e.mode = (uint32_t) mode & 07777;
	t->e.uid = p->has & PAX_UID ? p->uid : (uint64_t) uid;
	t->e.gid = p->has & PAX_GID ? p->gid : (uint64_t) gid;
	t->e.mtime_s = p->has & PAX_MTIME ? p->mtime_s : mtime;
	t->e.mtime_ns = p->has & PAX_MTIME ? p->mtime_ns : 0;
	t->e.size = p->has & PAX_SIZE ? p->size : (uint64_t) size;
	t->e.dev_major = (uint32_t) maj;
	t->e.dev_minor = (uint32_t) min;
	return 0;
}

/* Sizes: what follows in the archive, what the file will be, and that both agree. */
static int set_data(struct tar *t, const struct tar_header *h, bool gnu_sparse)
{
	struct tar_entry *e = &t->e;
	bool pax_sparse = t->pax.has & (PAX_SPARSE_SIZE | PAX_SPARSE_REAL | PAX_SPARSE_MAJOR | PAX_SPARSE_MAP | PAX_SPARSE_NAME);
	if (e->type != TAR_FILE && (e->size > 0 || pax_sparse))
		return tar_fail(t, -EOPNOTSUPP, "%llu bytes of data on an entry that cannot have any", (unsigned long long) e->size);
	t->left = e->size;
	t->padding = pad(e->size);
	e->sparse = gnu_sparse || pax_sparse;
	if (gnu_sparse && pax_sparse)
		return tar_fail(t, -EOPNOTSUPP, "a sparse file in two formats at once");
	int r = gnu_sparse ? tar_sparse_gnu(t, h) : pax_sparse ? tar_sparse_pax(t) : 0;
	if (r < 0)
		return r;
	e->data_size = t->left;
	uint64_t data = t->left;
	if (e->sparse) {
		r = tar_chunks_check(t, e->size, &data);
		if (r < 0)
			return r;
	}
	if (data != t->left)
		return tar_fail(t, -EBADMSG, "a sparse file whose map holds %llu bytes and whose data %llu", (unsigned long long) data,
				(unsigned long long) t->left);
	if (t->limits.data_max > 0 && (data > t->limits.data_max || t->data_total > t->limits.data_max - data))
		return tar_fail(t, -EDQUOT, "the files hold more than %llu bytes", (unsigned long long) t->limits.data_max);
	t->data_total += data;
	e->chunks = e->sparse ? t->map.chunks : NULL;
	e->n_chunks = e->sparse ? t->map.n : 0;
	return 0;
}

static int set_entry(struct tar *t, const struct tar_header *h, enum magic m)
{
	bool gnu_sparse = false;
	int r = set_names(t, h, m);
	if (r >= 0)
		r = set_type(t, h, m, &gnu_sparse);
	if (r >= 0)
		r = set_numbers(t, h);
	if (r >= 0)
		r = set_data(t, h, gnu_sparse);
	t->e.xattrs = t->xattrs.v;
	t->e.n_xattrs = t->xattrs.n;
	return r;
}

static void begin_entry(struct tar *t)
{
	t->e = (struct tar_entry) {0};
	t->pax = t->global;
	t->got_pax = t->got_longname = t->got_longlink = false;
	t->map.n = 0;
	t->xattrs.n = t->xattrs.bytes = 0;
	t->left = t->padding = 0;
	t->chunk = 0;
	t->chunk_done = t->plain_done = 0;
}

/* At the place of a header there is none. Return: 0 for a clean end. */
static int end_without_marker(struct tar *t, size_t have)
{
	if (have > 0 || t->got_pax || t->got_longname || t->got_longlink)
		return tar_fail(t, -EBADMSG, "the archive is cut short");
	if (!t->limits.end_optional)
		return tar_fail(t, -EBADMSG, "the archive is cut short: it has no end marker");
	t->ended = true;
	return 0;
}

/* One header block. Return: 2 it was the entry's own, 1 an extension, 0 the end. */
static int next_header(struct tar *t)
{
	ssize_t got = gather(t, TAR_BLOCK_SIZE);
	if (got < 0)
		return (int) got;
	if (got < TAR_BLOCK_SIZE)
		return end_without_marker(t, (size_t) got);
	struct tar_header h;
	memcpy(&h, t->buf + t->at, sizeof(h));
	t->at += TAR_BLOCK_SIZE;
	if (tar_is_zero_block(&h))
		return t->got_pax || t->got_longname || t->got_longlink ? tar_fail(t, -EBADMSG, "an extended header without an entry") : drain(t);
	if (++t->entries > t->limits.entries_max)
		return tar_fail(t, -EDQUOT, "more than %llu entries", (unsigned long long) t->limits.entries_max);
	enum magic m = magic_of(&h);
	if (m == MAGIC_NONE || !tar_checksum_ok(&h))
		return tar_fail(t, -EBADMSG, t->entries == 1 ? "not a tar archive" : "after this one: a damaged header");
	int r;
	switch (h.type) {
	case 'x':
		r = read_pax(t, &h);
		return r < 0 ? r : 1;
	case 'g':
		r = read_global(t, &h);
		return r < 0 ? r : 1;
	case 'L':
		r = read_long(t, &h, "long name", &t->longname, &t->got_longname);
		return r < 0 ? r : 1;
	case 'K':
		r = read_long(t, &h, "long link name", &t->longlink, &t->got_longlink);
		return r < 0 ? r : 1;
	default:
		r = set_entry(t, &h, m);
		return r < 0 ? r : 2;
	}
}

/* The rest of a file's last block. Writers that never close their archive leave it out, like the end marker. */
static int skip_padding(struct tar *t)
{
	ssize_t got = gather(t, (size_t) t->padding);
	if (got < 0)
		return (int) got;
	if ((uint64_t) got == t->padding || !t->limits.end_optional)
		return skip(t, t->padding);
	t->at = t->have;
	t->ended = true;
	return 0;
}

int tar_next(struct tar *t, const struct tar_entry **ret)
{
	if (t->failed < 0)
		return t->failed;
	if (t->ended)
		return 0;
	int r = skip(t, t->left);
	if (r >= 0)
		r = skip_padding(t);
	if (r < 0 || t->ended)
		return r;
	begin_entry(t);
	do
		r = next_header(t);
	while (r == 1);
	if (r <= 0)
		return r;
	*ret = &t->e;
	return 1;
}

ssize_t tar_data(struct tar *t, const void **ret, uint64_t *ret_offset)
{
	if (t->failed < 0)
		return t->failed;
	if (t->left == 0)
		return 0;
	uint64_t want = t->left;
	*ret_offset = t->plain_done;
	if (t->e.sparse) {
		while (t->chunk_done == t->map.chunks[t->chunk].len) {
			t->chunk++;
			t->chunk_done = 0;
		}
		const struct tar_chunk *c = &t->map.chunks[t->chunk];
		want = c->len - t->chunk_done;
		*ret_offset = c->offset + t->chunk_done;
	}
	if (t->at == t->have) {
		int r = fill(t);
		if (r < 0)
			return r;
		if (r == 0)
			return tar_fail(t, -EBADMSG, "the archive is cut short");
	}
	size_t n = (size_t) MIN(want, (uint64_t) (t->have - t->at));
	*ret = t->buf + t->at;
	t->at += n;
	t->left -= n;
	t->plain_done += n;
	t->chunk_done += n;
	return (ssize_t) n;
}
