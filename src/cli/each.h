/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call for each name given, several at once (stop waits for seconds), answers told in the order of the names.
 */
#pragma once

#include "cli/call.h"

struct each_call {
	const char *method, *before, *after; /* target: before NAME after, and the query */
	const char *query;                   /* "t=10&force=1"; already escaped; NULL: none */
	/** done() - print what a success prints. Return: 0, or an exit code. NULL: print the name. */
	int (*done)(const char *name, const struct reply *reply);
	bool missing_ok;                     /* a name that is not there is told, and no failure (rm -f) */
};

/** each_name() - Return: 0, or 1 when any failed (each failure is printed). */
int each_name(struct cli *cli, const struct each_call *e, const struct args *names);
