/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engines say to coffer-dns: one datagram of text on RUN/dns/socket, lines of words with one blank between them.
 *
 *	tell ID NAME               the container, and all there is to know about it
 *	server ADDRESS             a resolver for its other questions, in order; none: the host's
 *	link ALIAS NAME            what it alone calls another container
 *	network ID NAME external   a network that it is on, in the order in which names are looked for; or: internal
 *	address ADDRESS            its address there, one IPv4 and one IPv6 at most
 *	name NAME                  what it is called there
 *
 *	sockets ID                 with its UDP and its TCP socket
 *	forget ID                  the container has ended
 *	watch                      with a descriptor, which the server keeps open as long as it lives
 *
 * The same text goes on from the keeper to the worker. Words are checked by both sides: names hold no blank and no control character.
 */
#pragma once

#include "base/str.h"
#include "dns/dns.h"

#define DNS_DIR "dns"       /* below RUN */
#define DNS_SOCKET "socket"
#define DNS_TEXT_MAX 65536  /* a datagram */
enum { DNS_FD_SOCKET = 3, DNS_FD_LOCK = 4 }; /* of coffer-dns at its start */

enum dns_verb { DNS_VERB_TELL = 1, DNS_VERB_SOCKETS, DNS_VERB_FORGET, DNS_VERB_WATCH };

/* An address, in network order. */
struct dns_address {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
	uint32_t scope; /* interface of a link-local one, else 0 */
};

/* A container on a network, owned. */
struct dns_stay {
	char id[ID_LEN + 1];
	char *name;
	bool internal;
	struct dns_address v4, v6;
	char **names; /* lower case, each once */
};

struct dns_alias {
	char *name, *target; /* lower case */
};

/* A message, read. */
struct dns_told {
	enum dns_verb verb;
	char id[ID_LEN + 1];
	char *name;
	struct dns_stay *stays;
	size_t n_stays;
	struct dns_alias *links;
	size_t n_links;
	struct dns_address servers[DNS_SERVERS_MAX];
	size_t n_servers;
};

void dns_told_done(struct dns_told *t);
#define _cleanup_dns_told_ _cleanup_(dns_told_done)
/** dns_told_parse() - read @text (terminated, changed in place). Return: 0; -EINVAL, -ENOMEM; -E2BIG above a ceiling of dns.h. */
int dns_told_parse(char *text, struct dns_told *ret);
/** dns_told_write() - the text of "tell". Return: 0, or -EINVAL with @err naming what cannot be said. */
int dns_told_write(const struct dns_container *c, struct strbuf *out, struct err *err);
/** dns_address_parse() - IPv4 or IPv6 text. Return: 0 or -EINVAL. */
int dns_address_parse(const char *text, struct dns_address *ret);
/** dns_word_ok() - may be one word of a message. */
bool dns_word_ok(const char *s);
