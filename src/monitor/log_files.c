/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a log: NAME, which is written, NAME.1 (or NAME.1.gz) to NAME.N, which were rotated. A process beside the monitor compresses one of them at a
 * time into "squeezed"; it is the monitor that gives the names, so that a rotation meanwhile cannot come between.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "monitor/log.h"

#define FILES_MAX 9999 /* what file_name() has digits for */
#define SQUEEZED "squeezed"

/* "json.log", "json.log.1", "json.log.1.gz", ... */
static const char *file_name(const struct log *l, char buf[LOG_NAME_MAX], uint32_t n, bool gz)
{
	size_t len = strlen(l->format->name);
	memcpy(buf, l->format->name, len);
	char *p = buf + len;
	if (n) {
		*p++ = '.';
		for (uint32_t unit = 1000; unit; unit /= 10)
			if (n >= unit || unit == 1)
				*p++ = (char) ('0' + n / unit % 10);
	}
	memcpy(p, gz ? ".gz" : "", gz ? 4 : 1);
	return buf;
}

int log_file_open(struct log *l)
{
	_cleanup_close_ int fd = openat(l->dir_fd, l->format->name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((st.st_mode & 0777) != 0640)
		(void) fchmod(fd, 0640); /* best effort: the umask took something away */
	l->max_files = MIN(MAX(l->max_files, 1u), (uint32_t) FILES_MAX);
	l->size = (uint64_t) st.st_size;
	l->rotate_at = l->max_bytes;
	l->fd = take_fd(&fd);
	return 0;
}

/* One file, in one of its two forms, a number further. Return: 0, also when there is none. */
static int shift_one(struct log *l, uint32_t n, bool gz)
{
	char from[LOG_NAME_MAX], to[LOG_NAME_MAX];
	if (renameat(l->dir_fd, file_name(l, from, n, gz), l->dir_fd, file_name(l, to, n + 1, gz)) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (l->compress)
		(void) unlinkat(l->dir_fd, file_name(l, to, n + 1, !gz), 0); /* the one that falls off; usually missing */
	return 0;
}

/* Shift the files by one. What is missing is skipped; a failure half-way leaves every record in some file. */
static int shift_files(struct log *l)
{
	for (uint32_t n = l->max_files - 1; n > 0; n--) {
		int r = l->compress && n > 1 ? shift_one(l, n - 1, /* gz= */ true) : 0;
		r = r < 0 ? r : shift_one(l, n - 1, /* gz= */ false);
		if (r < 0)
			return r;
	}
	if (l->squeezed)
		l->squeezed++; /* at max_files it is gone */
	l->rotated = l->compress;
	return 0;
}

void log_rotate(struct log *l)
{
	int r = 0;
	if (l->max_files == 1)
		r = ftruncate(l->fd, 0) < 0 ? -errno : 0;
	else
		r = shift_files(l);
	if (r < 0) { /* go on in this file and try again when it has doubled */
		l->rotate_at = l->size + l->max_bytes;
		return;
	}
	if (l->max_files == 1) {
		l->size = 0;
		return;
	}
	int old = l->fd;
	if (log_file_open(l) < 0) { /* the renamed file still takes what comes */
		l->rotate_at = l->size + l->max_bytes;
		return;
	}
	safe_close(old);
}

int log_squeeze_begin(struct log *l, int *ret_in, int *ret_out)
{
	char name[LOG_NAME_MAX];
	_cleanup_close_ int in = -EBADF;
	uint32_t n = l->max_files;
	assert(!l->squeezed);
	while (in < 0 && --n > 0)
		in = openat(l->dir_fd, file_name(l, name, n, /* gz= */ false), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (in < 0)
		return 0;
	struct stat st;
	if (fstat(in, &st) < 0)
		return -errno;
	(void) unlinkat(l->dir_fd, SQUEEZED, 0); /* of a monitor that was killed; usually missing */
	int out = openat(l->dir_fd, SQUEEZED, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (out < 0)
		return -errno;
	(void) fchmod(out, 0640); /* best effort: the umask took something away */
	l->squeezed = n;
	l->squeezed_inode = st.st_ino;
	*ret_in = take_fd(&in);
	*ret_out = out;
	return 1;
}

void log_squeeze_end(struct log *l, bool ok)
{
	char plain[LOG_NAME_MAX], gz[LOG_NAME_MAX];
	uint32_t n = l->squeezed;
	l->squeezed = 0;
	struct stat st;
	ok = ok && n < l->max_files && fstatat(l->dir_fd, file_name(l, plain, n, /* gz= */ false), &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == l->squeezed_inode;
	/* in this order: between the two both are there, and a reader takes the plain one */
	if (ok && renameat(l->dir_fd, SQUEEZED, l->dir_fd, file_name(l, gz, n, /* gz= */ true)) == 0)
		(void) unlinkat(l->dir_fd, file_name(l, plain, n, /* gz= */ false), 0);
	else
		(void) unlinkat(l->dir_fd, SQUEEZED, 0); /* the plain one stays, if it has not fallen off */
	l->rotated = ok; /* perhaps there is another; after a failure only the next rotation makes it worth a try */
}
