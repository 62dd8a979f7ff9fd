/* SPDX-License-Identifier: Apache-2.0 */
#include "files/find.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "files/filemode.h"
#include "kernel/path.h"

enum { LINKS_MAX = 255 };

void found_done(struct found *f)
{
	f->parent = safe_close(f->parent);
}

/* Add one part to the absolute path @out ("/" when empty). */
static int add_part(char *out, const char *part, size_t n)
{
	size_t len = strlen(out);
	if (n == 0 || (n == 1 && part[0] == '.'))
		return 0;
	if (n == 2 && part[0] == '.' && part[1] == '.') {
		char *slash = strrchr(out, '/');
		slash[slash == out] = '\0';
		return 0;
	}
	bool slash = len > 1;
	if (len + slash + n + 3 > PATH_MAX) /* and room for "/." */
		return -ENAMETOOLONG;
	if (slash)
		out[len++] = '/';
	memcpy(out + len, part, n);
	out[len + n] = '\0';
	return 0;
}

int find_clean(const char *path, char *out)
{
	size_t len = strlen(path);
	bool slash = len > 0 && path[len - 1] == '/', dot = len > 0 && path[len - 1] == '.' && (len == 1 || path[len - 2] == '/');
	(void) str_copy(out, PATH_MAX, "/"); /* fits */
	for (const char *p = path; *p; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");
		int r = add_part(out, p, n);
		if (r < 0)
			return r;
		p += n;
	}
	size_t n = strlen(out);
	if ((slash || dot) && n > 1)
		out[n++] = '/';
	if (dot)
		out[n++] = '.';
	out[n] = '\0';
	return 0;
}

static int resolve_error(int r, const char *path, struct err *err)
{
	if (r == -ENOENT)
		return err_set(err, ERR_NOT_FOUND, "no such file or directory");
	if (r == -ENOTDIR)
		return err_set(err, ERR_INVALID, "'%.200s': a part of the path is not a directory", path);
	if (r == -ELOOP)
		return err_set(err, ERR_INVALID, "'%.200s': too many symbolic links, or one that leads into a kernel file system", path);
	return err_sys(err, r, "'%.200s'", path);
}

/* Split the clean path: the directory that is resolved, and the part that is not. */
static int split(struct found *f, char *dir, struct err *err)
{
	const char *slash = strrchr(f->path, '/'), *leaf = slash + 1, *name = leaf;
	size_t n = (size_t) (slash - f->path);
	memcpy(dir, f->path, n);
	dir[n] = '\0';
	if (!*leaf && n > 0) { /* "/x/": the directory behind x */
		leaf = ".";
		name = strrchr(dir, '/') + 1;
	} else if (!*leaf) {
		leaf = ".";
		name = "/";
	}
	if (str_copy(f->leaf, sizeof(f->leaf), leaf) < 0 || str_copy(f->name, sizeof(f->name), name) < 0)
		return err_set(err, ERR_INVALID, "a part of the path is longer than 255 bytes");
	return 0;
}

int find_object(int root, const char *path, struct found *ret, struct err *err)
{
	char dir[PATH_MAX];
	struct found f = {.parent = -EBADF};
	if (find_clean(path, f.path) < 0)
		return err_set(err, ERR_INVALID, "the path is longer than %d bytes", PATH_MAX - 4);
	int r = split(&f, dir, err);
	if (r < 0)
		return r;
	f.parent = open_in_root(root, *dir ? dir : "/", O_PATH | O_DIRECTORY, 0);
	if (f.parent < 0)
		return resolve_error(f.parent, f.path, err);
	if (fstatat(f.parent, str_eq(f.leaf, ".") ? "" : f.leaf, &f.st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) {
		r = -errno;
		found_done(&f);
		return resolve_error(r, f.path, err);
	}
	*ret = f;
	return 0;
}

int find_dir(int root, const char *path, struct err *err)
{
	char clean[PATH_MAX];
	struct stat st;
	if (find_clean(path, clean) < 0)
		return err_set(err, ERR_INVALID, "the path is longer than %d bytes", PATH_MAX - 4);
	_cleanup_close_ int fd = open_in_root(root, clean, O_PATH, 0);
	if (fd == -ENOTDIR || (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)))
		return err_set(err, ERR_INVALID, "extraction point is not a directory");
	return fd < 0 ? resolve_error(fd, clean, err) : take_fd(&fd);
}

/* A name as a part of an absolute path inside the root: is it a link, and where to? Return: length, 0 no link or not there, -errno. */
static ssize_t read_link(int root, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open_in_root(root, path, O_PATH | O_NOFOLLOW, 0);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	ssize_t n = readlinkat(fd, "", buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

/* Put @link before what is left to walk. */
static int prepend(char *rest, const char *link)
{
	char text[2 * PATH_MAX];
	if (str_format(text, sizeof(text), "%s/%s", link, rest) < 0)
		return -ENAMETOOLONG;
	return str_copy(rest, PATH_MAX, text);
}

static int walk_links(int root, char *rest, char *out)
{
	char link[PATH_MAX];
	for (int links = 0; *rest;) {
		size_t n = strcspn(rest, "/"), before = strlen(out);
		int r = add_part(out, rest, n);
		if (r < 0)
			return r;
		memmove(rest, rest + n, strlen(rest + n) + 1);
		memmove(rest, rest + strspn(rest, "/"), strlen(rest + strspn(rest, "/")) + 1);
		ssize_t len = strlen(out) > before ? read_link(root, out, link, sizeof(link)) : 0;
		if (len < 0 || (len > 0 && ++links > LINKS_MAX))
			return -ELOOP;
		if (len == 0)
			continue;
		char *slash = strrchr(out, '/'); /* the link itself is not part of the way */
		slash[slash == out] = '\0';
		if (link[0] == '/')
			out[1] = '\0';
		r = prepend(rest, link + strspn(link, "/"));
		if (r < 0)
			return r;
	}
	return 0;
}

void find_target(int root, const char *path, char *out)
{
	char rest[PATH_MAX];
	(void) str_copy(out, PATH_MAX, "/"); /* fits */
	if (str_copy(rest, sizeof(rest), path + 1) < 0 || walk_links(root, rest, out) < 0)
		out[0] = '\0';
}

void find_status(int root, const struct found *f, struct files_status *ret)
{
	*ret = (struct files_status) {
		.size = (uint64_t) f->st.st_size, .mode = filemode_to_go(f->st.st_mode), .mtime_s = f->st.st_mtim.tv_sec, .mtime_ns = (uint32_t) f->st.st_mtim.tv_nsec,
	};
	(void) str_copy(ret->name, sizeof(ret->name), f->name); /* the same size */
	if (S_ISLNK(f->st.st_mode))
		find_target(root, f->path, ret->target);
}
