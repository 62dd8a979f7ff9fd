/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body as a pipe: a thread takes the framing off and feeds it, whoever reads the archive reads the pipe. */
#pragma once

#include <pthread.h>

#include "base/err.h"

struct http_peer;

struct pump {
	struct http_peer *peer; /* borrowed */
	int in, out;            /* owned; pipe: read `in` */
	pthread_t thread;
	int result;             /* of the pump, once joined */
};
int pump_start(struct pump *p, struct http_peer *peer, struct err *err);
/** pump_drain() - read on to the body's end. */
void pump_drain(struct pump *p);
/** pump_end() - nobody reads any more: the rest of the body is thrown away (a client that is writing reads its answer only then). Return: 0, or why the
 *  body ended early. */
int pump_end(struct pump *p);
