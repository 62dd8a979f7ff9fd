/* SPDX-License-Identifier: Apache-2.0 */
#include "files/links.h"

#include <errno.h>
#include <string.h>

void links_done(struct links *l)
{
	for (size_t i = 0; i < l->cap; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct links) {0};
}

static struct links_slot *slot(const struct links *l, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t) ino ^ (uint64_t) dev << 40) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t) (h >> 32) & (l->cap - 1);
	while (l->v[i].path && (l->v[i].dev != dev || l->v[i].ino != ino))
		i = (i + 1) & (l->cap - 1);
	return &l->v[i];
}

static int grow(struct links *l)
{
	struct links bigger = {.n = l->n, .cap = l->cap ? 2 * l->cap : 256};
	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < l->cap; i++)
		if (l->v[i].path)
			*slot(&bigger, l->v[i].dev, l->v[i].ino) = l->v[i];
	free(l->v);
	*l = bigger;
	return 0;
}

int links_first(struct links *l, const struct stat *st, const char *path, const char **ret)
{
	*ret = NULL;
	if (2 * l->n >= l->cap && l->n < LINKS_MAX && grow(l) < 0)
		return -ENOMEM;
	struct links_slot *s = slot(l, st->st_dev, st->st_ino);
	if (s->path) {
		*ret = s->path;
		return 0;
	}
	if (l->n >= LINKS_MAX)
		return 0;
	*s = (struct links_slot) {st->st_dev, st->st_ino, strdup(path)};
	if (!s->path)
		return -ENOMEM;
	l->n++;
	return 0;
}
