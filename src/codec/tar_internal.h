/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the tar reader only: the raw block, its numbers, and the state of one entry in the making. */
#pragma once

#include "base/str.h"
#include "codec/tar.h"

enum { TAR_BLOCK_SIZE = 512 };

struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], type, linkname[100], magic[6], version[2], uname[32], gname[32],
		devmajor[8], devminor[8], prefix[155], pad[12];
};
static_assert(sizeof(struct tar_header) == TAR_BLOCK_SIZE, "one block");

/* The part of an old GNU header that lies over the prefix field, and the blocks that continue its sparse map. */
struct tar_gnu_sparse {
	char offset[12], len[12];
};
struct tar_gnu_tail { /* from byte 345 */
	char atime[12], ctime[12], pos[12], longnames[4], unused;
	struct tar_gnu_sparse sparse[4];
	char isextended, realsize[12], pad[17];
};
struct tar_gnu_extension {
	struct tar_gnu_sparse sparse[21];
	char isextended, pad[7];
};
static_assert(sizeof(struct tar_gnu_tail) == TAR_BLOCK_SIZE - 345, "rest of the block");
static_assert(sizeof(struct tar_gnu_extension) == TAR_BLOCK_SIZE, "one block");

/** tar_number() - octal or base-256 field. Return: 0; -EINVAL. */
int tar_number(const char *field, size_t size, int64_t *ret);
/** tar_checksum_ok() - as unsigned or signed bytes. */
bool tar_checksum_ok(const struct tar_header *h);
/** tar_is_zero_block() */
bool tar_is_zero_block(const void *block);

/* What pax records say; a bit in @has for each. */
enum pax_field {
	PAX_PATH = 1 << 0, PAX_LINKPATH = 1 << 1, PAX_SIZE = 1 << 2, PAX_UID = 1 << 3, PAX_GID = 1 << 4, PAX_MTIME = 1 << 5,
	PAX_SPARSE_SIZE = 1 << 6, PAX_SPARSE_MAP = 1 << 7, PAX_SPARSE_NAME = 1 << 8, PAX_SPARSE_MAJOR = 1 << 9, PAX_SPARSE_MINOR = 1 << 10,
	PAX_SPARSE_BLOCKS = 1 << 11, PAX_SPARSE_REAL = 1 << 12, PAX_XATTR = 1 << 13,
};
struct pax {
	unsigned has; /* enum pax_field */
	char *path, *linkpath, *sparse_name; /* borrowed from the header's bytes */
	uint64_t size, uid, gid, sparse_size, sparse_blocks, sparse_major, sparse_minor;
	int64_t mtime_s;
	uint32_t mtime_ns;
};

struct tar_list { /* growing, with a ceiling */
	struct tar_chunk *chunks; /* owned */
	size_t n, cap;
};
struct tar_xattrs {
	struct tar_xattr *v; /* owned; contents borrowed from the header's bytes */
	size_t n, cap, bytes;
};

struct tar {
	ssize_t (*read)(void *ctx, void *buf, size_t len);
	void *ctx;
	struct tar_limits limits;
	int failed; /* latched -errno */
	bool eof, ended;
	char member[256]; /* escaped name of the entry in work, for messages */
	char why[640];

	unsigned char *buf; /* owned; unread bytes are buf[at..have) */
	size_t at, have, buf_size;

	uint64_t entries, data_total;
	struct strbuf pax_bytes, longname, longlink, name; /* owned; of the entry in work */
	bool got_pax, got_longname, got_longlink;
	struct pax pax, global; /* global: uid, gid, mtime only */
	struct tar_list map;
	struct tar_xattrs xattrs;
	struct tar_entry e;

	/* data of the current entry */
	uint64_t left, padding; /* bytes and padding still in the archive */
	size_t chunk;           /* sparse: run in work */
	uint64_t chunk_done, plain_done;
};

/** tar_fail() - latch and word an error: "member 'x': ...". Return: @r. */
int tar_fail(struct tar *t, int r, const char *fmt, ...) _printf_(3, 4);
/** tar_take() - the next @n (<= buffer) bytes in place. Return: 0; -EBADMSG at the end of the source. */
int tar_take(struct tar *t, size_t n, const unsigned char **ret);
/** tar_pax_parse() - records of @t->pax_bytes into @p; @global: the stricter rules of a global header. */
int tar_pax_parse(struct tar *t, struct strbuf *bytes, struct pax *p, bool global);
/** tar_chunk_add() / tar_chunks_check() - build and prove a sparse map: ascending, disjoint, inside @size. *@ret_data: bytes that the runs hold. */
int tar_chunk_add(struct tar *t, uint64_t offset, uint64_t len);
int tar_chunks_check(struct tar *t, uint64_t size, uint64_t *ret_data);
/** tar_sparse_gnu() - the old GNU form: map in @h and the blocks behind it. */
int tar_sparse_gnu(struct tar *t, const struct tar_header *h);
/** tar_sparse_pax() - any of the three pax forms; for 1.0 reads the map from the head of the data. */
int tar_sparse_pax(struct tar *t);
