/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's networks, between what clients say and the network room: which ones it is on (NetworkMode and EndpointsConfig), its published
 * ports, and what inspect and lists show of them. With NetworkMode host, none and container:X there are none of these.
 */
#pragma once

#include "apimodel/network.h"
#include "engine/internal.h"
#include "network/network.h"

/** network_defaults_open() - the operator's words. *@ret: owned. Return: 0; ERR_INVALID. */
int network_defaults_open(const struct network_words *w, struct network_defaults **ret, struct err *err);
/** networking_has() - whether @r is on networks of ours. */
bool networking_has(const struct container_request *r);
/** networking_check() - pure part of the policy: modes, ports and what goes together. */
int networking_check(const struct container_request *r, struct err *err);

struct endpoints {
	struct endpoint *v; /* owned */
	size_t n;
};
void networking_endpoints_done(struct endpoints *p);
#define _cleanup_endpoints_ _cleanup_(networking_endpoints_done)

/** networking_plan() - at create, before the transaction: networks are looked up. */
int networking_plan(struct engine *e, const struct container *c, struct endpoints *ret, struct err *err);
/** networking_attach() - inside the transaction. */
int networking_attach(struct engine *e, const struct container *c, struct endpoints *p, struct err *err);
/** networking_endpoint() - what @q asks for on network @n, for @c. */
int networking_endpoint(const struct container *c, const struct network *n, const struct endpoint_request *q, struct endpoint *ret, struct err *err);

/** networking_up() - at start, before the bundle. *@ret is empty without networks. */
int networking_up(struct engine *e, const struct container *c, struct network_plan *ret, struct err *err);
/** networking_down() - after the end; again is fine. */
int networking_down(struct engine *e, const struct container *c, struct err *err);
/** networking_tell() - "connect" or "disconnect" of every network that @c is on. */
void networking_tell(struct engine *e, const struct container *c, const char *action);
/** connects_sweep() - what a killed connect or disconnect left in running containers (connect.c). */
void connects_sweep(struct engine *e);
/** networking_spec() - the interfaces of the document. */
int networking_spec(const struct network_plan *p, struct coffer_ext *x);
/** networking_hold() - the ports' sockets to the monitor, which keeps them for as long as the container runs. */
int networking_hold(const struct network_plan *p, int link, struct err *err);

/* What is shown: rows of one container, or of all. */
struct network_view {
	struct endpoint *endpoints; /* owned; sorted by container */
	size_t n_endpoints;
	struct port *ports; /* owned; those of one container stand together, parallel to @holders */
	char (*holders)[ID_LEN + 1]; /* owned */
	size_t n_ports;
	struct network *networks; /* owned */
	size_t n_networks;
};
/** network_view_load() - @id NULL: of every container. */
int network_view_load(struct engine *e, const char *id, struct network_view *ret, struct err *err);
void network_view_done(struct network_view *v);
#define _cleanup_network_view_ _cleanup_(network_view_done)
/** network_view_write() - NetworkSettings. @full: as inspect shows it. */
void network_view_write(const struct network_view *v, struct json_writer *w, const struct container *c, bool full);
/** network_view_ports() - "Ports" of a list. */
void network_view_ports(const struct network_view *v, struct json_writer *w, const struct container *c);
/** network_view_has() - is @c on a network called @ref, or with this id? */
bool network_view_has(const struct network_view *v, const struct container *c, const char *ref);
/** network_view_publishes() - "8080", "8080/tcp", "8080-8090": is one of these published? */
bool network_view_publishes(const struct network_view *v, const struct container *c, const char *ports);
