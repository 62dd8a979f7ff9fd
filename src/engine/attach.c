/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching a client's stream: to a running container's monitor, or kept until the start (clients attach before they start). */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/internal.h"

#define EARLY_MAX (MONITOR_PAYLOAD_MAX - sizeof(struct monitor_attach))
#define PENDING_MAX 64 /* a container */

#define PROMISE_TIMEOUT_S 5

/* An attach before the start. First a promise (made before the client is answered), then a stream. A start takes streams and waits for promises. */
struct pending {
	struct pending *next;
	char id[ID_LEN + 1];
	int fd; /* owned; -EBADF while it is a promise */
	struct monitor_attach a;
	char *early; /* owned */
};

static void pending_free(struct pending *p)
{
	safe_close(p->fd);
	free(p->early);
	free(p);
}

/* One key: a character, or ctrl- and a letter or one of @[\]^_ (docker's term package). Return: byte or -EINVAL. */
static int parse_key(const char *s, size_t n)
{
	if (n == 1)
		return (unsigned char) s[0];
	if (n != 6 || strncmp(s, "ctrl-", 5) != 0)
		return -EINVAL;
	unsigned char c = (unsigned char) tolower((unsigned char) s[5]);
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 1;
	if (c == '@')
		return 0;
	return c >= '[' && c <= '_' ? c - '[' + 27 : -EINVAL;
}

int detach_keys_parse(const char *s, struct monitor_attach *a, struct err *err)
{
	const char *p = str_empty(s) ? "ctrl-p,ctrl-q" : s;
	a->n_keys = 0;
	for (;;) {
		size_t n = strcspn(p, ",");
		if (n == 0 && p[0] == ',' && (p[1] == ',' || p[1] == '\0'))
			n = 1; /* a comma itself */
		int key = parse_key(p, n);
		if (key < 0 || a->n_keys == MONITOR_DETACH_KEYS_MAX)
			return err_set(err, ERR_INVALID, "Invalid detach keys (%.64s) provided", s);
		a->keys[a->n_keys++] = (uint8_t) key;
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

static int build(const struct container *c, const struct attach_request *a, struct monitor_attach *ret, struct err *err)
{
	*ret = (struct monitor_attach){.raw = c->req->tty, .streams = (a->stdin && c->req->open_stdin ? 1u : 0) | (a->stdout ? 2u : 0) | (a->stderr ? 4u : 0)};
	if (!c->req->tty)
		return str_empty(a->detach_keys) ? 0 : detach_keys_parse(a->detach_keys, &(struct monitor_attach){0}, err);
	return detach_keys_parse(a->detach_keys, ret, err);
}

static struct pending *unlink_pending(struct pending **at)
{
	struct pending *p = *at;
	*at = p->next;
	return p;
}

/* Clients that hung up before their container started: nobody watches them, so the next one that comes clears them away. */
static void drop_dead(struct engine *e)
{
	(void) pthread_mutex_lock(&e->lock);
	for (struct pending **at = &e->pendings; *at;) {
		struct pollfd p = {.fd = (*at)->fd}; /* POLLHUP: gone; one that only ended its input is there */
		if (p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
			pending_free(unlink_pending(at));
		else
			at = &(*at)->next;
	}
	(void) pthread_mutex_unlock(&e->lock);
}

static int promise(struct engine *e, const char *id, struct err *err)
{
	struct pending *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->fd = -EBADF;
	memcpy(p->id, id, sizeof(p->id));
	drop_dead(e);
	(void) pthread_mutex_lock(&e->lock);
	struct pending **end = &e->pendings;
	size_t n = 0;
	for (; *end; end = &(*end)->next)
		n += str_eq((*end)->id, id);
	bool full = n >= PENDING_MAX;
	if (!full)
		*end = p;
	(void) pthread_mutex_unlock(&e->lock);
	if (!full)
		return 0;
	pending_free(p);
	return err_set(err, ERR_QUOTA, "%d clients are attached before the start already", PENDING_MAX);
}

/* Under the lock. The first entry of @id that is a promise (or is not one). */
static struct pending **find_pending(struct engine *e, const char *id, bool is_promise)
{
	for (struct pending **p = &e->pendings; *p; p = &(*p)->next)
		if (str_eq((*p)->id, id) && ((*p)->fd < 0) == is_promise)
			return p;
	return NULL;
}

/* Under the lock. */
static void drop_promises(struct engine *e, const char *id)
{
	struct pending **at;
	while ((at = find_pending(e, id, /* is_promise= */ true)))
		pending_free(unlink_pending(at));
}

bool attach_waits(struct engine *e, const char *id)
{
	return find_pending(e, id, /* is_promise= */ false) != NULL;
}

void engine_attach_cancel(struct engine *e, const char *id)
{
	(void) pthread_mutex_lock(&e->lock);
	struct pending **at = find_pending(e, id, /* is_promise= */ true);
	struct pending *p = at ? unlink_pending(at) : NULL;
	(void) pthread_cond_broadcast(&e->attached);
	(void) pthread_mutex_unlock(&e->lock);
	if (p)
		pending_free(p);
}

int engine_attach_check(struct engine *e, const struct caller *caller, const char *ref, const struct attach_request *a, bool *ret_tty, char ret_id[65], struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	struct monitor_attach m;
	int rc = container_find(e, caller->tenant, ref, &c, err);
	rc = rc < 0 ? rc : build(&c, a, &m, err);
	rc = rc < 0 ? rc : promise(e, c.id, err);
	if (rc < 0)
		return rc;
	/* looked at after the promise: a start that ended before it is seen, one that ends later keeps the promise (attach_late) */
	char id[ID_LEN + 1];
	memcpy(id, c.id, sizeof(id));
	rc = state_read(e, &c, /* locked= */ false, &info, err);
	if (rc >= 0 && info.state == RUN_RUNNING && a->stream)
		rc = pause_refuse(&c, "attach", err);
	if (rc >= 0 && info.state == RUN_RESTARTING && a->stream)
		rc = restart_refuse(&c, err);
	if (rc < 0 || info.state == RUN_RUNNING)
		engine_attach_cancel(e, id);
	if (rc < 0)
		return rc;
	event_container(e, &c, "attach", NULL);
	*ret_tty = c.req->tty;
	memcpy(ret_id, c.id, sizeof(c.id));
	return 0;
}

/* Keep a promise of @id: its stream is @fd_take from now on. Return: 1 kept, 0 there was none (a start gave up on it), <0. */
static int keep(struct engine *e, const char *id, int fd_take, const struct monitor_attach *a, const void *early, size_t early_len, struct err *err)
{
	char *copy = malloc(early_len ?: 1);
	if (!copy)
		return err_oom(err);
	memcpy(copy, early ?: "", early_len);
	(void) pthread_mutex_lock(&e->lock);
	struct pending **at = find_pending(e, id, /* is_promise= */ true);
	if (at) {
		struct pending *p = *at;
		p->a = *a;
		p->a.early_len = (uint32_t) early_len;
		p->early = copy;
		p->fd = fd_take;
		(void) pthread_cond_broadcast(&e->attached);
	}
	(void) pthread_mutex_unlock(&e->lock);
	if (!at)
		free(copy);
	return at != NULL;
}

/* The next stream of @id; waits for promises. NULL: none is left. */
static struct pending *take_pending(struct engine *e, const char *id)
{
	struct timespec until;
	(void) clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PROMISE_TIMEOUT_S;
	(void) pthread_mutex_lock(&e->lock);
	struct pending **at;
	while (!(at = find_pending(e, id, false)) && find_pending(e, id, true))
		if (pthread_cond_timedwait(&e->attached, &e->lock, &until) != 0) {
			/* a client that was answered and does not come: the start goes on without it, and it is attached as to any running container */
			drop_promises(e, id);
			at = find_pending(e, id, false);
			break;
		}
	struct pending *found = at ? unlink_pending(at) : NULL;
	(void) pthread_mutex_unlock(&e->lock);
	return found;
}

void attach_drop(struct engine *e, const char *id)
{
	spare_drop(e, id);
	for (bool more = true; more;) {
		(void) pthread_mutex_lock(&e->lock);
		struct pending **at = find_pending(e, id, false);
		if (!at)
			at = find_pending(e, id, true);
		struct pending *p = at ? unlink_pending(at) : NULL;
		(void) pthread_mutex_unlock(&e->lock);
		more = p != NULL;
		if (p)
			pending_free(p);
	}
}

int attach_flush(struct engine *e, const struct container *c, int link, struct err *err)
{
	struct pending *p;
	int rc = 0;
	while ((p = take_pending(e, c->id))) {
		if (rc >= 0)
			rc = link_send(link, MONITOR_ATTACH, 2, &p->a, sizeof(p->a), p->early, p->a.early_len, &p->fd, 1, err);
		pending_free(p);
	}
	return rc;
}

void attach_late(struct engine *e, const char *id)
{
	for (;;) {
		(void) pthread_mutex_lock(&e->lock);
		drop_promises(e, id); /* their streams will find a running container */
		struct pending **at = find_pending(e, id, false);
		struct pending *p = at ? unlink_pending(at) : NULL;
		(void) pthread_mutex_unlock(&e->lock);
		if (!p)
			return;
		char none[1];
		_cleanup_close_ int link = link_connect(e, id, NULL);
		if (link >= 0 && link_send(link, MONITOR_ATTACH, 1, &p->a, sizeof(p->a), p->early, p->a.early_len, &p->fd, 1, NULL) >= 0)
			(void) link_recv(link, 1, none, 0, NULL); /* refused: the stream ends, which tells the client */
		pending_free(p);
	}
}

static int attach_running(struct engine *e, const char *id, struct monitor_attach *m, int fd, const void *early, size_t early_len, struct err *err)
{
	char none[1];
	_cleanup_close_ int link = link_connect(e, id, err);
	if (link < 0)
		return link;
	m->early_len = (uint32_t) early_len;
	int rc = link_send(link, MONITOR_ATTACH, 1, m, sizeof(*m), early, early_len, &fd, 1, err);
	rc = rc < 0 ? rc : link_recv(link, 1, none, 0, err);
	return MIN(rc, 0);
}

int engine_attach(struct engine *e, const struct caller *caller, const char *id, const struct attach_request *a, int fd_consume, const void *early, size_t early_len,
		  struct err *err)
{
	_cleanup_close_ int fd = fd_consume;
	_cleanup_container_ struct container c = {0};
	struct monitor_attach m;
	int rc = container_find(e, caller->tenant, id, &c, err);
	rc = rc < 0 ? rc : build(&c, a, &m, err);
	if (rc >= 0 && early_len > EARLY_MAX)
		rc = err_set(err, ERR_INVALID, "%zu bytes of input behind the request, at most %zu are taken", early_len, EARLY_MAX);
	if (rc < 0 || !a->stream || m.streams == 0) {
		engine_attach_cancel(e, id);
		return MIN(rc, 0); /* or nothing to stream: the connection ends */
	}
	rc = keep(e, c.id, fd, &m, early, early_len, err);
	if (rc != 0) {
		if (rc > 0) {
			(void) take_fd(&fd);
			spare_make(e, c.id); /* the client has its answer and is asking for the start */
		}
		return MIN(rc, 0);
	}
	return attach_running(e, c.id, &m, fd, early, early_len, err);
}

void attach_drop_all(struct engine *e)
{
	spare_drop(e, NULL);
	while (e->pendings)
		attach_drop(e, e->pendings->id);
}
