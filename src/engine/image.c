/* SPDX-License-Identifier: Apache-2.0 */
/* Removing an image, with the container table consulted. */
#include <errno.h>

#include "engine/events.h"
#include "engine/internal.h"

struct use {
	struct engine *e;
	const char *tenant;
};

/* 0: free; 1: of a stopped container; 2: of a running one. */
static int image_in_use(void *ctx, const char *image_id, char *name, size_t name_size)
{
	const struct use *u = ctx;
	_cleanup_strv_ char **ids = NULL;
	struct db_stmt *st = NULL;
	int rc = db_query(u->e->db, &st, NULL, "SELECT id FROM container WHERE image_id=?1", "s", image_id), use = 0;
	while (rc >= 0 && (rc = db_step(st, NULL)) > 0)
		if (strv_push(&ids, db_text(st, 0)) < 0)
			break;
	db_done(st);
	STRV_FOREACH(id, ids) {
		_cleanup_container_ struct container c = {0};
		struct run_info info;
		if (use == 2 || container_load(u->e, id, &c, NULL) <= 0 || state_read(u->e, &c, /* locked= */ false, &info, NULL) < 0)
			continue;
		use = info.state == RUN_RUNNING || info.state == RUN_RESTARTING ? 2 : 1;
		if (str_format(name, name_size, "%.12s", c.id) < 0)
			name[0] = '\0';
	}
	return use;
}

int image_untag(struct engine *e, const struct caller *caller, const char *ref, bool force, struct json_writer *w, struct err *err)
{
	_cleanup_strv_ char **untagged = NULL, **deleted = NULL;
	struct use u = {.e = e, .tenant = caller->tenant};
	int rc = image_remove(e->images, caller->tenant, ref, force, image_in_use, &u, &untagged, &deleted, err);
	if (rc < 0)
		return rc;
	(void) pthread_mutex_lock(&e->lock); /* the cached layers may be gone */
	free(take_ptr(e->layers_of));
	(void) pthread_mutex_unlock(&e->lock);
	STRV_FOREACH(s, untagged) {
		event_object(e, caller->tenant, "image", "untag", s, "name", s, NULL);
		jw_obj(w, NULL);
		jw_str(w, "Untagged", s);
		jw_end(w);
	}
	STRV_FOREACH(s, deleted) {
		event_object(e, caller->tenant, "image", "delete", s, "name", s, NULL);
		jw_obj(w, NULL);
		jw_str(w, "Deleted", s);
		jw_end(w);
	}
	return 0;
}

int engine_image_remove(struct engine *e, const struct caller *caller, const char *ref, bool force, struct json_writer *w, struct err *err)
{
	jw_arr(w, NULL);
	int rc = image_untag(e, caller, ref, force, w, err);
	jw_end(w);
	return rc;
}
