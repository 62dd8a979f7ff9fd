/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/path.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/compat.h"

#define PATH_RETRIES 64 /* runc saw about 3 % -EAGAIN under a rename attack: 64 in a row do not happen */

static int open2(int dfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	for (int i = 0; i < PATH_RETRIES; i++) {
		int fd = (int) syscall(SYS_openat2, dfd, path, &how, sizeof(how));
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int open_beneath(int dfd, const char *path, int flags, mode_t mode)
{
	return open2(dfd, path, flags, mode, RESOLVE_BENEATH);
}

int open_beneath_nosymlink(int dfd, const char *path, int flags, mode_t mode)
{
	return open2(dfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int open_in_root(int dfd, const char *path, int flags, mode_t mode)
{
	return open2(dfd, path, flags, mode, RESOLVE_IN_ROOT);
}

int open_xdev_none(int dfd, const char *path, int flags, mode_t mode)
{
	return open2(dfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* Longest existing prefix of @path, opened; *@rest: what is still to be made (components without "." and ".."). */
static int open_existing(int dfd, const char *path, const char **rest)
{
	char buf[PATH_MAX];
	if (str_copy(buf, sizeof(buf), path) < 0)
		return -ENAMETOOLONG;
	size_t n = strlen(buf);
	for (;;) {
		while (n > 0 && buf[n - 1] == '/')
			n--;
		buf[n] = '\0';
		int fd = open_in_root(dfd, n ? buf : ".", O_PATH | O_DIRECTORY, 0);
		if (fd >= 0 || fd != -ENOENT || n == 0) {
			*rest = path + n;
			return fd;
		}
		while (n > 0 && buf[n - 1] != '/')
			n--;
	}
}

/* Make what @rest names below @fd (consumed), one real directory at a time. */
static int mkdir_rest(int fd, const char *rest, mode_t mode)
{
	while (fd >= 0) {
		rest += strspn(rest, "/");
		size_t n = strcspn(rest, "/");
		if (n == 0)
			return fd;
		char name[NAME_MAX + 1];
		if (n > NAME_MAX) {
			safe_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, rest, n);
		name[n] = '\0';
		rest += n;
		int r = 0, next = -EBADF;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			r = -EINVAL; /* what does not exist has no parent to go back to */
		else if (mkdirat(fd, name, mode) < 0 && errno != EEXIST)
			r = -errno;
		else
			next = open_beneath_nosymlink(fd, name, O_PATH | O_DIRECTORY, 0);
		safe_close(fd);
		fd = r < 0 ? r : next;
	}
	return fd;
}

int mkdir_in_root(int dfd, const char *path, mode_t mode)
{
	const char *rest;
	int fd = open_existing(dfd, path, &rest);
	return fd < 0 ? fd : mkdir_rest(fd, rest, mode);
}

int touch_in_root(int dfd, const char *path, mode_t mode)
{
	int fd = open_in_root(dfd, path, O_PATH, 0);
	if (fd != -ENOENT)
		return fd;
	char parent[PATH_MAX];
	if (str_copy(parent, sizeof(parent), path) < 0)
		return -ENAMETOOLONG;
	char *slash = strrchr(parent, '/');
	const char *name = path;
	if (slash) {
		name = path + (slash - parent) + 1;
		slash[1] = '\0';
	} else
		parent[0] = '\0';
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	_cleanup_close_ int dir = mkdir_in_root(dfd, parent, 0755);
	if (dir < 0)
		return dir;
	_cleanup_close_ int made = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
	if (made < 0 && errno != EEXIST)
		return -errno;
	return open_beneath_nosymlink(dir, name, O_PATH, 0);
}

int fd_is_on(int fd, unsigned long magic)
{
	struct statfs s;
	if (fstatfs(fd, &s) < 0)
		return -errno;
	return (unsigned long) s.f_type == magic;
}
