/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container is, derived and never stored twice:
 *
 *   bundle   BUNDLE/exit  BUNDLE/state     processes      -> state
 *   none                                                  -> the row's: created, exited or restarting; or dead, when it was started before a reboot
 *   there    there                                        -> dead: to be reaped
 *   there    none         there            monitor lives  -> running
 *   there    none         there            monitor gone   -> dead (killed with its monitor: 137)
 *   there    none         none             lock is held   -> the row's: somebody is starting it
 *   there    none         none             lock is free   -> dead: a start was cut off
 *
 * Reaping is idempotent and done with the lock held: facts to the row, cgroups and bundle removed, and the container when auto-removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/health.h"
#include "engine/internal.h"
#include "engine/naming.h"
#include "engine/networking.h"
#include "kernel/process.h"
#include "sandbox/sandbox.h"

const char *state_name(enum run_state s)
{
	static const char *const names[] = {[RUN_CREATED] = "created", [RUN_RUNNING] = "running", [RUN_EXITED] = "exited", [RUN_DEAD] = "exited",
					    [RUN_RESTARTING] = "restarting"};
	return names[s];
}

static int read_record(int dir, const char *name, void *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read_full(fd, buf, size);
	return n < 0 ? (int) n : (size_t) n == size ? 0 : -EBADMSG;
}

static bool read_state(int dir, struct monitor_state *ret)
{
	return read_record(dir, "state", ret, sizeof(*ret)) == 0 && ret->magic == MONITOR_STATE_MAGIC;
}

static bool read_exit(int dir, struct monitor_exit *ret)
{
	return read_record(dir, "exit", ret, sizeof(*ret)) == 0 && ret->magic == MONITOR_EXIT_MAGIC;
}

/* The row of a container that had been started again, or the directory of its log, without a bundle: the machine went down under it. */
static bool was_cut_by_reboot(struct engine *e, const struct container *c)
{
	char path[96];
	if (c->state == ROW_STARTED)
		return true;
	(void) str_format(path, sizeof(path), "containers/%s/log", c->id);
	return c->state == ROW_CREATED && !c->error && faccessat(e->state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* With a restart under way it is restarting until it runs. */
enum run_state row_run_state(const struct container *c)
{
	if (c->restart_due_ns || (c->state == ROW_STARTED && c->restart_count))
		return RUN_RESTARTING;
	return c->state == ROW_CREATED ? RUN_CREATED : RUN_EXITED;
}

int state_peek(struct engine *e, const struct container *c, struct run_info *ret, struct err *err)
{
	struct monitor_exit x;
	*ret = (struct run_info){.state = row_run_state(c)};
	_cleanup_close_ int dir = bundle_open(e, c->id);
	if (dir == -ENOENT) {
		if (was_cut_by_reboot(e, c))
			ret->state = RUN_DEAD;
		return 0;
	}
	if (dir < 0)
		return err_sys(err, dir, "reading the state of container %.12s", c->id);
	if (read_exit(dir, &x))
		ret->state = RUN_DEAD;
	else if (read_state(dir, &ret->live))
		ret->state = proc_is(ret->live.monitor_pid, ret->live.monitor_ticks) ? RUN_RUNNING : RUN_DEAD;
	else {
		ret->state = RUN_DEAD; /* or starting: state_read() asks the lock */
		ret->starting = true;
	}
	return 0;
}

/* Kill what a killed monitor left behind: its init dies with it by PR_SET_PDEATHSIG, this is for the moment in between. */
static void kill_rest(const struct monitor_state *s)
{
	if (s->pid > 0 && proc_is(s->pid, s->start_ticks))
		(void) kill(s->pid, SIGKILL); /* gone already is as good */
}

static int set_error(struct container *c, const char *text)
{
	free(c->error);
	c->error = text ? strdup(text) : NULL;
	return text && !c->error ? -ENOMEM : 0;
}

/* The facts of the end, into @c. */
static int take_facts(struct engine *e, int dir, struct container *c, struct err *err)
{
	struct monitor_exit x;
	struct monitor_state s = {0};
	const char *why = NULL;
	c->state = dir < 0 ? ROW_CUT : ROW_EXITED;
	if (dir >= 0 && read_exit(dir, &x)) {
		c->started_ns = x.started_ns;
		c->finished_ns = x.finished_ns;
		c->exit_code = x.code;
		c->oom = x.oom > 0;
	} else {
		bool started = dir >= 0 && read_state(dir, &s);
		if (started)
			kill_rest(&s);
		c->started_ns = started ? s.started_ns : c->started_ns;
		c->finished_ns = now_ns();
		c->exit_code = started || dir < 0 ? 137 : 128;
		c->oom = false;
		why = dir < 0 ? "the host went down while the container ran" : started ? "the container's monitor was killed" : "the start was cut off";
	}
	(void) e;
	if (dir >= 0)
		c->by_hand = restart_marked(dir, c->finished_ns);
	return set_error(c, why) < 0 ? err_oom(err) : 0;
}

static void tell_end(struct engine *e, const struct container *c)
{
	char code[16], seconds[24];
	(void) str_format(code, sizeof(code), "%d", c->exit_code); /* fits, like the next */
	(void) str_format(seconds, sizeof(seconds), "%lld", (long long) MAX(c->started_ns ? (c->finished_ns - c->started_ns) / NSEC_PER_SEC : 0, (int64_t) 0));
	if (c->oom)
		event_container(e, c, "oom", NULL);
	event_container(e, c, "die", "execDuration", seconds, "exitCode", code, NULL);
}

/* A restart stops a container that is to be removed when it stops: the mark in its bundle says that this once it is not. */
#define KEEP_MARK "keep"

int keep_mark(struct engine *e, const char *id, struct err *err)
{
	_cleanup_close_ int dir = bundle_open(e, id);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, KEEP_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 || dir == -ENOENT)
		return 0; /* or it has ended by itself */
	return err_sys(err, dir < 0 ? dir : -errno, "marking the bundle");
}

/* The row as the end left it. @ret_restart: see restart_hand_over(). */
static int save_end(struct engine *e, struct container *c, bool cut, int *ret_restart, struct err *err)
{
	bool down = !cut && down_is_under_way(e);
	c->restart_due_ns = 0;
	if (down && !c->by_hand)
		c->state = ROW_CUT;
	if (!cut && !down) /* else the daemon's start decides */
		restart_judge(c);
	_cleanup_close_ int fd = c->restart_due_ns ? restart_open(e, c, err) : -EBADF;
	if (c->restart_due_ns && fd < 0)
		return fd;
	int rc = fd < 0 ? 0 : fault_point("engine.restart.planned", err);
	rc = rc < 0 ? rc : container_save_exit(e, c, err);
	if (rc >= 0)
		*ret_restart = take_fd(&fd);
	return rc;
}

int reap_locked(struct engine *e, struct container *c, struct err *err)
{
	char cgroup[MONITOR_PATH_MAX];
	int restart = -EBADF; /* owned by the last call */
	_cleanup_close_ int dir = bundle_open(e, c->id);
	if (dir < 0 && dir != -ENOENT)
		return err_sys(err, dir, "reading the state of container %.12s", c->id);
	int rc = take_facts(e, dir, c, err);
	cgroup_path_of(c, cgroup);
	rc = rc < 0 ? rc : fault_point("engine.reap.facts", err);
	naming_forget(e, c);
	bool goes = c->req->auto_remove && !(dir >= 0 && faccessat(dir, KEEP_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	if (!goes) { /* else with its rows */
		rc = rc < 0 ? rc : networking_down(e, c, err);
		rc = rc < 0 ? rc : fault_point("engine.reap.network", err);
	}
	rc = rc < 0 ? rc : sandbox_cleanup(cgroup, err);
	rc = rc < 0 ? rc : fault_point("engine.reap.cgroups", err);
	if (rc < 0)
		return err_wrap(err, "cleaning up container %.12s", c->id);
	int code = c->exit_code;
	if (!goes) {
		health_keep(e, c, dir);
		rc = save_end(e, c, dir < 0, &restart, err);
		rc = rc < 0 ? rc : fault_point("engine.reap.saved", err);
		if (rc < 0)
			return rc;
	}
	if (!goes && (rc = bundle_remove(e, c->id)) < 0) {
		restart_hand_over(e, c, restart);
		return err_sys(err, rc, "removing the bundle of container %.12s", c->id);
	}
	fault_mark("engine.reap.bundle");
	tell_end(e, c);
	networking_tell(e, c, "disconnect");
	if (!goes) {
		wait_notify_exit(e, c->id, code);
		restart_hand_over(e, c, restart);
		return 0;
	}
	wait_keep_code(e, c->id, code);
	rc = remove_locked(e, c, /* volumes= */ true, err);
	if (rc < 0)
		wait_notify_exit(e, c->id, code); /* else its removal says it: what it published is free by then */
	return rc < 0 ? rc : 1;
}

/* Somebody else may have reaped while we waited for the lock. Return: 1 removed, 0, <0. */
static int reap_fresh(struct engine *e, struct container *c, struct run_info *ret, struct err *err)
{
	struct container now = {0};
	int rc = container_load(e, c->id, &now, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return 1;
	container_done(c);
	*c = now;
	rc = state_peek(e, c, ret, err);
	if (rc < 0 || ret->state != RUN_DEAD)
		return rc;
	rc = reap_locked(e, c, err);
	ret->state = rc == 0 ? row_run_state(c) : RUN_EXITED;
	return rc;
}

int state_read(struct engine *e, struct container *c, bool locked, struct run_info *ret, struct err *err)
{
	int rc = state_peek(e, c, ret, err);
	if (rc >= 0 && ret->state == RUN_RESTARTING && c->restart_due_ns)
		return restart_look(e, c, locked, ret, err);
	if (rc < 0 || ret->state != RUN_DEAD)
		return rc;
	/* whoever reaps is done in a moment, and only then the row tells the truth; whoever starts may take longer */
	_cleanup_close_ int lock = locked ? -EBADF : ret->starting ? lock_try(e, c->id) : lock_take(e, c->id, err);
	if (!locked && lock == -EAGAIN) {
		ret->state = row_run_state(c);
		return 0;
	}
	if (!locked && lock < 0)
		return ret->starting ? err_sys(err, lock, "locking container %.12s", c->id) : lock;
	char id[ID_LEN + 1];
	memcpy(id, c->id, sizeof(id));
	rc = reap_fresh(e, c, ret, err);
	if (rc > 0) {
		if (!locked)
			lock_forget(e, id);
		return err_set(err, ERR_NOT_FOUND, "No such container: %s", id);
	}
	return rc;
}

int engine_reap(struct engine *e, const char *id, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	_cleanup_close_ int lock = lock_take(e, id, err);
	if (lock < 0)
		return lock;
	int rc = container_load(e, id, &c, err);
	if (rc == 0) {
		lock_forget(e, id);
		return 0;
	}
	rc = rc < 0 ? rc : state_peek(e, &c, &info, err);
	if (rc < 0 || info.state != RUN_DEAD)
		return rc;
	rc = reap_locked(e, &c, err);
	if (rc > 0)
		lock_forget(e, id);
	return MIN(rc, 0);
}
