/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a container. The row goes first (one transaction with ids and volume references), then the files: what a kill -9 in
 * between leaves is a directory that no row names, which the next engine sweeps (sweep.c); never a row without files.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "network/network.h"

static int delete_rows(struct engine *e, const struct container *c, bool volumes, char ***ret_orphans, struct err *err)
{
	_cleanup_strv_ char **anonymous = NULL;
	int rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = network_forget(e->networks, c->id, err); /* it may be up: of a run that ends with its container, or of a start that was cut off */
	rc = rc < 0 ? rc : volumes_detach(e, c, &anonymous, err);
	rc = rc < 0 ? rc : labels_release(e, c, err);
	rc = rc < 0 ? rc : container_delete(e, c, err);
	rc = rc < 0 ? rc : idrange_release(e->ids, c->idmap, err);
	if (volumes)
		STRV_FOREACH(name, anonymous) {
			int one = rc < 0 ? rc : volume_delete_unused(e, c->tenant, name, err);
			if (one > 0 && strv_push(ret_orphans, name) < 0)
				one = err_oom(err);
			rc = MIN(one, 0);
		}
	rc = rc < 0 ? rc : fault_point("engine.remove.deleted", err);
	if (rc < 0)
		db_rollback(e->db);
	else
		rc = db_commit(e->db, err);
	if (rc < 0)
		STRV_FOREACH(name, *ret_orphans)
			volume_dir_spare(e, name);
	return rc;
}

static int remove_files(struct engine *e, const char *id)
{
	_cleanup_close_ int top = openat(e->state_fd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return errno == ENOENT ? 0 : -errno;
	return trash_put(e->state_fd, top, id);
}

int remove_locked(struct engine *e, struct container *c, bool volumes, struct err *err)
{
	_cleanup_strv_ char **orphans = NULL;
	int rc = delete_rows(e, c, volumes, &orphans, err);
	if (rc < 0)
		return err_wrap(err, "removing container %.12s", c->id);
	fault_mark("engine.remove.committed");
	STRV_FOREACH(name, orphans)
		volume_dir_remove(e, name);
	fault_mark("engine.remove.volumes");
	int files = remove_files(e, c->id);
	fault_mark("engine.remove.files");
	int bundle = bundle_remove(e, c->id);
	fault_mark("engine.remove.bundle");
	attach_drop(e, c->id);
	restart_forget(e, c->id); /* usually there is nothing; a kill may have left it */
	event_container(e, c, "destroy", NULL);
	wait_notify_removed(e, c->id);
	if (files < 0 || bundle < 0)
		return err_sys(err, files < 0 ? files : bundle, "removing the files of container %.12s", c->id);
	return 0;
}

#define FORCE_TRIES 3

/* Under its lock. Between two runs it takes @force. Return: 1 it runs (again), 0 removed or gone, <0. */
static int remove_stopped(struct engine *e, const char *id, bool force, bool volumes, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	_cleanup_close_ int lock = lock_take(e, id, err);
	int rc = lock < 0 ? lock : container_load(e, id, &c, err);
	if (rc > 0) {
		rc = state_read(e, &c, /* locked= */ true, &info, err);
		if (rc >= 0 && info.state == RUN_RUNNING)
			return 1;
		if (rc >= 0 && info.state == RUN_RESTARTING && !force)
			return err_set(err, ERR_CONFLICT, "cannot remove container \"/%s\": container is restarting: stop the container before removing or force remove", c.name);
		if (rc >= 0)
			rc = remove_locked(e, &c, volumes, err);
		else if (rc == -ENOENT)
			rc = 0; /* --rm was faster */
	}
	if (rc >= 0)
		lock_forget(e, id);
	return MIN(rc, 0);
}

/* Stop what runs; that it ended or went by itself at this moment is as good. */
static int force_stop(struct engine *e, const struct caller *caller, const char *id, struct err *err)
{
	struct err why = {0};
	int rc = stop_container(e, caller, id, /* timeout_s= */ 0, "KILL", /* event= */ false, &why);
	if (rc >= 0 || why.kind == ERR_NOT_MODIFIED || why.kind == ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return rc;
}

int engine_remove(struct engine *e, const struct caller *caller, const char *ref, bool force, bool volumes, struct err *err)
{
	char id[ID_LEN + 1];
	int rc = container_resolve(e, caller->tenant, ref, id, err);
	if (rc < 0)
		return rc;
	/* a start under way may win the lock in between: forced, it is stopped once more */
	for (int i = 0; i < FORCE_TRIES; i++) {
		rc = remove_stopped(e, id, force, volumes, err);
		if (rc <= 0)
			return rc;
		if (!force)
			break;
		rc = force_stop(e, caller, id, err);
		if (rc < 0)
			return rc;
	}
	_cleanup_container_ struct container c = {0};
	if (container_load(e, id, &c, NULL) > 0 && container_is_paused(&c))
		return err_set(err, ERR_CONFLICT, "cannot remove container \"%.128s\": container is paused and must be unpaused first", ref);
	return err_set(err, ERR_CONFLICT, "cannot remove container \"%.128s\": container is running: stop the container before removing or force remove", ref);
}
