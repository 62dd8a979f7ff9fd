/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a mount's options as a table (runtime-spec config.md "Linux mount options", mount(8)): what a word sets or clears, on the
 * mount, on its whole tree, or on the superblock. A word that is not here belongs to the filesystem.
 */
#pragma once

#include "base/macro.h"

enum mnt_option_kind {
	MNT_OPTION_NONE,        /* "defaults" */
	MNT_OPTION_ATTR,        /* @set and @clear are MOUNT_ATTR_* */
	MNT_OPTION_SUPER,       /* @set and @clear are MS_* of the superblock; a bind mount has none of its own */
	MNT_OPTION_PROPAGATION, /* @set is MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE */
	MNT_OPTION_BIND,
	MNT_OPTION_IDMAP,
	MNT_OPTION_COPYUP,      /* a fresh filesystem starts with what it covers */
	MNT_OPTION_REMOUNT,     /* change what is mounted there */
};

struct mnt_option {
	const char *name;
	enum mnt_option_kind kind;
	bool recursive; /* "rro", "rbind", "rslave", ...: the whole tree */
	uint64_t set, clear;
};

/** mnt_option_find() - the row of @name, NULL when it is none of these words. */
const struct mnt_option *mnt_option_find(const char *name);
/** mnt_option_at() - row @i in alphabetical order, NULL past the last: for `features`. */
const struct mnt_option *mnt_option_at(size_t i);
/** mnt_option_apply() - add @o's bits to @set and @clear; the later word wins. */
void mnt_option_apply(const struct mnt_option *o, uint64_t *set, uint64_t *clear);
