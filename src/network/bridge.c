/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridges of a network. The first one has the gateway's addresses; when it is full a sibling is joined to it by a pair of its own. A
 * bridge takes 1,023 ports (BR_PORT_BITS in the kernel's net/bridge/br_private.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "network/internal.h"

/* Hints for the person who has no such kernel at hand. */
#define WAY_OUT "; containers without one run with --network none"

void bridge_mac(const struct network *n, uint8_t ret[MAC_LEN])
{
	uint32_t digits[5] = {0};
	for (int i = 0; i < 10; i++) {
		const char *hex = "0123456789abcdef", *d = strchr(hex, n->id[i] ?: '0');
		digits[i / 2] = digits[i / 2] << 4 | (uint32_t) (d ? d - hex : 0);
	}
	ret[0] = 0x02; /* locally administered */
	for (int i = 0; i < 5; i++)
		ret[i + 1] = (uint8_t) digits[i];
}

/* Switches below /proc/sys/net, of the calling thread's network namespace. */

static int set_bridge(const char *bridge, const char *family, const char *name, const char *value, struct err *err)
{
	char path[96];
	(void) str_format(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, bridge, name); /* fits: interface names are short */
	int rc = write_file(AT_FDCWD, path, value);
	return rc < 0 ? err_sys(err, rc, "writing '%s' to %s" WAY_OUT, value, path) : 0;
}

static int set_up(const struct network *n, const char *name, struct err *err)
{
	static const struct {
		const char *name, *value;
	} six[] = {{"accept_ra", "0"}, {"accept_redirects", "0"}};
	bool first = str_eq(name, n->bridge), host6 = n->ipv6 && first;
	if (access("/proc/sys/net/ipv6", F_OK) < 0)
		return n->ipv6 ? err_set(err, ERR_UNSUPPORTED, "network %s has IPv6, and this host has not", n->name) : 0;
	int rc = set_bridge(name, "ipv6", "disable_ipv6", host6 ? "0" : "1", err);
	for (size_t i = 0; rc >= 0 && host6 && i < ARRAY_LEN(six); i++)
		rc = set_bridge(name, "ipv6", six[i].name, six[i].value, err);
	return rc;
}

int bridge_publishes(const struct network *n, struct err *err)
{
	/* what comes from the host's 127.0.0.1 leaves as the bridge's address, and its answers are routed back: rules keep containers off it */
	return set_bridge(n->bridge, "ipv4", "route_localnet", "1", err);
}

/* Making them */

static void add_addresses(const struct network *n, struct bridge *b)
{
	for (int f = 0; f < NETWORK_FAMILIES; f++)
		if (n->subnet[f].family && n->gateway[f].family) {
			b->addresses[b->n_addresses] = n->gateway[f];
			b->addresses[b->n_addresses++].prefix = n->subnet[f].prefix;
		}
}

/* @end: 'd' at the first bridge, 'u' at sibling @name. */
static void trunk_name(const struct network_room *r, const struct network *n, const char *name, char end, char ret[IFNAMSIZ])
{
	const char *dot = strrchr(name, '.');
	(void) str_format(ret, IFNAMSIZ, "%s%c%.5s%s%c", r->prefix, TRUNK_LETTER, n->id, dot ? dot + 1 : "0", end); /* fits: at most two digits */
}

/* Joined to the first by a pair of its own. */
static int join_sibling(struct network_room *r, const struct network *n, const char *name, struct err *err)
{
	char down[IFNAMSIZ], up[IFNAMSIZ];
	trunk_name(r, n, name, 'd', down);
	trunk_name(r, n, name, 'u', up);
	int rc = link_trunk(r->route, n->bridge, down, name, up, n->mtu);
	return rc < 0 && rc != -EEXIST ? err_sys(err, rc, "joining bridge %s of network %s to %s", name, n->name, n->bridge) : 0;
}

static int make(struct network_room *r, const struct network *n, const char *name, struct err *err)
{
	bool first = str_eq(name, n->bridge);
	struct bridge b = {.mtu = n->mtu};
	(void) str_copy(b.name, sizeof(b.name), name); /* the same size */
	bridge_mac(n, b.mac);
	if (first)
		add_addresses(n, &b);
	else
		b.mac[5] ^= (uint8_t) (strrchr(name, '.') ? strrchr(name, '.')[1] | 0x80 : 0x80);
	/* the addresses come when IPv6 is as it shall be */
	size_t n_addresses = b.n_addresses;
	b.n_addresses = 0;
	int rc = link_make_bridge(r->route, &b);
	if (rc < 0 && rc != -EEXIST)
		return rc == -EOPNOTSUPP ? err_set(err, ERR_UNSUPPORTED, "network %s: this kernel has no bridges" WAY_OUT, n->name) : err_sys(err, rc, "network %s: making bridge %s" WAY_OUT, n->name, name);
	rc = set_up(n, name, err);
	int index = link_index(r->route, name);
	for (size_t i = 0; rc >= 0 && i < n_addresses; i++) {
		int e = index < 0 ? index : link_add_address(r->route, index, &b.addresses[i]);
		if (e < 0 && e != -EEXIST)
			rc = err_sys(err, e, "network %s: giving bridge %s its address", n->name, name);
	}
	if (rc >= 0 && !first)
		rc = join_sibling(r, n, name, err);
	if (rc < 0)
		(void) link_delete(r->route, name); /* made anew at the next start */
	return rc;
}

static int ensure_one(struct network_room *r, const struct network *n, const char *name, struct err *err)
{
	if (link_index(r->route, name) > 0)
		return 0;
	int rc = make(r, n, name, err);
	return rc < 0 ? rc : 1;
}

int bridge_ensure(struct network_room *r, const struct network *n, const char *name, struct err *err)
{
	(void) pthread_mutex_lock(&r->lock);
	int rc = sockets_open(r, err), made = rc;
	if (rc >= 0)
		rc = made = ensure_one(r, n, n->bridge, err);
	if (rc >= 0 && !str_eq(name, n->bridge))
		rc = ensure_one(r, n, name, err);
	(void) pthread_mutex_unlock(&r->lock);
	return rc < 0 ? rc : made;
}

int bridge_remove(struct network_room *r, const struct network *n, struct err *err)
{
	_cleanup_strv_ char **names = NULL, **links = NULL;
	int rc = strv_push(&links, n->bridge);
	for (unsigned k = 1; rc >= 0 && k <= SIBLINGS_MAX; k++) {
		char name[IFNAMSIZ], trunk[IFNAMSIZ];
		(void) str_format(name, sizeof(name), "%.12s.%u", n->bridge, k); /* fits */
		if (link_index(-1, name) < 0)
			continue;
		trunk_name(r, n, name, 'd', trunk); /* the other end goes with it */
		rc = strv_push(&names, name);
		rc = rc < 0 ? rc : strv_push(&links, name);
		rc = rc < 0 ? rc : strv_push(&links, trunk);
	}
	if (rc < 0)
		return err_oom(err);
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	rules_network(&b, r->table, n->bridge, rules_flags(n), true); /* so that there is something to take out */
	rules_network(&b, r->table, n->bridge, rules_flags(n), false);
	for (int on = 1; on >= 0; on--)
		STRV_FOREACH(name, names)
			rules_sibling(&b, r->table, name, on);
	(void) pthread_mutex_lock(&r->lock);
	rc = sockets_open(r, err);
	if (rc >= 0) {
		rc = nft_commit(r->nft, &b);
		rc = rc == -ENOENT ? 0 : rc; /* no table: nothing in it */
		rc = rc < 0 ? rc : link_delete_many(r->route, links);
		if (rc < 0)
			rc = err_sys(err, rc, "removing bridge %s", n->bridge);
	}
	(void) pthread_mutex_unlock(&r->lock);
	return rc;
}

/* Which one has room. */

int bridge_choose(struct network_room *r, const struct network *n, char ret[IFNAMSIZ], struct err *err)
{
	int64_t siblings = 0;
	struct db_stmt *st = NULL;
	ret[0] = '\0';
	int rc = db_query(r->db, &st, err, "SELECT name,ports FROM network_bridge WHERE network=?1 ORDER BY length(name),name", "s", n->id);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		siblings++;
		if (!ret[0] && db_int(st, 1) < r->bridge_ports)
			(void) str_copy(ret, IFNAMSIZ, db_text(st, 0) ?: ""); /* as we wrote it */
	}
	db_done(st);
	if (rc < 0)
		return rc;
	if (!ret[0]) {
		if (siblings > SIBLINGS_MAX)
			return err_set(err, ERR_QUOTA, "network %s is full: %d containers", n->name, (int) r->bridge_ports * (SIBLINGS_MAX + 1));
		(void) str_format(ret, IFNAMSIZ, "%.12s.%u", n->bridge, (unsigned) siblings); /* fits */
		rc = db_exec(r->db, err, "INSERT INTO network_bridge(network,name,ports) VALUES(?1,?2,0)", "ss", n->id, ret);
	}
	rc = rc < 0 ? rc : db_exec(r->db, err, "UPDATE network_bridge SET ports=ports+1 WHERE network=?1 AND name=?2", "ss", n->id, ret);
	return MIN(rc, 0);
}

int bridge_leave(struct network_room *r, const char *network, const char *bridge, struct err *err)
{
	int rc = db_exec(r->db, err, "UPDATE network_bridge SET ports=max(ports-1,0) WHERE network=?1 AND name=?2", "ss", network, bridge);
	return MIN(rc, 0);
}

/* Forwarding */

static const struct {
	const char *all; /* the switch */
	int family;
} families[NETWORK_FAMILIES] = {{"/proc/sys/net/ipv4/ip_forward", AF_INET}, {"/proc/sys/net/ipv6/conf/all/forwarding", AF_INET6}};

struct guard {
	struct network_room *r;
	int family;
	struct err *err;
};

/* A host that takes its routes from router advertisements goes on doing so (ip-sysctl.rst: accept_ra 2). */
static void keep_accepting(const char *name)
{
	char path[80];
	_cleanup_free_ char *text = NULL;
	(void) str_format(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", name); /* fits */
	if (read_file(AT_FDCWD, path, 16, &text) > 0 && text[0] == '1')
		(void) write_file(AT_FDCWD, path, "2"); /* a switch that is there can be written */
}

static int guard_one(void *ctx, int index, const char *name, int master)
{
	struct guard *g = ctx;
	(void) index;
	(void) master;
	if (str_after(name, g->r->prefix) || str_eq(name, "lo"))
		return 0;
	if (g->family == NETWORK_V6)
		keep_accepting(name);
	int rc = db_exec(g->r->db, g->err, "INSERT INTO network_guard(family,name) VALUES(?1,?2) ON CONFLICT DO NOTHING", "is", (int64_t) families[g->family].family, name);
	return MIN(rc, 0);
}

static int start_forwarding(struct network_room *r, int family, struct err *err)
{
	struct err why = {0};
	struct guard g = {.r = r, .family = family, .err = &why};
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	(void) pthread_mutex_lock(&r->lock);
	rc = sockets_open(r, &why);
	rc = rc < 0 ? rc : link_each(r->route, 0, guard_one, &g);
	(void) pthread_mutex_unlock(&r->lock);
	if (rc < 0) {
		db_rollback(r->db);
		if (why.kind && err)
			*err = why;
		return why.kind ? rc : err_sys(err, rc, "looking at this host's interfaces");
	}
	rc = db_commit(r->db, err);
	/* the guard stands before the door opens */
	rc = rc < 0 ? rc : rules_rebuild(r, err);
	if (rc >= 0 && (rc = write_file(AT_FDCWD, families[family].all, "1")) < 0)
		rc = err_sys(err, rc, "letting this host forward (%s)" WAY_OUT, families[family].all);
	return rc;
}

int forwarding_ensure(struct network_room *r, int family, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t len = read_file(AT_FDCWD, families[family].all, 16, &text);
	int rc = len < 0 ? err_sys(err, (int) len, "reading %s", families[family].all) : 0;
	if (rc == 0 && text[0] == '0')
		rc = start_forwarding(r, family, err);
	return rc;
}
