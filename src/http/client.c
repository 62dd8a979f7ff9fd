/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads and bodies go through http-parser (the room's door), which is paused at every event, so that the caller pulls one
 * piece after the other out of a single buffer.
 */
#include "http/client.h"

#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define BUFFER_BYTES 16384

enum event { EVENT_NONE, EVENT_HEAD, EVENT_BODY, EVENT_END };

struct http_conn {
	int fd;               /* owned */
	size_t pos, len;      /* buf[pos..len) is unparsed */
	enum event event;     /* what the parser was paused for */
	const char *piece;    /* EVENT_BODY: into buf */
	size_t piece_len;
	bool in_body, reusable;
	bool value_seen;      /* the next name starts afresh */
	size_t field_len;
	char field[40];       /* the name as far as it matters */
	bool is_head;         /* the answer has no body, whatever its head says */
	const char *want;     /* borrowed; see struct http_call */
	struct strbuf *ret_want;
	char content_type[HTTP_TYPE_MAX];
	size_t type_len;
	http_parser parser;
	char buf[BUFFER_BYTES];
};

static int on_field(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	if (c->value_seen) {
		c->value_seen = false;
		c->field_len = 0;
	}
	for (size_t i = 0; i < n && c->field_len < sizeof(c->field) - 1; i++)
		c->field[c->field_len++] = at[i];
	c->field[c->field_len] = '\0';
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	bool type = strcasecmp(c->field, "content-type") == 0;
	c->value_seen = true;
	for (size_t i = 0; type && i < n && c->type_len < sizeof(c->content_type) - 1; i++)
		c->content_type[c->type_len++] = at[i];
	c->content_type[c->type_len] = '\0';
	if (c->want && strcasecmp(c->field, c->want) == 0)
		strbuf_add(c->ret_want, at, n);
	return 0;
}

static int on_head(http_parser *p)
{
	struct http_conn *c = p->data;
	c->event = EVENT_HEAD;
	c->field_len = 0;
	c->value_seen = false;
	http_parser_pause(p, 1);
	return c->is_head; /* 1: skip the body */
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	c->event = EVENT_BODY;
	c->piece = at;
	c->piece_len = n;
	http_parser_pause(p, 1);
	return 0;
}

static int on_end(http_parser *p)
{
	struct http_conn *c = p->data;
	c->event = EVENT_END;
	c->reusable = http_should_keep_alive(p);
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_end,
};

struct http_conn *http_conn_new(int fd_take)
{
	struct http_conn *c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct http_conn, buf)); /* the buffer's pages stay untouched until used */
	c->fd = fd_take;
	return c;
}

struct http_conn *http_conn_free(struct http_conn *c)
{
	if (c)
		safe_close(c->fd);
	free(c);
	return NULL;
}

void http_conn_freep(struct http_conn **c)
{
	*c = http_conn_free(*c);
}

int http_fd(const struct http_conn *c)
{
	return c->fd;
}

static int send_parts(int fd, struct iovec *io, size_t n)
{
	while (n > 0) {
		struct msghdr m = {.msg_iov = io, .msg_iovlen = n};
		ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		while (n > 0 && (size_t) sent >= io->iov_len) {
			sent -= (ssize_t) io->iov_len;
			io++;
			n--;
		}
		if (n > 0) {
			io->iov_base = (char *) io->iov_base + sent;
			io->iov_len -= (size_t) sent;
		}
	}
	return 0;
}

int http_send(struct http_conn *c, const struct http_call *call)
{
	_cleanup_strbuf_ struct strbuf head = STRBUF_INIT(256 << 10);
	bool has_body = call->body || (call->flags & (HTTP_CHUNKED | HTTP_STREAMED));
	strbuf_adds(&head, call->method);
	strbuf_addc(&head, ' ');
	strbuf_adds(&head, call->target);
	strbuf_adds(&head, " HTTP/1.1\r\nHost: coffer\r\nUser-Agent: coffer\r\n");
	if (has_body || call->content_type)
		strbuf_addf(&head, "Content-Type: %s\r\n", call->content_type ? call->content_type : "application/json");
	if (call->flags & HTTP_UPGRADE)
		strbuf_adds(&head, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	if (call->flags & HTTP_CHUNKED)
		strbuf_adds(&head, "Transfer-Encoding: chunked\r\n");
	else if (has_body || strcmp(call->method, "POST") == 0)
		strbuf_addf(&head, "Content-Length: %llu\r\n", (unsigned long long) call->body_len);
	strbuf_adds(&head, call->headers ? call->headers : "");
	strbuf_adds(&head, "\r\n");
	if (strbuf_err(&head) < 0)
		return strbuf_err(&head);
	struct iovec io[2] = {{head.s, head.len}, {(void *) call->body, call->body ? call->body_len : 0}};
	http_parser_init(&c->parser, HTTP_RESPONSE);
	c->parser.data = c;
	c->event = EVENT_NONE;
	c->in_body = c->reusable = false;
	c->is_head = strcmp(call->method, "HEAD") == 0;
	c->want = call->want;
	c->ret_want = call->ret_want;
	return send_parts(c->fd, io, call->body ? 2 : 1);
}

/* More bytes into the empty buffer. Return: 1, 0 at EOF, -errno. */
static int fill(struct http_conn *c)
{
	c->pos = c->len = 0;
	ssize_t n;
	do
		n = read(c->fd, c->buf, sizeof(c->buf));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c->len = (size_t) n;
	return n > 0;
}

/* Feed the parser until it stops for an event. Return: 0 with c->event set, or -errno. */
static int next_event(struct http_conn *c)
{
	c->event = EVENT_NONE;
	for (;;) {
		bool eof = false;
		if (c->pos == c->len) {
			int r = fill(c);
			if (r < 0)
				return r;
			eof = r == 0;
		}
		http_parser_pause(&c->parser, 0);
		c->pos += http_parser_execute(&c->parser, &settings, c->buf + c->pos, c->len - c->pos);
		enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
		if (e != HPE_OK && e != HPE_PAUSED)
			return eof || e == HPE_INVALID_EOF_STATE ? -ECONNRESET : -EPROTO;
		if (c->event != EVENT_NONE)
			return 0;
		if (eof)
			return -ECONNRESET;
	}
}

/* The parser stops in front of the head's last byte: step over it, so that what is left in the buffer is body. */
static int enter_body(struct http_conn *c)
{
	c->event = EVENT_NONE;
	http_parser_pause(&c->parser, 0);
	c->pos += http_parser_execute(&c->parser, &settings, c->buf + c->pos, 1);
	enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
	c->in_body = c->event != EVENT_END;
	return e == HPE_OK || e == HPE_PAUSED ? 0 : -EPROTO;
}

int http_recv_head(struct http_conn *c, struct http_answer *ret)
{
	int status;
	do {
		c->type_len = 0;
		c->content_type[0] = '\0';
		int r = next_event(c);
		if (r < 0)
			return r;
		if (c->event != EVENT_HEAD)
			return -EPROTO;
		status = (int) c->parser.status_code;
		if (status / 100 == 1) { /* no body: its end follows at once */
			r = next_event(c);
			if (r < 0)
				return r;
		}
	} while (status / 100 == 1 && status != 101);
	if (status != 101) {
		int r = enter_body(c);
		if (r < 0)
			return r;
	}
	*ret = (struct http_answer){.status = status, .upgraded = status == 101};
	memcpy(ret->content_type, c->content_type, sizeof(ret->content_type));
	return 0;
}

int http_recv_body(struct http_conn *c, const char **ret, size_t *ret_len)
{
	if (!c->in_body)
		return 0;
	int r = next_event(c);
	if (r < 0)
		return r;
	if (c->event == EVENT_END) {
		c->in_body = false;
		return 0;
	}
	if (c->event != EVENT_BODY)
		return -EPROTO;
	*ret = c->piece;
	*ret_len = c->piece_len;
	return 1;
}

int http_recv_text(struct http_conn *c, struct strbuf *out)
{
	const char *p;
	size_t n;
	int r;
	while ((r = http_recv_body(c, &p, &n)) > 0)
		strbuf_add(out, p, n);
	return r < 0 ? r : strbuf_err(out);
}

bool http_buffered(const struct http_conn *c)
{
	return c->pos < c->len || !c->in_body;
}

const char *http_early(const struct http_conn *c, size_t *ret_len)
{
	*ret_len = c->len - c->pos;
	return c->buf + c->pos;
}

bool http_reusable(const struct http_conn *c)
{
	return !c->in_body && c->reusable;
}

void http_chunk_head(char out[HTTP_CHUNK_HEAD], uint32_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 7; i >= 0; i--, len >>= 4)
		out[i] = digits[len & 15];
	out[8] = '\r';
	out[9] = '\n';
}
