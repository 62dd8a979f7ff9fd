/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question that is forwarded: one leg after the other to the container's resolvers, until one of them answers. A leg has a socket of its own, and so a
 * source port that is not guessed, an id, and letters of the name in a case of its own.
 *
 * A1 a leg that was begged for is in w->begging, and in no other state is it there;
 * A2 an ask that has no leg under way and may start none is finished at once.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "dns/worker.h"

#define LEGS 4                             /* that an ask starts at most */
#define LEG_PATIENCE (1 * USEC_PER_SEC)    /* until the next resolver is asked as well */
#define ASK_PATIENCE (4500 * USEC_PER_MSEC) /* libc gives up after 5 s, and would ask us again */
#define ASKS_MAX 4096u

enum leg_state { LEG_NONE, LEG_BEGGED, LEG_SENDING, LEG_WAITING, LEG_DONE };

struct leg {
	struct ask *ask;
	struct loop_source src; /* its fd is owned */
	enum leg_state state;
	bool tcp;
	uint32_t seq;
	uint16_t id;
	struct dns_address server;
	uint32_t server_at;     /* its index */
	uint8_t name[DNS_WIRE_NAME_MAX];
	uint8_t *in;            /* tcp: owned, 2 + DNS_MESSAGE_MAX */
	size_t got, sent;
};

struct ask {
	struct origin o;
	struct dns_question q;
	usec_t started_at, next_at;
	uint32_t tried;         /* bit per resolver */
	size_t n_legs;          /* started */
	struct leg legs[LEGS];
	struct ask *prev, *next; /* of the worker's */
};

static struct worker *worker_of(const struct ask *q)
{
	return q->o.a->w;
}

/* Legs */

static void leg_close(struct leg *l)
{
	struct worker *w = worker_of(l->ask);
	if (l->state == LEG_NONE || l->state == LEG_DONE)
		return;
	if (l->state == LEG_BEGGED)
		w->begging[l->seq % DNS_BEGGING] = NULL;
	if (l->src.fd >= 0)
		(void) loop_watch(&w->loop, &l->src, 0);
	l->src.fd = safe_close(l->src.fd);
	free(l->in);
	l->in = NULL;
	l->state = LEG_DONE;
	w->n_legs--;
}

static size_t under_way(const struct ask *q)
{
	size_t n = 0;
	for (size_t i = 0; i < q->n_legs; i++)
		n += q->legs[i].state != LEG_DONE;
	return n;
}

static void ask_free(struct ask *q)
{
	struct worker *w = worker_of(q);
	for (size_t i = 0; i < q->n_legs; i++)
		leg_close(&q->legs[i]);
	*(q->prev ? &q->prev->next : &w->asks) = q->next;
	if (q->next)
		q->next->prev = q->prev;
	q->o.a->n_asks--;
	w->n_asks--;
	free(q);
}

/* The answer to the client, and the end. @p may be a leg's: it goes first, and closes nothing. */
static void finish(struct ask *q, const uint8_t *p, size_t len)
{
	origin_reply(&q->o, p, len);
	ask_free(q);
}

static void fail(struct ask *q)
{
	uint8_t p[DNS_PLAIN_MAX];
	finish(q, p, dns_refusal(&q->q, DNS_SERVFAIL, p, sizeof(p)));
}

/* 0x20: letters that a liar off the path would have to guess, too. */
static void shuffle_case(struct dns_random *random, const struct dns_question *q, uint8_t *ret)
{
	uint8_t bits[DNS_WIRE_NAME_MAX / 8 + 1];
	dns_random_bytes(random, bits, sizeof(bits));
	for (size_t i = 0; i < q->name_len; i++) {
		uint8_t c = q->name[i], letter = c | 0x20;
		bool upper = bits[i / 8] >> (i % 8) & 1;
		ret[i] = letter >= 'a' && letter <= 'z' && c >= 'A' ? (upper ? letter & ~0x20 : letter) : c; /* length bytes are below 'A' */
	}
}

/* Beg for a socket to a resolver that is not in @tried. Return: whether a leg is under way. */
static bool leg_start(struct ask *q, uint32_t tried, uint32_t flags)
{
	struct worker *w = worker_of(q);
	struct dns_beg beg = {.kind = DNS_BEG_SOCKET, .seq = w->seq + 1, .flags = flags, .tried = tried};
	if (q->n_legs == LEGS || w->n_legs >= w->max_legs || w->begging[beg.seq % DNS_BEGGING])
		return false;
	memcpy(beg.id, q->o.a->m->told.id, sizeof(beg.id));
	if (send(w->keeper.fd, &beg, sizeof(beg), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	struct leg *l = &q->legs[q->n_legs++];
	*l = (struct leg) {.ask = q, .src = {.fd = -EBADF}, .state = LEG_BEGGED, .tcp = flags & DNS_BEG_TCP, .seq = beg.seq, .id = (uint16_t) dns_random_u32(&w->random)};
	shuffle_case(&w->random, &q->q, l->name);
	w->seq = beg.seq;
	w->begging[beg.seq % DNS_BEGGING] = l;
	w->n_legs++;
	q->next_at = now_usec() + LEG_PATIENCE;
	return true;
}

static uint32_t proto_of(const struct ask *q)
{
	return q->o.c ? DNS_BEG_TCP : 0;
}

static void say_bad(struct leg *l)
{
	struct dns_beg beg = {.kind = DNS_BEG_BAD, .address = l->server};
	if (l->server.family)
		(void) send(worker_of(l->ask)->keeper.fd, &beg, sizeof(beg), MSG_DONTWAIT | MSG_NOSIGNAL); /* a hint */
}

/* This leg leads nowhere: another resolver, or whoever is still asked, or the end. */
static void leg_failed(struct leg *l, bool bad)
{
	struct ask *q = l->ask;
	if (bad)
		say_bad(l);
	leg_close(l);
	if (!leg_start(q, q->tried, proto_of(q)) && under_way(q) == 0)
		fail(q);
}

/* Ask the same resolver once more, by TCP. */
static void leg_again_by_tcp(struct leg *l)
{
	struct ask *q = l->ask;
	uint32_t others = ~(1u << l->server_at);
	leg_close(l);
	if (!leg_start(q, others, DNS_BEG_TCP) && under_way(q) == 0)
		fail(q);
}

/* What a resolver said, whole. Return: whether it was for this leg (else it waits on). */
static bool leg_answer(struct leg *l, uint8_t *p, size_t len)
{
	struct ask *q = l->ask;
	size_t size = 0;
	enum dns_check check = dns_forward_check(&q->q, l->name, l->id, p, len, &size);
	if (check == DNS_CHECK_FOREIGN)
		return false;
	if (!l->tcp && check != DNS_CHECK_OK) { /* a resolver that loses letters, or somebody who guesses: who answers by TCP is no guesser */
		leg_again_by_tcp(l);
		return true;
	}
	unsigned rcode = dns_forward_rcode(p);
	if (check == DNS_CHECK_BROKEN || rcode == DNS_SERVFAIL || rcode == DNS_REFUSED || rcode == DNS_NOTIMP)
		leg_failed(l, false);
	else
		finish(q, p, dns_forward_finish(&q->q, p, size, origin_max(&q->o, &q->q)));
	return true;
}

static void udp_read(struct leg *l)
{
	uint8_t p[DNS_ANSWER_UDP_MAX];
	for (int i = 0; i < 4; i++) { /* what is not for us is passed over */
		ssize_t n = recv(l->src.fd, p, sizeof(p), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* port unreachable */
			leg_failed(l, true);
			return;
		}
		if ((size_t) n <= sizeof(p) && leg_answer(l, p, (size_t) n))
			return;
	}
}

static void tcp_read(struct leg *l)
{
	if (!l->in)
		l->in = malloc(2 + DNS_MESSAGE_MAX);
	if (!l->in) {
		leg_failed(l, false);
		return;
	}
	size_t want = l->got < 2 ? 2 : 2 + ((size_t) l->in[0] << 8 | l->in[1]);
	ssize_t n = recv(l->src.fd, l->in + l->got, want - l->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leg_failed(l, n < 0);
		return;
	}
	l->got += (size_t) n;
	if (l->got == want && want > 2 && !leg_answer(l, l->in + 2, want - 2))
		leg_failed(l, false);
}

/* Return: 0, 1 when there is more to send, -errno. */
static int send_question(struct leg *l)
{
	uint8_t p[2 + DNS_PLAIN_MAX];
	size_t len = dns_forward_write(&l->ask->q, l->name, l->id, p + 2), skip = l->tcp ? 0 : 2;
	p[0] = (uint8_t) (len >> 8);
	p[1] = (uint8_t) len;
	ssize_t n = send(l->src.fd, p + skip + l->sent, 2 + len - skip - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	l->sent += (size_t) n;
	return l->sent < 2 + len - skip;
}

static void leg_ready(struct loop_source *s, uint32_t events)
{
	struct leg *l = loop_source_owner(s, struct leg, src);
	if (l->state == LEG_SENDING) {
		int r = send_question(l);
		if (r == 0) {
			l->state = LEG_WAITING;
			r = loop_watch(&worker_of(l->ask)->loop, s, EPOLLIN);
		}
		if (r < 0)
			leg_failed(l, true);
	} else if (l->tcp)
		tcp_read(l);
	else
		udp_read(l);
}

void ask_gift(struct worker *w, const struct dns_gift *g, int fd)
{
	struct leg *l = w->begging[g->seq % DNS_BEGGING];
	if (!l || l->seq != g->seq) { /* answered meanwhile */
		safe_close(fd);
		return;
	}
	if (fd < 0 || g->result < 0 || g->result >= DNS_SERVERS_MAX) {
		safe_close(fd);
		struct ask *q = l->ask;
		leg_close(l);
		if (under_way(q) == 0)
			fail(q);
		return;
	}
	w->begging[g->seq % DNS_BEGGING] = NULL;
	l->ask->tried |= 1u << g->result;
	l->server_at = (uint32_t) g->result;
	l->server = g->address;
	l->src = (struct loop_source) {.fd = fd, .fn = leg_ready};
	l->state = LEG_SENDING;
	int r = l->tcp ? 1 : send_question(l);
	if (r == 0)
		l->state = LEG_WAITING;
	r = r < 0 ? r : loop_watch(&w->loop, &l->src, r ? EPOLLOUT : EPOLLIN);
	if (r < 0)
		leg_failed(l, true);
}

/* Asks */

/* Whoever has most under way gives its oldest. */
static void evict(struct worker *w)
{
	struct asker *most = w->askers;
	struct ask *oldest = NULL;
	for (struct asker *a = w->askers; a; a = a->next)
		if (a->n_asks > most->n_asks)
			most = a;
	for (struct ask *q = w->asks; q; q = q->next)
		if (q->o.a == most)
			oldest = q;
	if (oldest)
		fail(oldest);
}

void ask_new(const struct origin *o, const struct dns_question *question)
{
	struct asker *a = o->a;
	struct worker *w = a->w;
	uint8_t p[DNS_PLAIN_MAX];
	if (w->n_legs >= w->max_legs)
		evict(w);
	struct ask *q = a->n_asks < DNS_ASKS_PER_ASKER ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		origin_reply(o, p, dns_refusal(question, DNS_SERVFAIL, p, sizeof(p)));
		return;
	}
	*q = (struct ask) {.o = *o, .q = *question, .started_at = now_usec(), .next = w->asks};
	if (q->next)
		q->next->prev = q;
	w->asks = q;
	w->n_asks++;
	a->n_asks++;
	if (!leg_start(q, 0, proto_of(q)))
		fail(q);
}

void ask_cancel(struct asker *a, const struct conn *c)
{
	for (struct ask *q = a->n_asks ? a->w->asks : NULL, *next; q; q = next) {
		next = q->next;
		if (q->o.a == a && (!c || q->o.c == c))
			ask_free(q);
	}
}

void ask_tick(struct worker *w, usec_t now)
{
	for (struct ask *q = w->asks, *next; q; q = next) { /* no answer closes a connection here, so no other ask goes */
		next = q->next;
		if (now - q->started_at >= ASK_PATIENCE)
			fail(q);
		else if (now >= q->next_at && q->n_legs < LEGS) {
			say_bad(&q->legs[q->n_legs - 1]);
			q->next_at = now + LEG_PATIENCE;
			(void) leg_start(q, q->tried, proto_of(q) | DNS_BEG_AGAIN); /* the others wait on */
		}
	}
}
