/* SPDX-License-Identifier: Apache-2.0 */
/* A client's TCP connection: questions and answers with two bytes of length before each, any number of them under way (RFC 7766). */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "dns/worker.h"

#define IDLE_MAX (10 * USEC_PER_SEC)
#define OUT_MAX (256u << 10)  /* answers that the client does not read: then it is cut off */
#define ACCEPTS 8

struct conn {
	struct asker *a;
	struct loop_source src; /* its fd is owned */
	usec_t used_at;
	size_t got;
	uint8_t in[2 + DNS_QUERY_MAX];
	struct strbuf out;
	size_t sent;            /* of it */
	bool broken;            /* to be closed at the next occasion: an answer never closes, since its sender may walk over asks */
	struct conn *prev, *next;
};

void conn_close(struct conn *c)
{
	struct worker *w = c->a->w;
	ask_cancel(c->a, c);
	(void) loop_watch(&w->loop, &c->src, 0);
	safe_close(c->src.fd);
	strbuf_done(&c->out);
	*(c->prev ? &c->prev->next : &c->a->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->a->n_conns--;
	w->n_conns--;
	free(c);
}

static void flush(struct conn *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->src.fd, c->out.s + c->sent, c->out.len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			c->broken |= errno != EAGAIN && errno != EINTR;
			break;
		}
		c->sent += (size_t) n;
	}
	if (c->sent == c->out.len) {
		strbuf_reset(&c->out);
		c->sent = 0;
	}
	bool pending = c->out.len > 0;
	if (loop_watch(&c->a->w->loop, &c->src, pending ? EPOLLOUT : EPOLLIN) < 0)
		c->broken = true;
}

void conn_reply(struct conn *c, const uint8_t *p, size_t len)
{
	uint8_t head[2] = {(uint8_t) (len >> 8), (uint8_t) len};
	c->used_at = now_usec();
	strbuf_add(&c->out, head, sizeof(head));
	strbuf_add(&c->out, p, len);
	if (strbuf_err(&c->out) < 0)
		c->broken = true; /* OUT_MAX */
	else
		flush(c);
}

static void take_questions(struct conn *c)
{
	const struct origin o = {.a = c->a, .c = c};
	size_t at = 0;
	while (!c->broken && c->got - at >= 2) {
		size_t len = (size_t) c->in[at] << 8 | c->in[at + 1];
		bool whole = c->got - at >= 2 + len;
		c->broken |= len > DNS_QUERY_MAX || (whole && !asker_charge(c->a));
		if (c->broken || !whole)
			break;
		c->used_at = now_usec();
		origin_question(&o, c->in + at + 2, len);
		at += 2 + len;
	}
	c->got -= at;
	memmove(c->in, c->in + at, c->got);
}

static void ready(struct loop_source *s, uint32_t events)
{
	struct conn *c = loop_source_owner(s, struct conn, src);
	if (events & EPOLLOUT)
		flush(c);
	else {
		ssize_t n = recv(s->fd, c->in + c->got, sizeof(c->in) - c->got, MSG_DONTWAIT);
		if (n <= 0)
			c->broken |= n == 0 || (errno != EAGAIN && errno != EINTR);
		else {
			c->got += (size_t) n;
			take_questions(c);
		}
	}
	if (c->broken)
		conn_close(c);
}

/* Whoever has said nothing for longest makes room; everybody has one at least. */
static void make_room(struct asker *a)
{
	bool full = a->n_conns >= DNS_CONNS_PER_ASKER || a->w->n_conns >= a->w->max_conns;
	struct conn *oldest = a->conns;
	for (struct conn *c = a->conns; c; c = c->next)
		if (c->used_at < oldest->used_at)
			oldest = c;
	if (full && oldest)
		conn_close(oldest);
}

static void add(struct asker *a, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c) {
		safe_close(fd);
		return;
	}
	make_room(a);
	*c = (struct conn) {.a = a, .src = {.fd = fd, .fn = ready}, .used_at = now_usec(), .out = STRBUF_INIT(OUT_MAX), .next = a->conns};
	if (c->next)
		c->next->prev = c;
	a->conns = c;
	a->n_conns++;
	a->w->n_conns++;
	if (loop_watch(&a->w->loop, &c->src, EPOLLIN) < 0)
		conn_close(c);
}

void conn_accept(struct asker *a)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(a->tcp.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		add(a, fd);
	}
}

void conn_tick(struct asker *a, usec_t now)
{
	for (struct conn *c = a->conns, *next; c; c = next) {
		next = c->next;
		if (c->broken || now - c->used_at > IDLE_MAX)
			conn_close(c);
	}
}
