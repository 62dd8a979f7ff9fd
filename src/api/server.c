/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections and their threads. Invariants:
 *   E1 `running` counts the connection threads that have been started and have not yet let go of their struct connection.
 *   E2 a connection is on the list from before its thread runs until its descriptor is closed or given away, so that
 *      stopping never shuts down a descriptor number that has been reused.
 *   E3 peers_turn is set while the peer alone keeps the connection's thread: it has sent no request, half of one, or does not read an answer.
 *      When there is no room left, the connection with the oldest one is ended: idle ones and slow ones make place for those that want something.
 */
#include "api/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#define STACK_BYTES (256 << 10)
#define STOP_PATIENCE_S 4 /* with answers that nobody reads */

struct server {
	struct engine *engine;  /* borrowed */
	unsigned peer_flags;    /* enum http_peer_flags */
	bool settle;            /* strangers' clients (docker-py) need it, ours does not */
	pthread_mutex_t lock;
	pthread_cond_t left;    /* a connection has ended */
	unsigned running;       /* under lock */
	struct connection *list; /* under lock */
	pthread_attr_t attr;
};

struct connection {
	struct server *server;  /* borrowed */
	struct connection *prev, *next;
	struct http_peer *peer; /* owned */
	struct caller caller;
	_Atomic usec_t peers_turn; /* since when; 0: it is ours */
};

/* A head that cannot be read as HTTP is answered once, then the connection goes. */
static void refuse(struct connection *cn, const struct http_request *req)
{
	struct strbuf b = STRBUF_INIT(1024);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_str(&w, "message", req->reason);
	jw_end(&w);
	strbuf_addc(&b, '\n');
	const struct http_response r = {
		.status = req->refusal,
		.content_type = TYPE_JSON,
		.headers = API_COMMON_HEADERS,
		.body = b.s,
		.len = b.len,
		.flags = HTTP_RESPONSE_CLOSE,
	};
	(void) http_respond(http_peer_fd(cn->peer), &r); /* the connection is closed either way */
	strbuf_done(&b);
	http_peer_linger(cn->peer);
}

/* One request. Return: true when another may follow. */
static bool serve_one(struct connection *cn)
{
	struct call c = {.engine = cn->server->engine, .caller = &cn->caller, .peer = cn->peer, .lock = &cn->server->lock,
			  .settle = cn->server->settle, .peers_turn = &cn->peers_turn};
	cn->peers_turn = now_usec();
	int r = http_peer_recv_head(cn->peer, &c.req);
	cn->peers_turn = 0;
	if (r == -EPROTO)
		refuse(cn, &c.req);
	if (r <= 0) {
		http_request_done(&c.req);
		return false;
	}
	r = api_handle(&c);
	if (r < 0 && !c.hijacked)
		log_debug("%s %s: the connection is dropped: %d", c.req.method, c.req.path, r);
	bool again = r >= 0 && !c.hijacked && !c.close;
	if (!again && !c.hijacked && c.answered)
		http_peer_linger(cn->peer);
	strbuf_done(&c.out);
	free(c.arg);
	http_request_done(&c.req);
	return again;
}

static void connection_end(struct connection *cn)
{
	struct server *s = cn->server;
	(void) pthread_mutex_lock(&s->lock);
	if (cn->prev)
		cn->prev->next = cn->next;
	else
		s->list = cn->next;
	if (cn->next)
		cn->next->prev = cn->prev;
	cn->peer = http_peer_free(cn->peer); /* under the lock: E2 */
	free(cn);
	s->running--;
	(void) pthread_cond_signal(&s->left);
	(void) pthread_mutex_unlock(&s->lock);
}

static void *connection_main(void *arg)
{
	struct connection *cn = arg;
	while (serve_one(cn))
		continue;
	connection_end(cn);
	return NULL;
}

/* Takes @fd in every case. */
static int connection_start(struct server *s, int fd_consume, const struct caller *caller)
{
	_cleanup_close_ int fd = fd_consume;
	struct connection *cn = calloc(1, sizeof(*cn));
	struct http_peer *peer = cn ? http_peer_new(fd, s->peer_flags) : NULL;
	if (!peer) {
		free(cn);
		return -ENOMEM;
	}
	(void) take_fd(&fd); /* the peer's now */
	*cn = (struct connection) {.server = s, .peer = peer, .caller = *caller};
	(void) pthread_mutex_lock(&s->lock);
	cn->next = s->list;
	if (s->list)
		s->list->prev = cn;
	s->list = cn;
	s->running++;
	(void) pthread_mutex_unlock(&s->lock);
	pthread_t t;
	int r = pthread_create(&t, &s->attr, connection_main, cn);
	if (r != 0)
		connection_end(cn);
	return -r;
}

static int server_init(struct server *s)
{
	int r = pthread_attr_init(&s->attr);
	if (r == 0)
		r = pthread_attr_setstacksize(&s->attr, STACK_BYTES);
	if (r == 0)
		r = pthread_attr_setdetachstate(&s->attr, PTHREAD_CREATE_DETACHED);
	if (r == 0)
		r = pthread_mutex_init(&s->lock, NULL);
	if (r == 0)
		r = pthread_cond_init(&s->left, NULL);
	return -r;
}

/* Until at most @n connections are left. */
static void wait_for(struct server *s, unsigned n)
{
	(void) pthread_mutex_lock(&s->lock);
	while (s->running > n)
		(void) pthread_cond_wait(&s->left, &s->lock);
	(void) pthread_mutex_unlock(&s->lock);
}

static void server_done(struct server *s)
{
	wait_for(s, 0);
	(void) pthread_cond_destroy(&s->left);
	(void) pthread_mutex_destroy(&s->lock);
	(void) pthread_attr_destroy(&s->attr);
}

int api_serve_embedded(struct engine *e, int control_fd, bool starts)
{
	static const struct caller us = {.tenant = "local"};
	struct server s = {.engine = e};
	int r = server_init(&s);
	while (r >= 0) {
		char byte[16];
		int fd = -EBADF;
		size_t n = 1;
		ssize_t got = recv_fds(control_fd, byte, sizeof(byte), &fd, &n);
		if (got == -EINTR)
			continue;
		if (got <= 0) {
			r = (int) got;
			break;
		}
		if (n == 0)
			continue;
		wait_for(&s, API_CONNECTIONS_MAX - 1);
		r = connection_start(&s, fd, &us);
		if (r >= 0 && starts)
			engine_expect_start(e); /* while its thread creates the container */
		starts = false;
	}
	server_done(&s);
	return r;
}

static void refuse_busy(int fd)
{
	static const char text[] = "{\"message\":\"too many connections\"}\n";
	const struct http_response r = {.status = 503, .content_type = TYPE_JSON, .headers = API_COMMON_HEADERS, .body = text, .len = sizeof(text) - 1, .flags = HTTP_RESPONSE_CLOSE};
	(void) http_respond(fd, &r); /* best effort: we are full */
}

/* The connection whose peer has let us wait longest; NULL: every one is ours to serve. Under lock. */
static struct connection *find_idle(struct server *s)
{
	struct connection *oldest = NULL;
	for (struct connection *cn = s->list; cn; cn = cn->next)
		if (cn->peers_turn && http_peer_fd(cn->peer) >= 0 && (!oldest || cn->peers_turn < oldest->peers_turn))
			oldest = cn;
	return oldest;
}

/* Room for one more? Makes some, when there is none (E3). */
static bool make_room(struct server *s)
{
	struct timespec until;
	(void) clock_gettime(CLOCK_REALTIME, &until); /* cannot fail */
	until.tv_sec += 1;
	(void) pthread_mutex_lock(&s->lock);
	struct connection *idle = s->running >= API_CONNECTIONS_MAX ? find_idle(s) : NULL;
	if (idle)
		(void) shutdown(http_peer_fd(idle->peer), SHUT_RDWR); /* its thread sees the end */
	while (idle && s->running >= API_CONNECTIONS_MAX && pthread_cond_timedwait(&s->left, &s->lock, &until) == 0)
		continue;
	bool room = s->running < API_CONNECTIONS_MAX;
	(void) pthread_mutex_unlock(&s->lock);
	return room;
}

/* What passes by itself is waited out. */
static int accept_failed(int e)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	if (e == EMFILE || e == ENFILE || e == ENOMEM || e == ENOBUFS) {
		(void) nanosleep(&pause, NULL); /* until descriptors are back; an early wake-up only tries sooner */
		return 0;
	}
	return e == EINTR || e == EAGAIN || e == ECONNABORTED ? 0 : -e;
}

static int accept_one(struct server *s, int listen_fd)
{
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return accept_failed(errno);
	if (!make_room(s)) {
		refuse_busy(fd);
		return 0;
	}
	struct ucred u = {0};
	socklen_t len = sizeof(u);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) < 0)
		return 0; /* not a unix socket: nobody we could tell apart */
	const struct caller caller = {.tenant = "local", .uid = u.uid, .gid = u.gid, .pid = u.pid};
	int r = connection_start(s, take_fd(&fd), &caller);
	if (r < 0)
		log_warn("a connection was dropped: %s", strerrordesc_np(-r));
	return 0;
}

static void shut_all(struct server *s, int how)
{
	(void) pthread_mutex_lock(&s->lock);
	for (struct connection *cn = s->list; cn; cn = cn->next)
		if (http_peer_fd(cn->peer) >= 0)
			(void) shutdown(http_peer_fd(cn->peer), how); /* a peer that left already is fine, too */
	(void) pthread_mutex_unlock(&s->lock);
}

/* Waiting requests see their connection's end, idle ones read it, busy ones are answered; a peer that does not read its answer is not waited for. */
static void end_all(struct server *s)
{
	struct timespec until;
	shut_all(s, SHUT_RD);
	(void) clock_gettime(CLOCK_REALTIME, &until); /* cannot fail */
	until.tv_sec += STOP_PATIENCE_S;
	(void) pthread_mutex_lock(&s->lock);
	while (s->running > 0 && pthread_cond_timedwait(&s->left, &s->lock, &until) == 0)
		continue;
	(void) pthread_mutex_unlock(&s->lock);
	shut_all(s, SHUT_RDWR);
}

int api_serve_listeners(struct engine *e, const int *listen_fds, size_t n, int stop_fd)
{
	struct server s = {.engine = e, .peer_flags = HTTP_PEER_TIMED, .settle = true};
	struct pollfd fds[API_LISTENERS_MAX + 1] = {{.fd = stop_fd, .events = POLLIN}};
	assert(n <= API_LISTENERS_MAX);
	for (size_t i = 0; i < n; i++)
		fds[i + 1] = (struct pollfd) {.fd = listen_fds[i], .events = POLLIN};
	int r = server_init(&s);
	while (r >= 0) {
		if (poll(fds, n + 1, -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (fds[0].revents)
			break;
		for (size_t i = 1; r >= 0 && i <= n; i++)
			if (fds[i].revents)
				r = accept_one(&s, fds[i].fd);
	}
	end_all(&s);
	server_done(&s);
	return r;
}
