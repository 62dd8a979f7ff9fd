/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of networks: tables, look-up, creation, removal. */
#include "network/network.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "network/internal.h"

const char *const network_migrations[] = {
	"CREATE TABLE network(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, driver TEXT NOT NULL, created_ns INTEGER NOT NULL, flags INTEGER NOT NULL,"
	" mtu INTEGER NOT NULL, bridge TEXT UNIQUE, subnet4 TEXT, gateway4 TEXT, range4 TEXT, subnet6 TEXT, gateway6 TEXT, range6 TEXT, publish_on TEXT,"
	" cursor4 INTEGER NOT NULL DEFAULT 0, cursor6 INTEGER NOT NULL DEFAULT 0, options TEXT, labels TEXT, aux TEXT, ipam_options TEXT, UNIQUE(tenant,name));"
	"CREATE TABLE network_bridge(network TEXT NOT NULL REFERENCES network(id), name TEXT NOT NULL UNIQUE, ports INTEGER NOT NULL, PRIMARY KEY(network,name)) WITHOUT ROWID;"
	"CREATE TABLE network_endpoint(container TEXT NOT NULL, network TEXT NOT NULL REFERENCES network(id), id TEXT NOT NULL, position INTEGER NOT NULL, want4 TEXT, want6 TEXT, want_mac TEXT,"
	" gw_priority INTEGER NOT NULL, aliases TEXT, links TEXT, options TEXT, up INTEGER NOT NULL DEFAULT 0, name TEXT, host_name TEXT, bridge TEXT, mac TEXT, v4 TEXT, v6 TEXT,"
	" PRIMARY KEY(container,network), UNIQUE(network,v4), UNIQUE(network,v6), UNIQUE(network,mac)) WITHOUT ROWID;"
	"CREATE INDEX network_endpoint_network ON network_endpoint(network);"
	"CREATE TABLE network_port(proto INTEGER NOT NULL, host TEXT NOT NULL, host_port INTEGER NOT NULL, container TEXT NOT NULL, container_port INTEGER NOT NULL,"
	" network TEXT NOT NULL, PRIMARY KEY(proto,host_port,host)) WITHOUT ROWID;"
	"CREATE INDEX network_port_container ON network_port(container);"
	/* between these the host did not forward before networks made it a router */
	"CREATE TABLE network_guard(family INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(family,name)) WITHOUT ROWID",
	"ALTER TABLE network_endpoint ADD COLUMN change INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX network_endpoint_changing ON network_endpoint(container) WHERE change<>0",
	"ALTER TABLE network_endpoint ADD COLUMN was4 TEXT; ALTER TABLE network_endpoint ADD COLUMN was6 TEXT;"
	"CREATE INDEX network_endpoint_links ON network_endpoint(network) WHERE links IS NOT NULL",
};
const size_t network_n_migrations = ARRAY_LEN(network_migrations);

enum row_flags { ROW_INTERNAL = 1, ROW_IPV6 = 2, ROW_ATTACHABLE = 4, ROW_ISOLATED = 8, ROW_MASQUERADE = 16, ROW_HOST_ACCESS = 32, ROW_DEFAULT = 64 };
#define ROW_ADDRESSES 7

/* Opening */

/* Engines with different states may share a network namespace: their names differ by what the state directory is called. */
static void name_room(struct network_room *r, const char *state_dir)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const char *p = state_dir; *p; p++)
		h = (h ^ (uint8_t) *p) * 16777619u;
	(void) str_format(r->prefix, sizeof(r->prefix), "cf%03x", (h ^ h >> 12) & 0xfff); /* fits */
	bool usual = str_eq(state_dir, "/var/lib/coffer");
	(void) str_format(r->table, sizeof(r->table), usual ? "coffer" : "coffer-%08x", h); /* fits */
}

int network_open(const struct network_config *cfg, struct network_room **ret, struct err *err)
{
	int rc = db_migrate(cfg->db, "network", network_migrations, network_n_migrations, err);
	if (rc < 0)
		return rc;
	struct network_room *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	r->db = cfg->db;
	r->defaults = cfg->defaults;
	r->route = r->nft = -EBADF;
	r->bridge_ports = BRIDGE_PORTS_MAX;
	const char *fewer = getenv("COFFER_BRIDGE_PORTS"); /* for tests: a bridge that is full soon */
	uint32_t n;
	if (fewer && parse_u32(fewer, &n) == 0 && n > 0)
		r->bridge_ports = MIN(n, (uint32_t) BRIDGE_PORTS_MAX);
	(void) pthread_mutex_init(&r->lock, NULL); /* cannot fail with default attributes */
	name_room(r, cfg->state_dir);
	*ret = r;
	return 0;
}

struct network_room *network_close(struct network_room *r)
{
	if (!r)
		return NULL;
	safe_close(r->route);
	safe_close(r->nft);
	(void) pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

/* Rows */

void network_done(struct network *n)
{
	free(n->tenant);
	free(n->name);
	free(n->driver);
	free(n->options);
	free(n->labels);
	free(n->aux);
	free(n->ipam_options);
	*n = (struct network){0};
}

#define COLUMNS "id,tenant,name,driver,created_ns,flags,mtu,bridge,subnet4,gateway4,range4,subnet6,gateway6,range6,publish_on,options,labels,aux,ipam_options"

static int dup_col(struct db_stmt *st, int col, char **ret)
{
	const char *s = db_text(st, col);
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static struct ip_addr ip_col(struct db_stmt *st, int col)
{
	struct ip_addr a = {0};
	const char *s = db_text(st, col);
	if (s)
		(void) (strchr(s, '/') ? ip_parse_prefix(s, &a) : ip_parse(s, &a)); /* as it was written: what is none stays empty */
	return a;
}

static int read_row(struct db_stmt *st, struct network *ret, struct err *err)
{
	int64_t flags = db_int(st, 5);
	struct network n = {
		.created_ns = db_int(st, 4), .internal = flags & ROW_INTERNAL, .ipv6 = flags & ROW_IPV6, .attachable = flags & ROW_ATTACHABLE, .isolated = flags & ROW_ISOLATED,
		.masquerade = flags & ROW_MASQUERADE, .host_access = flags & ROW_HOST_ACCESS, .is_default = flags & ROW_DEFAULT, .mtu = (uint32_t) db_int(st, 6),
		.subnet = {ip_col(st, 8), ip_col(st, 11)}, .gateway = {ip_col(st, 9), ip_col(st, 12)}, .range = {ip_col(st, 10), ip_col(st, 13)}, .publish_on = ip_col(st, 14),
	};
	bool bad = str_copy(n.id, sizeof(n.id), db_text(st, 0) ?: "") < 0 || str_copy(n.bridge, sizeof(n.bridge), db_text(st, 7) ?: "") < 0;
	if (bad)
		return err_set(err, ERR_CORRUPT, "a stored network has a name that is too long");
	if (dup_col(st, 1, &n.tenant) < 0 || dup_col(st, 2, &n.name) < 0 || dup_col(st, 3, &n.driver) < 0 || dup_col(st, 15, &n.options) < 0 || dup_col(st, 16, &n.labels) < 0 ||
	    dup_col(st, 17, &n.aux) < 0 || dup_col(st, 18, &n.ipam_options) < 0) {
		network_done(&n);
		return err_oom(err);
	}
	*ret = n;
	return 0;
}

int network_load(struct network_room *r, const char *id, struct network *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT " COLUMNS " FROM network WHERE id=?1", "s", id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	rc = read_row(st, ret, err);
	return rc < 0 ? rc : 1;
}

/* Return: 1 with the id of what @sql finds first, 0 none, <0; ERR_INVALID when there are two. */
static int one_id(struct network_room *r, const char *sql, const char *tenant, const char *ref, const char *end, char ret[ID_LEN + 1], struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, sql, "sss", tenant, ref, end);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	if (str_copy(ret, ID_LEN + 1, db_text(st, 0) ?: "") < 0)
		return err_set(err, ERR_CORRUPT, "a stored network has an id that is too long");
	rc = db_step(st, err);
	return rc > 0 ? err_set(err, ERR_INVALID, "network %.64s is ambiguous: more than one network's id begins with it", ref) : rc < 0 ? rc : 1;
}

static int resolve(struct network_room *r, const char *tenant, const char *ref, char ret[ID_LEN + 1], struct err *err)
{
	char end[ID_LEN + 2];
	int rc = id_is_full(ref) ? one_id(r, "SELECT id FROM network WHERE tenant=?1 AND id=?2 AND ?3 IS NULL", tenant, ref, NULL, ret, err) : 0;
	if (rc == 0)
		rc = one_id(r, "SELECT id FROM network WHERE tenant=?1 AND name=?2 AND ?3 IS NULL", tenant, ref, NULL, ret, err);
	if (rc == 0 && id_is_prefix(ref)) {
		(void) str_format(end, sizeof(end), "%sg", ref); /* hex digits end with f; at most 64 of them */
		rc = one_id(r, "SELECT id FROM network WHERE tenant=?1 AND id>=?2 AND id<?3 LIMIT 2", tenant, ref, end, ret, err);
	}
	return rc;
}

/* The three that are always there. */

static int64_t row_flags(const struct network *n)
{
	return (n->internal ? ROW_INTERNAL : 0) | (n->ipv6 ? ROW_IPV6 : 0) | (n->attachable ? ROW_ATTACHABLE : 0) | (n->isolated ? ROW_ISOLATED : 0) |
	       (n->masquerade ? ROW_MASQUERADE : 0) | (n->host_access ? ROW_HOST_ACCESS : 0) | (n->is_default ? ROW_DEFAULT : 0);
}

/* In the order of columns: subnet, gateway, range of either family, publish_on. */
static void row_addresses(const struct network *n, char ret[ROW_ADDRESSES][IP_TEXT_MAX])
{
	const struct ip_addr *addresses[ROW_ADDRESSES] = {&n->subnet[0], &n->gateway[0], &n->range[0], &n->subnet[1], &n->gateway[1], &n->range[1], &n->publish_on};
	for (size_t i = 0; i < ROW_ADDRESSES; i++)
		(void) (i % 3 == 1 || i == 6 ? ip_text(ret[i], addresses[i]) : ip_text_prefix(ret[i], addresses[i]));
}

static int insert(struct network_room *r, const struct network *n, struct err *err)
{
	char text[ROW_ADDRESSES][IP_TEXT_MAX];
	row_addresses(n, text);
	int rc = db_exec(r->db, err,
			 "INSERT INTO network(" COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,nullif(?8,''),nullif(?9,''),nullif(?10,''),nullif(?11,''),nullif(?12,''),nullif(?13,''),nullif(?14,''),"
			 "nullif(?15,''),?16,?17,?18,?19)",
			 "ssssiiissssssssssss", n->id, n->tenant, n->name, n->driver, n->created_ns, row_flags(n), (int64_t) n->mtu, n->bridge, text[0], text[1], text[2], text[3], text[4], text[5],
			 text[6], n->options, n->labels, n->aux, n->ipam_options);
	if (rc >= 0 && n->bridge[0])
		rc = db_exec(r->db, err, "INSERT INTO network_bridge(network,name,ports) VALUES(?1,?2,0)", "ss", n->id, n->bridge);
	return MIN(rc, 0);
}

static int name_free(struct network_room *r, const struct network *n, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT 1 FROM network WHERE tenant=?1 AND name=?2", "ss", n->tenant, n->name);
	rc = rc < 0 ? rc : db_step(st, err);
	return rc > 0 ? err_set(err, ERR_CONFLICT, "network with name %s already exists", n->name) : rc;
}

/* Inside a transaction. */
static int make(struct network_room *r, struct network *n, struct err *err)
{
	int rc = name_free(r, n, err);
	if (rc < 0)
		return rc;
	rc = id_new(n->id);
	if (rc < 0)
		return err_sys(err, rc, "making an id");
	n->created_ns = now_ns();
	if (str_eq(n->driver, "bridge")) {
		if (n->bridge[0] && link_index(-1, n->bridge) > 0)
			return err_set(err, ERR_CONFLICT, "bridge name '%s': this host has an interface of that name", n->bridge);
		if (!n->bridge[0])
			(void) str_format(n->bridge, sizeof(n->bridge), "%s%c%.7s", r->prefix, BRIDGE_LETTER, n->id); /* fits */
		rc = subnet_choose(r, n, err);
	}
	return rc < 0 ? rc : insert(r, n, err);
}

static int make_defaults(struct network_room *r, const char *tenant, struct err *err)
{
	static const struct {
		const char *name, *driver;
	} rows[] = {{NETWORK_BRIDGE, "bridge"}, {NETWORK_HOST, "host"}, {NETWORK_NONE, "null"}};
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(rows); i++) {
		struct network n = {.tenant = (char *) tenant, .name = (char *) rows[i].name, .driver = (char *) rows[i].driver, .is_default = true, .masquerade = i == 0};
		struct err why = {0};
		if (i == 0 && r->defaults)
			defaults_put(r->defaults, &n);
		rc = make(r, &n, &why);
		if (rc == -EEXIST || why.kind == ERR_CONFLICT)
			rc = 0; /* another engine was faster */
		else if (rc < 0 && err)
			*err = why;
	}
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	return db_commit(r->db, err);
}

static int have_defaults(struct network_room *r, const char *tenant, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT 1 FROM network WHERE tenant=?1 AND name='" NETWORK_NONE "'", "s", tenant);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc != 0)
		return MIN(rc, 0);
	st = db_done(st);
	return make_defaults(r, tenant, err);
}

/* Inside a transaction. Addresses that were handed out are nobody's now: the next ones begin at the first. */
static int save_defaults(struct network_room *r, const struct network *n, struct err *err)
{
	char text[ROW_ADDRESSES][IP_TEXT_MAX];
	row_addresses(n, text);
	int rc = db_exec(r->db, err,
			 "UPDATE network SET flags=?2,mtu=?3,subnet4=nullif(?4,''),gateway4=nullif(?5,''),range4=nullif(?6,''),subnet6=nullif(?7,''),gateway6=nullif(?8,''),range6=nullif(?9,''),"
			 "publish_on=nullif(?10,''),cursor4=0,cursor6=0 WHERE id=?1",
			 "siisssssss", n->id, row_flags(n), (int64_t) n->mtu, text[0], text[1], text[2], text[3], text[4], text[5], text[6]);
	return MIN(rc, 0);
}

/* Return: 1 somebody is on @n, 0 nobody, <0. */
static int is_up(struct network_room *r, const struct network *n, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT 1 FROM network_endpoint WHERE network=?1 AND up=1", "s", n->id);
	return rc < 0 ? rc : db_step(st, err);
}

static int follow_locked(struct network_room *r, struct network *n, struct err *err)
{
	int rc = is_up(r, n, err);
	if (rc != 0)
		return MIN(rc, 0); /* as it is until they have ended */
	struct network was = *n; /* borrows: for the flags of its rules */
	defaults_put(r->defaults, n);
	rc = subnet_choose(r, n, err);
	rc = rc < 0 ? rc : bridge_remove(r, &was, err);
	return rc < 0 ? rc : save_defaults(r, n, err);
}

/* The default network, as the operator wants it by now. */
static int follow_defaults(struct network_room *r, struct network *n, struct err *err)
{
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = follow_locked(r, n, err);
	if (rc < 0) {
		db_rollback(r->db);
		return err_wrap(err, "network bridge, as daemon.json wants it");
	}
	return db_commit(r->db, err);
}

int network_find(struct network_room *r, const char *tenant, const char *ref, struct network *ret, struct err *err)
{
	char id[ID_LEN + 1];
	int rc = resolve(r, tenant, ref, id, err);
	if (rc == 0) {
		rc = have_defaults(r, tenant, err);
		rc = rc < 0 ? rc : resolve(r, tenant, ref, id, err);
	}
	rc = rc <= 0 ? rc : network_load(r, id, ret, err);
	if (rc > 0 && r->defaults && ret->is_default && str_eq(ret->driver, "bridge") && !defaults_hold(r->defaults, ret)) {
		rc = follow_defaults(r, ret, err) ?: 1;
		if (rc < 0)
			network_done(ret);
	}
	return rc == 0 ? err_set(err, ERR_NOT_FOUND, "network %.128s not found", ref) : MIN(rc, 0);
}

int network_each(struct network_room *r, const char *tenant, int (*fn)(void *ctx, struct network *n, struct err *err), void *ctx, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	struct db_stmt *st = NULL;
	int rc = tenant ? have_defaults(r, tenant, err) : 0;
	rc = rc < 0 ? rc : db_query(r->db, &st, err, "SELECT id FROM network WHERE ?1 IS NULL OR tenant=?1 ORDER BY created_ns,id", "s", tenant);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(&ids, db_text(st, 0)) < 0)
			rc = err_oom(err);
	db_done(st);
	STRV_FOREACH(id, ids) {
		_cleanup_network_ struct network n = {0};
		rc = rc < 0 ? rc : network_load(r, id, &n, err);
		if (rc < 0)
			return rc;
		rc = rc > 0 ? fn(ctx, &n, err) : 0;
		if (rc)
			return rc;
	}
	return MIN(rc, 0);
}

int network_create(struct network_room *r, struct network *n, struct err *err)
{
	int rc = have_defaults(r, n->tenant, err);
	rc = rc < 0 ? rc : db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = make(r, n, err);
	rc = rc < 0 ? rc : fault_point("network.create.inserted", err);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	return db_commit(r->db, err);
}

/* Removal */

static int refuse_used(struct network_room *r, const struct network *n, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	if (n->is_default)
		return err_set(err, ERR_DENIED, "%s is a pre-defined network and cannot be removed", n->name);
	int rc = db_query(r->db, &st, err, "SELECT container FROM network_endpoint WHERE network=?1 AND up=1", "s", n->id);
	rc = rc < 0 ? rc : db_step(st, err);
	return rc > 0 ? err_set(err, ERR_DENIED, "error while removing network: network %s id %s has active endpoints (container %.12s): disconnect them first", n->name, n->id, db_text(st, 0)) : rc;
}

static int delete_rows(struct network_room *r, const struct network *n, struct err *err)
{
	int rc = db_begin(r->db, err);
	if (rc < 0)
		return rc;
	rc = refuse_used(r, n, err);
	rc = rc < 0 ? rc : db_exec(r->db, err, "DELETE FROM network_endpoint WHERE network=?1", "s", n->id);
	rc = rc < 0 ? rc : db_exec(r->db, err, "DELETE FROM network_bridge WHERE network=?1", "s", n->id);
	rc = rc < 0 ? rc : db_exec(r->db, err, "DELETE FROM network WHERE id=?1", "s", n->id);
	/* inside: a start that comes now finds no network, and what it would use is gone */
	rc = rc < 0 || !n->bridge[0] ? rc : bridge_remove(r, n, err);
	rc = rc < 0 ? rc : fault_point("network.remove.bridge", err);
	if (rc < 0) {
		db_rollback(r->db);
		return rc;
	}
	return db_commit(r->db, err);
}

int network_remove(struct network_room *r, const char *tenant, const char *ref, struct network *ret, struct err *err)
{
	int rc = network_find(r, tenant, ref, ret, err);
	return rc < 0 ? rc : delete_rows(r, ret, err);
}
