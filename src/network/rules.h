/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet filter: two tables of the same name, one for frames on our bridges (family bridge), one for packets that the host routes
 * (family inet). Rules never change; what is where is in sets and maps, so that a network, a container or a published port is some
 * elements and one commit. Nothing outside of these two tables is touched, but for rules_beside_docker().
 *
 * bridge: a container sends under the hardware and IP addresses that it was given, or not at all; no router advertisement, no redirect.
 * inet:   container -> its own network      yes
 *         container -> another network      only to a published port
 *         container -> the host             answers, ICMP; all of it where a network says so
 *         container -> 127.0.0.0/8          never
 *         container -> elsewhere            yes, behind the host's address; not from an internal network
 *         elsewhere -> container            answers, and published ports
 *         anything else                     is not ours: neither accepted nor refused
 */
#pragma once

#include "kernel/link.h"
#include "kernel/nft.h"

#define RULES_TABLE_MAX 40

enum rules_network {
	RULES_INTERNAL = 1,
	RULES_MASQUERADE = 2,
	RULES_HOST_ACCESS = 4, /* its containers reach the host's own services */
	RULES_ISOLATED = 8,    /* they do not reach each other */
};

/* A published port. Addresses in network order. */
struct rules_port {
	struct ip_addr host; /* family; all zero bytes: any address of the host */
	uint8_t proto;	     /* IPPROTO_* */
	uint16_t host_port;
	struct ip_addr to;
	uint16_t to_port;
};

/** rules_build() - the tables afresh, without elements. In place of what was there. @ports: what the names of containers' ports, and of nothing else, begin
 *  with; at most 16 bytes. */
void rules_build(struct nft_batch *n, const char *table, const char *ports);
/** rules_drop() - the tables, which may be missing. */
void rules_drop(struct nft_batch *n, const char *table);
/** rules_are_whole() - Return: 1 the tables are as rules_build() made them, 0 not, -errno. */
int rules_are_whole(int sock, const char *table, const char *ports);
/** rules_network() - a network whose containers are ports of @bridge. @flags: enum rules_network. */
void rules_network(struct nft_batch *n, const char *table, const char *bridge, unsigned flags, bool on);
/** rules_sibling() - one more bridge of a network, behind its first. */
void rules_sibling(struct nft_batch *n, const char *table, const char *sibling, bool on);
/** rules_endpoint() - what @i may send as. */
void rules_endpoint(struct nft_batch *n, const char *table, const struct interface *i, bool on);
void rules_port(struct nft_batch *n, const char *table, const struct rules_port *p, bool on);
/** rules_guard() - packets of @family between two such interfaces are not forwarded: the host did not, before we made it a router. */
void rules_guard(struct nft_batch *n, const char *table, int family, const char *name);
/** rules_beside_docker() - docker sets the policy of the forward chain to drop, and gives others a chain to say otherwise (DOCKER_USER). Without it, or done already:
 *  nothing to do. @prefix: of our bridges' names. Return: 0 or -errno. */
#define DOCKER_USER "DOCKER-USER"
int rules_beside_docker(int sock, const char *prefix);
