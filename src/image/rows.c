/* SPDX-License-Identifier: Apache-2.0 */
/* The image room's tables. Each row carries its tenant; what lies on disk is shared, and lives as long as any row names it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "image/internal.h"

#define PACKED_GONE                                                                                                    \
	" DELETE FROM image_packed WHERE tenant=old.tenant AND blob=old.blob AND NOT EXISTS"                           \
	" (SELECT 1 FROM image_layer WHERE tenant=old.tenant AND blob=old.blob); "
static const char *const steps[] = {
	"CREATE TABLE image(tenant TEXT NOT NULL, id TEXT NOT NULL, manifest TEXT, created_ns INTEGER NOT NULL, size INTEGER NOT NULL,"
	" loaded_ns INTEGER NOT NULL, PRIMARY KEY(tenant, id)) WITHOUT ROWID;"
	"CREATE TABLE image_layer(tenant TEXT NOT NULL, image_id TEXT NOT NULL, pos INTEGER NOT NULL, diff_id TEXT NOT NULL, chain_id TEXT NOT NULL,"
	" blob TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(tenant, image_id, pos)) WITHOUT ROWID;"
	"CREATE INDEX image_layer_chain ON image_layer(chain_id);"
	"CREATE INDEX image_layer_blob ON image_layer(blob);"
	"CREATE TABLE image_ref(tenant TEXT NOT NULL, name TEXT NOT NULL, tag TEXT NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY(tenant, name, tag))"
	" WITHOUT ROWID;"
	"CREATE INDEX image_ref_id ON image_ref(tenant, image_id);"
	"CREATE TABLE image_digest(tenant TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY(tenant, name, digest))"
	" WITHOUT ROWID;",
	/* what a layer that lies here uncompressed came to when it was compressed for a registry */
	"CREATE TABLE image_packed(tenant TEXT NOT NULL, blob TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY(tenant, blob)) WITHOUT ROWID;"
	"CREATE TRIGGER image_packed_removed AFTER DELETE ON image_layer BEGIN" PACKED_GONE "END;"
	"CREATE TRIGGER image_packed_changed AFTER UPDATE OF blob ON image_layer BEGIN" PACKED_GONE "END;",
};

int rows_migrate(struct db *db, struct err *err)
{
	return db_migrate(db, "image", steps, ARRAY_LEN(steps), err);
}

static int add_name(struct db *db, const char *tenant, const struct load_image *i, const char *full, struct err *err)
{
	struct image_ref ref = {0};
	int r = image_ref_parse(full, &ref, err);
	if (r < 0)
		return r;
	char *name = str_printf("%s/%s", ref.domain, ref.path);
	if (!name)
		r = err_oom(err);
	if (r >= 0 && ref.tag)
		r = db_exec(db, err, "INSERT INTO image_ref VALUES(?1,?2,?3,?4) ON CONFLICT DO UPDATE SET image_id=excluded.image_id", "ssss", tenant, name,
			    ref.tag, i->id);
	if (r >= 0 && (ref.digest || i->manifest[0])) /* of an index, where it was pulled by one */
		r = db_exec(db, err, "INSERT INTO image_digest VALUES(?1,?2,?3,?4) ON CONFLICT DO UPDATE SET image_id=excluded.image_id", "ssss", tenant, name,
			    ref.digest ? ref.digest : i->manifest, i->id);
	free(name);
	image_ref_done(&ref);
	return MIN(r, 0);
}

/* Is the blob that layer @pos came as gone from the store? Return: 1, 0, <0. */
static int is_lost(struct image_store *s, const char *tenant, const char *id, size_t pos, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct stat sb;
	int r = db_query(s->db, &st, err, "SELECT blob FROM image_layer WHERE tenant=?1 AND image_id=?2 AND pos=?3", "ssi", tenant, id, (int64_t) pos);
	r = r < 0 ? r : db_step(st, err);
	const char *blob = r > 0 ? db_text(st, 0) : NULL;
	return r <= 0 ? r : !digest_is_valid(blob) || fstatat(s->blobs, blob + strlen("sha256:"), &sb, AT_SYMLINK_NOFOLLOW) < 0;
}

int rows_register(struct image_store *s, const char *tenant, const struct load_image *i, struct err *err)
{
	struct db *db = s->db;
	uint64_t size = 0;
	bool lost = false;
	for (size_t k = 0; k < i->n_layers; k++)
		size += i->layers[k].size;
	int r = db_exec(db, err, "INSERT INTO image VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT DO UPDATE SET manifest=coalesce(excluded.manifest, manifest)",
			"sssiii", tenant, i->id, i->manifest[0] ? i->manifest : NULL, i->created_ns, (int64_t) size, now_ns());
	/* an image that came with a manifest before keeps the blobs that it names: they are the same layers in another coding; unless they are lost, and then
	 * the manifest names what there is not any more */
	for (size_t k = 0; r >= 0 && k < i->n_layers; k++) {
		const struct load_layer *l = &i->layers[k];
		int gone = is_lost(s, tenant, i->id, k, err);
		lost |= gone > 0;
		r = gone < 0 ? gone : db_exec(db, err, "INSERT INTO image_layer VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT DO UPDATE SET blob=excluded.blob, size=excluded.size"
				     " WHERE ?8 OR NOT EXISTS (SELECT 1 FROM image WHERE tenant=?1 AND id=?2 AND manifest IS NOT NULL)", "ssisssii", tenant,
			    i->id, (int64_t) k, l->diff_id, l->chain, l->blob, (int64_t) l->size, (int64_t) (i->manifest[0] != '\0' || gone));
	}
	if (r >= 0 && lost && !i->manifest[0])
		r = db_exec(db, err, "UPDATE image SET manifest=NULL WHERE tenant=?1 AND id=?2", "ss", tenant, i->id);
	for (char *const *n = i->names; r >= 0 && n && *n; n++)
		r = add_name(db, tenant, i, *n, err);
	return MIN(r, 0);
}

static int has(struct image_store *s, const char *sql, const char *tenant, const char *key, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, sql, "ss", tenant, key);
	return r < 0 ? r : db_step(st, err);
}

int row_has_layer(struct image_store *s, const char *tenant, const char *chain, struct err *err)
{
	return has(s, "SELECT 1 FROM image_layer WHERE chain_id=?2 AND tenant=?1 LIMIT 1", tenant, chain, err);
}

int row_has_pair(struct image_store *s, const char *chain, const char *blob, struct err *err)
{
	return has(s, "SELECT 1 FROM image_layer WHERE chain_id=?1 AND blob=?2 LIMIT 1", chain, blob, err);
}

int row_has_blob(struct image_store *s, const char *tenant, const char *digest, struct err *err)
{
	return has(s, "SELECT 1 FROM image_layer WHERE blob=?2 AND tenant=?1 UNION ALL SELECT 1 FROM image WHERE tenant=?1 AND id=?2 LIMIT 1", tenant, digest, err);
}
