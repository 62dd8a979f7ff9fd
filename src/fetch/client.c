/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of coffer-fetch. Nothing that comes from it is believed: lengths are checked, texts are made plain. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "fetch/fetch.h"
#include "kernel/process.h"
#include "kernel/spawn.h"

enum { PIPE_BYTES = 1 << 20, POLL_MS = 200, CONNECT_MS = 30000, STALL_S = 60 };

struct fetcher {
	char *program, *ca, *cert, *key, *http_proxy, *https_proxy, *no_proxy; /* owned */
	const atomic_bool *cancel;
	int sock;             /* owned; -EBADF: no helper runs */
	struct pidref helper;
	int pipe;             /* owned; the body under way, -EBADF: none */
	bool head_came;
	enum fetch_failure failure;
	struct fetch_msg head, msg;
};

static char *dup_or_null(const char *s, bool *failed)
{
	char *d = s ? strdup(s) : NULL;
	*failed = *failed || (s && !d);
	return d;
}

struct fetcher *fetcher_new(const struct fetch_config *cfg)
{
	bool failed = false;
	struct fetcher *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->sock = f->pipe = f->helper.fd = -EBADF;
	f->cancel = cfg->cancel;
	f->program = dup_or_null(cfg->program, &failed);
	f->ca = dup_or_null(cfg->ca, &failed);
	f->cert = dup_or_null(cfg->cert, &failed);
	f->key = dup_or_null(cfg->key, &failed);
	f->http_proxy = dup_or_null(cfg->http_proxy, &failed);
	f->https_proxy = dup_or_null(cfg->https_proxy, &failed);
	f->no_proxy = dup_or_null(cfg->no_proxy, &failed);
	return failed ? fetcher_free(f) : f;
}

static void stop(struct fetcher *f)
{
	f->pipe = safe_close(f->pipe);
	if (f->sock < 0)
		return;
	f->sock = safe_close(f->sock);
	(void) kill(-f->helper.pid, SIGKILL); /* its own process group, and it is not reaped yet */
	(void) process_wait(f->helper.pid, NULL);
	f->helper.fd = safe_close(f->helper.fd);
}

struct fetcher *fetcher_free(struct fetcher *f)
{
	if (!f)
		return NULL;
	stop(f);
	free(f->program);
	free(f->ca);
	free(f->cert);
	if (f->key)
		explicit_bzero(f->key, strlen(f->key));
	free(f->key);
	free(f->http_proxy);
	free(f->https_proxy);
	free(f->no_proxy);
	free(f);
	return NULL;
}

static int text_fd(const char *text)
{
	_cleanup_close_ int fd = memfd_create("fetch", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text, strlen(text));
	return r < 0 ? r : lseek(fd, 0, SEEK_SET) < 0 ? -errno : take_fd(&fd);
}

static int send_setup(struct fetcher *f)
{
	struct fetch_setup s = {.magic = FETCH_MAGIC};
	const char *const texts[] = {f->ca, f->cert, f->key};
	int fds[3], r = 0;
	size_t n = 0;
	if (str_copy(s.http_proxy, sizeof(s.http_proxy), f->http_proxy ?: "") < 0 || str_copy(s.https_proxy, sizeof(s.https_proxy), f->https_proxy ?: "") < 0 ||
	    str_copy(s.no_proxy, sizeof(s.no_proxy), f->no_proxy ?: "") < 0)
		return -ENAMETOOLONG;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(texts); i++) {
		if (!texts[i])
			continue;
		s.flags |= 1u << i;
		r = text_fd(texts[i]);
		if (r >= 0)
			fds[n++] = r;
	}
	if (r >= 0)
		r = send_fds(f->sock, &s, sizeof(s), fds, n);
	while (n > 0)
		(void) safe_close(fds[--n]);
	return r;
}

static int start(struct fetcher *f, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	const struct spawn_fd fds[] = {{pair[1], FETCH_FD_SOCK}};
	char *const argv[] = {(char *) "coffer-fetch", NULL}, *const envp[] = {NULL};
	int r = spawn_program(f->program, argv, envp, fds, ARRAY_LEN(fds), &f->helper);
	(void) safe_close(pair[1]);
	if (r < 0) {
		(void) safe_close(pair[0]);
		return err_sys(err, r, "starting '%s'", f->program);
	}
	f->sock = pair[0];
	fault_mark("fetch.spawned");
	r = send_setup(f);
	if (r < 0) {
		stop(f);
		return err_sys(err, r, "talking to the fetcher");
	}
	return 0;
}

static bool is_cancelled(const struct fetcher *f)
{
	return f->cancel && atomic_load(f->cancel);
}

/* Until @fd can be read. Return: 0; -ECANCELED. */
static int wait_readable(struct fetcher *f, int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (;;) {
		if (is_cancelled(f)) {
			(void) err_set(err, ERR_SYSTEM, "cancelled");
			return err ? (err->sys = -ECANCELED) : -ECANCELED;
		}
		int r = poll(&p, 1, POLL_MS);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
	}
}

static void make_plain(char *s, size_t size)
{
	s[size - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char) *s < 0x20 || (unsigned char) *s >= 0x7f)
			*s = '?';
}

/* One message of the helper's into f->msg. */
static int receive(struct fetcher *f, struct err *err)
{
	size_t n = 0;
	int r = wait_readable(f, f->sock, err);
	if (r < 0)
		return r;
	ssize_t len = recv_fds(f->sock, &f->msg, sizeof(f->msg), NULL, &n);
	if (len == 0 || len == -ECONNRESET)
		return err_set(err, ERR_SYSTEM, "the fetcher ended without a word");
	if (len != (ssize_t) sizeof(f->msg) || (f->msg.kind != FETCH_HEAD && f->msg.kind != FETCH_DONE))
		return len < 0 ? err_sys(err, (int) len, "listening to the fetcher") : err_set(err, ERR_CORRUPT, "the fetcher says what makes no sense");
	struct fetch_msg *m = &f->msg;
	const struct {
		char *s;
		size_t size;
	} texts[] = {
		{m->content_type, sizeof(m->content_type)}, {m->digest, sizeof(m->digest)},   {m->content_range, sizeof(m->content_range)},
		{m->retry_after, sizeof(m->retry_after)},   {m->range, sizeof(m->range)},     {m->upload_id, sizeof(m->upload_id)},
		{m->location, sizeof(m->location)},	    {m->challenge, sizeof(m->challenge)}, {m->link, sizeof(m->link)},
		{m->err.msg, sizeof(m->err.msg)},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		make_plain(texts[i].s, texts[i].size);
	return 0;
}

/* What a FETCH_DONE in f->msg means. Return: 0 the request went well. */
static int finished(struct fetcher *f, struct err *err)
{
	const struct err *e = &f->msg.err;
	if (e->kind == ERR_NONE)
		return 0;
	f->failure = f->msg.failure <= FETCH_FAIL_FINAL ? (enum fetch_failure) f->msg.failure : FETCH_FAIL_FINAL;
	return err_set(err, e->kind < ERR_KIND_MAX_ ? (enum err_kind) e->kind : ERR_CORRUPT, "%s", e->msg);
}

static int send_request(struct fetcher *f, const struct fetch_call *c, struct err *err)
{
	int fds[2], r = 0;
	_cleanup_free_ struct fetch_request *q = calloc(1, sizeof(*q));
	_cleanup_close_ int out = -EBADF;
	if (!q)
		return err_oom(err);
	*q = (struct fetch_request) {.magic = FETCH_MAGIC, .method = c->method, .flags = c->flags | (c->body_fd >= 0 ? FETCH_BODY : 0u), .reach = c->reach,
		.connect_ms = CONNECT_MS, .stall_s = c->stall_s ? c->stall_s : STALL_S, .total_s = c->total_s, .body_offset = c->body_offset,
		.body_len = c->body_len, .answer_max = c->answer_max};
	if (str_copy(q->url, sizeof(q->url), c->url) < 0 || str_copy(q->headers, sizeof(q->headers), c->headers ?: "") < 0)
		return err_set(err, ERR_QUOTA, "an address or headers that are too long");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "creating a pipe");
	f->pipe = fds[0];
	out = fds[1];
	(void) fcntl(out, F_SETPIPE_SZ, PIPE_BYTES); /* over the user's limit it stays at 64 KiB */
	const int pass[2] = {out, c->body_fd};
	r = send_fds(f->sock, q, sizeof(*q), pass, c->body_fd >= 0 ? 2 : 1);
	explicit_bzero(q->headers, sizeof(q->headers));
	return r < 0 ? err_sys(err, r, "talking to the fetcher") : 0;
}

int fetch_begin(struct fetcher *f, const struct fetch_call *c, struct err *err)
{
	if (f->pipe >= 0) /* the last body was not read to its end */
		stop(f);
	f->failure = FETCH_FAIL_FINAL;
	f->head_came = false;
	int r = f->sock < 0 ? start(f, err) : 0;
	if (r >= 0)
		r = send_request(f, c, err);
	if (r >= 0)
		r = receive(f, err);
	if (r >= 0 && f->msg.kind == FETCH_DONE) {
		r = finished(f, err);
		f->pipe = safe_close(f->pipe);
		return r < 0 ? r : err_set(err, ERR_CORRUPT, "the fetcher gave no answer");
	}
	if (r < 0) {
		stop(f);
		return r;
	}
	f->head = f->msg;
	f->head_came = true;
	f->failure = FETCH_FAIL_NONE;
	return 0;
}

const struct fetch_msg *fetch_head(const struct fetcher *f)
{
	assert(f->head_came);
	return &f->head;
}

enum fetch_failure fetch_failure(const struct fetcher *f)
{
	return f->failure;
}

ssize_t fetch_read(struct fetcher *f, void *buf, size_t len, struct err *err)
{
	if (f->pipe < 0)
		return 0;
	int r = wait_readable(f, f->pipe, err);
	ssize_t n = r;
	if (r >= 0) {
		do
			n = read(f->pipe, buf, len);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			return n;
		if (n < 0)
			n = err_sys(err, -errno, "reading from the fetcher");
	}
	if (n == 0)
		n = receive(f, err);
	if (n < 0) {
		f->failure = FETCH_FAIL_FINAL;
		stop(f);
		return n;
	}
	f->pipe = safe_close(f->pipe);
	return f->msg.kind == FETCH_DONE ? finished(f, err) : err_set(err, ERR_CORRUPT, "the fetcher says what makes no sense");
}

int fetch_text(struct fetcher *f, struct strbuf *out, struct err *err)
{
	char buf[16384];
	ssize_t n;
	while ((n = fetch_read(f, buf, sizeof(buf), err)) > 0) {
		strbuf_add(out, buf, (size_t) n);
		if (strbuf_err(out) < 0)
			return strbuf_err(out) == -ENOMEM ? err_oom(err) : err_set(err, ERR_QUOTA, "an answer of more than %zu bytes", out->max);
	}
	return (int) n;
}
