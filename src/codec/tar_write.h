/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A streaming tar writer: ustar, and a pax header before an entry that needs one (long or non-ASCII names, big numbers, parts of a
 * second, extended attributes). The reverse of codec/tar.h, over the same struct tar_entry.
 *
 * What it promises: the same entries give the same bytes, whatever the machine, the time and the locale (no user names, no pids, pax records in
 * one order, attributes sorted by name); the strict reader of this room, GNU tar, bsdtar, python tarfile and Go's archive/tar
 * read back what was put in. What it leaves to the caller: the order of entries, and cleaning of names.
 *
 *	tar_writer_new(write, ctx, &w)
 *	for each member:  tar_writer_entry(w, &e)    then, of a file with data, tar_writer_data(w, p, n) until e.size bytes are written
 *	tar_writer_end(w)                            the end marker, and all that is still in the buffer
 *	tar_writer_free(w)
 */
#pragma once

#include "codec/tar.h"

struct tar_writer;
/** tar_writer_new() - @write: takes all of @len bytes; 0 or -errno. @ctx: borrowed. Return: 0 or -ENOMEM. */
int tar_writer_new(int (*write)(void *ctx, const void *buf, size_t len), void *ctx, struct tar_writer **ret);
struct tar_writer *tar_writer_free(struct tar_writer *w);
void tar_writer_freep(struct tar_writer **w);

/** tar_writer_entry() - the header of one member; a directory's path gets its final '/'. @e: type, path, link, mode, uid, gid, mtime, device
 *  numbers, size (files only) and xattrs count; @sparse must be false. Return: 0; -EINVAL for what no archive can hold (an empty path, a negative
 *  or too large number, an attribute that tar_writer_takes_xattr() refuses); -EBUSY while data of the entry before is missing; or what the sink
 *  returned, then and ever after. After -EINVAL nothing of the entry was written. */
int tar_writer_entry(struct tar_writer *w, const struct tar_entry *e);
/** tar_writer_data() - the next @len bytes of the current file. Return: 0; -EFBIG for more than its size; or the sink's error. */
int tar_writer_data(struct tar_writer *w, const void *p, size_t len);
/** tar_writer_flush() - hand what is buffered to the sink, in the middle of an archive. Return: 0 or the sink's error. */
int tar_writer_flush(struct tar_writer *w);
/** tar_writer_end() - end marker and flush. Return as tar_writer_entry(). */
int tar_writer_end(struct tar_writer *w);
/** tar_writer_takes_xattr() - a pax key may not hold '=' and not be empty. */
bool tar_writer_takes_xattr(const char *name);
