/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "dns/upstream.h"
#include "dns/worker.h"

#define IDLE_FOR (2 * USEC_PER_SEC)      /* without a container: then it ends */
#define HEALTHY_AFTER USEC_PER_SEC       /* a worker that lived so long is forked again at once */
#define DELAY_MIN (20 * USEC_PER_MSEC)   /* one that did not is waited for, longer each time */
#define DELAY_MAX (2 * USEC_PER_SEC)
#define WORKER_PATIENCE_S 1              /* it does not read what it is told: replaced */
#define WATCHERS_MAX 64
#define LOG_LINES_MAX 1000

struct keeper {
	struct loop loop;
	struct dns_state st;
	struct upstream upstream;
	struct loop_source control;
	struct loop_source worker;  /* its fd is owned; -EBADF: none now */
	pid_t worker_pid;
	usec_t worker_since, delay, start_at; /* start_at: when the next one is forked, while there is none */
	usec_t empty_since;         /* 0: there are containers */
	int watchers[WATCHERS_MAX]; /* owned; kept for their end */
	size_t n_watchers, n_lines;
	bool done;
};

static void say(struct keeper *k, const char *what, int detail)
{
	if (k->n_lines++ < LOG_LINES_MAX)
		log_error("name server: %s (%d)", what, detail);
}

/* Worker */

static void worker_child(struct keeper *k, int sock, pid_t parent)
{
	/* what the keeper alone may have: above all the way on which engines speak, and the lock */
	const int mine[] = {DNS_FD_SOCKET, DNS_FD_LOCK};
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || dup3(STDIN_FILENO, STDERR_FILENO, 0) < 0)
		_exit(1);
	loop_done(&k->loop);
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		safe_close(mine[i]);
	for (size_t i = 0; i < k->n_watchers; i++)
		safe_close(k->watchers[i]);
	_exit(worker_run(&k->st, sock));
}

/* Return: its wait status. */
static int worker_kill(struct keeper *k)
{
	int status = 0;
	(void) loop_watch(&k->loop, &k->worker, 0);
	k->worker.fd = safe_close(k->worker.fd);
	(void) kill(k->worker_pid, SIGKILL); /* it is our child, and not waited for yet */
	while (waitpid(k->worker_pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void worker_end(struct keeper *k)
{
	if (k->worker.fd < 0)
		return;
	int status = worker_kill(k);
	usec_t now = now_usec();
	k->delay = now - k->worker_since > HEALTHY_AFTER ? 0 : MIN(MAX(k->delay * 2, DELAY_MIN), DELAY_MAX);
	k->start_at = now + k->delay;
	say(k, "its worker ended, and is started again; wait status", status);
}

/* Begs: from a process that may have been taken over. */
static void worker_beg(struct keeper *k, const struct dns_beg *b)
{
	if (b->kind == DNS_BEG_BAD) {
		upstream_bad(&k->upstream, &b->address);
		return;
	}
	const struct dns_member *m = b->kind == DNS_BEG_SOCKET && id_is_full(b->id) ? dns_state_get(&k->st, b->id) : NULL;
	struct dns_gift g = {.seq = b->seq};
	uint32_t index = 0;
	_cleanup_close_ int fd = m ? upstream_socket(&k->upstream, m, b->flags & DNS_BEG_TCP, b->flags & DNS_BEG_AGAIN, b->tried, &index, &g.address) : -ENOENT;
	g.result = fd < 0 ? fd : (int32_t) index;
	(void) send_fds(k->worker.fd, &g, sizeof(g), &fd, fd >= 0); /* a worker that does not take it gives the question up in time */
}

static void worker_ready(struct loop_source *s, uint32_t events)
{
	struct keeper *k = loop_source_owner(s, struct keeper, worker);
	struct dns_beg b;
	for (int i = 0; i < 64 && k->worker.fd >= 0; i++) {
		ssize_t n = recv(s->fd, &b, sizeof(b), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t) sizeof(b)) {
			worker_end(k);
			return;
		}
		b.id[ID_LEN] = '\0';
		worker_beg(k, &b);
	}
}

static int worker_start(struct keeper *k)
{
	int pair[2];
	const struct timeval patience = {.tv_sec = WORKER_PATIENCE_S};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t parent = getpid(), pid = setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ? -1 : fork();
	if (pid == 0) {
		(void) close(pair[0]);
		worker_child(k, pair[1], parent);
	}
	int r = pid < 0 ? -errno : 0;
	(void) close(pair[1]);
	k->worker = (struct loop_source) {.fd = pair[0], .fn = worker_ready};
	k->worker_pid = pid;
	k->worker_since = now_usec();
	r = r < 0 ? r : loop_watch(&k->loop, &k->worker, EPOLLIN);
	if (r < 0 && pid > 0)
		worker_end(k);
	else if (r < 0)
		k->worker.fd = safe_close(k->worker.fd);
	return r;
}

/* The worker hears what we have just taken to heart. */
static void worker_tell(struct keeper *k, const char *text, size_t len, const int *fds, size_t n)
{
	if (k->worker.fd >= 0 && send_fds(k->worker.fd, text, len, fds, n) < 0)
		worker_end(k); /* the next one knows it from us */
}

/* Engines */

static int tell(struct keeper *k, struct dns_told *t, const char *text, size_t len)
{
	struct dns_member *m;
	int r = dns_state_tell(&k->st, t, &m);
	if (r < 0)
		return r;
	k->empty_since = 0;
	worker_tell(k, text, len, NULL, 0);
	return 0;
}

static int give(struct keeper *k, const struct dns_told *t, int *fds, size_t n, const char *text, size_t len)
{
	struct dns_member *m = dns_state_get(&k->st, t->id);
	if (n != DNS_SOCKETS)
		return -EINVAL;
	if (!m)
		return -ENOENT; /* it has ended meanwhile */
	dns_state_give(m, fds);
	worker_tell(k, text, len, m->sockets, DNS_SOCKETS);
	return 0;
}

static int forget(struct keeper *k, struct dns_told *t, const char *text, size_t len)
{
	struct dns_member *m = dns_state_get(&k->st, t->id);
	if (!m)
		return 0;
	dns_state_forget(&k->st, m);
	worker_tell(k, text, len, NULL, 0);
	if (k->st.n_members == 0)
		k->empty_since = now_usec();
	return 0;
}

static int watch(struct keeper *k, int *fds, size_t n)
{
	if (n != 1)
		return -EINVAL;
	if (k->n_watchers == WATCHERS_MAX) { /* the oldest one hears an end that is none, and looks */
		safe_close(k->watchers[0]);
		memmove(k->watchers, k->watchers + 1, --k->n_watchers * sizeof(int));
	}
	k->watchers[k->n_watchers++] = take_fd(&fds[0]);
	return 0;
}

static int obey(struct keeper *k, const char *text, size_t len, int *fds, size_t n)
{
	_cleanup_dns_told_ struct dns_told t = {0};
	_cleanup_free_ char *copy = strndup(text, len);
	if (!copy)
		return -ENOMEM;
	int r = dns_told_parse(copy, &t);
	if (r < 0)
		return r;
	switch (t.verb) {
	case DNS_VERB_TELL:
		return tell(k, &t, text, len);
	case DNS_VERB_SOCKETS:
		return give(k, &t, fds, n, text, len);
	case DNS_VERB_FORGET:
		return forget(k, &t, text, len);
	case DNS_VERB_WATCH:
		return watch(k, fds, n);
	}
	return -EINVAL;
}

/* Return: whether there was one. */
static bool control_one(struct keeper *k)
{
	static char text[DNS_TEXT_MAX + 1];
	int fds[DNS_SOCKETS] = {-EBADF, -EBADF};
	size_t n = DNS_SOCKETS;
	ssize_t len = recv_fds(DNS_FD_SOCKET, text, DNS_TEXT_MAX, fds, &n);
	if (len == -EAGAIN)
		return false;
	if (len < 0) {
		say(k, "receiving from an engine", (int) len);
		return len == -EMSGSIZE;
	}
	text[len] = '\0';
	int r = obey(k, text, (size_t) len, fds, n);
	if (r < 0)
		say(k, "what an engine said makes no sense", r);
	for (size_t i = 0; i < DNS_SOCKETS; i++)
		safe_close(fds[i]);
	return true;
}

static void control_ready(struct loop_source *s, uint32_t events)
{
	struct keeper *k = loop_source_owner(s, struct keeper, control);
	for (int i = 0; i < 64; i++)
		if (!control_one(k))
			return;
}

/* Whoever has something to say holds the lock, shared, until it is in the socket: so with the lock in hand an empty socket stays empty. */
static void maybe_end(struct keeper *k)
{
	if (flock(DNS_FD_LOCK, LOCK_EX | LOCK_NB) < 0) {
		k->empty_since = now_usec();
		return;
	}
	while (control_one(k))
		;
	if (k->st.n_members == 0)
		k->done = true;
	else
		(void) flock(DNS_FD_LOCK, LOCK_UN);
}

static int timeout_ms(const struct keeper *k)
{
	usec_t now = now_usec(), at = UINT64_MAX;
	if (k->worker.fd < 0)
		at = MIN(at, k->start_at);
	if (k->empty_since)
		at = MIN(at, k->empty_since + IDLE_FOR);
	return at == UINT64_MAX ? -1 : at <= now ? 0 : (int) ((at - now) / USEC_PER_MSEC) + 1;
}

static void step(struct keeper *k)
{
	usec_t now = now_usec();
	if (k->worker.fd < 0 && now >= k->start_at) {
		int r = worker_start(k);
		if (r < 0) {
			say(k, "starting a worker", r);
			k->start_at = now + DELAY_MAX;
		}
	}
	if (k->empty_since && now - k->empty_since >= IDLE_FOR)
		maybe_end(k);
}

int keeper_run(void)
{
	static struct keeper k;
	k = (struct keeper) {.control = {.fd = DNS_FD_SOCKET, .fn = control_ready}, .worker = {.fd = -EBADF}, .empty_since = now_usec()};
	int r = loop_init(&k.loop);
	r = r < 0 ? r : dns_state_init(&k.st);
	r = r < 0 ? r : fd_set_nonblock(DNS_FD_SOCKET, true);
	r = r < 0 ? r : loop_watch(&k.loop, &k.control, EPOLLIN);
	while (r >= 0 && !k.done) {
		step(&k);
		if (!k.done)
			r = loop_step(&k.loop, timeout_ms(&k));
	}
	if (r < 0)
		say(&k, "giving up", r);
	if (k.worker.fd >= 0)
		(void) worker_kill(&k);
	_exit(r < 0 ? 1 : 0);
}
