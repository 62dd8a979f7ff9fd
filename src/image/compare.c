/* SPDX-License-Identifier: Apache-2.0 */
#include "image/compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/tar.h"
#include "kernel/path.h"

enum { BUF = 256 << 10, NAMES_MAX = 2000000, WAYS_MAX = 256 << 20, XATTRS_MAX = 64 << 10, SHOWN_MAX = 400 };

/* Hard links: which file of the stored tree stands for one of the fresh tree. */
struct twin {
	ino_t fresh, stored;
};

struct walk {
	const struct compare *c;
	struct strbuf ways; /* directories to come, relative, each with its NUL; the last one is next */
	void *twins;        /* of tsearch(3) */
	uint64_t bytes;
	int64_t found;
	int dirs[2];        /* the two directories at hand: fresh, stored */
	const char *way;    /* their path */
	bool told;          /* of the object at hand, something was said */
	char a[BUF], b[BUF]; /* scratch: of the fresh one, of the stored one */
};

static int by_fresh(const void *x, const void *y)
{
	const struct twin *a = x, *b = y;
	return a->fresh < b->fresh ? -1 : a->fresh > b->fresh;
}

static int by_name(const void *x, const void *y)
{
	return strcmp(*(char *const *) x, *(char *const *) y);
}

static void _printf_(3, 4) tell(struct walk *w, const char *name, const char *fmt, ...)
{
	char shown[SHOWN_MAX], how[200];
	va_list ap;
	_cleanup_free_ char *path = str_printf("%s%s%s", w->way, *w->way && *name ? "/" : "", name);
	va_start(ap, fmt);
	(void) vsnprintf(how, sizeof(how), fmt, ap);
	va_end(ap);
	w->found += !w->told;
	w->told = true;
	w->c->differs(w->c->ctx, tar_escape(shown, sizeof(shown), path ? path : name), how);
}

/* Names of directory @fd, sorted. */
static int read_names(int fd, char ***ret, size_t *ret_n, struct err *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own >= 0 ? fdopendir(own) : NULL;
	char **v = NULL;
	size_t n = 0, cap = 0;
	int r = 0;
	if (!d) {
		r = -errno;
		(void) safe_close(own);
		return err_sys(err, r, "reading a directory of a layer");
	}
	for (struct dirent *e; r >= 0 && (errno = 0, e = readdir(d));) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (n == cap) {
			char **grown = n < NAMES_MAX ? realloc(v, (cap = MAX(cap * 2, (size_t) 64)) * sizeof(*v)) : NULL;
			if (!grown) {
				r = err_oom(err);
				break;
			}
			v = grown;
		}
		if (!(v[n] = strdup(e->d_name)))
			r = err_oom(err);
		else
			n++;
	}
	if (r >= 0 && errno)
		r = err_sys(err, -errno, "reading a directory of a layer");
	(void) closedir(d);
	if (n > 0)
		qsort(v, n, sizeof(*v), by_name);
	*ret = v;
	*ret_n = n;
	return r;
}

static void free_names(char **v, size_t n)
{
	while (n > 0)
		free(v[--n]);
	free(v);
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISREG(mode) ? "a file" : S_ISLNK(mode) ? "a symbolic link" : S_ISFIFO(mode) ? "a pipe" : S_ISCHR(mode) ? "a whiteout" : "a special file";
}

/* Content */

/* Where the next byte that is no hole of both files is. */
static off_t next_data(int a, int b, off_t at, off_t size)
{
	off_t x = lseek(a, at, SEEK_DATA), y = lseek(b, at, SEEK_DATA);
	if (x < 0)
		x = errno == ENXIO ? size : at;
	if (y < 0)
		y = errno == ENXIO ? size : at;
	return MIN(x, y);
}

/* Return: 1 alike, 0 not, <0. Both have @size bytes. */
static int same_bytes(struct walk *w, int a, int b, const struct stat *st, struct err *err)
{
	bool holes = (off_t) st->st_blocks * 512 < st->st_size;
	for (off_t at = 0; at < st->st_size;) {
		if (holes && (at = next_data(a, b, at, st->st_size)) >= st->st_size)
			break;
		ssize_t n = pread(a, w->a, BUF, at), m = pread(b, w->b, BUF, at);
		if (n < 0)
			return err_sys(err, -errno, "reading what was unpacked");
		if (n == 0 || m != n || memcmp(w->a, w->b, (size_t) n) != 0)
			return 0; /* a file that the disk does not give back is not the same */
		at += n;
		w->bytes += (uint64_t) n;
		if (w->c->progress)
			w->c->progress(w->c->ctx, w->bytes);
		if (w->c->cancel && atomic_load(w->c->cancel)) {
			(void) err_set(err, ERR_SYSTEM, "cancelled");
			return err->sys = -ECANCELED;
		}
	}
	return 1;
}

/* Attributes */

/* Labels are the host's, not the image's. */
static bool is_of_host(const char *name)
{
	return str_eq(name, "security.selinux") || str_eq(name, "security.ima") || str_eq(name, "security.evm");
}

static ssize_t list_attributes(int fd, char *buf, size_t size)
{
	char path[40];
	ssize_t n = flistxattr(fd, buf, size);
	if (n >= 0 || errno != EBADF)
		return n;
	(void) str_format(path, sizeof(path), "/proc/self/fd/%d", fd); /* opened by O_PATH: the object itself, whatever it is */
	return listxattr(path, buf, size);
}

static ssize_t get_attribute(int fd, const char *name, char *buf, size_t size)
{
	char path[40];
	ssize_t n = fgetxattr(fd, name, buf, size);
	if (n >= 0 || errno != EBADF)
		return n;
	(void) str_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, name, buf, size);
}

/* Every attribute of @from is one of @to, with the same value? Else *@ret_name. The scratch buffers hold lists and values in their halves. */
static bool has_attributes(struct walk *w, int from, int to, char ret_name[256])
{
	ssize_t n = list_attributes(from, w->a, XATTRS_MAX);
	char *value = w->a + XATTRS_MAX, *other = w->b + XATTRS_MAX;
	for (ssize_t at = 0; at < n; at += (ssize_t) strlen(w->a + at) + 1) {
		const char *name = w->a + at;
		if (is_of_host(name))
			continue;
		ssize_t x = get_attribute(from, name, value, XATTRS_MAX), y = get_attribute(to, name, other, XATTRS_MAX);
		if (x >= 0 && x == y && memcmp(value, other, (size_t) x) == 0)
			continue;
		(void) str_copy(ret_name, 256, name);
		return false;
	}
	if (n < 0 && errno != ENOTSUP)
		(void) str_copy(ret_name, 256, "(unreadable)");
	return n >= 0 || errno == ENOTSUP;
}

static void compare_attributes(struct walk *w, const char *name, int a, int b)
{
	char which[256] = "", shown[120];
	if (!has_attributes(w, a, b, which) || !has_attributes(w, b, a, which))
		tell(w, name, "attribute '%s' differs", tar_escape(shown, sizeof(shown), which));
}

/* One object */

static void compare_inode(struct walk *w, const char *name, const struct stat *a, const struct stat *b)
{
	const struct timespec born = w->c->born;
	bool implied = S_ISDIR(a->st_mode) && (a->st_mtim.tv_sec > born.tv_sec || (a->st_mtim.tv_sec == born.tv_sec && a->st_mtim.tv_nsec >= born.tv_nsec));
	if ((a->st_mode & 07777) != (b->st_mode & 07777))
		tell(w, name, "mode %04o, should be %04o", b->st_mode & 07777, a->st_mode & 07777);
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		tell(w, name, "owner %u:%u, should be %u:%u", b->st_uid, b->st_gid, a->st_uid, a->st_gid);
	/* a whiteout's time, and that of a directory which the archive only implies, is when it was unpacked */
	if (!implied && !S_ISCHR(a->st_mode) && (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec))
		tell(w, name, "time %lld.%09ld, should be %lld.%09ld", (long long) b->st_mtim.tv_sec, b->st_mtim.tv_nsec, (long long) a->st_mtim.tv_sec, a->st_mtim.tv_nsec);
	if (!S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink)
		tell(w, name, "%lu names, should be %lu", (unsigned long) b->st_nlink, (unsigned long) a->st_nlink);
	if (a->st_rdev != b->st_rdev)
		tell(w, name, "another device");
}

/* A file of several names. With as many names in both trees, it is the same set of them when each name leads to the same twin. Return: 1 its content
 *  was compared under another name; 0 not yet; <0. */
static int meet_twin(struct walk *w, const char *name, const struct stat *a, const struct stat *b, struct err *err)
{
	struct twin *t = calloc(1, sizeof(*t));
	if (!t)
		return err_oom(err);
	*t = (struct twin) {.fresh = a->st_ino, .stored = b->st_ino};
	void *node = tsearch(t, &w->twins, by_fresh);
	struct twin *known = node ? *(struct twin **) node : NULL;
	if (known == t)
		return 0;
	free(t);
	if (!known)
		return err_oom(err);
	if (known->stored != b->st_ino)
		tell(w, name, "not the file that its other names lead to");
	return known->stored == b->st_ino;
}

/* Open what @st tells of for reading. */
static int open_file(int dir, const char *name, const struct stat *st)
{
	struct stat now;
	_cleanup_close_ int fd = open_xdev_none(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	return fstat(fd, &now) == 0 && now.st_ino == st->st_ino && S_ISREG(now.st_mode) ? take_fd(&fd) : -ESTALE;
}

static int compare_files(struct walk *w, const char *name, const struct stat *a, const struct stat *b, struct err *err)
{
	int r = a->st_nlink > 1 ? meet_twin(w, name, a, b, err) : 0;
	if (r != 0)
		return MIN(r, 0);
	_cleanup_close_ int x = open_file(w->dirs[0], name, a), y = open_file(w->dirs[1], name, b);
	if (x < 0)
		return err_sys(err, x, "reading what was unpacked");
	if (y < 0) {
		tell(w, name, "cannot be read: %s", strerrordesc_np(-y) ?: "?");
		return 0;
	}
	compare_attributes(w, name, x, y);
	if (a->st_size != b->st_size) {
		tell(w, name, "%lld bytes, should be %lld", (long long) b->st_size, (long long) a->st_size);
		return 0;
	}
	r = same_bytes(w, x, y, a, err);
	if (r == 0)
		tell(w, name, "its content differs");
	return MIN(r, 0);
}

static void compare_links(struct walk *w, const char *name)
{
	assert(w->a && w->b); /* tree_compare() saw to it; gcc does not see that beside the sanitizers */
	ssize_t n = readlinkat(w->dirs[0], name, w->a, BUF), m = readlinkat(w->dirs[1], name, w->b, BUF);
	if (n < 0 || n != m || memcmp(w->a, w->b, (size_t) n) != 0)
		tell(w, name, "it leads elsewhere");
}

/* What is neither file nor directory is never opened. */
static void compare_unopened(struct walk *w, const char *name)
{
	_cleanup_close_ int x = openat(w->dirs[0], name, O_PATH | O_NOFOLLOW | O_CLOEXEC), y = openat(w->dirs[1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (x >= 0 && y >= 0)
		compare_attributes(w, name, x, y);
}

static int later_dir(struct walk *w, const char *name, struct err *err)
{
	if (*w->way)
		strbuf_addf(&w->ways, "%s/", w->way);
	strbuf_add(&w->ways, name, strlen(name) + 1);
	return strbuf_err(&w->ways) < 0 ? err_set(err, ERR_QUOTA, "the names of a layer's directories need more than %d MiB", WAYS_MAX >> 20) : 0;
}

static int compare_one(struct walk *w, const char *name, struct err *err)
{
	struct stat a, b;
	if (fstatat(w->dirs[0], name, &a, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "reading what was unpacked");
	if (fstatat(w->dirs[1], name, &b, AT_SYMLINK_NOFOLLOW) < 0) {
		tell(w, name, "cannot be read: %s", strerrordesc_np(errno) ?: "?");
		return 0;
	}
	if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) {
		tell(w, name, "%s, should be %s", kind_of(b.st_mode), kind_of(a.st_mode));
		return 0;
	}
	if (S_ISDIR(a.st_mode))
		return later_dir(w, name, err); /* compared when it is entered */
	compare_inode(w, name, &a, &b);
	if (S_ISREG(a.st_mode))
		return compare_files(w, name, &a, &b, err);
	if (S_ISLNK(a.st_mode))
		compare_links(w, name);
	compare_unopened(w, name);
	return 0;
}

static int merge_names(struct walk *w, char **a, size_t n_a, char **b, size_t n_b, struct err *err)
{
	int r = 0;
	for (size_t i = 0, k = 0; r >= 0 && (i < n_a || k < n_b);) {
		int order = i == n_a ? 1 : k == n_b ? -1 : strcmp(a[i], b[k]);
		w->told = false;
		if (order < 0)
			tell(w, a[i], "is missing");
		else if (order > 0)
			tell(w, b[k], "does not belong there");
		else
			r = compare_one(w, a[i], err);
		i += order <= 0;
		k += order >= 0;
	}
	return r;
}

/* The directories of w->dirs themselves, and what is in them. */
static int compare_opened(struct walk *w, struct err *err)
{
	struct stat a, b;
	char **names[2] = {NULL, NULL};
	size_t n[2] = {0, 0};
	if (fstat(w->dirs[0], &a) < 0 || fstat(w->dirs[1], &b) < 0)
		return err_sys(err, -errno, "reading a directory of a layer");
	w->told = false;
	compare_inode(w, "", &a, &b);
	compare_attributes(w, "", w->dirs[0], w->dirs[1]);
	int r = read_names(w->dirs[0], &names[0], &n[0], err);
	r = r < 0 ? r : read_names(w->dirs[1], &names[1], &n[1], err);
	r = r < 0 ? r : merge_names(w, names[0], n[0], names[1], n[1], err);
	free_names(names[0], n[0]);
	free_names(names[1], n[1]);
	return r;
}

static int compare_dir(struct walk *w, const char *way, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int x = open_xdev_none(w->c->fresh, *way ? way : ".", flags, 0), y = open_xdev_none(w->c->stored, *way ? way : ".", flags, 0);
	w->way = way;
	w->dirs[0] = x;
	w->dirs[1] = y;
	if (x < 0)
		return err_sys(err, x, "reading what was unpacked");
	w->told = false;
	if (y >= 0)
		return compare_opened(w, err);
	tell(w, "", "cannot be read: %s", strerrordesc_np(-y) ?: "?");
	return 0;
}

/* The last of the directories to come, taken off. Return: owned; NULL: out of memory. */
static char *pop(struct strbuf *ways)
{
	size_t at = ways->len - 1;
	while (at > 0 && ways->s[at - 1])
		at--;
	char *way = strdup(ways->s + at);
	ways->len = at;
	return way;
}

int64_t tree_compare(const struct compare *c, struct err *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w)
		return err_oom(err);
	w->c = c;
	strbuf_init(&w->ways, WAYS_MAX);
	int r = compare_dir(w, "", err);
	while (r >= 0 && w->ways.len > 0) {
		_cleanup_free_ char *way = pop(&w->ways);
		r = way ? compare_dir(w, way, err) : err_oom(err);
	}
	int64_t found = r < 0 ? r : w->found;
	strbuf_done(&w->ways);
	tdestroy(w->twins, free);
	free(w);
	return found;
}
