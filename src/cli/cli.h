/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: argv -> Engine API calls -> what a person reads. It knows the engine only by HTTP over a stream socket: a
 * daemon's, or one end of a socketpair whose other end the embedded engine got.
 */
#pragma once

#include "base/err.h"

/* How the program that links this room starts an engine of its own. */
struct cli_embedded {
	/** start() - fork the engine before any thread exists. *@ret_control_fd: our end of a SOCK_SEQPACKET pair, owned by the
	 *  caller. A connection is one byte 'c' with one end of a fresh stream socketpair (SCM_RIGHTS). An engine that
	 *  cannot start sends one struct err over the pair before it leaves. Its end of file ends the engine. */
	int (*start)(void *ctx, int *ret_control_fd, struct err *err);
	void *ctx;
	bool *ret_seen; /* set when the engine's last answer came after everything that the command did: its end is nobody's wait */
};

/** cli_main() - run one command. Return: the exit code. @embedded: NULL when there is none. */
int cli_main(int argc, char **argv, const struct cli_embedded *embedded);
