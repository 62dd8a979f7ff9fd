/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of containers: which there are, who is on them under which address, which ports of the host lead where, and the bridges and
 * rules that make it so. Rows say what is; the kernel's part follows them and can be made again from them at any time:
 *   N1 an address, a hardware address and a published port are a row before anything in the kernel uses them, unique by the table.
 *   N2 rules for a container are there only while its row says "up", or until the next look at a row that does.
 *   N3 a container's outer interface is the kernel's to remove: it goes with the container's network namespace.
 *   N4 rules are built anew from the rows inside a write transaction, so that no other engine's change is lost.
 * Drivers: "bridge", and the two that need nothing, "host" and "null". Names and look-ups are within a tenant.
 */
#pragma once

#include "base/err.h"
#include "base/id.h"
#include "kernel/link.h"

struct db;
struct json;
struct network_room;

enum { NETWORK_V4, NETWORK_V6, NETWORK_FAMILIES };

#define NETWORK_BRIDGE "bridge"
#define NETWORK_HOST "host"
#define NETWORK_NONE "none"

/* One network. */
struct network {
	char id[ID_LEN + 1];
	char *tenant, *name, *driver; /* owned */
	int64_t created_ns;
	bool internal, ipv6, attachable, isolated /* from each other: enable_icc=false */, masquerade, host_access, is_default;
	uint32_t mtu; /* 0: the kernel's */
	char bridge[IFNAMSIZ]; /* "" unless driver bridge */
	struct ip_addr subnet[NETWORK_FAMILIES], gateway[NETWORK_FAMILIES], range[NETWORK_FAMILIES]; /* family 0: none */
	struct ip_addr publish_on; /* where ports without an address are published; family 0: everywhere */
	char *options, *labels, *aux, *ipam_options; /* owned; JSON objects of strings; NULL: {} */
};
void network_done(struct network *n);
#define _cleanup_network_ _cleanup_(network_done)

/* While the container runs it comes to a network, and goes from one, in several steps. */
enum endpoint_change { ENDPOINT_SETTLED, ENDPOINT_COMING, ENDPOINT_GOING };

/* A container on a network. */
struct endpoint {
	char id[ID_LEN + 1], container[ID_LEN + 1], network[ID_LEN + 1];
	int64_t position;    /* order of connecting */
	enum endpoint_change change;
	struct ip_addr wanted[NETWORK_FAMILIES]; /* family 0: any */
	struct ip_addr was[NETWORK_FAMILIES];	 /* in its last life: has it again when that is free; family 0: none */
	uint8_t wanted_mac[MAC_LEN]; /* zero: any */
	int64_t gw_priority;
	char *aliases, *links, *options; /* owned; JSON; NULL: none */
	/* while it is up; else zero */
	bool up;
	struct interface i;
};
void endpoint_release(struct endpoint *p);
void endpoints_free(struct endpoint *v, size_t n);

/* A port to be published, and one that is. */
struct port {
	uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t container_port;
	struct ip_addr host; /* family 0: every address of the host, both families */
	uint16_t host_port, host_port_last; /* 0: any; a range: the first free one of it */
	char network[ID_LEN + 1]; /* of one that is published: which network's address it leads to */
};
#define PORTS_MAX 16384

/* Where subnets come from that nobody chose, and how they are cut. */
struct network_pool {
	struct ip_addr base;
	uint8_t size; /* prefix length of a network's */
};

/* What the operator wants. Of networks, and of the one that is always there, "bridge". */
struct network_defaults {
	struct network_pool *pools; /* owned; of a family without one: docker's, and random ones of fd00::/8 */
	size_t n_pools;
	struct ip_addr gateway4; /* with the subnet's prefix length; family 0: any, like the next three */
	struct ip_addr range4, subnet6, publish_on;
	uint32_t mtu;
	bool isolated, ipv6;
};
void network_defaults_done(struct network_defaults *d);

/* The same in daemon.json's words. */
struct network_words {
	const struct json *pools; /* default-address-pools; NULL: unset */
	const char *bip, *fixed_cidr, *fixed_cidr6, *ip; /* NULL: unset */
	uint32_t mtu; /* 0: unset */
	bool icc, ipv6;
};
/** network_defaults_read() - Return: 0; ERR_INVALID "KEY: ...". */
int network_defaults_read(const struct network_words *w, struct network_defaults *ret, struct err *err);

struct network_config {
	struct db *db; /* borrowed */
	const struct network_defaults *defaults; /* borrowed for as long as the room is open; NULL: none */
	const char *state_dir; /* tells engines in one network namespace apart */
};
/** network_open() - bring the tables. Touches nothing in the kernel. */
int network_open(const struct network_config *cfg, struct network_room **ret, struct err *err);
struct network_room *network_close(struct network_room *r);

/* Networks */

/** network_find() - by full id, name, or unique id prefix. The three default ones are there from the first look, and "bridge" becomes what the operator wants
 *  as soon as nobody is on it. Return: 0; ERR_NOT_FOUND "network X not found". */
int network_find(struct network_room *r, const char *tenant, const char *ref, struct network *ret, struct err *err);
/** network_load() - by full id. Return: 1, 0 none, <0. */
int network_load(struct network_room *r, const char *id, struct network *ret, struct err *err);
/** network_each() - @fn for every network of @tenant (NULL: of all), oldest first, until it returns non-zero. Return: that, or 0. */
int network_each(struct network_room *r, const char *tenant, int (*fn)(void *ctx, struct network *n, struct err *err), void *ctx, struct err *err);
/** network_create() - @n as it is asked for: id, bridge, subnets and gateways that are not given are chosen here and filled in. Owns nothing of @n.
 *  Return: 0; ERR_CONFLICT the name is taken; ERR_DENIED the subnet is; ERR_INVALID; ERR_QUOTA. */
int network_create(struct network_room *r, struct network *n, struct err *err);
/** network_remove() - with its bridge. Return: 0; ERR_DENIED it is a default one, or has endpoints. *@ret: what it was; to be released. */
int network_remove(struct network_room *r, const char *tenant, const char *ref, struct network *ret, struct err *err);

/* Endpoints. Calls that change rows are made inside the caller's transaction. */

/** endpoint_add() - @p->network, container, wanted and so on are given; id and position are filled in. Return: 0; ERR_INVALID an address that cannot be. */
int endpoint_add(struct network_room *r, struct endpoint *p, struct err *err);
/** endpoint_save_change() - @p->change into its row. */
int endpoint_save_change(struct network_room *r, const struct endpoint *p, struct err *err);
/** endpoints_changing() - ids of containers, each once, that have an endpoint which is not settled. *@ret: strv_free(); NULL: none. */
int endpoints_changing(struct network_room *r, char ***ret, struct err *err);
/** endpoints_linking() - ids of containers that are up on @network with links. *@ret: strv_free(); NULL: none. */
int endpoints_linking(struct network_room *r, const char *network, char ***ret, struct err *err);
int endpoint_remove(struct network_room *r, const char *container, const char *network, struct err *err);
/** endpoints_remove() - all of @container, and its ports. */
int endpoints_remove(struct network_room *r, const char *container, struct err *err);
/** endpoints_of() - in the order of connecting. *@ret: endpoints_free(). */
int endpoints_of(struct network_room *r, const char *container, struct endpoint **ret, size_t *ret_n, struct err *err);
/** endpoints_on() - of all containers on @network. */
int endpoints_on(struct network_room *r, const char *network, struct endpoint **ret, size_t *ret_n, struct err *err);
/** endpoints_all() - of all containers, by container's id. */
int endpoints_all(struct network_room *r, struct endpoint **ret, size_t *ret_n, struct err *err);
/** ports_all() - published by @container (NULL: by all, by container's id). *@ret_holders: owned, whose each is. */
int ports_all(struct network_room *r, const char *container, struct port **ret, char (**ret_holders)[ID_LEN + 1], size_t *ret_n, struct err *err);
/** ports_of() - published now. *@ret: owned. */
int ports_of(struct network_room *r, const char *container, struct port **ret, size_t *ret_n, struct err *err);

/* Up and down. The container's lock is held. */

struct network_plan {
	struct endpoint *endpoints; /* owned */
	size_t n;
	struct port *ports; /* owned */
	size_t n_ports;
	int *fds; /* owned with its descriptors: the ports, bound, to be held for as long as they are published */
	size_t n_fds;
};
void network_plan_done(struct network_plan *p);
#define _cleanup_network_plan_ _cleanup_(network_plan_done)

/** network_up() - addresses, ports, bridges and rules for the endpoints of @container. Interfaces are made by whoever makes the namespace, from @ret. Nothing
 *  stays on failure. Return: 0; ERR_CONFLICT a port or an address is in use; ERR_UNSUPPORTED this host cannot; ERR_QUOTA. */
int network_up(struct network_room *r, const char *container, const struct port *ports, size_t n_ports, struct network_plan *ret, struct err *err);
/** network_down() - take back what network_up() did. Fine when there is nothing. */
int network_down(struct network_room *r, const char *container, struct err *err);
/** network_forget() - network_down() and endpoints_remove() of a container that goes, inside the caller's transaction: one commit for both. */
int network_forget(struct network_room *r, const char *container, struct err *err);
/** network_plug() - one more network for a running container. @netns_fd: its network namespace. @p: as endpoint_add() left it; filled in. */
int network_plug(struct network_room *r, int netns_fd, struct endpoint *p, struct err *err);
/** network_unplug() - the interface goes at once, ports that led there lead to another network of the container, if there is one; the row is the caller's to remove.
 *  @netns_fd: -EBADF when the container does not run. */
int network_unplug(struct network_room *r, int netns_fd, struct endpoint *p, struct err *err);
/** network_gateway() - which of @v has the default route of @family (NETWORK_V4, NETWORK_V6): NULL none. */
struct endpoint *network_gateway(struct network_room *r, struct endpoint *v, size_t n, int family);

/** network_mend() - build the rules anew when something is missing of them. Return: 1 it was, 0 all is well, <0. */
int network_mend(struct network_room *r, struct err *err);
/** network_watcher() - network_mend() whenever somebody removes rules, until @stop_fd is readable. For a thread of a daemon. */
void network_watcher(struct network_room *r, int stop_fd);
