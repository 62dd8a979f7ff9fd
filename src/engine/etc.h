/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three files below /etc that a container is given: hosts, hostname, resolv.conf. They lie beside its writable layer and are bound into it, so that they are
 * changed in place; the container may write to them itself, and what it wrote stays.
 *
 * Everything that reaches them is one word of known characters: no value makes a second line (threats.md, cri-o CVE-2022-4318).
 */
#pragma once

#include "apimodel/container.h"
#include "base/err.h"
#include "base/str.h"

#define ETC_ADDRESSES_MAX 128

/* Where names are looked up. */
enum etc_resolver {
	ETC_RESOLVER_NONE,   /* no network: nobody, unless the request names somebody */
	ETC_RESOLVER_HOST,   /* the host's network: as the host does */
	ETC_RESOLVER_BRIDGE, /* the default bridge: the host's servers that can be reached from there */
	ETC_RESOLVER_OWN,    /* networks of users: coffer-dns */
};

/* A line of hosts. */
struct etc_line {
	const char *address; /* borrowed */
	const char *names;   /* borrowed; with blanks between them */
};

struct etc {
	enum etc_resolver resolver;
	const struct container_request *req; /* hostname, domainname, dns*, extra_hosts; borrowed */
	const char *hostname;                /* borrowed */
	const struct etc_line *lines;        /* links */
	size_t n_lines;
	const char *const *addresses;        /* its own, one a network and family */
	size_t n_addresses;
	const char *gateway[2];              /* what "host-gateway" means, IPv4 and IPv6; NULL: nothing */
	const char *host_hosts, *host_resolv; /* texts of the host's files; NULL: not there */
};

/** etc_check() - the request's Dns, DnsSearch, DnsOptions, ExtraHosts. Return: 0; ERR_INVALID. */
int etc_check(const struct container_request *r, struct err *err);
/** etc_hosts() - text of /etc/hosts. Return: 0; ERR_UNSUPPORTED host-gateway without one. */
int etc_hosts(const struct etc *e, struct strbuf *out, struct err *err);
/** etc_resolv() - text of /etc/resolv.conf. */
int etc_resolv(const struct etc *e, struct strbuf *out, struct err *err);
/** etc_needs_server() - whether resolv.conf names coffer-dns: on users' networks, and on the default bridge where all of the host's servers listen on its
 *  loopback alone. Without memory: yes. */
bool etc_needs_server(const struct etc *e);
/** etc_write() - make the three files in @dir. */
int etc_write(int dir, const struct etc *e, struct err *err);
/** etc_readdress() - those lines of hosts in @dir that end in @names, as lines of @etc->lines do, have @address. Fine when there is none. */
int etc_readdress(int dir, const char *names, const char *address, struct err *err);
/** etc_update() - from the lines of @before to those of @after in hosts, in place; other lines stay; and resolv.conf when coffer-dns is to be asked from now
 *  on. Missing files are fine: it has ended. */
int etc_update(int dir, const struct etc *before, const struct etc *after, struct err *err);
