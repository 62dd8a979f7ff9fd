/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdarg.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/str.h"

enum { IN_SIZE = 256 * 1024 };

struct inflate {
	struct inflate_source src;
	struct inflate_limits limits;
	enum inflate_coding coding;
	bool started, src_eof, in_member, done;
	int failed; /* latched -errno */
	uint64_t in_total, out_total, members;
	size_t at, have; /* unread compressed bytes are in[at..have) */
	struct inflate_state *gzip; /* owned */
	ZSTD_DStream *zstd; /* owned */
	char why[160];
	unsigned char in[IN_SIZE];
};

const char *inflate_coding_name(enum inflate_coding c)
{
	static const char *const names[] = {"auto", "plain", "gzip", "zstd"};
	static_assert(ARRAY_LEN(names) == INFLATE_CODING_MAX_, "every coding has a name");
	return (unsigned) c < INFLATE_CODING_MAX_ ? names[c] : "?";
}

int inflate_new(const struct inflate_source *src, enum inflate_coding coding, const struct inflate_limits *limits, struct inflate **ret)
{
	struct inflate *z = malloc(sizeof(*z));
	if (!z)
		return -ENOMEM;
	memset(z, 0, offsetof(struct inflate, in));
	z->src = *src;
	z->coding = coding;
	z->limits = *limits;
	*ret = z;
	return 0;
}

struct inflate *inflate_free(struct inflate *z)
{
	if (z) {
		free(z->gzip);
		(void) ZSTD_freeDStream(z->zstd);
	}
	free(z);
	return NULL;
}

void inflate_freep(struct inflate **z)
{
	*z = inflate_free(*z);
}

static int _printf_(3, 4) fail(struct inflate *z, int r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(z->why, sizeof(z->why), fmt, ap);
	va_end(ap);
	z->failed = r;
	return r;
}

/* Read more compressed bytes behind what is there. Return: 0 (perhaps at the end), or -errno. */
static int refill(struct inflate *z)
{
	if (z->at > 0) {
		memmove(z->in, z->in + z->at, z->have - z->at);
		z->have -= z->at;
		z->at = 0;
	}
	if (z->src_eof)
		return 0;
	if (z->have == sizeof(z->in))
		return fail(z, -EBADMSG, "the decompressor makes no progress");
	ssize_t n = z->src.read(z->src.ctx, z->in + z->have, sizeof(z->in) - z->have);
	if (n < 0)
		return fail(z, (int) n, "reading: %s", strerrordesc_np((int) -n) ?: "unknown error");
	if (n == 0)
		z->src_eof = true;
	z->have += (size_t) n;
	z->in_total += (uint64_t) n;
	return 0;
}

/* Have at least @n bytes to look at, unless the source ends before. */
static int peek(struct inflate *z, size_t n)
{
	while (z->have - z->at < n && !z->src_eof) {
		int r = refill(z);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct {
	unsigned char magic[6];
	size_t len;
	const char *name; /* NULL: one that we take */
	enum inflate_coding coding;
} magics[] = {
	{{0x1f, 0x8b}, 2, NULL, INFLATE_GZIP},
	{{0x28, 0xb5, 0x2f, 0xfd}, 4, NULL, INFLATE_ZSTD},
	{{'B', 'Z', 'h'}, 3, "bzip2", INFLATE_AUTO},
	{{0xfd, '7', 'z', 'X', 'Z', 0}, 6, "xz", INFLATE_AUTO},
	{{0x1f, 0x9d}, 2, "compress", INFLATE_AUTO},
	{{0x04, 0x22, 0x4d, 0x18}, 4, "lz4", INFLATE_AUTO},
};

static bool is_skippable_zstd(const unsigned char *p, size_t n)
{
	return n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
}

static int sniff(struct inflate *z)
{
	int r = peek(z, 6);
	if (r < 0)
		return r;
	const unsigned char *p = z->in + z->at;
	size_t n = z->have - z->at;
	z->coding = is_skippable_zstd(p, n) ? INFLATE_ZSTD : INFLATE_PLAIN;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		if (n < magics[i].len || memcmp(p, magics[i].magic, magics[i].len) != 0)
			continue;
		if (magics[i].name)
			return fail(z, -EOPNOTSUPP, "compressed with %s: only gzip, zstd and plain are taken", magics[i].name);
		z->coding = magics[i].coding;
	}
	return 0;
}

static int start(struct inflate *z)
{
	z->started = true;
	int r = z->coding == INFLATE_AUTO ? sniff(z) : 0;
	if (r < 0)
		return r;
	if (z->coding == INFLATE_GZIP) {
		z->gzip = malloc(sizeof(*z->gzip));
		return z->gzip ? 0 : fail(z, -ENOMEM, "out of memory");
	}
	if (z->coding == INFLATE_ZSTD) {
		z->zstd = ZSTD_createDStream();
		if (!z->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, INFLATE_ZSTD_WINDOW_LOG_MAX)))
			return fail(z, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Before each member: is there one, and may it be? Return: 1 go on, 0 clean end, -errno. */
static int begin_member(struct inflate *z, size_t magic_len, bool (*is_magic)(const unsigned char *p, size_t n))
{
	int r = peek(z, magic_len);
	if (r < 0)
		return r;
	size_t n = z->have - z->at;
	if (n == 0 && z->members > 0)
		return 0;
	if (!is_magic(z->in + z->at, n))
		return z->members > 0 ? fail(z, -EBADMSG, "trailing bytes after the %s data", inflate_coding_name(z->coding)) :
					fail(z, -EBADMSG, "not %s data", inflate_coding_name(z->coding));
	if (z->limits.members_max > 0 && z->members >= z->limits.members_max)
		return fail(z, -EDQUOT, "more than %llu %s members", (unsigned long long) z->limits.members_max, inflate_coding_name(z->coding));
	z->members++;
	z->in_member = true;
	return 1;
}

static bool is_gzip(const unsigned char *p, size_t n)
{
	return n >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static bool is_zstd(const unsigned char *p, size_t n)
{
	return is_skippable_zstd(p, n) || (n >= 4 && memcmp(p, magics[1].magic, 4) == 0);
}

static const char *gzip_words(int r)
{
	static const char *const words[] = {
		[-ISAL_INVALID_BLOCK] = "invalid deflate block",	[-ISAL_INVALID_SYMBOL] = "invalid deflate symbol",
		[-ISAL_INVALID_LOOKBACK] = "invalid deflate distance",	[-ISAL_INVALID_WRAPPER] = "invalid gzip header",
		[-ISAL_UNSUPPORTED_METHOD] = "unknown gzip method",	[-ISAL_INCORRECT_CHECKSUM] = "wrong gzip checksum",
	};
	return r < 0 && (size_t) -r < ARRAY_LEN(words) && words[-r] ? words[-r] : "damaged gzip data";
}

static ssize_t read_gzip(struct inflate *z, unsigned char *buf, size_t len)
{
	struct inflate_state *g = z->gzip;
	for (;;) {
		if (!z->in_member) {
			int r = begin_member(z, 2, is_gzip);
			if (r <= 0)
				return r;
			isal_inflate_init(g);
			g->crc_flag = ISAL_GZIP;
		}
		g->next_in = z->in + z->at;
		g->avail_in = (uint32_t) (z->have - z->at);
		g->next_out = buf;
		g->avail_out = (uint32_t) MIN(len, (size_t) 1 << 30);
		size_t room = g->avail_out;
		int r = isal_inflate(g);
		size_t used = z->have - z->at - g->avail_in, got = room - g->avail_out;
		z->at = z->have - g->avail_in;
		if (r < 0 || r == ISAL_NEED_DICT)
			return fail(z, -EBADMSG, "%s", gzip_words(r));
		if (g->block_state == ISAL_BLOCK_FINISH)
			z->in_member = false;
		if (got > 0)
			return (ssize_t) got;
		if (z->in_member && used == 0) {
			if (z->src_eof)
				return fail(z, -EBADMSG, "gzip data is cut short");
			r = refill(z);
			if (r < 0)
				return r;
		}
	}
}

static ssize_t read_zstd(struct inflate *z, unsigned char *buf, size_t len)
{
	for (;;) {
		if (!z->in_member) {
			int r = begin_member(z, 4, is_zstd);
			if (r <= 0)
				return r;
		}
		ZSTD_inBuffer in = {z->in + z->at, z->have - z->at, 0};
		ZSTD_outBuffer out = {buf, len, 0};
		size_t r = ZSTD_decompressStream(z->zstd, &out, &in);
		z->at += in.pos;
		if (ZSTD_isError(r)) {
			if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
				return fail(z, -EDQUOT, "zstd window is larger than %u MiB", 1u << (INFLATE_ZSTD_WINDOW_LOG_MAX - 20));
			return fail(z, -EBADMSG, "damaged zstd data: %s", ZSTD_getErrorName(r));
		}
		if (r == 0)
			z->in_member = false;
		if (out.pos > 0)
			return (ssize_t) out.pos;
		if (z->in_member && in.pos == 0) {
			if (z->src_eof)
				return fail(z, -EBADMSG, "zstd data is cut short");
			int e = refill(z);
			if (e < 0)
				return e;
		}
	}
}

static ssize_t read_plain(struct inflate *z, unsigned char *buf, size_t len)
{
	size_t n = MIN(len, z->have - z->at);
	if (n > 0) {
		memcpy(buf, z->in + z->at, n);
		z->at += n;
		return (ssize_t) n;
	}
	if (z->src_eof)
		return 0;
	ssize_t got = z->src.read(z->src.ctx, buf, len);
	if (got < 0)
		return fail(z, (int) got, "reading: %s", strerrordesc_np((int) -got) ?: "unknown error");
	z->src_eof = got == 0;
	z->in_total += (uint64_t) got;
	return got;
}

static int check_limits(struct inflate *z)
{
	const struct inflate_limits *l = &z->limits;
	if (l->out_max > 0 && z->out_total > l->out_max)
		return fail(z, -EDQUOT, "more than %llu bytes uncompressed", (unsigned long long) l->out_max);
	uint64_t in = MAX(z->in_total - (z->have - z->at), (uint64_t) 1);
	if (l->ratio_max > 0 && z->out_total > l->ratio_floor && z->out_total / in > l->ratio_max)
		return fail(z, -EDQUOT, "compressed more than %llu to 1 beyond the first %llu bytes", (unsigned long long) l->ratio_max,
			    (unsigned long long) l->ratio_floor);
	return 0;
}

ssize_t inflate_read(struct inflate *z, void *buf, size_t len)
{
	assert(len > 0);
	if (z->failed < 0)
		return z->failed;
	if (z->done)
		return 0;
	int r = z->started ? 0 : start(z);
	if (r < 0)
		return r;
	ssize_t n = z->coding == INFLATE_GZIP ? read_gzip(z, buf, len) : z->coding == INFLATE_ZSTD ? read_zstd(z, buf, len) : read_plain(z, buf, len);
	if (n < 0)
		return n;
	if (n == 0)
		z->done = true;
	z->out_total += (uint64_t) n;
	r = check_limits(z);
	return r < 0 ? r : n;
}

const char *inflate_why(const struct inflate *z)
{
	return z->why;
}

enum inflate_coding inflate_coding(const struct inflate *z)
{
	return z->coding;
}

uint64_t inflate_bytes_in(const struct inflate *z)
{
	return z->in_total;
}

uint64_t inflate_bytes_out(const struct inflate *z)
{
	return z->out_total;
}
