/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the name server knows: containers, by id, by name on a network, by address on a network. Both of its processes have one; the worker's
 * begins as a copy of the keeper's (fork) and is told the same.
 *
 * S1 a member stays at its place in memory from its first "tell" to its "forget";
 * S2 every stay's names and addresses are in the table exactly once.
 */
#pragma once

#include "dns/proto.h"

#define DNS_FOUND_MAX 1024 /* containers that share a name; the rest is not told */

struct dns_member {
	struct dns_told told;
	int sockets[DNS_SOCKETS]; /* owned; -EBADF: not given yet */
	void *client;             /* the worker's */
	struct dns_node *nodes;   /* in the table; owned */
	size_t n_nodes;
	struct dns_member *prev, *next; /* all of them */
};

struct dns_state {
	struct dns_node **buckets;
	size_t n_buckets, n_nodes;
	uint64_t seed;
	struct dns_member *members;
	size_t n_members;
};

/* Stays that a name stands for, in no order. */
struct dns_found {
	size_t n;
	const struct dns_stay *stays[DNS_FOUND_MAX];
};

/** dns_state_init() - Return: 0 or -errno. */
int dns_state_init(struct dns_state *st);
void dns_state_done(struct dns_state *st);
/** dns_state_tell() - take over what @t says (left empty). Return: 0 and *@ret; -ENOMEM: nothing has changed. */
int dns_state_tell(struct dns_state *st, struct dns_told *t, struct dns_member **ret);
/** dns_state_give() - @sockets, taken over, in place of what @m had. */
void dns_state_give(struct dns_member *m, int sockets[DNS_SOCKETS]);
struct dns_member *dns_state_get(const struct dns_state *st, const char *id);
/** dns_state_forget() - close its sockets and free it. */
void dns_state_forget(struct dns_state *st, struct dns_member *m);
/** dns_state_find() - @name (lower case) as @m sees it: its links, then its networks in order, then NAME.NETWORK. Return: whether it is a name of ours. */
bool dns_state_find(const struct dns_state *st, const struct dns_member *m, const char *name, struct dns_found *ret);
/** dns_state_reverse() - who has the address @text (inet_ntop's form) on a network of @m's: "name.network". Return: owned; NULL: nobody, or no memory. */
char *dns_state_reverse(const struct dns_state *st, const struct dns_member *m, const char *text);
/** dns_state_external() - whether @m may ask outside. */
bool dns_state_external(const struct dns_member *m);
