/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of coffer-unpack: starts it (posix_spawn only: we may be threaded), answers its questions, keeps the deadline. All
 * that comes from it is foreign: texts are made plain, numbers are only shown or compared, descriptors are checked.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "image/internal.h"
#include "kernel/spawn.h"

struct client {
	const struct unpack_run *run;
	int sock;
	struct pidref helper;
	usec_t deadline;
	struct unpack_msg *msg; /* owned */
	bool ended;
};

/* Wait until the helper has gone, and with it the child that it minds. */
static int reap(struct client *c)
{
	int status = 0;
	c->sock = safe_close(c->sock); /* the first stage takes that for "kill the child" */
	struct pollfd p = {.fd = c->helper.fd, .events = POLLIN};
	if (poll(&p, 1, 10000) <= 0)
		(void) kill(-c->helper.pid, SIGKILL); /* its own process group, and it is not reaped yet */
	(void) process_wait(c->helper.pid, &status);
	c->helper.fd = safe_close(c->helper.fd);
	return exit_code_from_status(status);
}

static void make_plain(char *s, size_t size)
{
	s[size - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char) *s < 0x20 || (unsigned char) *s >= 0x7f)
			*s = '?';
}

static int answer(struct client *c, enum unpack_kind kind, int fd, struct err *err)
{
	c->msg->kind = kind;
	int r = send_fds(c->sock, c->msg, sizeof(*c->msg), &fd, fd >= 0 ? 1 : 0);
	return r < 0 ? err_sys(err, r, "answering the unpacker") : 0;
}

static int on_opaque(struct client *c, int fd, struct err *err)
{
	struct stat dir, target;
	if (fd < 0 || fstat(fd, &dir) < 0 || fstat(c->run->target, &target) < 0 || !S_ISDIR(dir.st_mode) || dir.st_dev != target.st_dev)
		return err_set(err, ERR_CORRUPT, "the unpacker asked to mark something that is no directory of the layer");
	if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(err, -errno, "marking a directory opaque");
	return answer(c, UNPACK_ACK, -EBADF, err);
}

static int on_lower(struct client *c, struct err *err)
{
	bool want_fd = c->msg->what != 0;
	char path[UNPACK_PATH_MAX + 8];
	if (str_copy(path, sizeof(path), c->msg->path) < 0)
		return err_set(err, ERR_CORRUPT, "a path that is too long");
	const int *lower = NULL;
	size_t n = 0;
	int r = c->run->lower ? c->run->lower(c->run->ctx, &lower, &n, err) : 0;
	if (r < 0)
		return r;
	_cleanup_close_ int fd = -EBADF;
	memset(c->msg, 0, sizeof(*c->msg));
	lower_find(lower, n, path, want_fd, c->msg, &fd);
	return answer(c, UNPACK_FOUND, fd, err);
}

static int on_failed(struct client *c, struct err *err)
{
	const struct err *e = &c->msg->err;
	make_plain(c->msg->err.msg, sizeof(c->msg->err.msg));
	c->ended = true;
	enum err_kind kind = e->kind > ERR_NONE && e->kind < ERR_KIND_MAX_ ? (enum err_kind) e->kind : ERR_CORRUPT;
	int r = err_set(err, kind, "%s", e->msg);
	if (kind == ERR_SYSTEM && e->sys < 0 && e->sys > -4096 && err)
		err->sys = r = e->sys;
	return r;
}

static int on_message(struct client *c, int fd, struct unpack_msg *ret_done, struct err *err)
{
	struct unpack_msg *m = c->msg;
	m->path[sizeof(m->path) - 1] = m->link[sizeof(m->link) - 1] = '\0';
	m->digest[sizeof(m->digest) - 1] = '\0';
	switch (m->kind) {
	case UNPACK_MEMBER:
		return c->run->member ? c->run->member(c->run->ctx, m, err) : err_set(err, ERR_CORRUPT, "a member nobody asked for");
	case UNPACK_PROGRESS:
		if (c->run->progress)
			c->run->progress(c->run->ctx, m->bytes_in, m->bytes_out);
		return 0;
	case UNPACK_OPAQUE:
		return on_opaque(c, fd, err);
	case UNPACK_LOWER:
		return on_lower(c, err);
	case UNPACK_DONE:
		c->ended = true;
		*ret_done = *m;
		return 0;
	case UNPACK_FAILED:
		return on_failed(c, err);
	default:
		return err_set(err, ERR_CORRUPT, "the unpacker says what makes no sense");
	}
}

/* Return: 1 a message was handled, 0 end of file, ERR_*. */
static int one_message(struct client *c, struct unpack_msg *ret_done, struct err *err)
{
	usec_t now = now_usec();
	if ((c->run->cancel && atomic_load(c->run->cancel)) || (c->run->stop && atomic_load(c->run->stop))) {
		(void) err_set(err, ERR_SYSTEM, "cancelled");
		return err ? (err->sys = -ECANCELED) : -ECANCELED;
	}
	if (now >= c->deadline)
		return err_set(err, ERR_QUOTA, "unpacking took longer than %u s", c->run->req.budget.wall_s);
	struct pollfd p = {.fd = c->sock, .events = POLLIN};
	int r = poll(&p, 1, (int) MIN((c->deadline - now) / USEC_PER_MSEC + 1, (usec_t) (c->run->cancel || c->run->stop ? 200 : 1000)));
	if (r < 0 && errno != EINTR)
		return err_sys(err, -errno, "poll");
	if (r <= 0)
		return 1;
	_cleanup_close_ int fd = -EBADF;
	size_t n = 1;
	ssize_t len = recv_fds(c->sock, c->msg, sizeof(*c->msg), &fd, &n);
	if (n == 0)
		fd = -EBADF;
	if (len == 0 || len == -ECONNRESET)
		return 0;
	if (len < 0)
		return err_sys(err, (int) len, "listening to the unpacker");
	if (len != (ssize_t) sizeof(*c->msg))
		return err_set(err, ERR_CORRUPT, "the unpacker says what makes no sense");
	r = on_message(c, fd, ret_done, err);
	return r < 0 ? r : 1;
}

static int start(struct image_store *s, struct client *c, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "socketpair");
	const struct spawn_fd fds[] = {{pair[1], UNPACK_FD_SOCK}, {c->run->input, UNPACK_FD_INPUT}, {c->run->target, UNPACK_FD_TARGET}};
	char *const argv[] = {(char *) "coffer-unpack", NULL}, *const envp[] = {NULL};
	int r = spawn_program(s->unpack_path, argv, envp, fds, ARRAY_LEN(fds), &c->helper);
	(void) safe_close(pair[1]);
	if (r < 0) {
		(void) safe_close(pair[0]);
		return err_sys(err, r, "starting '%s'", s->unpack_path);
	}
	c->sock = pair[0];
	return 0;
}

int unpack_run(struct image_store *s, const struct unpack_run *run, struct unpack_msg *ret_done, struct err *err)
{
	struct client c = {.run = run, .sock = -EBADF, .deadline = now_usec() + run->req.budget.wall_s * USEC_PER_SEC};
	c.msg = calloc(1, sizeof(*c.msg));
	if (!c.msg)
		return err_oom(err);
	int r = start(s, &c, err);
	if (r < 0) {
		free(c.msg);
		return r;
	}
	fault_mark("image.unpack.spawned");
	r = send_fds(c.sock, &run->req, sizeof(run->req), NULL, 0);
	if (r < 0)
		r = err_sys(err, r, "talking to the unpacker");
	else
		r = 1;
	while (r > 0 && !c.ended)
		r = one_message(&c, ret_done, err);
	int code = reap(&c);
	free(c.msg);
	if (r < 0)
		return r;
	if (!c.ended)
		return code > 128 ? err_set(err, ERR_CORRUPT, "the unpacker was killed by signal %d (%s)", code - 128, sigdescr_np(code - 128) ?: "?") :
				    err_set(err, ERR_SYSTEM, "the unpacker ended with code %d and without a word", code);
	return 0;
}
