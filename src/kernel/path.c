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

int open_under_root(int dfd, const char *path, int flags, mode_t mode)
{
	return open2(dfd, path, flags, mode, 0);
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

/* Where a link that leads to nothing yet points: its text goes into @text. -EAGAIN: it is no link any more, try again. */
static int read_link(int dir, const char *name, char text[PATH_MAX])
{
	ssize_t n = readlinkat(dir, name, text, PATH_MAX - 1);
	if (n < 0)
		return errno == EINVAL || errno == ENOENT ? -EAGAIN : -errno;
	text[n] = '\0';
	return -ELOOP;
}

/* Make what *@rest names below @fd (consumed), one real directory at a time. -ELOOP: *@rest begins with a link, whose text is in @link. */
static int mkdir_rest(int fd, const char **rest, mode_t mode, char link[PATH_MAX])
{
	while (fd >= 0) {
		*rest += strspn(*rest, "/");
		size_t n = strcspn(*rest, "/");
		if (n == 0)
			return fd;
		char name[NAME_MAX + 1];
		if (n > NAME_MAX) {
			safe_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, *rest, n);
		name[n] = '\0';
		int r = 0, next = -EBADF;
		if (strcmp(name, ".") == 0) {
			*rest += n;
			continue;
		}
		if (strcmp(name, "..") == 0)
			r = -EINVAL; /* what does not exist has no parent to go back to */
		else if (mkdirat(fd, name, mode) < 0 && errno != EEXIST)
			r = -errno;
		else
			next = open_beneath_nosymlink(fd, name, O_PATH | O_DIRECTORY, 0);
		if (next == -ELOOP || next == -ENOTDIR) /* O_DIRECTORY on a link says either */
			next = read_link(fd, name, link) == -ELOOP ? -ELOOP : next == -ELOOP ? -EAGAIN : next;
		else if (r == 0 && next >= 0)
			*rest += n;
		safe_close(fd);
		fd = r < 0 ? r : next;
	}
	return fd;
}

/* @path with the component at @at replaced by what the link says. The part before it is walked again by open_in_root(), so that a relative
 * link starts where it lies and an absolute one at the root. */
static int follow_link(char path[PATH_MAX], const char *at, const char *link)
{
	char out[PATH_MAX];
	int before = link[0] == '/' ? 0 : (int) (at - path);
	int r = str_format(out, sizeof(out), "%.*s%s%s", before, path, link, at + strcspn(at, "/"));
	return r < 0 ? r : str_copy(path, PATH_MAX, out);
}

#define LINKS_MAX 40 /* as the kernel follows (path_resolution(7)) */

int mkdir_in_root(int dfd, const char *path, mode_t mode)
{
	char cur[PATH_MAX], link[PATH_MAX];
	if (str_copy(cur, sizeof(cur), path) < 0)
		return -ENAMETOOLONG;
	for (int i = 0; i < LINKS_MAX; i++) {
		const char *rest;
		int fd = open_existing(dfd, cur, &rest);
		if (fd >= 0)
			fd = mkdir_rest(fd, &rest, mode, link);
		if (fd != -ELOOP && fd != -EAGAIN)
			return fd;
		int r = fd == -ELOOP ? follow_link(cur, rest, link) : 0;
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

/* The file @name in @dir, made when missing. -ELOOP: it is a link that leads nowhere, its text is in @link. */
static int touch_at(int dir, const char *name, mode_t mode, char link[PATH_MAX])
{
	_cleanup_close_ int made = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
	if (made < 0 && errno != EEXIST)
		return -errno;
	int fd = open_beneath_nosymlink(dir, name, O_PATH, 0);
	return fd == -ELOOP ? read_link(dir, name, link) : fd;
}

int touch_in_root(int dfd, const char *path, mode_t mode)
{
	char cur[PATH_MAX], parent[PATH_MAX], link[PATH_MAX];
	if (str_copy(cur, sizeof(cur), path) < 0)
		return -ENAMETOOLONG;
	for (int i = 0; i < LINKS_MAX; i++) {
		int fd = open_in_root(dfd, cur, O_PATH, 0);
		if (fd != -ENOENT)
			return fd;
		const char *slash = strrchr(cur, '/'), *name = slash ? slash + 1 : cur;
		if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			return -EISDIR;
		memcpy(parent, cur, (size_t) (name - cur));
		parent[name - cur] = '\0';
		_cleanup_close_ int dir = mkdir_in_root(dfd, parent, 0755);
		if (dir < 0)
			return dir;
		fd = touch_at(dir, name, mode, link);
		if (fd != -ELOOP && fd != -EAGAIN)
			return fd;
		int r = fd == -ELOOP ? follow_link(cur, name, link) : 0;
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

int fd_is_on(int fd, unsigned long magic)
{
	struct statfs s;
	if (fstatfs(fd, &s) < 0)
		return -errno;
	return (unsigned long) s.f_type == magic;
}
