/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a container: the bundle is written, a monitor spawned, and SETUP, the attaches that wait and START are sent in one go; the
 * answer to START decides. Whatever fails takes everything back: monitor, cgroups, bundle.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/num.h"
#include "engine/events.h"
#include "engine/health.h"
#include "engine/internal.h"
#include "engine/naming.h"
#include "engine/networking.h"
#include "sandbox/sandbox.h"

enum { SEQ_SETUP = 1, SEQ_ATTACH, SEQ_START, SEQ_HEALTH };

/* A host's file system that is mounted in a container has to be free when the caller hears of its end. */
static bool is_shed(const struct container_request *r)
{
	return r->auto_remove && r->n_mounts == 0 && !r->volumes_from && !runtime_is_foreign(r);
}

static int fill_setup(struct engine *e, const struct container *c, struct monitor_setup *s, struct err *err)
{
	const struct container_request *r = c->req;
	*s = (struct monitor_setup){0};
	memcpy(s->id, c->id, sizeof(s->id));
	s->flags = (r->tty ? MONITOR_TTY : 0) | (r->open_stdin ? MONITOR_OPEN_STDIN : 0) | (r->stdin_once ? MONITOR_STDIN_ONCE : 0) |
		   (runtime_is_foreign(r) ? MONITOR_FOREIGN : 0) | (is_shed(r) ? MONITOR_SHED : 0);
	log_setup(r, s);
	cgroup_path_of(c, s->cgroup_path);
	(void) str_copy(s->fail_step, sizeof(s->fail_step), getenv("COFFER_FAIL_STEP") ?: ""); /* too long names no step */
	int rc = str_copy(s->reaper, sizeof(s->reaper), e->self_path ?: "");
	return rc < 0 ? err_sys(err, rc, "the path of the reaper '%s'", e->self_path) : 0;
}

static int send_setup(struct engine *e, const struct container *c, int link, int lock, struct err *err)
{
	struct monitor_setup setup;
	_cleanup_strbuf_ struct strbuf attrs = STRBUF_INIT(65536);
	int rc = fill_setup(e, c, &setup, err);
	rc = rc < 0 ? rc : log_attrs(c, &attrs, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int bundle = bundle_open(e, c->id);
	_cleanup_close_ int dir = container_dir_open(e, c->id, /* make= */ false);
	_cleanup_close_ int log = dir < 0 ? dir : openat(dir, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (bundle < 0 || log < 0)
		return err_sys(err, bundle < 0 ? bundle : -ENOENT, "opening the bundle");
	_cleanup_close_ int lent = lock_lend(e, c->id, lock, err);
	if (lent < 0)
		return lent;
	int fds[] = {bundle, log, lent};
	return link_send(link, MONITOR_SETUP, SEQ_SETUP, &setup, sizeof(setup), attrs.s, attrs.len, fds, ARRAY_LEN(fds), err);
}

/* Return: 1 sent, 0 there is no health check, <0. */
static int send_health(const struct container *c, int link, struct err *err)
{
	struct monitor_health terms;
	if (!health_is_on(c->req))
		return 0;
	health_terms(c->req->health, &terms);
	int rc = link_send(link, MONITOR_HEALTH, SEQ_HEALTH, &terms, sizeof(terms), NULL, 0, NULL, 0, err);
	return rc < 0 ? rc : 1;
}

static int converse(struct engine *e, const struct container *c, const struct network_plan *networks, int link, int lock, struct monitor_started *ret, struct err *err)
{
	char none[1];
	int rc = send_setup(e, c, link, lock, err);
	rc = rc < 0 ? rc : fault_point("engine.start.setup", err);
	rc = rc < 0 ? rc : networking_hold(networks, link, err);
	rc = rc < 0 ? rc : attach_flush(e, c, link, err);
	rc = rc < 0 ? rc : send_health(c, link, err);
	bool health = rc > 0;
	rc = rc < 0 ? rc : link_send(link, MONITOR_START, SEQ_START, NULL, 0, NULL, 0, NULL, 0, err);
	rc = rc < 0 ? rc : fault_point("engine.start.sent", err);
	rc = rc < 0 ? rc : link_recv(link, SEQ_SETUP, none, 0, err);
	rc = rc < 0 || !health ? rc : link_recv(link, SEQ_HEALTH, none, 0, err);
	rc = rc < 0 ? rc : link_recv(link, SEQ_START, ret, sizeof(*ret), err);
	if (rc >= 0 && (size_t) rc < sizeof(*ret))
		return err_set(err, ERR_CORRUPT, "the monitor's answer to the start is too short");
	return rc;
}

static int failure_code(const struct err *err)
{
	return err->kind == ERR_CMD_NOT_FOUND ? 127 : err->kind == ERR_CMD_DENIED ? 126 : 128;
}

/* A container that never ran has no log on disk: that is how a reboot under a running one is told. Files that were copied into it stay. */
static void forget_log(struct engine *e, const struct container *c)
{
	_cleanup_close_ int dir = c->started_ns == 0 ? container_dir_open(e, c->id, /* make= */ false) : -EBADF;
	if (dir >= 0)
		(void) trash_put(e->state_fd, dir, "log"); /* as above */
}

/* A restart that fails is an end like others: the policy may try again. */
static void save_failure(struct engine *e, struct container *c, bool again)
{
	struct err ignored;
	int fd = -EBADF; /* owned by the last call */
	if (again) {
		c->state = ROW_EXITED;
		c->started_ns = c->finished_ns = now_ns();
		restart_judge(c);
		if (c->restart_due_ns)
			fd = restart_open(e, c, &ignored);
		if (fd < 0)
			c->restart_due_ns = 0;
	}
	(void) container_save_exit(e, c, &ignored);
	if (again)
		wait_notify_exit(e, c->id, c->exit_code);
	restart_hand_over(e, c, fd);
}

/* @why stays the caller's error; what goes wrong here on top of it is swept at the next look. */
static void undo(struct engine *e, struct container *c, bool again, const struct err *why)
{
	char cgroup[MONITOR_PATH_MAX];
	struct err ignored;
	cgroup_path_of(c, cgroup);
	fault_mark("engine.undo.begin");
	naming_forget(e, c);
	(void) networking_down(e, c, &ignored);
	fault_mark("engine.undo.network");
	/* again, for the moment without descriptors or memory; else the bundle stays, and by it the next look takes this for a start that was cut off */
	if (sandbox_cleanup(cgroup, &ignored) < 0 && sandbox_cleanup(cgroup, &ignored) < 0)
		return;
	fault_mark("engine.undo.cgroups");
	(void) bundle_remove(e, c->id); /* found and reaped again at the next look */
	fault_mark("engine.undo.bundle");
	forget_log(e, c);
	fault_mark("engine.undo.dirs");
	attach_drop(e, c->id);
	c->exit_code = failure_code(why);
	free(c->error);
	c->error = strdup(why->msg);
	if (!c->req->auto_remove) {
		save_failure(e, c, again);
		return;
	}
	wait_notify_exit(e, c->id, c->exit_code);
	(void) remove_locked(e, c, /* volumes= */ true, &ignored);
	lock_forget(e, c->id);
}

static int launch(struct engine *e, struct container *c, const struct network_plan *networks, int lock, struct err *err)
{
	struct monitor_started started;
	pid_t pid = 0;
	_cleanup_close_ int link = spare_take(e, c->id, &pid);
	if (link < 0)
		link = link_spawn(e, c->id, &pid, err);
	if (link < 0)
		return link;
	int rc = fault_point("engine.start.spawned", err);
	rc = rc < 0 ? rc : converse(e, c, networks, link, lock, &started, err);
	rc = rc < 0 ? rc : fault_point("engine.start.answered", err);
	if (rc >= 0)
		attach_late(e, c->id);
	spare_drop(e, c->id); /* made too late */
	rc = rc < 0 ? rc : watch_container(e, c->id, link, pid, err);
	if (rc >= 0) {
		(void) take_fd(&link);
		return 0;
	}
	(void) shutdown(link, SHUT_WR); /* a monitor that has not started anything sees that nobody will ask it to */
	watch_leaving(e, c->id, take_fd(&link), pid);
	return rc;
}

/* @again: by its restart policy. */
static int start_stopped(struct engine *e, const struct caller *caller, struct container *c, int lock, bool again, struct err *err)
{
	_cleanup_network_plan_ struct network_plan networks = {0};
	_cleanup_naming_ struct naming naming = {0};
	if (c->error) { /* of an earlier try */
		free(c->error);
		c->error = NULL;
	}
	int rc = policy_check(e, caller, c->req, NULL, err);
	rc = rc < 0 ? rc : fault_point("engine.start.locked", err);
	/* the bundle's directory first: by that a start that is cut off is seen, and what it took is given back */
	rc = rc < 0 || !networking_has(c->req) ? rc : bundle_begin(e, c->id, err);
	rc = rc < 0 ? rc : networking_up(e, c, &networks, err);
	rc = rc < 0 ? rc : naming_load(e, c, networks.endpoints, networks.n, /* starts= */ true, &naming, err);
	rc = rc < 0 ? rc : bundle_write(e, c, &networks, &naming, err);
	rc = rc < 0 ? rc : fault_point("engine.start.bundle", err);
	rc = rc < 0 ? rc : health_prepare(e, c, err);
	rc = rc < 0 ? rc : naming_tell(e, &naming, err);
	rc = rc < 0 ? rc : fault_point("engine.start.named", err);
	rc = rc < 0 ? rc : restart_row_started(e, c, again, err);
	rc = rc < 0 ? rc : launch(e, c, &networks, lock, err);
	if (rc < 0) {
		lock_whole(lock); /* a creator whose monitor was killed may still be at it */
		undo(e, c, again, err);
		return rc;
	}
	fault_mark("engine.start.watched");
	naming_linked(e, c, networks.endpoints, networks.n);
	networking_tell(e, c, "connect");
	event_container(e, c, "start", NULL);
	wait_notify_started(e, c->id);
	return 0;
}

int start_again(struct engine *e, struct container *c, int lock, struct err *err)
{
	const struct caller caller = {.tenant = c->tenant};
	return start_stopped(e, &caller, c, lock, /* again= */ true, err);
}

static int start_locked(struct engine *e, const struct caller *caller, struct container *c, int lock, struct err *err)
{
	struct run_info info;
	int rc = state_read(e, c, /* locked= */ true, &info, err);
	if (rc < 0)
		return rc;
	if (info.state == RUN_RUNNING || info.state == RUN_RESTARTING)
		return err_set(err, ERR_NOT_MODIFIED, "container %s is already started", c->name);
	rc = down_refuse(e, err);
	return rc < 0 ? rc : start_stopped(e, caller, c, lock, /* again= */ false, err);
}

int engine_start(struct engine *e, const struct caller *caller, const char *ref, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct err own = {0};
	err = err ?: &own;
	_cleanup_close_ int lock = container_lock(e, caller->tenant, ref, &c, err);
	return lock < 0 ? lock : start_locked(e, caller, &c, lock, err);
}
