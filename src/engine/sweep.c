/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kill -9 left. Rows tell what there is: they are written before the files of what begins and deleted before those of what ends, so a
 * directory, bundle or lock that no row names belongs to nobody, and goes into the trash. A daemon sweeps when it starts, an engine of one
 * command when it closes; nobody waits for either.
 * Volumes have rules of their own (volume_dir.c). A database that is new where there is state is refused when it is opened (engine.c), so that
 * a lost one does not take the containers along.
 *
 * S1 Something of a container is taken away with the container's lock held and no row there: whoever removes it right now is not disturbed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/internal.h"
#include "engine/networking.h"

struct ids {
	char (*v)[ID_LEN + 1]; /* owned; sorted */
	size_t n, cap;
};

static int ids_add(struct ids *s, const char *id)
{
	if (s->n == s->cap) {
		size_t cap = MAX(2 * s->cap, (size_t) 64);
		void *grown = realloc(s->v, cap * sizeof(*s->v));
		if (!grown)
			return -ENOMEM;
		s->v = grown;
		s->cap = cap;
	}
	return str_copy(s->v[s->n++], sizeof(*s->v), id);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Call @fn for each name below @base_fd/@dir but those that begin with a dot. */
static void each(struct engine *e, int base_fd, const char *dir, void (*fn)(struct engine *e, const char *name, const struct ids *known), const struct ids *known)
{
	int fd = openat(base_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return;
	}
	struct dirent *de;
	while ((de = readdir(d)))
		if (de->d_name[0] != '.')
			fn(e, de->d_name, known);
	(void) closedir(d);
}

static void put_aside(int base_fd, const char *id)
{
	_cleanup_close_ int top = openat(base_fd, "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top >= 0)
		(void) trash_put(base_fd, top, id); /* the next sweep tries again */
}

static bool has_row(struct engine *e, const char *id)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct err ignored;
	int rc = db_query(e->db, &st, &ignored, "SELECT 1 FROM container WHERE id=?1", "s", id);
	rc = rc < 0 ? rc : db_step(st, &ignored);
	return rc != 0; /* or nobody knows */
}

static void sweep_container(struct engine *e, const char *id, const struct ids *known)
{
	if (!id_is_full(id) || (known->n && bsearch(id, known->v, known->n, sizeof(*known->v), compare)))
		return;
	_cleanup_close_ int lock = lock_try(e, id);
	if (lock < 0 || has_row(e, id)) /* S1 */
		return;
	put_aside(e->run_fd, id);
	put_aside(e->state_fd, id);
	lock_forget(e, id);
}

static int read_ids(struct engine *e, struct ids *ret)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	struct err ignored;
	int rc = db_query(e->db, &st, &ignored, "SELECT id FROM container ORDER BY id", "");
	while (rc >= 0 && (rc = db_step(st, &ignored)) > 0)
		rc = ids_add(ret, db_text(st, 0) ?: "");
	return rc;
}

void engine_sweep(struct engine *e)
{
	struct ids known = {0};
	fault_mark("engine.sweep.begin");
	if (read_ids(e, &known) >= 0) {
		each(e, e->run_fd, "containers", sweep_container, &known);
		each(e, e->state_fd, "containers", sweep_container, &known);
		each(e, e->run_fd, "locks", sweep_container, &known);
	}
	free(known.v);
	volumes_sweep(e);
	connects_sweep(e);
	fault_mark("engine.sweep.done");
}
