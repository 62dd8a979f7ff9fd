/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Automatic ranges: next fit over a coalesced free list, so that a reservation costs a few index lookups however many ranges
 * are in use, and a range that was given back rests until the cursor has gone round.
 *
 *   idrange_slice(tenant, first, end, cursor)        who owns which part of the pool
 *   idrange_free(tenant, first, blocks)              maximal runs of free blocks (I4)
 */
#include <errno.h>

#include "idrange/internal.h"

struct slice {
	uint64_t first, end, cursor;
};

static int insert_free(struct idrange *r, const char *tenant, uint64_t first, uint64_t blocks, struct err *err)
{
	if (blocks == 0)
		return 0;
	int n = db_exec(r->db, err, "INSERT INTO idrange_free(tenant,first,blocks) VALUES(?1,?2,?3)", "sii", tenant, (int64_t) first, (int64_t) blocks);
	return MIN(n, 0);
}

static int delete_free(struct idrange *r, const char *tenant, uint64_t first, struct err *err)
{
	int n = db_exec(r->db, err, "DELETE FROM idrange_free WHERE tenant=?1 AND first=?2", "si", tenant, (int64_t) first);
	return MIN(n, 0);
}

static int insert_slice(struct idrange *r, const char *tenant, const struct slice *s, struct err *err)
{
	int n = db_exec(r->db, err, "INSERT INTO idrange_slice(tenant,first,end,cursor) VALUES(?1,?2,?3,?4)", "siii", tenant, (int64_t) s->first, (int64_t) s->end,
			(int64_t) s->cursor);
	if (n < 0)
		return n;
	return insert_free(r, tenant, s->first, (s->end - s->first) / IDRANGE_SIZE, err);
}

/* The local slice is born with the first reservation; other tenants get theirs from idrange_slice_add(). */
static int get_slice(struct idrange *r, const char *tenant, struct slice *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err, "SELECT first,end,cursor FROM idrange_slice WHERE tenant=?1", "s", tenant);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		*ret = (struct slice){(uint64_t) db_int(st, 0), (uint64_t) db_int(st, 1), (uint64_t) db_int(st, 2)};
		return 0;
	}
	if (!str_eq(tenant, IDRANGE_LOCAL))
		return err_set(err, ERR_QUOTA, "tenant '%s' has no slice of the id pool", tenant);
	*ret = (struct slice){r->pool_first, r->pool_end, r->pool_first};
	return insert_slice(r, tenant, ret, err);
}

static uint64_t align_up(uint64_t id)
{
	return (id + IDRANGE_SIZE - 1) / IDRANGE_SIZE * IDRANGE_SIZE;
}

/* The first place at or after @lo, ending by @end, that misses claims and custom maps. Return: 1 with *@ret, 0 none, <0. */
static int fit(struct idrange *r, const struct claims *claims, uint64_t lo, uint64_t end, uint64_t want, uint64_t *ret, struct err *err)
{
	while (lo + want <= end) {
		const struct claim *c = claims_hit(claims, ID_KIND_MAX_, lo, lo + want);
		uint64_t past = c ? c->end : 0;
		if (!c) {
			int rc = extent_hit(r, ID_KIND_MAX_, lo, lo + want, NULL, 0, &past, err);
			if (rc < 0)
				return rc;
			if (rc == 0) {
				*ret = lo;
				return 1;
			}
		}
		lo = align_up(past);
	}
	return 0;
}

struct found {
	uint64_t first, run_first, run_blocks;
};

/* Search the free runs that reach into [@from, @to). */
static int search(struct idrange *r, const char *tenant, const struct claims *claims, uint64_t from, uint64_t to, uint64_t blocks, struct found *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(r->db, &st, err,
			  "SELECT first,blocks FROM idrange_free WHERE tenant=?1 AND first<?3"
			  " AND first>=coalesce((SELECT max(first) FROM idrange_free WHERE tenant=?1 AND first<=?2),0) ORDER BY first",
			  "sii", tenant, (int64_t) from, (int64_t) to);
	while (rc >= 0 && (rc = db_step(st, err)) > 0) {
		uint64_t first = (uint64_t) db_int(st, 0), n = (uint64_t) db_int(st, 1), at;
		if (n < blocks)
			continue;
		rc = fit(r, claims, MAX(first, from), first + n * IDRANGE_SIZE, blocks * IDRANGE_SIZE, &at, err);
		if (rc > 0) {
			*ret = (struct found){at, first, n};
			return 1;
		}
	}
	return rc;
}

static int take(struct idrange *r, const char *tenant, const struct found *f, uint64_t blocks, struct err *err)
{
	uint64_t left = (f->first - f->run_first) / IDRANGE_SIZE;
	int rc = delete_free(r, tenant, f->run_first, err);
	rc = rc < 0 ? rc : insert_free(r, tenant, f->run_first, left, err);
	rc = rc < 0 ? rc : insert_free(r, tenant, f->first + blocks * IDRANGE_SIZE, f->run_blocks - left - blocks, err);
	if (rc < 0)
		return rc;
	rc = db_exec(r->db, err, "UPDATE idrange_slice SET cursor=?2 WHERE tenant=?1", "si", tenant, (int64_t) (f->first + blocks * IDRANGE_SIZE));
	return MIN(rc, 0);
}

int pool_reserve(struct idrange *r, const char *tenant, uint64_t blocks, uint64_t *ret_first, struct err *err)
{
	_cleanup_claims_ struct claims claims = {0};
	struct slice s;
	struct found f;
	int rc = get_slice(r, tenant, &s, err);
	rc = rc < 0 ? rc : claims_read(r, &claims, err);
	rc = rc < 0 ? rc : search(r, tenant, &claims, s.cursor, s.end, blocks, &f, err);
	if (rc == 0)
		rc = search(r, tenant, &claims, s.first, s.end, blocks, &f, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_QUOTA,
			       "the id pool of tenant '%s' is full: no %llu consecutive free blocks of %u ids between %llu and %llu; remove containers that are not "
			       "needed any more",
			       tenant, (unsigned long long) blocks, IDRANGE_SIZE, (unsigned long long) s.first, (unsigned long long) s.end - 1);
	rc = take(r, tenant, &f, blocks, err);
	if (rc < 0)
		return rc;
	*ret_first = f.first;
	return 0;
}

/* The free run that ends at @end (or starts at it, when @after). Return: 1, 0, <0. */
static int neighbour(struct idrange *r, const char *tenant, uint64_t at, bool after, uint64_t *ret_first, uint64_t *ret_blocks, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	const char *sql = after ? "SELECT first,blocks FROM idrange_free WHERE tenant=?1 AND first=?2"
				: "SELECT first,blocks FROM idrange_free WHERE tenant=?1 AND first<?2 ORDER BY first DESC LIMIT 1";
	int rc = db_query(r->db, &st, err, sql, "si", tenant, (int64_t) at);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	*ret_first = (uint64_t) db_int(st, 0);
	*ret_blocks = (uint64_t) db_int(st, 1);
	return after || *ret_first + *ret_blocks * IDRANGE_SIZE == at;
}

int pool_release(struct idrange *r, const char *tenant, uint64_t first, uint64_t blocks, struct err *err)
{
	uint64_t f, n;
	int rc = neighbour(r, tenant, first + blocks * IDRANGE_SIZE, /* after= */ true, &f, &n, err);
	if (rc > 0) {
		blocks += n;
		rc = delete_free(r, tenant, f, err);
	}
	if (rc < 0)
		return rc;
	rc = neighbour(r, tenant, first, /* after= */ false, &f, &n, err);
	if (rc > 0) {
		first = f;
		blocks += n;
		rc = delete_free(r, tenant, f, err);
	}
	return rc < 0 ? rc : insert_free(r, tenant, first, blocks, err);
}

int idrange_slice_add(struct idrange *r, const char *tenant, uint32_t first, uint32_t n_ranges, struct err *err)
{
	struct slice local;
	struct found f = {.first = first};
	if (first % IDRANGE_SIZE || n_ranges == 0 || str_eq(tenant, IDRANGE_LOCAL))
		return err_set(err, ERR_INVALID, "slice of tenant '%s': %u ranges from %u are not whole blocks of %u ids", tenant, n_ranges, first, IDRANGE_SIZE);
	int rc = get_slice(r, IDRANGE_LOCAL, &local, err);
	rc = rc < 0 ? rc : neighbour(r, IDRANGE_LOCAL, (uint64_t) first + 1, /* after= */ false, &f.run_first, &f.run_blocks, err);
	if (rc < 0)
		return rc;
	if (f.run_blocks == 0 || (uint64_t) first + (uint64_t) n_ranges * IDRANGE_SIZE > f.run_first + f.run_blocks * IDRANGE_SIZE)
		return err_set(err, ERR_CONFLICT, "slice of tenant '%s': ids from %u on are outside the pool or in use", tenant, first);
	rc = take(r, IDRANGE_LOCAL, &f, n_ranges, err);
	struct slice s = {first, (uint64_t) first + (uint64_t) n_ranges * IDRANGE_SIZE, first};
	return rc < 0 ? rc : insert_slice(r, tenant, &s, err);
}
