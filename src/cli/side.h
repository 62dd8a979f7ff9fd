/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small calls beside an attached stream (kill, resize) over a connection of their own, without waiting: one is under way at a
 * time, the others are remembered (a set of signals, one resize).
 */
#pragma once

#include "cli/call.h"

struct side {
	struct cli *cli;         /* borrowed */
	const char *id;          /* borrowed; the container's, or the exec's when @is_exec */
	bool is_exec;
	struct http_conn *conn;  /* owned; NULL until first used */
	bool busy;               /* an answer is due on conn */
	bool resize;             /* to be sent: the size of the terminal */
	bool nudge;              /* the first size sent is one too large, so that the right one is a change (and a SIGWINCH) */
	uint64_t signals;        /* to be sent: bit sig - 1 */
};

void side_done(struct side *s);
/** side_signal() / side_resize() - ask; sent when the connection is free. Failures are dropped: the container may have ended. */
void side_signal(struct side *s, int sig);
void side_resize(struct side *s);
/** side_fd() - to poll for input, -1 when nothing is due. */
int side_fd(const struct side *s);
/** side_answer() - take the answer that poll(2) announced, and send what waits. */
void side_answer(struct side *s);
