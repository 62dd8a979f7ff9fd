/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of the name server (coffer-dns, docs/adr): start it, tell it what a container is called where, forget a container.
 * The server has no configuration and no state on disk; what it knows is what it was told, one datagram a container, each the whole
 * truth about it. Messages of all engines go through one socket, RUN/dns/socket, in order: a container that was told of before another
 * one was is found by that one's very first question.
 *
 *	network create				dns_ensure()		so that no start waits for a spawn
 *	start, the engine			dns_tell(c)		others find it, and the server stays as long as there is one
 *	start, whoever makes the namespace	dns_open(), dns_give()	now it can ask; before its first process runs
 *	connect, disconnect, rename		dns_tell(c)		the sockets stay
 *	the container has ended			dns_forget(id)
 *
 * A container finds the server at DNS_ADDRESS, whatever its networks are: /etc/resolv.conf never changes while it runs.
 */
#pragma once

#include <netinet/in.h>

#include "base/err.h"
#include "base/id.h"

#define DNS_ADDRESS "127.0.0.11" /* docker's, and what people write into their nginx.conf */
#define DNS_SERVERS_MAX 8        /* per container; glibc itself reads three */
#define DNS_NETWORKS_MAX 64      /* per container */
#define DNS_NAMES_MAX 256        /* names and aliases of one container on one network */
#define DNS_LINKS_MAX 256        /* per container */

enum dns_socket { DNS_UDP, DNS_TCP, DNS_SOCKETS };

/* A container on one network. Everything is borrowed. */
struct dns_network {
	const char *id;    /* the network's, ID_LEN hex digits */
	const char *name;  /* the network's: NAME.NETWORK resolves, and is what an address resolves to */
	bool internal;     /* nothing outside of it; a container whose networks all are resolves nothing external */
	const char *v4;    /* text form, no prefix length; NULL or "": none */
	const char *v6;
	char *const *names; /* strv: container name, short id, aliases; hostname */
};

struct dns_link {
	const char *alias;  /* what this container alone calls it */
	const char *target; /* a name of the other container, which may come later; it resolves by the networks that both are on */
};

struct dns_container {
	const char *id;   /* full */
	const char *name; /* without a slash */
	const struct dns_network *networks; /* in the order in which names are looked for */
	size_t n_networks;
	const struct dns_link *links;
	size_t n_links;
	char *const *servers; /* strv of addresses (--dns), "fe80::1%eth0" not among them. NULL: the host's, as its /etc/resolv.conf says at the time of a question */
};

/** dns_ensure() - start the server unless it runs. @run_fd: the engine's run directory. @libexec_dir: where coffer-dns is.
 *  Return: 1 it was started now and knows nothing: tell it of every running container; 0 it was there; -errno. Context: any thread; waits for
 *  a fork and an exec when it has to start it. */
int dns_ensure(int run_fd, const char *libexec_dir, struct err *err);

/** dns_open() - the server's two sockets (enum dns_socket; CLOEXEC, owned by the caller) in the calling thread's network namespace, whose lo is
 *  brought up: bound to a free port of DNS_ADDRESS, and an nftables rule on lo's ingress that shows them as port 53 (nothing there occupies
 *  0.0.0.0:53). Return: 0 or -errno. Context: needs CAP_NET_ADMIN there; no malloc, no lock: a child after fork may call it. */
int dns_open(int ret[DNS_SOCKETS]);
/** dns_open_at() - the same in the network namespace @netns_fd, for a thread of the engine's: goes there and comes back. */
int dns_open_at(int netns_fd, int ret[DNS_SOCKETS]);

/** dns_tell() - what is true of @c from now on. Starts the server if there is none. Return as dns_ensure(). Context: one datagram; waits at most 2 s
 *  for room. */
int dns_tell(int run_fd, const char *libexec_dir, const struct dns_container *c, struct err *err);
/** dns_give() - the sockets of a container that was told of, in place of those that it had. @sockets: from dns_open(), borrowed. Return: 0; -ECONNREFUSED: the
 *  server has just been killed (whoever starts another opens them again); -errno. */
int dns_give(int run_fd, const char *id, const int sockets[DNS_SOCKETS]);
/** dns_forget() - drop a container, its names and sockets (they hold its network namespace). No server or no such container: fine. Return: 0 or -errno. */
int dns_forget(int run_fd, const char *id);
/** dns_watch() - a descriptor that becomes readable when the server that runs now has ended. Return: fd, owned; -ENOENT: none runs. */
int dns_watch(int run_fd);
