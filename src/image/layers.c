/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of one image, several at once: as many unpackers as there are processors, each on the lowest layer that nobody has yet. A layer's
 * unpacker asks about the layers below it only where its archive is short of something (a parent directory, a whiteout's or a hard link's target): then it
 * waits until those are complete. They were begun before it, so somebody always gets on. The first that fails stops the others.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "image/internal.h"

enum { CREW_MAX = 3 };

struct crew {
	struct load *l;
	struct load_layer *layers; /* borrowed; all of the image */
	size_t n, next;            /* next: under the load's lock */
	struct err first;          /* the failure that stopped the rest; under the load's lock */
};

/* Return: the next layer that is to be made, or NULL. */
static struct load_layer *take_layer(struct crew *c)
{
	struct load_layer *found = NULL;
	(void) pthread_mutex_lock(&c->l->lock);
	while (c->next < c->n && !c->layers[c->next].wanted)
		c->next++;
	if (c->next < c->n && !atomic_load(&c->l->stop))
		found = &c->layers[c->next++];
	(void) pthread_mutex_unlock(&c->l->lock);
	return found;
}

static void stop(struct crew *c, const struct err *err)
{
	(void) pthread_mutex_lock(&c->l->lock);
	if (c->first.kind == ERR_NONE || (c->first.sys == -ECANCELED && err->sys != -ECANCELED)) /* the cause, not what it led to */
		c->first = *err;
	atomic_store(&c->l->stop, true);
	(void) pthread_cond_broadcast(&c->l->moved);
	(void) pthread_mutex_unlock(&c->l->lock);
}

static void *work(void *arg)
{
	struct crew *c = arg;
	struct load_layer *layer;
	struct err err;
	while ((layer = take_layer(c)))
		if (layer_new(c->l, layer, c->layers, (size_t) (layer - c->layers), &err) < 0)
			stop(c, &err);
	return NULL;
}

int layers_make(struct load *l, struct load_layer *layers, size_t n, struct err *err)
{
	struct crew c = {.l = l, .layers = layers, .n = n};
	pthread_t threads[CREW_MAX - 1];
	size_t wanted = 0, started = 0;
	for (size_t i = 0; i < n; i++) {
		int r = layer_find(l, &layers[i], layers, i, err);
		if (r < 0)
			return r;
		layers[i].wanted = r == 0;
		wanted += layers[i].wanted;
	}
	size_t crew = MIN(MIN(wanted, (size_t) CREW_MAX), (size_t) MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L));
	while (started + 1 < crew && pthread_create(&threads[started], NULL, work, &c) == 0) /* fewer do as well */
		started++;
	(void) work(&c); /* this thread is one of them */
	while (started > 0)
		(void) pthread_join(threads[--started], NULL); /* fails only for a thread that is none */
	if (c.first.kind == ERR_NONE)
		return 0;
	*err = c.first;
	return err->sys;
}
