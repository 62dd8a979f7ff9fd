/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One archive that is two: an OCI layout (oci-layout, index.json, blobs/) with docker's manifest.json and repositories beside it, as docker
 * since 25 writes. Blobs leave as they came, compressed or not, so digests stay; each is hashed again on its way out.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/json.h"
#include "codec/tar_write.h"
#include "image/hasher.h"
#include "image/internal.h"
#include "image/parts.h"

enum { COPY_BUF = 1 << 20, DOCUMENT_MAX = 16 << 20, IMAGES_MAX = 1000 };

struct saved {
	char id[DIGEST_TEXT_MAX];
	char **names; /* owned; full "docker.io/library/x:tag" */
	struct image_parts parts;
};
struct save {
	struct image_store *s;
	const char *tenant;
	struct saved *v; /* owned */
	size_t n;
	struct tar_writer *w; /* owned */
	char **written;       /* owned; names of blobs that the archive has already */
};

static void save_done(struct save *a)
{
	for (size_t i = 0; i < a->n; i++) {
		strv_freep(&a->v[i].names);
		image_parts_done(&a->v[i].parts);
	}
	free(a->v);
	strv_freep(&a->written);
	(void) tar_writer_free(a->w);
}

/* What to save */

/* The image's row in the list; made when it is new. */
static int add_image(struct save *a, const char *id, struct saved **ret, struct err *err)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].id, id) == 0) {
			*ret = &a->v[i];
			return 0;
		}
	if (a->n >= IMAGES_MAX)
		return err_set(err, ERR_QUOTA, "more than %d images in one archive", IMAGES_MAX);
	struct saved *v = realloc(a->v, (a->n + 1) * sizeof(*v));
	if (!v)
		return err_oom(err);
	a->v = v;
	v[a->n] = (struct saved) {0};
	(void) str_copy(v[a->n].id, sizeof(v[a->n].id), id);
	*ret = &v[a->n++];
	return image_parts_read(a->s, a->tenant, id, &(*ret)->parts, err);
}

static int add_name(struct saved *i, const char *name, const char *tag, struct err *err)
{
	char *full = str_printf("%s:%s", name, tag);
	if (full && strv_has(i->names, full)) {
		free(full);
		return 0;
	}
	return strv_push_take(&i->names, full) < 0 ? err_oom(err) : 0;
}

/* A bare "busybox" means every tag it has, as docker reads it. Return: 1 when there was one. */
static int add_repository(struct save *a, const struct image_ref *ref, struct err *err)
{
	_cleanup_strv_ char **pairs = NULL;
	_cleanup_free_ char *name = str_printf("%s/%s", ref->domain, ref->path);
	struct db_stmt *st = NULL;
	int r = name ? db_query(a->s->db, &st, err, "SELECT tag, image_id FROM image_ref WHERE tenant=?1 AND name=?2 ORDER BY tag", "ss", a->tenant, name) : err_oom(err);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		if (strv_push(&pairs, db_text(st, 0)) < 0 || strv_push(&pairs, db_text(st, 1)) < 0)
			r = err_oom(err);
	st = db_done(st);
	for (size_t i = 0; r >= 0 && i + 1 < strv_len(pairs); i += 2) {
		struct saved *image;
		r = add_image(a, pairs[i + 1], &image, err);
		r = r < 0 ? r : add_name(image, name, pairs[i], err);
	}
	return r < 0 ? r : strv_len(pairs) > 0;
}

static bool is_bare_name(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return !strchr(ref, '@') && !strchr(slash ? slash : ref, ':');
}

static int add_ref(struct save *a, const char *text, struct err *err)
{
	struct image_ref ref = {0};
	struct saved *image;
	char id[DIGEST_TEXT_MAX];
	bool named = image_ref_parse(text, &ref, NULL) >= 0;
	int r = named && is_bare_name(text) ? add_repository(a, &ref, err) : 0;
	if (r == 0) {
		r = image_find_id(a->s, a->tenant, text, id, err);
		if (r == 0)
			r = err_set(err, ERR_NOT_FOUND, "No such image: %.200s", text);
		r = r < 0 ? r : add_image(a, id, &image, err);
		_cleanup_image_ struct image *full = NULL;
		if (r >= 0 && named && ref.tag && image_find(a->s, a->tenant, id, &full, err) > 0) { /* by name, or by an id that looks like one? */
			_cleanup_free_ char *shown = image_ref_familiar(&ref), *name = str_printf("%s/%s", ref.domain, ref.path);
			r = !shown || !name ? err_oom(err) : strv_has(full->refs, shown) ? add_name(image, name, ref.tag, err) : 0;
		}
	}
	image_ref_done(&ref);
	return MIN(r, 0);
}

/* The archive */

static int fail(int r, struct err *err)
{
	return r < 0 ? err_sys(err, r, "writing the archive") : 0;
}

static int put_head(struct save *a, const char *path, enum tar_type type, uint64_t size, struct err *err)
{
	const struct tar_entry e = {.type = type, .path = path, .link = "", .mode = type == TAR_DIR ? 0755 : 0644, .size = size, .data_size = size};
	return fail(tar_writer_entry(a->w, &e), err);
}

static int put_text(struct save *a, const char *path, const char *text, size_t len, struct err *err)
{
	int r = put_head(a, path, TAR_FILE, len, err);
	return r < 0 ? r : fail(tar_writer_data(a->w, text, len), err);
}

/* Return: 1 when the archive is yet to get the blob. */
static int claim(struct save *a, const char *digest, char path[96], struct err *err)
{
	(void) str_format(path, 96, "blobs/sha256/%s", digest + strlen("sha256:"));
	if (strv_has(a->written, path))
		return 0;
	return strv_push(&a->written, path) < 0 ? err_oom(err) : 1;
}

/* @buf: two pieces, one of which is still hashed while the other is read. */
static int copy_bytes(struct save *a, int fd, const struct image_part *b, char *buf, struct hasher *h, struct err *err)
{
	uint64_t left = b->size;
	for (unsigned turn = 0; left > 0; turn++) {
		char *piece = buf + (turn % 2) * COPY_BUF;
		ssize_t n = read_full(fd, piece, (size_t) MIN(left, (uint64_t) COPY_BUF));
		if (n <= 0)
			return n < 0 ? err_sys(err, (int) n, "reading blob %s", b->digest) : err_set(err, ERR_CORRUPT, "blob %s is shorter on disk", b->digest);
		hasher_give(h, piece, (size_t) n);
		int r = fail(tar_writer_data(a->w, piece, (size_t) n), err);
		if (r < 0)
			return r;
		left -= (uint64_t) n;
	}
	return 0;
}

static int copy_blob(struct save *a, int fd, const struct image_part *b, char *buf, struct err *err)
{
	struct hasher h;
	char hex[DIGEST_SHA256_HEX + 1];
	hasher_start(&h);
	int r = copy_bytes(a, fd, b, buf, &h, err);
	hasher_end(&h, hex);
	if (r < 0)
		return r;
	return strcmp(hex, b->digest + strlen("sha256:")) == 0 ? 0 : err_set(err, ERR_CORRUPT, "blob %s was changed on disk", b->digest);
}

static int put_blob(struct save *a, const struct image_part *b, char *buf, struct err *err)
{
	char path[96];
	uint64_t size;
	int r = claim(a, b->digest, path, err);
	if (r <= 0)
		return r;
	_cleanup_close_ int fd = image_blob_open(a->s, b->digest, &size, err);
	if (fd < 0)
		return fd;
	if (size != b->size)
		return err_set(err, ERR_CORRUPT, "blob %s has %llu bytes on disk, its descriptor says %llu", b->digest, (unsigned long long) size,
			       (unsigned long long) b->size);
	r = put_head(a, path, TAR_FILE, size, err);
	return r < 0 ? r : copy_blob(a, fd, b, buf, err);
}

static int put_blobs(struct save *a, struct err *err)
{
	_cleanup_free_ char *buf = malloc(2 * COPY_BUF);
	char path[96];
	if (!buf)
		return err_oom(err);
	int r = put_head(a, "blobs/", TAR_DIR, 0, err);
	if (r >= 0)
		r = put_head(a, "blobs/sha256/", TAR_DIR, 0, err);
	for (size_t i = 0; r >= 0 && i < a->n; i++) {
		const struct image_parts *p = &a->v[i].parts;
		for (size_t k = 0; r >= 0 && k < p->n; k++)
			r = put_blob(a, &p->blobs[k], buf, err);
		if (r >= 0)
			r = claim(a, p->digest, path, err);
		if (r > 0)
			r = put_text(a, path, p->text, p->len, err);
	}
	return r;
}

/* One image of index.json; with a name both as containerd and as the standard spell it. */
static void write_index_entry(struct json_writer *w, const struct image_parts *p, const char *name)
{
	jw_obj(w, NULL);
	jw_str(w, "mediaType", p->media_type);
	jw_str(w, "digest", p->digest);
	jw_uint(w, "size", p->len);
	if (name) {
		jw_obj(w, "annotations");
		jw_str(w, "io.containerd.image.name", name);
		jw_str(w, "org.opencontainers.image.ref.name", strrchr(name, ':') + 1);
		jw_end(w);
	}
	jw_end(w);
}

static void write_index(const struct save *a, struct json_writer *w)
{
	jw_obj(w, NULL);
	jw_int(w, "schemaVersion", 2);
	jw_str(w, "mediaType", "application/vnd.oci.image.index.v1+json");
	jw_arr(w, "manifests");
	for (size_t i = 0; i < a->n; i++) {
		STRV_FOREACH(name, a->v[i].names)
			write_index_entry(w, &a->v[i].parts, name);
		if (!a->v[i].names)
			write_index_entry(w, &a->v[i].parts, NULL);
	}
	jw_end(w);
	jw_end(w);
}

/* "busybox:latest" of a full name that the store wrote; docker.io falls away. */
static void write_tag(struct json_writer *w, const char *full)
{
	struct image_ref ref = {0};
	_cleanup_free_ char *shown = image_ref_parse(full, &ref, NULL) >= 0 ? image_ref_familiar(&ref) : NULL;
	jw_str(w, NULL, shown ? shown : full);
	image_ref_done(&ref);
}

static void write_manifest(const struct save *a, struct json_writer *w)
{
	char path[96];
	jw_arr(w, NULL);
	for (size_t i = 0; i < a->n; i++) {
		const struct image_parts *p = &a->v[i].parts;
		jw_obj(w, NULL);
		(void) str_format(path, sizeof(path), "blobs/sha256/%s", p->blobs[0].digest + strlen("sha256:"));
		jw_str(w, "Config", path);
		jw_arr(w, "RepoTags");
		STRV_FOREACH(name, a->v[i].names)
			write_tag(w, name);
		jw_end(w);
		jw_arr(w, "Layers");
		for (size_t k = 1; k < p->n; k++) {
			(void) str_format(path, sizeof(path), "blobs/sha256/%s", p->blobs[k].digest + strlen("sha256:"));
			jw_str(w, NULL, path);
		}
		jw_end(w);
		jw_end(w);
	}
	jw_end(w);
}

/* {"busybox":{"latest":"HEX of the top layer"}}; nothing reads the value any more. */
static void write_repositories(const struct save *a, struct json_writer *w)
{
	_cleanup_strv_ char **done = NULL;
	jw_obj(w, NULL);
	for (size_t i = 0; i < a->n; i++)
		STRV_FOREACH(name, a->v[i].names) {
			_cleanup_free_ char *repo = strndup(name, (size_t) (strrchr(name, ':') - name));
			struct image_ref ref = {0};
			if (!repo || strv_has(done, repo) || strv_push(&done, repo) < 0 || image_ref_parse(name, &ref, NULL) < 0)
				continue;
			free(take_ptr(ref.tag));
			_cleanup_free_ char *shown = image_ref_familiar(&ref);
			image_ref_done(&ref);
			jw_obj(w, shown ? shown : repo);
			for (size_t k = i; k < a->n; k++)
				STRV_FOREACH(other, a->v[k].names) {
					const char *tag = str_after(other, repo);
					const struct image_parts *p = &a->v[k].parts;
					if (tag && tag[0] == ':' && !strchr(tag, '/'))
						jw_str(w, tag + 1, p->blobs[p->n - 1].digest + strlen("sha256:"));
				}
			jw_end(w);
		}
	jw_end(w);
}

static int put_json(struct save *a, const char *path, void (*write)(const struct save *a, struct json_writer *w), struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(DOCUMENT_MAX);
	struct json_writer w;
	jw_init(&w, &b);
	write(a, &w);
	return strbuf_err(&b) < 0 ? err_sys(err, strbuf_err(&b), "writing %s", path) : put_text(a, path, b.s, b.len, err);
}

static int write_archive(struct save *a, struct err *err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	int r = put_blobs(a, err);
	if (r >= 0)
		r = put_json(a, "index.json", write_index, err);
	if (r >= 0)
		r = put_json(a, "manifest.json", write_manifest, err);
	if (r >= 0)
		r = put_text(a, "oci-layout", layout, strlen(layout), err);
	if (r >= 0)
		r = put_json(a, "repositories", write_repositories, err);
	return r < 0 ? r : fail(tar_writer_end(a->w), err);
}

int image_save(struct image_store *s, const char *tenant, char *const *refs, const struct image_sink *sink, struct err *err)
{
	struct save a = {.s = s, .tenant = tenant};
	_cleanup_close_ int hold = image_hold(s, err);
	int r = MIN(hold, 0);
	STRV_FOREACH(ref, refs)
		r = r < 0 ? r : add_ref(&a, ref, err);
	if (r >= 0 && a.n == 0)
		r = err_set(err, ERR_INVALID, "no image was named");
	if (r >= 0 && tar_writer_new(sink->write, sink->ctx, &a.w) < 0)
		r = err_oom(err);
	if (r >= 0)
		r = write_archive(&a, err);
	save_done(&a);
	return r;
}
