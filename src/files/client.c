/* SPDX-License-Identifier: Apache-2.0 */
#include "files/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "kernel/spawn.h"

enum { BUF = 256 << 10, PIPE_BYTES = 1 << 20, END_MS = 10000 };

struct client {
	const struct files_run *run;
	int sock, pipe; /* owned; @pipe -EBADF: the stream is somebody else's, or at its end */
	struct pidref helper;
	bool ended;
	usec_t last; /* when something came */
	struct files_msg msg, *done;
	char *buf; /* owned */
};

/* Wait until the helper has gone, and with it the child that it minds. */
static int reap(struct client *c)
{
	int status = 0;
	c->sock = safe_close(c->sock); /* the first stage takes that for "kill the child" */
	c->pipe = safe_close(c->pipe);
	struct pollfd p = {.fd = c->helper.fd, .events = POLLIN};
	if (poll(&p, 1, END_MS) <= 0)
		(void) kill(-c->helper.pid, SIGKILL); /* its own process group, and it is not reaped yet */
	(void) process_wait(c->helper.pid, &status);
	c->helper.fd = safe_close(c->helper.fd);
	return exit_code_from_status(status);
}

static void make_plain(char *s, size_t size)
{
	s[size - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char) *s < 0x20 || *s == 0x7f)
			*s = '?';
}

/* The one question: does the overlay's mark lie on this directory? Only the host's root may read it (xattr(7) "trusted"). */
static int on_opaque(struct client *c, int fd, struct err *err)
{
	struct stat st;
	char y = 0;
	bool layer = c->run->req->job == FILES_CHANGES || c->run->req->job == FILES_LAYER;
	if (!layer || fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_SYSTEM, "the files helper says what makes no sense");
	memset(&c->msg, 0, sizeof(c->msg));
	c->msg.kind = FILES_ANSWER;
	c->msg.yes = fgetxattr(fd, "trusted.overlay.opaque", &y, 1) == 1 && y == 'y';
	int r = send_fds(c->sock, &c->msg, sizeof(c->msg), NULL, 0);
	return r < 0 ? err_sys(err, r, "answering the files helper") : 0;
}

static int on_status(struct client *c, struct err *err)
{
	struct files_status *s = &c->msg.status;
	s->name[sizeof(s->name) - 1] = s->target[sizeof(s->target) - 1] = '\0';
	return c->run->status ? c->run->status(c->run->ctx, s, err) : 0;
}

static int on_failed(struct client *c, struct err *err)
{
	const struct err *e = &c->msg.err;
	make_plain(c->msg.err.msg, sizeof(c->msg.err.msg));
	c->ended = true;
	enum err_kind kind = e->kind > ERR_NONE && e->kind < ERR_KIND_MAX_ ? (enum err_kind) e->kind : ERR_CORRUPT;
	int r = err_set(err, kind, "%s", e->msg);
	if (kind == ERR_SYSTEM && e->sys < 0 && e->sys > -4096 && err)
		err->sys = r = e->sys;
	return r;
}

static int on_message(struct client *c, int fd, struct err *err)
{
	switch (c->msg.kind) {
	case FILES_STATUS:
		return on_status(c, err);
	case FILES_OPAQUE:
		return on_opaque(c, fd, err);
	case FILES_FAILED:
		return on_failed(c, err);
	case FILES_DONE:
		c->ended = true;
		*c->done = c->msg;
		return 0;
	default:
		return err_set(err, ERR_SYSTEM, "the files helper says what makes no sense");
	}
}

/* Return: 1 go on, 0 its socket has ended, <0. */
static int read_message(struct client *c, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	size_t n = 1;
	ssize_t len = recv_fds(c->sock, &c->msg, sizeof(c->msg), &fd, &n);
	if (n == 0)
		fd = -EBADF;
	if (len == 0 || len == -ECONNRESET)
		return 0;
	if (len != (ssize_t) sizeof(c->msg))
		return len < 0 ? err_sys(err, (int) len, "listening to the files helper") : err_set(err, ERR_SYSTEM, "the files helper says what makes no sense");
	int r = on_message(c, fd, err);
	return r < 0 ? r : 1;
}

/* Return: 1 go on, 0 the stream is at its end, <0. */
static int read_data(struct client *c, struct err *err)
{
	ssize_t n;
	do
		n = read(c->pipe, c->buf, BUF);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? err_sys(err, -errno, "reading from the files helper") : 0;
	fault_mark("files.data");
	int r = c->run->data(c->run->ctx, c->buf, (size_t) n);
	return r < 0 ? err_sys(err, r, "passing the archive on") : 1;
}

/* One round of whatever is ready. The socket comes first: what a path is told before its bytes. Return: 1 go on, 0 over, <0. */
static int turn(struct client *c, struct err *err)
{
	struct pollfd p[3] = {{.fd = c->ended ? -1 : c->sock, .events = POLLIN}, {.fd = c->pipe, .events = POLLIN}, {.fd = c->run->cancel}};
	int r = poll(p, 3, 1000);
	if (r < 0 && errno != EINTR)
		return err_sys(err, -errno, "poll");
	if (r > 0 && p[2].revents & (POLLHUP | POLLERR)) {
		(void) err_set(err, ERR_SYSTEM, "the client has left");
		return -ECANCELED;
	}
	if (r <= 0)
		return c->pipe >= 0 && now_usec() - c->last > FILES_IDLE_S * USEC_PER_SEC ? err_set(err, ERR_QUOTA, "nothing came out of the files helper for %d s", FILES_IDLE_S) : 1;
	c->last = now_usec();
	if (p[0].revents) {
		r = read_message(c, err);
		if (r <= 0)
			return r;
	} else if (p[1].revents) {
		r = read_data(c, err);
		if (r == 0)
			c->pipe = safe_close(c->pipe);
		r = r < 0 ? r : 1;
	}
	return r < 0 ? r : !(c->ended && c->pipe < 0);
}

static int start(struct client *c, struct err *err)
{
	const struct files_run *run = c->run;
	int pair[2], ends[2] = {-EBADF, -EBADF}, r = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	if (run->data && pipe2(ends, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0 && run->data)
		(void) fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* over the user's limit it stays at 64 KiB */
	const struct spawn_fd fds[] = {{pair[1], FILES_FD_SOCK}, {run->data ? ends[1] : run->stream, FILES_FD_STREAM}, {run->container, FILES_FD_CONTAINER}, {run->bundle, FILES_FD_BUNDLE}};
	char *const argv[] = {(char *) "coffer-files", NULL}, *const envp[] = {NULL};
	if (r == 0)
		r = spawn_program(run->helper, argv, envp, fds, ARRAY_LEN(fds), &c->helper);
	(void) safe_close(pair[1]);
	(void) safe_close(ends[1]);
	c->sock = pair[0];
	c->pipe = ends[0];
	fault_mark("files.spawned");
	if (r == 0)
		return 0;
	c->sock = safe_close(c->sock);
	c->pipe = safe_close(c->pipe);
	return err_sys(err, r, "starting '%s'", run->helper);
}

static int converse(struct client *c, struct err *err)
{
	int r = start(c, err);
	if (r < 0)
		return r;
	c->last = now_usec();
	r = send_fds(c->sock, c->run->req, sizeof(*c->run->req), NULL, 0);
	r = r < 0 ? err_sys(err, r, "talking to the files helper") : 1;
	while (r > 0)
		r = turn(c, err);
	int code = reap(c);
	if (r < 0 || c->ended)
		return r;
	return code > 128 ? err_set(err, ERR_SYSTEM, "the files helper was killed by signal %d (%s)", code - 128, sigdescr_np(code - 128) ?: "?") :
			    err_set(err, ERR_SYSTEM, "the files helper ended with code %d and without a word", code);
}

int files_run(const struct files_run *run, struct files_msg *ret_done, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	*c = (struct client) {.run = run, .sock = -EBADF, .pipe = -EBADF, .done = ret_done, .buf = malloc(BUF)};
	int r = c->buf ? converse(c, err) : err_oom(err);
	free(c->buf);
	free(c);
	return MIN(r, 0);
}
