/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that lie here uncompressed, as they go to registries: as gzip. What that came to is remembered, so that the registry can be asked for it the next time
 * before it is made again; the bytes themselves are not kept (a file without a name holds them as long as they are sent).
 */
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "codec/gzip.h"
#include "image/internal.h"
#include "image/parts.h"

int image_packed_find(struct image_store *s, const char *tenant, const char *digest, struct image_packed *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT digest, size FROM image_packed WHERE tenant=?1 AND blob=?2", "ss", tenant, digest);
	r = r < 0 ? r : db_step(st, err);
	const char *found = r > 0 ? db_text(st, 0) : NULL;
	if (r <= 0 || !digest_is_valid(found))
		return MIN(r, 0);
	(void) str_copy(ret->digest, sizeof(ret->digest), found);
	ret->size = (uint64_t) db_int(st, 1);
	return 1;
}

/* In the place of what it came to before. One statement: it is done or not, and either is right. */
static int remember(struct image_store *s, const char *tenant, const char *digest, const struct image_packed *p, struct err *err)
{
	return db_exec(s->db, err,
		       "INSERT INTO image_packed SELECT ?1,?2,?3,?4 WHERE EXISTS (SELECT 1 FROM image_layer WHERE tenant=?1 AND blob=?2)"
		       " ON CONFLICT DO UPDATE SET digest=excluded.digest, size=excluded.size", "sssi", tenant, digest, p->digest, (int64_t) p->size);
}

int image_pack(struct image_store *s, const char *tenant, const char *digest, const atomic_bool *cancel, struct image_packed *ret, struct err *err)
{
	struct image_packed p;
	uint64_t size;
	char found[DIGEST_TEXT_MAX];
	_cleanup_close_ int in = image_blob_open(s, digest, &size, err);
	int r = in < 0 ? in : blob_hash(in, found, &size, err);
	if (r < 0)
		return r;
	if (strcmp(found, digest) != 0) /* the registry would not notice */
		return err_set(err, ERR_CORRUPT, "blob %s was changed on disk", digest);
	_cleanup_close_ int out = openat(s->tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(err, -errno, "making a file for compressed bytes");
	r = gzip_fd_small(in, out, cancel);
	if (r < 0)
		return err_sys(err, r, "compressing blob %s", digest);
	r = blob_hash(out, p.digest, &p.size, err);
	r = r < 0 ? r : remember(s, tenant, digest, &p, err);
	if (r < 0)
		return r;
	*ret = p;
	return take_fd(&out);
}

int image_blob_names(struct image_store *s, const char *tenant, const char *digest, char ***ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err,
			 "SELECT name FROM (SELECT name, 0 AS rank FROM image_digest WHERE tenant=?1 AND image_id IN (SELECT image_id FROM image_layer WHERE tenant=?1 AND blob=?2)"
			 " UNION ALL SELECT name, 1 FROM image_ref WHERE tenant=?1 AND image_id IN (SELECT image_id FROM image_layer WHERE tenant=?1 AND blob=?2)) GROUP BY name ORDER BY min(rank), name LIMIT 100",
			 "ss", tenant, digest);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		if (strv_push(ret, db_text(st, 0)) < 0)
			return err_oom(err);
	return r;
}
