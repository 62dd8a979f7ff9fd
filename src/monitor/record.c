/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that the monitor leaves in the bundle, and the program that takes over when nobody waits for them. Names are
 * put together by hand: stdio would cost an idle monitor several pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"
#include "monitor/internal.h"

#define REAPER_ENV_MAX 64

static char *append(char *p, const char *s)
{
	size_t n = strlen(s);
	memcpy(p, s, n + 1);
	return p + n;
}

const char *record_exec_name(char buf[RECORD_NAME_MAX], const char *id, const char *suffix)
{
	assert(strlen(id) <= ID_LEN && strlen(suffix) <= 5);
	(void) append(append(append(buf, "exec-"), id), suffix);
	return buf;
}

int record_write(int dir_fd, const char *name, const void *buf, size_t len)
{
	char tmp[RECORD_NAME_MAX + 8];
	assert(strlen(name) < RECORD_NAME_MAX);
	(void) append(append(tmp, name), ".tmp");
	_cleanup_close_ int fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, buf, len);
	fault_mark("monitor.record.written");
	if (r >= 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void) unlinkat(dir_fd, tmp, 0); /* best effort: the next write truncates it */
	return r;
}

int record_read_exit(int dir_fd, const char *exec_id, struct monitor_exit *ret)
{
	char name[RECORD_NAME_MAX];
	_cleanup_close_ int fd = openat(dir_fd, record_exec_name(name, exec_id, ".exit"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	struct monitor_exit x;
	ssize_t n = read_full(fd, &x, sizeof(x));
	if (n < 0)
		return (int) n;
	if ((size_t) n != sizeof(x) || x.magic != MONITOR_EXIT_MAGIC)
		return -EBADMSG;
	*ret = x;
	return 0;
}

int reaper_exec(const struct monitor_setup *setup)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
	char *env[REAPER_ENV_MAX + 1], *argv[] = {(char *) setup->reaper, (char *) "reap", (char *) setup->id, NULL};
	size_t n = 0;
	for (char **e = environ; e && *e && n < REAPER_ENV_MAX; e++)
		if (str_after(*e, "COFFER_"))
			env[n++] = *e;
	env[n] = NULL;
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void) signal(ignored[i], SIG_DFL);
	fault_mark("monitor.reaper");
	(void) execve(setup->reaper, argv, env);
	return -errno;
}
