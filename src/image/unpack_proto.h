/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the engine and coffer-unpack: fixed-size structs over one SOCK_SEQPACKET pair (descriptor 3 of the helper; 4 is the
 * archive to read, 5 the directory to fill).
 *
 *	engine                                  helper
 *	unpack_request          ->
 *	                        <-              UNPACK_MEMBER (split: one for each staged file or link)
 *	                        <-              UNPACK_PROGRESS, now and then
 *	                        <-              UNPACK_OPAQUE with a directory's descriptor (the helper may not set trusted.*)
 *	UNPACK_ACK              ->
 *	                        <-              UNPACK_LOWER: what do the layers below hold at this path?
 *	UNPACK_FOUND [+ fd]     ->
 *	                        <-              UNPACK_DONE or UNPACK_FAILED, last
 *
 * The engine takes every message as foreign: the helper has read hostile bytes before it sent it.
 */
#pragma once

#include "base/err.h"
#include "codec/inflate.h"

enum { UNPACK_FD_SOCK = 3, UNPACK_FD_INPUT = 4, UNPACK_FD_TARGET = 5 };
#define UNPACK_MAGIC 0x43554e31u /* "CUN1" */
#define UNPACK_PATH_MAX 4096
#define UNPACK_STAGED_FORMAT "m%08u"

enum unpack_job { UNPACK_SPLIT = 1, UNPACK_APPLY };
enum unpack_request_flags {
	UNPACK_HAS_LOWER = 1 << 0,    /* there are layers below to ask about */
	UNPACK_END_OPTIONAL = 1 << 1, /* the diff id will be checked: an archive without end marker will do */
};

/* Ceilings of one job. Zero is "no limit" nowhere: the engine fills every field. */
struct unpack_budget {
	uint64_t bytes;        /* uncompressed stream, and data of files */
	uint64_t ratio, ratio_floor; /* output per input byte beyond so many bytes */
	uint64_t members;      /* gzip members, zstd frames */
	uint64_t entries;
	uint32_t path, depth;  /* bytes of a path, components */
	uint32_t header, xattr, chunks; /* bytes of extended headers and of xattrs for one entry; pieces of a sparse file */
	uint32_t cpu_s, wall_s;
	uint64_t memory;       /* address space */
};
#define UNPACK_BUDGET_DEFAULT                                                                                          \
	{.bytes = 64ULL << 30, .ratio = 200, .ratio_floor = 1ULL << 30, .members = 500000, .entries = 2000000,         \
	 .path = UNPACK_PATH_MAX, .depth = 512, .header = 1 << 20, .xattr = 128 << 10, .chunks = 65536,                \
	 .cpu_s = 1800, .wall_s = 3600, .memory = 1ULL << 30}

struct unpack_request {
	uint32_t magic, job, flags, coding; /* enum unpack_job, unpack_request_flags, inflate_coding */
	struct unpack_budget budget;
};

enum unpack_kind { UNPACK_MEMBER = 1, UNPACK_PROGRESS, UNPACK_OPAQUE, UNPACK_LOWER, UNPACK_DONE, UNPACK_FAILED, UNPACK_ACK, UNPACK_FOUND };
enum unpack_found { UNPACK_NONE, UNPACK_DIR, UNPACK_FILE, UNPACK_LINK, UNPACK_OTHER };
enum unpack_member { UNPACK_MEMBER_FILE, UNPACK_MEMBER_HARDLINK, UNPACK_MEMBER_SYMLINK };

struct unpack_msg {
	uint32_t kind;  /* enum unpack_kind */
	uint32_t what;  /* MEMBER: enum unpack_member; LOWER: 1 = a descriptor is wanted; FOUND: enum unpack_found */
	uint32_t index; /* MEMBER: number of the staged file */
	uint32_t mode, uid, gid, mtime_ns; /* FOUND */
	uint32_t skipped_nodes, coding; /* DONE */
	uint32_t rsvd;
	int64_t mtime_s; /* FOUND */
	uint64_t size; /* MEMBER, FOUND */
	uint64_t bytes_in, bytes_out, disk_bytes, entries; /* PROGRESS, DONE */
	char digest[72]; /* DONE: "sha256:..." of the uncompressed stream */
	char path[UNPACK_PATH_MAX + 8], link[UNPACK_PATH_MAX + 8]; /* always NUL-terminated by the sender, checked by the receiver */
	struct err err; /* FAILED */
};
