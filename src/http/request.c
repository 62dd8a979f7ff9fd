/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of requests go through http-parser (the room's door), paused at every event. What the library is lenient in is checked on
 * the raw bytes (line ends, folding), on the header names, or on the finished head.
 */
#include "http/request.h"

#include <errno.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "http/internal.h"

#define HEADERS_MAX 200
#define LINGER_USEC (2 * USEC_PER_SEC)

static const char *const header_names[] = {
	[HEADER_HOST] = "host",
	[HEADER_ORIGIN] = "origin",
	[HEADER_TYPE] = "content-type",
	[HEADER_CODING] = "content-encoding",
	[HEADER_TRANSFER] = "transfer-encoding",
	[HEADER_EXPECT] = "expect",
	[HEADER_UPGRADE] = "upgrade",
	[HEADER_REGISTRY_AUTH] = "x-registry-auth",
};
static_assert(ARRAY_LEN(header_names) == HEADER_OTHER, "every header has a name");

static int refuse(struct http_peer *p, int status, const char *reason)
{
	if (!p->refusal) {
		p->refusal = status;
		p->reason = reason;
	}
	return -1;
}

static int on_url(http_parser *hp, const char *at, size_t n)
{
	struct http_peer *p = hp->data;
	strbuf_add(&p->target, at, n);
	return strbuf_err(&p->target) ? refuse(p, 414, "request target too long") : 0;
}

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int on_field(http_parser *hp, const char *at, size_t n)
{
	struct http_peer *p = hp->data;
	if (p->value_seen || p->n_headers == 0) {
		if (++p->n_headers > HEADERS_MAX)
			return refuse(p, 431, "too many headers");
		p->value_seen = false;
		p->field_len = 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_token(at[i]))
			return refuse(p, 400, "malformed header name");
		if (p->field_len < sizeof(p->field) - 1)
			p->field[p->field_len++] = at[i];
	}
	p->field[p->field_len] = '\0';
	return 0;
}

/* The name is complete: which header is it, and is it the first of its kind? */
static int header_start(struct http_peer *p)
{
	p->header = HEADER_OTHER;
	for (size_t i = 0; i < HEADER_OTHER; i++)
		if (strcasecmp(header_names[i], p->field) == 0)
			p->header = (enum header) i;
	if (p->header == HEADER_OTHER)
		return 0;
	if (p->given & (1U << p->header))
		return refuse(p, 400, "a header that may be given once was given twice");
	p->given |= 1U << p->header;
	p->values[p->header].len = 0;
	p->values[p->header].cut = false;
	return 0;
}

static int on_value(http_parser *hp, const char *at, size_t n)
{
	struct http_peer *p = hp->data;
	if (!p->value_seen && header_start(p) < 0)
		return -1;
	p->value_seen = true;
	if (p->header == HEADER_OTHER)
		return 0;
	if (p->header == HEADER_REGISTRY_AUTH) {
		strbuf_add(&p->registry_auth, at, n);
		return strbuf_err(&p->registry_auth) ? refuse(p, 431, "X-Registry-Auth is too long") : 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (p->values[p->header].len >= sizeof(p->values[0].text) - 1) {
			p->values[p->header].cut = true;
			break;
		}
		p->values[p->header].text[p->values[p->header].len++] = at[i];
	}
	return 0;
}

static int on_head(http_parser *hp)
{
	struct http_peer *p = hp->data;
	p->event = EVENT_HEAD;
	http_parser_pause(hp, 1);
	return 0;
}

const http_parser_settings http_peer_settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = http_peer_on_body,
	.on_message_complete = http_peer_on_end,
};

static void wipe_buffer(struct strbuf *b)
{
	if (b->s)
		explicit_bzero(b->s, b->len);
	strbuf_done(b);
}

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void http_request_done(struct http_request *r)
{
	free(r->path);
	wipe(r->registry_auth);
	http_query_done(&r->query);
	*r = (struct http_request) {NULL};
}

struct http_peer *http_peer_new(int fd_take, unsigned flags)
{
	struct http_peer *p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	memset(p, 0, offsetof(struct http_peer, buf)); /* the buffer's pages stay untouched until used */
	p->fd = fd_take;
	p->flags = flags;
	strbuf_init(&p->target, HTTP_HEAD_MAX);
	strbuf_init(&p->registry_auth, HTTP_REGISTRY_AUTH_MAX);
	if (flags & HTTP_PEER_TIMED) {
		struct timeval tv = {.tv_sec = HTTP_STALL_S};
		(void) setsockopt(fd_take, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)); /* fails on nothing but a non-socket */
	}
	return p;
}

struct http_peer *http_peer_free(struct http_peer *p)
{
	if (p) {
		safe_close(p->fd);
		strbuf_done(&p->target);
		wipe_buffer(&p->registry_auth);
	}
	free(p);
	return NULL;
}

int http_peer_fd(const struct http_peer *p)
{
	return p->fd;
}

/* Lines end in CR LF and nothing else; none goes on in the next one. http-parser is lenient in both. */
static int check_lines(struct http_peer *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		char c = p->buf[i];
		if (c == '\0')
			return refuse(p, 400, "NUL in the head");
		if ((c == '\n') != (p->prev == '\r'))
			return refuse(p, 400, "a line that does not end in CR LF");
		if (p->prev == '\n' && (c == ' ' || c == '\t'))
			return refuse(p, 400, "folded header");
		p->prev = c;
	}
	return 0;
}

static int head_fail(struct http_peer *p)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&p->parser);
	if (e == HPE_HEADER_OVERFLOW)
		(void) refuse(p, 431, "request head too large");
	else if (e == HPE_UNEXPECTED_CONTENT_LENGTH)
		(void) refuse(p, 400, "Content-Length given twice, or beside Transfer-Encoding");
	else
		(void) refuse(p, 400, "malformed request");
	return -EPROTO;
}

static void head_reset(struct http_peer *p)
{
	http_parser_init(&p->parser, HTTP_REQUEST);
	p->parser.data = p;
	p->refusal = 0;
	p->head_bytes = p->n_headers = p->field_len = 0;
	p->given = 0;
	p->prev = '\0';
	p->value_seen = p->expect = p->started = false;
	strbuf_reset(&p->target);
	wipe_buffer(&p->registry_auth);
}

static int head_wait(struct http_peer *p)
{
	if (p->pos < p->len)
		return 1;
	for (;;) {
		int r = http_peer_fill(p);
		if (r == -ETIMEDOUT && !p->started)
			continue; /* idle between requests is fine */
		bool late = r > 0 && p->started && p->flags & HTTP_PEER_TIMED && now_usec() - p->head_began > HTTP_STALL_S * USEC_PER_SEC; /* a byte now and then */
		if (r == -ETIMEDOUT || late) {
			(void) refuse(p, 408, "the request's head did not come to its end in time");
			return -EPROTO;
		}
		if (r == 0 && p->started)
			return -ECONNRESET;
		return r;
	}
}

/* Read one head; the buffer then stands behind its last byte. */
static int head_read(struct http_peer *p)
{
	do {
		int r = head_wait(p);
		if (r <= 0)
			return r;
		if (!p->started)
			p->head_began = now_usec();
		p->started = true;
		size_t from = p->pos;
		r = http_peer_execute(p);
		bool complete = p->event == EVENT_HEAD;
		if (complete && p->pos < p->len)
			p->pos++; /* the parser stops in front of the last LF */
		p->head_bytes += p->pos - from;
		if (p->head_bytes > HTTP_HEAD_MAX)
			(void) refuse(p, 431, "request head too large");
		if (check_lines(p, from, p->pos) < 0 || p->refusal)
			return -EPROTO;
		if (r < 0)
			return head_fail(p);
	} while (p->event != EVENT_HEAD);
	return 1;
}

static const char *value(const struct http_peer *p, enum header h)
{
	return p->given & (1U << h) ? p->values[h].text : NULL;
}

static int fail_head(struct http_peer *p, int status, const char *reason)
{
	(void) refuse(p, status, reason);
	return -EPROTO;
}

static int check_headers(struct http_peer *p)
{
	for (size_t i = 0; i < HEADER_OTHER; i++) {
		if (p->values[i].cut && (p->given & (1U << i)))
			return fail_head(p, 431, "a header is too long");
		size_t n = p->given & (1U << i) ? p->values[i].len : 0;
		while (n > 0 && (p->values[i].text[n - 1] == ' ' || p->values[i].text[n - 1] == '\t'))
			n--;
		p->values[i].text[n] = '\0';
	}
	if (p->parser.http_major != 1 || p->parser.http_minor != 1)
		return fail_head(p, 505, "HTTP/1.1 is spoken here");
	if (!value(p, HEADER_HOST))
		return fail_head(p, 400, "missing required Host header");
	if (value(p, HEADER_ORIGIN))
		return fail_head(p, 403, "requests from web pages (Origin) are refused");
	if (value(p, HEADER_CODING) && strcasecmp(value(p, HEADER_CODING), "identity") != 0)
		return fail_head(p, 400, "Content-Encoding is not taken");
	const char *te = value(p, HEADER_TRANSFER);
	if (te && (strcasecmp(te, "chunked") != 0 || !(p->parser.flags & F_CHUNKED) || (p->parser.flags & F_CONTENTLENGTH)))
		return fail_head(p, 400, "the only transfer coding is chunked, without a Content-Length");
	if (value(p, HEADER_EXPECT) && strcasecmp(value(p, HEADER_EXPECT), "100-continue") != 0)
		return fail_head(p, 417, "unknown expectation");
	if (p->parser.method == HTTP_CONNECT)
		return fail_head(p, 400, "CONNECT is not taken");
	return 0;
}

/* origin-form, or absolute-form for the very host that the Host header names */
static const char *origin_form(struct http_peer *p)
{
	const char *t = p->target.s ? p->target.s : "";
	if (*t == '/')
		return t;
	const char *authority = str_after(t, "http://"), *host = value(p, HEADER_HOST);
	size_t n = authority ? strcspn(authority, "/") : 0;
	if (!authority || strlen(host) != n || strncasecmp(host, authority, n) != 0)
		return NULL;
	return authority + n;
}

static void media_type(const char *text, char out[HTTP_CTYPE_MAX])
{
	size_t n = text ? strcspn(text, "; \t") : 0;
	for (size_t i = 0; i < MIN(n, (size_t) HTTP_CTYPE_MAX - 1); i++)
		out[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
}

static int fill_request(struct http_peer *p, struct http_request *ret)
{
	const char *target = origin_form(p);
	if (!target)
		return fail_head(p, 400, "the request target is neither a path nor a URL of this host");
	size_t path_len = strcspn(target, "?");
	if (strchr(target, '#'))
		return fail_head(p, 400, "the request target holds a fragment");
	int r = http_path_decode(target, path_len, &ret->path);
	if (r == -EINVAL)
		return fail_head(p, 400, "the path is not canonical: broken escapes, empty or dot segments, or control characters");
	if (r >= 0)
		r = http_query_parse(target[path_len] ? target + path_len + 1 : "", &ret->query);
	if (r == -EINVAL)
		return fail_head(p, 400, "malformed query");
	if (r < 0)
		return r;
	ret->method = http_method_str((enum http_method) p->parser.method);
	media_type(value(p, HEADER_TYPE), ret->content_type);
	if (p->registry_auth.len > 0 && !(ret->registry_auth = strndup(p->registry_auth.s, p->registry_auth.len)))
		return -ENOMEM;
	ret->upgrade = value(p, HEADER_UPGRADE) && strcasecmp(value(p, HEADER_UPGRADE), "tcp") == 0;
	ret->chunked = p->parser.flags & F_CHUNKED;
	ret->content_length = p->parser.flags & F_CONTENTLENGTH ? p->parser.content_length : 0;
	ret->keep_alive = http_should_keep_alive(&p->parser);
	p->in_chunks = ret->chunked;
	p->body_left = ret->content_length;
	if (p->in_chunks)
		p->pos--; /* the parser was paused in front of the head's last LF and wants to see it */
	p->expect = ret->expect = value(p, HEADER_EXPECT) && (p->in_chunks || p->body_left);
	return 1;
}

int http_peer_recv_head(struct http_peer *p, struct http_request *ret)
{
	*ret = (struct http_request) {NULL};
	int r = http_peer_skip_body(p);
	if (r < 0 && r != -EPROTO)
		return r;
	p->refusal = 0;
	if (r == 0) {
		head_reset(p);
		r = head_read(p);
	}
	if (r == 0)
		return 0;
	if (r > 0)
		r = check_headers(p);
	if (r >= 0)
		r = fill_request(p, ret);
	if (r < 0)
		http_request_done(ret);
	if (r == -EPROTO) {
		ret->refusal = p->refusal ? p->refusal : 400;
		ret->reason = p->refusal ? p->reason : "malformed request";
		p->body_left = 0;
		p->in_chunks = false;
	}
	return r;
}

int http_peer_hijack(struct http_peer *p, const char **ret_early, size_t *ret_len)
{
	assert(!http_peer_in_body(p));
	if (p->flags & HTTP_PEER_TIMED) {
		struct timeval never = {0, 0};
		(void) setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof(never)); /* fails on nothing but a non-socket */
	}
	*ret_early = p->buf + p->pos;
	*ret_len = p->len - p->pos;
	return take_fd(&p->fd);
}

void http_peer_linger(struct http_peer *p)
{
	usec_t end = now_usec() + LINGER_USEC;
	uint64_t sum = 0;
	if (p->fd < 0 || shutdown(p->fd, SHUT_WR) < 0)
		return;
	for (usec_t now = now_usec(); now < end && sum < DISCARD_BYTES; now = now_usec()) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
		if (poll(&pfd, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) <= 0)
			return;
		ssize_t n = recv(p->fd, p->buf, sizeof(p->buf), MSG_DONTWAIT);
		if (n <= 0)
			return;
		sum += (uint64_t) n;
	}
}
