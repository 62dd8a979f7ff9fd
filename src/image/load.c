/* SPDX-License-Identifier: Apache-2.0 */
/* What all ways into the store share: things pending in the load's own directory, one image after the other, one commit (I2). */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "image/internal.h"

enum { CONFIG_MAX = 8 << 20, INDEX_MAX = 4 << 20, WAIT_MS = 100 };

int load_begin(struct image_store *s, const char *tenant, const struct image_progress *p, struct load *ret, struct err *err)
{
	*ret = (struct load) {.s = s, .tenant = tenant, .progress = p};
	(void) pthread_mutex_init(&ret->lock, NULL); /* cannot fail with default attributes */
	(void) pthread_cond_init(&ret->moved, NULL); /* as above */
	return work_begin(s, &ret->work, err);
}

void load_done(struct load *l)
{
	for (size_t i = 0; i < l->n_layers; i++)
		(void) safe_close(l->layers[i].fs);
	free(l->layers);
	free(l->blobs);
	for (size_t i = 0; i < l->n_images; i++) {
		strv_freep(&l->images[i].names);
		free(l->images[i].layers);
	}
	free(l->images);
	work_end(l->s, &l->work);
	(void) pthread_cond_destroy(&l->moved);
	(void) pthread_mutex_destroy(&l->lock);
}

unsigned load_count(struct load *l)
{
	(void) pthread_mutex_lock(&l->lock);
	unsigned n = l->work.counter++;
	(void) pthread_mutex_unlock(&l->lock);
	return n;
}

bool load_is_stopped(const struct load *l)
{
	return atomic_load(&l->stop) || (l->cancel && atomic_load(l->cancel));
}

int load_cancelled(struct err *err)
{
	(void) err_set(err, ERR_SYSTEM, "cancelled");
	return err ? (err->sys = -ECANCELED) : -ECANCELED;
}

void load_wait(struct load *l)
{
	struct timespec ts;
	(void) clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	ts.tv_nsec += WAIT_MS * 1000000L;
	ts.tv_sec += ts.tv_nsec / 1000000000L;
	ts.tv_nsec %= 1000000000L;
	(void) pthread_cond_timedwait(&l->moved, &l->lock, &ts);
}

void load_report(struct load *l, const char *id, const char *status, uint64_t current, uint64_t total)
{
	char shorter[16];
	const char *hex = str_after(id, "sha256:");
	(void) str_format(shorter, sizeof(shorter), "%.12s", hex ? hex : id);
	(void) pthread_mutex_lock(&l->lock);
	if (l->progress && l->progress->fn)
		l->progress->fn(l->progress->ctx, shorter, status, current, total);
	(void) pthread_mutex_unlock(&l->lock);
}

struct pending *load_pending(struct pending *v, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].id, id) == 0)
			return &v[i];
	return NULL;
}

int load_add_pending(struct pending **v, size_t *n, const struct pending *p, struct err *err)
{
	struct pending *grown = realloc(*v, (*n + 1) * sizeof(*grown));
	if (!grown)
		return err_oom(err);
	*v = grown;
	grown[(*n)++] = *p;
	return 0;
}

static int check_want(const char *want, uint64_t want_size, const char *digest, uint64_t size, struct err *err)
{
	if (want && size != want_size)
		return err_set(err, ERR_CORRUPT, "blob %s: wrong size: it has %llu bytes, its descriptor says %llu", want, (unsigned long long) size,
			       (unsigned long long) want_size);
	if (want && strcmp(want, digest) != 0)
		return err_set(err, ERR_CORRUPT, "blob %s: wrong digest: its content has %s", want, digest);
	return 0;
}

int load_blob(struct load *l, int dir, const char *name, const char *want, uint64_t want_size, char ret[DIGEST_TEXT_MAX], struct err *err)
{
	struct pending p = {.dir = dir, .fs = -EBADF};
	/* the same staged file may be a layer of several images: it was hashed once, and nobody could touch it since */
	for (size_t i = 0; i < l->n_blobs; i++)
		if (l->blobs[i].dir == dir && strcmp(l->blobs[i].name, name) == 0) {
			(void) str_copy(ret, DIGEST_TEXT_MAX, l->blobs[i].id);
			return check_want(want, want_size, l->blobs[i].id, l->blobs[i].size, err);
		}
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "opening a staged blob");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "a staged blob is not a regular file");
	if (want && (uint64_t) st.st_size != want_size) /* before the time to hash it is spent */
		return check_want(want, want_size, "", (uint64_t) st.st_size, err);
	int r = blob_hash(fd, p.id, &p.size, err);
	if (r >= 0)
		r = check_want(want, want_size, p.id, p.size, err);
	if (r < 0)
		return r;
	(void) str_copy(p.name, sizeof(p.name), name);
	(void) str_copy(ret, DIGEST_TEXT_MAX, p.id);
	return load_add_pending(&l->blobs, &l->n_blobs, &p, err);
}

int load_put_text(struct load *l, const char *text, size_t len, char ret[DIGEST_TEXT_MAX], struct err *err)
{
	char name[48];
	(void) str_format(name, sizeof(name), "text%u", load_count(l));
	int r = write_file_atomic(l->work.fd, name, text, len, 0600);
	return r < 0 ? err_sys(err, r, "writing a blob") : load_blob(l, l->work.fd, name, NULL, 0, ret, err);
}

int load_blob_fd(struct load *l, const char *digest, uint64_t *ret_size, struct err *err)
{
	const struct pending *p = load_pending(l->blobs, l->n_blobs, digest);
	int fd = p ? openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : blob_open(l->s, digest);
	struct stat st;
	if (fd < 0)
		return err_sys(err, p ? -errno : fd, "opening blob %s", digest);
	if (fstat(fd, &st) < 0) {
		(void) safe_close(fd);
		return err_sys(err, -errno, "opening blob %s", digest);
	}
	*ret_size = (uint64_t) st.st_size;
	return fd;
}

int load_text(struct load *l, const char *digest, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	uint64_t size;
	_cleanup_close_ int fd = load_blob_fd(l, digest, &size, err);
	if (fd < 0)
		return fd;
	if (size > max)
		return err_set(err, ERR_QUOTA, "blob %s: %llu bytes of JSON, at most %zu are taken", digest, (unsigned long long) size, max);
	char *text = malloc((size_t) size + 1);
	if (!text)
		return err_oom(err);
	ssize_t n = read_full(fd, text, (size_t) size);
	if (n < 0) {
		free(text);
		return err_sys(err, (int) n, "reading blob %s", digest);
	}
	text[n] = '\0';
	*ret = text;
	*ret_len = (size_t) n;
	return 0;
}

static int check_config(const struct image_config *c, size_t n_blobs, struct err *err)
{
	if (c->os && *c->os && strcmp(c->os, "linux") != 0)
		return err_set(err, ERR_UNSUPPORTED, "the image is for '%.20s', and only linux images run here", str_is_plain(c->os) ? c->os : "?");
	if (strv_len(c->diff_ids) != n_blobs)
		return err_set(err, ERR_CORRUPT, "its config names %zu layers, its manifest %zu", strv_len(c->diff_ids), n_blobs);
	if (n_blobs > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_QUOTA, "%zu layers, at most %d are taken", n_blobs, IMAGE_LAYERS_MAX);
	return 0;
}

static int make_layers(struct load *l, struct load_image *i, const struct image_config *c, char *const *blobs, struct err *err)
{
	for (size_t k = 0; k < i->n_layers; k++) {
		struct load_layer *layer = &i->layers[k];
		(void) str_copy(layer->diff_id, sizeof(layer->diff_id), c->diff_ids[k]);
		(void) str_copy(layer->blob, sizeof(layer->blob), blobs[k]);
	}
	return layers_make(l, i->layers, i->n_layers, err);
}

static int add_image(struct load *l, struct load_image *i, struct err *err)
{
	struct load_image *v = realloc(l->images, (l->n_images + 1) * sizeof(*v));
	if (!v)
		return err_oom(err);
	l->images = v;
	v[l->n_images++] = *i;
	*i = (struct load_image) {0};
	return 0;
}

int load_add_image(struct load *l, const char *config_digest, const char *manifest_digest, char *const *blobs, char *const *names, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	struct image_config *c = NULL;
	struct load_image i = {.n_layers = strv_len(blobs)};
	int r = load_text(l, config_digest, CONFIG_MAX, &text, &len, err);
	if (r >= 0)
		r = image_config_parse(text, len, &c, err);
	if (r >= 0)
		r = check_config(c, i.n_layers, err);
	if (r >= 0) {
		(void) str_copy(i.id, sizeof(i.id), config_digest);
		(void) str_copy(i.manifest, sizeof(i.manifest), manifest_digest ? manifest_digest : "");
		i.created_ns = c->created_ns;
		i.layers = calloc(MAX(i.n_layers, (size_t) 1), sizeof(*i.layers));
		if (!i.layers || strv_dup(names, &i.names) < 0)
			r = err_oom(err);
	}
	if (r >= 0)
		r = make_layers(l, &i, c, blobs, err);
	if (r >= 0)
		r = add_image(l, &i, err);
	strv_freep(&i.names);
	free(i.layers);
	(void) image_config_free(c);
	return r;
}

static int move_blob(struct load *l, const struct pending *p)
{
	const char *hex = p->id + strlen("sha256:");
	if (!p->shared)
		return renameat(p->dir, p->name, l->s->blobs, hex) < 0 && errno != ENOENT ? -errno : 0; /* ENOENT: two names of one content */
	return linkat(p->dir, p->name, l->s->blobs, hex, 0) < 0 && errno != EEXIST && errno != ENOENT ? -errno : 0; /* another load was faster */
}

static int move_blobs(struct load *l, struct err *err)
{
	for (size_t i = 0; i < l->n_blobs; i++) {
		int r = move_blob(l, &l->blobs[i]);
		if (r < 0)
			return err_sys(err, r, "storing blob %s", l->blobs[i].id);
	}
	return 0;
}

static void drop_shared(struct load *l)
{
	for (size_t i = 0; i < l->n_blobs; i++)
		if (l->blobs[i].shared)
			(void) unlinkat(l->blobs[i].dir, l->blobs[i].name, 0); /* one that stays is collected in time */
}

static int move_layers(struct load *l, struct err *err)
{
	for (size_t i = 0; i < l->n_layers; i++) {
		const struct pending *p = &l->layers[i];
		if (renameat(p->dir, p->name, l->s->layers, p->id + strlen("sha256:")) == 0)
			continue;
		if (errno != EEXIST && errno != ENOTEMPTY) /* another load was faster with the same layer: ours goes with the work */
			return err_sys(err, -errno, "storing layer %s", p->id);
	}
	return 0;
}

/* What was loaded, for people: its names, or its id. */
static int tell(const struct load *l, char ***ret_refs, struct err *err)
{
	_cleanup_strv_ char **refs = NULL;
	for (size_t i = 0; i < l->n_images; i++) {
		const struct load_image *m = &l->images[i];
		if (!m->names && strv_push(&refs, m->id) < 0)
			return err_oom(err);
		STRV_FOREACH(n, m->names) {
			struct image_ref ref = {0};
			int r = image_ref_parse(n, &ref, err);
			if (r < 0)
				return r;
			r = strv_push_take(&refs, image_ref_familiar(&ref));
			image_ref_done(&ref);
			if (r < 0)
				return err_oom(err);
		}
	}
	*ret_refs = take_ptr(refs);
	return 0;
}

int load_commit(struct load *l, char ***ret_refs, struct err *err)
{
	char **refs = NULL;
	if (l->n_images == 0)
		return err_set(err, ERR_INVALID, "the archive holds no image");
	l->s->loaded = true;
	int r = tell(l, &refs, err);
	r = r < 0 ? r : fault_point("image.load.staged", err);
	if (r >= 0 && syncfs(l->work.fd) < 0)
		r = err_sys(err, -errno, "syncing");
	if (r >= 0)
		r = move_blobs(l, err);
	r = r < 0 ? r : fault_point("image.load.blobs", err);
	if (r >= 0)
		r = move_layers(l, err);
	r = r < 0 ? r : fault_point("image.load.layers", err);
	if (r >= 0 && (fsync(l->s->blobs) < 0 || fsync(l->s->layers) < 0))
		r = err_sys(err, -errno, "syncing");
	if (r >= 0)
		r = db_begin(l->s->db, err);
	if (r >= 0) {
		for (size_t i = 0; r >= 0 && i < l->n_images; i++)
			r = rows_register(l->s, l->tenant, &l->images[i], err);
		r = r < 0 ? r : fault_point("image.load.rows", err);
		if (r < 0)
			db_rollback(l->s->db);
		else
			r = db_commit(l->s->db, err);
		fault_mark("image.load.committed");
		if (r >= 0)
			drop_shared(l);
		fault_mark("image.load.dropped");
	}
	if (r < 0) {
		l->s->gc_wanted = true; /* what was moved already is in no row */
		strv_freep(&refs);
		return r;
	}
	*ret_refs = refs;
	return 0;
}

static int ask_permit(const struct load *l, const char *kind, struct err *err)
{
	return l->permit ? l->permit->fn(l->permit->ctx, kind, err) : 0;
}

static int load_archive(struct archive *a, struct err *err)
{
	_cleanup_free_ char *docker = NULL, *text = NULL;
	size_t len = 0;
	int r = archive_text(a, "manifest.json", INDEX_MAX, &docker, &len, err);
	if (r > 0) {
		r = ask_permit(a->l, "docker-archive", err);
		r = r < 0 ? r : load_docker(a, docker, len, err);
		if (r >= 0)
			load_oci_manifests(a);
		return r;
	}
	if (r >= 0)
		r = archive_text(a, "index.json", INDEX_MAX, &text, &len, err);
	if (r > 0) {
		r = ask_permit(a->l, "oci-archive", err);
		return r < 0 ? r : load_oci(a, text, len, err);
	}
	if (r < 0)
		return r;
	r = archive_text(a, "repositories", INDEX_MAX, &text, &len, err);
	if (r > 0)
		return err_set(err, ERR_UNSUPPORTED, "the archive has 'repositories' but no 'manifest.json': it was saved by docker before 1.10; load and save it with "
						     "a newer docker first");
	return r < 0 ? r : err_set(err, ERR_INVALID, "the archive has neither 'manifest.json' nor 'index.json': not an image archive (a root filesystem is taken by "
						     "'import')");
}

static int load_from(struct image_store *s, const char *tenant, int fd, bool layout, const struct image_permit *permit, const struct image_progress *p, char ***ret_refs, struct err *err)
{
	struct load l;
	struct archive a = {.dir = -EBADF};
	int r = load_begin(s, tenant, p, &l, err);
	if (r < 0)
		return r;
	l.permit = permit;
	r = layout ? archive_layout(&l, fd, &a, err) : archive_split(&l, fd, &a, err);
	if (r >= 0)
		r = load_archive(&a, err);
	if (r >= 0)
		r = load_commit(&l, ret_refs, err);
	archive_done(&a);
	load_done(&l);
	return MIN(r, 0);
}

int image_load(struct image_store *s, const char *tenant, int fd, const struct image_permit *permit, const struct image_progress *p, char ***ret_refs, struct err *err)
{
	return load_from(s, tenant, fd, /* layout= */ false, permit, p, ret_refs, err);
}

int image_load_layout(struct image_store *s, const char *tenant, int dir_fd, const struct image_progress *p, char ***ret_refs, struct err *err)
{
	return load_from(s, tenant, dir_fd, /* layout= */ true, /* permit= */ NULL, p, ret_refs, err);
}
