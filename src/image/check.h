/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the store what its rows say, and are its blobs and trees what their digests say? A tree is proved by unpacking its blob once more, beside it, and
 * comparing the two (ADR 0022): so a flaw is found in what lies on disk, and what repairs it is at hand.
 */
#pragma once

#include <stdatomic.h>

#include "image/image.h"

enum image_flaw_kind {
	FLAW_BLOB_MISSING,
	FLAW_BLOB_CHANGED,
	FLAW_LAYER_MISSING,
	FLAW_LAYER_CHANGED,
	FLAW_ROW_WRONG, /* what coffer.db says of an image is not what its config and manifest say */
	FLAW_ROW_STRAY, /* a row about an image that there is not */
	FLAW_STRAY,     /* a file or directory that no row names */
	FLAW_MAX_,
};
/** image_flaw_name() - "blob-missing", ... */
const char *image_flaw_name(enum image_flaw_kind kind);

enum image_outcome {
	OUTCOME_FOUND,      /* nothing was tried */
	OUTCOME_REPAIRED,
	OUTCOME_NEEDS_PULL, /* what was bad is out of the way: the next pull or load of the image brings it back */
	OUTCOME_IN_USE,     /* a container runs from it: not touched */
	OUTCOME_BUSY,       /* pulls or loads were under way for too long */
	OUTCOME_MAX_,
};
/** image_outcome_name() - "found", "repaired", "needs-pull", ... */
const char *image_outcome_name(enum image_outcome o);

struct image_flaw {
	enum image_flaw_kind kind;
	enum image_outcome outcome;
	char *object;     /* owned; digest of the blob, chain id of the layer, path in the state directory, reference */
	char **details;   /* owned; printable; the first ones of n_details */
	uint64_t n_details;
	char **image_ids; /* owned; full ids of the images that it hits */
	char **images;    /* owned; their names, or short ids */
	char **containers; /* owned; those that run from it, as check->hold() names them */
};

struct image_check {
	bool repair;
	const struct image_progress *progress; /* may be NULL */
	const atomic_bool *cancel;             /* borrowed; NULL: never */
	/** hold() - see to it that no container of @image_ids starts until release(). *@ret_names: owned strv of those that run now. Return: 1 held; 0 some run,
	 *  nothing is held; ERR_*. */
	int (*hold)(void *ctx, char *const *image_ids, char ***ret_names, struct err *err);
	void (*release)(void *ctx);
	/** flaw() - one flaw, after what was to be done about it. */
	void (*flaw)(void *ctx, const struct image_flaw *f);
	void *ctx;
	/* results */
	uint64_t images, blobs, layers; /* looked at */
	uint64_t bytes;                 /* of blobs */
	uint64_t unproved;              /* layers whose tree could not be proved, for lack of a good blob */
	bool busy;                      /* strays were not looked for: pulls or loads were under way for too long */
};

#define IMAGE_CHECK_FSCK "lost+found" /* where a part of the state is a file system of its own: fsck's, not a stray */

/** image_check() - all tenants' images. Return: 0, whatever was found; -ECANCELED; ERR_*. */
int image_check(struct image_store *s, struct image_check *c, struct err *err);
