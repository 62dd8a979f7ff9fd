/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the engine: writing events (events.c) and carrying them to other engines on the same state (mailbox.c).
 */
#pragma once

#include "engine/engine.h"

#define EVENTS_KEPT 1024 /* docker promises 256 */

struct container;
struct events;
struct mailbox;

struct events *events_new(void);
/** events_free() - when nobody reads any more. Takes NULL. Return: NULL. */
struct events *events_free(struct events *v);
/** events_store() - into the ring, and wake the readers. @text: one JSON object. Return: 0, -EINVAL. */
int events_store(struct events *v, const char *tenant, const char *text);

/** event_container() - @action on @c: its labels, image and name, then pairs of strings up to NULL. Never fails: what is done is done. */
void event_container(struct engine *e, const struct container *c, const char *action, ...);
/** event_container_here() - the same for the readers of this engine alone: what its monitor tells every engine by itself. */
void event_container_here(struct engine *e, const struct container *c, const char *action, ...);
/** event_object() - the same for an image, a volume or a network: pairs of strings up to NULL. */
void event_object(struct engine *e, const char *tenant, const char *type, const char *action, const char *id, ...);

/** mailbox_open() - take other engines' events from now on. Idempotent. */
int mailbox_open(struct engine *e, struct err *err);
void mailbox_close(struct engine *e);
/** mailbox_post() - to every other engine that has a mailbox. Never waits. */
void mailbox_post(struct engine *e, const char *tenant, const char *text);
