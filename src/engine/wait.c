/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a container. A wait is registered before anybody can miss its exit; what this process sees (its own starts, reaps and
 * removals) is told through an eventfd, what another process started is awaited on a connection to its monitor, and only what has
 * not started yet, and may be started by somebody else, is looked at again from time to time.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/internal.h"

#define LOOK_AGAIN_MS 150
#define SEQ_WAIT 7

struct wait {
	struct wait *next;
	char id[ID_LEN + 1];
	enum wait_condition cond;
	int wake_fd;		 /* owned */
	int64_t finished_before; /* ns; the row's when the wait began */
	/* guarded by engine.lock */
	bool exited, removed;
	int code;
};

enum what { TOLD_CODE, TOLD_EXIT, TOLD_REMOVED, TOLD_STARTED };

static void tell(struct engine *e, const char *id, enum what what, int code)
{
	(void) pthread_mutex_lock(&e->lock);
	for (struct wait *w = e->waits; w; w = w->next) {
		if (!str_eq(w->id, id))
			continue;
		if (what == TOLD_CODE || what == TOLD_EXIT)
			w->code = code;
		if (what == TOLD_CODE)
			continue; /* the record is not written yet: nobody is woken */
		w->exited |= what == TOLD_EXIT;
		w->removed |= what == TOLD_REMOVED;
		(void) eventfd_write(w->wake_fd, 1); /* a full counter wakes as well */
	}
	(void) pthread_mutex_unlock(&e->lock);
}

/* What @w alone has found out: another client's wait may be for another exit. */
static void tell_one(struct engine *e, struct wait *w, int code)
{
	(void) pthread_mutex_lock(&e->lock);
	w->code = code;
	w->exited = true;
	(void) pthread_mutex_unlock(&e->lock);
}

void wait_keep_code(struct engine *e, const char *id, int code)
{
	tell(e, id, TOLD_CODE, code);
}

void wait_notify_exit(struct engine *e, const char *id, int code)
{
	tell(e, id, TOLD_EXIT, code);
}

void wait_notify_removed(struct engine *e, const char *id)
{
	tell(e, id, TOLD_REMOVED, 0);
}

void wait_notify_started(struct engine *e, const char *id)
{
	tell(e, id, TOLD_STARTED, 0);
}

static void wait_free(struct engine *e, struct wait *w)
{
	(void) pthread_mutex_lock(&e->lock);
	for (struct wait **p = &e->waits; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	(void) pthread_mutex_unlock(&e->lock);
	safe_close(w->wake_fd);
	free(w);
}

static struct wait *wait_new(struct engine *e, const char *id, enum wait_condition cond)
{
	struct wait *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	memcpy(w->id, id, sizeof(w->id));
	w->cond = cond;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0) {
		free(w);
		return NULL;
	}
	(void) pthread_mutex_lock(&e->lock);
	w->next = e->waits;
	e->waits = w;
	(void) pthread_mutex_unlock(&e->lock);
	return w;
}

int engine_wait_begin(struct engine *e, const struct caller *caller, const char *ref, enum wait_condition cond, struct wait **ret, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	int rc = container_find(e, caller->tenant, ref, &c, err);
	if (rc < 0)
		return rc;
	struct wait *w = wait_new(e, c.id, cond);
	if (!w)
		return err_oom(err);
	rc = state_read(e, &c, /* locked= */ false, &info, err);
	if (rc < 0) {
		wait_free(e, w);
		return rc;
	}
	w->finished_before = c.finished_ns;
	if (cond == WAIT_NOT_RUNNING && info.state != RUN_RUNNING && info.state != RUN_RESTARTING)
		tell_one(e, w, c.exit_code);
	*ret = w;
	return 0;
}

static bool satisfied(struct engine *e, const struct wait *w, int *ret_code)
{
	(void) pthread_mutex_lock(&e->lock);
	bool yes = w->cond == WAIT_REMOVED ? w->removed : w->exited || w->removed;
	*ret_code = w->code;
	(void) pthread_mutex_unlock(&e->lock);
	return yes;
}

/* Somebody else's doing, read from the record. */
static int look(struct engine *e, struct wait *w, struct run_info *info, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	*info = (struct run_info){.state = RUN_EXITED};
	int rc = container_load(e, w->id, &c, err);
	rc = rc > 0 ? state_read(e, &c, /* locked= */ false, info, err) : rc < 0 ? rc : -ENOENT;
	if (rc == -ENOENT) {
		wait_notify_removed(e, w->id);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (c.finished_ns != w->finished_before)
		tell_one(e, w, c.exit_code);
	return 0;
}

/* Connected to the monitor of a container that another process watches. Return: socket or -EBADF. */
static int ask_monitor(struct engine *e, const struct wait *w, const struct run_info *info)
{
	if (info->state != RUN_RUNNING || watch_has(e, w->id))
		return -EBADF;
	int fd = link_connect(e, w->id, NULL);
	if (fd >= 0 && link_send(fd, MONITOR_WAIT, SEQ_WAIT, NULL, 0, NULL, 0, NULL, 0, NULL) < 0)
		fd = safe_close(fd);
	return fd < 0 ? -EBADF : fd;
}

static int answer(struct engine *e, struct wait *w, int fd, struct err *err)
{
	struct monitor_exit x;
	int r = link_recv(fd, SEQ_WAIT, &x, sizeof(x), NULL);
	bool told = r == sizeof(x) && x.magic == MONITOR_EXIT_MAGIC;
	if (told)
		wait_keep_code(e, w->id, x.code);
	int rc = engine_reap(e, w->id, err);
	if (told)
		wait_notify_exit(e, w->id, x.code);
	return rc;
}

static bool hung_up(const struct pollfd *p)
{
	return p->fd >= 0 && (p->revents & (POLLIN | POLLHUP | POLLRDHUP | POLLERR));
}

int engine_wait_end(struct engine *e, struct wait *w, int cancel_fd, int *ret_code, struct err *err)
{
	_cleanup_close_ int conn = -EBADF;
	struct run_info info = {0};
	int code, rc = 0;
	while (!satisfied(e, w, &code)) {
		bool ours = watch_has(e, w->id);
		if (!ours && conn < 0) {
			rc = look(e, w, &info, err);
			if (rc < 0)
				break;
			if (satisfied(e, w, &code))
				break;
			conn = ask_monitor(e, w, &info);
		}
		struct pollfd p[3] = {{w->wake_fd, POLLIN, 0}, {cancel_fd, POLLIN | POLLRDHUP, 0}, {conn, POLLIN, 0}};
		int n = poll(p, 3, ours || conn >= 0 ? -1 : LOOK_AGAIN_MS);
		if (n < 0 && errno != EINTR) {
			rc = err_sys(err, -errno, "waiting");
			break;
		}
		eventfd_t ignored;
		(void) eventfd_read(w->wake_fd, &ignored); /* only its readiness counts */
		if (n > 0 && hung_up(&p[2])) {
			rc = answer(e, w, conn, err);
			conn = safe_close(conn);
			if (rc < 0)
				break;
		}
		if (n > 0 && hung_up(&p[1])) {
			rc = err_sys(err, -ECANCELED, "waiting");
			break;
		}
	}
	wait_free(e, w);
	if (rc < 0)
		return rc;
	*ret_code = code;
	return 0;
}
