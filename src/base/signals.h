/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals of a command that is attached to a container, read as data from one descriptor.
 */
#pragma once

#include <errno.h>
#include <signal.h>

#include "base/macro.h"

struct signals {
	int fd;          /* owned; signalfd, -EBADF until opened */
	sigset_t before; /* the mask to go back to */
};
#define SIGNALS_INIT {.fd = -EBADF}

enum signals_flags {
	SIGNALS_PROXY = 1, /* take every signal that can be passed on, not only those that end a program */
};

/** signals_open() - from now on the signals arrive at the descriptor and do nothing else. Return: 0 or -errno. */
int signals_open(struct signals *s, unsigned flags);
/** signals_close() - as before. Idempotent. */
void signals_close(struct signals *s);
#define _cleanup_signals_ _cleanup_(signals_close)
/** signals_next() - Return: a signal number; 0 when there is none now. */
int signals_next(struct signals *s);
/** signal_text() - as the Engine API wants it: "INT", or the number of a real-time signal. @buf: at least 12 bytes. Return: @buf. */
char *signal_text(int sig, char *buf, size_t size);
