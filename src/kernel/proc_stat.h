/* SPDX-License-Identifier: Apache-2.0 */
/* One row of ps about a process of a container, read from the host's /proc. What a process calls itself is text of a stranger's: it comes out printable. */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

struct proc_stat {
	pid_t pid;
	uint32_t uid, gid; /* effective, as the host has them */
	long ppid, pgid, sid, tty, nice, threads, rss_pages, priority;
	unsigned long long utime, stime, start, vsize; /* clock ticks since its start, or the host's; bytes */
	char state;
	char name[64]; /* comm */
};

/** proc_stat_read() - /proc/@pid/stat. Return: 0; -ENOENT or -ESRCH when it has ended; -EBADMSG. Source: proc(5). */
int proc_stat_read(pid_t pid, struct proc_stat *ret);
/** proc_tty() - "pts/3", or "?" without a pseudo-terminal. Source: Documentation/admin-guide/devices.txt. */
void proc_tty(const struct proc_stat *p, char *buf, size_t size);
/** proc_command() - /proc/PID/cmdline with spaces between the words and in place of control characters; "[name]" when it has none. */
void proc_command(const struct proc_stat *p, char *buf, size_t size);
