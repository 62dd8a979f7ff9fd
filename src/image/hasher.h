/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A digest computed by a thread of its own, piece by piece, while the caller sends the same piece somewhere:
 *
 *	hasher_start()
 *	for each piece:  hasher_give(), then use the piece; it may change when the next hasher_give() has returned
 *	hasher_end()
 */
#pragma once

#include <pthread.h>

#include "codec/digest.h"

struct hasher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* a piece was given, or is done */
	const void *piece;    /* borrowed; NULL: nothing to do */
	size_t len;
	bool over, threaded; /* threaded: false when no thread could be had: then the caller hashes */
	struct digest digest;
};
void hasher_start(struct hasher *h);
/** hasher_give() - @p stays as it is until the next call has returned. */
void hasher_give(struct hasher *h, const void *p, size_t len);
/** hasher_end() - once for each hasher_start(); the digest of all pieces. */
void hasher_end(struct hasher *h, char hex[DIGEST_SHA256_HEX + 1]);
