/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-unpack: reads foreign archives, confined. Started by the engine with three descriptors (image/unpack_proto.h); of no use
 * to anybody else. Exit: 0 done or failed and said so; 1 could not say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/inflate.h"
#include "image/unpack.h"

static int send_last(struct unpack_msg *m)
{
	return send_fds(UNPACK_FD_SOCK, m, sizeof(*m), NULL, 0) < 0 ? 1 : 0;
}

static int say_failed(const struct err *err)
{
	struct unpack_msg *m = calloc(1, sizeof(*m));
	if (!m)
		return 1;
	m->kind = UNPACK_FAILED;
	m->err = *err;
	int r = send_last(m);
	free(m);
	return r;
}

static int say_done(struct unpack *u)
{
	struct unpack_msg *m = u->msg;
	memset(m, 0, sizeof(*m));
	m->kind = UNPACK_DONE;
	m->bytes_in = stream_bytes_in(u->stream);
	m->bytes_out = stream_bytes_out(u->stream);
	m->disk_bytes = u->disk_bytes;
	m->entries = u->entries;
	m->skipped_nodes = (uint32_t) u->skipped_nodes;
	m->coding = (uint32_t) stream_coding(u->stream);
	(void) str_copy(m->digest, sizeof(m->digest), stream_digest(u->stream));
	return send_last(m);
}

static int do_job(struct unpack *u, struct err *err)
{
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, -errno, "unpacker: opening its root");
	int r = unpack_init(u, err);
	if (r >= 0)
		r = u->req.job == UNPACK_SPLIT ? unpack_split(u, root, err) : unpack_apply(u, root, err);
	(void) close(root);
	return r;
}

int main(void)
{
	struct err err = {0};
	struct unpack u = {.sock = UNPACK_FD_SOCK, .input = UNPACK_FD_INPUT};
	size_t n = 0;
	ssize_t len = recv_fds(UNPACK_FD_SOCK, &u.req, sizeof(u.req), NULL, &n);
	if (len != (ssize_t) sizeof(u.req) || u.req.magic != UNPACK_MAGIC || (u.req.job != UNPACK_SPLIT && u.req.job != UNPACK_APPLY)) {
		fprintf(stderr, "coffer-unpack is a part of coffer, not a command\n");
		return 2;
	}
	int code = 0, r = unpack_confine(&u.req, &code, &err);
	if (r > 0)
		return code;
	if (r >= 0)
		r = stream_start(&u, &err);
	if (r >= 0) {
		r = unpack_seccomp();
		if (r < 0)
			(void) err_sys(&err, r, "unpacker: installing its seccomp filter");
	}
	if (r >= 0)
		r = do_job(&u, &err);
	code = r < 0 ? say_failed(&err) : say_done(&u);
	_exit(code); /* no atexit handler has anything to do here */
}
