/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/idrange share. */
#pragma once

#include "base/str.h"
#include "db/db.h"
#include "idrange/idrange.h"

enum id_kind { ID_UID, ID_GID, ID_KIND_MAX_ };

/* What the host's files say: half-open interval of ids with its owner. */
struct claim {
	uint64_t first, end;
	char name[40];
	uint8_t kind;	  /* enum id_kind */
	bool account;	  /* passwd/group rather than subuid/subgid */
};

struct claims {
	struct claim *v; /* owned; sorted by first */
	size_t n, cap;
};

struct idrange {
	struct db *db; /* borrowed */
	char *files[4]; /* owned; subuid, subgid, passwd, group */
	uint64_t pool_first, pool_end;
};

/** claims_read() - all four files, sorted. A missing file claims nothing. */
int claims_read(const struct idrange *r, struct claims *ret, struct err *err);
void claims_done(struct claims *c);
#define _cleanup_claims_ _cleanup_(claims_done)
/** claims_hit() - the first claim of @kind (ID_KIND_MAX_: either) that meets [@first, @end), or NULL. */
const struct claim *claims_hit(const struct claims *c, enum id_kind kind, uint64_t first, uint64_t end);
/** claim_file() - "/etc/subuid" and so on, for messages. */
const char *claim_file(const struct claim *c);

/** pool_reserve() - @blocks consecutive free blocks of @tenant's slice. */
int pool_reserve(struct idrange *r, const char *tenant, uint64_t blocks, uint64_t *ret_first, struct err *err);
int pool_release(struct idrange *r, const char *tenant, uint64_t first, uint64_t blocks, struct err *err);

/** extent_hit() - the owner of a custom or remap extent of @kind (ID_KIND_MAX_: either) that meets [@first, @end). Return: 1, 0, <0. @ret_end: its end. */
int extent_hit(struct idrange *r, enum id_kind kind, uint64_t first, uint64_t end, char *owner, size_t owner_size, uint64_t *ret_end, struct err *err);

int custom_reserve(struct idrange *r, const char *tenant, const char *owner, const struct idrange_map *map, int64_t *ret_id, struct err *err);
int remap_reserve(struct idrange *r, const char *tenant, const struct idrange_request *req, int64_t *ret_id, struct idrange_map *ret, struct err *err);
/** map_insert() - the row of a map. @first, @blocks: of an automatic range, else 0. */
int map_insert(struct idrange *r, const char *tenant, enum idrange_mode mode, const char *owner, uint64_t first, uint64_t blocks, uint64_t size, int64_t *ret_id,
	       struct err *err);
