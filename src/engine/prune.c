/* SPDX-License-Identifier: Apache-2.0 */
/* POST /containers/prune and /images/prune: what is not in use goes, as far as the filters say so. A filter that is not understood removes nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/internal.h"

#define TREE_DEPTH_MAX 64

/* Bytes on disk below @dfd, consumed. Links are not followed, other file systems not entered; a file of many names has a share at each. */
static double tree_bytes(int dfd_consume, dev_t dev, unsigned depth)
{
	double sum = 0;
	DIR *d = fdopendir(dfd_consume);
	if (!d) {
		safe_close(dfd_consume);
		return 0;
	}
	for (struct dirent *de; (de = readdir(d));) {
		struct stat st;
		if (str_eq(de->d_name, ".") || str_eq(de->d_name, "..") || fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
			continue;
		if (S_ISREG(st.st_mode))
			sum += (double) st.st_size / (double) MAX(st.st_nlink, (nlink_t) 1);
		int sub = S_ISDIR(st.st_mode) && depth < TREE_DEPTH_MAX ? openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -EBADF;
		if (sub >= 0)
			sum += tree_bytes(sub, dev, depth + 1);
	}
	(void) closedir(d);
	return sum;
}

uint64_t disk_bytes(int dfd_consume)
{
	struct stat st;
	if (fstat(dfd_consume, &st) == 0)
		return (uint64_t) (tree_bytes(dfd_consume, st.st_dev, 0) + 0.5);
	safe_close(dfd_consume);
	return 0;
}

uint64_t container_disk_bytes(struct engine *e, const struct container *c)
{
	_cleanup_close_ int dir = container_dir_open(e, c->id, /* make= */ false);
	_cleanup_close_ int upper = dir < 0 ? dir : openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return upper < 0 ? 0 : disk_bytes(take_fd(&upper)); /* or it never ran */
}

struct prune {
	struct engine *e;
	const struct caller *caller;
	const struct json *filters;
	struct json_writer *w;
	int64_t until_ns; /* INT64_MAX: none */
	uint64_t bytes;
};

static int prune_one(void *ctx, struct container *c, struct err *err)
{
	struct prune *p = ctx;
	struct run_info info;
	struct err why = {0};
	int rc = state_read(p->e, c, /* locked= */ false, &info, &why);
	if (rc < 0 || info.state == RUN_RUNNING || info.state == RUN_RESTARTING || c->created_ns > p->until_ns)
		return 0;
	if (!filter_labels(p->filters, &c->req->labels))
		return 0;
	uint64_t bytes = container_disk_bytes(p->e, c);
	rc = engine_remove(p->e, p->caller, c->id, /* force= */ false, /* volumes= */ false, &why);
	if (rc < 0)
		return 0; /* started or removed meanwhile */
	p->bytes += bytes;
	jw_str(p->w, NULL, c->id);
	return 0;
}

int engine_container_prune(struct engine *e, const struct caller *caller, const struct json *filters, struct json_writer *w, struct err *err)
{
	struct prune p = {.e = e, .caller = caller, .filters = filters, .w = w, .until_ns = INT64_MAX};
	char bytes[24];
	static const char *const known[] = {"until", "label", "label!", NULL};
	int rc = filters_check(filters, known, err);
	rc = rc < 0 ? rc : filter_until(filters, &p.until_ns, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_arr(w, "ContainersDeleted");
	rc = container_each(e, caller->tenant, prune_one, &p, err);
	jw_end(w);
	jw_uint(w, "SpaceReclaimed", p.bytes);
	jw_end(w);
	(void) str_format(bytes, sizeof(bytes), "%llu", (unsigned long long) p.bytes); /* fits */
	event_object(e, caller->tenant, "container", "prune", "", "reclaimed", bytes, NULL);
	return rc;
}

/* Images */

static bool image_goes(const struct image *i, const struct json *filters, bool dangling, int64_t until_ns)
{
	const struct kv_list labels = {i->config ? i->config->label_keys : NULL, i->config ? i->config->label_values : NULL}; /* borrowed */
	return (!dangling || !i->refs || !i->refs[0]) && i->created_ns <= until_ns && filter_labels(filters, &labels);
}

static int prune_image(struct engine *e, const struct caller *caller, const struct image *i, struct json_writer *w, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT 1 FROM container WHERE image_id=?1", "s", i->id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc != 0)
		return MIN(rc, 0); /* a container, of whatever state, keeps its image */
	struct err why;
	STRV_FOREACH(ref, i->refs)
		(void) image_untag(e, caller, ref, /* force= */ false, w, &why); /* in use by now: it stays */
	if (!i->refs || !i->refs[0])
		(void) image_untag(e, caller, i->id, /* force= */ false, w, &why); /* as above */
	return 0;
}

int engine_image_prune(struct engine *e, const struct caller *caller, const struct json *filters, struct json_writer *w, struct err *err)
{
	static const char *const known[] = {"dangling", "until", "label", "label!", NULL};
	struct image **v = NULL;
	int64_t until_ns = INT64_MAX;
	uint64_t before = 0, after = 0;
	int rc = filters_check(filters, known, err), dangling = rc < 0 ? rc : filter_bool(filters, "dangling", true, err);
	rc = dangling < 0 ? dangling : filter_until(filters, &until_ns, err);
	rc = rc < 0 ? rc : image_usage_total(e->images, caller->tenant, &before, err);
	rc = rc < 0 ? rc : image_list(e->images, caller->tenant, &v, err);
	if (rc < 0)
		return rc;
	jw_obj(w, NULL);
	jw_arr(w, "ImagesDeleted");
	for (size_t i = 0; v && v[i]; i++) {
		if (rc >= 0 && image_goes(v[i], filters, dangling, until_ns))
			rc = prune_image(e, caller, v[i], w, err);
		image_free(v[i]);
	}
	free(v);
	(void) image_drop_partial(e->images, NULL); /* best effort: it goes with time, too */
	rc = rc < 0 ? rc : image_usage_total(e->images, caller->tenant, &after, err);
	jw_end(w);
	jw_uint(w, "SpaceReclaimed", before > after ? before - after : 0); /* another may have loaded meanwhile */
	jw_end(w);
	return rc;
}
