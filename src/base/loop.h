/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny event loop over epoll, level-triggered. A source is embedded in the object that owns the descriptor, so that
 * watching costs no memory of its own. A callback may remove any source, its own included: events of the same batch
 * that belong to a removed source are dropped. Time is the caller's: a step takes a timeout.
 */
#pragma once

#include <sys/epoll.h>

#include "base/macro.h"

struct loop_source {
	int fd;          /* borrowed; -EBADF: nothing to watch */
	uint32_t events; /* what is watched now; 0: not in the set. Written by loop_watch() only */
	void (*fn)(struct loop_source *s, uint32_t events);
};

struct loop {
	int epfd;                  /* owned; -EBADF once done */
	struct epoll_event *batch; /* events that are being dispatched; NULL outside of loop_step() */
	int n_batch;
};

/** loop_source_owner() - the struct of @type that embeds source @ptr as @member. */
#define loop_source_owner(ptr, type, member) ((type *) (void *) ((char *) (ptr) -offsetof(type, member)))

/** loop_init() - Return: 0 or -errno. */
int loop_init(struct loop *l);
void loop_done(struct loop *l);
/** loop_watch() - watch @s for @events (EPOLL*), replacing what was watched; 0 takes it out, which must happen before its descriptor is
 *  closed. Hang-ups and errors are always reported while @events is not 0. Return: 0 or -errno. */
int loop_watch(struct loop *l, struct loop_source *s, uint32_t events);
/** loop_step() - wait up to @timeout_ms (-1: for ever) and dispatch one batch. Return: events dispatched, or -errno (never -EINTR). */
int loop_step(struct loop *l, int timeout_ms);
