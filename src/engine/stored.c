/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of a few places, chosen by a hash of the id: a newcomer to a full set takes the place of the one that came first. */
#include "engine/stored.h"

#include <pthread.h>

#include "base/id.h"
#include "engine/internal.h"

enum { SETS = 1024, WAYS = 8 }; /* 8,192 requests of some kilobytes each, at most */

struct stored_request {
	unsigned refs; /* atomic */
	char id[ID_LEN + 1];
	char *text;			 /* owned */
	struct container_request *value; /* owned */
};

struct set {
	struct stored_request *places[WAYS]; /* a reference each, or NULL */
	unsigned next;			     /* the place that is taken next */
};

struct stored_cache {
	pthread_mutex_t lock; /* nothing blocks under it */
	struct set sets[SETS];
};

struct stored_cache *stored_cache_new(void)
{
	struct stored_cache *s = calloc(1, sizeof(*s));
	if (s)
		(void) pthread_mutex_init(&s->lock, NULL); /* cannot fail without attributes */
	return s;
}

struct stored_request *stored_unref(struct stored_request *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	container_request_free(r->value);
	free(r->text);
	free(r);
	return NULL;
}

struct stored_cache *stored_cache_free(struct stored_cache *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			stored_unref(s->sets[i].places[k]);
	(void) pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

const struct container_request *stored_value(const struct stored_request *r)
{
	return r->value;
}

/* Ids are random hexadecimal digits. */
static struct set *set_of(struct stored_cache *s, const char *id)
{
	size_t h = 0;
	for (size_t i = 0; i < 8 && id[i]; i++)
		h = h * 31 + (unsigned char) id[i];
	return &s->sets[h % SETS];
}

/* NULL: none of @id's. */
static struct stored_request **place_of(struct set *set, const char *id)
{
	for (size_t k = 0; k < WAYS; k++)
		if (set->places[k] && str_eq(set->places[k]->id, id))
			return &set->places[k];
	return NULL;
}

static struct stored_request *look_up(struct stored_cache *s, const char *id, const char *text)
{
	(void) pthread_mutex_lock(&s->lock);
	struct stored_request **at = place_of(set_of(s, id), id), *r = at && str_eq((*at)->text, text) ? *at : NULL;
	if (r)
		(void) __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	(void) pthread_mutex_unlock(&s->lock);
	return r;
}

/* @r may be NULL. */
static void put(struct stored_cache *s, const char *id, struct stored_request *r)
{
	struct stored_request *old = NULL;
	(void) pthread_mutex_lock(&s->lock);
	struct set *set = set_of(s, id);
	struct stored_request **at = place_of(set, id);
	if (!at && r)
		at = &set->places[set->next++ % WAYS];
	if (at) {
		old = *at;
		*at = r;
	}
	if (r)
		(void) __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	(void) pthread_mutex_unlock(&s->lock);
	stored_unref(old);
}

static int parse(const char *id, const char *text, struct stored_request **ret, struct err *err)
{
	_cleanup_json_ struct json *root = NULL;
	_cleanup_strv_ char **unknown = NULL;
	struct stored_request *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	r->refs = 1;
	(void) str_copy(r->id, sizeof(r->id), id); /* ids of rows fit */
	r->text = strdup(text);
	int rc = r->text ? json_parse(text, strlen(text), REQUEST_MAX, "stored request", &root, err) : err_oom(err);
	rc = rc < 0 ? rc : container_request_parse(root, &r->value, &unknown, err);
	if (rc < 0) {
		stored_unref(r);
		return rc;
	}
	*ret = r;
	return 0;
}

int stored_get(struct stored_cache *s, const char *id, const char *text, struct stored_request **ret, struct err *err)
{
	*ret = look_up(s, id, text);
	if (*ret)
		return 0;
	int rc = parse(id, text, ret, err);
	if (rc >= 0)
		put(s, id, *ret);
	return rc;
}

void stored_drop(struct stored_cache *s, const char *id)
{
	put(s, id, NULL);
}
