/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory tree that a layer grows into: parents by held descriptors, never by following a link the archive made unless it
 * is resolved step by step inside the root. What this layer does not hold is asked of the layers below.
 */
#pragma once

#include "base/str.h"
#include "image/unpack.h"

enum tree_flags {
	TREE_CREATE = 1 << 0,   /* make missing parents, with the owner and mode they have below, else 0755 0:0 */
	TREE_LOWER = 1 << 1,    /* with TREE_CREATE: only those that exist below */
	TREE_NOFOLLOW = 1 << 2, /* a symbolic link among the parents is an error */
};

enum { TREE_CACHE = 8 };
struct tree {
	struct unpack *u; /* borrowed */
	int root;         /* borrowed */
	struct tree_slot {
		char *path, *real; /* owned; as asked and as resolved; NULL: free */
		int fd;            /* owned; O_PATH */
		bool stale;        /* not to be found any more */
	} cache[TREE_CACHE];
	unsigned hand;
};

void tree_init(struct tree *t, struct unpack *u, int root);
void tree_done(struct tree *t);
/** tree_parent() - the directory at clean path @parent ("" = root). *@ret_fd: borrowed, good until the next call of this function. *@ret_real: its
 *  path without links, borrowed as well. Return: 1; 0 when it is missing and may not be made; ERR_*. */
int tree_parent(struct tree *t, const char *parent, unsigned flags, int *ret_fd, const char **ret_real, struct err *err);
/** tree_remove() - remove whatever @name in @dirfd is. */
int tree_remove(struct tree *t, int dirfd, const char *name, struct err *err);
/** tree_mkdir() - directory @name in @dirfd: made, or the one that is there; anything else there goes. One that takes the place of a whiteout is
 *  made opaque. Return: O_RDONLY fd, owned; *@ret_made says whether it is new. */
int tree_mkdir(struct tree *t, int dirfd, const char *name, uint32_t mode, bool *ret_made, struct err *err);
/** tree_opaque() - hide what lies below directory @dirfd (O_RDONLY). */
int tree_opaque(struct tree *t, int dirfd, struct err *err);
/** tree_lower() - ask about @path in the layers below; the answer is in @t->u->msg. *@ret_fd: when a file was found and @want_fd; else may be NULL. */
int tree_lower(struct tree *t, const char *path, int *ret_fd, struct err *err);
/** tree_is_whiteout() - only whiteouts are character devices here. */
bool tree_is_whiteout(int dirfd, const char *name);
