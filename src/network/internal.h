/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/network share. */
#pragma once

#include <pthread.h>

#include "codec/json.h"
#include "db/db.h"
#include "kernel/nft.h"
#include "base/ip.h"
#include "network/network.h"
#include "network/rules.h"

/* Names of interfaces: "cf", three digits of the engine, a letter, digits of the object. An outer end has nine, a bridge seven and the number of the sibling. */
#define PREFIX_LEN 5
#define PORT_LETTER 'v'
#define BRIDGE_LETTER 'b'
#define TRUNK_LETTER 't'
#define BRIDGE_PORTS_MAX 960 /* of 1,023: those of containers that are just gone still count for the kernel */
#define SIBLINGS_MAX 62 /* each has a trunk at the first */

struct network_room {
	struct db *db;		    /* borrowed */
	const struct network_defaults *defaults; /* borrowed */
	char prefix[PREFIX_LEN + 1]; /* of interface names */
	char table[RULES_TABLE_MAX];
	pthread_mutex_t lock;	    /* guards the sockets and what follows */
	int route, nft;		    /* owned; -EBADF until they are needed */
	uint32_t bridge_ports;	    /* most containers on one bridge */
	bool looked;		    /* the rules were found whole once */
};

extern const char *const network_migrations[];
extern const size_t network_n_migrations;

/** defaults_put() - what @d says of the default network, into @n. defaults_hold() - is it so already? */
void defaults_put(const struct network_defaults *d, struct network *n);
bool defaults_hold(const struct network_defaults *d, const struct network *n);

/** subnet_choose() - for what @n lacks. Inside a transaction. */
int subnet_choose(struct network_room *r, struct network *n, struct err *err);
/** address_take() - free addresses for @p on @n, into @p->i. Inside a transaction. */
int address_take(struct network_room *r, const struct network *n, struct endpoint *p, struct err *err);
/** address_check() - may @p ask for what it does on @n? */
int address_check(const struct network *n, const struct endpoint *p, struct err *err);

/** bridge_ensure() - @n's bridge, and @name (the same, or a sibling) exist and are set up. Return: 1 made now, 0 there, <0. */
int bridge_ensure(struct network_room *r, const struct network *n, const char *name, struct err *err);
/** bridge_remove() - all bridges of @n; missing ones are fine. */
int bridge_remove(struct network_room *r, const struct network *n, struct err *err);
/** bridge_choose() - one with a free port, counted as taken. Inside a transaction. */
int bridge_choose(struct network_room *r, const struct network *n, char ret[IFNAMSIZ], struct err *err);
int bridge_leave(struct network_room *r, const char *network, const char *bridge, struct err *err);
/** bridge_gateway_mac() - what the gateway's hardware address is: made of its name. */
void bridge_mac(const struct network *n, uint8_t ret[MAC_LEN]);
/** bridge_publishes() - let the host reach @n's published ports by its loopback address. */
int bridge_publishes(const struct network *n, struct err *err);
/** forwarding_ensure() - the host routes between its interfaces, and no more of them than before. */
int forwarding_ensure(struct network_room *r, int family, struct err *err);

/** sockets_open() - route and nft. With the room's lock held. */
int sockets_open(struct network_room *r, struct err *err);
/** rules_of_network() - flags of rules_network(). */
unsigned rules_flags(const struct network *n);
/** rules_commit() - @n (consumed either way); when the tables are not there they are built first, with everything that the rows say. */
int rules_commit(struct network_room *r, struct nft_batch *n, struct err *err);
/** rules_rebuild() - from the rows. */
int rules_rebuild(struct network_room *r, struct err *err);

/** ports_take() - rows for @want, and their sockets. Inside a transaction. */
int ports_take(struct network_room *r, const struct network *n, const struct endpoint *gateway, const struct port *want, size_t n_want, struct network_plan *plan, struct err *err);
/** port_rules() - of @p, to that one of @v whose network it leads to. */
void port_rules(struct nft_batch *b, const char *table, const struct port *p, const struct endpoint *v, size_t n, bool on);

/** network_up_one() / network_down_one() - of a single endpoint; ports that led to it lead to another one afterwards, or nowhere. */
int network_up_one(struct network_room *r, struct endpoint *p, struct err *err);
int network_down_one(struct network_room *r, struct endpoint *p, struct err *err);

const char *proto_name(uint8_t proto);
