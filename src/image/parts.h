/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the blobs it is made of, for what sends it out: save and push. */
#pragma once

#include "image/image.h"

struct image_part {
	char digest[DIGEST_TEXT_MAX];
	char *media_type; /* owned */
	uint64_t size;
};
struct image_parts {
	char digest[DIGEST_TEXT_MAX]; /* of the manifest */
	char *media_type, *text;      /* owned; the manifest */
	size_t len;
	struct image_part *blobs; /* owned; the config, then the layers, base first */
	size_t n;
};

/** image_parts_read() - of the image with full id @id: the manifest it came with where all that it names is kept, else one made of what is. The
 *  caller holds the store with image_hold(). ERR_NOT_FOUND, ERR_CORRUPT when the manifest was changed on disk. */
int image_parts_read(struct image_store *s, const char *tenant, const char *id, struct image_parts *ret, struct err *err);
void image_parts_done(struct image_parts *p);
/** image_blob_open() - a blob of the store for reading. Return: fd, ERR_*. */
int image_blob_open(struct image_store *s, const char *digest, uint64_t *ret_size, struct err *err);

/** image_hold() - nothing that the store has is collected while the returned descriptor is open. Return: fd, owned by the caller; ERR_SYSTEM. */
int image_hold(struct image_store *s, struct err *err);
