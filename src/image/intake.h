/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that come piece by piece, from a registry: documents first, then the layers' blobs, from several threads and in any order, while the first
 * layers are unpacked already. Nothing is visible before image_intake_commit(). What came of a blob stays for the next attempt.
 *
 *	main thread                                     workers
 *	image_intake_begin()
 *	image_intake_document() for manifest, config
 *	image_intake_expect() for each layer
 *	                                                image_blob_next(), image_blob_write() ..., image_blob_end()
 *	image_intake_image(): unpacks each layer        (and so on, until image_blob_next() says that there is none)
 *	  while its blob still comes
 *	image_intake_commit()
 */
#pragma once

#include <stdatomic.h>

#include "image/image.h"

struct image_intake;
struct image_blob; /* borrowed from its intake */

/** image_intake_begin() - @p: called from every thread. @cancel: borrowed; true ends all waiting with -ECANCELED. */
int image_intake_begin(struct image_store *s, const char *tenant, const struct image_progress *p, const atomic_bool *cancel, struct image_intake **ret,
		       struct err *err);
/** image_intake_free() - no worker may be in a call any more. What was not committed is gone, but for partial blobs. */
struct image_intake *image_intake_free(struct image_intake *in);
/** image_intake_document() - a manifest or config whose digest the caller has checked. */
int image_intake_document(struct image_intake *in, const char *text, size_t len, struct err *err);
/** image_intake_expect() - blob @digest of @size bytes belongs to the image. Return: 1 it is to be fetched; 0 it is there (or expected already); ERR_*. */
int image_intake_expect(struct image_intake *in, const char *digest, uint64_t size, struct err *err);
/** image_intake_has_layer() - is the layer unpacked here, for this tenant? Return: 1, 0, ERR_*. */
int image_intake_has_layer(struct image_intake *in, const char *chain, struct err *err);

/** image_blob_next() - take the next expected blob that nobody fetches yet; waits while another process fetches the same. Return: 1 with *@ret to be fetched from
 *  image_blob_offset() on; 0 there is none left; ERR_*. */
int image_blob_next(struct image_intake *in, struct image_blob **ret, struct err *err);
const char *image_blob_digest(const struct image_blob *b);
uint64_t image_blob_size(const struct image_blob *b);
uint64_t image_blob_offset(const struct image_blob *b);
int image_blob_write(struct image_blob *b, const void *p, size_t n, struct err *err);
/** image_blob_end() - @why: NULL when all bytes came; their digest is checked then. Else why they did not: whoever waits for the blob gets that error. */
int image_blob_end(struct image_blob *b, const struct err *why, struct err *err);

/** image_intake_image() - unpack what is not there yet and have the image ready: config @config with layers whose blobs are @blobs (base first), named @names
 *  (full references). */
int image_intake_image(struct image_intake *in, const char *config, const char *manifest, char *const *blobs, char *const *names, struct err *err);
/** image_intake_commit() - one sync, everything into place, rows. *@ret_refs as of image_load(). */
int image_intake_commit(struct image_intake *in, char ***ret_refs, struct err *err);
