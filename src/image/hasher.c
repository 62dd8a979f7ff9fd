/* SPDX-License-Identifier: Apache-2.0 */
#include "image/hasher.h"

#include <signal.h>

static void *hash(void *arg)
{
	struct hasher *h = arg;
	(void) pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->piece && !h->over)
			(void) pthread_cond_wait(&h->moved, &h->lock);
		if (!h->piece)
			break;
		(void) pthread_mutex_unlock(&h->lock);
		digest_update(&h->digest, h->piece, h->len); /* nobody touches them meanwhile */
		(void) pthread_mutex_lock(&h->lock);
		h->piece = NULL;
		(void) pthread_cond_broadcast(&h->moved);
	}
	(void) pthread_mutex_unlock(&h->lock);
	return NULL;
}

void hasher_start(struct hasher *h)
{
	sigset_t all, before;
	*h = (struct hasher) {0};
	digest_init(&h->digest);
	(void) pthread_mutex_init(&h->lock, NULL); /* cannot fail with default attributes */
	(void) pthread_cond_init(&h->moved, NULL); /* as above */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the caller's */
	h->threaded = pthread_create(&h->thread, NULL, hash, h) == 0;
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void hasher_give(struct hasher *h, const void *p, size_t len)
{
	if (!h->threaded) {
		digest_update(&h->digest, p, len);
		return;
	}
	(void) pthread_mutex_lock(&h->lock);
	while (h->piece)
		(void) pthread_cond_wait(&h->moved, &h->lock);
	if (len > 0)
		h->piece = p;
	h->len = len;
	(void) pthread_cond_broadcast(&h->moved);
	(void) pthread_mutex_unlock(&h->lock);
}

void hasher_end(struct hasher *h, char hex[DIGEST_SHA256_HEX + 1])
{
	(void) pthread_mutex_lock(&h->lock);
	h->over = true;
	(void) pthread_cond_broadcast(&h->moved);
	(void) pthread_mutex_unlock(&h->lock);
	if (h->threaded)
		(void) pthread_join(h->thread, NULL); /* fails only for a thread that is none */
	(void) pthread_cond_destroy(&h->moved);
	(void) pthread_mutex_destroy(&h->lock);
	digest_final_hex(&h->digest, hex);
}
