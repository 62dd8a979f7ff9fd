/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object of a file system as one member of an archive. Only regular files and directories are ever opened, and only after they were
 * seen to be one; a FIFO put in their place meanwhile blocks nobody (CVE-2024-9676).
 */
#pragma once

#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "codec/tar_write.h"
#include "files/links.h"

#define MEMBER_XATTR_MAX (128u << 10) /* bytes of one object's attributes */
#define MEMBER_XATTRS_MAX 64

enum member_flags {
	MEMBER_NO_DEVICES = 1 << 0, /* character and block nodes are left out */
};

struct member_writer {
	struct tar_writer *w; /* borrowed */
	struct links links;   /* owned */
	unsigned flags;       /* enum member_flags */
	uint64_t entries, entries_max;
	uint64_t bytes, bytes_max; /* of data; @bytes_max 0: no limit */
	char *xattr_bytes, *buf; /* owned; scratch */
	struct tar_xattr xattrs[MEMBER_XATTRS_MAX];
	size_t n_xattrs;
};
int member_writer_init(struct member_writer *m, struct tar_writer *w, unsigned flags, uint64_t entries_max, struct err *err);
void member_writer_done(struct member_writer *m);

/** member_write() - @name in directory @dirfd ("." for the directory itself), seen as @st, under the path @path. @opened: a descriptor of it that may be
 *  read (a directory's), -EBADF: none. An object that is gone meanwhile, or a socket, is left out. Return: 0; ERR_QUOTA, ERR_SYSTEM. */
int member_write(struct member_writer *m, int dirfd, const char *name, const char *path, const struct stat *st, int opened, struct err *err);
/** member_write_mark() - an empty file of that name (a whiteout). */
int member_write_mark(struct member_writer *m, const char *path, struct err *err);
/** member_fail() - "writing the archive: ..." for a failed writer call. */
int member_fail(int r, const char *path, struct err *err);
