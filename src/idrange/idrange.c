/* SPDX-License-Identifier: Apache-2.0 */
#include "idrange/idrange.h"

#include <errno.h>

#include "idrange/internal.h"

static const char *const steps[] = {
	/* 1: a map per row; automatic ones have first/blocks, the others rows in idrange_extent */
	"CREATE TABLE idrange_map(id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, mode INTEGER NOT NULL, owner TEXT NOT NULL,"
	" first INTEGER NOT NULL, blocks INTEGER NOT NULL, size INTEGER NOT NULL, refs INTEGER NOT NULL);"
	"CREATE INDEX idrange_map_first ON idrange_map(first) WHERE blocks>0;"
	"CREATE INDEX idrange_map_owner ON idrange_map(owner) WHERE blocks=0;"
	"CREATE TABLE idrange_extent(kind INTEGER NOT NULL, host INTEGER NOT NULL, size INTEGER NOT NULL, ctr INTEGER NOT NULL,"
	" map INTEGER NOT NULL REFERENCES idrange_map(id), PRIMARY KEY(kind,host)) WITHOUT ROWID;"
	"CREATE INDEX idrange_extent_map ON idrange_extent(map);"
	"CREATE TABLE idrange_slice(tenant TEXT PRIMARY KEY, first INTEGER NOT NULL, end INTEGER NOT NULL, cursor INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE idrange_free(tenant TEXT NOT NULL, first INTEGER NOT NULL, blocks INTEGER NOT NULL, PRIMARY KEY(tenant,first)) WITHOUT ROWID",
};

static int copy_files(struct idrange *r, const struct idrange_config *cfg)
{
	const char *src[4] = {cfg->subuid ?: "/etc/subuid", cfg->subgid ?: "/etc/subgid", cfg->passwd ?: "/etc/passwd", cfg->group ?: "/etc/group"};
	for (size_t i = 0; i < ARRAY_LEN(src); i++) {
		r->files[i] = strdup(src[i]);
		if (!r->files[i])
			return -ENOMEM;
	}
	return 0;
}

int idrange_open(struct db *db, const struct idrange_config *cfg, struct idrange **ret, struct err *err)
{
	static const struct idrange_config defaults = {0};
	cfg = cfg ?: &defaults;
	int rc = db_migrate(db, "idrange", steps, ARRAY_LEN(steps), err);
	if (rc < 0)
		return rc;
	struct idrange *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	r->db = db;
	r->pool_first = cfg->pool_first ?: IDRANGE_POOL_FIRST;
	r->pool_end = MIN(cfg->pool_end ?: IDRANGE_POOL_END, IDRANGE_HELPER_BASE);
	if (copy_files(r, cfg) < 0) {
		idrange_close(r);
		return err_oom(err);
	}
	if (r->pool_first % IDRANGE_SIZE || r->pool_end % IDRANGE_SIZE || r->pool_first == 0 || r->pool_first >= r->pool_end) {
		rc = err_set(err, ERR_INVALID, "id pool %llu..%llu: expected multiples of %u, from %u up", (unsigned long long) r->pool_first,
			     (unsigned long long) r->pool_end - 1, IDRANGE_SIZE, IDRANGE_SIZE);
		idrange_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

struct idrange *idrange_close(struct idrange *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(r->files); i++)
		free(r->files[i]);
	free(r);
	return NULL;
}

int map_insert(struct idrange *r, const char *tenant, enum idrange_mode mode, const char *owner, uint64_t first, uint64_t blocks, uint64_t size, int64_t *ret_id,
	       struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err,
			  "INSERT INTO idrange_map(tenant,mode,owner,first,blocks,size,refs) VALUES(?1,?2,?3,?4,?5,?6,1) RETURNING id", "sisiii", tenant,
			  (int64_t) mode, owner, (int64_t) first, (int64_t) blocks, (int64_t) size);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc < 0)
		return rc;
	*ret_id = db_int(st, 0);
	rc = db_step(st, err);
	return MIN(rc, 0);
}

static void auto_map(uint64_t first, uint64_t size, struct idrange_map *ret)
{
	*ret = (struct idrange_map){.n_uid = 1, .n_gid = 1};
	ret->uid[0] = ret->gid[0] = (struct idrange_extent){.ctr = 0, .host = (uint32_t) first, .size = (uint32_t) size};
}

static int auto_reserve(struct idrange *r, const char *tenant, const char *owner, uint64_t size, int64_t *ret_id, struct idrange_map *ret, struct err *err)
{
	uint64_t first, blocks = (size + IDRANGE_SIZE - 1) / IDRANGE_SIZE;
	int rc = pool_reserve(r, tenant, blocks, &first, err);
	rc = rc < 0 ? rc : map_insert(r, tenant, IDRANGE_AUTO, owner, first, blocks, size, ret_id, err);
	if (rc < 0)
		return rc;
	auto_map(first, size, ret);
	return 0;
}

int idrange_reserve(struct idrange *r, const char *tenant, const char *owner, const struct idrange_request *req, int64_t *ret_id, struct idrange_map *ret,
		    struct err *err)
{
	struct idrange_map m = req->map;
	int64_t id;
	int rc;
	switch (req->mode) {
	case IDRANGE_AUTO:
		rc = auto_reserve(r, tenant, owner, req->size ?: IDRANGE_SIZE, &id, &m, err);
		break;
	case IDRANGE_REMAP:
		rc = remap_reserve(r, tenant, req, &id, &m, err);
		break;
	case IDRANGE_MAP:
		rc = custom_reserve(r, tenant, owner, &m, &id, err);
		break;
	default:
		assert(!"host and container:X reserve nothing");
		rc = -EINVAL;
	}
	if (rc < 0)
		return err_wrap(err, "reserving host ids");
	*ret_id = id;
	*ret = m;
	return 0;
}

int idrange_share(struct idrange *r, int64_t id, struct err *err)
{
	int n = db_exec(r->db, err, "UPDATE idrange_map SET refs=refs+1 WHERE id=?1", "i", id);
	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "id map %lld is gone", (long long) id);
	return MIN(n, 0);
}

struct row {
	char *tenant; /* owned */
	uint64_t first, blocks, size;
	int64_t refs;
};

static int read_row(struct idrange *r, int64_t id, struct row *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT tenant,first,blocks,size,refs FROM idrange_map WHERE id=?1", "i", id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "id map %lld is gone", (long long) id);
	*ret = (struct row){.tenant = strdup(db_text(st, 0) ?: ""), .first = (uint64_t) db_int(st, 1), .blocks = (uint64_t) db_int(st, 2),
			    .size = (uint64_t) db_int(st, 3), .refs = db_int(st, 4)};
	return ret->tenant ? 0 : err_oom(err);
}

int idrange_release(struct idrange *r, int64_t id, struct err *err)
{
	if (id == 0)
		return 0;
	struct row row;
	int rc = read_row(r, id, &row, err);
	if (rc < 0)
		return rc;
	if (row.refs > 1)
		rc = db_exec(r->db, err, "UPDATE idrange_map SET refs=refs-1 WHERE id=?1", "i", id);
	else {
		rc = row.blocks ? pool_release(r, row.tenant, row.first, row.blocks, err)
				: db_exec(r->db, err, "DELETE FROM idrange_extent WHERE map=?1", "i", id);
		rc = rc < 0 ? rc : db_exec(r->db, err, "DELETE FROM idrange_map WHERE id=?1", "i", id);
	}
	free(row.tenant);
	return MIN(rc, 0);
}

static int load_extents(struct idrange *r, int64_t id, struct idrange_map *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT kind,ctr,host,size FROM idrange_extent WHERE map=?1 ORDER BY kind,ctr", "i", id);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		bool uid = db_int(st, 0) == ID_UID;
		size_t *n = uid ? &ret->n_uid : &ret->n_gid;
		if (*n == IDRANGE_EXTENTS_MAX)
			return err_set(err, ERR_CORRUPT, "id map %lld has more than %d extents", (long long) id, IDRANGE_EXTENTS_MAX);
		(uid ? ret->uid : ret->gid)[(*n)++] =
			(struct idrange_extent){.ctr = (uint32_t) db_int(st, 1), .host = (uint32_t) db_int(st, 2), .size = (uint32_t) db_int(st, 3)};
	}
	return rc;
}

int idrange_load(struct idrange *r, int64_t id, struct idrange_map *ret, struct err *err)
{
	struct row row;
	struct idrange_map m = {0};
	int rc = read_row(r, id, &row, err);
	if (rc < 0)
		return rc;
	if (row.blocks)
		auto_map(row.first, row.size, &m);
	else
		rc = load_extents(r, id, &m, err);
	free(row.tenant);
	if (rc < 0)
		return rc;
	*ret = m;
	return 0;
}

/* The proof */

static int expect_none(struct idrange *r, const char *sql, const char *what, char *why, size_t why_size, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, sql, "");
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return 1;
	if (str_format(why, why_size, "%s: %s", what, db_text(st, 0) ?: "") < 0)
		(void) str_copy(why, why_size, what); /* the short form */
	return 0;
}

/* I2 against the files as they are now. Remap and custom maps may lie in subordinate ranges; those were checked at reservation. */
static int misses_claims(struct idrange *r, char *why, size_t why_size, struct err *err)
{
	_cleanup_claims_ struct claims claims = {0};
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = claims_read(r, &claims, err);
	rc = rc < 0 ? rc : db_query(r->db, &st, err, "SELECT first,first+blocks*65536,owner FROM idrange_map WHERE blocks>0", "");
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		const struct claim *c = claims_hit(&claims, ID_KIND_MAX_, (uint64_t) db_int(st, 0), (uint64_t) db_int(st, 1));
		if (!c)
			continue;
		if (str_format(why, why_size, "I2: %s meets '%s' of %s", db_text(st, 2), c->name, claim_file(c)) < 0)
			(void) str_copy(why, why_size, "I2: a range meets a host account");
		return 0;
	}
	return rc < 0 ? rc : 1;
}

int idrange_is_disjoint(struct idrange *r, char *why, size_t why_size, struct err *err)
{
	static const struct {
		const char *what, *sql;
	} checks[] = {
		{"I1: ranges overlap", "SELECT owner FROM (SELECT owner, first, lag(first+blocks*65536) OVER (ORDER BY first) AS before FROM idrange_map WHERE blocks>0)"
				       " WHERE before>first LIMIT 1"},
		{"I1: range is not aligned or outside its slice",
		 "SELECT m.owner FROM idrange_map m LEFT JOIN idrange_slice s ON s.tenant=m.tenant WHERE m.blocks>0 AND"
		 " (m.first%65536<>0 OR s.first IS NULL OR m.first<s.first OR m.first+m.blocks*65536>s.end OR m.size>m.blocks*65536) LIMIT 1"},
		{"I2: host id 0 is mapped", "SELECT m.owner FROM idrange_extent e JOIN idrange_map m ON m.id=e.map WHERE e.host=0 LIMIT 1"},
		{"I3: extents overlap", "SELECT m.owner FROM (SELECT map, host, lag(host+size) OVER (PARTITION BY kind ORDER BY host) AS before FROM idrange_extent) e"
					" JOIN idrange_map m ON m.id=e.map WHERE e.before>e.host LIMIT 1"},
		{"I3: extent overlaps an automatic range",
		 "SELECT m.owner FROM idrange_extent e JOIN idrange_map m ON m.blocks>0 AND m.first<e.host+e.size AND m.first+m.blocks*65536>e.host LIMIT 1"},
		{"I4: free list and ranges do not partition the slice",
		 "SELECT s.tenant FROM idrange_slice s WHERE (s.end-s.first)/65536 <> (SELECT coalesce(sum(blocks),0) FROM idrange_free WHERE tenant=s.tenant)"
		 " + (SELECT coalesce(sum(blocks),0) FROM idrange_map WHERE tenant=s.tenant)"
		 " + (SELECT coalesce(sum((o.end-o.first)/65536),0) FROM idrange_slice o WHERE o.tenant<>s.tenant AND o.first>=s.first AND o.end<=s.end) LIMIT 1"},
		{"I4: a range is free and in use", "SELECT m.owner FROM idrange_free f JOIN idrange_map m ON m.blocks>0 AND m.first<f.first+f.blocks*65536"
						   " AND m.first+m.blocks*65536>f.first LIMIT 1"},
	};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int rc = expect_none(r, checks[i].sql, checks[i].what, why, why_size, err);
		if (rc <= 0)
			return rc;
	}
	return misses_claims(r, why, why_size, err);
}
