/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the apimodel room. */
#pragma once

#include "apimodel/container.h"
#include "apimodel/field.h"

int kv_list_append(struct kv_list *l, const char *key, const char *value); /* no look-up: keys are known to be unique */

extern const struct field config_fields[], host_fields[];

/** items_read() / items_write() - an array of objects of @size bytes, read by @table, each judged by @check; *@items is calloc'ed. */
int items_read(struct reader *rd, const struct field *f, const struct json *v, const struct field *table, size_t size, size_t max,
	       int (*check)(struct reader *rd, void *item), void **items, size_t *n);
void items_write(struct json_writer *w, const struct field *f, const struct field *table, const void *items, size_t size, size_t n);
bool path_has_dotdot(const char *path);

int blkio_read(struct reader *rd, const struct field *f, const struct json *v, void *obj);
void blkio_write(struct json_writer *w, const struct field *f, const void *obj);

int binds_read(struct reader *rd, const struct field *f, const struct json *v, void *obj);
void binds_write(struct json_writer *w, const struct field *f, const void *obj);
int mounts_read(struct reader *rd, const struct field *f, const struct json *v, void *obj);
void mounts_write(struct json_writer *w, const struct field *f, const void *obj);
int tmpfs_read(struct reader *rd, const struct field *f, const struct json *v, void *obj);
void tmpfs_write(struct json_writer *w, const struct field *f, const void *obj);
void mount_request_done(struct mount_request *m);
/** mount_request_add() - append a copy of *@m, which is emptied. Return: 0; ERR_INVALID (too many, target taken twice). */
int mount_request_add(struct reader *rd, const char *name, struct container_request *r, struct mount_request *m);

/** container_request_check() - what no single field can tell: conflicts, sums, character sets. Return: 0; ERR_INVALID. */
int container_request_check(const struct container_request *r, struct err *err);
