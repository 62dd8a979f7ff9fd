/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a forked child that becomes another program tells its parent: one fixed-size SOCK_SEQPACKET message at a time. The
 * socket is CLOEXEC in the child, so its end of file means "execve succeeded".
 */
#pragma once

#include "base/err.h"

enum report_kind { REPORT_PID = 1, REPORT_CONSOLE, REPORT_FAILED, REPORT_READY, REPORT_HOOKS, REPORT_LISTENER, REPORT_GOES };

struct report {
	uint32_t kind; /* enum report_kind */
	int32_t pid;   /* REPORT_PID: in the parent's pid namespace; a pidfd rides along as SCM_RIGHTS */
	uint64_t rsvd; /* REPORT_CONSOLE: a pty master rides along */
	struct err err; /* REPORT_FAILED */
};

/** report_send() - send @r with descriptor @fd (or -EBADF). Return: 0 or -errno. Async-signal-safe. */
int report_send(int sock, const struct report *r, int fd);
/** report_recv() - wait for one message. *@ret_fd: descriptor that came along, owned, or -EBADF. Return: 1, 0 at EOF, -errno. */
int report_recv(int sock, struct report *ret, int *ret_fd);
