/* SPDX-License-Identifier: Apache-2.0 */
/* What coffer.db says about images, against itself and against the configs and manifests that were found good. */
#include <errno.h>

#include "base/fault.h"
#include "image/check_internal.h"

enum { DOCUMENT_MAX = 8 << 20 };

/* Reading */

static int add_image(struct check *k, struct db_stmt *st, struct err *err)
{
	struct image_row *v = realloc(k->images, (k->n_images + 1) * sizeof(*v));
	if (!v)
		return err_oom(err);
	k->images = v;
	struct image_row *i = &v[k->n_images++];
	*i = (struct image_row) {.tenant = strdup(db_text(st, 0) ?: ""), .id = strdup(db_text(st, 1) ?: ""), .manifest = db_text(st, 2) ? strdup(db_text(st, 2)) : NULL};
	return i->tenant && i->id && (i->manifest || !db_text(st, 2)) ? 0 : err_oom(err);
}

static int read_images(struct check *k, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(k->l.s->db, &st, err, "SELECT tenant, id, manifest FROM image ORDER BY tenant, id", "");
	while (r >= 0 && (r = db_step(st, err)) > 0)
		r = add_image(k, st, err);
	return r;
}

static int read_layers(struct check *k, struct image_row *i, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(k->l.s->db, &st, err, "SELECT pos, diff_id, chain_id, blob, size FROM image_layer WHERE tenant=?1 AND image_id=?2 ORDER BY pos LIMIT ?3", "ssi",
			 i->tenant, i->id, (int64_t) IMAGE_LAYERS_MAX);
	i->layers = calloc(IMAGE_LAYERS_MAX, sizeof(*i->layers));
	if (!i->layers)
		return err_oom(err);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct layer_row *l = &i->layers[i->n_layers++];
		l->pos = db_int(st, 0);
		(void) str_copy(l->diff_id, sizeof(l->diff_id), db_text(st, 1) ?: ""); /* one that is cut is no digest, and is told as wrong */
		(void) str_copy(l->chain, sizeof(l->chain), db_text(st, 2) ?: "");
		(void) str_copy(l->blob, sizeof(l->blob), db_text(st, 3) ?: "");
		l->size = (uint64_t) db_int(st, 4);
	}
	return r;
}

int check_read_rows(struct check *k, struct err *err)
{
	int r = db_begin_read(k->l.s->db, err);
	if (r < 0)
		return r;
	r = read_images(k, err);
	for (size_t i = 0; r >= 0 && i < k->n_images; i++)
		r = read_layers(k, &k->images[i], err);
	struct err ignored;
	(void) db_commit(k->l.s->db, &ignored); /* nothing was written */
	return r;
}

void check_rows_done(struct check *k)
{
	for (size_t i = 0; i < k->n_images; i++) {
		free(k->images[i].tenant);
		free(k->images[i].id);
		free(k->images[i].manifest);
		free(k->images[i].layers);
	}
	free(k->images);
}

/* Looking */

static bool is_good(const struct check *k, const char *digest)
{
	const struct checked_blob *b = digest ? check_blob(k, digest) : NULL;
	return b && b->good;
}

static int read_config(struct check *k, const struct image_row *i, struct image_config **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = load_text(&k->l, i->id, DOCUMENT_MAX, &text, &len, err);
	return r < 0 ? r : image_config_parse(text, len, ret, err);
}

static int read_manifest(struct check *k, const struct image_row *i, struct manifest **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = load_text(&k->l, i->manifest, DOCUMENT_MAX, &text, &len, err);
	return r < 0 ? r : manifest_parse(text, len, ret, err);
}

/* What the config says that layer @n is, below it @below ("" for the first). */
static int chain_of(const struct image_config *c, size_t n, const char *below, char ret[DIGEST_TEXT_MAX])
{
	return n < strv_len(c->diff_ids) ? chain_id(n ? below : NULL, c->diff_ids[n], ret) : -ENOENT;
}

static struct image_flaw *wrong(struct check *k, const struct image_row *i, struct image_flaw **f, struct err *err)
{
	if (*f)
		return *f;
	*f = check_flaw(k, FLAW_ROW_WRONG, i->id, err);
	return *f && check_hits(*f, i, err) >= 0 ? *f : NULL;
}

static int against_config(struct check *k, const struct image_row *i, const struct image_config *c, struct image_flaw **f, struct err *err)
{
	char below[DIGEST_TEXT_MAX] = "", chain[DIGEST_TEXT_MAX];
	if (strv_len(c->diff_ids) != i->n_layers) {
		if (!wrong(k, i, f, err))
			return -ENOMEM;
		check_detail(*f, "%zu layers, its config names %zu", i->n_layers, strv_len(c->diff_ids));
	}
	for (size_t n = 0; n < i->n_layers; n++) {
		const struct layer_row *l = &i->layers[n];
		if (chain_of(c, n, below, chain) < 0)
			break;
		memcpy(below, chain, sizeof(below));
		if (l->pos == (int64_t) n && str_eq(l->diff_id, c->diff_ids[n]) && str_eq(l->chain, chain) && digest_is_valid(l->blob))
			continue;
		if (!wrong(k, i, f, err))
			return -ENOMEM;
		check_detail(*f, "layer %zu is not the one that its config names", n + 1);
	}
	return 0;
}

static int against_manifest(struct check *k, const struct image_row *i, const struct manifest *m, struct image_flaw **f, struct err *err)
{
	bool fits = str_eq(m->config.digest, i->id) && m->n_layers == i->n_layers;
	for (size_t n = 0; fits && n < m->n_layers; n++)
		fits = str_eq(m->layers[n].digest, i->layers[n].blob);
	if (fits)
		return 0;
	if (!wrong(k, i, f, err))
		return -ENOMEM;
	check_detail(*f, "its manifest names other blobs");
	return 0;
}

static int check_image(struct check *k, const struct image_row *i, struct err *err)
{
	struct image_config *c = NULL;
	struct manifest *m = NULL;
	struct image_flaw *f = NULL;
	struct err bad;
	int r = 0;
	/* a document that is missing or changed is a flaw of its own, and says nothing */
	if (is_good(k, i->id) && read_config(k, i, &c, &bad) >= 0)
		r = against_config(k, i, c, &f, err);
	if (r >= 0 && is_good(k, i->manifest) && read_manifest(k, i, &m, &bad) >= 0)
		r = against_manifest(k, i, m, &f, err);
	(void) image_config_free(c);
	(void) manifest_free(m);
	return r;
}

static const struct stray {
	const char *find, *what, *drop; /* @find: tenant, name, tag or digest; @drop: the same three */
} strays[] = {
	{"SELECT tenant, name, tag FROM image_ref r WHERE NOT EXISTS (SELECT 1 FROM image WHERE tenant=r.tenant AND id=r.image_id)", "the name of an image that there is not",
	 "DELETE FROM image_ref WHERE name||':'||tag=?1 AND NOT EXISTS (SELECT 1 FROM image WHERE tenant=image_ref.tenant AND id=image_ref.image_id)"},
	{"SELECT tenant, name, digest FROM image_digest r WHERE NOT EXISTS (SELECT 1 FROM image WHERE tenant=r.tenant AND id=r.image_id)",
	 "the digest of an image that there is not",
	 "DELETE FROM image_digest WHERE name||':'||digest=?1 AND NOT EXISTS (SELECT 1 FROM image WHERE tenant=image_digest.tenant AND id=image_digest.image_id)"},
	{"SELECT tenant, image_id, pos FROM image_layer r WHERE NOT EXISTS (SELECT 1 FROM image WHERE tenant=r.tenant AND id=r.image_id)",
	 "the layer of an image that there is not",
	 "DELETE FROM image_layer WHERE image_id||':'||pos=?1 AND NOT EXISTS (SELECT 1 FROM image WHERE tenant=image_layer.tenant AND id=image_layer.image_id)"},
};

static int find_strays(struct check *k, const struct stray *s, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(k->l.s->db, &st, err, s->find, "");
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		_cleanup_free_ char *object = str_printf("%s:%s", db_text(st, 1) ?: "", db_text(st, 2) ?: "");
		struct image_flaw *f = object ? check_flaw(k, FLAW_ROW_STRAY, object, err) : NULL;
		if (!f)
			return err_oom(err);
		check_detail(f, "%s", s->what);
	}
	return r;
}

int check_rows(struct check *k, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < k->n_images; i++)
		r = check_image(k, &k->images[i], err);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(strays); i++)
		r = find_strays(k, &strays[i], err);
	return r;
}

/* Mending */

/* Which blob layer @n comes as: as the manifest says, else as a row did that told the right diff id. NULL: nobody knows. */
static const char *blob_of(const struct image_row *i, const struct manifest *m, const struct image_config *c, size_t n)
{
	if (m && n < m->n_layers)
		return m->layers[n].digest;
	for (size_t x = 0; x < i->n_layers; x++)
		if ((str_eq(i->layers[x].diff_id, c->diff_ids[n]) || i->layers[x].pos == (int64_t) n) && digest_is_valid(i->layers[x].blob))
			return i->layers[x].blob;
	return NULL;
}

/* The rows of @i as its config and manifest want them. In a transaction. Return: 1; 0 it cannot be told what they should be; <0. */
static int write_rows(struct check *k, const struct image_row *i, const struct image_config *c, const struct manifest *m, struct err *err)
{
	char below[DIGEST_TEXT_MAX] = "", chain[DIGEST_TEXT_MAX];
	struct db *db = k->l.s->db;
	size_t n_layers = strv_len(c->diff_ids);
	int r = db_exec(db, err, "DELETE FROM image_layer WHERE tenant=?1 AND image_id=?2", "ss", i->tenant, i->id);
	for (size_t n = 0; r >= 0 && n < n_layers; n++) {
		const char *blob = blob_of(i, m, c, n);
		uint64_t size = 0;
		if (!blob || chain_of(c, n, below, chain) < 0)
			return 0;
		memcpy(below, chain, sizeof(below));
		(void) layer_read_size(k->l.s, chain, &size); /* one that is not there is told as missing */
		r = db_exec(db, err, "INSERT INTO image_layer SELECT ?1,?2,?3,?4,?5,?6,?7 WHERE EXISTS (SELECT 1 FROM image WHERE tenant=?1 AND id=?2)", "ssisssi", i->tenant, i->id,
			    (int64_t) n, c->diff_ids[n], chain, blob, (int64_t) size);
	}
	if (r >= 0)
		r = db_exec(db, err, "UPDATE image SET size=(SELECT coalesce(sum(size),0) FROM image_layer l WHERE l.tenant=image.tenant AND l.image_id=image.id) WHERE tenant=?1 AND id=?2",
			    "ss", i->tenant, i->id);
	return r < 0 ? r : 1;
}

/* Return: as write_rows(). */
static int mend_rows_of(struct check *k, const struct image_row *i, const struct image_config *c, struct err *err)
{
	struct manifest *m = NULL;
	struct err bad;
	/* a manifest that is not about this image would only mislead */
	if (is_good(k, i->manifest) && read_manifest(k, i, &m, &bad) >= 0 && (!str_eq(m->config.digest, i->id) || m->n_layers != strv_len(c->diff_ids)))
		m = manifest_free(m);
	int r = db_begin(k->l.s->db, err);
	if (r >= 0) {
		r = write_rows(k, i, c, m, err);
		if (r <= 0)
			db_rollback(k->l.s->db);
		else
			r = db_commit(k->l.s->db, err) < 0 ? -EIO : 1;
	}
	(void) manifest_free(m);
	return r;
}

/* Of every tenant that has it: the same image by its id may have come to each by another manifest, with its layers in another coding. */
static int mend_wrong(struct check *k, struct image_flaw *f, struct err *err)
{
	struct image_config *c = NULL;
	struct err bad;
	bool all = true;
	int r = 0;
	if (!is_good(k, f->object))
		return 0;
	for (size_t i = 0; r >= 0 && i < k->n_images; i++) {
		if (!str_eq(k->images[i].id, f->object))
			continue;
		if (!c && read_config(k, &k->images[i], &c, &bad) < 0)
			return 0;
		r = mend_rows_of(k, &k->images[i], c, err);
		all = all && r > 0;
	}
	(void) image_config_free(c);
	if (r >= 0 && all)
		f->outcome = OUTCOME_REPAIRED;
	return MIN(r, 0);
}

int check_mend_row(struct check *k, struct image_flaw *f, struct err *err)
{
	if (f->kind == FLAW_ROW_WRONG)
		return mend_wrong(k, f, err);
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(strays); i++)
		r = db_exec(k->l.s->db, err, strays[i].drop, "s", f->object);
	if (r >= 0)
		f->outcome = OUTCOME_REPAIRED;
	return MIN(r, 0);
}
