/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending, with images.lock held alone: nobody loads, pulls or collects. A tree is replaced by one rename, and only while no container that was made of it can
 * start; a blob that is bad is put into damaged/, where `image prune` finds it. A kill between any two steps leaves what the next check finds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "codec/tar.h"
#include "image/check_internal.h"

/* Blobs */

/* A load may have brought it back since it was found. */
static bool is_good_now(struct check *k, const char *digest)
{
	char found[DIGEST_TEXT_MAX];
	uint64_t size;
	struct err ignored;
	_cleanup_close_ int fd = blob_open(k->l.s, digest);
	return fd >= 0 && blob_hash(fd, found, &size, &ignored) >= 0 && str_eq(found, digest);
}

static int put_aside(struct check *k, const char *digest, struct err *err)
{
	_cleanup_close_ int damaged = mkdir_open_at(k->l.s->root, IMAGE_DAMAGED, 0700);
	if (damaged < 0)
		return err_sys(err, damaged, "opening '%s'", IMAGE_DAMAGED);
	if (renameat(k->l.s->blobs, hex_of(digest), damaged, hex_of(digest)) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "moving blob %s aside", digest);
	fault_mark("image.check.aside");
	return 0;
}

static int mend_blob(struct check *k, struct image_flaw *f, struct err *err)
{
	const struct checked_blob *b = check_blob(k, f->object);
	f->outcome = OUTCOME_REPAIRED;
	if (is_good_now(k, f->object))
		return 0;
	if (!b || !b->spare) /* one that only a name leads to is needed by nobody */
		f->outcome = OUTCOME_NEEDS_PULL;
	return f->kind == FLAW_BLOB_CHANGED ? put_aside(k, f->object, err) : 0;
}

/* Layers */

/* The images that need the layer of @f now: one may have come since it was found, and its containers are in the way, too. Return: 1, 0 none does, <0. */
static int name_images(struct check *k, struct image_flaw *f, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	bool any = false;
	int r = db_query(k->l.s->db, &st, err, "SELECT DISTINCT image_id FROM image_layer WHERE chain_id=?1", "s", f->object);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		any = true;
		if (!strv_has(f->image_ids, db_text(st, 0)) && strv_push(&f->image_ids, db_text(st, 0)) < 0)
			return err_oom(err);
	}
	return r < 0 ? r : any;
}

/* The new tree where the old one was; the old one into the work, with which it goes. */
static int exchange(struct check *k, const struct pending *p, struct err *err)
{
	struct image_store *s = k->l.s;
	const char *hex = hex_of(p->id);
	if (renameat2(p->dir, p->name, s->layers, hex, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno == ENOENT && renameat2(p->dir, p->name, s->layers, hex, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return err_sys(err, -errno, "storing layer %s", p->id);
	/* a file system that knows no exchange: for a moment there is none, as when it was missing */
	char old[96];
	(void) str_format(old, sizeof(old), "old-%s", hex);
	if (renameat(s->layers, hex, p->dir, old) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "removing layer %s", p->id);
	return renameat(p->dir, p->name, s->layers, hex) < 0 ? err_sys(err, -errno, "storing layer %s", p->id) : 0;
}

static int replace_layer(struct check *k, struct image_flaw *f, const struct pending *p, struct err *err)
{
	if (syncfs(k->l.work.fd) < 0)
		return err_sys(err, -errno, "syncing");
	int held = k->c->hold(k->c->ctx, f->image_ids, &f->containers, err);
	if (held < 0)
		return held;
	if (held == 0) {
		f->outcome = OUTCOME_IN_USE;
		return 0;
	}
	fault_mark("image.check.held");
	int r = exchange(k, p, err);
	fault_mark("image.check.exchanged");
	k->c->release(k->c->ctx);
	if (r >= 0 && fsync(k->l.s->layers) < 0)
		r = err_sys(err, -errno, "syncing");
	if (r >= 0)
		f->outcome = OUTCOME_REPAIRED;
	return r;
}

static int mend_layer(struct check *k, struct image_flaw *f, struct err *err)
{
	const struct pending *p = load_pending(k->l.layers, k->l.n_layers, f->object);
	int r = name_images(k, f, err);
	if (r < 0)
		return r;
	if (r == 0) { /* the image was removed meanwhile, and with it the layer */
		f->outcome = OUTCOME_REPAIRED;
		return 0;
	}
	if (p)
		return replace_layer(k, f, p, err);
	if (f->kind == FLAW_LAYER_MISSING)
		f->outcome = OUTCOME_NEEDS_PULL;
	return 0;
}

int check_mend(struct check *k, struct err *err)
{
	static int (*const mend[FLAW_MAX_])(struct check *k, struct image_flaw *f, struct err *err) = {
		[FLAW_BLOB_MISSING] = mend_blob, [FLAW_BLOB_CHANGED] = mend_blob, [FLAW_LAYER_MISSING] = mend_layer, [FLAW_LAYER_CHANGED] = mend_layer,
		[FLAW_ROW_WRONG] = check_mend_row, [FLAW_ROW_STRAY] = check_mend_row,
	};
	int r = 0;
	/* layers first: their blobs are still where the rows say */
	for (int rows = 0; rows < 2; rows++)
		for (size_t i = 0; r >= 0 && i < k->n_flaws; i++) {
			bool is_row = k->flaws[i].kind == FLAW_ROW_WRONG || k->flaws[i].kind == FLAW_ROW_STRAY;
			if (is_row == (rows == 1) && mend[k->flaws[i].kind])
				r = mend[k->flaws[i].kind](k, &k->flaws[i], err);
		}
	return r;
}

/* Strays */

struct place {
	struct check *k;
	int dir;           /* borrowed; the directory that is read */
	const char *shown; /* its path in the state directory */
};

static int stray(struct place *p, const char *name, struct err *err)
{
	char shown[300], path[400];
	(void) str_format(path, sizeof(path), "%s/%s", p->shown, tar_escape(shown, sizeof(shown), name));
	struct image_flaw *f = check_flaw(p->k, FLAW_STRAY, path, err);
	if (!f)
		return -ENOMEM;
	check_detail(f, "no row names it");
	if (!p->k->c->repair)
		return 0;
	int r = rm_rf_at(p->dir, name);
	if (r < 0)
		check_detail(f, "cannot be removed: %s", strerrordesc_np(-r) ?: "?");
	else
		f->outcome = OUTCOME_REPAIRED;
	return 0;
}

/* Return: 1 some row names it, 0 none. */
static int has_row(struct check *k, const char *sql, const char *hex, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	char digest[DIGEST_TEXT_MAX];
	(void) str_format(digest, sizeof(digest), "sha256:%.64s", hex);
	int r = db_query(k->l.s->db, &st, err, sql, "s", digest);
	return r < 0 ? r : db_step(st, err);
}

static bool is_kind(int dir, const char *name, mode_t kind)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == kind;
}

static int look_at_blobs(struct place *p, const char *name, struct err *err)
{
	return str_eq(name, "sha256") ? 0 : stray(p, name, err);
}

static int look_at_blob(struct place *p, const char *name, struct err *err)
{
	int r = !id_is_full(name) || !is_kind(p->dir, name, S_IFREG) ? 0 :
		has_row(p->k, "SELECT 1 FROM image WHERE id=?1 OR manifest=?1 UNION ALL SELECT 1 FROM image_layer WHERE blob=?1 UNION ALL"
			      " SELECT 1 FROM image_digest WHERE digest=?1 LIMIT 1", name, err);
	return r == 0 ? stray(p, name, err) : MIN(r, 0);
}

static int look_into_layer(struct place *p, const char *name, struct err *err)
{
	return str_eq(name, "fs") || str_eq(name, "meta.json") ? 0 : stray(p, name, err);
}

static int each_name(struct check *k, int at, const char *dir, const char *shown, int (*fn)(struct place *p, const char *name, struct err *err), struct err *err);

static int look_at_layer(struct place *p, const char *name, struct err *err)
{
	char shown[96];
	if (str_eq(name, "skeleton")) /* the engine's own: what every root has */
		return 0;
	int r = !id_is_full(name) || !is_kind(p->dir, name, S_IFDIR) ? 0 : has_row(p->k, "SELECT 1 FROM image_layer WHERE chain_id=?1 LIMIT 1", name, err);
	if (r <= 0)
		return r < 0 ? r : stray(p, name, err);
	(void) str_format(shown, sizeof(shown), "%s/%s", p->shown, name);
	return each_name(p->k, p->dir, name, shown, look_into_layer, err);
}

static int look_at_work(struct place *p, const char *name, struct err *err)
{
	return str_after(name, WORK_PREFIX) ? 0 : stray(p, name, err);
}

static int look_at_part(struct place *p, const char *name, struct err *err)
{
	return id_is_full(name) && is_kind(p->dir, name, S_IFREG) ? 0 : stray(p, name, err);
}

static int look_at_parts(struct place *p, const char *name, struct err *err)
{
	char shown[160];
	if (!is_kind(p->dir, name, S_IFDIR) || str_format(shown, sizeof(shown), "%s/%s", p->shown, name) < 0)
		return stray(p, name, err);
	return each_name(p->k, p->dir, name, shown, look_at_part, err);
}

static int each_name(struct check *k, int at, const char *dir, const char *shown, int (*fn)(struct place *p, const char *name, struct err *err), struct err *err)
{
	int fd = openat(at, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		int r = -errno;
		(void) safe_close(fd);
		return err_sys(err, r, "reading '%s'", shown);
	}
	struct place p = {.k = k, .dir = fd, .shown = shown};
	int r = 0;
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") && !str_eq(e->d_name, IMAGE_CHECK_FSCK))
			r = fn(&p, e->d_name, err);
	(void) closedir(d);
	return r;
}

int check_strays(struct check *k, struct err *err)
{
	static const struct {
		const char *dir;
		int (*look)(struct place *p, const char *name, struct err *err);
	} places[] = {
		{"blobs", look_at_blobs}, {"blobs/sha256", look_at_blob}, {"layers", look_at_layer}, {"tmp", look_at_work}, {"partial", look_at_parts},
	};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(places); i++)
		r = each_name(k, k->l.s->root, places[i].dir, places[i].dir, places[i].look, err);
	return r;
}
