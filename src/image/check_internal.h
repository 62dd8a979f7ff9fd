/* SPDX-License-Identifier: Apache-2.0 */
/* Between finding (check.c), row questions (check_rows.c) and mending (check_mend.c). */
#pragma once

#include "image/check.h"
#include "image/internal.h"

struct checked_blob {
	char digest[DIGEST_TEXT_MAX];
	bool spare; /* nothing but a name leads there (the index that an image was pulled by): it may be absent */
	bool good;
};
struct checked_layer {
	char chain[DIGEST_TEXT_MAX];
	uint64_t size; /* unpacked; 0: not known */
};
/* One row of image_layer. */
struct layer_row {
	char diff_id[DIGEST_TEXT_MAX], chain[DIGEST_TEXT_MAX], blob[DIGEST_TEXT_MAX];
	int64_t pos;
	uint64_t size;
};
/* One row of image, and its layers. */
struct image_row {
	char *tenant, *id, *manifest; /* owned; manifest: NULL: none */
	struct layer_row *layers;     /* owned, by pos */
	size_t n_layers;
};

struct check {
	struct image_check *c; /* borrowed */
	struct load l;         /* its work holds what is unpacked; its pending layers are those that differ from the store's */
	struct image_row *images; /* owned */
	size_t n_images;
	struct checked_blob *blobs; /* owned, sorted */
	size_t n_blobs;
	struct checked_layer *layers; /* owned; those that were looked at */
	size_t n_layers;
	struct image_flaw *flaws; /* owned */
	size_t n_flaws;
};

static inline const char *hex_of(const char *digest)
{
	return digest + strlen("sha256:");
}

/** check_flaw() - a new flaw, of which nothing is known yet but @kind and @object. NULL: out of memory, with @err filled. */
struct image_flaw *check_flaw(struct check *k, enum image_flaw_kind kind, const char *object, struct err *err);
/** check_detail() - one more thing to be told of @f; beyond some they are only counted. */
void check_detail(struct image_flaw *f, const char *fmt, ...) _printf_(2, 3);
/** check_hits() - @f hits image @i. */
int check_hits(struct image_flaw *f, const struct image_row *i, struct err *err);
struct checked_blob *check_blob(const struct check *k, const char *digest);

/* check_rows.c */
/** check_read_rows() - all images and their layers, as of one moment. */
int check_read_rows(struct check *k, struct err *err);
void check_rows_done(struct check *k);
/** check_rows() - what rows say against configs and manifests, and rows that belong to no image. */
int check_rows(struct check *k, struct err *err);
/** check_mend_row() - FLAW_ROW_WRONG and FLAW_ROW_STRAY. */
int check_mend_row(struct check *k, struct image_flaw *f, struct err *err);

/* check_mend.c; with images.lock held exclusively */
/** check_mend() - do what can be done about every flaw. */
int check_mend(struct check *k, struct err *err);
/** check_strays() - what no row names; removed at once when the check repairs. */
int check_strays(struct check *k, struct err *err);
