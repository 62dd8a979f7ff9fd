/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a process with a notifying filter shares with whoever started it, while the listener changes hands. Private to the
 * sandbox room.
 *
 *   new process                    starter
 *     LISTENER_NONE                  maps the memory
 *     loads the filter
 *     fd, LISTENER_LOADED ------->   pidfd_getfd(pid, fd), sends it with json to path
 *     execve          <-----------   LISTENER_SENT, or LISTENER_FAILED
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

#define LISTENER_JSON_MAX (64u << 10)
#define LISTENER_WAIT (10 * USEC_PER_SEC)

enum { LISTENER_NONE, LISTENER_LOADED, LISTENER_SENT, LISTENER_FAILED };

struct listener_page {
	_Atomic int state;
	int fd;  /* the listener's number in the new process */
	int pid; /* of the new process, in the starter's pid namespace */
	char path[108]; /* unix socket of the agent */
	char json[LISTENER_JSON_MAX];
};

/** listener_serve() - the starter's side, on the memory that came with REPORT_LISTENER. Return: 0 when the agent has the listener; <0 with @err, and the
 *  process has been told. */
int listener_serve(int mem_fd, struct err *err);
