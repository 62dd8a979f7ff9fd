/* SPDX-License-Identifier: Apache-2.0 */
/* POST /system/check: the image store proves itself (image/check.h); here it learns which containers are in the way, and what lies on disk of containers is looked at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"
#include "image/check.h"

struct check {
	struct engine *e;
	const struct check_request *req;
	struct json_writer *w;
	int *locks; /* owned; of containers that may not start now */
	size_t n_locks;
	bool in_transaction;
	uint64_t containers, left;
};

/* Containers that were made of a layer */

static void release(void *ctx)
{
	struct check *k = ctx;
	while (k->n_locks > 0)
		(void) safe_close(k->locks[--k->n_locks]);
	free(k->locks);
	k->locks = NULL;
	if (k->in_transaction)
		db_rollback(k->e->db); /* nothing was written: it kept others from writing */
	k->in_transaction = false;
}

static int name_it(const struct container *c, char ***ret_names, struct err *err)
{
	const char *name = str_empty(c->name) ? c->id : c->name;
	return strv_has(*ret_names, name) || strv_push(ret_names, name) >= 0 ? 0 : err_oom(err);
}

/* Lock @c when it does not run. Return: 1 locked, 0 it runs or is about to, <0. */
static int lock_idle(struct check *k, struct container *c, struct err *err)
{
	struct run_info info;
	int *v = reallocarray(k->locks, k->n_locks + 1, sizeof(*v));
	if (!v)
		return err_oom(err);
	k->locks = v;
	_cleanup_close_ int lock = lock_try(k->e, c->id);
	if (lock < 0)
		return lock == -EAGAIN ? 0 : err_sys(err, lock, "locking container %.12s", c->id);
	int rc = state_peek(k->e, c, &info, err);
	if (rc < 0)
		return rc;
	if (info.state == RUN_RUNNING)
		return 0;
	v[k->n_locks++] = take_fd(&lock);
	return 1;
}

static int hold(void *ctx, char *const *image_ids, char ***ret_names, struct err *err)
{
	struct check *k = ctx;
	struct container *list = NULL;
	size_t n = 0, running = 0;
	/* a container whose row is not written yet finds the new tree */
	int rc = db_begin(k->e->db, err);
	if (rc < 0)
		return rc;
	k->in_transaction = true;
	rc = containers_load(k->e, /* tenant= */ NULL, &list, &n, err);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		if (!strv_has(image_ids, list[i].image_id))
			continue;
		rc = lock_idle(k, &list[i], err);
		if (rc == 0) {
			running++;
			rc = name_it(&list[i], ret_names, err);
		}
	}
	containers_free(list, n);
	if (rc < 0 || running)
		release(k);
	return rc < 0 ? rc : running == 0;
}

/* Those that run from a bad layer are named by a check that repairs nothing as well. */
static void name_running(struct check *k, const struct image_flaw *f, char ***ret)
{
	struct container *list = NULL;
	size_t n = 0;
	struct err ignored;
	if (containers_load(k->e, /* tenant= */ NULL, &list, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct run_info info;
		if (strv_has(f->image_ids, list[i].image_id) && state_peek(k->e, &list[i], &info, &ignored) >= 0 && info.state == RUN_RUNNING)
			(void) name_it(&list[i], ret, &ignored); /* the flaw is told all the same */
	}
	containers_free(list, n);
}

/* The answer */

static void write_flaw(struct check *k, const char *kind, const char *object, const char *outcome, char *const *details, uint64_t n_details, char *const *images, char *const *containers)
{
	jw_obj(k->w, NULL);
	jw_str(k->w, "Kind", kind);
	jw_str(k->w, "Object", object);
	jw_str(k->w, "Outcome", outcome);
	jw_strv(k->w, "Details", details);
	jw_uint(k->w, "DetailsTotal", n_details);
	jw_strv(k->w, "Images", images);
	jw_strv(k->w, "Containers", containers);
	jw_end(k->w);
	k->left += !str_eq(outcome, image_outcome_name(OUTCOME_REPAIRED));
}

static void on_flaw(void *ctx, const struct image_flaw *f)
{
	struct check *k = ctx;
	_cleanup_strv_ char **running = NULL;
	bool layer = f->kind == FLAW_LAYER_CHANGED || f->kind == FLAW_LAYER_MISSING;
	if (layer && f->outcome != OUTCOME_REPAIRED)
		name_running(k, f, &running);
	write_flaw(k, image_flaw_name(f->kind), f->object, image_outcome_name(f->outcome), f->details, f->n_details, f->images, running ? running : f->containers);
}

/* Containers */

static void container_flaw(struct check *k, const char *kind, const char *object, bool repaired, const char *detail, const char *container)
{
	char *const details[] = {(char *) detail, NULL}, *const containers[] = {(char *) container, NULL};
	write_flaw(k, kind, object, image_outcome_name(repaired ? OUTCOME_REPAIRED : OUTCOME_FOUND), details, 1, NULL, containers);
}

static bool has_image(struct engine *e, const struct container *c)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct err ignored;
	int rc = db_query(e->db, &st, &ignored, "SELECT 1 FROM image WHERE tenant=?1 AND id=?2", "ss", c->tenant, c->image_id);
	rc = rc < 0 ? rc : db_step(st, &ignored);
	return rc != 0; /* or nobody knows */
}

/* What is wrong with @c, NULL: nothing. One that never ran has no directory yet. */
static const char *wrong_with(struct engine *e, const struct container *c)
{
	struct stat st;
	static const char *const parts[][2] = {{"upper", "its writable layer is gone"}, {"work", "its overlay's work directory is gone"}};
	if (!has_image(e, c))
		return "its image is gone";
	_cleanup_close_ int dir = container_dir_open(e, c->id, /* make= */ false);
	if (dir == -ENOENT)
		return c->started_ns > 0 ? "its directory is gone" : NULL;
	if (dir < 0)
		return "its directory cannot be opened";
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (fstatat(dir, parts[i][0], &st, AT_SYMLINK_NOFOLLOW) == 0 ? !S_ISDIR(st.st_mode) : c->started_ns > 0)
			return parts[i][1];
	return NULL;
}

static int check_container(void *ctx, struct container *c, struct err *err)
{
	struct check *k = ctx;
	const char *wrong = wrong_with(k->e, c);
	struct container now = {0};
	struct err ignored;
	int there = wrong ? container_load(k->e, c->id, &now, &ignored) : 1;
	container_done(&now);
	k->containers += there != 0;
	if (wrong && there != 0) /* else it was removed meanwhile */
		container_flaw(k, "container-wrong", c->id, false, wrong, c->name);
	return 0;
}

/* A directory whose container is in no row, and is not being removed right now. */
static bool is_stray(struct engine *e, const char *name)
{
	struct container c = {0};
	struct err ignored;
	if (!id_is_full(name))
		return true;
	_cleanup_close_ int lock = lock_try(e, name);
	if (lock < 0)
		return false;
	int rc = container_load(e, name, &c, &ignored);
	container_done(&c);
	if (rc == 0)
		lock_forget(e, name); /* which was made by looking */
	return rc == 0;
}

static int check_dirs(struct check *k, struct err *err)
{
	int fd = openat(k->e->state_fd, "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int rc = errno == ENOENT ? 0 : err_sys(err, -errno, "reading the containers' directories");
		(void) safe_close(fd);
		return rc;
	}
	for (struct dirent *de; (de = readdir(d));) {
		_cleanup_free_ char *shown = NULL;
		if (de->d_name[0] == '.' || str_eq(de->d_name, IMAGE_CHECK_FSCK) || !is_stray(k->e, de->d_name))
			continue;
		shown = str_printf("containers/%s", str_is_plain(de->d_name) ? de->d_name : "?");
		bool gone = k->req->repair && trash_put(k->e->state_fd, fd, de->d_name) >= 0;
		container_flaw(k, image_flaw_name(FLAW_STRAY), shown ? shown : "containers", gone, "no row names it", NULL);
	}
	(void) closedir(d);
	return 0;
}

int engine_check(struct engine *e, const struct caller *caller, const struct check_request *req, struct json_writer *w, struct err *err)
{
	struct check k = {.e = e, .req = req, .w = w};
	struct image_check c = {.repair = req->repair, .progress = req->progress, .cancel = req->cancel, .hold = hold, .release = release, .flaw = on_flaw, .ctx = &k};
	if (!str_eq(caller->tenant, "local")) /* the store is everybody's */
		return err_set(err, ERR_DENIED, "a check of the whole store is the operator's");
	jw_obj(w, NULL);
	jw_arr(w, "Flaws");
	int rc = image_check(e->images, &c, err);
	rc = rc < 0 ? rc : container_each(e, /* tenant= */ NULL, check_container, &k, err);
	rc = rc < 0 ? rc : check_dirs(&k, err);
	jw_end(w);
	jw_bool(w, "Repair", req->repair);
	jw_uint(w, "Images", c.images);
	jw_uint(w, "Layers", c.layers);
	jw_uint(w, "LayersUnproved", c.unproved);
	jw_uint(w, "Blobs", c.blobs);
	jw_uint(w, "BlobBytes", c.bytes);
	jw_uint(w, "Containers", k.containers);
	jw_bool(w, "StraysSearched", !c.busy);
	jw_uint(w, "FlawsLeft", k.left);
	jw_end(w);
	return rc;
}
