/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are two trees of layers the same? One was unpacked a moment ago from a blob whose digest is right, the other is what the store has. Both were made by
 * an image, so nothing that they hold is trusted: directories are opened from the held roots without following any link or crossing a mount, files
 * only when they are regular ones, and what is told of a name is made printable.
 */
#pragma once

#include <stdatomic.h>
#include <time.h>

#include "base/err.h"

struct compare {
	int fresh, stored;    /* borrowed; the trees' roots */
	struct timespec born; /* when @fresh was begun, by the file system's clock: a directory with a later time has none in the archive */
	/** what is wrong at @path ("" is the root), both printable */
	void (*differs)(void *ctx, const char *path, const char *how);
	void (*progress)(void *ctx, uint64_t bytes); /* compared so far */
	void *ctx;
	const atomic_bool *cancel; /* borrowed; NULL: never */
};

/** tree_compare() - kind, mode, owner, size, content, time, links, device numbers, extended attributes and names of everything in both. Return: how many
 *  objects differ; -ECANCELED; ERR_SYSTEM when the fresh one cannot be read. */
int64_t tree_compare(const struct compare *c, struct err *err);
