/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/term.h"
#include "cli/layout.h"
#include "cli/link.h"
#include "cli/progress.h"

#define CHUNK (256 << 10)

struct upload {
	int file;             /* borrowed */
	struct layout *layout; /* owned; NULL unless @file is an OCI layout directory */
	bool chunked;
	uint64_t left;        /* bytes the request has promised, unless chunked */
	bool ended;           /* everything has been sent, or nobody takes more */
	uint64_t total, sent; /* of the file; total 0: nobody knows */
	usec_t shown;         /* when the bar was drawn; 0: there is none */
	bool bar;             /* draw one: the engine's answer has no progress, and stdout is a terminal */
	size_t pos, len;      /* buf[pos..len) is to be sent */
	bool last;            /* buf holds the end */
	char buf[HTTP_CHUNK_HEAD + CHUNK + 2];
};

static ssize_t read_file_part(int fd, char *buf, size_t room, struct err *err)
{
	ssize_t n;
	do
		n = room ? read(fd, buf, room) : 0;
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, -errno, "reading the archive") : n;
}

/* The next piece of the file into the buffer, framed when chunked. */
static int refill(struct upload *u, struct err *err)
{
	char *data = u->buf + HTTP_CHUNK_HEAD;
	size_t room = u->chunked ? CHUNK : (size_t) MIN((uint64_t) CHUNK, u->left);
	ssize_t n = u->layout ? layout_read(u->layout, data, room, err) : read_file_part(u->file, data, room, err);
	if (n < 0)
		return (int) n;
	if (n == 0 && !u->chunked && u->left > 0)
		return err_set(err, ERR_CORRUPT, "the archive became shorter while it was read");
	u->pos = HTTP_CHUNK_HEAD;
	u->len = HTTP_CHUNK_HEAD + (size_t) n;
	u->last = n == 0;
	u->left -= u->chunked ? 0 : (uint64_t) n;
	if (u->chunked) {
		http_chunk_head(u->buf, (uint32_t) n);
		u->pos = 0;
		u->buf[u->len++] = '\r';
		u->buf[u->len++] = '\n';
	}
	return 0;
}

/* "Sending [====>   ]  12MB/150MB", ten times a second. */
static void draw(struct upload *u)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(4096);
	unsigned rows, cols = 80;
	if (!u->bar || now_usec() - u->shown < 100 * USEC_PER_MSEC)
		return;
	u->shown = now_usec();
	(void) term_size(STDOUT_FILENO, &rows, &cols);
	strbuf_adds(&text, "Sending ");
	progress_bar(&text, u->sent, u->total, cols - MIN(cols, (unsigned) text.len));
	(void) printf("\r\033[2K%s", text.s ? text.s : "");
	(void) fflush(stdout);
}

static void draw_end(struct upload *u)
{
	if (u->shown)
		(void) printf("\r\033[2K");
	u->shown = 0;
}

/* Send what the socket takes now. */
static int push(struct upload *u, int sock, struct err *err)
{
	int r = u->pos == u->len ? refill(u, err) : 0;
	if (r < 0)
		return r;
	if (u->pos < u->len) {
		ssize_t n = send(sock, u->buf + u->pos, u->len - u->pos, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			u->ended = true; /* refused before its end: the answer says why */
			return 0;
		}
		u->pos += n > 0 ? (size_t) n : 0;
		u->sent += n > 0 ? (uint64_t) n : 0;
		draw(u);
	}
	u->ended = u->last && u->pos == u->len;
	return 0;
}

/* Send until the answer begins. */
static int send_body(struct upload *u, struct http_conn *c, struct err *err)
{
	while (!u->ended) {
		struct pollfd p = {.fd = http_fd(c), .events = POLLIN | POLLOUT};
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "waiting for the engine");
		if (p.revents & POLLIN)
			return 0;
		int r = push(u, p.fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nothing of the answer is there now: send on, until something is or everything went. */
static int go_on(struct upload *u, int sock, struct err *err)
{
	struct pollfd f = {.fd = sock, .events = POLLIN | (u->ended ? 0 : POLLOUT)};
	if (poll(&f, 1, -1) < 0 && errno != EINTR)
		return err_sys(err, -errno, "waiting for the engine");
	return !u->ended && f.revents & POLLOUT ? push(u, sock, err) : 0;
}

/* The answer has begun: read it, and go on sending beside it. Reading must not wait: the engine may be waiting for the rest of what we send. */
static int receive(struct cli *cli, struct upload *u, struct http_conn *c, struct progress *p, struct err *err)
{
	const char *text;
	size_t n;
	int fd = http_fd(c), flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "the connection to the engine");
	for (;;) {
		int r = http_recv_body(c, &text, &n);
		if (r == 0)
			return 0;
		if (r == -EAGAIN)
			r = go_on(u, fd, err);
		else
			r = r < 0 ? link_lost(cli, r, err) : progress_feed(p, text, n, err);
		if (r < 0)
			return r;
	}
}

static int exchange(struct cli *cli, struct upload *u, struct http_conn *c, struct err *err)
{
	struct http_answer a;
	struct progress p;
	int r = send_body(u, c, err);
	draw_end(u);
	if (r < 0 || (r = call_head(cli, c, &a, err)) < 0)
		return r;
	progress_init(&p, stdout);
	r = receive(cli, u, c, &p, err);
	if (r == 0)
		r = progress_feed(&p, "\n", 1, err);
	progress_done(&p);
	return r;
}

static void upload_freep(struct upload **u)
{
	if (*u)
		layout_free((*u)->layout);
	free(*u);
}

int upload(struct cli *cli, const struct strbuf *target, int fd, bool bar, struct err *err)
{
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "looking at the archive");
	off_t at = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
	_cleanup_(upload_freep) struct upload *u = malloc(sizeof(*u));
	if (!u)
		return err_oom(err);
	memset(u, 0, offsetof(struct upload, buf));
	u->file = fd;
	u->bar = bar && isatty(STDOUT_FILENO);
	if (S_ISDIR(st.st_mode)) {
		int r = layout_open(fd, &u->layout, err);
		if (r < 0)
			return r;
	}
	u->chunked = at < 0 || at > st.st_size;
	u->left = u->total = u->chunked ? 0 : (uint64_t) (st.st_size - at);
	int r = link_open(cli, &c, err);
	if (r < 0)
		return r;
	if (strbuf_err(target) < 0)
		return err_set(err, ERR_INVALID, "the request's path is too long");
	r = http_send(c, &(struct http_call) {.method = "POST",
					      .target = target->s,
					      .content_type = "application/x-tar",
					      .body_len = u->left,
					      .flags = u->chunked ? HTTP_CHUNKED : HTTP_STREAMED});
	if (r < 0 && r != -EPIPE)
		return link_lost(cli, r, err);
	return exchange(cli, u, c, err);
}
