/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming decompression: gzip (ISA-L's igzip) and zstd (this room's doors), or nothing at all, behind one pull call. The
 * stream is foreign: the coding is told by its first bytes or by the caller, never by a name; every checksum is verified; what
 * follows the last member must be another member; members, output bytes and the ratio of output to input have ceilings, and a
 * zstd window above 128 MiB is refused before it is allocated. Single-threaded, no file access: for use in a confined helper.
 * Programs that must stay static do not link this (ISA-L comes as a shared library only).
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

enum inflate_coding { INFLATE_AUTO, INFLATE_PLAIN, INFLATE_GZIP, INFLATE_ZSTD, INFLATE_CODING_MAX_ };
const char *inflate_coding_name(enum inflate_coding c);

#define INFLATE_ZSTD_WINDOW_LOG_MAX 27 /* 128 MiB */

struct inflate_limits {
	uint64_t out_max;     /* bytes that may come out, 0: no limit */
	uint64_t ratio_max;   /* output bytes per input byte once @ratio_floor bytes came out; 0: no limit */
	uint64_t ratio_floor; /* bytes */
	uint64_t members_max; /* gzip members or zstd frames; 0: no limit */
};

/* Where the compressed bytes come from: as read(2), but -errno on failure; 0 at the end. */
struct inflate_source {
	ssize_t (*read)(void *ctx, void *buf, size_t len);
	void *ctx;
};

struct inflate;
/** inflate_new() - @src is copied, its ctx borrowed. @coding: INFLATE_AUTO to look at the first bytes. Return: 0 or -ENOMEM. */
int inflate_new(const struct inflate_source *src, enum inflate_coding coding, const struct inflate_limits *limits, struct inflate **ret);
struct inflate *inflate_free(struct inflate *z);
void inflate_freep(struct inflate **z);

/** inflate_read() - up to @len decompressed bytes. Return: bytes; 0 at the verified end of the stream; -EBADMSG damaged or trailing bytes,
 *  -EDQUOT a limit, -EOPNOTSUPP a coding we do not take, -EIO or whatever the source returned. After an error inflate_why() has words. */
ssize_t inflate_read(struct inflate *z, void *buf, size_t len);
/** inflate_why() - what went wrong, static or in @z; "" before an error. */
const char *inflate_why(const struct inflate *z);
/** inflate_coding() - what it turned out to be; INFLATE_AUTO before the first read. */
enum inflate_coding inflate_coding(const struct inflate *z);
uint64_t inflate_bytes_in(const struct inflate *z);
uint64_t inflate_bytes_out(const struct inflate *z);
