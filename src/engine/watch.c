/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for all monitors whose first connection this process holds: it answers a container's exit with reaping, and an exec's
 * with its record. The connection stays open until the monitor has left, which tells it that nobody else need reap.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/internal.h"
#include "kernel/process.h"

#define SEQ_WAIT 1000 /* above anything that the start used */

struct item {
	struct item *next;
	int fd; /* owned */
	pid_t pid;
	bool exec;
	char id[ID_LEN + 1];
};

struct watcher {
	pthread_t thread;
	int epfd, wake_fd; /* owned */
	struct item *items;
	bool stop;
};

static void item_free(struct item *it)
{
	safe_close(it->fd);
	free(it);
}

/* Take @it out of the list; the caller frees it. */
static void unlink_item(struct engine *e, struct item *it)
{
	(void) pthread_mutex_lock(&e->lock);
	for (struct item **p = &e->watcher->items; *p; p = &(*p)->next)
		if (*p == it) {
			*p = it->next;
			break;
		}
	(void) pthread_mutex_unlock(&e->lock);
}

static void handle(struct engine *e, struct item *it)
{
	struct err err = {0};
	struct monitor_exit x = {0};
	(void) epoll_ctl(e->watcher->epfd, EPOLL_CTL_DEL, it->fd, NULL); /* it is closed below anyway */
	int r = link_recv(it->fd, SEQ_WAIT, &x, sizeof(x), &err);
	bool known = r == sizeof(x) && x.magic == MONITOR_EXIT_MAGIC;
	if (it->exec)
		exec_ended(e, it->id, known ? &x : NULL);
	else {
		if (!known) {
			int status;
			(void) process_wait(it->pid, &status); /* killed: its end makes the state readable */
			it->pid = 0;
		}
		if (engine_reap(e, it->id, &err) < 0)
			log_error("container %.12s: %s", it->id, err.msg);
		if (it->pid > 0) {
			int status;
			(void) process_wait(it->pid, &status); /* it leaves of itself once the exit is told */
		}
	}
	unlink_item(e, it);
	item_free(it);
}

static void *run(void *ctx)
{
	struct engine *e = ctx;
	struct watcher *w = e->watcher;
	for (;;) {
		struct epoll_event ev;
		int n = epoll_wait(w->epfd, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			return NULL;
		if (n <= 0)
			continue;
		if (!ev.data.ptr)
			return NULL; /* the wake descriptor: only watch_stop() writes it */
		handle(e, ev.data.ptr);
	}
}

static struct watcher *watcher_new(void)
{
	struct watcher *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};
	if (w->epfd >= 0 && w->wake_fd >= 0 && epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wake_fd, &ev) == 0)
		return w;
	safe_close(w->epfd);
	safe_close(w->wake_fd);
	free(w);
	return NULL;
}

static int ensure(struct engine *e, struct err *err)
{
	int r = 0;
	(void) pthread_mutex_lock(&e->lock);
	if (!e->watcher) {
		e->watcher = watcher_new();
		r = e->watcher ? -pthread_create(&e->watcher->thread, NULL, run, e) : -ENOMEM;
		if (r < 0 && e->watcher) {
			safe_close(e->watcher->epfd);
			safe_close(e->watcher->wake_fd);
			free(take_ptr(e->watcher));
		}
	}
	(void) pthread_mutex_unlock(&e->lock);
	return r < 0 ? err_sys(err, r, "starting the thread that watches containers") : 0;
}

static int add(struct engine *e, const char *id, int fd, pid_t pid, bool exec, const void *req, size_t len, enum monitor_verb verb, struct err *err)
{
	int r = ensure(e, err);
	r = r < 0 ? r : link_send(fd, verb, SEQ_WAIT, req, len, NULL, 0, NULL, 0, err);
	if (r < 0)
		return r;
	struct item *it = calloc(1, sizeof(*it));
	if (!it)
		return err_oom(err);
	*it = (struct item){.fd = fd, .pid = pid, .exec = exec};
	memcpy(it->id, id, sizeof(it->id));
	(void) pthread_mutex_lock(&e->lock);
	it->next = e->watcher->items;
	e->watcher->items = it;
	(void) pthread_mutex_unlock(&e->lock);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = it};
	if (epoll_ctl(e->watcher->epfd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	r = -errno;
	unlink_item(e, it);
	free(it);
	return err_sys(err, r, "watching the monitor");
}

int watch_container(struct engine *e, const char *id, int fd_take, pid_t pid, struct err *err)
{
	return add(e, id, fd_take, pid, false, NULL, 0, MONITOR_WAIT, err);
}

int watch_exec(struct engine *e, const char *exec_id, int fd_take, struct err *err)
{
	struct monitor_exec_ref ref = {0};
	memcpy(ref.exec_id, exec_id, sizeof(ref.exec_id));
	return add(e, exec_id, fd_take, 0, true, &ref, sizeof(ref), MONITOR_EXEC_WAIT, err);
}

bool watch_has(struct engine *e, const char *id)
{
	bool has = false;
	(void) pthread_mutex_lock(&e->lock);
	for (struct item *it = e->watcher ? e->watcher->items : NULL; it && !has; it = it->next)
		has = !it->exec && str_eq(it->id, id);
	(void) pthread_mutex_unlock(&e->lock);
	return has;
}

/* Containers that still run go on; their monitors see the connection close and will call the reaper. */
void watch_stop(struct engine *e)
{
	struct watcher *w = e->watcher;
	if (!w)
		return;
	(void) eventfd_write(w->wake_fd, 1); /* cannot fail: the counter is 0 */
	(void) pthread_join(w->thread, NULL);
	while (w->items) {
		struct item *it = w->items;
		w->items = it->next;
		item_free(it);
	}
	safe_close(w->epfd);
	safe_close(w->wake_fd);
	free(take_ptr(e->watcher));
}
