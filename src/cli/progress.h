/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's progress stream (one JSON object a line) as lines for people: on a terminal one live line a layer, redrawn in place;
 * elsewhere each change once.
 */
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

struct progress {
	FILE *out;         /* borrowed; NULL: nothing is shown */
	bool live;         /* it is a terminal */
	bool transient;    /* the cursor stands behind a line that the next output overwrites */
	unsigned rows, cols;
	char **ids;        /* owned strv; the layers that have a line, in order */
	struct strbuf line; /* owned; a line still incomplete */
	char *aux;          /* owned; JSON of the last "aux", NULL: there was none */
};
void progress_init(struct progress *p, FILE *out);
void progress_done(struct progress *p);
/** progress_feed() - bytes of the stream. Return: 0; ERR_* with the engine's message when the stream reports an error. */
int progress_feed(struct progress *p, const char *text, size_t len, struct err *err);
/** progress_bar() - "[====>      ]  1.2MB/3.4MB" for @width columns into @out. */
void progress_bar(struct strbuf *out, uint64_t current, uint64_t total, unsigned width);
