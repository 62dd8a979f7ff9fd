/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void queue_init(struct queue *q, uint32_t cap)
{
	*q = (struct queue){.cap = cap};
}

void queue_done(struct queue *q)
{
	q->head = q->used = 0;
	queue_trim(q);
}

void queue_trim(struct queue *q)
{
	if (!q->p || q->used)
		return;
	(void) munmap(q->p, q->cap);
	q->p = NULL;
	q->head = 0;
}

static void append(struct queue *q, const uint8_t *s, uint32_t n)
{
	uint32_t tail = (uint32_t) (((uint64_t) q->head + q->used) % q->cap);
	uint32_t first = MIN(n, q->cap - tail);
	memcpy(q->p + tail, s, first);
	memcpy(q->p, s + first, n - first);
	q->used += n;
}

int queue_put(struct queue *q, const struct iovec *iov, int n)
{
	size_t total = 0;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (total > q->cap - q->used)
		return -ENOBUFS;
	if (!total)
		return 0;
	if (!q->p) {
		void *p = mmap(NULL, q->cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return -ENOMEM;
		q->p = p;
	}
	for (int i = 0; i < n; i++)
		if (iov[i].iov_len)
			append(q, iov[i].iov_base, (uint32_t) iov[i].iov_len);
	return 0;
}

int queue_peek(const struct queue *q, struct iovec iov[2])
{
	if (!q->used)
		return 0;
	uint32_t first = MIN(q->used, q->cap - q->head);
	iov[0] = (struct iovec){.iov_base = q->p + q->head, .iov_len = first};
	if (first == q->used)
		return 1;
	iov[1] = (struct iovec){.iov_base = q->p, .iov_len = q->used - first};
	return 2;
}

void queue_drop(struct queue *q, size_t n)
{
	assert(n <= q->used);
	q->used -= (uint32_t) n;
	q->head = q->used ? (uint32_t) ((q->head + n) % q->cap) : 0;
}
