/* SPDX-License-Identifier: Apache-2.0 */
/* A new name: one row, under the container's lock. */
#include "base/fault.h"
#include "base/log.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "engine/naming.h"

static int check_name(const char *name, struct err *err)
{
	if (str_empty(name))
		return err_set(err, ERR_INVALID, "Neither old nor new names may be empty");
	if (!name_is_valid(name))
		return err_set(err, ERR_INVALID, "Invalid container name (%.128s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
	return 0;
}

static int taken(struct engine *e, const struct container *c, const char *name, struct err *err)
{
	char other[ID_LEN + 1];
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT id FROM container WHERE tenant=?1 AND name=?2", "ss", c->tenant, name);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc < 0)
		return rc;
	(void) str_copy(other, sizeof(other), rc > 0 ? db_text(st, 0) : ""); /* ids fit */
	return err_set(err, ERR_CONFLICT,
		       "Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.", name, other);
}

static int rename_locked(struct engine *e, struct container *c, const char *name, struct err *err)
{
	_cleanup_free_ char *old = c->name, *with_slash = str_printf("/%s", c->name);
	c->name = strdup(name);
	if (!c->name || !with_slash)
		return err_oom(err);
	if (str_eq(old, name))
		return err_set(err, ERR_INVALID, "Renaming a container with the same name as its current name");
	struct err why = {0};
	int rc = fault_point("engine.rename.begin", &why);
	rc = rc < 0 ? rc : container_save_request(e, c, &why);
	fault_mark("engine.rename.saved");
	if (rc < 0 && why.kind == ERR_CONFLICT)
		return taken(e, c, name, err);
	if (rc < 0) {
		*err = why;
		return rc;
	}
	struct run_info info;
	struct naming naming = {0};
	if (networking_has(c->req) && state_peek(e, c, &info, NULL) >= 0 && info.state == RUN_RUNNING && naming_current(e, c, &naming, &why) >= 0 && naming_tell(e, &naming, &why) < 0)
		log_warn("names of container %s: %s, ignoring", c->name, why.msg);
	naming_done(&naming);
	event_container(e, c, "rename", "oldName", with_slash, NULL);
	return 0;
}

int engine_rename(struct engine *e, const struct caller *caller, const char *ref, const char *name, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	if (name && *name == '/')
		name++;
	_cleanup_close_ int lock = container_lock(e, caller->tenant, ref, &c, err);
	int rc = lock < 0 ? lock : check_name(name, err);
	return rc < 0 ? rc : rename_locked(e, &c, name, err);
}
