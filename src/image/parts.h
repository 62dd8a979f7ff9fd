/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the blobs it is made of, for what sends it out: save and push. */
#pragma once

#include <stdatomic.h>

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
	bool made;                    /* the manifest is of our making: nobody knows the image by its digest yet */
	struct image_part *blobs; /* owned; the config, then the layers, base first */
	size_t n;
};

/** image_parts_read() - of the image with full id @id: the manifest it came with where all that it names is kept, else one made of what is. The
 *  caller holds the store with image_hold(). ERR_NOT_FOUND, ERR_CORRUPT when the manifest was changed on disk. */
int image_parts_read(struct image_store *s, const char *tenant, const char *id, struct image_parts *ret, struct err *err);
void image_parts_done(struct image_parts *p);
/** image_blob_open() - a blob of the store for reading. Return: fd, ERR_*. */
int image_blob_open(struct image_store *s, const char *digest, uint64_t *ret_size, struct err *err);

/** image_part_is_plain() - is it a layer that is not compressed? */
bool image_part_is_plain(const struct image_part *p);

/* What a plain layer comes to when it is compressed. */
struct image_packed {
	char digest[DIGEST_TEXT_MAX];
	uint64_t size;
};
/** image_packed_find() - what blob @digest came to the last time. Return: 1, 0 not known, ERR_*. */
int image_packed_find(struct image_store *s, const char *tenant, const char *digest, struct image_packed *ret, struct err *err);
/** image_pack() - compress blob @digest, and remember what came of it. @cancel: true ends it with -ECANCELED; NULL: never. Return: fd of a file that nobody else
 *  has; ERR_CORRUPT when the blob was changed on disk. */
int image_pack(struct image_store *s, const char *tenant, const char *digest, const atomic_bool *cancel, struct image_packed *ret, struct err *err);
/** image_parts_replace() - part @i is compressed now. */
int image_parts_replace(struct image_parts *p, size_t i, const struct image_packed *k, struct err *err);
/** image_parts_remake() - a manifest of our making, of the parts as they are now. */
int image_parts_remake(struct image_parts *p, struct err *err);
/** image_blob_names() - "registry.example/a/b" of every repository that an image with layer blob @digest has a name in, those that it was in for certain first. *@ret: owned. */
int image_blob_names(struct image_store *s, const char *tenant, const char *digest, char ***ret, struct err *err);

/** image_hold() - nothing that the store has is collected while the returned descriptor is open. Return: fd, owned by the caller; ERR_SYSTEM. */
int image_hold(struct image_store *s, struct err *err);
