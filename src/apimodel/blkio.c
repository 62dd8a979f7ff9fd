/* SPDX-License-Identifier: Apache-2.0 */
/* HostConfig's lists of block devices: BlkioWeightDevice, and the four BlkioDevice*: a path on the host and a number. */
#include <errno.h>

#include "apimodel/internal.h"

#define BLKIO_DEVICES_MAX 256
#define WEIGHT_MIN 10
#define WEIGHT_MAX 1000

static const struct field weight_fields[] = {
	{.name = "Path", .kind = FIELD_STR, .offset = offsetof(struct blkio_limit, path)},
	{.name = "Weight", .kind = FIELD_I64, .offset = offsetof(struct blkio_limit, value)},
	{NULL},
};

static const struct field rate_fields[] = {
	{.name = "Path", .kind = FIELD_STR, .offset = offsetof(struct blkio_limit, path)},
	{.name = "Rate", .kind = FIELD_I64, .offset = offsetof(struct blkio_limit, value)},
	{NULL},
};

static int path_check(struct reader *rd, const struct blkio_limit *l)
{
	if (!l->path || l->path[0] != '/' || path_has_dotdot(l->path))
		return reader_fail(rd, "Path", "'%.100s' is not an absolute path without '..'", l->path ? l->path : "");
	return 0;
}

static int weight_check(struct reader *rd, void *item)
{
	const struct blkio_limit *l = item;
	if (l->value < WEIGHT_MIN || l->value > WEIGHT_MAX)
		return reader_fail(rd, "Weight", "%lld: range of blkio weight is from %d to %d", (long long) l->value, WEIGHT_MIN, WEIGHT_MAX);
	return path_check(rd, l);
}

static int rate_check(struct reader *rd, void *item)
{
	return path_check(rd, item);
}

static bool is_weight(const struct field *f)
{
	return f->offset == offsetof(struct container_request, blkio_weight_devices);
}

int blkio_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct blkio_limits *l = (struct blkio_limits *) ((char *) obj + f->offset);
	return items_read(rd, f, v, is_weight(f) ? weight_fields : rate_fields, sizeof(*l->v), BLKIO_DEVICES_MAX, is_weight(f) ? weight_check : rate_check,
			  (void **) &l->v, &l->n);
}

void blkio_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct blkio_limits *l = (const struct blkio_limits *) ((const char *) obj + f->offset);
	items_write(w, f, is_weight(f) ? weight_fields : rate_fields, l->v, sizeof(*l->v), l->n);
}

void blkio_limits_done(struct blkio_limits *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct blkio_limits) {NULL, 0};
}

int blkio_limits_merge(struct blkio_limits *l, const struct blkio_limits *more)
{
	for (size_t i = 0; i < more->n; i++) {
		size_t k = 0;
		while (k < l->n && !str_eq(l->v[k].path, more->v[i].path))
			k++;
		if (k == l->n) {
			struct blkio_limit *v = reallocarray(l->v, l->n + 1, sizeof(*v));
			char *path = strdup(more->v[i].path);
			l->v = v ? v : l->v;
			if (!v || !path) {
				free(path);
				return -ENOMEM;
			}
			l->v[l->n++].path = path;
		}
		l->v[k].value = more->v[i].value;
	}
	return 0;
}
