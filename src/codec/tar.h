/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict tar reader of our own (R18): v7, ustar, GNU (long names, base-256, old sparse) and pax (local and global headers, sparse
 * 0.0/0.1/1.0). Streaming: the caller gives a read function, pulls one entry after the other and the bytes of files in place.
 *
 * What it promises: where python tarfile, GNU tar and bsdtar read an archive alike we read it that way; where they part ways
 * (two extended headers for one entry, sizes on entries without data, a file name that ends in '/', overrides in a global
 * header, NUL inside a name, bytes behind the end marker) the archive is refused with a message that names the member. So no
 * entry can hide from one reader and show in another (CVE-2025-62518). The size of a pax header wins over the ustar field.
 * Every list and buffer has a ceiling. Names are returned as they are: what they may mean is the caller's policy.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

enum tar_type { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO, TAR_TYPE_MAX_ };

struct tar_xattr {
	const char *name; /* borrowed until the next entry; "user.x", NUL-terminated */
	const void *value;
	size_t len;
};

struct tar_chunk {
	uint64_t offset, len; /* bytes of data at @offset of the file; holes between */
};

struct tar_entry {
	enum tar_type type;
	const char *path, *link; /* borrowed until the next entry; @link "" when there is none */
	uint32_t mode;           /* 07777 */
	uint64_t uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major, dev_minor; /* of character and block nodes */
	uint64_t size;      /* logical size of the file, holes included */
	uint64_t data_size; /* bytes that follow in the archive */
	bool sparse;
	const struct tar_chunk *chunks; /* of sparse files, ascending */
	size_t n_chunks;
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

struct tar_limits {
	uint64_t entries_max; /* members */
	uint64_t data_max;    /* logical bytes of all files together, 0: no limit */
	size_t header_max;    /* bytes of extended headers and long names for one entry */
	size_t xattr_max;     /* bytes of xattr names and values of one entry */
	size_t path_max;      /* longest path or link target, without the NUL */
	size_t chunks_max;    /* data runs of one sparse file */
	bool end_optional;    /* take an archive without its end marker and last padding (its digest is checked elsewhere) */
};
#define TAR_LIMITS_DEFAULT                                                                                             \
	{.entries_max = 2000000, .header_max = 1 << 20, .xattr_max = 256 << 10, .path_max = 4096, .chunks_max = 65536}

struct tar;
/** tar_new() - @read as read(2) but -errno on failure, 0 at the end; @ctx borrowed. Return: 0 or -ENOMEM. */
int tar_new(ssize_t (*read)(void *ctx, void *buf, size_t len), void *ctx, const struct tar_limits *limits, struct tar **ret);
struct tar *tar_free(struct tar *t);
void tar_freep(struct tar **t);

/** tar_next() - the next member; what is left of the one before is skipped. *@ret: borrowed until the next call. Return: 1; 0 at the end, when
 *  everything behind the end marker was zeros to the source's end; -EBADMSG no tar or damaged, -EDQUOT a limit, -EOPNOTSUPP a form
 *  that is refused, or what the source returned. After an error tar_why() has words. */
int tar_next(struct tar *t, const struct tar_entry **ret);
/** tar_data() - the next run of bytes of the current file, in place. *@ret_offset: where in the file they go. Return: bytes; 0 at the file's
 *  end; -errno as tar_next(). *@ret is good until the next call. */
ssize_t tar_data(struct tar *t, const void **ret, uint64_t *ret_offset);
/** tar_why() - what went wrong, with the member's name escaped for a terminal. */
const char *tar_why(const struct tar *t);
/** tar_escape() - @name as printable ASCII, shortened in the middle of nowhere with "..."; for messages. Return: @buf. */
char *tar_escape(char *buf, size_t size, const char *name);
