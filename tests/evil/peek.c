/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hostile processes inside a container see of the runtime's, until killed (tests/e2e/test_oci_threats.py).
 *   peek look OUT       reads exe and descriptors of every process in sight, and opens each one's program for writing
 *   peek overwrite OUT  takes read-only descriptors of every program that is not its own, and opens them for writing once nobody runs them
 * What it got goes into OUT, a line each, once: "exe TARGET", "fd N TARGET", "write TARGET".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int out = -1;
static char own[4096];

static void note(const char *what, const char *detail)
{
	static char seen[64][512];
	static int n;
	char line[512];
	(void) snprintf(line, sizeof(line), "%s %.400s\n", what, detail);
	for (int i = 0; i < n; i++)
		if (strcmp(seen[i], line) == 0)
			return;
	if (n < 64)
		(void) memcpy(seen[n++], line, sizeof(line));
	if (write(out, line, strlen(line)) < 0)
		_exit(3);
}

static const char *link_of(const char *path, char *buf, size_t size)
{
	ssize_t n = readlink(path, buf, size - 1);
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return buf;
}

static int is_pid(const char *name)
{
	return name[0] > '0' && name[0] <= '9';
}

static void peek_fds(const char *pid)
{
	char path[600], buf[4096], text[4400];
	(void) snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		(void) snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, e->d_name);
		if (e->d_name[0] == '.' || !link_of(path, buf, sizeof(buf)))
			continue;
		(void) snprintf(text, sizeof(text), "%s %s", e->d_name, buf);
		note("fd", text);
	}
	if (d)
		(void) closedir(d);
}

/* A program's file, by a descriptor that we hold when nobody runs it any more (CVE-2019-5736). */
static void try_write(int fd, const char *target)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int i = 0; i < 50; i++) {
		int w = open(path, O_WRONLY | O_CLOEXEC);
		if (w >= 0) {
			note("write", target);
			(void) close(w);
			return;
		}
		if (errno != ETXTBSY)
			return;
		(void) usleep(20000);
	}
}

static void each_process(int overwrite)
{
	char path[320], buf[4096], self[16];
	DIR *d = opendir("/proc");
	struct dirent *e;
	(void) snprintf(self, sizeof(self), "%d", (int) getpid());
	while (d && (e = readdir(d))) {
		if (!is_pid(e->d_name) || strcmp(e->d_name, self) == 0)
			continue;
		(void) snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
		const char *target = link_of(path, buf, sizeof(buf));
		if (!overwrite)
			peek_fds(e->d_name);
		if (!target || strcmp(target, own) == 0)
			continue;
		note("exe", target);
		int fd = open(path, overwrite ? O_RDONLY | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (overwrite)
			try_write(fd, target);
		else
			note("write", target);
		(void) close(fd);
	}
	if (d)
		(void) closedir(d);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	out = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (out < 0 || !link_of("/proc/self/exe", own, sizeof(own))) {
		perror(argv[2]);
		return 1;
	}
	note("ready", argv[1]);
	for (;;)
		each_process(strcmp(argv[1], "overwrite") == 0);
}
