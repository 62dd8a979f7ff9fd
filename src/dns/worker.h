/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: the process of coffer-dns that reads packets. It holds no right but to read and write the descriptors that it was given; a socket
 * towards a resolver is begged of the keeper.
 *
 *	worker                                  keeper
 *	                        <-              text of "tell" [+ 2 sockets], "forget" (dns/proto.h)
 *	dns_beg BEG_SOCKET      ->
 *	                        <-              dns_gift [+ a socket connected to a resolver of that container's]
 *	dns_beg BEG_BAD         ->              (that resolver is asked last for a while)
 *
 * The keeper takes what the worker says as foreign. A worker that does not keep up is replaced.
 */
#pragma once

#include "base/clock.h"
#include "base/loop.h"
#include "dns/answer.h"

#define DNS_ANSWER_UDP_MAX 4096 /* of our own answers to who takes so much; lo carries it */
#define DNS_ASKS_PER_ASKER 128
#define DNS_CONNS_PER_ASKER 16

enum dns_beg_kind { DNS_BEG_SOCKET = 1, DNS_BEG_BAD };
enum dns_beg_flags { DNS_BEG_TCP = 1 << 0, DNS_BEG_AGAIN = 1 << 1 /* any of them, when all were tried */ };

struct dns_beg {
	uint32_t kind, seq, flags;
	uint32_t tried;           /* SOCKET: bit per resolver that is not wanted */
	struct dns_address address; /* BAD */
	char id[ID_LEN + 1];
};

struct dns_gift {
	uint32_t zero;   /* text of a message never begins so */
	uint32_t seq;
	int32_t result;  /* index of the resolver, or -errno; -ENOENT: none that was not tried */
	struct dns_address address;
};

struct worker {
	struct loop loop;
	struct dns_state *st;
	struct loop_source keeper; /* its fd is owned */
	struct dns_random random;
	struct asker *askers;
	struct ask *asks;          /* questions under way, newest first */
	size_t n_asks, n_legs, max_legs;
	size_t n_conns, max_conns, n_paused;
	usec_t tick_at;
	uint32_t seq;
	struct leg **begging;      /* by seq % DNS_BEGGING; owned */
	bool gone;                 /* the keeper is */
};
#define DNS_BEGGING 8192u

/* A container as it is served. */
struct asker {
	struct worker *w;
	struct dns_member *m;
	struct loop_source udp, tcp; /* descriptors of the member's */
	uint32_t tokens;             /* questions that it may ask now */
	usec_t refilled_at;
	bool paused;                 /* out of tokens: the kernel keeps or drops its packets */
	struct conn *conns;
	size_t n_conns, n_asks;
	struct asker *prev, *next;
};

/* Where an answer goes. */
struct origin {
	struct asker *a;
	struct conn *c;          /* NULL: by UDP to */
	struct sockaddr_in from;
};

/** worker_run() - serve until the keeper is gone. @keeper: SOCK_SEQPACKET, taken over. Return: exit code. */
int worker_run(struct dns_state *st, int keeper);

/* asker.c */
/** asker_new() - begin to serve @m by the sockets that it has. Return: 0 or -errno. */
int asker_new(struct worker *w, struct dns_member *m);
/** asker_free() - stop; before its sockets are closed. */
void asker_free(struct asker *a);
/** asker_charge() - one question. Return: whether it may be asked. */
bool asker_charge(struct asker *a);
void asker_tick(struct asker *a, usec_t now);
/** origin_question() - a message of a client's: answer it, forward it, or drop it. */
void origin_question(const struct origin *o, const uint8_t *p, size_t len);
/** origin_reply() - @len bytes to the client. */
void origin_reply(const struct origin *o, const uint8_t *p, size_t len);
/** origin_max() - what an answer to @q may have. */
size_t origin_max(const struct origin *o, const struct dns_question *q);

/* conn.c */
void conn_accept(struct asker *a);
void conn_reply(struct conn *c, const uint8_t *p, size_t len);
void conn_close(struct conn *c);
void conn_tick(struct asker *a, usec_t now);

/* ask.c */
/** ask_new() - forward @q; the answer, or SERVFAIL, comes to @o. */
void ask_new(const struct origin *o, const struct dns_question *q);
/** ask_cancel() - those of @a that came over @c (NULL: all). */
void ask_cancel(struct asker *a, const struct conn *c);
void ask_tick(struct worker *w, usec_t now);
/** ask_gift() - the keeper's answer; @fd is taken over, -EBADF: none. */
void ask_gift(struct worker *w, const struct dns_gift *g, int fd);
