/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the engine and coffer-files: fixed-size structs over one SOCK_SEQPACKET pair, and one stream of bytes. Descriptors of the helper:
 * 3 the socket, 4 the stream (an archive out of it or into it; nothing for FILES_STAT), 5 what names the container: the pidfd of its first
 * process while it runs, its document else, 6 its bundle directory (or any directory: relative names of the document start there).
 *
 *	engine                                  helper
 *	files_request           ->
 *	                        <-              FILES_STATUS: what lies at the path (archive jobs)
 *	                        <-              FILES_OPAQUE with a directory's descriptor: the helper may not read trusted.* (layer jobs)
 *	FILES_ANSWER            ->
 *	                        <=              the stream
 *	                        <-              FILES_DONE or FILES_FAILED, last
 *
 * The engine takes every message as foreign: the helper has looked at hostile bytes before it sent it.
 */
#pragma once

#include <limits.h>

#include "base/err.h"

enum { FILES_FD_SOCK = 3, FILES_FD_STREAM = 4, FILES_FD_CONTAINER = 5, FILES_FD_BUNDLE = 6 };
#define FILES_MAGIC 0x43464c31u /* "CFL1" */

enum files_job {
	FILES_STAT = 1, /* FILES_STATUS and no more */
	FILES_GET,      /* the object at the path, as an archive */
	FILES_PUT,      /* an archive into the directory at the path */
	FILES_EXPORT,   /* the whole root, nothing that is mounted in it */
	FILES_CHANGES,  /* what the container's own layer changes: a letter A, C or D, the path, a NUL, for each */
	FILES_LAYER,    /* the container's own layer as an archive with whiteouts */
	FILES_JOB_MAX_,
};
enum files_flags {
	FILES_RUNNING = 1 << 0,       /* enter the process behind descriptor 5 */
	FILES_NO_OVERWRITE = 1 << 1,  /* PUT: no directory for a non-directory, nor the other way round */
	FILES_AS_USER = 1 << 2,       /* PUT: everything belongs to @user, not to the ids of the archive */
};

/* Ceilings of one job; every field is filled. */
struct files_budget {
	uint64_t bytes;        /* of an archive that comes in, uncompressed */
	uint64_t ratio, ratio_floor; /* of it: output per input byte beyond so many bytes */
	uint64_t members;      /* of it: gzip members, zstd frames */
	uint64_t entries;      /* of an archive, either way */
	uint32_t depth, header, xattr, chunks; /* directories above each other; bytes of one entry's headers and attributes; pieces of a sparse file */
	uint32_t cpu_s;
	uint64_t memory;       /* address space */
};
#define FILES_BUDGET_DEFAULT                                                                                           \
	{.bytes = 256ULL << 30, .ratio = 1000, .ratio_floor = 1ULL << 30, .members = 500000, .entries = 20000000, .depth = 1000,                \
	 .header = 1 << 20, .xattr = 256 << 10, .chunks = 65536, .cpu_s = 3600, .memory = 2ULL << 30}

struct files_request {
	uint32_t magic, job, flags; /* enum files_job, files_flags */
	int32_t pid;                /* FILES_RUNNING: of the process, as the engine sees it */
	struct files_budget budget;
	char path[PATH_MAX];        /* as the client said it */
	char user[256];             /* FILES_AS_USER: "name", "uid", "name:group" */
	char fail_step[32];         /* fault injection: the named step of sandbox/view.c fails; "": none */
};

/* What docker tells about a path (X-Docker-Container-Path-Stat). */
struct files_status {
	uint64_t size;
	uint32_t mode; /* Go's FileMode */
	uint32_t mtime_ns;
	int64_t mtime_s;
	char name[256];           /* last part of the path */
	char target[PATH_MAX];    /* of a symbolic link: where it leads to, all links resolved; "" else */
};

enum files_kind { FILES_STATUS = 1, FILES_OPAQUE, FILES_DONE, FILES_FAILED, FILES_ANSWER };
struct files_msg {
	uint32_t kind; /* enum files_kind */
	uint32_t yes;  /* ANSWER */
	uint64_t bytes, entries; /* DONE */
	union {
		struct files_status status; /* STATUS */
		struct err err;             /* FAILED */
	};
};
