/* SPDX-License-Identifier: Apache-2.0 */
/* Tags, and docker's rmi. */
#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "image/internal.h"

static int put_ref(struct image_store *s, const char *tenant, const struct image_ref *ref, const char *id, struct err *err)
{
	char *name = str_printf("%s/%s", ref->domain, ref->path);
	if (!name)
		return err_oom(err);
	int r = db_exec(s->db, err, "INSERT INTO image_ref SELECT ?1,?2,?3,?4 WHERE EXISTS (SELECT 1 FROM image WHERE tenant=?1 AND id=?4)"
				    " ON CONFLICT DO UPDATE SET image_id=excluded.image_id", "ssss", tenant, name, ref->tag, id);
	free(name);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", id);
	return MIN(r, 0);
}

int image_add_digest(struct image_store *s, const char *tenant, const struct image_ref *ref, const char *digest, const char *id, struct err *err)
{
	char *name = str_printf("%s/%s", ref->domain, ref->path);
	if (!name)
		return err_oom(err);
	int r = db_exec(s->db, err, "INSERT INTO image_digest SELECT ?1,?2,?3,?4 WHERE EXISTS (SELECT 1 FROM image WHERE tenant=?1 AND id=?4)"
				    " ON CONFLICT DO UPDATE SET image_id=excluded.image_id", "ssss", tenant, name, digest, id);
	free(name);
	return MIN(r, 0);
}

int image_tag(struct image_store *s, const char *tenant, const char *source, const char *repo, const char *tag, struct err *err)
{
	char id[DIGEST_TEXT_MAX];
	struct image_ref ref = {0};
	int r = image_find_id(s, tenant, source, id, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", source);
	if (r < 0)
		return r;
	char *full = str_empty(tag) ? strdup(repo) : str_printf("%s:%s", repo, tag);
	if (!full)
		return err_oom(err);
	r = image_ref_parse(full, &ref, err);
	free(full);
	if (r < 0)
		return r;
	r = ref.digest ? err_set(err, ERR_INVALID, "a tag cannot hold a digest: '%s'", repo) : put_ref(s, tenant, &ref, id, err);
	image_ref_done(&ref);
	return r;
}

struct removal {
	struct image_store *s;
	const char *tenant;
	bool force;
	int (*in_use)(void *ctx, const char *image_id, char *name, size_t name_size);
	void *ctx;
	char **untagged, **deleted; /* owned */
};

static int drop_refs(struct removal *m, const struct image *i, struct err *err)
{
	int r = db_exec(m->s->db, err, "DELETE FROM image_ref WHERE tenant=?1 AND image_id=?2", "ss", m->tenant, i->id);
	if (r >= 0)
		r = db_exec(m->s->db, err, "DELETE FROM image_digest WHERE tenant=?1 AND image_id=?2", "ss", m->tenant, i->id);
	STRV_FOREACH(n, i->refs)
		if (r >= 0 && strv_push(&m->untagged, n) < 0)
			r = err_oom(err);
	STRV_FOREACH(d, i->digests)
		if (r >= 0 && strv_push(&m->untagged, d) < 0)
			r = err_oom(err);
	return MIN(r, 0);
}

static int drop_rows(struct removal *m, const struct image *i, struct err *err)
{
	int r = db_exec(m->s->db, err, "DELETE FROM image_layer WHERE tenant=?1 AND image_id=?2", "ss", m->tenant, i->id);
	if (r >= 0)
		r = db_exec(m->s->db, err, "DELETE FROM image WHERE tenant=?1 AND id=?2", "ss", m->tenant, i->id);
	if (r >= 0 && strv_push(&m->deleted, i->id) < 0)
		r = err_oom(err);
	return MIN(r, 0);
}

/* Layers that went with the image, for the answer: those that no row names any more. */
static int tell_layers(struct removal *m, const struct image *i, struct err *err)
{
	for (size_t k = strv_len(i->chain_ids); k > 0; k--) {
		_cleanup_stmt_ struct db_stmt *st = NULL;
		int r = db_query(m->s->db, &st, err, "SELECT 1 FROM image_layer WHERE tenant=?1 AND chain_id=?2 LIMIT 1", "ss", m->tenant, i->chain_ids[k - 1]);
		if (r >= 0)
			r = db_step(st, err);
		if (r < 0)
			return r;
		if (r == 0 && strv_push(&m->deleted, i->chain_ids[k - 1]) < 0)
			return err_oom(err);
	}
	return 0;
}

/* May the image go? Return: 1 yes, 0 only its names (a stopped container keeps its layers), ERR_CONFLICT. */
static int check_use(struct removal *m, const struct image *i, const char *ref, struct err *err)
{
	char container[160] = "";
	int use = m->in_use ? m->in_use(m->ctx, i->id, container, sizeof(container)) : 0;
	const char *shown = ref;
	if (use == 2)
		return err_set(err, ERR_CONFLICT, "conflict: unable to delete %s (cannot be forced) - image is being used by running container %s", shown, container);
	if (use == 1 && !m->force)
		return err_set(err, ERR_CONFLICT, "conflict: unable to delete %s (must be forced) - image is being used by stopped container %s", shown, container);
	return use == 0;
}

static int remove_image(struct removal *m, const struct image *i, const char *ref, struct err *err)
{
	int whole = check_use(m, i, ref, err);
	if (whole < 0)
		return whole;
	int r = db_begin(m->s->db, err);
	if (r < 0)
		return r;
	r = drop_refs(m, i, err);
	if (r >= 0 && whole)
		r = drop_rows(m, i, err);
	if (r < 0) {
		db_rollback(m->s->db);
		return r;
	}
	r = fault_point("image.remove.deleted", err);
	if (r < 0) {
		db_rollback(m->s->db);
		return r;
	}
	r = db_commit(m->s->db, err);
	fault_mark("image.remove.committed");
	return r >= 0 && whole ? tell_layers(m, i, err) : r;
}

/* One of several names: only that goes. */
static int remove_name(struct removal *m, const struct image_ref *ref, struct err *err)
{
	char *name = str_printf("%s/%s", ref->domain, ref->path), *shown = image_ref_familiar(ref);
	int r = name && shown ? 0 : err_oom(err);
	if (r >= 0)
		r = db_exec(m->s->db, err, ref->digest ? "DELETE FROM image_digest WHERE tenant=?1 AND name=?2 AND digest=?3" :
							 "DELETE FROM image_ref WHERE tenant=?1 AND name=?2 AND tag=?3", "sss", m->tenant, name,
			    ref->digest ? ref->digest : ref->tag);
	/* a digest without a tag of its name has nothing to hang on */
	if (r >= 0 && !ref->digest)
		r = db_exec(m->s->db, err, "DELETE FROM image_digest WHERE tenant=?1 AND name=?2 AND NOT EXISTS"
					   " (SELECT 1 FROM image_ref r WHERE r.tenant=?1 AND r.name=?2 AND r.image_id=image_digest.image_id)", "ss",
			    m->tenant, name);
	fault_mark("image.remove.untagged");
	if (r >= 0 && strv_push(&m->untagged, shown) < 0)
		r = err_oom(err);
	free(name);
	free(shown);
	return MIN(r, 0);
}

static int remove_ref(struct removal *m, const char *ref, struct err *err)
{
	_cleanup_image_ struct image *i = NULL;
	struct image_ref parsed = {0};
	int r = image_find(m->s, m->tenant, ref, &i, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", ref);
	if (r < 0)
		return r;
	char *shown = NULL;
	if (image_ref_parse(ref, &parsed, NULL) >= 0)
		shown = image_ref_familiar(&parsed);
	bool by_name = shown && (strv_has(i->refs, shown) || strv_has(i->digests, shown));
	free(shown);
	if (by_name && strv_len(i->refs) > 1 && !parsed.digest)
		r = remove_name(m, &parsed, err);
	else if (!by_name && strv_len(i->refs) > 1 && !m->force)
		r = err_set(err, ERR_CONFLICT, "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
			    i->id + strlen("sha256:"));
	else
		r = remove_image(m, i, ref, err);
	image_ref_done(&parsed);
	return r;
}

int image_remove(struct image_store *s, const char *tenant, const char *ref, bool force,
		 int (*in_use)(void *ctx, const char *image_id, char *name, size_t name_size), void *ctx, char ***ret_untagged, char ***ret_deleted,
		 struct err *err)
{
	struct removal m = {.s = s, .tenant = tenant, .force = force, .in_use = in_use, .ctx = ctx};
	struct work w;
	/* the mark of who died between the rows and the collection: image_tidy() then collects */
	int r = work_begin(s, &w, err);
	if (r < 0)
		return r;
	r = remove_ref(&m, ref, err);
	w.store_lock = safe_close(w.store_lock); /* which a collection wants for itself */
	if (r >= 0)
		r = image_gc(s, err);
	work_end(s, &w);
	if (r < 0) {
		strv_freep(&m.untagged);
		strv_freep(&m.deleted);
		return r;
	}
	*ret_untagged = m.untagged;
	*ret_deleted = m.deleted;
	return 0;
}
