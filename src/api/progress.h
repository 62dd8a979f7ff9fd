/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that tell how far a long call is: JSON objects, a chunk each, in docker's words. The head goes out with the first of them, so an error
 * before that is a real HTTP status (api.md section 1).
 */
#pragma once

#include "api/internal.h"
#include "base/clock.h"

struct progress {
	struct call *call;
	bool quiet;
	usec_t last;
	char id[96], status[80];
};
/** progress_report() - as struct image_progress wants it. The same status of the same thing is told ten times a second at most. */
void progress_report(void *ctx, const char *id, const char *status, uint64_t current, uint64_t total);
/** progress_line() - one object {key: text}. */
int progress_line(struct call *c, const char *key, const char *text);
/** progress_send() - the object in c->out as a chunk. */
int progress_send(struct call *c);
/** progress_finish() - how every such call ends: @r and @err are its outcome; @lines: one object of key @key each. Return: what the handler returns. */
int progress_finish(struct call *c, int r, const char *key, char *const *lines, struct err *err);

/* Somebody who waits for a client to leave, beside a call that does not read. */
struct leave;
/** leave_watch() - *@flag becomes true when the peer has closed. NULL when no thread can be started: then nobody watches. */
struct leave *leave_watch(struct call *c, atomic_bool *flag);
/** leave_end() - Return: NULL. */
struct leave *leave_end(struct leave *l);

/** image_pull() - POST /images/create?fromImage=. */
int image_pull(struct call *c, struct err *err);
