/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is made while it is sent: PUT with chunks, until the engine answers. */
#pragma once

#include "cli/call.h"

struct put {
	struct cli *cli;       /* borrowed */
	struct http_conn *c;   /* owned */
	bool answered;         /* the engine has said something already, or takes no more */
	uint64_t bytes;        /* sent */
	/** told after each piece; may be NULL */
	void (*progress)(void *ctx, uint64_t bytes);
	void *ctx;
};
int put_begin(struct cli *cli, const struct strbuf *target, struct put *ret, struct err *err);
/** put_bytes() - for a writer of archives: @ctx is the struct put. Return: 0; -EPIPE once the engine has answered. */
int put_bytes(void *ctx, const void *p, size_t n);
/** put_end() - the last chunk, and the engine's answer. */
int put_end(struct put *p, struct err *err);
void put_done(struct put *p);
