/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a container: who gets its master side. */
#pragma once

#include "base/err.h"

/** console_check() - whether @terminal, @detached and @socket fit together, as runc has it. Return: 0; ERR_INVALID saying what to change. */
int console_check(bool terminal, bool detached, const char *socket, struct err *err);
/** console_connect() - connect to the stream socket at @path. Before the container is made: a wrong path leaves nothing half-made. Return: fd or <0 with @err. */
int console_connect(const char *path, struct err *err);
/** console_send() - hand @master over: one message with the name that runc sends, "/dev/ptmx", and the descriptor. Return: 0 or <0 with @err. */
int console_send(int sock, int master, struct err *err);
