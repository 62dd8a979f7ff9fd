/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attached stream. The rules for slow readers are in proto.h. A client leaves in this order: its queue is delivered, it gets our end of
 * file, it has CLIENT_DRAIN_USEC to hang up while its input is thrown away, and its socket is closed empty (E4).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "monitor/frame.h"
#include "monitor/internal.h"

#define STREAM_STDIN 1

static const char lag_text[] = "coffer: output skipped from here on: this client did not read for too long\n";

/* Nothing more can arrive behind a shut down socket, so that once empty it stays empty (E4). */
static void client_drop(struct client *c)
{
	struct monitor *m = c->p->m;
	(void) shutdown(c->src.fd, SHUT_RDWR);
	while (recv(c->src.fd, m->scratch, SCRATCH_SIZE, MSG_DONTWAIT) > 0)
		;
	(void) loop_watch(&m->loop, &c->src, 0);
	c->src.fd = safe_close(c->src.fd);
	queue_done(&c->out);
	c->p->n_clients--;
	m->n_clients--;
	c->state = CLIENT_FREE;
}

static bool wants_input(const struct client *c)
{
	const struct process *p = c->p;
	if (c->in_eof)
		return false;
	if (c->state == CLIENT_DRAINING || !(c->streams & STREAM_STDIN) || !p->io.takes_input || p->io.input_over)
		return true; /* thrown away */
	return p->state != PROCESS_READY && !p->io.input.used;
}

void client_update(struct client *c)
{
	uint32_t want = wants_input(c) ? EPOLLIN : 0;
	if (!c->hup)
		want |= EPOLLHUP | (c->out.used ? EPOLLOUT : 0);
	(void) loop_watch(&c->p->m->loop, &c->src, want);
}

static void input_left(struct client *c)
{
	if (c->in_eof)
		return;
	c->in_eof = true;
	if ((c->streams & STREAM_STDIN) && c->p->io.input_once && !c->p->io.tty)
		stdio_input_over(c->p);
}

/* The peer is gone for good; what it had sent before is still read. */
static void client_hup(struct client *c)
{
	c->hup = true;
	c->full = false;
	queue_done(&c->out);
	if (c->in_eof || c->state == CLIENT_DRAINING || !(c->streams & STREAM_STDIN) || !c->p->io.takes_input || c->p->io.input_over) {
		input_left(c);
		client_drop(c);
	}
}

static void note_taken(struct client *c, size_t n)
{
	c->moved = now_usec();
	c->window_taken = (uint32_t) MIN((uint64_t) c->window_taken + n, UINT32_MAX);
	if (c->full && c->out.used < CLIENT_FULL)
		c->full = false;
}

static void end_of_file(struct client *c)
{
	(void) shutdown(c->src.fd, SHUT_WR);
	c->state = CLIENT_DRAINING;
	c->moved = now_usec();
	monitor_tick_soon(c->p->m);
}

static void client_send(struct client *c)
{
	struct iovec iov[2];
	int n_iov;
	while (!c->hup && (n_iov = queue_peek(&c->out, iov)) > 0) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t) n_iov};
		ssize_t n = sendmsg(c->src.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_hup(c);
			return;
		}
		queue_drop(&c->out, (size_t) n);
		note_taken(c, (size_t) n);
	}
	if (c->state == CLIENT_FLUSHING && !c->out.used)
		end_of_file(c);
}

void client_finish(struct client *c)
{
	if (c->state != CLIENT_OPEN)
		return;
	c->state = CLIENT_FLUSHING;
	c->full = false;
	c->window_start = c->moved = now_usec();
	c->window_taken = 0;
	if (c->hup) {
		input_left(c);
		client_drop(c);
		return;
	}
	if (!c->out.used)
		end_of_file(c);
	client_update(c);
}

/* It keeps what it has, is told that the rest is missing, and holds nobody up any more. */
static void client_lag(struct client *c)
{
	client_push(c, FRAME_SYSTEM_ERROR, (const uint8_t *) lag_text, sizeof(lag_text) - 1);
	client_finish(c);
	c->late = true;
}

static size_t send_now(struct client *c, const struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iov = (struct iovec *) iov, .msg_iovlen = (size_t) n_iov};
	ssize_t n;
	do
		n = sendmsg(c->src.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		client_hup(c);
	return n > 0 ? (size_t) n : 0;
}

static void skip(struct iovec *iov, int n_iov, size_t n)
{
	for (int i = 0; i < n_iov; i++) {
		size_t k = MIN(n, iov[i].iov_len);
		iov[i].iov_base = (uint8_t *) iov[i].iov_base + k;
		iov[i].iov_len -= k;
		n -= k;
	}
}

void client_push(struct client *c, int stream, const uint8_t *buf, size_t len)
{
	if (c->state != CLIENT_OPEN || c->hup || (stream != FRAME_SYSTEM_ERROR && !(c->streams & (1u << stream))))
		return;
	uint8_t header[FRAME_HEADER];
	struct iovec iov[2] = {{.iov_base = header, .iov_len = c->raw ? 0 : FRAME_HEADER}, {.iov_base = (void *) buf, .iov_len = len}};
	frame_header(header, (enum frame_stream) stream, (uint32_t) len);
	if (!c->out.used) {
		skip(iov, 2, send_now(c, iov, 2));
		if (c->state == CLIENT_FREE || c->hup)
			return;
		c->moved = now_usec();
	}
	if (queue_put(&c->out, iov, 2) < 0) { /* E2 leaves only "out of memory" */
		c->late = true;
		client_finish(c);
		return;
	}
	if (c->out.used >= CLIENT_FULL && !c->full) {
		c->full = true;
		c->window_start = now_usec();
		c->window_taken = 0;
		monitor_tick_soon(c->p->m);
	}
	client_update(c);
}

/* Return: whether the client has just detached. */
static bool take_input(struct client *c, size_t len)
{
	struct process *p = c->p;
	uint8_t *in = p->m->scratch, *out = in;
	bool detached = false;
	if (c->keys.n) {
		out = in + SCRATCH_SIZE / 2;
		detached = keys_scan(&c->keys, in, len, out, &len);
	}
	if (len)
		(void) stdio_feed(p, out, len); /* cannot fail: E5 */
	return detached;
}

static void client_read(struct client *c)
{
	struct process *p = c->p;
	if (!wants_input(c)) /* another client's input came first */
		return;
	ssize_t n = recv(c->src.fd, p->m->scratch, INPUT_READ_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		input_left(c);
		if (c->state == CLIENT_DRAINING || c->hup)
			client_drop(c);
		return;
	}
	if (c->state == CLIENT_DRAINING || !(c->streams & STREAM_STDIN))
		return;
	if (take_input(c, (size_t) n))
		client_finish(c);
}

static void client_ready(struct loop_source *s, uint32_t events)
{
	struct client *c = loop_source_owner(s, struct client, src);
	struct process *p = c->p;
	if (events & EPOLLOUT)
		client_send(c);
	if (c->state != CLIENT_FREE && (events & EPOLLIN))
		client_read(c);
	if (c->state != CLIENT_FREE && (events & (EPOLLHUP | EPOLLERR)) && !c->hup)
		client_hup(c);
	if (c->state != CLIENT_FREE)
		client_update(c);
	stdio_update(p);
}

void client_tick(struct client *c, usec_t now)
{
	if (c->state == CLIENT_DRAINING) {
		if (now - c->moved >= CLIENT_DRAIN_USEC)
			client_drop(c);
		return;
	}
	if (c->state == CLIENT_FLUSHING && now - c->moved >= CLIENT_STALL_USEC) {
		client_drop(c);
		return;
	}
	if (!(c->full || (c->state == CLIENT_FLUSHING && !c->late)) || now - c->window_start < CLIENT_WINDOW_USEC)
		return;
	if (c->window_taken >= CLIENT_WINDOW_BYTES) {
		c->window_start = now;
		c->window_taken = 0;
	} else if (c->full)
		client_lag(c);
	else
		c->late = true;
}

static int client_check(const struct process *p, int fd, const struct monitor_attach *a, struct err *err)
{
	int type;
	socklen_t len = sizeof(type);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return err_set(err, ERR_INVALID, "attach: the descriptor is not a stream socket");
	if (!(a->streams & 7) || a->n_keys > MONITOR_DETACH_KEYS_MAX)
		return err_set(err, ERR_INVALID, "attach: streams %u, %u detach keys: at least one stream and at most %d keys are possible", a->streams,
			       a->n_keys, MONITOR_DETACH_KEYS_MAX);
	if (!p->id[0] && p->n_clients >= MONITOR_ATTACHED_MAX)
		return err_set(err, ERR_QUOTA, "attach: %d clients are attached already", MONITOR_ATTACHED_MAX);
	return 0;
}

static struct client *client_slot(struct monitor *m)
{
	for (struct client *c = m->clients; c < m->clients + MONITOR_CLIENTS_MAX; c++)
		if (c->state == CLIENT_FREE)
			return c;
	return NULL;
}

int client_add(struct process *p, int fd_consume, const struct monitor_attach *a, const uint8_t *early, struct err *err)
{
	_cleanup_close_ int fd = fd_consume;
	struct monitor *m = p->m;
	int r = client_check(p, fd, a, err);
	if (r < 0)
		return r;
	struct client *c = client_slot(m);
	if (!c)
		return err_set(err, ERR_QUOTA, "attach: %d streams are open already", MONITOR_CLIENTS_MAX);
	*c = (struct client){
		.src = {.fd = fd, .fn = client_ready},
		.p = p,
		.state = CLIENT_OPEN,
		.raw = a->raw,
		.streams = a->streams & 7,
		.keys.n = p->io.tty && (a->streams & STREAM_STDIN) ? (uint8_t) a->n_keys : 0,
	};
	memcpy(c->keys.seq, a->keys, sizeof(c->keys.seq));
	queue_init(&c->out, CLIENT_QUEUE_MAX);
	r = loop_watch(&m->loop, &c->src, EPOLLHUP);
	if (r < 0) {
		c->state = CLIENT_FREE;
		return err_sys(err, r, "attach: watching the stream");
	}
	(void) take_fd(&fd);
	p->n_clients++;
	m->n_clients++;
	if (a->early_len && (c->streams & STREAM_STDIN)) {
		uint8_t out[MONITOR_PAYLOAD_MAX + MONITOR_DETACH_KEYS_MAX];
		size_t len;
		bool detached = keys_scan(&c->keys, early, a->early_len, out, &len);
		if (stdio_feed(p, out, len) < 0) {
			client_drop(c);
			return err_set(err, ERR_QUOTA, "attach: more than %d bytes of input wait for the start", INPUT_QUEUE_MAX);
		}
		if (detached)
			client_finish(c);
	}
	if (c->state != CLIENT_FREE)
		client_update(c);
	return 0;
}
