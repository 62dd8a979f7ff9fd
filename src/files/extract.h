/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into a directory, with docker's rules for what is there already: a directory stays and gets the archive's owner and mode,
 * anything else makes way. Names are clean before they are used (no "..", codec/tar_path.h), parents are reached from the held directory by a
 * policy of the caller's, and the last part is only ever made anew (O_EXCL, *at): no link that somebody puts there is followed (R1, R18).
 */
#pragma once

#include "base/err.h"
#include "codec/tar.h"

enum extract_flags {
	EXTRACT_NO_OVERWRITE = 1 << 0, /* no directory for a non-directory, nor the other way round */
	EXTRACT_OWNER = 1 << 1,        /* files belong to the ids of the archive, or to @uid and @gid; without it to whoever runs this */
	EXTRACT_FORCE_OWNER = 1 << 2,  /* to @uid and @gid */
	EXTRACT_NO_DEVICES = 1 << 3,   /* device nodes are left out (nobody without privilege can make one); without it they are an error */
	EXTRACT_XATTRS = 1 << 4,
	EXTRACT_HARMLESS = 1 << 5,     /* no set-id bits, no file capabilities: on a host, where they mean the host's ids */
};

struct extract {
	int dir;        /* borrowed; O_PATH will do */
	unsigned flags; /* enum extract_flags */
	uint32_t uid, gid;
	uint32_t depth_max;
	/** the directory at clean @path below @dir; flags as openat2's. Return: fd or -errno. */
	int (*open_dir)(int dir, const char *path, int flags);
	/** another name for a clean path, or NULL to leave the member out; @buf: PATH_MAX bytes. NULL: names stay. */
	const char *(*rename)(void *ctx, const char *path, char *buf);
	/** asked now and then with the bytes so far; < 0 stops. NULL: nobody. */
	int (*progress)(void *ctx, uint64_t bytes);
	void *ctx;
	uint64_t entries, bytes; /* result */
};
/** extract_all() - every member of @t. Return: 0; ERR_CORRUPT, ERR_INVALID, ERR_QUOTA naming the member. What was written stays. */
int extract_all(struct extract *x, struct tar *t, struct err *err);
