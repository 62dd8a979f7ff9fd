/* SPDX-License-Identifier: Apache-2.0 */
#include "files/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/tar_path.h"

enum { HOLE = 4096, DIRS_MAX = 2000000 };
#define NOBODY 65534u /* whom an id belongs to that does not exist in the container */

struct late { /* a directory's times, which what comes into it changes */
	char *path; /* owned */
	struct timespec mtime;
};
struct work {
	struct extract *x;
	struct tar *t;
	const struct tar_entry *e;
	char path[PATH_MAX];    /* clean; cut in two */
	const char *dir, *name; /* borrowed from @path: the parent, "" for the top, and the last part */
	int parent;          /* owned; -EBADF: none */
	struct late *dirs;   /* owned */
	size_t n_dirs, cap_dirs;
};

static int fail(const struct work *w, int r, const char *what, struct err *err)
{
	char name[160];
	return err_sys(err, r, "member '%s': %s", tar_escape(name, sizeof(name), w->e->path), what);
}

static int refuse(const struct work *w, enum err_kind kind, const char *what, struct err *err)
{
	char name[160];
	return err_set(err, kind, "member '%s': %s", tar_escape(name, sizeof(name), w->e->path), what);
}

/* Owner, mode, attributes, time */

/* An id that the container does not have becomes nobody's, and root's where even nobody is none: never another one (threats.md section 3). */
static int chown_id(int fd, const char *name, uint64_t id, bool group)
{
	const uint32_t ids[] = {id < UINT32_MAX ? (uint32_t) id : NOBODY, NOBODY, 0};
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		r = fchownat(fd, name, group ? (uid_t) -1 : ids[i], group ? ids[i] : (gid_t) -1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
		if (r != -EINVAL && r != -EOVERFLOW)
			break;
	}
	return r;
}

static int chown_mapped(const struct work *w, int fd, const char *name)
{
	const struct extract *x = w->x;
	bool force = x->flags & EXTRACT_FORCE_OWNER;
	if (!(x->flags & EXTRACT_OWNER))
		return 0;
	int r = chown_id(fd, name, force ? x->uid : w->e->uid, /* group= */ false);
	return r < 0 ? r : chown_id(fd, name, force ? x->gid : w->e->gid, /* group= */ true);
}

static struct timespec mtime_of(const struct tar_entry *e)
{
	return (struct timespec) {.tv_sec = e->mtime_s, .tv_nsec = e->mtime_ns};
}

static int set_time(const struct work *w, int fd, const char *name)
{
	const struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(w->e)};
	return utimensat(fd, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

/* Of revision 2, or 3 with root id 0, which says the same; the kernel adds the root of our user namespace. */
static int set_capability(int fd, const struct tar_xattr *a)
{
	unsigned char v[XATTR_CAPS_SZ_2];
	if (a->len < sizeof(v) || a->len > XATTR_CAPS_SZ_3)
		return 0;
	memcpy(v, a->value, sizeof(v));
	uint32_t rev = le32(v) & VFS_CAP_REVISION_MASK;
	bool v3 = a->len == XATTR_CAPS_SZ_3 && rev == VFS_CAP_REVISION_3 && le32((const unsigned char *) a->value + sizeof(v)) == 0;
	if (!v3 && !(a->len == sizeof(v) && rev == VFS_CAP_REVISION_2))
		return 0;
	v[3] = VFS_CAP_REVISION_2 >> 24;
	return fsetxattr(fd, a->name, v, sizeof(v), 0) < 0 ? -errno : 0;
}

static int set_xattrs(const struct work *w, int fd, struct err *err)
{
	for (size_t i = 0; w->x->flags & EXTRACT_XATTRS && i < w->e->n_xattrs; i++) {
		const struct tar_xattr *a = &w->e->xattrs[i];
		int r = 0;
		if (str_eq(a->name, "security.capability") && w->e->type == TAR_FILE)
			r = w->x->flags & EXTRACT_HARMLESS ? 0 : set_capability(fd, a);
		else if (str_after(a->name, "user.") && !str_after(a->name, "user.overlay."))
			r = fsetxattr(fd, a->name, a->value, a->len, 0) < 0 ? -errno : 0;
		if (r < 0 && r != -EOPNOTSUPP)
			return fail(w, r, "setting its extended attributes", err);
	}
	return 0;
}

/* Of a file or directory that is open; chown first: it takes set-id bits and capabilities away. */
static int set_all(const struct work *w, int fd, struct err *err)
{
	int r = chown_mapped(w, fd, "");
	if (r == 0 && fchmod(fd, (mode_t) w->e->mode & (w->x->flags & EXTRACT_HARMLESS ? 01777u : 07777u)) < 0)
		r = -errno;
	if (r < 0)
		return fail(w, r, "setting its owner and mode", err);
	return set_xattrs(w, fd, err);
}

/* Parents and what is in the way */

static int make_parent(struct work *w, struct err *err)
{
	struct extract *x = w->x;
	_cleanup_close_ int at = x->open_dir(x->dir, ".", O_PATH | O_DIRECTORY);
	char part[PATH_MAX];
	if (at < 0)
		return fail(w, at, "opening the directory", err);
	for (size_t n = 0; w->dir[n];) {
		n += strcspn(w->dir + n, "/");
		memcpy(part, w->dir, n);
		part[n] = '\0';
		int fd = x->open_dir(x->dir, part, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			const char *leaf = strrchr(part, '/') ? strrchr(part, '/') + 1 : part;
			if (mkdirat(at, leaf, 0755) < 0 && errno != EEXIST)
				return fail(w, -errno, "making its directory", err);
			if (x->flags & EXTRACT_FORCE_OWNER)
				(void) chown_mapped(w, at, leaf); /* it is seen at the entry itself when that cannot be */
			fd = x->open_dir(x->dir, part, O_PATH | O_DIRECTORY);
		}
		if (fd == -ELOOP || fd == -EXDEV)
			return refuse(w, ERR_CORRUPT, "its way leads through a symbolic link out of the directory", err);
		if (fd < 0)
			return fail(w, fd, "opening its directory", err);
		safe_close(at);
		at = fd;
		n += w->dir[n] == '/';
	}
	w->parent = take_fd(&at);
	return 0;
}

static int open_parent(struct work *w, struct err *err)
{
	w->parent = w->x->open_dir(w->x->dir, *w->dir ? w->dir : ".", O_PATH | O_DIRECTORY);
	return w->parent >= 0 ? 0 : make_parent(w, err);
}

/* docker's rules. Return: 1 a directory stays; 0 the place is free; <0. */
static int make_way(struct work *w, struct err *err)
{
	struct stat st;
	bool dir = w->e->type == TAR_DIR;
	if (fstatat(w->parent, w->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(w, -errno, "looking at its place", err);
	if (S_ISDIR(st.st_mode) && dir)
		return 1;
	if (w->x->flags & EXTRACT_NO_OVERWRITE && S_ISDIR(st.st_mode) != dir) {
		char name[160];
		size_t n = strlen(tar_escape(name, sizeof(name), w->e->path));
		while (n > 1 && name[n - 1] == '/')
			name[--n] = '\0';
		return dir ? err_set(err, ERR_INVALID, "cannot overwrite non-directory \"%s\" with directory \"%s\"", name, name) :
			     err_set(err, ERR_INVALID, "cannot overwrite directory \"%s\" with non-directory \"%s\"", name, name);
	}
	int r = S_ISDIR(st.st_mode) ? rm_rf_at(w->parent, w->name) : unlinkat(w->parent, w->name, 0) < 0 && errno != ENOENT ? -errno : 0;
	return r < 0 ? fail(w, r, "removing what is in its place", err) : 0;
}

/* Members, by type */

static int keep_dir(struct work *w, struct err *err)
{
	if (w->n_dirs == w->cap_dirs) {
		size_t cap = MAX(2 * w->cap_dirs, (size_t) 64);
		struct late *v = cap <= DIRS_MAX ? realloc(w->dirs, cap * sizeof(*v)) : NULL;
		if (!v)
			return cap > DIRS_MAX ? refuse(w, ERR_QUOTA, "more than two million directories", err) : err_oom(err);
		w->dirs = v;
		w->cap_dirs = cap;
	}
	char *path = *w->dir ? str_printf("%s/%s", w->dir, w->name) : strdup(w->name);
	if (!path)
		return err_oom(err);
	w->dirs[w->n_dirs++] = (struct late) {path, mtime_of(w->e)};
	return 0;
}

static int do_dir(struct work *w, struct err *err)
{
	int r = make_way(w, err);
	if (r < 0)
		return r;
	if (r == 0 && mkdirat(w->parent, w->name, 0700) < 0)
		return fail(w, -errno, "making the directory", err);
	_cleanup_close_ int fd = openat(w->parent, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(w, -errno, "opening the directory", err);
	r = set_all(w, fd, err);
	return r < 0 ? r : keep_dir(w, err);
}

static bool all_zero(const char *p, size_t n)
{
	return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Blocks of zeros become holes. */
static int write_piece(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		size_t k = MIN(n, (size_t) (HOLE - at % HOLE));
		while (k < n && !all_zero(p + k, MIN(n - k, (size_t) HOLE)))
			k += MIN(n - k, (size_t) HOLE);
		if (!(k == HOLE && all_zero(p, k))) {
			for (size_t done = 0; done < k;) {
				ssize_t got = pwrite(fd, p + done, k - done, (off_t) (at + done));
				if (got < 0 && errno != EINTR)
					return -errno;
				done += (size_t) MAX(got, (ssize_t) 0);
			}
		}
		p += k;
		at += k;
		n -= k;
	}
	return 0;
}

static int copy_data(struct work *w, int fd, struct err *err)
{
	const void *p;
	uint64_t at;
	ssize_t n;
	while ((n = tar_data(w->t, &p, &at)) > 0) {
		int r = write_piece(fd, p, (size_t) n, at);
		if (r < 0)
			return fail(w, r, "writing it", err);
		w->x->bytes += (uint64_t) n;
		if (w->x->progress && w->x->progress(w->x->ctx, w->x->bytes) < 0)
			return err_set(err, ERR_SYSTEM, "stopped");
	}
	if (n < 0)
		return err_set(err, n == -EDQUOT ? ERR_QUOTA : n == -EBADMSG ? ERR_CORRUPT : ERR_SYSTEM, "%s", tar_why(w->t));
	return ftruncate(fd, (off_t) w->e->size) < 0 ? fail(w, -errno, "writing it", err) : 0;
}

static int do_file(struct work *w, struct err *err)
{
	int r = make_way(w, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(w->parent, w->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(w, -errno, "making the file", err);
	r = copy_data(w, fd, err);
	r = r < 0 ? r : set_all(w, fd, err);
	if (r < 0)
		return r;
	const struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(w->e)};
	return futimens(fd, t) < 0 ? fail(w, -errno, "setting its time", err) : 0;
}

static int finish_name(struct work *w, struct err *err)
{
	int r = chown_mapped(w, w->parent, w->name);
	if (r < 0)
		return fail(w, r, "setting its owner", err);
	r = set_time(w, w->parent, w->name);
	return r < 0 ? fail(w, r, "setting its time", err) : 0;
}

static int do_symlink(struct work *w, struct err *err)
{
	int r = make_way(w, err);
	if (r < 0)
		return r;
	if (!*w->e->link)
		return refuse(w, ERR_CORRUPT, "a symbolic link to nothing", err);
	if (symlinkat(w->e->link, w->parent, w->name) < 0)
		return fail(w, -errno, "making the symbolic link", err);
	return finish_name(w, err);
}

/* To a member of this archive, or to what the directory holds already; never beyond it, never through a last link. */
static int do_hardlink(struct work *w, struct err *err)
{
	char target[PATH_MAX], renamed[PATH_MAX];
	const char *name, *to = target;
	int r = tar_path_clean(w->e->link, PATH_MAX - 1, w->x->depth_max, target, err);
	if (r < 0)
		return err_wrap(err, "target of a hard link");
	if (w->x->rename)
		to = w->x->rename(w->x->ctx, target, renamed);
	if (!to || !*to)
		return refuse(w, ERR_CORRUPT, "a hard link to what the archive does not hold", err);
	if (to != target)
		(void) str_copy(target, sizeof(target), to); /* the same size */
	const char *parent = tar_path_split(target, &name);
	_cleanup_close_ int dir = w->x->open_dir(w->x->dir, *parent ? parent : ".", O_PATH | O_DIRECTORY);
	struct stat st;
	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, dir < 0 ? dir : -errno, "the target of the hard link", err);
	if (S_ISDIR(st.st_mode))
		return refuse(w, ERR_CORRUPT, "a hard link to a directory", err);
	struct stat own;
	if (fstatat(w->parent, w->name, &own, AT_SYMLINK_NOFOLLOW) == 0 && own.st_dev == st.st_dev && own.st_ino == st.st_ino)
		return 0;
	r = make_way(w, err);
	if (r < 0)
		return r;
	return linkat(dir, name, w->parent, w->name, 0) < 0 ? fail(w, -errno, "making the hard link", err) : 0;
}

static int do_node(struct work *w, struct err *err)
{
	bool fifo = w->e->type == TAR_FIFO;
	if (!fifo && w->x->flags & EXTRACT_NO_DEVICES)
		return 0;
	int r = make_way(w, err);
	if (r < 0)
		return r;
	mode_t type = fifo ? S_IFIFO : w->e->type == TAR_CHAR ? S_IFCHR : S_IFBLK;
	if (mknodat(w->parent, w->name, type | (mode_t) w->e->mode, fifo ? 0 : makedev(w->e->dev_major, w->e->dev_minor)) < 0)
		return errno == EPERM && !fifo ? refuse(w, ERR_DENIED, "device nodes cannot be made here", err) : fail(w, -errno, "making the node", err);
	return finish_name(w, err);
}

/* The directory that everything goes into: docker leaves it as it is when the archive calls it ".". */
static int do_top(struct work *w, struct err *err)
{
	return w->e->type == TAR_DIR ? 0 : refuse(w, ERR_CORRUPT, "the top directory cannot be anything else", err);
}

static int do_member(struct work *w, struct err *err)
{
	static int (*const by_type[])(struct work *, struct err *) = {
		[TAR_FILE] = do_file, [TAR_HARDLINK] = do_hardlink, [TAR_SYMLINK] = do_symlink, [TAR_CHAR] = do_node, [TAR_BLOCK] = do_node, [TAR_DIR] = do_dir, [TAR_FIFO] = do_node,
	};
	static_assert(ARRAY_LEN(by_type) == TAR_TYPE_MAX_, "a function for each");
	char renamed[PATH_MAX], shown[160];
	int r = tar_path_clean(w->e->path, PATH_MAX - 1, w->x->depth_max, w->path, err);
	if (r < 0)
		return err_wrap(err, "member '%s'", tar_escape(shown, sizeof(shown), w->e->path));
	const char *name = w->x->rename ? w->x->rename(w->x->ctx, w->path, renamed) : w->path;
	if (!name)
		return 0;
	if (name != w->path)
		(void) str_copy(w->path, sizeof(w->path), name); /* the same size */
	if (!*w->path)
		return do_top(w, err);
	w->dir = tar_path_split(w->path, &w->name);
	r = open_parent(w, err);
	r = r < 0 ? r : by_type[w->e->type](w, err);
	w->parent = safe_close(w->parent);
	return r;
}

/* Deepest last, but the order does not matter: setting a time changes no other. A directory that was moved meanwhile keeps its own. */
static void set_dir_times(struct work *w)
{
	for (size_t i = w->n_dirs; i-- > 0;) {
		_cleanup_close_ int fd = w->x->open_dir(w->x->dir, w->dirs[i].path, O_RDONLY | O_DIRECTORY);
		const struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, w->dirs[i].mtime};
		if (fd >= 0)
			(void) futimens(fd, t); /* best effort: only times */
	}
}

int extract_all(struct extract *x, struct tar *t, struct err *err)
{
	struct work w = {.x = x, .t = t, .parent = -EBADF};
	int r;
	while ((r = tar_next(t, &w.e)) > 0) {
		x->entries++;
		r = do_member(&w, err);
		if (r < 0)
			break;
	}
	if (r < 0 && tar_why(t)[0])
		r = err_set(err, r == -EDQUOT ? ERR_QUOTA : r == -EOPNOTSUPP ? ERR_UNSUPPORTED : r == -EBADMSG ? ERR_CORRUPT : ERR_SYSTEM, "%s", tar_why(t));
	set_dir_times(&w);
	for (size_t i = 0; i < w.n_dirs; i++)
		free(w.dirs[i].path);
	free(w.dirs);
	return r;
}
