/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ids: who has which. Every container's map is a row here before it is used (P2), reserved inside the caller's
 * transaction, so that two processes never hand out the same id. Invariants:
 *   I1 automatic ranges are whole aligned blocks of IDRANGE_SIZE inside the tenant's slice, disjoint from each other.
 *   I2 no map holds host id 0, a host account, a range that /etc/subuid or /etc/subgid gives to somebody else, or the block
 *      of our helper processes. (Remap and custom maps may use what is delegated to their own user.)
 *   I3 two maps share an id only when they are the same row (container:X, or remap of one user); uid and gid counted apart.
 *   I4 the free list and the automatic ranges of a slice partition it.
 * The host's files are read at every reservation by a parser of our own (no NSS); a line that shadow's tools cannot read gives nothing.
 */
#pragma once

#include "base/err.h"
#include "base/helper_ids.h"

struct db;
struct idrange;

#define IDRANGE_SIZE 65536u
#define IDRANGE_POOL_FIRST 1048576u
#define IDRANGE_POOL_END 4294901760u /* exclusive */
#define IDRANGE_HELPER_BASE HELPER_ID_FIRST /* IDRANGE_SIZE ids for coffer-unpack and its like: in no slice, in no map */
static_assert(HELPER_ID_COUNT == IDRANGE_SIZE, "the helpers have one range");
#define IDRANGE_EXTENTS_MAX 4 /* R7; CVE-2018-18955 */
#define IDRANGE_LOCAL "local" /* the tenant that owns what no other tenant's slice holds */

struct idrange_config {
	const char *subuid, *subgid, *passwd, *group; /* NULL: the files in /etc */
	uint32_t pool_first, pool_end;		      /* 0: the defaults; multiples of IDRANGE_SIZE; only used for a new state */
};

struct idrange_extent {
	uint32_t ctr, host, size;
};

struct idrange_map {
	struct idrange_extent uid[IDRANGE_EXTENTS_MAX], gid[IDRANGE_EXTENTS_MAX];
	size_t n_uid, n_gid;
};

enum idrange_mode { IDRANGE_AUTO, IDRANGE_REMAP, IDRANGE_MAP, IDRANGE_CONTAINER, IDRANGE_HOST, IDRANGE_MODE_MAX_ };

struct idrange_request {
	enum idrange_mode mode;
	uint32_t size;		/* AUTO: ids wanted; 0: IDRANGE_SIZE */
	char user[64], group[64]; /* REMAP: name or number; "": the default user, the same name */
	char container[256];	/* CONTAINER: whose map */
	struct idrange_map map; /* MAP */
};

/** idrange_parse() - HostConfig.UsernsMode with UidMaps/GidMaps as a request: "" and "auto", "auto:size=N", "remap[:USER[:GROUP]]", "map",
 *  "container:X", "host". Maps are "CTR:HOST:SIZE", 1..4 each; gid maps default to the uid maps. Maps without a mode mean "map".
 *  Return: 0; ERR_INVALID naming field and value. */
int idrange_parse(const char *mode, char *const *uid_maps, char *const *gid_maps, struct idrange_request *ret, struct err *err);

/** idrange_open() - bring the tables. @db: borrowed. @cfg: strings are copied; NULL: defaults. */
int idrange_open(struct db *db, const struct idrange_config *cfg, struct idrange **ret, struct err *err);
struct idrange *idrange_close(struct idrange *r);

/** idrange_reserve() - reserve a map for AUTO, REMAP or MAP. @owner: how messages name the holder ("container 'web'").
 *  Return: 0 with *@ret_id > 0; ERR_QUOTA when the slice is full; ERR_CONFLICT naming the owner of ids that are taken; ERR_INVALID.
 *  Context: inside db_begin()..db_commit() of the caller; a rollback undoes it. */
int idrange_reserve(struct idrange *r, const char *tenant, const char *owner, const struct idrange_request *req, int64_t *ret_id, struct idrange_map *ret,
		    struct err *err);
/** idrange_share() - one more holder of map @id (container:X). Context: as above. */
int idrange_share(struct idrange *r, int64_t id, struct err *err);
/** idrange_release() - one holder less; the last one gives the ids back. @id 0 (host): nothing. Context: as above. */
int idrange_release(struct idrange *r, int64_t id, struct err *err);
/** idrange_load() - the map of @id. Return: 0; ERR_NOT_FOUND. */
int idrange_load(struct idrange *r, int64_t id, struct idrange_map *ret, struct err *err);

/** idrange_slice_add() - give @tenant the @n_ranges blocks from @first on; they must be free in the local slice. Context: as above. */
int idrange_slice_add(struct idrange *r, const char *tenant, uint32_t first, uint32_t n_ranges, struct err *err);

/** idrange_is_disjoint() - prove I1-I4 over the whole table. Return: 1 when they hold; 0 with the first violation in @why; <0. */
int idrange_is_disjoint(struct idrange *r, char *why, size_t why_size, struct err *err);
