/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are streams: attach (the connection is given away), logs (chunks), wait (its head goes out before its body).
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/num.h"

#define SETTLE_STEP_NS 500000
#define SETTLE_STEPS 200
#define LOGS_BUFFER (32 << 10)

/* docker-py loses output that comes in one read with the head: wait until the peer has taken it (api.md fact 2). */
static void settle(int fd)
{
	for (int i = 0, left = 1; i < SETTLE_STEPS && ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0; i++) {
		const struct timespec ts = {.tv_nsec = SETTLE_STEP_NS};
		(void) nanosleep(&ts, NULL); /* an early wake-up only looks sooner */
	}
}

int call_hijack(struct call *c, bool tty, const char *headers, const char **ret_early, size_t *ret_len)
{
	char head[600];
	int n;
	if (c->req.upgrade)
		n = str_format(head, sizeof(head), "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n%s\r\n",
			       stream_type(c, tty), headers);
	else
		n = str_format(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: " TYPE_RAW_STREAM "\r\n%s\r\n", headers);
	c->answered = c->close = true;
	if (n < 0)
		return n;
	int r = http_send_raw(http_peer_fd(c->peer), head, (size_t) n);
	if (r < 0)
		return r;
	if (c->settle)
		settle(http_peer_fd(c->peer));
	c->hijacked = true;
	if (c->lock)
		(void) pthread_mutex_lock(c->lock);
	int fd = http_peer_hijack(c->peer, ret_early, ret_len);
	if (c->lock)
		(void) pthread_mutex_unlock(c->lock);
	return fd;
}

/* CLI and compose send an empty text/plain body; anything in it means nothing to attach */
static int no_body(struct call *c, struct err *err)
{
	const char *p;
	size_t n, sum = 0;
	int r;
	while ((r = http_peer_recv_body(c->peer, &p, &n)) > 0)
		if ((sum += n) > 65536)
			return err_set(err, ERR_INVALID, "request body: none is expected here");
	return r < 0 ? err_sys(err, r, "reading the request body") : 0;
}

struct logs {
	struct call *call;
	int fd; /* borrowed; a hijacked stream; -EBADF: chunks of the answer */
	const struct logs_request *req;
	struct strbuf buf;
	bool tty;
};

static int logs_flush(struct logs *l)
{
	int r = strbuf_err(&l->buf);
	if (r >= 0 && l->buf.len > 0)
		r = l->fd >= 0 ? http_send_raw(l->fd, l->buf.s, l->buf.len) : http_chunk_send(http_peer_fd(l->call->peer), l->buf.s, l->buf.len, /* last= */ false);
	strbuf_reset(&l->buf);
	return r;
}

/* One record as docker frames it: [8 bytes of head] [time ] [details ] text. */
static int logs_record(void *ctx, const struct logs_record *r)
{
	struct logs *l = ctx;
	char when[TIME_RFC3339_MAX + 2] = "";
	size_t extra = 0, attrs = l->req->details ? strlen(r->attrs) : 0;
	if (l->req->timestamps) {
		(void) time_format_rfc3339(when, r->time_ns, /* fixed= */ true);
		extra = strlen(when);
		when[extra++] = ' ';
	}
	if (!l->tty) {
		size_t n = r->len + extra + attrs + l->req->details;
		const unsigned char head[8] = {(unsigned char) r->stream, 0, 0, 0, (unsigned char) (n >> 24), (unsigned char) (n >> 16),
					       (unsigned char) (n >> 8), (unsigned char) n};
		strbuf_add(&l->buf, head, sizeof(head));
	}
	strbuf_add(&l->buf, when, extra);
	strbuf_add(&l->buf, r->attrs, attrs);
	if (l->req->details)
		strbuf_addc(&l->buf, ' ');
	strbuf_add(&l->buf, r->text, r->len);
	return l->req->follow || l->buf.len >= LOGS_BUFFER ? logs_flush(l) : strbuf_err(&l->buf);
}

/* What was written before the attach (?logs=1), into the stream. A log that cannot be read is as good as none, as under dockerd. */
static void attach_replay(struct call *c, const char *id, const struct attach_request *a, bool tty, int fd)
{
	const struct logs_request req = {.stdout = a->stdout, .stderr = a->stderr, .tail = -1};
	struct logs l = {.call = c, .fd = fd, .req = &req, .buf = STRBUF_INIT(8 << 20), .tty = tty};
	const struct logs_sink sink = {.fn = logs_record, .ctx = &l, .cancel_fd = -EBADF};
	struct err ignored;
	if (engine_logs(c->engine, c->caller, id, &req, &sink, &ignored) >= 0)
		(void) logs_flush(&l); /* a client that left is seen by the attach */
	strbuf_done(&l.buf);
}

int container_attach_handler(struct call *c, struct err *err)
{
	const char *keys = call_query(c, "detachKeys");
	const struct attach_request a = {
		.stream = call_flag(c, "stream", false),
		.stdin = call_flag(c, "stdin", false),
		.stdout = call_flag(c, "stdout", false),
		.stderr = call_flag(c, "stderr", false),
		.logs = call_flag(c, "logs", false),
		.detach_keys = str_empty(keys) ? NULL : keys,
	};
	char id[65] = "";
	bool tty = false;
	int r = no_body(c, err);
	if (r >= 0)
		r = engine_attach_check(c->engine, c->caller, c->arg, &a, &tty, id, err);
	if (r < 0)
		return r;
	const char *early;
	size_t early_len;
	int fd = call_hijack(c, tty, "", &early, &early_len);
	if (fd < 0) {
		engine_attach_cancel(c->engine, id);
		return fd;
	}
	if (a.logs)
		attach_replay(c, id, &a, tty, fd);
	return engine_attach(c->engine, c->caller, id, &a, fd, early, early_len, err);
}

int stream_begin(struct call *c, const char *type)
{
	const struct http_response r = {
		.status = 200,
		.content_type = type,
		.headers = API_COMMON_HEADERS,
		.flags = HTTP_RESPONSE_CHUNKED | (c->req.keep_alive ? 0 : HTTP_RESPONSE_CLOSE),
	};
	c->answered = true;
	c->close = !c->req.keep_alive;
	return http_respond(http_peer_fd(c->peer), &r);
}

/* JSON in c->out as the last chunk of a stream */
static int stream_end_json(struct call *c)
{
	strbuf_addc(&c->out, '\n');
	int r = strbuf_err(&c->out);
	return r < 0 ? r : http_chunk_send(http_peer_fd(c->peer), c->out.s, c->out.len, /* last= */ true);
}

static int parse_condition(const char *s, enum wait_condition *ret, struct err *err)
{
	static const char *const names[] = {[WAIT_NOT_RUNNING] = "not-running", [WAIT_NEXT_EXIT] = "next-exit", [WAIT_REMOVED] = "removed"};
	*ret = WAIT_NOT_RUNNING;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_empty(s) || str_eq(names[i], s)) {
			*ret = (enum wait_condition) i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "invalid condition: \"%.60s\"", s);
}

int container_wait_handler(struct call *c, struct err *err)
{
	enum wait_condition cond;
	struct wait *w = NULL;
	int code = 0, r = parse_condition(call_query(c, "condition"), &cond, err);
	if (r >= 0)
		r = no_body(c, err);
	if (r >= 0)
		r = engine_wait_begin(c->engine, c->caller, c->arg, cond, &w, err);
	if (r < 0)
		return r;
	(void) stream_begin(c, TYPE_JSON); /* a peer that left is seen by engine_wait_end() */
	r = engine_wait_end(c->engine, w, http_peer_fd(c->peer), &code, err);
	if (r == -ECANCELED)
		return r;
	jw_obj(&c->w, NULL);
	jw_int(&c->w, "StatusCode", r < 0 ? -1 : code);
	if (r < 0) {
		jw_obj(&c->w, "Error");
		jw_str(&c->w, "Message", err->msg);
		jw_end(&c->w);
	}
	jw_end(&c->w);
	return stream_end_json(c);
}

static int logs_request_read(const struct call *c, struct logs_request *r, struct err *err)
{
	const char *tail = call_query(c, "tail");
	*r = (struct logs_request) {
		.follow = call_flag(c, "follow", false),
		.restarts = call_flag(c, "restarts", false),
		.stdout = call_flag(c, "stdout", false),
		.stderr = call_flag(c, "stderr", false),
		.timestamps = call_flag(c, "timestamps", false),
		.details = call_flag(c, "details", false),
		.tail = -1,
	};
	if (!r->stdout && !r->stderr)
		return err_set(err, ERR_INVALID, "Bad parameters: you must choose at least one stream");
	if (!tail || parse_i64(tail, &r->tail) < 0 || r->tail < 0)
		r->tail = -1; /* "all", and whatever else docker takes for it */
	int res = call_time(c, "since", &r->since_ns, err);
	return res < 0 ? res : call_time(c, "until", &r->until_ns, err);
}

int container_logs_handler(struct call *c, struct err *err)
{
	struct logs_request req;
	struct logs l = {.call = c, .fd = -EBADF, .req = &req, .buf = STRBUF_INIT(8 << 20)};
	int r = logs_request_read(c, &req, err);
	if (r >= 0)
		r = engine_logs_check(c->engine, c->caller, c->arg, &l.tty, err);
	if (r < 0)
		return r;
	r = stream_begin(c, stream_type(c, l.tty));
	if (r < 0)
		return r;
	const struct logs_sink sink = {.fn = logs_record, .ctx = &l, .cancel_fd = http_peer_fd(c->peer)};
	r = engine_logs(c->engine, c->caller, c->arg, &req, &sink, err);
	if (r >= 0)
		r = logs_flush(&l);
	strbuf_done(&l.buf);
	return r < 0 ? r : http_chunk_send(http_peer_fd(c->peer), NULL, 0, /* last= */ true); /* cut short on failure: the client sees it */
}
