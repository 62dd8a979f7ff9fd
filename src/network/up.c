/* SPDX-License-Identifier: Apache-2.0 */
/* A container's networks from rows to rules and back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "kernel/netlink.h"
#include "network/internal.h"

#define WAY_OUT "; containers without one run with --network none"

void network_plan_done(struct network_plan *p)
{
	endpoints_free(p->endpoints, p->n);
	free(p->ports);
	for (size_t i = 0; i < p->n_fds; i++)
		safe_close(p->fds[i]);
	free(p->fds);
	*p = (struct network_plan){0};
}

int sockets_open(struct network_room *r, struct err *err)
{
	if (r->route < 0 && (r->route = nl_open(NETLINK_ROUTE)) < 0)
		return err_sys(err, r->route, "networks: rtnetlink" WAY_OUT);
	if (r->nft < 0 && (r->nft = nft_open()) < 0)
		return r->nft == -EPROTONOSUPPORT ? err_set(err, ERR_UNSUPPORTED, "networks: this kernel has no nftables" WAY_OUT) : err_sys(err, r->nft, "networks: nftables" WAY_OUT);
	return 0;
}

/* Rules */

unsigned rules_flags(const struct network *n)
{
	return (n->internal ? RULES_INTERNAL : 0) | (n->masquerade && !n->internal ? RULES_MASQUERADE : 0) | (n->host_access ? RULES_HOST_ACCESS : 0) | (n->isolated ? RULES_ISOLATED : 0);
}

struct rebuild {
	struct network_room *r;
	struct nft_batch *b;
};

/* @fn for every row of a query without parameters: the ids of networks, or of containers. */
static int each_id(struct network_room *r, const char *sql, int (*fn)(struct rebuild *rb, const char *id, struct err *err), struct rebuild *rb, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, sql, "");
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(&ids, db_text(st, 0)) < 0)
			rc = err_oom(err);
	db_done(st);
	STRV_FOREACH(id, ids)
		rc = rc < 0 ? rc : fn(rb, id, err);
	return MIN(rc, 0);
}

static int put_network(struct rebuild *rb, const char *id, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = network_load(rb->r, id, &n, err);
	if (rc > 0 && link_index(-1, n.bridge) > 0)
		rules_network(rb->b, rb->r->table, n.bridge, rules_flags(&n), true);
	return MIN(rc, 0);
}

static int put_siblings(struct network_room *r, struct nft_batch *b, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT b.name FROM network_bridge b JOIN network n ON n.id=b.network WHERE b.name<>n.bridge", "");
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		rules_sibling(b, r->table, db_text(st, 0) ?: "", true);
	return rc;
}

/* What the row of @p does not have, of its network. */
static int complete(struct network_room *r, struct endpoint *p, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = network_load(r, p->network, &n, err);
	p->i.ipv6 = rc > 0 && n.ipv6;
	if (rc > 0 && !str_eq(p->i.bridge, n.bridge))
		(void) str_copy(p->i.gateway_bridge, IFNAMSIZ, n.bridge); /* the same size */
	return MIN(rc, 0);
}

static int put_container(struct rebuild *rb, const char *id, struct err *err)
{
	struct network_plan p = {0};
	int rc = endpoints_of(rb->r, id, &p.endpoints, &p.n, err);
	rc = rc < 0 ? rc : ports_of(rb->r, id, &p.ports, &p.n_ports, err);
	for (size_t i = 0; rc >= 0 && i < p.n; i++) {
		rc = p.endpoints[i].up ? complete(rb->r, &p.endpoints[i], err) : 0;
		if (rc >= 0 && p.endpoints[i].up)
			rules_endpoint(rb->b, rb->r->table, &p.endpoints[i].i, true);
	}
	for (size_t i = 0; rc >= 0 && i < p.n_ports; i++)
		port_rules(rb->b, rb->r->table, &p.ports[i], p.endpoints, p.n, true);
	network_plan_done(&p);
	return rc;
}

static int put_guards(struct network_room *r, struct nft_batch *b, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT family,name FROM network_guard", "");
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		rules_guard(b, r->table, (int) db_int(st, 0), db_text(st, 1) ?: "");
	return rc;
}

/* With the room's lock held. Where docker is not, or its rules are iptables-legacy's, there is no such chain. */
static void pass_docker(struct network_room *r)
{
	char bridges[PREFIX_LEN + 2];
	(void) str_format(bridges, sizeof(bridges), "%s%c", r->prefix, BRIDGE_LETTER); /* fits */
	(void) rules_beside_docker(r->nft, bridges);
}

static int rebuild_locked(struct network_room *r, struct err *err)
{
	char ports[PREFIX_LEN + 2];
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	struct rebuild rb = {.r = r, .b = &b};
	(void) str_format(ports, sizeof(ports), "%s%c", r->prefix, PORT_LETTER); /* fits */
	rules_build(&b, r->table, ports);
	int rc = put_guards(r, &b, err);
	rc = rc < 0 ? rc : each_id(r, "SELECT id FROM network WHERE bridge IS NOT NULL", put_network, &rb, err);
	rc = rc < 0 ? rc : put_siblings(r, &b, err);
	rc = rc < 0 ? rc : each_id(r, "SELECT DISTINCT container FROM network_endpoint WHERE up=1", put_container, &rb, err);
	if (rc < 0)
		return rc;
	(void) pthread_mutex_lock(&r->lock);
	rc = sockets_open(r, err);
	if (rc >= 0 && (rc = nft_commit(r->nft, &b)) < 0)
		rc = rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT || rc == -EPROTONOSUPPORT || rc == -ENOENT
			     ? err_set(err, ERR_UNSUPPORTED, "networks: this kernel lacks a part of nftables that keeps containers apart (%s)" WAY_OUT, strerror(-rc))
			     : err_sys(err, rc, "networks: setting the packet filter up" WAY_OUT);
	if (rc >= 0)
		pass_docker(r);
	(void) pthread_mutex_unlock(&r->lock);
	return rc;
}

int rules_rebuild(struct network_room *r, struct err *err)
{
	int rc = db_begin(r->db, err); /* N4 */
	if (rc < 0)
		return rc;
	rc = rebuild_locked(r, err);
	db_rollback(r->db); /* nothing was written */
	return rc;
}

static int commit(struct network_room *r, struct nft_batch *n, struct err *err)
{
	(void) pthread_mutex_lock(&r->lock);
	int rc = sockets_open(r, err);
	if (rc >= 0 && (rc = nft_commit(r->nft, n)) < 0 && rc != -ENOENT && rc != -EEXIST)
		rc = rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT ? err_set(err, ERR_UNSUPPORTED, "networks: this kernel has no nftables" WAY_OUT) : err_sys(err, rc, "networks: changing the packet filter");
	(void) pthread_mutex_unlock(&r->lock);
	return rc;
}

int rules_commit(struct network_room *r, struct nft_batch *n, struct err *err)
{
	int rc = commit(r, n, err);
	/* the rows say what is in @n, too; and what stands in its way is none of theirs */
	return rc == -ENOENT || rc == -EEXIST ? rules_rebuild(r, err) : rc;
}

int network_mend(struct network_room *r, struct err *err)
{
	char ports[PREFIX_LEN + 2];
	(void) pthread_mutex_lock(&r->lock);
	int rc = sockets_open(r, err);
	(void) str_format(ports, sizeof(ports), "%s%c", r->prefix, PORT_LETTER); /* fits */
	if (rc >= 0 && (rc = rules_are_whole(r->nft, r->table, ports)) < 0)
		rc = err_sys(err, rc, "looking at the packet filter");
	if (rc > 0)
		pass_docker(r);
	(void) pthread_mutex_unlock(&r->lock);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = rules_rebuild(r, err);
	return rc < 0 ? rc : 1;
}

/* It has come after our bridges. */
static void meet_docker(struct network_room *r)
{
	struct err ignored; /* the next look tries again */
	(void) pthread_mutex_lock(&r->lock);
	if (sockets_open(r, &ignored) >= 0)
		pass_docker(r);
	(void) pthread_mutex_unlock(&r->lock);
}

void network_watcher(struct network_room *r, int stop_fd)
{
	_cleanup_close_ int sock = nft_listen();
	struct pollfd p[2] = {{.fd = stop_fd, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
	while (sock >= 0 && poll(p, 2, -1) >= 0 && !p[0].revents) {
		struct err err;
		bool gone = false, docker = false;
		if (nft_heard(sock, r->table, &gone, DOCKER_USER, &docker) < 0)
			return;
		if (gone)
			(void) network_mend(r, &err); /* the next start tries again, and tells */
		else if (docker)
			meet_docker(r);
	}
}

/* Up */

struct endpoint *network_gateway(struct network_room *r, struct endpoint *v, size_t n, int family)
{
	struct endpoint *best = NULL;
	char *best_name = NULL;
	for (size_t i = 0; i < n; i++) {
		_cleanup_network_ struct network w = {0};
		if (!v[i].up || network_load(r, v[i].network, &w, NULL) <= 0 || w.internal || !w.subnet[family].family)
			continue;
		/* docker's order: the higher priority, then the name */
		if (!best || v[i].gw_priority > best->gw_priority || (v[i].gw_priority == best->gw_priority && strcmp(w.name, best_name) < 0)) {
			best = &v[i];
			free(best_name);
			best_name = strdup(w.name);
			if (!best_name)
				return best;
		}
	}
	free(best_name);
	return best;
}

/* The lowest eth number that no other endpoint has. */
static void choose_name(const struct endpoint *v, size_t n, char ret[IFNAMSIZ])
{
	for (unsigned k = 0;; k++) {
		bool used = false;
		(void) str_format(ret, IFNAMSIZ, "eth%u", k); /* fits: there are not so many */
		for (size_t i = 0; i < n; i++)
			used |= v[i].up && str_eq(v[i].i.name, ret);
		if (!used)
			return;
	}
}

static int save(struct network_room *r, const struct endpoint *p, struct err *err)
{
	char mac[18], text[NETWORK_FAMILIES][IP_TEXT_MAX] = {"", ""};
	for (size_t i = 0; i < p->i.n_addresses; i++)
		(void) ip_text(text[p->i.addresses[i].family == AF_INET ? NETWORK_V4 : NETWORK_V6], &p->i.addresses[i]);
	int rc = db_exec(r->db, err, "UPDATE network_endpoint SET up=1,name=?3,host_name=?4,bridge=?5,mac=?6,v4=nullif(?7,''),v6=nullif(?8,'') WHERE container=?1 AND network=?2", "ssssssss", p->container,
			 p->network, p->i.name, p->i.host_name, p->i.bridge, mac_text(mac, p->i.mac), text[0], text[1]);
	return rc == -EEXIST ? err_set(err, ERR_CONFLICT, "the hardware address %s is in use on this network", mac) : MIN(rc, 0);
}

/* Row by row, inside the transaction. */
static int take(struct network_room *r, const struct network *n, struct endpoint *v, size_t n_v, struct endpoint *p, struct err *err)
{
	char digits[ID_LEN + 1];
	int rc = id_new(digits);
	if (rc < 0)
		return err_sys(err, rc, "making a name");
	(void) str_format(p->i.host_name, IFNAMSIZ, "%s%c%.9s", r->prefix, PORT_LETTER, digits); /* fits */
	choose_name(v, n_v, p->i.name);
	p->i.mtu = n->mtu;
	p->i.ipv6 = n->ipv6;
	p->i.isolated = n->isolated;
	bridge_mac(n, p->i.gateway_mac);
	rc = address_take(r, n, p, err);
	rc = rc < 0 ? rc : bridge_choose(r, n, p->i.bridge, err);
	if (rc >= 0 && !str_eq(p->i.bridge, n->bridge))
		(void) str_copy(p->i.gateway_bridge, IFNAMSIZ, n->bridge); /* the same size */
	rc = rc < 0 ? rc : save(r, p, err);
	p->up = rc >= 0;
	return rc;
}

/* br_netfilter translates a frame on the bridge, where it would have to go back to where it came from (a container's own published port). */
static bool bridges_are_filtered(void)
{
	_cleanup_free_ char *text = NULL;
	return read_file(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-iptables", 16, &text) > 0 && text[0] != '0';
}

struct networks {
	struct network *v; /* owned, parallel to the endpoints */
	size_t n;
};

static void networks_done(struct networks *w)
{
	for (size_t i = 0; i < w->n; i++)
		network_done(&w->v[i]);
	free(w->v);
}

static int load_networks(struct network_room *r, const struct network_plan *p, struct networks *w, struct err *err)
{
	w->v = calloc(MAX(p->n, (size_t) 1), sizeof(*w->v));
	w->n = w->v ? p->n : 0;
	int rc = w->v ? 1 : err_oom(err);
	for (size_t i = 0; rc > 0 && i < p->n; i++)
		rc = network_load(r, p->endpoints[i].network, &w->v[i], err);
	return rc == 0 ? err_set(err, ERR_NOT_FOUND, "a network of this container is gone") : MIN(rc, 0);
}

/* What an earlier life left is taken back first: the row says "up" and nobody runs. */
static int reserve(struct network_room *r, const char *container, const struct port *ports, size_t n_ports, struct network_plan *p, struct networks *w, struct err *err)
{
	int rc = endpoints_of(r, container, &p->endpoints, &p->n, err);
	rc = rc < 0 ? rc : load_networks(r, p, w, err);
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = take(r, &w->v[i], p->endpoints, p->n, &p->endpoints[i], err);
	struct endpoint *gateway = rc < 0 ? NULL : network_gateway(r, p->endpoints, p->n, NETWORK_V4), *gateway6 = rc < 0 ? NULL : network_gateway(r, p->endpoints, p->n, NETWORK_V6);
	if (gateway)
		gateway->i.gateway4 = w->v[gateway - p->endpoints].gateway[NETWORK_V4];
	if (gateway6)
		gateway6->i.gateway6 = w->v[gateway6 - p->endpoints].gateway[NETWORK_V6];
	if (gateway)
		gateway->i.hairpin = n_ports > 0 && bridges_are_filtered();
	if (rc >= 0 && n_ports && gateway)
		rc = ports_take(r, &w->v[gateway - p->endpoints], gateway, ports, n_ports, p, err);
	return rc;
}

static int ensure(struct network_room *r, const struct network *n, const struct network_plan *p, const struct endpoint *e, bool gateway, struct nft_batch *b, struct err *err)
{
	int rc = n->internal ? 0 : forwarding_ensure(r, NETWORK_V4, err);
	rc = rc < 0 || !n->ipv6 || n->internal ? rc : forwarding_ensure(r, NETWORK_V6, err);
	rc = rc < 0 ? rc : bridge_ensure(r, n, e->i.bridge, err);
	rules_network(b, r->table, n->bridge, rules_flags(n), true); /* there already, but for the first: so that a table that somebody took away is missed */
	if (!str_eq(e->i.bridge, n->bridge))
		rules_sibling(b, r->table, e->i.bridge, true);
	if (rc >= 0 && gateway && p->n_ports > 0)
		rc = bridge_publishes(n, err);
	return MIN(rc, 0);
}

static int apply(struct network_room *r, struct network_plan *p, const struct networks *w, struct err *err)
{
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	const struct endpoint *gateway = network_gateway(r, p->endpoints, p->n, NETWORK_V4);
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n; i++) {
		rc = ensure(r, &w->v[i], p, &p->endpoints[i], &p->endpoints[i] == gateway, &b, err);
		rules_endpoint(&b, r->table, &p->endpoints[i].i, true);
	}
	for (size_t i = 0; i < p->n_ports; i++)
		port_rules(&b, r->table, &p->ports[i], p->endpoints, p->n, true);
	if (rc >= 0 && !r->looked) { /* a daemon hears of what is taken away; a command looks once */
		rc = network_mend(r, err);
		r->looked = rc >= 0;
	}
	rc = rc < 0 ? rc : fault_point("network.up.bridges", err);
	return rc < 0 ? rc : rules_commit(r, &b, err);
}

int network_up(struct network_room *r, const char *container, const struct port *ports, size_t n_ports, struct network_plan *ret, struct err *err)
{
	_cleanup_network_plan_ struct network_plan p = {0};
	_cleanup_(networks_done) struct networks w = {0};
	int rc = network_down(r, container, err);
	rc = rc < 0 ? rc : db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = reserve(r, container, ports, n_ports, &p, &w, err);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	rc = db_commit(r->db, err);
	rc = rc < 0 ? rc : fault_point("network.up.reserved", err);
	rc = rc < 0 ? rc : apply(r, &p, &w, err);
	if (rc < 0) {
		struct err ignored;
		(void) network_down(r, container, &ignored); /* the first failure is told; the next look takes the rest back */
		return rc;
	}
	*ret = p;
	p = (struct network_plan){0};
	return 0;
}

/* Down */

static int clear_row(struct network_room *r, const struct endpoint *p, struct err *err)
{
	int rc = bridge_leave(r, p->network, p->i.bridge, err);
	rc = rc < 0 ? rc
		    : db_exec(r->db, err, "UPDATE network_endpoint SET up=0,name=NULL,host_name=NULL,bridge=NULL,mac=NULL,was4=v4,was6=v6,v4=NULL,v6=NULL WHERE container=?1 AND network=?2", "ss", p->container,
			      p->network);
	return MIN(rc, 0);
}

static int clear_rows(struct network_room *r, const struct network_plan *p, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = p->endpoints[i].up ? clear_row(r, &p->endpoints[i], err) : 0;
	if (rc >= 0 && p->n > 0) /* what was not connected to its end is not there in the next life */
		rc = db_exec(r->db, err, "DELETE FROM network_endpoint WHERE container=?1 AND change<>0", "s", p->endpoints[0].container);
	if (rc >= 0 && p->n_ports > 0)
		rc = db_exec(r->db, err, "DELETE FROM network_port WHERE container=?1", "s", p->endpoints[0].container);
	return MIN(rc, 0);
}

/* No table: nothing in it. An element in the way of one that is to go: neither is by the rows. Inside the transaction that clears these. */
static int commit_removal(struct network_room *r, struct nft_batch *b, struct err *err)
{
	int rc = commit(r, b, err);
	return rc == -EEXIST ? rebuild_locked(r, err) : rc == -ENOENT ? 0 : rc;
}

/* Each is put in first, so that there is something to take out: a kill between this and the rows' commit is made good by doing it again. */
static void put_removal(struct network_room *r, struct nft_batch *b, const struct network_plan *p)
{
	for (int on = 1; on >= 0; on--) {
		for (size_t i = 0; i < p->n; i++)
			if (p->endpoints[i].up)
				rules_endpoint(b, r->table, &p->endpoints[i].i, on);
		for (size_t i = 0; i < p->n_ports; i++)
			port_rules(b, r->table, &p->ports[i], p->endpoints, p->n, on);
	}
}

/* The gateway knew its hardware address for good (link_join()). Whoever gets the address next makes it known anew: not before the rows are committed. */
static void forget_neighbours(struct network_room *r, const struct endpoint *p)
{
	struct err ignored;
	(void) pthread_mutex_lock(&r->lock);
	int bridge = sockets_open(r, &ignored) < 0 ? -ENODEV : link_index(r->route, p->i.gateway_bridge[0] ? p->i.gateway_bridge : p->i.bridge);
	for (size_t k = 0; bridge > 0 && k < p->i.n_addresses; k++)
		(void) link_forget_neighbour(r->route, bridge, &p->i.addresses[k]); /* one that is not there is as good */
	(void) pthread_mutex_unlock(&r->lock);
}

/* @clear: what becomes of the rows. */
static int take_back(struct network_room *r, struct network_plan *p, int (*clear)(struct network_room *r, const struct network_plan *p, struct err *err), struct err *err)
{
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = p->endpoints[i].up ? complete(r, &p->endpoints[i], err) : 0;
	if (rc < 0)
		return rc;
	put_removal(r, &b, p);
	for (size_t i = 0; i < p->n; i++)
		if (p->endpoints[i].up)
			forget_neighbours(r, &p->endpoints[i]);
	rc = clear(r, p, err);
	return rc < 0 ? rc : commit_removal(r, &b, err);
}

static bool any_up(const struct network_plan *p)
{
	bool up = p->n_ports > 0;
	for (size_t i = 0; i < p->n; i++)
		up |= p->endpoints[i].up;
	return up;
}

int network_down(struct network_room *r, const char *container, struct err *err)
{
	_cleanup_network_plan_ struct network_plan p = {0};
	int rc = endpoints_of(r, container, &p.endpoints, &p.n, err);
	rc = rc < 0 || p.n == 0 ? rc : ports_of(r, container, &p.ports, &p.n_ports, err);
	if (rc < 0 || !any_up(&p))
		return rc;
	rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = take_back(r, &p, clear_rows, err);
	rc = rc < 0 ? rc : fault_point("network.down.rules", err);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	return db_commit(r->db, err);
}

static int delete_rows(struct network_room *r, const struct network_plan *p, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = p->endpoints[i].up ? bridge_leave(r, p->endpoints[i].network, p->endpoints[i].i.bridge, err) : 0;
	return rc < 0 || p->n == 0 ? rc : endpoints_remove(r, p->endpoints[0].container, err);
}

int network_forget(struct network_room *r, const char *container, struct err *err)
{
	_cleanup_network_plan_ struct network_plan p = {0};
	int rc = endpoints_of(r, container, &p.endpoints, &p.n, err);
	rc = rc < 0 || p.n == 0 ? rc : ports_of(r, container, &p.ports, &p.n_ports, err);
	if (rc < 0 || !any_up(&p))
		return rc < 0 ? rc : delete_rows(r, &p, err);
	rc = take_back(r, &p, delete_rows, err);
	return rc < 0 ? rc : fault_point("network.down.rules", err);
}

/* One of several */

int network_up_one(struct network_room *r, struct endpoint *p, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	struct network_plan others = {0}, one = {.endpoints = p, .n = 1};
	struct networks w = {.v = &n, .n = 1};
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = endpoints_of(r, p->container, &others.endpoints, &others.n, err);
	rc = rc < 0 ? rc : network_load(r, p->network, &n, err);
	if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "network %.128s not found", p->network);
	rc = rc < 0 ? rc : take(r, &n, others.endpoints, others.n, p, err);
	network_plan_done(&others);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	rc = db_commit(r->db, err);
	rc = rc < 0 ? rc : apply(r, &one, &w, err);
	if (rc < 0) {
		struct err ignored;
		(void) network_down_one(r, p, &ignored); /* the first failure is told */
	}
	return rc;
}

/* Ports that led to @p lead to @to (NULL: nowhere). */
static int turn_ports(struct network_room *r, struct network_plan *all, const struct endpoint *p, const struct endpoint *to, struct nft_batch *b, struct err *err)
{
	_cleanup_network_ struct network n = {0};
	int rc = 0;
	bool any = false;
	for (size_t i = 0; i < all->n_ports; i++) {
		struct port *port = &all->ports[i];
		if (!str_eq(port->network, p->network))
			continue;
		any = true;
		port_rules(b, r->table, port, all->endpoints, all->n, true);
		port_rules(b, r->table, port, all->endpoints, all->n, false);
		if (to) {
			memcpy(port->network, to->network, sizeof(port->network));
			port_rules(b, r->table, port, all->endpoints, all->n, true);
		}
	}
	if (any && to && network_load(r, to->network, &n, err) > 0)
		rc = bridge_publishes(&n, err);
	if (rc < 0)
		return rc;
	rc = to ? db_exec(r->db, err, "UPDATE network_port SET network=?3 WHERE container=?1 AND network=?2", "sss", p->container, p->network, to->network)
		: db_exec(r->db, err, "DELETE FROM network_port WHERE container=?1 AND network=?2", "ss", p->container, p->network);
	return MIN(rc, 0);
}

/* Inside the transaction. */
static int take_one_back(struct network_room *r, struct endpoint *p, struct err *err)
{
	_cleanup_network_plan_ struct network_plan all = {0};
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	int rc = endpoints_of(r, p->container, &all.endpoints, &all.n, err);
	rc = rc < 0 ? rc : ports_of(r, p->container, &all.ports, &all.n_ports, err);
	for (size_t i = 0; rc >= 0 && i < all.n; i++) {
		struct endpoint *own = &all.endpoints[i];
		if (!own->up || !str_eq(own->network, p->network))
			continue;
		rc = complete(r, own, err);
		forget_neighbours(r, own);
		rules_endpoint(&b, r->table, &own->i, true);
		rules_endpoint(&b, r->table, &own->i, false);
		own->up = false;
		const struct endpoint *to = network_gateway(r, all.endpoints, all.n, NETWORK_V4);
		own->up = true;
		rc = rc < 0 ? rc : turn_ports(r, &all, own, to, &b, err);
		rc = rc < 0 ? rc : clear_row(r, own, err);
	}
	return rc < 0 ? rc : commit_removal(r, &b, err);
}

int network_down_one(struct network_room *r, struct endpoint *p, struct err *err)
{
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = take_one_back(r, p, err);
	rc = rc < 0 ? rc : fault_point("network.unplug.rules", err);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	p->up = false;
	return db_commit(r->db, err);
}
