/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of a container that runs. The calling thread goes into the container's network namespace for the moments in which it opens a
 * socket or writes a switch there; it is the thread alone that goes (setns(2)), and it comes back before anything else happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "kernel/netlink.h"
#include "network/internal.h"

struct visit {
	int own; /* where to go back to */
};

static int go(struct visit *v, int netns_fd, struct err *err)
{
	v->own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (v->own < 0)
		return err_sys(err, -errno, "opening the engine's network namespace");
	if (setns(netns_fd, CLONE_NEWNET) == 0)
		return 0;
	int r = -errno;
	v->own = safe_close(v->own);
	return err_sys(err, r, "joining the container's network namespace");
}

static void come_back(struct visit *v)
{
	int r = setns(v->own, CLONE_NEWNET);
	assert(r == 0); /* a thread that stayed would do the engine's work in a container's network */
	(void) r;
	v->own = safe_close(v->own);
}

static int settle(int netns_fd, const struct interface *i, struct err *err)
{
	struct visit v;
	int rc = go(&v, netns_fd, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int sock = nl_open(NETLINK_ROUTE), proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = sock < 0 ? sock : link_switches(proc, i);
	rc = rc < 0 ? rc : link_settle(sock, i);
	come_back(&v);
	return rc < 0 ? err_sys(err, rc, "setting %s up in the container", i->name) : 0;
}

/* The default route may be another network's from now on. */
static int move_gateway(int netns_fd, const struct interface *from, const struct interface *to, struct err *err)
{
	struct visit v;
	int rc = go(&v, netns_fd, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int sock = nl_open(NETLINK_ROUTE);
	rc = sock < 0 ? sock : 0;
	if (rc == 0 && from)
		(void) link_default_route(sock, from, false); /* one that the container removed itself is gone as well */
	if (rc == 0 && to)
		rc = link_default_route(sock, to, true);
	come_back(&v);
	return rc < 0 && rc != -EEXIST ? err_sys(err, rc, "changing the container's default route") : 0;
}

static void set_gateway(struct network_room *r, struct endpoint *p, int family)
{
	_cleanup_network_ struct network n = {0};
	p->i.gateway4 = p->i.gateway6 = (struct ip_addr){0};
	if (network_load(r, p->network, &n, NULL) > 0)
		*(family == NETWORK_V4 ? &p->i.gateway4 : &p->i.gateway6) = n.gateway[family];
}

/* The default route of one family is @to's from now on, and was @from's (NULL: nobody's, or it went with its interface). */
static int turn_route(struct network_room *r, int netns_fd, struct endpoint *from, struct endpoint *to, int family, struct err *err)
{
	if (from)
		set_gateway(r, from, family);
	set_gateway(r, to, family);
	return move_gateway(netns_fd, from ? &from->i : NULL, &to->i, err);
}

/* After @p came: is it the way out now? */
static int turn_to(struct network_room *r, int netns_fd, const struct endpoint *p, int family, struct err *err)
{
	struct network_plan all = {0};
	int rc = endpoints_of(r, p->container, &all.endpoints, &all.n, err);
	struct endpoint *now = rc < 0 ? NULL : network_gateway(r, all.endpoints, all.n, family);
	if (now && str_eq(now->network, p->network)) {
		now->up = false; /* whose it was: as if the new one were not there */
		struct endpoint *before = network_gateway(r, all.endpoints, all.n, family);
		rc = turn_route(r, netns_fd, before, now, family, err);
	}
	network_plan_done(&all);
	return rc;
}

static int join(struct network_room *r, int netns_fd, const struct interface *i, struct err *err)
{
	(void) pthread_mutex_lock(&r->lock);
	int rc = link_join(r->route, i, netns_fd);
	(void) pthread_mutex_unlock(&r->lock);
	rc = rc < 0 ? err_sys(err, rc, "joining the container to bridge %s", i->bridge) : 0;
	return rc < 0 ? rc : settle(netns_fd, i, err);
}

int network_plug(struct network_room *r, int netns_fd, struct endpoint *p, struct err *err)
{
	int rc = network_up_one(r, p, err);
	if (rc < 0)
		return rc;
	rc = fault_point("network.plug.up", err);
	rc = rc < 0 ? rc : join(r, netns_fd, &p->i, err);
	rc = rc < 0 ? rc : fault_point("network.plug.joined", err);
	for (int f = 0; rc >= 0 && f < NETWORK_FAMILIES; f++)
		rc = turn_to(r, netns_fd, p, f, err);
	if (rc < 0) {
		struct err ignored;
		(void) network_unplug(r, -EBADF, p, &ignored); /* the first failure is told */
	}
	return rc;
}

/* After one went: who is left has the default route already, or gets it. */
static int turn_rest(struct network_room *r, int netns_fd, const struct endpoint *p, struct err *err)
{
	struct network_plan all = {0};
	int rc = endpoints_of(r, p->container, &all.endpoints, &all.n, err);
	for (int f = 0; rc >= 0 && f < NETWORK_FAMILIES; f++) {
		struct endpoint *now = network_gateway(r, all.endpoints, all.n, f);
		rc = now ? turn_route(r, netns_fd, NULL, now, f, err) : 0;
	}
	network_plan_done(&all);
	return rc;
}

int network_unplug(struct network_room *r, int netns_fd, struct endpoint *p, struct err *err)
{
	(void) pthread_mutex_lock(&r->lock);
	int rc = sockets_open(r, err);
	if (rc >= 0) {
		rc = p->i.host_name[0] ? link_delete(r->route, p->i.host_name) : 0;
		rc = rc < 0 && rc != -ENODEV ? err_sys(err, rc, "removing the container's interface") : 0;
	}
	(void) pthread_mutex_unlock(&r->lock);
	rc = rc < 0 ? rc : fault_point("network.unplug.link", err);
	rc = rc < 0 ? rc : network_down_one(r, p, err);
	rc = rc < 0 ? rc : fault_point("network.unplug.down", err);
	return rc < 0 || netns_fd < 0 ? rc : turn_rest(r, netns_fd, p, err);
}
