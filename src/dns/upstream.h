/* SPDX-License-Identifier: Apache-2.0 */
/* Resolvers: the host's, read again whenever its file changes; which of them have been silent; sockets to them. */
#pragma once

#include "base/clock.h"
#include "dns/state.h"

#define UPSTREAM_BAD_MAX 32

struct upstream {
	struct dns_address host[DNS_SERVERS_MAX];
	size_t n_host;
	usec_t looked_at;
	int64_t seen[4]; /* of the file: device, inode, size, time; what makes it another one */
	struct {
		struct dns_address address;
		usec_t until;
	} bad[UPSTREAM_BAD_MAX];
	size_t next_bad;
};

/** upstream_socket() - connected to one of @m's resolvers that is not in @tried, those that have been silent last; TCP: connecting. @again: any, when all
 *  were tried. Return: fd with *@ret_index and *@ret_address; -ENOENT: none left; -EACCES: @m may not ask outside; -errno. */
int upstream_socket(struct upstream *u, const struct dns_member *m, bool tcp, bool again, uint32_t tried, uint32_t *ret_index, struct dns_address *ret_address);
/** upstream_bad() - @a was silent. */
void upstream_bad(struct upstream *u, const struct dns_address *a);
