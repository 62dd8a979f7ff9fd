/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/proc_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

static void printable(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' '; /* one row a process, whatever it calls itself */
}

int proc_stat_read(pid_t pid, struct proc_stat *ret)
{
	char path[40], text[1024];
	struct stat st;
	struct proc_stat p = {.pid = pid};
	(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : read_full(fd, text, sizeof(text) - 1);
	if (n < 0 || fstat(fd, &st) < 0)
		return n < 0 ? (int) n : -errno;
	text[n] = '\0';
	char *from = strchr(text, '('), *to = strrchr(text, ')');
	if (!from || !to || to < from)
		return -EBADMSG;
	if (sscanf(to + 1, " %c %ld %ld %ld %ld %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %ld %ld %ld %*d %llu %llu %ld", &p.state, &p.ppid, &p.pgid, &p.sid, &p.tty, &p.utime, &p.stime,
		   &p.priority, &p.nice, &p.threads, &p.start, &p.vsize, &p.rss_pages) != 13)
		return -EBADMSG;
	p.uid = st.st_uid;
	p.gid = st.st_gid;
	(void) snprintf(p.name, sizeof(p.name), "%.*s", (int) MIN(to - from - 1, 60), from + 1);
	printable(p.name, strlen(p.name));
	*ret = p;
	return 0;
}

void proc_tty(const struct proc_stat *p, char *buf, size_t size)
{
	unsigned long t = (unsigned long) p->tty, major = t >> 8 & 0xff;
	if (major >= 136 && major <= 143)
		(void) snprintf(buf, size, "pts/%lu", (major - 136) * 256 + (t & 0xff) + (t >> 20 << 8));
	else
		(void) str_copy(buf, size, "?");
}

void proc_command(const struct proc_stat *p, char *buf, size_t size)
{
	char path[40];
	(void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) p->pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read_full(fd, buf, size - 1);
	if (n <= 0) {
		(void) snprintf(buf, size, "[%s]", p->name);
		return;
	}
	while (n > 1 && !buf[n - 1])
		n--;
	printable(buf, (size_t) n);
	buf[n] = '\0';
}
