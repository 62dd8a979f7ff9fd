/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of endpoints: who is on which network. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "network/internal.h"

#define ENDPOINTS_MAX 65536

void endpoint_release(struct endpoint *p)
{
	free(p->aliases);
	free(p->links);
	free(p->options);
	*p = (struct endpoint){0};
}

void endpoints_free(struct endpoint *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		endpoint_release(&v[i]);
	free(v);
}

#define COLUMNS "id,container,network,position,want4,want6,want_mac,gw_priority,aliases,links,options,up,name,host_name,bridge,mac,v4,v6,change,was4,was6"

static int dup_col(struct db_stmt *st, int col, char **ret)
{
	const char *s = db_text(st, col);
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static bool copy_col(struct db_stmt *st, int col, char *dst, size_t size)
{
	return str_copy(dst, size, db_text(st, col) ?: "") == 0;
}

static void take_ip(struct db_stmt *st, int col, struct ip_addr *ret)
{
	const char *s = db_text(st, col);
	if (s)
		(void) ip_parse(s, ret); /* as it was written */
}

static int read_row(struct db_stmt *st, struct endpoint *ret, struct err *err)
{
	struct endpoint p = {.position = db_int(st, 3), .gw_priority = db_int(st, 7), .up = db_int(st, 11) != 0, .change = (enum endpoint_change) db_int(st, 18)};
	bool fits = copy_col(st, 0, p.id, sizeof(p.id)) && copy_col(st, 1, p.container, sizeof(p.container)) && copy_col(st, 2, p.network, sizeof(p.network)) &&
		    copy_col(st, 12, p.i.name, IFNAMSIZ) && copy_col(st, 13, p.i.host_name, IFNAMSIZ) && copy_col(st, 14, p.i.bridge, IFNAMSIZ);
	if (!fits)
		return err_set(err, ERR_CORRUPT, "a stored endpoint has a name that is too long");
	for (int f = 0; f < NETWORK_FAMILIES; f++) {
		take_ip(st, 4 + f, &p.wanted[f]);
		take_ip(st, 19 + f, &p.was[f]);
		if (db_text(st, 16 + f))
			take_ip(st, 16 + f, &p.i.addresses[p.i.n_addresses++]);
	}
	(void) mac_parse(db_text(st, 6) ?: "", p.wanted_mac); /* none: any */
	(void) mac_parse(db_text(st, 15) ?: "", p.i.mac);
	if (dup_col(st, 8, &p.aliases) < 0 || dup_col(st, 9, &p.links) < 0 || dup_col(st, 10, &p.options) < 0) {
		endpoint_release(&p);
		return err_oom(err);
	}
	*ret = p;
	return 0;
}

static int read_rows(struct network_room *r, const char *sql, const char *key, struct endpoint **ret, size_t *ret_n, struct err *err)
{
	struct endpoint *v = NULL;
	size_t n = 0;
	struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, sql, "s", key);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		if ((n & (n - 1)) == 0) {
			struct endpoint *more = n < ENDPOINTS_MAX ? realloc(v, MAX(2 * n, (size_t) 1) * sizeof(*v)) : NULL;
			if (!more) {
				rc = err_oom(err);
				break;
			}
			v = more;
		}
		rc = read_row(st, &v[n], err);
		n += rc >= 0;
	}
	db_done(st);
	if (rc < 0) {
		endpoints_free(v, n);
		return rc;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int endpoints_of(struct network_room *r, const char *container, struct endpoint **ret, size_t *ret_n, struct err *err)
{
	return read_rows(r, "SELECT " COLUMNS " FROM network_endpoint WHERE container=?1 ORDER BY position", container, ret, ret_n, err);
}

int endpoints_on(struct network_room *r, const char *network, struct endpoint **ret, size_t *ret_n, struct err *err)
{
	return read_rows(r, "SELECT " COLUMNS " FROM network_endpoint WHERE network=?1 ORDER BY position,container", network, ret, ret_n, err);
}

int endpoints_all(struct network_room *r, struct endpoint **ret, size_t *ret_n, struct err *err)
{
	return read_rows(r, "SELECT " COLUMNS " FROM network_endpoint WHERE ?1 IS NULL ORDER BY container,position", NULL, ret, ret_n, err);
}

static int next_position(struct network_room *r, const char *container, int64_t *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT coalesce(max(position),-1)+1 FROM network_endpoint WHERE container=?1", "s", container);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		*ret = db_int(st, 0);
	return MIN(rc, 0);
}

int endpoint_add(struct network_room *r, struct endpoint *p, struct err *err)
{
	static const uint8_t none[MAC_LEN];
	_cleanup_network_ struct network n = {0};
	char want[NETWORK_FAMILIES][IP_TEXT_MAX], mac[18];
	int rc = network_load(r, p->network, &n, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "network %.128s not found", p->network);
	rc = rc < 0 ? rc : address_check(&n, p, err);
	if (rc < 0)
		return rc;
	rc = id_new(p->id);
	if (rc < 0)
		return err_sys(err, rc, "making an id");
	rc = next_position(r, p->container, &p->position, err);
	if (rc < 0)
		return rc;
	bool has_mac = memcmp(p->wanted_mac, none, MAC_LEN) != 0;
	rc = db_exec(r->db, err,
		     "INSERT INTO network_endpoint(container,network,id,position,want4,want6,want_mac,gw_priority,aliases,links,options,change)"
		     " VALUES(?1,?2,?3,?4,nullif(?5,''),nullif(?6,''),nullif(?7,''),?8,?9,?10,?11,?12) ON CONFLICT DO NOTHING",
		     "sssisssisssi", p->container, p->network, p->id, p->position, ip_text(want[0], &p->wanted[0]), ip_text(want[1], &p->wanted[1]),
		     has_mac ? mac_text(mac, p->wanted_mac) : "", p->gw_priority, p->aliases, p->links, p->options, (int64_t) p->change);
	return rc == 0 ? err_set(err, ERR_DENIED, "endpoint with this container already exists in network %s", n.name) : MIN(rc, 0);
}

int endpoint_save_change(struct network_room *r, const struct endpoint *p, struct err *err)
{
	int rc = db_exec(r->db, err, "UPDATE network_endpoint SET change=?3 WHERE container=?1 AND network=?2", "ssi", p->container, p->network, (int64_t) p->change);
	return MIN(rc, 0);
}

static int read_ids(struct network_room *r, const char *sql, const char *key, char ***ret, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, sql, "s", key);
	while (rc >= 0 && (rc = db_step(st, err)) > 0)
		if (strv_push(&v, db_text(st, 0)) < 0)
			rc = err_oom(err);
	if (rc < 0)
		return rc;
	*ret = v;
	v = NULL;
	return 0;
}

int endpoints_changing(struct network_room *r, char ***ret, struct err *err)
{
	return read_ids(r, "SELECT DISTINCT container FROM network_endpoint WHERE change<>0 AND ?1 IS NULL", NULL, ret, err);
}

int endpoints_linking(struct network_room *r, const char *network, char ***ret, struct err *err)
{
	return read_ids(r, "SELECT container FROM network_endpoint WHERE network=?1 AND links IS NOT NULL AND up=1", network, ret, err);
}

int endpoint_remove(struct network_room *r, const char *container, const char *network, struct err *err)
{
	int rc = db_exec(r->db, err, "DELETE FROM network_endpoint WHERE container=?1 AND network=?2", "ss", container, network);
	return MIN(rc, 0);
}

int endpoints_remove(struct network_room *r, const char *container, struct err *err)
{
	int rc = db_exec(r->db, err, "DELETE FROM network_port WHERE container=?1", "s", container);
	rc = rc < 0 ? rc : db_exec(r->db, err, "DELETE FROM network_endpoint WHERE container=?1", "s", container);
	return MIN(rc, 0);
}
