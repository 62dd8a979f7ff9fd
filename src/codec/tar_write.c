/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_write.h"

#include <errno.h>

#include "codec/tar_internal.h"

enum { BUF_SIZE = 128 << 10, PAX_MAX = 1 << 20, XATTRS_MAX = 256 };
#define XATTR_PREFIX "SCHILY.xattr."

struct tar_writer {
	int (*write)(void *ctx, const void *buf, size_t len);
	void *ctx;
	int failed;             /* the sink's first error */
	uint64_t left, padding; /* of the current file */
	struct strbuf path, pax; /* owned; scratch of one entry */
	size_t n;                /* bytes in @buf */
	unsigned char buf[BUF_SIZE];
};

int tar_writer_new(int (*write)(void *ctx, const void *buf, size_t len), void *ctx, struct tar_writer **ret)
{
	struct tar_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->write = write;
	w->ctx = ctx;
	strbuf_init(&w->path, PAX_MAX);
	strbuf_init(&w->pax, PAX_MAX);
	*ret = w;
	return 0;
}

struct tar_writer *tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return NULL;
	strbuf_done(&w->path);
	strbuf_done(&w->pax);
	free(w);
	return NULL;
}

void tar_writer_freep(struct tar_writer **w)
{
	*w = tar_writer_free(*w);
}

int tar_writer_flush(struct tar_writer *w)
{
	if (w->failed < 0 || w->n == 0)
		return w->failed;
	int r = w->write(w->ctx, w->buf, w->n);
	w->n = 0;
	w->failed = MIN(r, 0);
	return w->failed;
}

/* Through the buffer; a large piece passes by it. */
static int put(struct tar_writer *w, const void *p, size_t len)
{
	if (len == 0)
		return w->failed;
	if (len > sizeof(w->buf) - w->n && tar_writer_flush(w) < 0)
		return w->failed;
	if (len >= sizeof(w->buf)) {
		w->failed = MIN(w->write(w->ctx, p, len), 0);
		return w->failed;
	}
	memcpy(w->buf + w->n, p, len);
	w->n += len;
	return w->failed;
}

static int put_zeros(struct tar_writer *w, size_t len)
{
	static const unsigned char zeros[2 * TAR_BLOCK_SIZE];
	assert(len <= sizeof(zeros));
	return put(w, zeros, len);
}

static uint64_t pad(uint64_t n)
{
	return (TAR_BLOCK_SIZE - n % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE;
}

bool tar_writer_takes_xattr(const char *name)
{
	return *name && !strchr(name, '=');
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static void pax_record(struct strbuf *b, const char *prefix, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(prefix) + strlen(key) + len + 3, total = rest; /* blank, '=', newline */
	for (;;) {
		char digits[24];
		size_t n = rest + (size_t) str_format(digits, sizeof(digits), "%zu", total);
		if (n == total)
			break;
		total = n;
	}
	strbuf_addf(b, "%zu %s%s=", total, prefix, key);
	strbuf_add(b, value, len);
	strbuf_addc(b, '\n');
}

static void pax_text(struct strbuf *b, const char *key, const char *value)
{
	pax_record(b, "", key, value, strlen(value));
}

static void pax_number(struct strbuf *b, const char *key, uint64_t v)
{
	char text[24];
	(void) str_format(text, sizeof(text), "%llu", (unsigned long long) v);
	pax_text(b, key, text);
}

/* A field of @size bytes: octal with its NUL, when the number fits. */
static bool octal(char *field, size_t size, uint64_t v)
{
	size_t digits = size - 1;
	if (digits < 21 && v >> (3 * digits))
		return false;
	for (size_t i = digits; i-- > 0; v >>= 3)
		field[i] = (char) ('0' + (v & 7));
	field[digits] = '\0';
	return true;
}

static void number(struct strbuf *pax, const char *key, char *field, size_t size, uint64_t v)
{
	if (octal(field, size, v))
		return;
	(void) octal(field, size, 0);
	pax_number(pax, key, v);
}

/* Seconds before 1970 and parts of a second have no place in the header. */
static void set_mtime(struct strbuf *pax, struct tar_header *h, int64_t s, uint32_t ns)
{
	if (ns == 0 && s >= 0 && octal(h->mtime, sizeof(h->mtime), (uint64_t) s))
		return;
	char text[48];
	bool negative = s < 0;
	uint64_t whole = negative ? 0 - (uint64_t) s : (uint64_t) s;
	if (negative && ns > 0) { /* the value is s + ns, written as sign and amount */
		whole--;
		ns = 1000000000 - ns;
	}
	int n = str_format(text, sizeof(text), "%s%llu.%09u", negative ? "-" : "", (unsigned long long) whole, ns);
	while (n > 0 && text[n - 1] == '0')
		text[--n] = '\0';
	if (n > 0 && text[n - 1] == '.')
		text[n - 1] = '\0';
	(void) octal(h->mtime, sizeof(h->mtime), negative || whole >> 33 ? 0 : whole);
	pax_text(pax, "mtime", text);
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s >= 0x80)
			return false;
	return true;
}

/* As much of a name as the field holds, for readers without pax; never a '/' at its end, which would say "directory". */
static void cut(char *field, size_t size, const char *s)
{
	size_t n = strnlen(s, size);
	while (n > 1 && s[n - 1] == '/' && s[n])
		n--;
	memcpy(field, s, n);
}

static void set_path(struct strbuf *pax, struct tar_header *h, const char *path)
{
	size_t n = strlen(path);
	if (!is_ascii(path))
		goto in_pax;
	if (n <= sizeof(h->name)) {
		memcpy(h->name, path, n);
		return;
	}
	if (n <= sizeof(h->prefix) + 1 + sizeof(h->name)) {
		/* the first '/' that leaves a name short enough; both parts must hold something */
		const char *s = strchr(path + (n - sizeof(h->name) - 1), '/');
		if (s && s > path && s[1] && (size_t) (s - path) <= sizeof(h->prefix)) {
			memcpy(h->prefix, path, (size_t) (s - path));
			memcpy(h->name, s + 1, strlen(s + 1));
			return;
		}
	}
in_pax:
	cut(h->name, sizeof(h->name), path);
	pax_text(pax, "path", path);
}

static void set_link(struct strbuf *pax, struct tar_header *h, const char *link)
{
	size_t n = strlen(link);
	if (n <= sizeof(h->linkname) && is_ascii(link)) {
		memcpy(h->linkname, link, n);
		return;
	}
	cut(h->linkname, sizeof(h->linkname), link);
	pax_text(pax, "linkpath", link);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tar_xattr *) a)->name, ((const struct tar_xattr *) b)->name);
}

static int set_xattrs(struct strbuf *pax, const struct tar_entry *e)
{
	struct tar_xattr sorted[XATTRS_MAX];
	if (e->n_xattrs == 0)
		return 0;
	if (e->n_xattrs > XATTRS_MAX)
		return -EINVAL;
	memcpy(sorted, e->xattrs, e->n_xattrs * sizeof(sorted[0]));
	qsort(sorted, e->n_xattrs, sizeof(sorted[0]), by_name);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		if (!tar_writer_takes_xattr(sorted[i].name))
			return -EINVAL;
		pax_record(pax, XATTR_PREFIX, sorted[i].name, sorted[i].value, sorted[i].len);
	}
	return 0;
}

static void finish(struct tar_header *h)
{
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->chksum, ' ', sizeof(h->chksum));
	uint64_t sum = 0;
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
		sum += ((const unsigned char *) h)[i];
	(void) octal(h->chksum, sizeof(h->chksum) - 1, sum); /* six digits, NUL, blank */
}

static const char type_flags[] = {
	[TAR_FILE] = '0', [TAR_HARDLINK] = '1', [TAR_SYMLINK] = '2', [TAR_CHAR] = '3', [TAR_BLOCK] = '4', [TAR_DIR] = '5', [TAR_FIFO] = '6'};
static_assert(ARRAY_LEN(type_flags) == TAR_TYPE_MAX_, "one flag a type");

/* The header and, in @w->pax, what did not fit into it. */
static int compose(struct tar_writer *w, const struct tar_entry *e, struct tar_header *h)
{
	struct strbuf *pax = &w->pax;
	bool dev = e->type == TAR_CHAR || e->type == TAR_BLOCK, link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;
	size_t n = strlen(e->path);
	if (n == 0 || e->type >= TAR_TYPE_MAX_ || e->sparse || (e->type != TAR_FILE && e->size > 0) || (link && !*e->link))
		return -EINVAL;
	if (e->size > INT64_MAX || e->uid > INT64_MAX || e->gid > INT64_MAX || e->mtime_ns >= 1000000000 || (e->type != TAR_DIR && e->path[n - 1] == '/'))
		return -EINVAL;
	strbuf_reset(&w->path);
	strbuf_reset(pax);
	strbuf_adds(&w->path, e->path);
	if (e->type == TAR_DIR && e->path[n - 1] != '/')
		strbuf_addc(&w->path, '/');
	if (strbuf_err(&w->path) < 0)
		return strbuf_err(&w->path) == -ENOMEM ? -ENOMEM : -EINVAL;
	set_path(pax, h, w->path.s);
	if (link)
		set_link(pax, h, e->link);
	(void) octal(h->mode, sizeof(h->mode), e->mode & 07777);
	number(pax, "size", h->size, sizeof(h->size), e->size);
	number(pax, "uid", h->uid, sizeof(h->uid), e->uid);
	number(pax, "gid", h->gid, sizeof(h->gid), e->gid);
	set_mtime(pax, h, e->mtime_s, e->mtime_ns);
	if (dev && (!octal(h->devmajor, sizeof(h->devmajor), e->dev_major) || !octal(h->devminor, sizeof(h->devminor), e->dev_minor)))
		return -EINVAL;
	int r = set_xattrs(pax, e);
	if (r < 0)
		return r;
	if (strbuf_err(pax) < 0)
		return strbuf_err(pax) == -ENOMEM ? -ENOMEM : -EINVAL;
	h->type = type_flags[e->type];
	finish(h);
	return 0;
}

static int put_pax(struct tar_writer *w)
{
	struct tar_header h = {.name = "PaxHeaders.0/x", .mode = "0000644", .uid = "0000000", .gid = "0000000", .mtime = "00000000000", .type = 'x'};
	if (w->pax.len == 0)
		return 0;
	(void) octal(h.size, sizeof(h.size), w->pax.len);
	finish(&h);
	int r = put(w, &h, sizeof(h));
	if (r >= 0)
		r = put(w, w->pax.s, w->pax.len);
	return r < 0 ? r : put_zeros(w, (size_t) pad(w->pax.len));
}

int tar_writer_entry(struct tar_writer *w, const struct tar_entry *e)
{
	struct tar_header h = {0};
	if (w->failed < 0)
		return w->failed;
	if (w->left > 0)
		return -EBUSY;
	int r = compose(w, e, &h);
	if (r >= 0)
		r = put_pax(w);
	if (r >= 0)
		r = put(w, &h, sizeof(h));
	if (r < 0)
		return r;
	w->left = e->size;
	w->padding = pad(e->size);
	return 0;
}

int tar_writer_data(struct tar_writer *w, const void *p, size_t len)
{
	if (w->failed < 0)
		return w->failed;
	if (len > w->left)
		return -EFBIG;
	int r = put(w, p, len);
	w->left -= len;
	if (r < 0 || len == 0 || w->left > 0)
		return r;
	return put_zeros(w, (size_t) w->padding);
}

int tar_writer_end(struct tar_writer *w)
{
	if (w->failed < 0)
		return w->failed;
	if (w->left > 0)
		return -EBUSY;
	int r = put_zeros(w, 2 * TAR_BLOCK_SIZE);
	return r < 0 ? r : tar_writer_flush(w);
}
