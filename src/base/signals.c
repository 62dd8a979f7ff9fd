/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"

/* Not passed on: what concerns this process alone, what cannot be caught, and what the kernel raises for our own faults. Stops
 * for terminal access keep their default action: a background command shall stop, as any other does. */
static const int kept[] = {SIGCHLD, SIGPIPE, SIGURG,  SIGKILL, SIGSTOP, SIGTTIN, SIGTTOU,
			   SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS};
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};

int signals_open(struct signals *s, unsigned flags)
{
	sigset_t set;
	if (flags & SIGNALS_PROXY) {
		(void) sigfillset(&set);
		for (size_t i = 0; i < ARRAY_LEN(kept); i++)
			(void) sigdelset(&set, kept[i]);
	} else {
		(void) sigemptyset(&set);
		for (size_t i = 0; i < ARRAY_LEN(ending); i++)
			(void) sigaddset(&set, ending[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, &s->before) < 0)
		return -errno;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd >= 0)
		return 0;
	int r = -errno;
	(void) sigprocmask(SIG_SETMASK, &s->before, NULL);
	s->fd = -EBADF;
	return r;
}

void signals_close(struct signals *s)
{
	if (s->fd < 0)
		return;
	s->fd = safe_close(s->fd);
	(void) sigprocmask(SIG_SETMASK, &s->before, NULL);
}

int signals_next(struct signals *s)
{
	struct signalfd_siginfo i;
	ssize_t n;
	do
		n = read(s->fd, &i, sizeof(i));
	while (n < 0 && errno == EINTR);
	return n == sizeof(i) ? (int) i.ssi_signo : 0;
}

char *signal_text(int sig, char *buf, size_t size)
{
	const char *name = sigabbrev_np(sig);
	if (name)
		(void) snprintf(buf, size, "%s", name);
	else
		(void) snprintf(buf, size, "%d", sig);
	return buf;
}
