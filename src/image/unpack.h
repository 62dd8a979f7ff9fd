/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of coffer-unpack: confine first, then read one foreign archive, inflated by a second process. Both single-threaded; everything here
 * after unpack_confine() runs as nobody, in a root that is the target directory and nothing else.
 */
#pragma once

#include "base/err.h"
#include "codec/tar.h"
#include "image/unpack_proto.h"

struct unpack {
	int sock, input; /* borrowed */
	struct unpack_request req;
	struct stream *stream; /* owned */
	struct tar *tar;       /* owned */
	uint64_t reported;  /* bytes out at the last progress message */
	uint64_t disk_bytes, entries, skipped_nodes;
	bool named; /* the error at hand already says where in the archive it is */
	struct unpack_msg *msg; /* owned; scratch, too large for the stack */
};

/** stream_start() - have @u->input inflated and hashed by a process of its own; closes it here. After unpack_confine(), before unpack_seccomp(). */
int stream_start(struct unpack *u, struct err *err);
struct stream *stream_free(struct stream *s);
/** stream_read() - the next inflated bytes. Return: bytes, 0 at the end; -EBADMSG damaged, -EDQUOT a limit, -EOPNOTSUPP a coding that is not taken, -EIO; then
 *  stream_why() has words. */
ssize_t stream_read(struct stream *s, void *buf, size_t len);
const char *stream_why(const struct stream *s);
/** stream_coding() / stream_digest() - which coding it was, and "sha256:..." of the inflated bytes (UNPACK_APPLY alone): once stream_read() has given 0. */
enum inflate_coding stream_coding(const struct stream *s);
const char *stream_digest(const struct stream *s);
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);

/** unpack_init() - open the archive of @u->stream. */
int unpack_init(struct unpack *u, struct err *err);
void unpack_done(struct unpack *u);
/** unpack_next() / unpack_data() - as tar_next() and tar_data(), with the words of whatever failed in @err. */
int unpack_next(struct unpack *u, const struct tar_entry **ret, struct err *err);
ssize_t unpack_data(struct unpack *u, const void **ret, uint64_t *ret_offset, struct err *err);
/** unpack_send() - send @u->msg; with a descriptor when @fd >= 0. */
int unpack_send(struct unpack *u, int fd, struct err *err);
/** unpack_call() - send @u->msg and wait for the answer of kind @want in @u->msg. *@ret_fd: owned, -EBADF when none came. */
int unpack_call(struct unpack *u, int fd, enum unpack_kind want, int *ret_fd, struct err *err);
/** unpack_fail_member() - put the member's name before @err, unless it has it. */
int unpack_fail_member(const struct unpack *u, struct err *err, const char *name);

/** unpack_split() - UNPACK_SPLIT; @root: the staging directory. */
int unpack_split(struct unpack *u, int root, struct err *err);
/** unpack_apply() - UNPACK_APPLY; @root: the layer's directory. */
int unpack_apply(struct unpack *u, int root, struct err *err);
/** unpack_xattrs() - set what may be set of @e's attributes on @fd. */
int unpack_xattrs(int fd, const struct tar_entry *e, struct err *err);

/** unpack_confine() - first stage, as host root: give a child its user namespace, the target by idmapped mount and nothing else, wait for it, and
 *  return 1 with its exit code. In the child: return 0 with everything dropped and "/" being the target. */
int unpack_confine(const struct unpack_request *req, int *ret_exit, struct err *err);
/** unpack_seccomp() - the allow-list of what is left to do. */
int unpack_seccomp(void);
