/* SPDX-License-Identifier: Apache-2.0 */
#include "image/unpack.h"

#include <errno.h>

#include "base/fd.h"

enum { PROGRESS_STEP = 4 << 20 };

static void report_progress(struct unpack *u)
{
	uint64_t out = stream_bytes_out(u->stream);
	if (out - u->reported < PROGRESS_STEP)
		return;
	u->reported = out;
	memset(u->msg, 0, sizeof(*u->msg));
	u->msg->kind = UNPACK_PROGRESS;
	u->msg->bytes_in = stream_bytes_in(u->stream);
	u->msg->bytes_out = out;
	(void) unpack_send(u, -EBADF, NULL); /* an engine that is gone is noticed at the end */
}

static ssize_t read_stream(void *ctx, void *buf, size_t len)
{
	struct unpack *u = ctx;
	ssize_t n = stream_read(u->stream, buf, len);
	if (n > 0)
		report_progress(u);
	return n;
}

int unpack_init(struct unpack *u, struct err *err)
{
	const struct unpack_budget *b = &u->req.budget;
	struct tar_limits tl = {.entries_max = b->entries, .data_max = b->bytes, .header_max = b->header, .xattr_max = b->xattr,
		.path_max = b->path, .chunks_max = b->chunks, .end_optional = u->req.flags & UNPACK_END_OPTIONAL};
	u->msg = calloc(1, sizeof(*u->msg));
	if (!u->msg || tar_new(read_stream, u, &tl, &u->tar) < 0)
		return err_oom(err);
	return 0;
}

void unpack_done(struct unpack *u)
{
	u->tar = tar_free(u->tar);
	u->stream = stream_free(u->stream);
	free(u->msg);
	u->msg = NULL;
}

static enum err_kind kind_of(int r)
{
	return r == -EBADMSG ? ERR_CORRUPT : r == -EDQUOT ? ERR_QUOTA : r == -EOPNOTSUPP ? ERR_UNSUPPORTED : ERR_SYSTEM;
}

static int stream_error(struct unpack *u, int r, struct err *err)
{
	const char *z = stream_why(u->stream);
	u->named = true;
	if (!*z)
		return err_set(err, kind_of(r), "%s", tar_why(u->tar));
	return err_set(err, kind_of(r), "after %llu bytes: %s", (unsigned long long) stream_bytes_out(u->stream), z);
}

int unpack_next(struct unpack *u, const struct tar_entry **ret, struct err *err)
{
	int r = tar_next(u->tar, ret);
	if (r > 0)
		u->entries++;
	return r < 0 ? stream_error(u, r, err) : r;
}

ssize_t unpack_data(struct unpack *u, const void **ret, uint64_t *ret_offset, struct err *err)
{
	ssize_t n = tar_data(u->tar, ret, ret_offset);
	return n < 0 ? stream_error(u, (int) n, err) : n;
}

int unpack_send(struct unpack *u, int fd, struct err *err)
{
	int r = send_fds(u->sock, u->msg, sizeof(*u->msg), &fd, fd >= 0 ? 1 : 0);
	return r < 0 ? err_sys(err, r, "talking to the engine") : 0;
}

int unpack_call(struct unpack *u, int fd, enum unpack_kind want, int *ret_fd, struct err *err)
{
	int r = unpack_send(u, fd, err);
	if (r < 0)
		return r;
	int got = -EBADF;
	size_t n = 1;
	ssize_t len = recv_fds(u->sock, u->msg, sizeof(*u->msg), &got, &n);
	if (len != (ssize_t) sizeof(*u->msg) || u->msg->kind != (uint32_t) want) {
		if (len >= 0 && n > 0)
			(void) safe_close(got);
		return len < 0 ? err_sys(err, (int) len, "listening to the engine") : err_set(err, ERR_SYSTEM, "an answer from the engine that makes no sense");
	}
	*ret_fd = n > 0 ? got : -EBADF;
	return 0;
}

int unpack_fail_member(const struct unpack *u, struct err *err, const char *name)
{
	char buf[200];
	if (u->named)
		return err->sys;
	return err_wrap(err, "member '%s'", tar_escape(buf, sizeof(buf), *name ? name : "(no name)"));
}
