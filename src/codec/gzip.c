/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"

#define CHUNK 65536
#define WINDOW_GZIP (15 + 16) /* zlib.h: 16 more than the window's bits mean gzip */
#define MEMORY_LEVEL 8

static ssize_t read_some(int fd, void *buf, size_t len)
{
	ssize_t n;
	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int deflate_some(z_stream *z, int flush, unsigned char *buf, int out)
{
	do {
		z->next_out = buf;
		z->avail_out = CHUNK;
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return -EIO;
		int r = write_all(out, buf, CHUNK - z->avail_out);
		if (r < 0)
			return r;
	} while (z->avail_out == 0);
	return 0;
}

static int compress_fd(int in, int out, int level, const atomic_bool *cancel)
{
	z_stream z = {0};
	if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	_cleanup_free_ unsigned char *from = malloc(CHUNK), *to = malloc(CHUNK);
	int r = from && to ? 0 : -ENOMEM;
	ssize_t n = 1;
	while (r == 0 && n > 0) {
		n = read_some(in, from, CHUNK);
		z.next_in = from;
		z.avail_in = n > 0 ? (uInt) n : 0;
		r = cancel && atomic_load(cancel) ? -ECANCELED : n < 0 ? (int) n : deflate_some(&z, n == 0 ? Z_FINISH : Z_NO_FLUSH, to, out);
	}
	(void) deflateEnd(&z); /* only says whether input was left over */
	return r;
}

int gzip_fd(int in, int out)
{
	return compress_fd(in, out, Z_BEST_SPEED, NULL);
}

int gzip_fd_small(int in, int out, const atomic_bool *cancel)
{
	return compress_fd(in, out, Z_DEFAULT_COMPRESSION, cancel);
}

struct gunzip {
	z_stream z;
	int fd;    /* borrowed */
	bool over; /* between members, or at the end */
	unsigned char buf[CHUNK];
};

int gunzip_new(int fd, struct gunzip **ret)
{
	struct gunzip *g = calloc(1, sizeof(*g));
	if (!g || inflateInit2(&g->z, WINDOW_GZIP) != Z_OK) {
		free(g);
		return -ENOMEM;
	}
	g->fd = fd;
	g->over = true;
	*ret = g;
	return 0;
}

struct gunzip *gunzip_free(struct gunzip *g)
{
	if (g)
		(void) inflateEnd(&g->z); /* frees whatever state it is in */
	free(g);
	return NULL;
}

static ssize_t fill(struct gunzip *g)
{
	ssize_t n = read_some(g->fd, g->buf, sizeof(g->buf));
	g->z.next_in = g->buf;
	g->z.avail_in = n > 0 ? (uInt) n : 0;
	return n;
}

ssize_t gunzip_read(struct gunzip *g, void *buf, size_t len)
{
	g->z.next_out = buf;
	g->z.avail_out = (uInt) MIN(len, (size_t) 1 << 30);
	size_t want = g->z.avail_out;
	while (g->z.avail_out == want && want > 0) {
		if (g->z.avail_in == 0) {
			ssize_t n = fill(g);
			if (n < 0)
				return n;
			if (n == 0)
				return g->over ? 0 : -EBADMSG;
		}
		if (g->over && inflateReset(&g->z) != Z_OK)
			return -EBADMSG;
		g->over = false;
		int r = inflate(&g->z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			g->over = true;
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	}
	return (ssize_t) (want - g->z.avail_out);
}
