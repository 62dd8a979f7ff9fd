/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces that join containers to each other: bridges, pairs of virtual ethernet whose second end is born in the container's
 * network namespace, addresses, routes, neighbours. Nothing here waits for an RCU grace period but link_delete(). Requests are
 * blocking, on a socket of nl_open(NETLINK_ROUTE). Return: 0 or -errno. Not async-signal-safe. Source: rtnetlink(7), ip-link(8).
 */
#pragma once

#include <net/if.h>
#include <sys/types.h>

#include "base/ip.h"

struct nl_buf;
struct nlmsghdr;

#define INTERFACE_ADDRESSES_MAX 8

/* One interface of a container. */
struct interface {
	char name[IFNAMSIZ];	  /* inside: "eth0" */
	char host_name[IFNAMSIZ]; /* the end outside */
	char bridge[IFNAMSIZ];	  /* what that end is a port of */
	char gateway_bridge[IFNAMSIZ]; /* which bridge has the gateway's addresses; "": the same */
	uint8_t mac[MAC_LEN], gateway_mac[MAC_LEN]; /* the second: all zero when it is asked for */
	uint32_t mtu;		  /* 0: the kernel's */
	bool ipv6;		  /* else it is switched off */
	bool isolated;		  /* does not talk to other isolated ports of the bridge */
	bool hairpin;		  /* frames may leave by the port that they came in: where br_netfilter translates addresses */
	struct ip_addr addresses[INTERFACE_ADDRESSES_MAX];
	size_t n_addresses;
	struct ip_addr gateway4, gateway6; /* family 0: no default route */
};

struct bridge {
	char name[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	uint32_t mtu; /* 0: the kernel's */
	struct ip_addr addresses[2];
	size_t n_addresses;
};

/** link_index() - Return: index > 0; -ENODEV. */
int link_index(int sock, const char *name);
/** link_make_bridge() - make and bring it up; -EEXIST. */
int link_make_bridge(int sock, const struct bridge *b);
/** link_add_address() - -EEXIST when it has it. */
int link_add_address(int sock, int index, const struct ip_addr *a);
/** link_join() - make @i: the outer end a port of its bridge and up, the inner one in @netns_fd, down and without addresses.
 *  -EXFULL: the bridge has all the ports that it takes (1,023). */
int link_join(int sock, const struct interface *i, int netns_fd);
/** link_trunk() - connect bridge @a and bridge @b by a pair @name_a, @name_b, both up. */
int link_trunk(int sock, const char *a, const char *name_a, const char *b, const char *name_b, uint32_t mtu);
/** link_switches() - inside, before link_settle(): no IPv6 where there shall be none, and no router to be believed. @proc_fd: a procfs seen from that namespace. */
int link_switches(int proc_fd, const struct interface *i);
/** link_settle() - inside, on a socket of that namespace: addresses, up, routes, the gateways' hardware address. The sysctls come before it. */
int link_settle(int sock, const struct interface *i);
/** link_neighbour() - @bridge needs not ask who has @a: it is @mac. Replaces. */
int link_neighbour(int sock, int bridge_index, const struct ip_addr *a, const uint8_t mac[MAC_LEN]);
/** link_forget_neighbour() - it asks again. Return: 0; -ENOENT it did not know. */
int link_forget_neighbour(int sock, int bridge_index, const struct ip_addr *a);
/** link_delete() - the interface with this name and, for a pair, the other end. Waits for a grace period. -ENODEV: there is none. */
int link_delete(int sock, const char *name);
/** link_delete_many() - the same for several at once, for a single wait. Missing ones are fine. */
int link_delete_many(int sock, char *const *names);
/** link_default_route() - *@i's gateways are, or are no more, where everything else goes: in that namespace. */
int link_default_route(int sock, const struct interface *i, bool on);

/** link_each() - @fn for every interface of the namespace until it returns non-zero. @master: 0 any, else its ports alone. */
int link_each(int sock, int master, int (*fn)(void *ctx, int index, const char *name, int master), void *ctx);
/** link_each_subnet() - @fn for every network that the namespace has an address in or a route to (default routes left out). */
int link_each_subnet(int sock, int (*fn)(void *ctx, const struct ip_addr *subnet), void *ctx);
