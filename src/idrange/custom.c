/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps that people choose: custom extents, and the one map that a user of /etc/subuid has (docker's userns-remap). Both are
 * stored extent by extent; extents of one kind never overlap between maps (I3), so that a lookup needs only the predecessor.
 */
#include <errno.h>

#include "base/num.h"
#include "idrange/internal.h"

int extent_hit(struct idrange *r, enum id_kind kind, uint64_t first, uint64_t end, char *owner, size_t owner_size, uint64_t *ret_end, struct err *err)
{
	if (kind == ID_KIND_MAX_) {
		int rc = extent_hit(r, ID_UID, first, end, owner, owner_size, ret_end, err);
		return rc ? rc : extent_hit(r, ID_GID, first, end, owner, owner_size, ret_end, err);
	}
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err,
			  "SELECT e.host+e.size,m.owner FROM idrange_extent e JOIN idrange_map m ON m.id=e.map WHERE e.kind=?1 AND e.host<?2 ORDER BY e.host DESC LIMIT 1",
			  "ii", (int64_t) kind, (int64_t) end);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	uint64_t e = (uint64_t) db_int(st, 0);
	if (e <= first)
		return 0;
	if (owner && str_copy(owner, owner_size, db_text(st, 1) ?: "") < 0)
		(void) str_copy(owner, owner_size, "another container"); /* a name that long is left out */
	if (ret_end)
		*ret_end = e;
	return 1;
}

/* Automatic ranges hold uids and gids alike and are disjoint, so the predecessor decides. */
static int auto_hit(struct idrange *r, uint64_t first, uint64_t end, char *owner, size_t owner_size, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT first+blocks*65536,owner FROM idrange_map WHERE first<?1 AND blocks>0 ORDER BY first DESC LIMIT 1", "i", (int64_t) end);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	if ((uint64_t) db_int(st, 0) <= first)
		return 0;
	if (str_copy(owner, owner_size, db_text(st, 1) ?: "") < 0)
		(void) str_copy(owner, owner_size, "another container");
	return 1;
}

static int slice_hit(struct idrange *r, const char *tenant, uint64_t first, uint64_t end, char *owner, size_t owner_size, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT tenant FROM idrange_slice WHERE tenant<>?1 AND tenant<>'" IDRANGE_LOCAL "' AND first<?3 AND end>?2 LIMIT 1", "sii",
			  tenant, (int64_t) first, (int64_t) end);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		(void) str_format(owner, owner_size, "tenant '%.64s'", db_text(st, 0)); /* fits */
	return rc;
}

/* Whose subordinate ids a map may use: an account under the two spellings that the files know. */
struct user {
	const char *name, *number;
};

static bool is_own(const char *name, const struct user *u)
{
	return str_eq(name, u->name) || str_eq(name, u->number);
}

/* Somebody else's ids; accounts always are. */
static const struct claim *foreign_claim(const struct claims *claims, enum id_kind kind, uint64_t first, uint64_t end, const struct user *own)
{
	for (size_t i = 0; i < claims->n && claims->v[i].first < end; i++) {
		const struct claim *c = &claims->v[i];
		if (c->end > first && c->kind == kind && (c->account || !is_own(c->name, own)))
			return c;
	}
	return NULL;
}

/* I2 and I3 for one extent. */
static int check_extent(struct idrange *r, const char *tenant, const struct claims *claims, enum id_kind kind, const struct idrange_extent *e,
			const struct user *own, struct err *err)
{
	char owner[320];
	uint64_t first = e->host, end = first + e->size;
	const char *what = kind == ID_UID ? "uids" : "gids";
	if (first == 0)
		return err_set(err, ERR_INVALID, "host %s %llu..%llu: id 0 is given to no container", what, (unsigned long long) first, (unsigned long long) end - 1);
	if (end > IDRANGE_HELPER_BASE && first < (uint64_t) IDRANGE_HELPER_BASE + IDRANGE_SIZE)
		return err_set(err, ERR_CONFLICT, "host %s %llu..%llu: %u..%u belong to coffer's own helper processes", what, (unsigned long long) first,
			       (unsigned long long) end - 1, IDRANGE_HELPER_BASE, IDRANGE_HELPER_BASE + IDRANGE_SIZE - 1);
	const struct claim *c = foreign_claim(claims, kind, first, end, own);
	if (c && c->account)
		return err_set(err, ERR_CONFLICT, "host %s %llu..%llu: %llu belongs to '%s' in %s", what, (unsigned long long) first, (unsigned long long) end - 1,
			       (unsigned long long) c->first, c->name, claim_file(c));
	if (c)
		return err_set(err, ERR_CONFLICT, "host %s %llu..%llu: %llu..%llu belong to '%s' in %s; give them to 'coffer' there to use them", what,
			       (unsigned long long) first, (unsigned long long) end - 1, (unsigned long long) c->first, (unsigned long long) c->end - 1, c->name,
			       claim_file(c));
	int rc = auto_hit(r, first, end, owner, sizeof(owner), err);
	rc = rc ? rc : extent_hit(r, kind, first, end, owner, sizeof(owner), NULL, err);
	rc = rc ? rc : slice_hit(r, tenant, first, end, owner, sizeof(owner), err);
	if (rc > 0)
		return err_set(err, ERR_CONFLICT, "host %s %llu..%llu overlap those of %s", what, (unsigned long long) first, (unsigned long long) end - 1, owner);
	return rc;
}

static int check_map(struct idrange *r, const char *tenant, const struct claims *claims, const struct idrange_map *m, const struct user *uid_own,
		     const struct user *gid_own, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < m->n_uid; i++)
		rc = check_extent(r, tenant, claims, ID_UID, &m->uid[i], uid_own, err);
	for (size_t i = 0; rc >= 0 && i < m->n_gid; i++)
		rc = check_extent(r, tenant, claims, ID_GID, &m->gid[i], gid_own, err);
	return rc;
}

static int insert_extents(struct idrange *r, int64_t id, enum id_kind kind, const struct idrange_extent *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc = db_exec(r->db, err, "INSERT INTO idrange_extent(map,kind,ctr,host,size) VALUES(?1,?2,?3,?4,?5)", "iiiii", id, (int64_t) kind,
				 (int64_t) v[i].ctr, (int64_t) v[i].host, (int64_t) v[i].size);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int insert_map(struct idrange *r, const char *tenant, enum idrange_mode mode, const char *owner, const struct idrange_map *m, int64_t *ret_id, struct err *err)
{
	int rc = map_insert(r, tenant, mode, owner, 0, 0, 0, ret_id, err);
	rc = rc < 0 ? rc : insert_extents(r, *ret_id, ID_UID, m->uid, m->n_uid, err);
	return rc < 0 ? rc : insert_extents(r, *ret_id, ID_GID, m->gid, m->n_gid, err);
}

int custom_reserve(struct idrange *r, const char *tenant, const char *owner, const struct idrange_map *map, int64_t *ret_id, struct err *err)
{
	static const struct user engine = {"coffer", "root"};
	_cleanup_claims_ struct claims claims = {0};
	int rc = claims_read(r, &claims, err);
	rc = rc < 0 ? rc : check_map(r, tenant, &claims, map, &engine, &engine, err);
	return rc < 0 ? rc : insert_map(r, tenant, IDRANGE_MAP, owner, map, ret_id, err);
}

/* Docker's phase 1 */

/* The name behind a number in /etc/passwd or /etc/group; the number itself when there is none. */
static const char *account_name(const struct claims *claims, enum id_kind kind, const char *text)
{
	uint32_t id;
	if (parse_u32(text, &id) < 0)
		return text;
	for (size_t i = 0; i < claims->n; i++)
		if (claims->v[i].account && claims->v[i].kind == kind && claims->v[i].first == id)
			return claims->v[i].name;
	return text;
}

static bool has_subids(const struct claims *claims, const char *name)
{
	for (size_t i = 0; i < claims->n; i++)
		if (!claims->v[i].account && str_eq(claims->v[i].name, name))
			return true;
	return false;
}

/* All of @name's ranges in ascending order become one contiguous map from container id 0 on, as docker does. */
static int collect(const struct claims *claims, enum id_kind kind, const struct user *u, struct idrange_extent *v, size_t *n, struct err *err)
{
	uint64_t ctr = 0;
	*n = 0;
	for (size_t i = 0; i < claims->n; i++) {
		const struct claim *c = &claims->v[i];
		if (c->account || c->kind != kind || !is_own(c->name, u))
			continue;
		if (*n == IDRANGE_EXTENTS_MAX)
			return err_set(err, ERR_INVALID, "'%s' has more than %d ranges in %s", u->name, IDRANGE_EXTENTS_MAX, claim_file(c));
		if (c->end > UINT32_MAX || ctr + (c->end - c->first) > UINT32_MAX)
			return err_set(err, ERR_INVALID, "the ranges of '%s' in %s go past the last id 4294967294", u->name, claim_file(c));
		if (*n && c->first < (uint64_t) v[*n - 1].host + v[*n - 1].size)
			return err_set(err, ERR_INVALID, "the ranges of '%s' in %s overlap", u->name, claim_file(c));
		v[(*n)++] = (struct idrange_extent){.ctr = (uint32_t) ctr, .host = (uint32_t) c->first, .size = (uint32_t) (c->end - c->first)};
		ctr += c->end - c->first;
	}
	if (*n == 0)
		return err_set(err, ERR_INVALID, "'%s' has no range in /etc/sub%cid; add a line such as '%s:IDS:65536' to it", u->name,
			       kind == ID_UID ? 'u' : 'g', u->name);
	return 0;
}

/* Return: 1 with *@ret_id when this user's map is there and unchanged, 0 when it is not there, <0. */
static int find_remap(struct idrange *r, const char *owner, const struct idrange_map *m, int64_t *ret_id, struct err *err)
{
	struct idrange_map have;
	{
		_cleanup_stmt_ struct db_stmt *st = NULL;
		int rc = db_query(r->db, &st, err, "SELECT id FROM idrange_map WHERE owner=?1 AND mode=?2", "si", owner, (int64_t) IDRANGE_REMAP);
		rc = rc < 0 ? rc : db_step(st, err);
		if (rc <= 0)
			return rc;
		*ret_id = db_int(st, 0);
	}
	int rc = idrange_load(r, *ret_id, &have, err);
	if (rc < 0)
		return rc;
	bool same = have.n_uid == m->n_uid && have.n_gid == m->n_gid && memcmp(have.uid, m->uid, have.n_uid * sizeof(*have.uid)) == 0 &&
		    memcmp(have.gid, m->gid, have.n_gid * sizeof(*have.gid)) == 0;
	if (!same)
		return err_set(err, ERR_CONFLICT, "the ranges of %s in /etc/subuid or /etc/subgid have changed while containers use the old ones", owner);
	return 1;
}

static const char *default_user(const struct claims *claims)
{
	return !has_subids(claims, "coffer") && has_subids(claims, "dockremap") ? "dockremap" : "coffer";
}

int remap_reserve(struct idrange *r, const char *tenant, const struct idrange_request *req, int64_t *ret_id, struct idrange_map *ret, struct err *err)
{
	_cleanup_claims_ struct claims claims = {0};
	char owner[200];
	int rc = claims_read(r, &claims, err);
	if (rc < 0)
		return rc;
	const char *name = req->user[0] ? req->user : default_user(&claims);
	const struct user user = {account_name(&claims, ID_UID, name), name};
	const struct user group = req->group[0] ? (struct user){account_name(&claims, ID_GID, req->group), req->group} : user;
	struct idrange_map m = {0};
	rc = collect(&claims, ID_UID, &user, m.uid, &m.n_uid, err);
	rc = rc < 0 ? rc : collect(&claims, ID_GID, &group, m.gid, &m.n_gid, err);
	if (rc < 0)
		return rc;
	(void) str_format(owner, sizeof(owner), "remap user '%s:%s'", user.name, group.name); /* both are shorter than 64 */
	rc = find_remap(r, owner, &m, ret_id, err);
	if (rc == 0) {
		rc = check_map(r, tenant, &claims, &m, &user, &group, err);
		rc = rc < 0 ? rc : insert_map(r, tenant, IDRANGE_REMAP, owner, &m, ret_id, err);
	} else if (rc > 0)
		rc = idrange_share(r, *ret_id, err);
	if (rc < 0)
		return rc;
	*ret = m;
	return 0;
}
