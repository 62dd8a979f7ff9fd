/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding. Everything happens beside running pulls and loads, with images.lock shared; what was unpacked for a comparison and differs is kept until the
 * end, both as the layer below of those that follow and as what replaces the bad one. Then, with the lock held alone, what is found is mended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "image/check_internal.h"
#include "image/compare.h"
#include "kernel/path.h"

enum { DETAILS_MAX = 50, BUSY_MS = 3000, BUSY_REPAIR_MS = 60000, BUSY_STEP_MS = 20 };

static const char *const flaw_names[FLAW_MAX_] = {
	"blob-missing", "blob-changed", "layer-missing", "layer-changed", "row-wrong", "row-stray", "stray",
};
static const char *const outcome_names[OUTCOME_MAX_] = {"found", "repaired", "needs-pull", "in-use", "busy"};

const char *image_flaw_name(enum image_flaw_kind kind)
{
	return flaw_names[kind];
}

const char *image_outcome_name(enum image_outcome o)
{
	return outcome_names[o];
}

/* Flaws */

struct image_flaw *check_flaw(struct check *k, enum image_flaw_kind kind, const char *object, struct err *err)
{
	struct image_flaw *v = realloc(k->flaws, (k->n_flaws + 1) * sizeof(*v));
	if (v)
		k->flaws = v;
	char *copy = v ? strdup(object) : NULL;
	if (!copy) {
		(void) err_oom(err);
		return NULL;
	}
	v[k->n_flaws] = (struct image_flaw) {.kind = kind, .object = copy};
	return &v[k->n_flaws++];
}

void check_detail(struct image_flaw *f, const char *fmt, ...)
{
	char text[700];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (f->n_details++ < DETAILS_MAX)
		(void) strv_push(&f->details, text); /* without memory it is counted */
}

/* Names of image @i, for people. */
static int add_names(struct check *k, struct image_flaw *f, const struct image_row *i, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	char id[16];
	size_t n = 0;
	int r = db_query(k->l.s->db, &st, err, "SELECT name||':'||tag FROM image_ref WHERE tenant=?1 AND image_id=?2 ORDER BY 1", "ss", i->tenant, i->id);
	for (; r >= 0 && (r = db_step(st, err)) > 0; n++) {
		struct image_ref ref = {0};
		char *shown = image_ref_parse(db_text(st, 0), &ref, NULL) >= 0 ? image_ref_familiar(&ref) : strdup(db_text(st, 0));
		image_ref_done(&ref);
		if (!shown)
			return err_oom(err);
		if (strv_has(f->images, shown))
			free(shown);
		else if (strv_push_take(&f->images, shown) < 0)
			return err_oom(err);
	}
	(void) str_format(id, sizeof(id), "%.12s", hex_of(i->id));
	if (r >= 0 && n == 0 && !strv_has(f->images, id) && strv_push(&f->images, id) < 0)
		return err_oom(err);
	return MIN(r, 0);
}

int check_hits(struct image_flaw *f, const struct image_row *i, struct err *err)
{
	if (strv_has(f->image_ids, i->id))
		return 0;
	return strv_push(&f->image_ids, i->id) < 0 ? err_oom(err) : 0;
}

static bool names_blob(const struct image_row *i, const char *digest)
{
	bool named = str_eq(i->id, digest) || str_eq(i->manifest, digest);
	for (size_t n = 0; n < i->n_layers && !named; n++)
		named = str_eq(i->layers[n].blob, digest);
	return named;
}

static bool names_layer(const struct image_row *i, const char *chain)
{
	for (size_t n = 0; n < i->n_layers; n++)
		if (str_eq(i->layers[n].chain, chain))
			return true;
	return false;
}

/* A flaw of a blob or layer, with all images that need it. */
static struct image_flaw *flaw_of(struct check *k, enum image_flaw_kind kind, const char *digest, struct err *err)
{
	struct image_flaw *f = check_flaw(k, kind, digest, err);
	bool layer = kind == FLAW_LAYER_MISSING || kind == FLAW_LAYER_CHANGED;
	for (size_t i = 0; f && i < k->n_images; i++)
		if ((layer ? names_layer(&k->images[i], digest) : names_blob(&k->images[i], digest)) && check_hits(f, &k->images[i], err) < 0)
			f = NULL;
	return f;
}

static void flaw_done(struct image_flaw *f)
{
	free(f->object);
	strv_freep(&f->details);
	strv_freep(&f->image_ids);
	strv_freep(&f->images);
	strv_freep(&f->containers);
}

static int cancelled(struct check *k, struct err *err)
{
	if (!k->c->cancel || !atomic_load(k->c->cancel))
		return 0;
	(void) err_set(err, ERR_SYSTEM, "cancelled");
	return err->sys = -ECANCELED;
}

/* Blobs */

static int by_digest(const void *a, const void *b)
{
	return strcmp(((const struct checked_blob *) a)->digest, ((const struct checked_blob *) b)->digest);
}

struct checked_blob *check_blob(const struct check *k, const char *digest)
{
	struct checked_blob key;
	if (str_copy(key.digest, sizeof(key.digest), digest) < 0 || k->n_blobs == 0)
		return NULL;
	return bsearch(&key, k->blobs, k->n_blobs, sizeof(key), by_digest);
}

static int list_blobs(struct check *k, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int r = db_query(k->l.s->db, &st, err,
			 "SELECT d, min(spare) FROM (SELECT id AS d, 0 AS spare FROM image UNION ALL SELECT manifest, 0 FROM image WHERE manifest IS NOT NULL UNION ALL"
			 " SELECT l.blob, 0 FROM image_layer l JOIN image i ON i.tenant=l.tenant AND i.id=l.image_id UNION ALL SELECT digest, 1 FROM image_digest) GROUP BY d ORDER BY d", "");
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		if (!digest_is_valid(db_text(st, 0)))
			continue; /* told with the image's rows */
		struct checked_blob *v = realloc(k->blobs, (k->n_blobs + 1) * sizeof(*v));
		if (!v)
			return err_oom(err);
		k->blobs = v;
		v[k->n_blobs] = (struct checked_blob) {.spare = db_int(st, 1)};
		(void) str_copy(v[k->n_blobs++].digest, sizeof(v->digest), db_text(st, 0)); /* a valid one fits */
	}
	if (r >= 0 && k->n_blobs)
		qsort(k->blobs, k->n_blobs, sizeof(*k->blobs), by_digest);
	return r;
}

static int hash_blob(struct check *k, struct checked_blob *b, struct err *err)
{
	char found[DIGEST_TEXT_MAX] = "";
	uint64_t size = 0;
	struct err why;
	struct image_flaw *f = NULL;
	_cleanup_close_ int fd = blob_open(k->l.s, b->digest);
	load_report(&k->l, b->digest, "Checking blob", 0, 0);
	if (fd == -ENOENT && b->spare)
		return 0;
	if (fd == -ENOENT)
		return flaw_of(k, FLAW_BLOB_MISSING, b->digest, err) ? 0 : -ENOMEM;
	k->c->blobs++;
	int r = fd < 0 ? err_sys(&why, fd, "opening it") : blob_hash(fd, found, &size, &why);
	k->c->bytes += size;
	b->good = r >= 0 && str_eq(found, b->digest);
	if (b->good)
		return 0;
	f = flaw_of(k, FLAW_BLOB_CHANGED, b->digest, err);
	if (!f)
		return -ENOMEM;
	if (r < 0) /* a disk that cannot read it has lost it */
		check_detail(f, "%s", why.msg);
	else
		check_detail(f, "its %llu bytes have %s", (unsigned long long) size, found);
	return 0;
}

static int check_blobs(struct check *k, struct err *err)
{
	int r = list_blobs(k, err);
	for (size_t i = 0; r >= 0 && i < k->n_blobs; i++) {
		r = cancelled(k, err);
		r = r < 0 ? r : hash_blob(k, &k->blobs[i], err);
	}
	return r;
}

/* Layers */

static struct checked_layer *find_layer(const struct check *k, const char *chain)
{
	for (size_t i = 0; i < k->n_layers; i++)
		if (str_eq(k->layers[i].chain, chain))
			return &k->layers[i];
	return NULL;
}

/* A good blob that some row says the layer comes as. */
static const char *good_blob(const struct check *k, const char *chain)
{
	for (size_t i = 0; i < k->n_images; i++)
		for (size_t n = 0; n < k->images[i].n_layers; n++) {
			const struct layer_row *l = &k->images[i].layers[n];
			const struct checked_blob *b = str_eq(l->chain, chain) ? check_blob(k, l->blob) : NULL;
			if (b && b->good)
				return b->digest;
		}
	return NULL;
}

struct comparing {
	struct check *k;
	struct image_flaw *f; /* NULL until something differs; borrowed until the next flaw */
	const char *chain;
	uint64_t size;
	bool failed;
};

static void differs(void *ctx, const char *path, const char *how)
{
	struct comparing *x = ctx;
	struct err ignored;
	if (!x->f)
		x->f = flaw_of(x->k, FLAW_LAYER_CHANGED, x->chain, &ignored);
	if (x->f)
		check_detail(x->f, "%s: %s", *path ? path : "/", how);
	else
		x->failed = true;
}

static void on_bytes(void *ctx, uint64_t bytes)
{
	const struct comparing *x = ctx;
	load_report(&x->k->l, x->chain, "Comparing", MIN(bytes, x->size), x->size);
}

/* Beside fs/ a layer has meta.json, and nothing else. */
static void check_meta(struct comparing *x)
{
	uint64_t size = 0;
	if (layer_read_size(x->k->l.s, x->chain, &size) == 0)
		differs(x, "meta.json", "cannot be read");
	else if (size != x->size)
		differs(x, "meta.json", "another size");
}

static int compare_layer(struct comparing *x, int fresh, int stored, const struct timespec *born, struct err *err)
{
	const struct compare c = {.fresh = fresh, .stored = stored, .born = *born, .differs = differs, .progress = on_bytes, .ctx = x, .cancel = x->k->c->cancel};
	int64_t n = tree_compare(&c, err);
	check_meta(x);
	return n < 0 ? (int) n : x->failed ? err_oom(err) : 0;
}

static void drop_pending(struct check *k)
{
	struct pending *p = &k->l.layers[--k->l.n_layers];
	(void) safe_close(p->fs);
	(void) rm_rf_at(p->dir, p->name); /* what stays goes with the work */
}

/* The file system's idea of now: what it gives a file that is made in this moment. */
static int clock_of(int dir, struct timespec *ret, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*ret = st.st_mtim;
		return 0;
	}
	return clock_gettime(CLOCK_REALTIME_COARSE, ret) < 0 ? err_sys(err, -errno, "reading the clock") : 0;
}

/* Unpack @layer once more and compare. @below: what it is made over. */
static int prove_layer(struct check *k, struct load_layer *layer, const struct load_layer *below, size_t n, int stored, struct err *err)
{
	struct comparing x = {.k = k, .chain = layer->chain};
	struct timespec born;
	size_t before = k->l.n_layers;
	load_report(&k->l, layer->chain, "Unpacking", 0, 0);
	int r = clock_of(k->l.work.fd, &born, err);
	r = r < 0 ? r : layer_unpack(&k->l, layer, below, n, err);
	r = r < 0 ? r : fault_point("image.check.unpacked", err);
	if (r < 0)
		return r;
	assert(k->l.n_layers == before + 1);
	x.size = layer->size;
	if (stored >= 0)
		r = compare_layer(&x, k->l.layers[before].fs, stored, &born, err);
	else if (!flaw_of(k, FLAW_LAYER_MISSING, layer->chain, err))
		r = -ENOMEM;
	if (r >= 0 && stored >= 0 && !x.f)
		drop_pending(k);
	return r;
}

/* A blob with the right digest that does not unpack to the layer is the wrong one. */
static int tell_unfit(struct check *k, const struct load_layer *layer, const struct err *why, struct err *err)
{
	struct image_flaw *f = flaw_of(k, FLAW_LAYER_CHANGED, layer->chain, err);
	if (!f)
		return -ENOMEM;
	check_detail(f, "its blob %.19s does not unpack to it: %s", layer->blob, why->msg);
	return 0;
}

static int check_layer(struct check *k, struct load_layer *layer, const struct load_layer *below, size_t n, struct err *err)
{
	char path[96];
	struct err why;
	const char *blob = good_blob(k, layer->chain);
	(void) str_format(path, sizeof(path), "%s/fs", hex_of(layer->chain));
	_cleanup_close_ int stored = open_xdev_none(k->l.s->layers, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	k->c->layers++;
	if (!blob) { /* told with the blob; the tree may well be right */
		k->c->unproved++;
		return stored >= 0 || flaw_of(k, FLAW_LAYER_MISSING, layer->chain, err) ? 0 : -ENOMEM;
	}
	(void) str_copy(layer->blob, sizeof(layer->blob), blob);
	int r = prove_layer(k, layer, below, n, stored, &why);
	if (r == -ECANCELED || (r < 0 && why.kind != ERR_CORRUPT)) {
		*err = why;
		return err_wrap(err, "unpacking layer %.12s", hex_of(layer->chain));
	}
	return r < 0 ? tell_unfit(k, layer, &why, err) : 0;
}

/* Are the layers below there, in the store or unpacked anew? */
static bool can_be_made(struct check *k, const struct load_layer *below, size_t n)
{
	char path[96];
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		(void) str_format(path, sizeof(path), "%s/fs", hex_of(below[i].chain));
		if (!load_pending(k->l.layers, k->l.n_layers, below[i].chain) && fstatat(k->l.s->layers, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
	}
	return true;
}

static int check_layers_of(struct check *k, const struct image_row *i, struct err *err)
{
	struct load_layer *made = calloc(MAX(i->n_layers, (size_t) 1), sizeof(*made));
	int r = made ? 0 : err_oom(err);
	for (size_t n = 0; r >= 0 && n < i->n_layers; n++) {
		const struct layer_row *row = &i->layers[n];
		char chain[DIGEST_TEXT_MAX];
		if (chain_id(n ? made[n - 1].chain : NULL, row->diff_id, chain) < 0 || !str_eq(chain, row->chain))
			break; /* told with the rows */
		(void) str_copy(made[n].diff_id, sizeof(made[n].diff_id), row->diff_id); /* all fit: they were read so */
		(void) str_copy(made[n].chain, sizeof(made[n].chain), row->chain);
		if (find_layer(k, chain))
			continue;
		struct checked_layer *v = realloc(k->layers, (k->n_layers + 1) * sizeof(*v));
		if (!v) {
			r = err_oom(err);
			break;
		}
		k->layers = v;
		(void) str_copy(v[k->n_layers++].chain, sizeof(v->chain), chain);
		r = cancelled(k, err);
		if (r >= 0 && can_be_made(k, made, n))
			r = check_layer(k, &made[n], made, n, err);
		else if (r >= 0)
			k->c->unproved++;
	}
	free(made);
	return r;
}

static int check_layers(struct check *k, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < k->n_images; i++)
		r = check_layers_of(k, &k->images[i], err);
	return r;
}

/* The end: alone */

/* images.lock for ourselves; pulls and loads that begin meanwhile wait for a moment. Return: fd; -EBUSY; <0. */
static int lock_alone(struct check *k, struct err *err)
{
	_cleanup_close_ int lock = openat(k->l.s->root, IMAGE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	usec_t end = now_usec() + (usec_t) (k->c->repair ? BUSY_REPAIR_MS : BUSY_MS) * USEC_PER_MSEC;
	bool told = false;
	if (lock < 0)
		return err_sys(err, -errno, "locking the image store");
	while (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK || errno == EINTR ? cancelled(k, err) : err_sys(err, -errno, "locking the image store");
		if (r < 0)
			return r;
		if (now_usec() >= end)
			return -EBUSY;
		if (!told)
			load_report(&k->l, "", "Waiting for pulls and loads to end", 0, 0);
		told = true;
		const struct timespec ts = {.tv_nsec = BUSY_STEP_MS * 1000000L};
		(void) nanosleep(&ts, NULL); /* an early wake-up only looks sooner */
	}
	return take_fd(&lock);
}

static int finish(struct check *k, struct err *err)
{
	/* our own share of the lock would be in our way; what was unpacked is safe in its own directory */
	k->l.work.store_lock = safe_close(k->l.work.store_lock);
	_cleanup_close_ int alone = lock_alone(k, err);
	if (alone == -EBUSY) {
		k->c->busy = true;
		for (size_t i = 0; i < k->n_flaws && k->c->repair; i++)
			k->flaws[i].outcome = OUTCOME_BUSY;
		return 0;
	}
	if (alone < 0)
		return alone;
	fault_mark("image.check.alone");
	int r = k->c->repair ? check_mend(k, err) : 0;
	return r < 0 ? r : check_strays(k, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int tell_flaws(struct check *k, struct err *err)
{
	int r = 0;
	for (size_t f = 0; r >= 0 && f < k->n_flaws; f++) {
		for (size_t i = 0; r >= 0 && i < k->n_images; i++)
			if (strv_has(k->flaws[f].image_ids, k->images[i].id))
				r = add_names(k, &k->flaws[f], &k->images[i], err);
		if (r < 0)
			break;
		if (k->flaws[f].images)
			qsort(k->flaws[f].images, strv_len(k->flaws[f].images), sizeof(char *), by_name);
		k->c->flaw(k->c->ctx, &k->flaws[f]);
	}
	return r;
}

int image_check(struct image_store *s, struct image_check *c, struct err *err)
{
	struct check k = {.c = c};
	image_tidy_dead(s); /* what a killed load has left is nobody's flaw */
	int r = load_begin(s, "", c->progress, &k.l, err);
	if (r < 0)
		return r;
	k.l.cancel = c->cancel;
	r = check_read_rows(&k, err);
	c->images = k.n_images;
	r = r < 0 ? r : check_blobs(&k, err);
	r = r < 0 ? r : check_rows(&k, err);
	r = r < 0 ? r : check_layers(&k, err);
	r = r < 0 ? r : finish(&k, err);
	r = r < 0 ? r : tell_flaws(&k, err);
	load_done(&k.l);
	for (size_t i = 0; i < k.n_flaws; i++)
		flaw_done(&k.flaws[i]);
	free(k.flaws);
	free(k.blobs);
	free(k.layers);
	check_rows_done(&k);
	return r;
}
