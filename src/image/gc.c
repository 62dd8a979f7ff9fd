/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection: directories in tmp/ whose owner is gone (I4), then, while no load runs (I3), blobs and layers that no row of any tenant
 * names. A layer leaves by a rename into tmp/, so that a half-deleted one is never seen under its chain id.
 *
 * That there is something to collect is a directory in tmp/, until it is done: the work of who died; IMAGE_AGAIN of who found a load in
 * the way, for that load's end or the next engine; the collector's own, should it die.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "image/internal.h"

#define PARTIAL_GRACE_S (24 * 3600) /* for another attempt */

/* Call @fn for each name in directory @dfd; @fn may remove the entry. */
static int each_name(int dfd, int (*fn)(struct image_store *s, const char *name, struct err *err), struct image_store *s, struct err *err)
{
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		int r = -errno;
		(void) safe_close(fd);
		return err_sys(err, r, "collecting");
	}
	int r = 0;
	struct dirent *e;
	while (r >= 0 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = fn(s, e->d_name, err);
	(void) closedir(d);
	return r;
}

static int collect_work(struct image_store *s, const char *name, struct err *err)
{
	if (!str_after(name, WORK_PREFIX))
		return 0;
	_cleanup_close_ int fd = openat(s->tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0; /* gone meanwhile, or alive */
	s->gc_wanted = true;
	if (str_eq(name, IMAGE_AGAIN))
		return 0;
	(void) mkdirat(s->tmp, IMAGE_AGAIN, 0700); /* there already: somebody else wants it, too */
	(void) rm_rf_at(s->tmp, name); /* what cannot be removed now is tried again at the next close */
	return 0;
}

static int collect_tmp(struct image_store *s, struct err *err)
{
	_cleanup_close_ int tmp = openat(s->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tmp < 0)
		return err_sys(err, -errno, "collecting");
	if (flock(tmp, LOCK_EX | LOCK_NB) < 0)
		return 0; /* somebody makes a directory right now: another time */
	return each_name(s->tmp, collect_work, s, err);
}

/* Return: 1 some row names it, 0 none. */
static int is_used(struct image_store *s, const char *sql, const char *hex, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	char digest[DIGEST_TEXT_MAX];
	(void) str_format(digest, sizeof(digest), "sha256:%.64s", hex);
	int r = db_query(s->db, &st, err, sql, "s", digest);
	return r < 0 ? r : db_step(st, err);
}

static int collect_blob(struct image_store *s, const char *name, struct err *err)
{
	if (!id_is_full(name))
		return 0;
	int r = is_used(s, "SELECT 1 FROM image WHERE id=?1 OR manifest=?1 UNION ALL SELECT 1 FROM image_layer WHERE blob=?1 LIMIT 1", name, err);
	if (r == 0 && unlinkat(s->blobs, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "removing blob %s", name);
	return MIN(r, 0);
}

static int collect_layer(struct image_store *s, const char *name, struct err *err)
{
	if (!id_is_full(name))
		return 0;
	int r = is_used(s, "SELECT 1 FROM image_layer WHERE chain_id=?1 LIMIT 1", name, err);
	if (r != 0)
		return MIN(r, 0);
	char doomed[80];
	(void) str_format(doomed, sizeof(doomed), "%s%s", WORK_PREFIX, name);
	(void) rm_rf_at(s->tmp, doomed); /* of an earlier attempt */
	if (renameat(s->layers, name, s->tmp, doomed) < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "removing layer %s", name);
	fault_mark("image.gc.moved");
	(void) rm_rf_at(s->tmp, doomed); /* what stays is a leftover like any other */
	return 0;
}

/* One file of partial/TENANT/: gone when nobody adds to it and it is older than the grace for another attempt. */
static void collect_part(int dir, const char *name, int64_t older_than_s)
{
	struct stat st;
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_mtim.tv_sec <= older_than_s)
		(void) unlinkat(dir, name, 0); /* what stays is tried again */
}

static int collect_tenant(struct image_store *s, const char *name, struct err *err)
{
	_cleanup_close_ int dir = openat(s->partial, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = dir >= 0 ? fdopendir(fcntl(dir, F_DUPFD_CLOEXEC, 3)) : NULL;
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (id_is_full(e->d_name))
			collect_part(dir, e->d_name, s->parts_older_than_s);
	if (d)
		(void) closedir(d);
	return 0;
}

int image_drop_partial(struct image_store *s, struct err *err)
{
	_cleanup_close_ int lock = openat(s->root, IMAGE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_sys(err, -errno, "locking the image store");
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return 0;
	s->parts_older_than_s = INT64_MAX;
	fault_mark("image.gc.partial");
	(void) rm_rf_at(s->root, IMAGE_DAMAGED); /* what stays is tried again */
	return each_name(s->partial, collect_tenant, s, err);
}

/* Return: 1 done, 2 done and wanted again, 0 somebody else holds the lock, ERR_*. */
static int collect(struct image_store *s, struct err *err)
{
	struct work evidence;
	_cleanup_close_ int lock = openat(s->root, IMAGE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_sys(err, -errno, "locking the image store");
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return 0;
	struct err ignored;
	bool marked = work_mark(s, &evidence, &ignored) >= 0; /* a full disk has no room for it, and needs the collection most */
	s->gc_wanted = false;
	(void) unlinkat(s->tmp, IMAGE_AGAIN, AT_REMOVEDIR); /* who wants it from now on is not served by this one */
	fault_mark("image.gc.begin");
	int r = each_name(s->layers, collect_layer, s, err);
	fault_mark("image.gc.layers");
	r = r < 0 ? r : each_name(s->blobs, collect_blob, s, err);
	s->parts_older_than_s = now_ns() / NSEC_PER_SEC - PARTIAL_GRACE_S;
	r = r < 0 ? r : each_name(s->partial, collect_tenant, s, err);
	if (r >= 0 && marked)
		(void) unlinkat(s->tmp, evidence.name, AT_REMOVEDIR); /* one that stays has it done once more */
	evidence.fd = safe_close(evidence.fd);
	return r < 0 ? r : image_gc_is_due(s) || s->gc_wanted ? 2 : 1;
}

bool image_gc_is_due(struct image_store *s)
{
	return faccessat(s->tmp, IMAGE_AGAIN, F_OK, 0) == 0;
}

int image_gc(struct image_store *s, struct err *err)
{
	int r = collect_tmp(s, err);
	if (r < 0)
		return r;
	while ((r = collect(s, err)) == 2)
		;
	/* a load that is under way may be about to name what nobody names yet: it collects when it ends (work_end()); a collection looks again */
	if (r == 0) {
		s->gc_wanted = true;
		(void) mkdirat(s->tmp, IMAGE_AGAIN, 0700); /* as above */
	}
	return MIN(r, 0);
}

static void tidy(struct image_store *s, bool loaded)
{
	struct err ignored;
	/* a load that died is told by its work directory; only then, or after a load of ours, can a blob or layer without a row exist */
	if (collect_tmp(s, &ignored) >= 0 && (s->gc_wanted || loaded))
		(void) image_gc(s, &ignored); /* the next close tries again */
}

void image_tidy(struct image_store *s)
{
	tidy(s, s->loaded);
}

void image_tidy_dead(struct image_store *s)
{
	tidy(s, /* loaded= */ false);
}
