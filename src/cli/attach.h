/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls before an attached session: attach and wait, each on a connection of its own, sent together so that the engine
 * works on both at once.
 */
#pragma once

#include "cli/session.h"

struct streams;

struct attach_plan {
	const char *id;          /* borrowed */
	const char *detach_keys; /* borrowed; NULL: default */
	bool in, out, err;       /* streams */
	const char *condition;   /* of the wait; NULL: not-running */
};

/** attach_begin() - send both, read both heads; fills s->stream and s->wait. From here on no output and no exit can be missed. */
int attach_begin(struct session *s, const struct attach_plan *p, struct err *err);
/** attach_finish() - run the session and turn its end into an exit code. Return: exit code; prints errors. */
int attach_finish(struct session *s);
/** attach_detach_keys() - parse @keys (NULL: default) into s->detach. */
int attach_detach_keys(struct session *s, const char *keys, struct err *err);
