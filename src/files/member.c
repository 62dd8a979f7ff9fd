/* SPDX-License-Identifier: Apache-2.0 */
#include "files/member.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

enum { BUF = 256 << 10, LIST_MAX = 64 << 10 };

int member_writer_init(struct member_writer *m, struct tar_writer *w, unsigned flags, uint64_t entries_max, struct err *err)
{
	*m = (struct member_writer) {.w = w, .flags = flags, .entries_max = entries_max};
	m->xattr_bytes = malloc(LIST_MAX + MEMBER_XATTR_MAX);
	m->buf = malloc(BUF);
	return m->xattr_bytes && m->buf ? 0 : err_oom(err);
}

void member_writer_done(struct member_writer *m)
{
	links_done(&m->links);
	free(m->xattr_bytes);
	free(m->buf);
	m->xattr_bytes = m->buf = NULL;
}

int member_fail(int r, const char *path, struct err *err)
{
	char name[200];
	return err_sys(err, r, "writing '%s' into the archive", tar_escape(name, sizeof(name), path));
}

static int read_fail(int r, const char *path, struct err *err)
{
	char name[200];
	return err_sys(err, r, "reading '%s'", tar_escape(name, sizeof(name), path));
}

/* What belongs to the file rather than to this machine: the reverse of the unpacker's choice. */
static bool wanted(const char *name, bool regular)
{
	if (strcmp(name, "security.capability") == 0)
		return regular;
	return str_after(name, "user.") && !str_after(name, "user.overlay.") && tar_writer_takes_xattr(name);
}

/* Read from inside the container's user namespace the capabilities of its own root come as revision 2, without a root id, which is how images carry
 * them (security/commoncap.c cap_inode_getsecurity()). Those of another root mean nothing elsewhere. */
static bool is_own_capability(const char *name, size_t len)
{
	return strcmp(name, "security.capability") != 0 || len == XATTR_CAPS_SZ_2;
}

static int read_xattrs(struct member_writer *m, int fd, bool regular, const char *path, struct err *err)
{
	char *list = m->xattr_bytes, *at = list + LIST_MAX;
	size_t left = MEMBER_XATTR_MAX;
	m->n_xattrs = 0;
	ssize_t n = flistxattr(fd, list, LIST_MAX - 1);
	if (n < 0)
		return errno == ENOTSUP ? 0 : read_fail(-errno, path, err);
	list[n] = '\0';
	for (const char *name = list; name < list + n; name += strlen(name) + 1) {
		if (!wanted(name, regular))
			continue;
		ssize_t len = fgetxattr(fd, name, at, left);
		if (len < 0 && errno == ERANGE)
			return err_set(err, ERR_QUOTA, "'%.150s': more than %u bytes of extended attributes", path, MEMBER_XATTR_MAX);
		if (len < 0 || !is_own_capability(name, (size_t) len))
			continue; /* gone meanwhile, or of ids that nobody here has */
		if (m->n_xattrs == MEMBER_XATTRS_MAX)
			return err_set(err, ERR_QUOTA, "'%.150s': more than %d extended attributes", path, MEMBER_XATTRS_MAX);
		m->xattrs[m->n_xattrs++] = (struct tar_xattr) {name, at, (size_t) len};
		at += len;
		left -= (size_t) len;
	}
	return 0;
}

static void describe(struct tar_entry *e, const char *path, const struct stat *st)
{
	*e = (struct tar_entry) {
		.path = path, .mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid, .mtime_s = st->st_mtim.tv_sec, .mtime_ns = (uint32_t) st->st_mtim.tv_nsec,
	};
}

static int put(struct member_writer *m, const struct tar_entry *e, struct err *err)
{
	if (m->entries++ >= m->entries_max)
		return err_set(err, ERR_QUOTA, "more than %llu files", (unsigned long long) m->entries_max);
	int r = tar_writer_entry(m->w, e);
	return r < 0 ? member_fail(r, e->path, err) : 0;
}

/* Exactly @size bytes: a file that shrinks meanwhile is filled up with zeros, one that grows is cut. */
static int put_data(struct member_writer *m, int fd, const char *path, uint64_t size, struct err *err)
{
	bool ended = false;
	while (size > 0) {
		size_t want = (size_t) MIN(size, (uint64_t) BUF);
		ssize_t n = ended ? 0 : read_full(fd, m->buf, want);
		if (n < 0)
			return read_fail((int) n, path, err);
		if ((size_t) n < want) {
			ended = true;
			memset(m->buf + n, 0, want - (size_t) n);
		}
		int r = tar_writer_data(m->w, m->buf, want);
		if (r < 0)
			return member_fail(r, path, err);
		size -= want;
		m->bytes += want;
	}
	return 0;
}

/* Return: 1 the link was written, 0 the object itself is to be. */
static int put_hardlink(struct member_writer *m, const char *path, const struct stat *st, struct err *err)
{
	const char *first;
	struct tar_entry e;
	if (st->st_nlink < 2)
		return 0;
	if (links_first(&m->links, st, path, &first) < 0)
		return err_oom(err);
	if (!first)
		return 0;
	describe(&e, path, st);
	e.type = TAR_HARDLINK;
	e.link = first;
	int r = put(m, &e, err);
	return r < 0 ? r : 1;
}

static int put_file(struct member_writer *m, int dirfd, const char *name, const char *path, struct err *err)
{
	struct stat st;
	struct tar_entry e;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
		return 0; /* gone, or something else by now */
	if (fd < 0 || fstat(fd, &st) < 0)
		return read_fail(-errno, path, err);
	if (!S_ISREG(st.st_mode))
		return 0;
	int r = read_xattrs(m, fd, /* regular= */ true, path, err);
	r = r < 0 ? r : put_hardlink(m, path, &st, err);
	if (r != 0)
		return MIN(r, 0);
	describe(&e, path, &st);
	e.size = (uint64_t) st.st_size;
	if (m->bytes_max && (e.size > m->bytes_max || m->bytes > m->bytes_max - e.size))
		return err_set(err, ERR_QUOTA, "'%.150s' and what came before it hold more than %llu bytes, which is all that there is place for", path, (unsigned long long) m->bytes_max);
	e.xattrs = m->xattrs;
	e.n_xattrs = m->n_xattrs;
	r = put(m, &e, err);
	return r < 0 ? r : put_data(m, fd, path, e.size, err);
}

static int put_dir(struct member_writer *m, const char *path, const struct stat *st, int fd, struct err *err)
{
	struct tar_entry e;
	m->n_xattrs = 0;
	int r = fd >= 0 ? read_xattrs(m, fd, /* regular= */ false, path, err) : 0;
	if (r < 0)
		return r;
	describe(&e, path, st);
	e.type = TAR_DIR;
	e.xattrs = m->xattrs;
	e.n_xattrs = m->n_xattrs;
	return put(m, &e, err);
}

static int put_symlink(struct member_writer *m, int dirfd, const char *name, const char *path, const struct stat *st, struct err *err)
{
	char target[4097];
	struct tar_entry e;
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	if (n <= 0)
		return n < 0 && errno != ENOENT && errno != EINVAL ? read_fail(-errno, path, err) : 0;
	target[n] = '\0';
	describe(&e, path, st);
	e.type = TAR_SYMLINK;
	e.mode = 0777;
	e.link = target;
	return put(m, &e, err);
}

static int put_node(struct member_writer *m, const char *path, const struct stat *st, struct err *err)
{
	struct tar_entry e;
	describe(&e, path, st);
	e.type = S_ISFIFO(st->st_mode) ? TAR_FIFO : S_ISCHR(st->st_mode) ? TAR_CHAR : TAR_BLOCK;
	if (e.type != TAR_FIFO && m->flags & MEMBER_NO_DEVICES)
		return 0;
	if (e.type != TAR_FIFO) {
		e.dev_major = major(st->st_rdev);
		e.dev_minor = minor(st->st_rdev);
	}
	return put(m, &e, err);
}

int member_write(struct member_writer *m, int dirfd, const char *name, const char *path, const struct stat *st, int opened, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return put_dir(m, path, st, opened, err);
	if (S_ISREG(st->st_mode))
		return put_file(m, dirfd, name, path, err);
	if (S_ISSOCK(st->st_mode))
		return 0; /* no archive holds one */
	int r = put_hardlink(m, path, st, err);
	if (r != 0)
		return MIN(r, 0);
	return S_ISLNK(st->st_mode) ? put_symlink(m, dirfd, name, path, st, err) : put_node(m, path, st, err);
}

int member_write_mark(struct member_writer *m, const char *path, struct err *err)
{
	const struct tar_entry e = {.type = TAR_FILE, .path = path};
	return put(m, &e, err);
}
