/* SPDX-License-Identifier: Apache-2.0 */
/* Which inode with several names was already written under which path. */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

struct links {
	struct links_slot {
		dev_t dev;
		ino_t ino;
		char *path; /* owned; NULL: free */
	} *v;           /* owned */
	size_t n, cap;
};
#define LINKS_MAX 1000000 /* beyond so many a file with several names is written as often */
void links_done(struct links *l);
/** links_first() - *@ret: the path under which the object of @st was written before, borrowed; NULL: now it is, as @path. Return: 0; -ENOMEM. */
int links_first(struct links *l, const struct stat *st, const char *path, const char **ret);
