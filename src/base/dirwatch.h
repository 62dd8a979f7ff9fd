/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To hear of changes in a directory. A user has 128 inotify instances by default (fs.inotify.max_user_instances), and root's are everybody's: where there is
 * none to be had, whoever waits looks by itself a few times a second instead of failing.
 *
 *   struct pollfd p = {w.fd, POLLIN, 0};  poll(&p, 1, dirwatch_timeout(&w, ms));  dirwatch_drain(&w);  look again
 */
#pragma once

#include "base/macro.h"

#define DIRWATCH_LOOK_MS 200

struct dirwatch {
	int fd;	    /* owned; -EBADF: there is no instance, poll(2) passes over it */
	bool looks; /* none was to be had */
};
#define DIRWATCH_NULL ((struct dirwatch) {.fd = -EBADF})

/** dirwatch_add() - hear of @mask (IN_*) in the directory at @path; the first call makes the instance. Return: 0, also without one to be had;
 *  -ENOENT and the like when @path cannot be watched. Source: inotify(7). */
int dirwatch_add(struct dirwatch *w, const char *path, uint32_t mask);
/** dirwatch_timeout() - how long to sleep at most when nothing else limits it to @ms (-1: for ever). */
int dirwatch_timeout(const struct dirwatch *w, int ms);
/** dirwatch_drain() - forget what was heard: only that there was something counts. */
void dirwatch_drain(const struct dirwatch *w);
void dirwatch_done(struct dirwatch *w);
#define _cleanup_dirwatch_ _cleanup_(dirwatch_done)
