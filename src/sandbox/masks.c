/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masked and read-only paths (R11). A masked file is covered by /dev/null, a masked directory by an empty read-only tmpfs, a
 * read-only path by a read-only clone of itself. A path that does not exist is skipped; any other failure ends the start. A
 * last pass looks at every path again from the root: what is seen there is what was meant (CVE-2015-3630, CVE-2025-31133).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/compat.h"
#include "kernel/mount.h"
#include "kernel/path.h"
#include "sandbox/internal.h"
#include "sandbox/masks.h"

static int mask_file(int target, struct err *err)
{
	_cleanup_close_ int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (null < 0 || !mask_is_null(null))
		return err_set(err, ERR_SYSTEM, "the host's /dev/null is not the null device");
	_cleanup_close_ int mnt = mnt_clone_private(null, "", false);
	int r = mnt < 0 ? mnt : mnt_attach(mnt, target);
	return r < 0 ? err_sys(err, r, "covering with /dev/null") : 0;
}

static int mask_dir(int target, int *empty, struct err *err)
{
	static const char *const opts[][2] = {{"size", "0"}, {"nr_inodes", "2"}, {"mode", "0555"}, {NULL, NULL}};
	const unsigned flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	/* one empty tmpfs for all: the first is attached, the others are clones of it */
	_cleanup_close_ int mnt = *empty < 0 ? mnt_new("tmpfs", opts, flags) : mnt_clone(*empty, "", false);
	int r = mnt < 0 ? mnt : mnt_attach(mnt, target);
	if (r < 0)
		return err_sys(err, r, "covering with an empty directory");
	if (*empty < 0)
		*empty = take_fd(&mnt);
	return 0;
}

/* O_PATH fd of @path inside the root. 0 with *@ret, 1: does not exist, <0. */
static int open_mask(struct sandbox *s, const char *path, int *ret, struct err *err)
{
	int fd = open_in_root(s->root_fd, path, O_PATH, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 1;
	if (fd < 0)
		return err_sys(err, fd, "'%s'", path);
	*ret = fd;
	return 0;
}

static int mask_one(struct sandbox *s, const char *path, int *empty, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r = open_mask(s, path, &fd, err);
	if (r != 0)
		return MIN(r, 0);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "'%s'", path);
	r = S_ISDIR(st.st_mode) ? mask_dir(fd, empty, err) : mask_file(fd, err);
	return r < 0 ? err_wrap(err, "'%s'", path) : 0;
}

static int readonly_one(struct sandbox *s, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r = open_mask(s, path, &fd, err);
	if (r != 0)
		return MIN(r, 0);
	_cleanup_close_ int mnt = mnt_clone(fd, "", /* recursive= */ true);
	r = mnt < 0 ? mnt : mnt_attr(mnt, MOUNT_ATTR_RDONLY, 0, /* recursive= */ true);
	if (r == 0)
		r = mnt_attach(mnt, fd);
	return r < 0 ? err_sys(err, r, "making '%s' read-only", path) : 0;
}

/* A glob inside one component ("cpu*" with "thermal_throttle" behind it): expanded against what is mounted. */
static int mask_glob(struct sandbox *s, const char *path, int *empty, struct err *err)
{
	const char *star = strchr(path, '*');
	const char *start = star;
	while (start > path && start[-1] != '/')
		start--;
	char dir[256], full[512];
	if (!star || (size_t) (start - path) >= sizeof(dir))
		return err_set(err, ERR_INVALID, "'%s'", path);
	memcpy(dir, path, (size_t) (start - path));
	dir[start - path] = '\0';
	size_t prefix = (size_t) (star - start);
	int fd = open_in_root(s->root_fd, dir, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		safe_close(fd);
		return err_sys(err, fd < 0 ? fd : -ENOMEM, "'%s'", dir);
	}
	int r = 0;
	struct dirent *e;
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && strncmp(e->d_name, start, prefix) == 0 && str_format(full, sizeof(full), "%s%s%s", dir, e->d_name, star + 1) > 0)
			r = mask_one(s, full, empty, err);
	(void) closedir(d);
	return r;
}

/* Only our engine writes patterns; in a foreign document a name is a name. */
static bool is_glob(const struct sandbox *s, const char *path)
{
	return !s->plan.obey && strchr(path, '*');
}

int masks_apply(struct sandbox *s, struct err *err)
{
	_cleanup_close_ int empty = -EBADF;
	STRV_FOREACH(path, s->spec->readonly_paths) {
		int r = readonly_one(s, path, err);
		if (r < 0)
			return r;
	}
	STRV_FOREACH(path, s->spec->masked_paths) {
		int r = is_glob(s, path) ? mask_glob(s, path, &empty, err) : mask_one(s, path, &empty, err);
		if (r < 0)
			return r;
	}
	return 0;
}

bool mask_is_null(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

bool mask_covers(int fd)
{
	struct stat st;
	return mask_is_null(fd) || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && fd_is_on(fd, 0x01021994 /* TMPFS_MAGIC */) == 1);
}

bool mask_readonly(int fd)
{
	struct statvfs v;
	return mask_is_null(fd) || (fstatvfs(fd, &v) == 0 && v.f_flag & ST_RDONLY);
}

/* Every path again from the root: what is seen there is what was meant. */
static int verify(struct sandbox *s, const char *path, bool (*holds)(int fd), const char *what, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r = open_mask(s, path, &fd, err);
	if (r != 0)
		return MIN(r, 0);
	return holds(fd) ? 0 : err_set(err, ERR_SYSTEM, "'%s' is not %s after making it so", path, what);
}

int masks_verify(struct sandbox *s, struct err *err)
{
	STRV_FOREACH(path, s->spec->masked_paths) {
		int r = is_glob(s, path) ? 0 : verify(s, path, mask_covers, "masked", err);
		if (r < 0)
			return r;
	}
	STRV_FOREACH(path, s->spec->readonly_paths) {
		int r = verify(s, path, mask_readonly, "read-only", err);
		if (r < 0)
			return r;
	}
	return 0;
}
