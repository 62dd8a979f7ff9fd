/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox sets a parent death signal in what it makes; another runtime does not. So a container of its (MONITOR_FOREIGN) gets a second, smaller
 * process: it waits for the monitor's or the container's end, whichever comes first, and kills the container when it was the monitor's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/process.h"
#include "monitor/internal.h"

_Noreturn static void be_guard(int alive, int init)
{
	struct pollfd p[] = {{.fd = alive, .events = POLLIN}, {.fd = init, .events = POLLIN}};
	while (poll(p, ARRAY_LEN(p), -1) < 0 && errno == EINTR)
		;
	if (p[0].revents)
		(void) process_kill(init, SIGKILL); /* fails only when it is dead */
	_exit(0);
}

int guard_start(struct monitor *m)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		int keep[] = {pair[0], m->container.init.fd};
		process_keep_only(keep, ARRAY_LEN(keep)); /* the other end must be the monitor's alone */
		be_guard(pair[0], m->container.init.fd);
	}
	int r = pid < 0 ? -errno : 0;
	safe_close(pair[0]);
	if (r < 0)
		safe_close(pair[1]);
	else
		m->guard_fd = pair[1];
	return r;
}
