/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image is made of when it leaves: its manifest, its config, its layers, each a blob with a size and a media type. The manifest that the
 * image came with is kept as it was, to the byte, so that its digest stays; an image that came without one (docker's old
 * archives, import, commit) gets one made here, the same each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "image/internal.h"
#include "image/parts.h"

enum { MANIFEST_MAX = 4 << 20 };
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"

void image_parts_done(struct image_parts *p)
{
	free(p->media_type);
	free(p->text);
	for (size_t i = 0; i < p->n; i++)
		free(p->blobs[i].media_type);
	free(p->blobs);
	*p = (struct image_parts) {0};
}

int image_blob_open(struct image_store *s, const char *digest, uint64_t *ret_size, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = blob_open(s, digest);
	if (fd < 0)
		return err_sys(err, fd, "opening blob %s", digest);
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "opening blob %s", digest);
	*ret_size = (uint64_t) st.st_size;
	return take_fd(&fd);
}

/* Told by the first bytes, as the unpacker does. */
static const char *layer_media_type(int fd)
{
	unsigned char b[4] = {0};
	if (pread(fd, b, sizeof(b), 0) == (ssize_t) sizeof(b)) {
		if (b[0] == 0x1f && b[1] == 0x8b)
			return OCI_LAYER "+gzip";
		if (b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd)
			return OCI_LAYER "+zstd";
	}
	return OCI_LAYER;
}

static int add_blob(struct image_parts *p, const char *digest, uint64_t size, const char *media_type, struct err *err)
{
	struct image_part *v = realloc(p->blobs, (p->n + 1) * sizeof(*v));
	if (!v)
		return err_oom(err);
	p->blobs = v;
	v[p->n] = (struct image_part) {.size = size, .media_type = strdup(media_type)};
	(void) str_copy(v[p->n].digest, sizeof(v[p->n].digest), digest);
	return v[p->n++].media_type ? 0 : err_oom(err);
}

/* The blob with its size, and the media type that its bytes show. */
static int add_found(struct image_store *s, struct image_parts *p, const char *digest, const char *media_type, struct err *err)
{
	uint64_t size;
	_cleanup_close_ int fd = image_blob_open(s, digest, &size, err);
	return fd < 0 ? fd : add_blob(p, digest, size, media_type ? media_type : layer_media_type(fd), err);
}

/* Is every blob that @d names there, with the size it says? */
static bool is_whole(struct image_store *s, const struct descriptor *d)
{
	struct stat st;
	return fstatat(s->blobs, d->digest + strlen("sha256:"), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (uint64_t) st.st_size == d->size;
}

static int take_manifest(struct image_store *s, const char *id, const struct manifest *m, size_t n_layers, struct image_parts *p, struct err *err)
{
	bool whole = strcmp(m->config.digest, id) == 0 && m->n_layers == n_layers && is_whole(s, &m->config);
	for (size_t i = 0; whole && i < m->n_layers; i++)
		whole = is_whole(s, &m->layers[i]);
	if (!whole)
		return 0;
	int r = add_blob(p, m->config.digest, m->config.size, m->config.media_type, err);
	for (size_t i = 0; r >= 0 && i < m->n_layers; i++)
		r = add_blob(p, m->layers[i].digest, m->layers[i].size, m->layers[i].media_type, err);
	return r < 0 ? r : 1;
}

/* The manifest that came with the image. Return: 1; 0 when it or a layer that it names is not kept any more. */
static int read_kept(struct image_store *s, const char *id, const char *digest, size_t n_layers, struct image_parts *p, struct err *err)
{
	char found[DIGEST_TEXT_MAX];
	uint64_t size;
	struct manifest *m = NULL;
	_cleanup_close_ int fd = blob_open(s, digest);
	if (fd < 0)
		return 0;
	int r = blob_hash(fd, found, &size, err);
	if (r >= 0 && strcmp(found, digest) != 0)
		return err_set(err, ERR_CORRUPT, "the manifest of image %.19s was changed on disk", id);
	if (r < 0)
		return r;
	ssize_t n = read_file(s->blobs, digest + strlen("sha256:"), MANIFEST_MAX, &p->text);
	if (n < 0)
		return err_sys(err, (int) n, "reading manifest %s", digest);
	p->len = (size_t) n;
	r = manifest_parse(p->text, p->len, &m, err);
	if (r >= 0)
		r = take_manifest(s, id, m, n_layers, p, err);
	if (r > 0) {
		(void) str_copy(p->digest, sizeof(p->digest), digest);
		p->media_type = strdup(m->media_type ? m->media_type : OCI_MANIFEST);
		r = p->media_type ? 1 : err_oom(err);
	}
	(void) manifest_free(m);
	return r;
}

static void write_descriptor(struct json_writer *w, const char *key, const struct image_part *b)
{
	jw_obj(w, key);
	jw_str(w, "mediaType", b->media_type);
	jw_str(w, "digest", b->digest);
	jw_uint(w, "size", b->size);
	jw_end(w);
}

static int make_manifest(struct image_parts *p, struct err *err)
{
	struct strbuf b = STRBUF_INIT(MANIFEST_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_int(&w, "schemaVersion", 2);
	jw_str(&w, "mediaType", OCI_MANIFEST);
	write_descriptor(&w, "config", &p->blobs[0]);
	jw_arr(&w, "layers");
	for (size_t i = 1; i < p->n; i++)
		write_descriptor(&w, NULL, &p->blobs[i]);
	jw_end(&w);
	jw_end(&w);
	free(p->text);
	p->len = b.len;
	p->text = strbuf_steal(&b);
	p->media_type = strdup(OCI_MANIFEST);
	if (!p->text || !p->media_type)
		return err_oom(err);
	memcpy(p->digest, "sha256:", 7);
	digest_sha256_hex(p->text, p->len, p->digest + 7);
	return 0;
}

static int read_layers(struct image_store *s, const char *tenant, const char *id, char ***ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT blob FROM image_layer WHERE tenant=?1 AND image_id=?2 ORDER BY pos", "ss", tenant, id);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		if (strv_push(ret, db_text(st, 0)) < 0)
			return err_oom(err);
	return r;
}

static int read_manifest_digest(struct image_store *s, const char *tenant, const char *id, char ret[DIGEST_TEXT_MAX], struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(s->db, &st, err, "SELECT manifest FROM image WHERE tenant=?1 AND id=?2", "ss", tenant, id);
	if (r >= 0)
		r = db_step(st, err);
	if (r > 0)
		(void) str_copy(ret, DIGEST_TEXT_MAX, db_text(st, 0) ?: "");
	return r;
}

int image_parts_read(struct image_store *s, const char *tenant, const char *id, struct image_parts *ret, struct err *err)
{
	_cleanup_strv_ char **layers = NULL;
	struct image_parts p = {0};
	char manifest[DIGEST_TEXT_MAX] = "";
	int r = read_manifest_digest(s, tenant, id, manifest, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %s", id);
	if (r >= 0)
		r = read_layers(s, tenant, id, &layers, err);
	if (r >= 0 && manifest[0])
		r = read_kept(s, id, manifest, strv_len(layers), &p, err);
	if (r == 0) {
		r = add_found(s, &p, id, OCI_CONFIG, err);
		STRV_FOREACH(l, layers)
			r = r < 0 ? r : add_found(s, &p, l, NULL, err);
		r = r < 0 ? r : make_manifest(&p, err);
		p.made = true;
	}
	if (r < 0) {
		image_parts_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

bool image_part_is_plain(const struct image_part *p)
{
	return layer_coding_from_media_type(p->media_type) == LAYER_PLAIN;
}

static int set_media_type(struct image_part *p, const char *media_type, struct err *err)
{
	char *copy = strdup(media_type);
	if (!copy)
		return err_oom(err);
	free(p->media_type);
	p->media_type = copy;
	return 0;
}

int image_parts_replace(struct image_parts *p, size_t i, const struct image_packed *k, struct err *err)
{
	(void) str_copy(p->blobs[i].digest, sizeof(p->blobs[i].digest), k->digest);
	p->blobs[i].size = k->size;
	return set_media_type(&p->blobs[i], OCI_LAYER "+gzip", err);
}

int image_parts_remake(struct image_parts *p, struct err *err)
{
	free(p->media_type);
	p->media_type = NULL;
	return make_manifest(p, err);
}
