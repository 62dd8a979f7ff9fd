/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of a container that stays in the foreground: signals are passed on to it, its terminal is shown on ours, its end is ours.
 */
#pragma once

#include "base/err.h"
#include "base/signals.h"
#include "kernel/process.h"
#include "oci/internal.h"

/** foreground_size() - a terminal without a size in the document gets ours, so that the command never sees it without one. */
void foreground_size(struct process_spec *p);
struct foreground_fds {
	int master; /* borrowed; of the process's terminal, -EBADF: none */
	int notify; /* borrowed; of notify_listen(), -EBADF: none */
};

/** foreground_wait() - until @p, our child, ends, and reap it. @signals: opened by the caller, before @p was there, so that none is lost. What the terminal still
 *  holds when @p ends is shown. Return: 0..255, exit code or 128 + signal; <0 with @err. */
int foreground_wait(const struct oci *o, const struct pidref *p, const struct foreground_fds *fds, struct signals *signals, struct err *err);
