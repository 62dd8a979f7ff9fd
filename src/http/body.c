/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests: a body with a length is counted here, which lets it be spliced into a pipe; chunks go through the parser,
 * which is paused at every piece. Nothing here believes a parser that has once said "broken".
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "http/internal.h"

int http_peer_on_body(http_parser *hp, const char *at, size_t n)
{
	struct http_peer *p = hp->data;
	p->event = EVENT_BODY;
	p->piece = at;
	p->piece_len = n;
	http_parser_pause(hp, 1);
	return 0;
}

int http_peer_on_end(http_parser *hp)
{
	struct http_peer *p = hp->data;
	p->event = EVENT_END;
	http_parser_pause(hp, 1);
	return 0;
}

int http_peer_fill(struct http_peer *p)
{
	assert(p->pos == p->len);
	p->pos = p->len = 0;
	for (;;) {
		ssize_t n = read(p->fd, p->buf, sizeof(p->buf));
		if (n >= 0) {
			p->len = (size_t) n;
			return n > 0;
		}
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int http_peer_execute(struct http_peer *p)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&p->parser);
	p->event = EVENT_NONE;
	if (e != HPE_OK && e != HPE_PAUSED)
		return -EPROTO; /* broken before, and for good */
	http_parser_pause(&p->parser, 0);
	p->pos += http_parser_execute(&p->parser, &http_peer_settings, p->buf + p->pos, p->len - p->pos);
	e = HTTP_PARSER_ERRNO(&p->parser);
	return e == HPE_OK || e == HPE_PAUSED ? 0 : -EPROTO;
}

bool http_peer_in_body(const struct http_peer *p)
{
	assert(!(p->body_left && p->in_chunks)); /* E2 */
	return p->body_left || p->in_chunks;
}

static int say_continue(struct http_peer *p)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	p->expect = false;
	return send(p->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int recv_sized(struct http_peer *p, const char **ret, size_t *ret_len)
{
	if (p->pos == p->len) {
		int r = http_peer_fill(p);
		if (r <= 0)
			return r < 0 ? r : -ECONNRESET;
	}
	*ret = p->buf + p->pos;
	*ret_len = (size_t) MIN((uint64_t) (p->len - p->pos), p->body_left);
	p->pos += *ret_len;
	p->body_left -= *ret_len;
	return 1;
}

static int recv_chunked(struct http_peer *p, const char **ret, size_t *ret_len)
{
	for (;;) {
		if (p->pos == p->len) {
			int r = http_peer_fill(p);
			if (r <= 0)
				return r < 0 ? r : -ECONNRESET;
		}
		if (http_peer_execute(p) < 0)
			return -EPROTO;
		if (p->event == EVENT_END) {
			p->in_chunks = false;
			return 0;
		}
		if (p->event == EVENT_BODY) {
			*ret = p->piece;
			*ret_len = p->piece_len;
			return 1;
		}
	}
}

int http_peer_recv_body(struct http_peer *p, const char **ret, size_t *ret_len)
{
	if (!http_peer_in_body(p))
		return 0;
	if (p->expect) {
		int r = say_continue(p);
		if (r < 0)
			return r;
	}
	return p->in_chunks ? recv_chunked(p, ret, ret_len) : recv_sized(p, ret, ret_len);
}

int http_peer_recv_text(struct http_peer *p, struct strbuf *out)
{
	const char *piece;
	size_t n;
	int r;
	if (p->body_left > out->max)
		return -EFBIG;
	while ((r = http_peer_recv_body(p, &piece, &n)) > 0) {
		strbuf_add(out, piece, n);
		if (strbuf_err(out))
			return strbuf_err(out);
	}
	return r;
}

/* The rest of a sized body straight from socket to pipe. Return: 0; -EINVAL when @fd is no pipe. */
static int splice_rest(struct http_peer *p, int fd)
{
	while (p->body_left > 0) {
		ssize_t n = splice(p->fd, NULL, fd, NULL, (size_t) MIN(p->body_left, (uint64_t) 1 << 20), SPLICE_F_MOVE | SPLICE_F_MORE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		p->body_left -= (uint64_t) n;
	}
	return 0;
}

int http_peer_body_to_fd(struct http_peer *p, int fd)
{
	const char *piece;
	size_t n;
	int r;
	while ((r = http_peer_recv_body(p, &piece, &n)) > 0) {
		r = write_all(fd, piece, n);
		if (r < 0)
			return r;
		if (p->body_left > 0 && p->pos == p->len) {
			r = splice_rest(p, fd);
			if (r != -EINVAL)
				return r;
		}
	}
	return r;
}

int http_peer_skip_body(struct http_peer *p)
{
	uint64_t sum = 0;
	const char *piece;
	size_t n;
	int r = 0;
	if (p->expect)
		return -ECONNRESET; /* never asked for: nobody can say where the next head starts */
	while (http_peer_in_body(p) && (r = http_peer_recv_body(p, &piece, &n)) > 0)
		if ((sum += n) > DISCARD_BYTES)
			return -ECONNRESET;
	return MIN(r, 0);
}
