/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a container on its networks: what its own files below /etc say, and what the name server is told of it. Both follow the rows of endpoints.
 */
#pragma once

#include "dns/dns.h"
#include "engine/etc.h"
#include "engine/networking.h"

struct naming {
	struct etc etc;
	struct dns_container dns; /* networks: none when there are no names to tell */
	bool served;              /* it asks coffer-dns */
	/* what those borrow; owned */
	char hostname[65];
	char *host_hosts, *host_resolv;
	char **texts;             /* strv */
	const char **addresses;
	struct etc_line *lines;
	struct dns_network *networks;
	char ***names;            /* of each network; strv */
	struct dns_link *links;
	size_t n_networks, n_texts;
};

/** naming_load() - for @c on those of @v that are up. @c outlives *@ret. @starts: whom it links to on the default network has to run; later that has no line. */
int naming_load(struct engine *e, const struct container *c, const struct endpoint *v, size_t n, bool starts, struct naming *ret, struct err *err);
void naming_done(struct naming *n);
#define _cleanup_naming_ _cleanup_(naming_done)

/** naming_tell() - the name server, if @c asks it. One that had to be started is told of all other running containers, too. */
int naming_tell(struct engine *e, const struct naming *n, struct err *err);
/** naming_forget() - @c has ended. */
void naming_forget(struct engine *e, const struct container *c);
/** naming_current() - naming_load() for what is up by the rows. */
int naming_current(struct engine *e, const struct container *c, struct naming *ret, struct err *err);
/** naming_changed() - a running @c is on other networks, or called otherwise, than @before: its files, and the name server, hear of it. @netns_fd: its network
 *  namespace. */
int naming_changed(struct engine *e, const struct container *c, const struct naming *before, int netns_fd, struct err *err);
/** naming_linked() - @c has been started on @v, maybe under another address: the lines of those that link to it on the default network follow. */
void naming_linked(struct engine *e, const struct container *c, const struct endpoint *v, size_t n);
/** naming_mend() - a name server that was killed is started and told of every running container. Return: 1 it was, 0 nothing was to be done, <0. */
int naming_mend(struct engine *e, struct err *err);
