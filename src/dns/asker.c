/* SPDX-License-Identifier: Apache-2.0 */
/* A container that asks: its UDP socket, and how much it may ask. */
#include <errno.h>
#include <sys/socket.h>

#include "dns/worker.h"

#define TOKENS_PER_SEC 10000u
#define TOKENS_MAX 5000u
#define PACKETS 32 /* read in one go before others have their turn */

bool asker_charge(struct asker *a)
{
	if (a->tokens == 0) {
		usec_t now = now_usec();
		uint64_t more = (now - a->refilled_at) * TOKENS_PER_SEC / USEC_PER_SEC;
		if (more == 0)
			return false;
		a->tokens = (uint32_t) MIN(more, (uint64_t) TOKENS_MAX);
		a->refilled_at = now;
	}
	a->tokens--;
	return true;
}

static void pause_it(struct asker *a)
{
	(void) loop_watch(&a->w->loop, &a->udp, 0); /* taking out of epoll does not fail */
	a->paused = true;
	a->w->n_paused++;
}

void asker_tick(struct asker *a, usec_t now)
{
	if (a->paused && (now - a->refilled_at) * TOKENS_PER_SEC / USEC_PER_SEC >= PACKETS) {
		a->paused = false;
		a->w->n_paused--;
		(void) loop_watch(&a->w->loop, &a->udp, EPOLLIN); /* no memory: it stays deaf until it is told of again */
	}
	conn_tick(a, now);
}

size_t origin_max(const struct origin *o, const struct dns_question *q)
{
	return o->c ? DNS_MESSAGE_MAX : dns_udp_max(q, DNS_ANSWER_UDP_MAX);
}

void origin_reply(const struct origin *o, const uint8_t *p, size_t len)
{
	if (o->c)
		conn_reply(o->c, p, len);
	else /* a client that does not take it asks again */
		(void) sendto(o->a->udp.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) &o->from, sizeof(o->from));
}

void origin_question(const struct origin *o, const uint8_t *p, size_t len)
{
	static_assert(DNS_ANSWER_UDP_MAX >= DNS_PLAIN_MAX, "a refusal fits");
	uint8_t answer[DNS_FOUND_MAX * 48]; /* more than so many records of ours take */
	struct dns_question q;
	struct worker *w = o->a->w;
	int r = dns_question_parse(p, len, &q);
	if (r < 0)
		return;
	size_t max = MIN(origin_max(o, &q), sizeof(answer));
	size_t n = r > 0 ? dns_refusal(&q, (unsigned) r, answer, max) : dns_answer_local(w->st, o->a->m, &q, &w->random, answer, max);
	if (n)
		origin_reply(o, answer, n);
	else
		ask_new(o, &q);
}

static void udp_ready(struct loop_source *s, uint32_t events)
{
	struct asker *a = loop_source_owner(s, struct asker, udp);
	uint8_t p[DNS_QUERY_MAX];
	for (int i = 0; i < PACKETS; i++) {
		struct origin o = {.a = a};
		socklen_t size = sizeof(o.from);
		if (!asker_charge(a)) {
			pause_it(a);
			return;
		}
		ssize_t n = recvfrom(s->fd, p, sizeof(p), MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *) &o.from, &size);
		if (n < 0) { /* none left, or an error that was reported by this */
			a->tokens++;
			return;
		}
		if ((size_t) n <= sizeof(p) && size == sizeof(o.from))
			origin_question(&o, p, (size_t) n);
	}
}

static void tcp_ready(struct loop_source *s, uint32_t events)
{
	conn_accept(loop_source_owner(s, struct asker, tcp));
}

int asker_new(struct worker *w, struct dns_member *m)
{
	struct asker *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct asker) {
		.w = w, .m = m, .udp = {.fd = m->sockets[DNS_UDP], .fn = udp_ready}, .tcp = {.fd = m->sockets[DNS_TCP], .fn = tcp_ready},
		.tokens = TOKENS_MAX, .refilled_at = now_usec(), .next = w->askers,
	};
	if (a->next)
		a->next->prev = a;
	w->askers = a;
	m->client = a;
	int r = loop_watch(&w->loop, &a->udp, EPOLLIN);
	r = r < 0 ? r : loop_watch(&w->loop, &a->tcp, EPOLLIN);
	if (r < 0)
		asker_free(a);
	return r;
}

void asker_free(struct asker *a)
{
	ask_cancel(a, NULL);
	while (a->conns)
		conn_close(a->conns);
	(void) loop_watch(&a->w->loop, &a->udp, 0);
	(void) loop_watch(&a->w->loop, &a->tcp, 0);
	a->w->n_paused -= a->paused;
	*(a->prev ? &a->prev->next : &a->w->askers) = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->m->client = NULL;
	free(a);
}
