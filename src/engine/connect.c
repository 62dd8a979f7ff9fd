/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect and disconnect. In a container that runs they are several steps in the kernel and in files; a kill in between must not leave a network that is said
 * to be there and is not, or the other way round:
 *   C1 the row says that the container is coming to the network, or going from it, from before the first step to behind the last one.
 *   C2 such a row whose container's lock is free is nobody's work any more: nobody was told that it is done, and the container goes from the network
 *      (connect_settle(): the next connect or disconnect of this container, a daemon that starts, a command that ends).
 *   C3 going from a network may be done again from the start after any step of it, and of coming to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/events.h"
#include "engine/naming.h"
#include "engine/networking.h"
#include "engine/share.h"

static int check_connectable(const struct container *c, const struct network *n, struct err *err)
{
	const char *mode = network_mode_of(c->req);
	if (!str_eq(n->driver, "bridge"))
		return err_set(err, ERR_DENIED, "container cannot be connected to %s network", n->name);
	if (!networking_has(c->req))
		return err_set(err, ERR_DENIED, "container cannot be connected to multiple networks with one of the networks in %s mode",
			       share_of(c->req, NS_NET, NULL) == SHARE_JOIN ? "container sharing" : str_eq(mode, "host") ? "host" : "private (none)");
	return 0;
}

static int open_netns(const struct run_info *info)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/net", info->live.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int insert_endpoint(struct engine *e, struct endpoint *p, struct err *err)
{
	int rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = endpoint_add(e->networks, p, err);
	if (rc < 0) {
		db_rollback(e->db);
		return rc;
	}
	return db_commit(e->db, err);
}

/* What a running container and the others see of a change: it is not taken back for a name. */
static void rename_all(struct engine *e, const struct container *c, const struct naming *before, int netns)
{
	struct err err = {0};
	if (naming_changed(e, c, before, netns, &err) < 0)
		log_warn("names of container %s: %s, ignoring", c->name, err.msg);
}

/* Going: names first, which are told from the rows, then the interface, the row at the end. @all: of @c, @p among them. C3. */
static int leave_running(struct engine *e, const struct container *c, const struct endpoints *all, struct endpoint *p, int netns, struct err *err)
{
	_cleanup_naming_ struct naming before = {0};
	int rc = naming_load(e, c, all->v, all->n, /* starts= */ false, &before, err);
	p->change = ENDPOINT_GOING;
	rc = rc < 0 ? rc : endpoint_save_change(e->networks, p, err);
	rc = rc < 0 ? rc : fault_point("engine.disconnect.going", err);
	if (rc >= 0) {
		rename_all(e, c, &before, netns);
		rc = fault_point("engine.disconnect.named", err);
	}
	rc = rc < 0 ? rc : network_unplug(e->networks, netns, p, err);
	return rc < 0 ? rc : fault_point("engine.disconnect.unplugged", err);
}

static int leave(struct engine *e, const struct container *c, const struct run_info *info, const struct endpoints *all, struct endpoint *p, struct err *err)
{
	int rc = 0;
	if (info->state == RUN_RUNNING) {
		_cleanup_close_ int netns = open_netns(info);
		rc = netns < 0 && netns != -ENOENT ? err_sys(err, netns, "opening the container's network namespace") : 0;
		rc = rc < 0 || netns < 0 ? rc : leave_running(e, c, all, p, netns, err); /* no such process: it has just ended, and who reaps it takes the rest */
	}
	return rc < 0 ? rc : endpoint_remove(e->networks, p->container, p->network, err);
}

/* C2. With the container's lock held. */
static int connect_settle(struct engine *e, const struct container *c, const struct run_info *info, struct err *err)
{
	_cleanup_endpoints_ struct endpoints all = {0};
	int rc = endpoints_of(e->networks, c->id, &all.v, &all.n, err);
	for (size_t i = 0; rc >= 0 && i < all.n; i++) {
		if (!all.v[i].change)
			continue;
		all.v[i].change = ENDPOINT_COMING; /* its names may still be there */
		rc = leave(e, c, info, &all, &all.v[i], err);
	}
	return rc;
}

static int join_running(struct engine *e, const struct container *c, struct endpoint *p, const struct run_info *info, struct err *err)
{
	_cleanup_naming_ struct naming before = {0};
	_cleanup_close_ int netns = open_netns(info);
	int rc = naming_current(e, c, &before, err);
	rc = rc < 0 ? rc : netns < 0 ? err_sys(err, netns, "opening the container's network namespace") : network_plug(e->networks, netns, p, err);
	rc = rc < 0 ? rc : fault_point("engine.connect.plugged", err);
	if (rc < 0) {
		struct err ignored;
		(void) endpoint_remove(e->networks, p->container, p->network, &ignored); /* the first failure is told */
		return rc;
	}
	rename_all(e, c, &before, netns);
	rc = fault_point("engine.connect.named", err);
	p->change = ENDPOINT_SETTLED;
	return rc < 0 ? rc : endpoint_save_change(e->networks, p, err);
}

/* With the container's lock held. */
static int connect_locked(struct engine *e, struct container *c, const struct network *n, const struct endpoint_request *q, struct err *err)
{
	struct run_info info;
	struct endpoint p = {0};
	int rc = state_read(e, c, /* locked= */ true, &info, err);
	rc = rc < 0 ? rc : connect_settle(e, c, &info, err);
	rc = rc < 0 ? rc : check_connectable(c, n, err);
	rc = rc < 0 ? rc : networking_endpoint(c, n, q, &p, err);
	p.change = rc >= 0 && info.state == RUN_RUNNING ? ENDPOINT_COMING : ENDPOINT_SETTLED;
	rc = rc < 0 ? rc : insert_endpoint(e, &p, err);
	rc = rc < 0 ? rc : fault_point("engine.connect.inserted", err);
	if (rc >= 0 && p.change)
		rc = join_running(e, c, &p, &info, err);
	endpoint_release(&p);
	return rc;
}

static int disconnect_locked(struct engine *e, struct container *c, const struct network *n, struct err *err)
{
	struct run_info info;
	_cleanup_endpoints_ struct endpoints all = {0};
	struct endpoint *p = NULL;
	int rc = state_read(e, c, /* locked= */ true, &info, err);
	rc = rc < 0 ? rc : connect_settle(e, c, &info, err);
	rc = rc < 0 ? rc : endpoints_of(e->networks, c->id, &all.v, &all.n, err);
	for (size_t i = 0; rc >= 0 && i < all.n; i++)
		if (str_eq(all.v[i].network, n->id))
			p = &all.v[i];
	if (rc >= 0 && !p)
		rc = err_set(err, ERR_DENIED, "container %.128s is not connected to network %.128s", c->name, n->name);
	return rc < 0 ? rc : leave(e, c, &info, &all, p, err);
}

static void sweep_one(struct engine *e, const char *id)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	struct err ignored; /* tried again at the next look */
	_cleanup_close_ int lock = lock_try(e, id);
	if (lock >= 0 && container_load(e, id, &c, &ignored) > 0 && state_read(e, &c, /* locked= */ true, &info, &ignored) >= 0)
		(void) connect_settle(e, &c, &info, &ignored);
}

void connects_sweep(struct engine *e)
{
	_cleanup_strv_ char **ids = NULL;
	struct err ignored;
	if (endpoints_changing(e->networks, &ids, &ignored) >= 0)
		STRV_FOREACH(id, ids)
			sweep_one(e, id);
}

/* @q NULL: disconnect. */
static int change(struct engine *e, const struct caller *caller, const char *ref, const char *container, const struct endpoint_request *q, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	_cleanup_container_ struct container c = {0};
	int rc = network_find(e->networks, caller->tenant, ref, &n, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int lock = container_lock(e, caller->tenant, container, &c, err);
	rc = lock < 0 ? lock : q ? connect_locked(e, &c, &n, q, err) : disconnect_locked(e, &c, &n, err);
	if (rc >= 0)
		event_object(e, caller->tenant, "network", q ? "connect" : "disconnect", n.id, "container", c.id, "name", n.name, "type", n.driver, NULL);
	return rc;
}

int engine_network_connect(struct engine *e, const struct caller *caller, const char *ref, const char *container, const struct endpoint_request *q, struct err *err)
{
	return change(e, caller, ref, container, q, err);
}

int engine_network_disconnect(struct engine *e, const struct caller *caller, const char *ref, const char *container, bool force, struct err *err)
{
	(void) force; /* a container that is gone is on no network here: there is nothing to force */
	return change(e, caller, ref, container, NULL, err);
}
