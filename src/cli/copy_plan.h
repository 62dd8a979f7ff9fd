/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker's rules of `cp` as text, without a file system: which side an argument names, and under which name and where a source ends up
 * (moby pkg/archive/copy.go, docker/cli cp.go).
 */
#pragma once

#include <limits.h>

#include "base/err.h"

/* "CONTAINER:PATH" or a path of ours. */
struct copy_side {
	char container[300]; /* "": here */
	const char *path;    /* borrowed from the argument */
};
/** copy_side_parse() - an absolute path, one that starts with '.', and one without ':' are ours. */
int copy_side_parse(const char *arg, struct copy_side *ret, struct err *err);

struct copy_info {
	char path[PATH_MAX]; /* with a final "/" or "/." where it was said */
	bool exists, is_dir;
};
struct copy_plan {
	char dir[PATH_MAX];  /* where the archive is extracted */
	char from[NAME_MAX + 1]; /* the first name in the archive: the source's last part, "." for DIR/., "/" for the root */
	char to[NAME_MAX + 1];   /* what that becomes; "" : it stays */
};
/** copy_split() - the directory and the last part of @path: "/a/b/" is "/a" and "b", "/a/." is "/a" and ".". @dir: PATH_MAX, @base: NAME_MAX + 1 bytes. */
int copy_split(const char *path, char *dir, char *base);
/** copy_plan() - docker's table of source and destination. ERR_INVALID in docker's words. */
int copy_plan(const struct copy_info *src, const struct copy_info *dst, struct copy_plan *ret, struct err *err);
/** copy_clean() - lexically clean, a final "/" or "/." kept. @out: PATH_MAX bytes. Return: 0; -ENAMETOOLONG. */
int copy_clean(const char *path, char *out);
/** copy_rename() - the name that member @clean of an archive gets by @p. @buf: PATH_MAX bytes. Return: it; NULL for a member that the archive should not have. */
const char *copy_rename(const struct copy_plan *p, const char *clean, char *buf);
