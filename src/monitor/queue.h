/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte ring with a ceiling, for a reader that is slower than its writer. It lives in pages of its own that exist only from the first byte
 * that had to wait until queue_trim(), so that an idle monitor pays nothing.
 */
#pragma once

#include <sys/uio.h>

#include "base/macro.h"

struct queue {
	uint8_t *p;     /* owned; NULL until needed */
	uint32_t cap;   /* bytes it may hold, a multiple of the page size */
	uint32_t head;  /* offset of the oldest byte */
	uint32_t used;  /* bytes waiting */
};

void queue_init(struct queue *q, uint32_t cap);
void queue_done(struct queue *q);
/** queue_put() - append all of @iov, or nothing. Return: 0; -ENOBUFS over the ceiling; -ENOMEM. */
int queue_put(struct queue *q, const struct iovec *iov, int n);
/** queue_peek() - the waiting bytes in order, without taking them. Return: entries used in @iov, 0..2. */
int queue_peek(const struct queue *q, struct iovec iov[2]);
/** queue_drop() - take @n bytes that queue_peek() showed. */
void queue_drop(struct queue *q, size_t n);
/** queue_trim() - give the pages back when nothing waits. */
void queue_trim(struct queue *q);
