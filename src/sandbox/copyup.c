/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/copyup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/path.h"

#define COPYUP_DEPTH_MAX 128
#define LOCK_TRIES_MS 30000

static int is_empty(int dfd)
{
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int r = fd < 0 ? -errno : -ENOMEM;
		safe_close(fd);
		return r;
	}
	bool empty = true;
	struct dirent *e;
	while (empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	(void) closedir(d);
	return empty;
}

static int copy_xattrs(int src, int dst)
{
	char names[4096], value[65536];
	ssize_t n = flistxattr(src, names, sizeof(names));
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *p = names; p < names + n; p += strlen(p) + 1) {
		if (!str_after(p, "user.") && strcmp(p, "security.capability") != 0)
			continue;
		ssize_t len = fgetxattr(src, p, value, sizeof(value));
		if (len < 0 || fsetxattr(dst, p, value, (size_t) len, 0) < 0)
			return -errno;
	}
	return 0;
}

/* Owner first, then mode: chown clears the setuid bits (chown(2)). */
static int copy_meta(int src, int dst, const struct stat *st)
{
	if (fchown(dst, st->st_uid, st->st_gid) < 0 || fchmod(dst, st->st_mode & 07777) < 0)
		return -errno;
	int r = copy_xattrs(src, dst);
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	return r < 0 ? r : futimens(dst, times) < 0 ? -errno : 0;
}

static int copy_bytes(int src, int dst, off_t size)
{
	while (size > 0) {
		ssize_t n = copy_file_range(src, NULL, dst, NULL, (size_t) MIN(size, (off_t) 1 << 30), 0);
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
			n = sendfile(dst, src, NULL, (size_t) MIN(size, (off_t) 1 << 30));
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		size -= n;
	}
	return 0;
}

static int copy_file(int sdir, int ddir, const char *name, const struct stat *st)
{
	_cleanup_close_ int src = openat(sdir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (src < 0)
		return -errno;
	_cleanup_close_ int dst = openat(ddir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dst < 0)
		return -errno;
	int r = copy_bytes(src, dst, st->st_size);
	return r < 0 ? r : copy_meta(src, dst, st);
}

static int copy_link(int sdir, int ddir, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(sdir, name, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, ddir, name) < 0 || fchownat(ddir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	return utimensat(ddir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_dir(int src_consume, int dst, int depth);

static int copy_entry(int sdir, int ddir, const char *name, int depth)
{
	struct stat st;
	if (fstatat(sdir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return copy_file(sdir, ddir, name, &st);
	if (S_ISLNK(st.st_mode))
		return copy_link(sdir, ddir, name, &st);
	if (S_ISFIFO(st.st_mode))
		return mkfifoat(ddir, name, st.st_mode & 0777) < 0 ? -errno : 0;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mkdirat(ddir, name, 0700) < 0)
		return -errno;
	_cleanup_close_ int dst = openat(ddir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int src = openat(sdir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0 || src < 0) {
		int r = -errno;
		safe_close(src);
		return r;
	}
	return copy_dir(src, dst, depth + 1);
}

static int copy_dir(int src_consume, int dst, int depth)
{
	struct stat st;
	DIR *d = fstat(src_consume, &st) < 0 ? NULL : fdopendir(src_consume);
	if (!d) {
		safe_close(src_consume);
		return -ENOMEM;
	}
	int r = depth > COPYUP_DEPTH_MAX ? -ELOOP : 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_entry(dirfd(d), dst, e->d_name, depth);
	if (r == 0)
		r = copy_meta(dirfd(d), dst, &st);
	(void) closedir(d);
	return r;
}

/* Two containers may start on one empty volume at once: the second waits until it is filled. Bounded, because what runs in a container can hold
 * the lock, too. */
static int lock_volume(int dst)
{
	for (int i = 0; flock(dst, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES_MS)
			return -errno;
		(void) nanosleep(&(struct timespec) {.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

/* A copy that failed half-way must not be taken for a filled volume. */
static void empty_again(int dst)
{
	int fd = openat(dst, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return;
	}
	struct dirent *e;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void) rm_rf_at(dirfd(d), e->d_name); /* the failure itself is told */
	(void) closedir(d);
}

int copyup(int src_fd, int dst_fd, struct err *err)
{
	_cleanup_close_ int dst = openat(dst_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dst < 0)
		return errno == ENOTDIR ? 0 : err_sys(err, -errno, "opening the volume");
	int r = lock_volume(dst);
	if (r < 0)
		return err_sys(err, r, "locking the volume");
	r = is_empty(dst);
	if (r < 0)
		return err_sys(err, r, "reading the volume");
	if (r == 0)
		return 0;
	int src = open_beneath_nosymlink(src_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (src < 0)
		return err_sys(err, src, "opening the image's directory");
	r = copy_dir(src, dst, 0);
	if (r < 0)
		empty_again(dst);
	return r < 0 ? err_sys(err, r, "copying") : 0;
}
