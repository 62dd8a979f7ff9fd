/* SPDX-License-Identifier: Apache-2.0 */
/* Pausing: the kernel's freezer holds the state, nothing is written down. */
#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "sandbox/cgroup_ops.h"

bool container_is_paused(const struct container *c)
{
	char path[MONITOR_PATH_MAX];
	cgroup_path_of(c, path);
	return sandbox_is_paused(path, 0, NULL) > 0;
}

int pause_set(struct engine *e, const struct container *c, bool on, struct err *err)
{
	char path[MONITOR_PATH_MAX];
	cgroup_path_of(c, path);
	int rc = fault_point("engine.pause.begin", err);
	rc = rc < 0 ? rc : on ? sandbox_pause(path, 0, err) : sandbox_resume(path, 0, err);
	fault_mark("engine.pause.done");
	if (rc < 0)
		return err_wrap(err, "%s container %.12s", on ? "pausing" : "unpausing", c->id);
	event_container(e, c, on ? "pause" : "unpause", NULL);
	return 0;
}

int pause_refuse(const struct container *c, const char *what, struct err *err)
{
	if (!container_is_paused(c))
		return 0;
	return err_set(err, ERR_CONFLICT, "Container %s is paused, unpause the container before %s", c->id, what);
}

/* With the lock: on v1 the freezer's cgroup is made by the first pause, and nobody would remove what comes behind the container's end. */
static int change_locked(struct engine *e, const char *id, bool on, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info = {.state = RUN_DEAD};
	_cleanup_close_ int lock = lock_take(e, id, err);
	int rc = lock < 0 ? lock : container_load(e, id, &c, err);
	if (rc == 0)
		lock_forget(e, id);
	rc = rc > 0 ? state_peek(e, &c, &info, err) : rc;
	if (rc < 0)
		return rc;
	if (info.state != RUN_RUNNING) /* it has ended since */
		return err_set(err, ERR_CONFLICT, "Container %s is not running", id);
	return pause_set(e, &c, on, err);
}

static int change(struct engine *e, const struct caller *caller, const char *ref, bool on, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int rc = running_find(e, caller, ref, &c, err);
	if (rc == 0)
		return err_set(err, ERR_CONFLICT, "Container %s is not running", c.id);
	if (rc < 0)
		return rc;
	if (container_is_paused(&c) == on)
		return err_set(err, ERR_CONFLICT, "Container %s is %s paused", c.id, on ? "already" : "not");
	return change_locked(e, c.id, on, err);
}

int engine_pause(struct engine *e, const struct caller *caller, const char *ref, struct err *err)
{
	return change(e, caller, ref, /* on= */ true, err);
}

int engine_unpause(struct engine *e, const struct caller *caller, const char *ref, struct err *err)
{
	return change(e, caller, ref, /* on= */ false, err);
}
