/* SPDX-License-Identifier: Apache-2.0 */
/* Looking images up: by name, by digest, by id or by the start of one; always within a tenant. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/id.h"
#include "image/internal.h"

enum { CONFIG_MAX = 8 << 20, IMAGES_MAX = 100000 };

struct image *image_free(struct image *i)
{
	if (!i)
		return NULL;
	free(i->id);
	strv_freep(&i->refs);
	strv_freep(&i->digests);
	(void) image_config_free(i->config);
	free(i->damage);
	strv_freep(&i->chain_ids);
	free(i->layer_bytes);
	free(i);
	return NULL;
}

void image_freep(struct image **i)
{
	*i = image_free(*i);
}

int image_config_text(struct image_store *s, const char *image_id, char **ret, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	uint64_t size;
	_cleanup_close_ int fd = blob_open(s, image_id);
	if (fd < 0)
		return err_sys(err, fd, "opening the config of image %.19s", image_id);
	int r = blob_hash(fd, digest, &size, err);
	if (r < 0)
		return r;
	if (strcmp(digest, image_id) != 0)
		return err_set(err, ERR_CORRUPT, "the config of image %.19s was changed on disk", image_id);
	char *text = NULL;
	ssize_t n = read_file(s->blobs, image_id + strlen("sha256:"), CONFIG_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading the config of image %.19s", image_id);
	*ret = text;
	return 0;
}

/* "name:tag" and "name@digest" as people write them. */
static int add_shown(char ***v, const char *name, const char *sep, const char *suffix)
{
	struct image_ref ref = {0};
	char *full = str_printf("%s%s%s", name, sep, suffix);
	int r = full ? image_ref_parse(full, &ref, NULL) : -ENOMEM;
	free(full);
	if (r < 0)
		return r;
	r = strv_push_take(v, image_ref_familiar(&ref));
	image_ref_done(&ref);
	return r;
}

static int read_names(struct image_store *s, const char *tenant, struct image *i, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT name, tag, 0 FROM image_ref WHERE tenant=?1 AND image_id=?2 UNION ALL "
					  "SELECT name, digest, 1 FROM image_digest WHERE tenant=?1 AND image_id=?2 ORDER BY 1, 2", "ss", tenant, i->id);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		bool digest = db_int(st, 2);
		if (add_shown(digest ? &i->digests : &i->refs, db_text(st, 0), digest ? "@" : ":", db_text(st, 1)) < 0)
			return err_oom(err);
	}
	return r;
}

static int read_layers(struct image_store *s, const char *tenant, struct image *i, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	i->layer_bytes = calloc(IMAGE_LAYERS_MAX, sizeof(*i->layer_bytes));
	if (!i->layer_bytes)
		return err_oom(err);
	int r = db_query(s->db, &st, err, "SELECT chain_id, size FROM image_layer WHERE tenant=?1 AND image_id=?2 ORDER BY pos LIMIT ?3", "ssi", tenant, i->id,
			 (int64_t) IMAGE_LAYERS_MAX);
	for (size_t n = 0; r >= 0 && (r = db_step(st, err)) > 0; n++) {
		if (strv_push(&i->chain_ids, db_text(st, 0)) < 0)
			return err_oom(err);
		i->layer_bytes[n] = (uint64_t) db_int(st, 1);
	}
	return r;
}

/* Return: 1, 0 gone meanwhile, ERR_*. */
static int read_row(struct image_store *s, const char *tenant, struct image *i, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT created_ns, size FROM image WHERE tenant=?1 AND id=?2", "ss", tenant, i->id);
	if (r >= 0)
		r = db_step(st, err);
	if (r > 0) {
		i->created_ns = db_int(st, 0);
		i->size_bytes = (uint64_t) db_int(st, 1);
	}
	return r;
}

/* An image whose config is lost can still be listed, removed and pulled again. */
static int read_config(struct image_store *s, struct image *i, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err why;
	int r = image_config_text(s, i->id, &text, &why);
	if (r >= 0)
		r = image_config_parse(text, strlen(text), &i->config, &why);
	if (r >= 0)
		return 0;
	i->config = calloc(1, sizeof(*i->config));
	i->damage = strdup(why.msg);
	return i->config && i->damage ? 0 : err_oom(err);
}

/* Everything about the image with a known id. */
static int read_image(struct image_store *s, const char *tenant, const char *id, struct image **ret, struct err *err)
{
	_cleanup_image_ struct image *i = calloc(1, sizeof(*i));
	if (!i || !(i->id = strdup(id)))
		return err_oom(err);
	int r = read_row(s, tenant, i, err);
	if (r <= 0)
		return r;
	r = read_names(s, tenant, i, err);
	if (r >= 0)
		r = read_layers(s, tenant, i, err);
	if (r >= 0)
		r = read_config(s, i, err);
	if (r < 0)
		return r;
	*ret = take_ptr(i);
	return 1;
}

/* Run a query whose first column is an image id. Return: 1 with @ret_id, 0 none, ERR_INVALID more than one. */
static int one_id(struct db_stmt *st, const char *ref, char ret_id[DIGEST_TEXT_MAX], struct err *err)
{
	int r = db_step(st, err);
	if (r <= 0)
		return r;
	(void) str_copy(ret_id, DIGEST_TEXT_MAX, db_text(st, 0) ?: "");
	r = db_step(st, err);
	return r == 0 ? 1 : r < 0 ? r : err_set(err, ERR_INVALID, "'%s' is the start of more than one image id", ref);
}

static int find_by_prefix(struct image_store *s, const char *tenant, const char *ref, char ret_id[DIGEST_TEXT_MAX], struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	const char *hex = str_after(ref, "sha256:");
	char low[DIGEST_TEXT_MAX], high[DIGEST_TEXT_MAX];
	hex = hex ? hex : ref;
	if (!id_is_prefix(hex))
		return 0;
	(void) str_format(low, sizeof(low), "sha256:%s", hex);
	(void) str_format(high, sizeof(high), "sha256:%s%s", hex, strlen(hex) < ID_LEN ? "g" : ""); /* above every hex digit */
	int r = db_query(s->db, &st, err, "SELECT id FROM image WHERE tenant=?1 AND id>=?2 AND id<=?3 LIMIT 2", "sss", tenant, low, high);
	return r < 0 ? r : one_id(st, ref, ret_id, err);
}

static int find_by_name(struct image_store *s, const char *tenant, const struct image_ref *ref, char ret_id[DIGEST_TEXT_MAX], struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	char *name = str_printf("%s/%s", ref->domain, ref->path);
	if (!name)
		return err_oom(err);
	int r = ref->digest ? db_query(s->db, &st, err, "SELECT image_id FROM image_digest WHERE tenant=?1 AND name=?2 AND digest=?3", "sss", tenant, name,
				       ref->digest) :
			      db_query(s->db, &st, err, "SELECT image_id FROM image_ref WHERE tenant=?1 AND name=?2 AND tag=?3", "sss", tenant, name, ref->tag);
	if (r >= 0)
		r = one_id(st, name, ret_id, err);
	st = db_done(st); /* before @name, which it borrows */
	free(name);
	return r;
}

int image_find_id(struct image_store *s, const char *tenant, const char *ref, char ret_id[DIGEST_TEXT_MAX], struct err *err)
{
	struct image_ref parsed = {0};
	struct err bad;
	/* a name wins over an id that happens to start alike; a whole id is never a name */
	int r = image_ref_parse(ref, &parsed, &bad);
	int found = r >= 0 ? find_by_name(s, tenant, &parsed, ret_id, err) : 0;
	image_ref_done(&parsed);
	if (found != 0)
		return found;
	found = find_by_prefix(s, tenant, ref, ret_id, err);
	if (found != 0 || r >= 0)
		return found;
	const char *hex = str_after(ref, "sha256:");
	if (id_is_prefix(hex ? hex : ref))
		return 0;
	if (err)
		*err = bad;
	return r;
}

int image_find(struct image_store *s, const char *tenant, const char *ref, struct image **ret, struct err *err)
{
	char id[DIGEST_TEXT_MAX];
	int r = image_find_id(s, tenant, ref, id, err);
	return r <= 0 ? r : read_image(s, tenant, id, ret, err);
}

static int read_ids(struct image_store *s, const char *tenant, char ***ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT id FROM image WHERE tenant=?1 ORDER BY created_ns DESC, id LIMIT ?2", "si", tenant, (int64_t) IMAGES_MAX);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		if (strv_push(ret, db_text(st, 0)) < 0)
			return err_oom(err);
	return r;
}

int image_list(struct image_store *s, const char *tenant, struct image ***ret, struct err *err)
{
	_cleanup_strv_ char **ids = NULL;
	int r = read_ids(s, tenant, &ids, err);
	if (r < 0)
		return r;
	struct image **v = calloc(strv_len(ids) + 1, sizeof(*v));
	if (!v)
		return err_oom(err);
	size_t n = 0;
	STRV_FOREACH(id, ids) {
		r = read_image(s, tenant, id, &v[n], err);
		if (r < 0)
			break;
		n += (size_t) r;
	}
	if (r < 0) {
		while (n > 0)
			(void) image_free(v[--n]);
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int image_layer_paths(struct image_store *s, const struct image *i, char ***ret, struct err *err)
{
	_cleanup_strv_ char **paths = NULL;
	for (size_t k = strv_len(i->chain_ids); k > 0; k--)
		if (strv_push_take(&paths, str_printf("%s/layers/%s/fs", s->root_path, i->chain_ids[k - 1] + strlen("sha256:"))) < 0)
			return err_oom(err);
	*ret = take_ptr(paths);
	return 0;
}

/* Are all the blobs and layers that the image's rows name there? What they hold is not looked at. */
static int is_whole(struct image_store *s, const char *tenant, const char *id, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	bool whole = true;
	int r = db_query(s->db, &st, err, "SELECT blob, chain_id FROM image_layer WHERE tenant=?1 AND image_id=?2 UNION ALL SELECT id, NULL FROM image WHERE tenant=?1 AND id=?2"
					  " UNION ALL SELECT manifest, NULL FROM image WHERE tenant=?1 AND id=?2 AND manifest IS NOT NULL", "ss", tenant, id);
	while (r >= 0 && whole && (r = db_step(st, err)) > 0) {
		struct stat sb;
		const char *blob = db_text(st, 0), *chain = db_text(st, 1);
		whole = digest_is_valid(blob) && fstatat(s->blobs, blob + strlen("sha256:"), &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
			(!chain || (digest_is_valid(chain) && fstatat(s->layers, chain + strlen("sha256:"), &sb, AT_SYMLINK_NOFOLLOW) == 0));
	}
	return r < 0 ? r : whole;
}

int image_is_current(struct image_store *s, const char *tenant, const struct image_ref *ref, const char *digest, const char *id, struct err *err)
{
	_cleanup_free_ char *name = str_printf("%s/%s", ref->domain, ref->path);
	_cleanup_stmt_ struct db_stmt *st = NULL;
	if (!name)
		return err_oom(err);
	int r = db_query(s->db, &st, err, "SELECT 1 FROM image_digest d WHERE d.tenant=?1 AND d.name=?2 AND d.digest=?3 AND d.image_id=?4 AND (?5 IS NULL OR EXISTS"
					  " (SELECT 1 FROM image_ref r WHERE r.tenant=?1 AND r.name=?2 AND r.tag=?5 AND r.image_id=?4))", "sssss", tenant, name,
			 digest, id, ref->tag);
	if (r >= 0)
		r = db_step(st, err);
	st = db_done(st); /* before @name, which it borrows */
	return r <= 0 ? r : is_whole(s, tenant, id, err);
}
