/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping, killing, restarting and resizing: requests to the monitor, without holding the container's lock while it takes its time. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"

#define KILL_PATIENCE_MS 30000 /* an exit is told behind its output: a client that reads nothing holds it up for 10 s (monitor/proto.h) */
#define STOP_TRIES 5 /* a restart policy may win in between */
enum { SEQ_KILL = 1, SEQ_WAIT };

/* A start under way counts as what it becomes: its process may have spoken to the client already, who now sends a signal. */
static int await_start(struct engine *e, struct container *c, struct run_info *info, struct err *err)
{
	char id[ID_LEN + 1];
	memcpy(id, c->id, sizeof(id));
	_cleanup_close_ int lock = lock_take(e, id, err);
	if (lock < 0)
		return lock;
	container_done(c);
	int rc = container_load(e, id, c, err);
	if (rc == 0) {
		lock_forget(e, id);
		return err_set(err, ERR_NOT_FOUND, "No such container: %s", id);
	}
	rc = rc < 0 ? rc : state_read(e, c, /* locked= */ true, info, err);
	if (rc == -ENOENT)
		lock_forget(e, id); /* it was to be removed, and is */
	return rc;
}

int run_find(struct engine *e, const struct caller *caller, const char *ref, struct container *c, struct run_info *info, struct err *err)
{
	int rc = container_find(e, caller->tenant, ref, c, err);
	rc = rc < 0 ? rc : state_read(e, c, /* locked= */ false, info, err);
	if (rc >= 0 && info->state != RUN_RUNNING && info->starting)
		rc = await_start(e, c, info, err);
	return MIN(rc, 0);
}

int running_find(struct engine *e, const struct caller *caller, const char *ref, struct container *c, struct err *err)
{
	struct run_info info;
	int rc = run_find(e, caller, ref, c, &info, err);
	if (rc >= 0 && info.state == RUN_RESTARTING)
		return restart_refuse(c, err);
	return rc < 0 ? rc : info.state == RUN_RUNNING;
}

static int send_signal(int link, int sig, struct err *err)
{
	struct monitor_kill k = {.sig = sig};
	char none[1];
	int rc = link_send(link, MONITOR_KILL, SEQ_KILL, &k, sizeof(k), NULL, 0, NULL, 0, err);
	rc = rc < 0 ? rc : link_recv(link, SEQ_KILL, none, 0, err);
	return MIN(rc, 0);
}

/* The same, where an exit is waited for: that it is ending by itself is as good. */
static int send_ending_signal(int link, int sig, struct err *err)
{
	struct err why = {0};
	int rc = send_signal(link, sig, &why);
	if (rc >= 0 || why.kind == ERR_CONFLICT)
		return 0;
	if (err)
		*err = why;
	return rc;
}

/* Wait for the exit on a connection where WAIT was sent. Return: 1 exited, 0 @timeout_ms is over. */
static int wait_exit(int link, int timeout_ms)
{
	struct pollfd p = {link, POLLIN, 0};
	usec_t end = now_usec() + (usec_t) MAX(timeout_ms, 0) * USEC_PER_MSEC;
	for (;;) {
		usec_t now = now_usec();
		int left = timeout_ms < 0 ? -1 : now >= end ? 0 : (int) ((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
		int n = poll(&p, 1, left);
		if (n >= 0 || errno != EINTR)
			return n != 0;
	}
}

/* A frozen process takes its signal when it goes on, as under dockerd. */
static int thaw(struct engine *e, const struct container *c, struct err *err)
{
	return container_is_paused(c) ? pause_set(e, c, /* on= */ false, err) : 0;
}

static int kill_and_wait(struct engine *e, const struct container *c, int link, int sig, int timeout_ms, struct err *err)
{
	/* WAIT first: the connection that hears of the exit must not be the one that a quick exit closes before it asked */
	_cleanup_close_ int waiter = link_connect(e, c->id, err);
	int rc = waiter < 0 ? waiter : link_send(waiter, MONITOR_WAIT, SEQ_WAIT, NULL, 0, NULL, 0, NULL, 0, err);
	rc = rc < 0 ? rc : fault_point("engine.stop.waiting", err);
	rc = rc < 0 ? rc : send_ending_signal(link, sig, err);
	fault_mark("engine.stop.signalled");
	rc = rc < 0 ? rc : thaw(e, c, err);
	if (rc < 0)
		return rc;
	int exited = wait_exit(waiter, timeout_ms);
	if (!exited) {
		rc = send_ending_signal(link, SIGKILL, err);
		if (rc < 0)
			return rc;
		exited = wait_exit(waiter, KILL_PATIENCE_MS);
	}
	fault_mark("engine.stop.exited");
	if (!exited)
		return err_set(err, ERR_SYSTEM, "container %.12s did not end within %d s of SIGKILL", c->id, KILL_PATIENCE_MS / 1000);
	return engine_reap(e, c->id, err);
}

static int stop_timeout_ms(const struct container_request *r, int timeout_s)
{
	if (timeout_s == -1)
		timeout_s = r->stop_timeout;
	if (timeout_s == -1)
		timeout_s = STOP_TIMEOUT_DEFAULT_S;
	return timeout_s < 0 ? -1 : MIN(timeout_s, 1000000) * 1000;
}

static void tell_signal(struct engine *e, const struct container *c, int sig)
{
	char text[16];
	(void) str_format(text, sizeof(text), "%d", sig); /* fits */
	event_container(e, c, "kill", "signal", text, NULL);
}

static int stop_signal(const struct container_request *r, const char *signal, struct err *err)
{
	return signal_parse(!str_empty(signal) ? signal : str_empty(r->stop_signal) ? "TERM" : r->stop_signal, err);
}

/* It may have ended by itself at a moment when no mark was there yet, and be restarting or running anew. */
static bool is_down(struct engine *e, const char *id)
{
	_cleanup_container_ struct container now = {0};
	struct run_info info;
	int rc = container_load(e, id, &now, NULL);
	rc = rc > 0 ? state_read(e, &now, /* locked= */ false, &info, NULL) : rc == 0 ? -ENOENT : rc;
	return rc == -ENOENT || (rc >= 0 && info.state != RUN_RUNNING && info.state != RUN_RESTARTING);
}

/* What runs. Return: 1 it is stopped, 0 it was restarted meanwhile, <0. */
static int stop_running(struct engine *e, const struct container *c, int timeout_s, const char *signal, struct err *err)
{
	struct err ignored;
	int sig = stop_signal(c->req, signal, err);
	int rc = sig < 0 ? sig : restart_mark(e, c, /* ending= */ true, err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int link = link_connect(e, c->id, err);
	if (link >= 0) {
		tell_signal(e, c, sig);
		rc = kill_and_wait(e, c, link, sig, stop_timeout_ms(c->req, timeout_s), err);
	}
	if (link >= 0 && rc >= 0)
		return restart_is_wanted(c->req) ? is_down(e, c->id) : 1;
	/* it may have ended by itself at this moment */
	if (engine_reap(e, c->id, &ignored) == 0 && is_down(e, c->id))
		return 1;
	return restart_is_wanted(c->req) ? 0 : link < 0 ? link : rc;
}

/* Return: 1 it is stopped, 0 look again, <0. */
static int stop_once(struct engine *e, const struct caller *caller, const char *ref, int timeout_s, const char *signal, bool event, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	int rc = run_find(e, caller, ref, &c, &info, err);
	if (rc < 0)
		return rc;
	if (info.state == RUN_RESTARTING)
		rc = restart_cancel(e, c.id, /* cut= */ false, err);
	else if (info.state == RUN_RUNNING)
		rc = stop_running(e, &c, timeout_s, signal, err);
	else
		return err_set(err, ERR_NOT_MODIFIED, "container %s is already stopped", c.name);
	if (rc > 0 && event)
		event_container(e, &c, "stop", NULL);
	return rc;
}

int stop_container(struct engine *e, const struct caller *caller, const char *ref, int timeout_s, const char *signal, bool event, struct err *err)
{
	for (int i = 0; i < STOP_TRIES; i++) {
		int rc = stop_once(e, caller, ref, timeout_s, signal, event, err);
		if (rc != 0)
			return MIN(rc, 0);
	}
	return err_set(err, ERR_SYSTEM, "container %.128s was started anew %d times while it was being stopped", ref, STOP_TRIES);
}

int engine_stop(struct engine *e, const struct caller *caller, const char *ref, int timeout_s, const char *signal, struct err *err)
{
	return stop_container(e, caller, ref, timeout_s, signal, /* event= */ true, err);
}

int stop_for_down(struct engine *e, const char *id, int timeout_s, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	int rc = container_load(e, id, &c, err);
	if (rc <= 0)
		return rc; /* gone meanwhile, as below */
	rc = state_read(e, &c, /* locked= */ false, &info, err);
	if (rc >= 0 && info.state != RUN_RUNNING && info.starting)
		rc = await_start(e, &c, &info, err);
	if (rc < 0)
		return rc == -ENOENT || err->kind == ERR_NOT_FOUND ? 0 : rc;
	if (info.state == RUN_RESTARTING)
		return restart_cancel(e, c.id, /* cut= */ true, err);
	if (info.state != RUN_RUNNING)
		return 0;
	int sig = stop_signal(c.req, NULL, err);
	if (sig < 0)
		return sig;
	_cleanup_close_ int link = link_connect(e, c.id, err);
	rc = link;
	if (link >= 0) {
		tell_signal(e, &c, sig);
		rc = kill_and_wait(e, &c, link, sig, stop_timeout_ms(c.req, timeout_s), err);
	}
	if (rc < 0)
		return is_down(e, c.id) ? 1 : rc; /* it has ended by itself at this moment */
	event_container(e, &c, "stop", NULL);
	return 1;
}

int engine_kill(struct engine *e, const struct caller *caller, const char *ref, const char *signal, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int sig = str_empty(signal) ? SIGKILL : signal_parse(signal, err);
	if (sig < 0)
		return sig;
	struct run_info info;
	int rc = run_find(e, caller, ref, &c, &info, err);
	if (rc >= 0 && info.state == RUN_RESTARTING)
		return MIN(restart_cancel(e, c.id, /* cut= */ false, err), 0);
	if (rc >= 0 && info.state != RUN_RUNNING)
		return err_set(err, ERR_CONFLICT, "cannot kill container: %.128s: container %s is not running", ref, c.id);
	rc = rc < 0 ? rc : restart_mark(e, &c, sig == SIGKILL || sig == stop_signal(c.req, NULL, NULL), err);
	if (rc < 0)
		return rc;
	_cleanup_close_ int link = link_connect(e, c.id, err);
	if (link < 0)
		return link;
	tell_signal(e, &c, sig);
	if (sig == SIGKILL)
		return kill_and_wait(e, &c, link, sig, KILL_PATIENCE_MS, err);
	rc = send_signal(link, sig, err);
	return rc < 0 ? rc : thaw(e, &c, err);
}

int engine_restart(struct engine *e, const struct caller *caller, const char *ref, int timeout_s, const char *signal, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct err own = {0};
	err = err ?: &own;
	int rc = container_find(e, caller->tenant, ref, &c, err);
	if (rc < 0)
		return rc;
	rc = c.req->auto_remove ? keep_mark(e, c.id, err) : 0;
	if (rc < 0)
		return rc;
	rc = engine_stop(e, caller, c.id, timeout_s, signal, err);
	if (rc < 0 && err->kind != ERR_NOT_MODIFIED)
		return rc;
	fault_mark("engine.restart.stopped");
	rc = engine_start(e, caller, c.id, err);
	if (rc >= 0)
		event_container(e, &c, "restart", NULL);
	return rc;
}

int engine_resize(struct engine *e, const struct caller *caller, const char *ref, unsigned rows, unsigned cols, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct monitor_resize z = {.rows = (uint16_t) MIN(rows, 65535u), .cols = (uint16_t) MIN(cols, 65535u)};
	int rc = running_find(e, caller, ref, &c, err);
	if (rc == 0)
		return err_set(err, ERR_CONFLICT, "container %s is not running", c.id);
	if (rc < 0)
		return rc;
	_cleanup_close_ int link = link_connect(e, c.id, err);
	return link < 0 ? link : MIN(link_call(link, MONITOR_RESIZE, &z, sizeof(z), NULL, 0, err), 0);
}
