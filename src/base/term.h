/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal: its size, and raw mode that is undone on every way out.
 */
#pragma once

#include <errno.h>
#include <termios.h>

#include "base/macro.h"

struct term {
	int fd;              /* borrowed; -EBADF: nothing to restore */
	struct termios before;
};
#define TERM_INIT {.fd = -EBADF}

/** term_raw() - make @fd raw (no echo, no signals from keys, no translation). A descriptor that is no terminal is left alone.
 *  Return: 0 or -errno. */
int term_raw(struct term *t, int fd);
/** term_restore() - as it was. Idempotent; safe from a background process group. */
void term_restore(struct term *t);
#define _cleanup_term_ _cleanup_(term_restore)
/** term_size() - rows and columns of the terminal behind @fd. Return: true if it is one and knows. */
bool term_size(int fd, unsigned *ret_rows, unsigned *ret_cols);
