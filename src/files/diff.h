/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container's own layer (an overlay's upper directory) changes in what lies below it, told in one order: a directory before what is in
 * it, names as bytes. Deleted is what a whiteout hides, and what an opaque directory hides without having it again; modified is what both
 * have and differs in owner, mode, type, size or time, and a directory in which something changed; the rest of the upper layer is added.
 * That is docker's reading (pkg/archive ChangesDirs): a file that was copied up and never written is no change.
 */
#pragma once

#include <sys/stat.h>

#include "base/err.h"

enum diff_kind { DIFF_MODIFIED, DIFF_ADDED, DIFF_DELETED, DIFF_OPAQUE, DIFF_KIND_MAX_ }; /* the first three: docker's numbers */

struct diff_item {
	enum diff_kind kind; /* DIFF_OPAQUE: follows the directory itself; what lies below is not to be seen; only with @mark_opaque */
	const char *path;    /* below the root, without a '/' before it */
	int dirfd;           /* of the upper layer; borrowed; the directory with @name; -EBADF for DIFF_DELETED */
	const char *name;
	const struct stat *st; /* NULL for DIFF_DELETED */
	int fd;              /* a directory's own descriptor, else -EBADF */
};
struct diff {
	int upper, lower; /* borrowed; roots; @lower -EBADF: nothing lies below */
	uint32_t depth_max;
	bool mark_opaque; /* an opaque directory is told as such and all of it as added, instead of one by one */
	int (*is_opaque)(void *ctx, int fd, struct err *err); /* Return: 1, 0, <0 */
	int (*item)(void *ctx, const struct diff_item *i, struct err *err);
	void *ctx;
};
int diff_walk(const struct diff *d, struct err *err);
