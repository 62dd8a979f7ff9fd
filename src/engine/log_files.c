/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/gzip.h"

#define FILES_MAX 1001 /* what a request's max-file may say, and the one that just came */

static int open_form(int dir, const char *name, unsigned n, bool gz)
{
	char path[48];
	if (n)
		(void) str_format(path, sizeof(path), "%s.%u%s", name, n, gz ? ".gz" : ""); /* fits */
	else
		(void) str_copy(path, sizeof(path), name);
	int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Plain, else compressed; plain once more, since it becomes the other at any moment but never back. Return: 1, 0 none, -errno. */
static int open_one(int dir, const char *name, unsigned n, struct log_file *ret)
{
	struct stat st;
	int fd = open_form(dir, name, n, false);
	*ret = (struct log_file) {.fd = -EBADF, .end = -1};
	if (fd == -ENOENT && n) {
		fd = open_form(dir, name, n, true);
		ret->gz = fd >= 0;
	}
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstat(fd, &st) < 0) {
		safe_close(fd);
		return -errno;
	}
	ret->fd = fd;
	ret->inode = st.st_ino;
	return 1;
}

static void file_done(struct log_file *f)
{
	f->z = gunzip_free(f->z);
	f->fd = safe_close(f->fd);
}

int log_files_open(int dir, const char *name, ino_t stop, struct log_files *ret)
{
	for (unsigned n = 0; n < FILES_MAX; n++) {
		struct log_file f;
		int r = open_one(dir, name, n, &f);
		if (r < 0)
			return r;
		if (r == 0 && n > 0)
			return 0;
		if (r == 0)
			continue; /* between a rotation and the first line after it */
		bool again = ret->n > 0 && ret->v[ret->n - 1].inode == f.inode;
		if (again || f.inode == stop) {
			file_done(&f);
			if (again)
				continue; /* it was rotated away under us: the same once more */
			return 0;
		}
		struct log_file *v = reallocarray(ret->v, ret->n + 1, sizeof(*v));
		if (!v) {
			file_done(&f);
			return -ENOMEM;
		}
		ret->v = v;
		v[ret->n++] = f;
	}
	return 0;
}

void log_files_pop(struct log_files *f)
{
	file_done(&f->v[--f->n]);
}

void log_files_done(struct log_files *f)
{
	while (f->n > 0)
		log_files_pop(f);
	free(f->v);
	*f = (struct log_files) {NULL, 0};
}

int log_files_freeze(struct log_files *f)
{
	struct stat st;
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].gz)
			continue;
		if (fstat(f->v[i].fd, &st) < 0)
			return -errno;
		f->v[i].end = st.st_size;
	}
	return 0;
}

void log_files_thaw(struct log_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->v[i].end = -1;
}

int log_file_rewind(struct log_file *f)
{
	f->z = gunzip_free(f->z);
	return lseek(f->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

ssize_t log_file_read(struct log_file *f, void *buf, size_t len)
{
	if (f->gz) {
		int r = f->z ? 0 : gunzip_new(f->fd, &f->z);
		return r < 0 ? r : gunzip_read(f->z, buf, len);
	}
	off_t at = f->end < 0 ? 0 : lseek(f->fd, 0, SEEK_CUR);
	if (at < 0)
		return -errno;
	if (f->end >= 0)
		len = MIN(len, (size_t) MAX(f->end - at, (off_t) 0));
	ssize_t n;
	do
		n = read(f->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
