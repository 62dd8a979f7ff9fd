/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control connections: requests in, one reply each, out. A connection that does not take its replies is closed: nobody can make the monitor
 * wait or buffer. Requests come from host root only (SO_PEERCRED), but their sizes and strings are checked all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "kernel/process.h"
#include "monitor/internal.h"

#define CTL_NAME "ctl"
#define REQUEST_FDS MONITOR_HOLD_FDS

struct request {
	struct conn *c;
	struct monitor *m;
	uint32_t seq;
	const uint8_t *body; /* in scratch */
	uint32_t len;
	int fds[REQUEST_FDS]; /* owned; taken by handlers with take_fd() */
};

/* --- replies --- */

static void conn_send(struct conn *c, uint32_t seq, int32_t result, const void *body, uint32_t len)
{
	struct monitor_header h = {.verb = MONITOR_REPLY, .seq = seq, .result = result, .len = len};
	struct iovec iov[2] = {{.iov_base = &h, .iov_len = sizeof(h)}, {.iov_base = (void *) body, .iov_len = len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = len ? 2 : 1};
	ssize_t n;
	if (!c || c->src.fd < 0)
		return;
	do
		n = sendmsg(c->src.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		conn_close(c);
}

void conn_reply(struct conn *c, uint32_t seq, const void *body, uint32_t len)
{
	conn_send(c, seq, 0, body, len);
}

void conn_reply_err(struct conn *c, uint32_t seq, const struct err *err)
{
	conn_send(c, seq, err->sys < 0 ? err->sys : -EIO, err, sizeof(*err));
}

/* --- waiting --- */

static int wait_add(struct request *q, struct process *p, struct err *err)
{
	for (struct waiter *w = q->m->waiters; w < q->m->waiters + MONITOR_WAITERS_MAX; w++)
		if (!w->conn) {
			*w = (struct waiter){.conn = q->c, .p = p, .seq = q->seq};
			q->m->n_waiters++;
			return 0;
		}
	return err_set(err, ERR_QUOTA, "wait: %d requests are waiting already", MONITOR_WAITERS_MAX);
}

void conn_announce(struct monitor *m, struct process *p)
{
	for (struct waiter *w = m->waiters; w < m->waiters + MONITOR_WAITERS_MAX && m->n_waiters; w++) {
		if (!w->conn || w->p != p)
			continue;
		struct conn *c = w->conn;
		w->conn = NULL;
		m->n_waiters--;
		if (!p->id[0] && p->failed)
			conn_reply_err(c, w->seq, &p->err);
		else
			conn_reply(c, w->seq, &p->exit, sizeof(p->exit));
	}
}

static void forget_conn(struct monitor *m, const struct conn *c)
{
	for (struct waiter *w = m->waiters; w < m->waiters + MONITOR_WAITERS_MAX && m->n_waiters; w++)
		if (w->conn == c) {
			w->conn = NULL;
			m->n_waiters--;
		}
	if (m->container.start_conn == c)
		m->container.start_conn = NULL;
	for (int i = 0; i < MONITOR_EXECS_MAX && m->n_execs; i++)
		if (m->execs[i].start_conn == c)
			m->execs[i].start_conn = NULL;
}

/* --- requests --- */

/* a fixed-size field holds a terminated string */
#define FIELD_ENDS(f) (memchr((f), '\0', sizeof(f)) != NULL)

static int setup_check(const struct request *q, const struct monitor_setup *s, struct err *err)
{
	if (q->c != &q->m->conns[0] || q->m->bundle_fd >= 0)
		return err_set(err, ERR_CONFLICT, "setup: only once, and on the first connection");
	if (!FIELD_ENDS(s->id) || !FIELD_ENDS(s->reaper) || !FIELD_ENDS(s->fail_step) || !FIELD_ENDS(s->cgroup_path) || !id_is_full(s->id))
		return err_set(err, ERR_INVALID, "setup: a text is not terminated, or the id is not %d hex digits", ID_LEN);
	if (q->fds[0] < 0 || ((s->flags & MONITOR_LOG) && q->fds[1] < 0))
		return err_set(err, ERR_INVALID, "setup: the descriptor of the bundle or of the log directory is missing");
	if ((s->flags & MONITOR_LOG) && !s->log_max_files)
		return err_set(err, ERR_INVALID, "setup: log_max_files is 0: keep at least 1");
	return 0;
}

static int open_log(const struct request *q, const struct monitor_setup *s, struct err *err)
{
	char attrs[LOG_ATTRS_MAX + 1];
	size_t len = q->len - sizeof(*s);
	if (len >= sizeof(attrs))
		return err_set(err, ERR_INVALID, "setup: the log's attributes take more than %d bytes", LOG_ATTRS_MAX);
	memcpy(attrs, q->body + sizeof(*s), len);
	attrs[len] = '\0';
	const struct log_options o = {
		.format = s->flags & MONITOR_LOG_LOCAL ? &log_local : &log_json, .max_bytes = s->log_max_bytes, .max_files = s->log_max_files, .compress = s->flags & MONITOR_LOG_COMPRESS, .attrs = attrs,
	};
	int r = log_open(&q->m->log, q->fds[1], &o);
	return r < 0 ? err_sys(err, r, "setup: opening '%s'", o.format->name) : 0;
}

static int handle_setup(struct request *q, struct err *err)
{
	struct monitor *m = q->m;
	struct monitor_setup s;
	memcpy(&s, q->body, sizeof(s));
	int r = setup_check(q, &s, err);
	if (r < 0)
		return r;
	if (s.flags & MONITOR_LOG) {
		r = open_log(q, &s, err);
		if (r < 0)
			return r;
		m->log_dir_fd = take_fd(&q->fds[1]);
	}
	if (s.flags & MONITOR_FOREIGN && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(err, -errno, "setup: becoming the subreaper");
	m->setup = s;
	m->bundle_fd = take_fd(&q->fds[0]);
	m->lock_fd = take_fd(&q->fds[2]);
	static const char *const stale[] = {"exit", "state"};
	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		(void) unlinkat(m->bundle_fd, stale[i], 0); /* of an earlier run; usually missing */
	process_init(&m->container, m, "", s.flags);
	if (m->ops->title)
		memcpy(m->ops->title, s.id, ID_SHORT_LEN);
	r = conn_listen(m, err);
	if (r < 0) {
		m->bundle_fd = safe_close(m->bundle_fd); /* no setup: a START that follows is refused */
		m->container.state = PROCESS_FREE;
		return r;
	}
	fault_mark("monitor.setup");
	conn_reply(q->c, q->seq, NULL, 0);
	return 0;
}

static int handle_health(struct request *q, struct err *err)
{
	struct monitor *m = q->m;
	struct monitor_health h;
	memcpy(&h, q->body, sizeof(h));
	int r = m->container.state != PROCESS_READY || m->health.on ? err_set(err, ERR_CONFLICT, "health: only once, and before the start") : 0;
	if (r >= 0 && (h.interval_ns <= 0 || h.timeout_ns <= 0 || h.start_period_ns < 0 || h.start_interval_ns <= 0 || !h.retries))
		r = err_set(err, ERR_INVALID, "health: a time or the number of retries is not above 0");
	if (r >= 0 && (r = health_setup(m, &h)) < 0)
		(void) err_sys(err, r, "health: making a timer");
	if (r < 0) {
		if (m->container.state == PROCESS_READY)
			m->container.state = PROCESS_FREE; /* no container without the check that was asked for: a START that follows is refused */
		return r;
	}
	conn_reply(q->c, q->seq, NULL, 0);
	return 0;
}

static int handle_start(struct request *q, struct err *err)
{
	struct process *p = &q->m->container;
	if (p->state != PROCESS_READY)
		return err_set(err, ERR_CONFLICT, "start: the container has been started already");
	p->start_conn = q->c;
	p->start_seq = q->seq;
	struct err e;
	if (process_start(p, /* output= */ true, &e) < 0) {
		p->failed = true;
		p->err = e;
		p->start_conn = NULL;
		q->m->lock_fd = safe_close(q->m->lock_fd);
		conn_reply_err(q->c, q->seq, &e);
		monitor_failed(q->m);
	}
	return 0;
}

static int handle_attach(struct request *q, struct err *err)
{
	struct monitor_attach a;
	memcpy(&a, q->body, sizeof(a));
	if (a.early_len != q->len - sizeof(a))
		return err_set(err, ERR_INVALID, "attach: early_len is %u, but %zu bytes follow", a.early_len, q->len - sizeof(a));
	if (q->m->container.state >= PROCESS_EXITED)
		return err_set(err, ERR_CONFLICT, "attach: the container is not running");
	int r = client_add(&q->m->container, take_fd(&q->fds[0]), &a, q->body + sizeof(a), err);
	if (r < 0)
		return r;
	conn_reply(q->c, q->seq, NULL, 0);
	return 0;
}

static int handle_wait(struct request *q, struct err *err)
{
	struct process *p = &q->m->container;
	if (p->state != PROCESS_FLUSHED)
		return wait_add(q, p, err);
	if (p->failed) {
		*err = p->err;
		return err->sys < 0 ? err->sys : -EIO;
	}
	conn_reply(q->c, q->seq, &p->exit, sizeof(p->exit));
	return 0;
}

static int handle_kill(struct request *q, struct err *err)
{
	struct monitor_kill k;
	struct process *p = &q->m->container;
	memcpy(&k, q->body, sizeof(k));
	if (k.sig < 0 || k.sig >= _NSIG)
		return err_set(err, ERR_INVALID, "kill: %d is not a signal: 0 to %d are", k.sig, _NSIG - 1);
	if (p->state != PROCESS_RUNNING)
		return err_set(err, ERR_CONFLICT, "kill: the container is not running");
	fault_mark("monitor.kill");
	int r = process_kill(p->init.fd, k.sig);
	if (r < 0)
		return err_sys(err, r, "kill: sending signal %d", k.sig);
	conn_reply(q->c, q->seq, NULL, 0);
	return 0;
}

static struct process *exec_find(struct monitor *m, const char *id)
{
	for (int i = 0; i < MONITOR_EXECS_MAX && m->n_execs; i++)
		if (m->execs[i].state != PROCESS_FREE && strcmp(m->execs[i].id, id) == 0)
			return &m->execs[i];
	return NULL;
}

static int handle_resize(struct request *q, struct err *err)
{
	struct monitor_resize z;
	memcpy(&z, q->body, sizeof(z));
	if (!FIELD_ENDS(z.exec_id))
		return err_set(err, ERR_INVALID, "resize: the exec id is not terminated");
	struct process *p = z.exec_id[0] ? exec_find(q->m, z.exec_id) : &q->m->container;
	if (!p)
		return err_set(err, ERR_NOT_FOUND, "resize: no such exec: %s", z.exec_id);
	if (!p->io.tty)
		return err_set(err, ERR_INVALID, "resize: there is no terminal: it was started without one");
	if (p->state >= PROCESS_EXITED)
		return err_set(err, ERR_CONFLICT, "resize: the process has exited");
	(void) stdio_resize(p, z.rows, z.cols);
	conn_reply(q->c, q->seq, NULL, 0);
	return 0;
}

static int exec_slot(struct monitor *m, const struct monitor_exec *x, struct process **ret, struct err *err)
{
	if (!FIELD_ENDS(x->exec_id) || !id_is_full(x->exec_id))
		return err_set(err, ERR_INVALID, "exec: the id is not %d hex digits", ID_LEN);
	if (m->container.state != PROCESS_RUNNING)
		return err_set(err, ERR_CONFLICT, "exec: the container is not running");
	if (exec_find(m, x->exec_id))
		return err_set(err, ERR_CONFLICT, "exec: %s has been started already", x->exec_id);
	for (int i = 0; i < MONITOR_EXECS_MAX; i++)
		if (m->execs[i].state == PROCESS_FREE) {
			*ret = &m->execs[i];
			return 0;
		}
	return err_set(err, ERR_QUOTA, "exec: %d are running in this container already", MONITOR_EXECS_MAX);
}

static int handle_exec(struct request *q, struct err *err)
{
	struct monitor *m = q->m;
	struct monitor_exec x;
	struct process *p = NULL;
	memcpy(&x, q->body, sizeof(x));
	int r = exec_slot(m, &x, &p, err);
	if (r < 0)
		return r;
	bool attached = q->fds[0] >= 0;
	if (attached && x.attach.early_len != q->len - sizeof(x))
		return err_set(err, ERR_INVALID, "exec: early_len is %u, but %zu bytes follow", x.attach.early_len, q->len - sizeof(x));
	uint32_t flags = (x.flags & (MONITOR_TTY | MONITOR_OPEN_STDIN)) | MONITOR_STDIN_ONCE;
	if (!attached || !(x.attach.streams & 1))
		flags &= ~(uint32_t) MONITOR_OPEN_STDIN;
	process_init(p, m, x.exec_id, flags);
	m->n_execs++;
	if (attached)
		r = client_add(p, take_fd(&q->fds[0]), &x.attach, q->body + sizeof(x), err);
	if (r >= 0) {
		p->start_conn = q->c;
		p->start_seq = q->seq;
		r = process_start(p, attached, err);
	}
	if (r < 0) { /* process_settle() sees its client off and frees it */
		p->start_conn = NULL;
		p->failed = true;
		p->err = *err;
		p->exit.code = 126;
		p->exit.started_ns = p->exit.finished_ns = now_ns();
		p->state = PROCESS_EXITED;
	}
	return r;
}

/* The descriptors stay open: they are what is held. */
static int handle_hold(struct request *q, struct err *err)
{
	(void) err;
	for (int i = 0; i < REQUEST_FDS; i++)
		q->fds[i] = -EBADF;
	return 0;
}

static int handle_exec_wait(struct request *q, struct err *err)
{
	struct monitor_exec_ref x;
	struct monitor_exit e;
	memcpy(&x, q->body, sizeof(x));
	if (!FIELD_ENDS(x.exec_id) || !id_is_full(x.exec_id))
		return err_set(err, ERR_INVALID, "exec wait: the id is not %d hex digits", ID_LEN);
	struct process *p = exec_find(q->m, x.exec_id);
	if (p && p->state != PROCESS_FLUSHED)
		return wait_add(q, p, err);
	int r = p ? 0 : record_read_exit(q->m->bundle_fd, x.exec_id, &e);
	if (r == -ENOENT)
		return err_set(err, ERR_NOT_FOUND, "exec wait: no such exec: %s", x.exec_id);
	if (r < 0)
		return err_sys(err, r, "exec wait: reading the exit of %s", x.exec_id);
	conn_reply(q->c, q->seq, p ? &p->exit : &e, sizeof(e));
	return 0;
}

static const struct {
	int (*fn)(struct request *q, struct err *err); /* < 0: @err is the reply; otherwise it has replied or will */
	uint32_t len;  /* bytes of its struct */
	bool longer;   /* more may follow */
} verbs[] = {
	[MONITOR_SETUP] = {handle_setup, sizeof(struct monitor_setup), true},
	[MONITOR_START] = {handle_start, 0, false},
	[MONITOR_ATTACH] = {handle_attach, sizeof(struct monitor_attach), true},
	[MONITOR_WAIT] = {handle_wait, 0, false},
	[MONITOR_KILL] = {handle_kill, sizeof(struct monitor_kill), false},
	[MONITOR_RESIZE] = {handle_resize, sizeof(struct monitor_resize), false},
	[MONITOR_EXEC] = {handle_exec, sizeof(struct monitor_exec), true},
	[MONITOR_HOLD] = {handle_hold, 0, false},
	[MONITOR_EXEC_WAIT] = {handle_exec_wait, sizeof(struct monitor_exec_ref), false},
	[MONITOR_HEALTH] = {handle_health, sizeof(struct monitor_health), false},
};

static int dispatch(struct request *q, uint32_t verb, struct err *err)
{
	if (verb >= ARRAY_LEN(verbs) || !verbs[verb].fn)
		return err_set(err, ERR_UNSUPPORTED, "the monitor does not know request %u: engine and monitor are of different versions", verb);
	if (q->len < verbs[verb].len || (q->len > verbs[verb].len && !verbs[verb].longer))
		return err_set(err, ERR_INVALID, "request %u has %u bytes, not %u: engine and monitor are of different versions", verb, q->len,
			       verbs[verb].len);
	if (verb != MONITOR_SETUP && q->m->bundle_fd < 0)
		return err_set(err, ERR_CONFLICT, "request %u comes before setup", verb);
	return verbs[verb].fn(q, err);
}

static void conn_request(struct conn *c, size_t len, int fds[REQUEST_FDS])
{
	struct monitor_header h;
	struct err err;
	memcpy(&h, c->m->scratch, sizeof(h));
	if (h.len != len - sizeof(h)) {
		conn_close(c);
		return;
	}
	struct request q = {.c = c, .m = c->m, .seq = h.seq, .body = c->m->scratch + sizeof(h), .len = h.len};
	memcpy(q.fds, fds, sizeof(q.fds));
	int r = dispatch(&q, h.verb, &err);
	memcpy(fds, q.fds, sizeof(q.fds));
	if (r < 0)
		conn_reply_err(c, h.seq, &err);
}

static void conn_ready(struct loop_source *s, uint32_t events)
{
	struct conn *c = loop_source_owner(s, struct conn, src);
	int fds[REQUEST_FDS];
	size_t n_fds = REQUEST_FDS;
	for (int i = 0; i < REQUEST_FDS; i++)
		fds[i] = -EBADF;
	ssize_t n = recv_fds(s->fd, c->m->scratch, sizeof(struct monitor_header) + MONITOR_PAYLOAD_MAX, fds, &n_fds);
	if (n == -EAGAIN)
		return;
	if (n < (ssize_t) sizeof(struct monitor_header))
		conn_close(c);
	else
		conn_request(c, (size_t) n, fds);
	for (int i = 0; i < REQUEST_FDS; i++)
		safe_close(fds[i]);
}

/* --- connections --- */

struct conn *conn_add(struct monitor *m, int fd_consume)
{
	_cleanup_close_ int fd = fd_consume;
	for (int i = 0; i < MONITOR_CONNS_MAX; i++) {
		struct conn *c = &m->conns[i];
		if (c->src.fn || (i == 0 && m->engine_gone))
			continue;
		*c = (struct conn){.src = {.fd = fd, .fn = conn_ready}, .m = m};
		if (fd_set_nonblock(fd, true) < 0 || loop_watch(&m->loop, &c->src, EPOLLIN) < 0) {
			c->src.fn = NULL;
			return NULL;
		}
		m->n_conns++;
		(void) take_fd(&fd);
		return c;
	}
	return NULL;
}

void conn_close(struct conn *c)
{
	struct monitor *m = c->m;
	if (!c->src.fn)
		return;
	(void) loop_watch(&m->loop, &c->src, 0);
	c->src.fd = safe_close(c->src.fd);
	c->src.fn = NULL;
	m->n_conns--;
	forget_conn(m, c);
	if (c == &m->conns[0])
		monitor_engine_gone(m);
}

bool conn_engine_asks(struct monitor *m)
{
	char b;
	return !m->engine_gone && recv(m->conns[0].src.fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_part(struct monitor *m)
{
	char b[64];
	ssize_t n;
	if (m->engine_gone)
		return false;
	(void) shutdown(m->conns[0].src.fd, SHUT_WR); /* gone: then it is read below */
	do
		n = recv(m->conns[0].src.fd, b, sizeof(b), MSG_DONTWAIT); /* a request that came too late */
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno == EAGAIN;
}

bool conn_engine_there(struct monitor *m)
{
	char b;
	if (m->engine_gone)
		return false;
	ssize_t n = recv(m->conns[0].src.fd, &b, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void listener_ready(struct loop_source *s, uint32_t events)
{
	struct monitor *m = loop_source_owner(s, struct monitor, listener);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	_cleanup_close_ int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
		return; /* the 0700 directory stands before this */
	(void) conn_add(m, take_fd(&fd));
}

/* sun_path is too short for a path to the bundle: bind by a relative one */
static int bind_in(int dir_fd, int sock)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = CTL_NAME};
	if (unlinkat(dir_fd, CTL_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	if (fchdir(dir_fd) < 0)
		return -errno;
	mode_t old = umask(0177);
	int r = bind(sock, (struct sockaddr *) &a, sizeof(a)) < 0 ? -errno : 0;
	(void) umask(old);
	(void) !chdir("/"); /* cannot fail; keeps no directory busy */
	return r;
}

int conn_listen(struct monitor *m, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : bind_in(m->bundle_fd, fd);
	if (r >= 0 && listen(fd, 64) < 0)
		r = -errno;
	m->listener = (struct loop_source){.fd = fd, .fn = listener_ready};
	if (r >= 0)
		r = loop_watch(&m->loop, &m->listener, EPOLLIN);
	if (r < 0) {
		m->listener.fd = -EBADF;
		return err_sys(err, r, "setup: listening on '" CTL_NAME "' in the bundle");
	}
	(void) take_fd(&fd);
	return 0;
}
