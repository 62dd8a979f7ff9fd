/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests as they are stored, parsed once: the row's text is compared with the text that was parsed last time, so nothing here can be out
 * of date, whoever wrote the row. Parsed requests are shared and never changed.
 */
#pragma once

#include "apimodel/container.h"
#include "base/err.h"

struct stored_cache;   /* thread-safe */
struct stored_request; /* counted */

/** stored_cache_new() - an empty one, or NULL out of memory. stored_cache_free() takes NULL; requests that are still held live on. */
struct stored_cache *stored_cache_new(void);
struct stored_cache *stored_cache_free(struct stored_cache *s);

/** stored_get() - the request that @text of container @id is. *@ret: a reference. Return: 0; ERR_CORRUPT, ERR_INVALID as container_request_parse(). */
int stored_get(struct stored_cache *s, const char *id, const char *text, struct stored_request **ret, struct err *err);
/** stored_drop() - forget @id's, it will not be asked for again. */
void stored_drop(struct stored_cache *s, const char *id);
const struct container_request *stored_value(const struct stored_request *r);
/** stored_unref() - takes NULL. Return: NULL. */
struct stored_request *stored_unref(struct stored_request *r);
