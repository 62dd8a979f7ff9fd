/* SPDX-License-Identifier: Apache-2.0 */
/* What images take on disk: unpacked layers, and the blobs they came as. What several images share is counted once. */
#include <fcntl.h>
#include <sys/stat.h>

#include "image/internal.h"

static uint64_t blob_bytes(struct image_store *s, const char *digest)
{
	struct stat st;
	return digest && digest_is_valid(digest) && fstatat(s->blobs, digest + strlen("sha256:"), &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t) st.st_size : 0;
}

/* Rows of (layer size or 0, blob or NULL, shared). */
static int sum(struct image_store *s, struct db_stmt *st, struct image_usage *u, struct err *err)
{
	int r;
	while ((r = db_step(st, err)) > 0) {
		uint64_t n = (uint64_t) db_int(st, 0) + blob_bytes(s, db_text(st, 1));
		u->bytes += n;
		u->shared_bytes += db_int(st, 2) ? n : 0;
		u->shared_layer_bytes += db_int(st, 2) ? (uint64_t) db_int(st, 0) : 0;
	}
	return r;
}

int image_usage(struct image_store *s, const char *tenant, const char *id, struct image_usage *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct image_usage u = {0};
	int r = db_query(s->db, &st, err,
			 "SELECT size, NULL, EXISTS (SELECT 1 FROM image_layer o WHERE o.tenant=?1 AND o.chain_id=l.chain_id AND o.image_id<>?2)"
			 " FROM image_layer l WHERE tenant=?1 AND image_id=?2 GROUP BY chain_id UNION ALL "
			 "SELECT 0, blob, EXISTS (SELECT 1 FROM image_layer o WHERE o.tenant=?1 AND o.blob=l.blob AND o.image_id<>?2)"
			 " FROM image_layer l WHERE tenant=?1 AND image_id=?2 GROUP BY blob UNION ALL "
			 "SELECT 0, id, 0 FROM image WHERE tenant=?1 AND id=?2 UNION ALL SELECT 0, manifest, 0 FROM image WHERE tenant=?1 AND id=?2",
			 "ss", tenant, id);
	if (r >= 0)
		r = sum(s, st, &u, err);
	if (r >= 0)
		*ret = u;
	return r;
}

int image_usage_total(struct image_store *s, const char *tenant, uint64_t *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct image_usage u = {0};
	int r = db_query(s->db, &st, err,
			 "SELECT size, NULL, 0 FROM image_layer WHERE tenant=?1 GROUP BY chain_id UNION ALL "
			 "SELECT 0, d, 0 FROM (SELECT blob AS d FROM image_layer WHERE tenant=?1 UNION SELECT id FROM image WHERE tenant=?1 UNION"
			 " SELECT manifest FROM image WHERE tenant=?1)", "s", tenant);
	if (r >= 0)
		r = sum(s, st, &u, err);
	if (r >= 0)
		*ret = u.bytes;
	return r;
}
