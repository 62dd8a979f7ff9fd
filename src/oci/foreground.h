/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of a container that stays in the foreground: signals are passed on to it, its terminal is shown on ours, its end is ours.
 */
#pragma once

#include "base/err.h"
#include "base/signals.h"
#include "kernel/process.h"
#include "spec/runtime.h"

/** foreground_size() - a terminal without a size in the document gets ours, so that the command never sees it without one. */
void foreground_size(struct process_spec *p);
/** foreground_wait() - until @p, our child, ends, and reap it. @master: of its terminal, borrowed; -EBADF: none. @signals: opened by the caller, before @p
 *  was there, so that none is lost. What the terminal still holds when @p ends is shown. Return: 0..255, exit code or 128 + signal; <0 with @err. */
int foreground_wait(const struct pidref *p, int master, struct signals *signals, struct err *err);
