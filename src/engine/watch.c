/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread for all monitors whose first connection this process holds: it answers a container's exit with reaping, and an exec's
 * with its record. The connection stays open until the monitor has left, which tells it that nobody else need reap.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/internal.h"
#include "kernel/process.h"

#define SEQ_WAIT 1000 /* above anything that the start used */
#define KILLED_PATIENCE_MS 2000

enum item_kind { ITEM_CONTAINER, ITEM_EXEC, ITEM_LEAVING };

struct item {
	struct item *next;
	enum item_kind kind;
	int fd;	  /* owned */
	int link; /* owned; ITEM_LEAVING: stays open until the monitor has gone; else -EBADF */
	pid_t pid; /* 0: not our child */
	bool reap; /* ITEM_LEAVING: its container is still to be reaped */
	char id[ID_LEN + 1];
};

struct watcher {
	pthread_t thread;
	int epfd, wake_fd; /* owned */
	struct item *items;
	pthread_cond_t idle; /* with the engine's lock */
	bool reaping;
};

static void item_free(struct item *it)
{
	safe_close(it->fd);
	safe_close(it->link);
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

static void wait_monitor(struct item *it)
{
	int status;
	if (it->pid > 0)
		(void) process_wait(it->pid, &status); /* only so that no zombie stays */
	it->pid = 0;
}

static void set_reaping(struct engine *e, bool on)
{
	(void) pthread_mutex_lock(&e->lock);
	e->watcher->reaping = on;
	(void) pthread_cond_broadcast(&e->watcher->idle);
	(void) pthread_mutex_unlock(&e->lock);
}

static int leave(struct engine *e, const char *id, int link_take, pid_t pid, bool reap);

static void reap(struct engine *e, const char *id)
{
	struct err err = {0};
	set_reaping(e, true);
	if (engine_reap(e, id, &err) < 0)
		log_error("container %.12s: %s", id, err.msg);
	set_reaping(e, false);
}

/* Of a monitor that another process started: its socket closes a moment before it is gone for everybody. */
static void await_monitor(struct engine *e, const char *id)
{
	struct container c = {0};
	struct run_info info = {0};
	memcpy(c.id, id, sizeof(c.id));
	if (state_peek(e, &c, &info, NULL) < 0 || info.state != RUN_RUNNING)
		return;
	_cleanup_close_ int pidfd = process_pidfd(info.live.monitor_pid);
	struct pollfd p = {pidfd, POLLIN, 0};
	if (pidfd >= 0 && proc_is(info.live.monitor_pid, info.live.monitor_ticks))
		(void) poll(&p, 1, KILLED_PATIENCE_MS); /* else the next look finds it */
}

/* The answer to WAIT, and what follows from it. Return: whether it was one. */
static bool take_answer(struct engine *e, struct item *it)
{
	struct monitor_exit x;
	if (link_recv(it->fd, SEQ_WAIT, &x, sizeof(x), NULL) != sizeof(x) || x.magic != MONITOR_EXIT_MAGIC)
		return false;
	wait_keep_code(e, it->id, x.code);
	reap(e, it->id);
	wait_notify_exit(e, it->id, x.code); /* another process may have reaped it: then nobody here was told */
	return true;
}

/* Without an answer the monitor was killed (or gave us up), and its end makes the state readable. A monitor stays until its last
 * client has its output: nobody may wait for that here, where every container's end is handled. */
static void container_exited(struct engine *e, struct item *it)
{
	bool told = take_answer(e, it);
	if (leave(e, it->id, it->fd, it->pid, /* reap= */ !told) >= 0) {
		(void) take_fd(&it->fd);
		it->pid = 0;
		return;
	}
	if (!told && it->pid == 0)
		await_monitor(e, it->id);
	wait_monitor(it);
	if (!told)
		reap(e, it->id);
}

static void exec_exited(struct engine *e, struct item *it)
{
	struct monitor_exit x = {0};
	int r = link_recv(it->fd, SEQ_WAIT, &x, sizeof(x), NULL);
	exec_ended(e, it->id, r == sizeof(x) && x.magic == MONITOR_EXIT_MAGIC ? &x : NULL);
}

static void handle(struct engine *e, struct item *it)
{
	(void) epoll_ctl(e->watcher->epfd, EPOLL_CTL_DEL, it->fd, NULL); /* it is closed below anyway */
	if (it->kind == ITEM_EXEC)
		exec_exited(e, it);
	else if (it->kind == ITEM_CONTAINER)
		container_exited(e, it);
	else {
		wait_monitor(it);
		if (it->reap)
			reap(e, it->id);
	}
	unlink_item(e, it);
	if (it->kind == ITEM_CONTAINER || it->reap)
		wait_notify_started(e, it->id); /* another process may have reaped it first: whoever waits here looks at the record */
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
	(void) pthread_cond_init(&w->idle, NULL); /* cannot fail with default attributes */
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

/* @it joins the list and the epoll set; freed on failure, its descriptors not. */
static int enlist(struct engine *e, struct item *it, struct err *err)
{
	(void) pthread_mutex_lock(&e->lock);
	it->next = e->watcher->items;
	e->watcher->items = it;
	(void) pthread_mutex_unlock(&e->lock);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = it};
	if (epoll_ctl(e->watcher->epfd, EPOLL_CTL_ADD, it->fd, &ev) == 0)
		return 0;
	int r = -errno;
	unlink_item(e, it);
	free(it);
	return err_sys(err, r, "watching the monitor");
}

static int add(struct engine *e, enum item_kind kind, const char *id, int fd, pid_t pid, struct err *err)
{
	struct item *it = calloc(1, sizeof(*it));
	if (!it)
		return err_oom(err);
	*it = (struct item){.kind = kind, .fd = fd, .link = -EBADF, .pid = pid};
	memcpy(it->id, id, sizeof(it->id));
	return enlist(e, it, err);
}

int watch_container(struct engine *e, const char *id, int fd_take, pid_t pid, struct err *err)
{
	struct err mine;
	int r = ensure(e, err);
	if (r < 0)
		return r;
	r = link_send(fd_take, MONITOR_WAIT, SEQ_WAIT, NULL, 0, NULL, 0, NULL, 0, &mine);
	if (r < 0 && r != -EPIPE) {
		*err = mine;
		return r;
	}
	/* -EPIPE: the container has ended and its monitor has left already; the watcher sees the connection's end and reads the record */
	return add(e, ITEM_CONTAINER, id, fd_take, pid, err);
}

void watch_adopt(struct engine *e, const char *id)
{
	if (watch_has(e, id))
		return;
	_cleanup_close_ int fd = link_connect(e, id, NULL);
	if (fd >= 0 && watch_container(e, id, fd, /* pid= */ 0, &(struct err){0}) >= 0)
		(void) take_fd(&fd);
}

int watch_exec(struct engine *e, const char *exec_id, int fd_take, struct err *err)
{
	struct monitor_exec_ref ref = {0};
	memcpy(ref.exec_id, exec_id, sizeof(ref.exec_id));
	int r = ensure(e, err);
	r = r < 0 ? r : link_send(fd_take, MONITOR_EXEC_WAIT, SEQ_WAIT, &ref, sizeof(ref), NULL, 0, NULL, 0, err);
	return r < 0 ? r : add(e, ITEM_EXEC, exec_id, fd_take, 0, err);
}

/* Reap a monitor's process when it goes. @link_take: kept open until then, which tells it that nobody else need reap. */
static int leave(struct engine *e, const char *id, int link_take, pid_t pid, bool reap_after)
{
	_cleanup_close_ int pidfd = process_pidfd(pid);
	if (pidfd < 0 || ensure(e, NULL) < 0)
		return -ECHILD;
	struct item *it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	*it = (struct item){.kind = ITEM_LEAVING, .fd = pidfd, .link = link_take, .pid = pid, .reap = reap_after};
	memcpy(it->id, id, sizeof(it->id));
	int r = enlist(e, it, NULL);
	if (r >= 0)
		(void) take_fd(&pidfd);
	return r;
}

void watch_leaving(struct engine *e, const char *id, int link_consume, pid_t pid)
{
	_cleanup_close_ int link = link_consume;
	if (leave(e, id, link, pid, /* reap_after= */ false) >= 0) {
		(void) take_fd(&link);
		return;
	}
	int status;
	link = safe_close(link);
	(void) process_wait(pid, &status); /* then its last client holds us up for a moment */
}

bool watch_has(struct engine *e, const char *id)
{
	bool has = false;
	(void) pthread_mutex_lock(&e->lock);
	for (struct item *it = e->watcher ? e->watcher->items : NULL; it && !has; it = it->next)
		has = it->kind == ITEM_CONTAINER && str_eq(it->id, id);
	(void) pthread_mutex_unlock(&e->lock);
	return has;
}

void watch_settle(struct engine *e)
{
	(void) pthread_mutex_lock(&e->lock);
	while (e->watcher && e->watcher->reaping)
		(void) pthread_cond_wait(&e->watcher->idle, &e->lock);
	(void) pthread_mutex_unlock(&e->lock);
}

/* A monitor looks whether we are there when its container has exited, behind its answer to WAIT. Once it can see that we go, either that answer is here
 * already and the exit is ours to reap, or it will see it and call the reaper. */
static void let_go(struct engine *e, struct item *it)
{
	struct pollfd p = {it->fd, POLLIN, 0};
	if (it->kind == ITEM_LEAVING && it->reap && poll(&p, 1, KILLED_PATIENCE_MS) > 0) {
		wait_monitor(it);
		reap(e, it->id);
	}
	if (it->kind != ITEM_CONTAINER)
		return;
	if (poll(&p, 1, 0) > 0) {
		container_exited(e, it);
		return;
	}
	(void) shutdown(it->fd, SHUT_WR); /* fails when it is gone */
	if (poll(&p, 1, 0) > 0) /* a quick monitor has hung up by now, which is no end of its container */
		(void) take_answer(e, it);
}

/* Containers that still run go on. */
void watch_stop(struct engine *e)
{
	struct watcher *w = e->watcher;
	if (!w)
		return;
	(void) eventfd_write(w->wake_fd, 1); /* cannot fail: the counter is 0 */
	(void) pthread_join(w->thread, NULL);
	while (w->items) {
		struct item *it = w->items;
		let_go(e, it);
		unlink_item(e, it);
		item_free(it);
	}
	safe_close(w->epfd);
	safe_close(w->wake_fd);
	free(take_ptr(e->watcher));
}
