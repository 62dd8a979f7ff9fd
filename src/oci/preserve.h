/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that a container's command inherits: --preserve-fds, and systemd's socket activation. */
#pragma once

#include "base/err.h"
#include "spec/runtime.h"

/** preserve_fds() - how many descriptors from 3 on stay open: @n and those of LISTEN_FDS, when LISTEN_PID is us (sd_listen_fds(3)); for the latter
 *  LISTEN_FDS and LISTEN_PID=1 are put into @p's environment. Each has to be open: a number that is not would be taken by a file of ours.
 *  To be called before anything is opened but by the caller's account. Return: 0; ERR_INVALID. */
int preserve_fds(int64_t n, unsigned *ret, unsigned *ret_listen, struct err *err);
/** preserve_environment() - tell the command of @listen activation sockets. Return: 0 or -ENOMEM with @err. */
int preserve_environment(struct process_spec *p, unsigned listen, struct err *err);
