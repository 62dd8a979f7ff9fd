/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being attached: the caller's stdin, stdout and stderr joined with a container's or an exec's, in one thread and one poll(2).
 *
 *   session_prepare()  signals are data from here on        (before the process starts, so that none is lost)
 *   ... the caller attaches, waits, starts ...
 *   session_run()      until the output has ended and the wait is answered, or the detach keys, or a signal that is ours
 *
 * Promises: S1 no write to the engine blocks reading from it, and the other way round. S2 stdin's end is passed on as a half-close.
 * S3 the terminal is as it was when session_run() returns, whatever happened. S4 signals go to the container in the order of poll.
 */
#pragma once

#include "cli/command.h"
#include "cli/detach.h"
#include "base/signals.h"
#include "base/term.h"
#include "http/client.h"

struct session {
	struct cli *cli;          /* borrowed */
	const char *id;           /* borrowed; for kill and resize */
	bool is_exec;             /* @id is an exec's: nothing to kill */
	bool tty;                 /* the process has a terminal: raw bytes, resize */
	bool use_stdin;           /* our stdin feeds it */
	bool proxy;               /* pass signals on */
	bool redraw;              /* make what runs on the terminal draw itself anew */
	struct detach detach;     /* looked for when tty and use_stdin */
	struct http_conn *stream; /* owned; upgraded */
	struct http_conn *wait;   /* owned; the head of the answer has been read; NULL: the stream's end is the end */
	struct signals signals;
	bool exited;              /* after session_run(): the wait was answered */
};
#define SESSION_INIT {.signals = SIGNALS_INIT}

void session_done(struct session *s);
#define _cleanup_session_ _cleanup_(session_done)

enum session_end {
	SESSION_EXITED,   /* *ret_code: exit code, or 0 without a wait */
	SESSION_DETACHED, /* by the detach keys */
	SESSION_SIGNALED, /* *ret_code: 128 + the signal that ended this command */
};

int session_prepare(struct session *s, struct err *err);
/** session_run() - Return: enum session_end, or negative errno with @err. */
int session_run(struct session *s, int *ret_code, struct err *err);
/** session_wait_answer() - read {"StatusCode":N} from a wait whose head was read. Blocks. Return: 0 with *@ret_code. */
int session_wait_answer(struct cli *cli, struct http_conn *wait, int *ret_code, struct err *err);
