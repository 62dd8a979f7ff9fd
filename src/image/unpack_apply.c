/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apply: one layer's archive into one directory, as an overlay wants it. Whiteouts become character devices 0:0, opaque markers are
 * handed to the engine (trusted.* needs the host's root), a later entry replaces an earlier one, directories get their
 * times last. Device nodes of the archive are counted and left out: under a user namespace they are dead weight, and a node
 * 0:0 would be a whiteout that nobody wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/tar_path.h"
#include "image/unpack_tree.h"
#include "kernel/path.h"

enum { ID_MAX = 65535, DIR_TIMES_MAX = 128 << 20, WRITEBACK_BYTES = 256 << 10 };
#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct apply {
	struct unpack *u; /* borrowed */
	struct tree tree;
	struct strbuf times; /* struct dir_time and a path, again and again */
	char path[UNPACK_PATH_MAX + 8], link[UNPACK_PATH_MAX + 8]; /* clean; cut in place */
};
struct dir_time {
	struct timespec mtime;
	size_t path_len; /* bytes that follow, NUL included */
};

/* Where an entry goes. */
struct place {
	int dir; /* borrowed */
	const char *name, *real; /* last component; the parent's path without links */
};

static struct timespec mtime_of(const struct tar_entry *e)
{
	return (struct timespec) {.tv_sec = e->mtime_s, .tv_nsec = e->mtime_ns};
}

static int later_time(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	const char *slash = *p->real ? "/" : "";
	struct dir_time d = {.mtime = mtime_of(e), .path_len = strlen(p->real) + strlen(slash) + strlen(p->name) + 1};
	strbuf_add(&a->times, &d, sizeof(d));
	strbuf_adds(&a->times, p->real);
	strbuf_adds(&a->times, slash);
	strbuf_add(&a->times, p->name, strlen(p->name) + 1);
	return strbuf_err(&a->times) < 0 ? err_set(err, ERR_QUOTA, "the names of its directories need more than %d MiB", DIR_TIMES_MAX >> 20) : 0;
}

/* After everything: a directory that was replaced meanwhile has no time to get. */
static void set_times(struct apply *a)
{
	for (size_t at = 0; at < a->times.len;) {
		struct dir_time d;
		memcpy(&d, a->times.s + at, sizeof(d));
		const char *path = a->times.s + at + sizeof(d);
		at += sizeof(d) + d.path_len;
		_cleanup_close_ int fd = open_beneath_nosymlink(a->tree.root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		const struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, d.mtime};
		if (fd >= 0)
			(void) futimens(fd, ts); /* best effort: a time the filesystem cannot hold harms nobody */
	}
}

static int check_ids(const struct tar_entry *e, struct err *err)
{
	if (e->uid > ID_MAX)
		return err_set(err, ERR_CORRUPT, "its owner %llu is outside 0..%d", (unsigned long long) e->uid, ID_MAX);
	if (e->gid > ID_MAX)
		return err_set(err, ERR_CORRUPT, "its group %llu is outside 0..%d", (unsigned long long) e->gid, ID_MAX);
	return 0;
}

/* Owner, mode bits that creation does not set or that chown clears, attributes. */
static int set_owner(int fd, const struct tar_entry *e, bool mode_too, struct err *err)
{
	/* also for 0:0: a setgid parent hands its group down */
	if (fchown(fd, (uid_t) e->uid, (gid_t) e->gid) < 0)
		return err_sys(err, -errno, "setting its owner");
	if ((mode_too || (e->mode & 07000)) && fchmod(fd, e->mode) < 0)
		return err_sys(err, -errno, "setting its mode");
	return e->n_xattrs ? unpack_xattrs(fd, e, err) : 0;
}

static int write_data(struct apply *a, int fd, const struct tar_entry *e, struct err *err)
{
	const void *p;
	uint64_t offset;
	ssize_t n;
	while ((n = unpack_data(a->u, &p, &offset, err)) > 0) {
		if (e->sparse && lseek(fd, (off_t) offset, SEEK_SET) < 0)
			return err_sys(err, -errno, "seeking");
		int r = write_all(fd, p, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "writing");
		a->u->disk_bytes += (uint64_t) n;
	}
	if (n >= 0 && e->data_size >= WRITEBACK_BYTES)
		(void) sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* the sync at the end waits for less */
	if (n >= 0 && e->sparse && ftruncate(fd, (off_t) e->size) < 0)
		return err_sys(err, -errno, "making it %llu bytes long", (unsigned long long) e->size);
	return (int) n;
}

static int create_file(struct apply *a, const struct place *p, uint32_t mode, struct err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(p->dir, p->name, flags, mode & 0777);
	if (fd < 0 && errno == EEXIST) {
		int r = tree_remove(&a->tree, p->dir, p->name, err);
		if (r < 0)
			return r;
		fd = openat(p->dir, p->name, flags, mode & 0777);
	}
	return fd < 0 ? err_sys(err, -errno, "creating it") : fd;
}

static int put_file(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	_cleanup_close_ int fd = create_file(a, p, e->mode, err);
	if (fd < 0)
		return fd;
	int r = write_data(a, fd, e, err);
	if (r >= 0)
		r = set_owner(fd, e, /* mode_too= */ false, err);
	if (r < 0)
		return r;
	const struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(e)};
	return futimens(fd, ts) < 0 ? err_sys(err, -errno, "setting its time") : 0;
}

static int put_dir(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	bool made;
	_cleanup_close_ int fd = tree_mkdir(&a->tree, p->dir, p->name, e->mode, &made, err);
	if (fd < 0)
		return fd;
	int r = set_owner(fd, e, /* mode_too= */ true, err); /* a setgid parent hands its bit down */
	return r < 0 ? r : later_time(a, p, e, err);
}

/* "./" itself: the layer's root. */
static int put_root(struct apply *a, const struct tar_entry *e, struct err *err)
{
	if (e->type != TAR_DIR)
		return err_set(err, ERR_CORRUPT, "the root of a layer can only be a directory");
	_cleanup_close_ int fd = openat(a->tree.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "opening the root");
	int r = set_owner(fd, e, /* mode_too= */ true, err);
	const struct place here = {.real = "", .name = "."};
	return r < 0 ? r : later_time(a, &here, e, err);
}

/* Owner and time of what is never opened: links and pipes. */
static int set_unopened(const struct place *p, const struct tar_entry *e, struct err *err)
{
	if (fchownat(p->dir, p->name, (uid_t) e->uid, (gid_t) e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "setting its owner");
	const struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(e)};
	return utimensat(p->dir, p->name, ts, AT_SYMLINK_NOFOLLOW) < 0 ? err_sys(err, -errno, "setting its time") : 0;
}

static int put_symlink(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	if (!*e->link)
		return err_set(err, ERR_CORRUPT, "a symbolic link to nothing");
	if (symlinkat(e->link, p->dir, p->name) < 0) {
		if (errno != EEXIST)
			return err_sys(err, -errno, "making the symbolic link");
		int r = tree_remove(&a->tree, p->dir, p->name, err);
		if (r < 0)
			return r;
		if (symlinkat(e->link, p->dir, p->name) < 0)
			return err_sys(err, -errno, "making the symbolic link");
	}
	return set_unopened(p, e, err);
}

static int put_fifo(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	if (mkfifoat(p->dir, p->name, e->mode & 0777) < 0) {
		if (errno != EEXIST)
			return err_sys(err, -errno, "making the pipe");
		int r = tree_remove(&a->tree, p->dir, p->name, err);
		if (r < 0)
			return r;
		if (mkfifoat(p->dir, p->name, e->mode & 0777) < 0)
			return err_sys(err, -errno, "making the pipe");
	}
	return set_unopened(p, e, err);
}

static int put_node(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	a->u->skipped_nodes++;
	return 0;
}

/* The target of a hard link lies in a layer below: its copy in this layer is what an overlay would make of it. */
static int copy_up(struct apply *a, const struct place *p, const char *target, struct err *err)
{
	char esc[160];
	_cleanup_close_ int from = -EBADF;
	int r = tree_lower(&a->tree, target, &from, err);
	if (r < 0)
		return r;
	const struct unpack_msg *m = a->u->msg;
	if (m->what != UNPACK_FILE || from < 0)
		return err_set(err, ERR_CORRUPT, "a hard link to '%s', which is no file of this layer or of those below", tar_escape(esc, sizeof(esc), target));
	struct tar_entry e = {.type = TAR_FILE, .mode = m->mode & 07777, .uid = m->uid, .gid = m->gid, .mtime_s = m->mtime_s, .mtime_ns = m->mtime_ns};
	r = check_ids(&e, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = create_file(a, p, e.mode, err);
	if (fd < 0)
		return fd;
	_cleanup_free_ char *buf = malloc(1 << 20);
	if (!buf)
		return err_oom(err);
	ssize_t n;
	while ((n = read_full(from, buf, 1 << 20)) > 0) {
		r = write_all(fd, buf, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "copying from the layer below");
		a->u->disk_bytes += (uint64_t) n;
		if (a->u->disk_bytes > a->u->req.budget.bytes)
			return err_set(err, ERR_QUOTA, "more than %llu bytes unpacked", (unsigned long long) a->u->req.budget.bytes);
	}
	if (n < 0)
		return err_sys(err, (int) n, "copying from the layer below");
	r = set_owner(fd, &e, /* mode_too= */ false, err);
	const struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(&e)};
	return r < 0 ? r : futimens(fd, ts) < 0 ? err_sys(err, -errno, "setting its time") : 0;
}

static bool same_file(const struct place *p, int dir, const char *name)
{
	struct stat x, y;
	return fstatat(p->dir, p->name, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(dir, name, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static int link_here(struct apply *a, const struct place *p, int dir, const char *name, struct err *err)
{
	if (linkat(dir, name, p->dir, p->name, 0) == 0)
		return 0;
	if (errno == EEXIST) {
		if (same_file(p, dir, name))
			return 0;
		/* removing may drop the cache that @dir comes from */
		_cleanup_close_ int held = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		_cleanup_close_ int to = openat(p->dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (held < 0 || to < 0)
			return err_sys(err, -errno, "holding its directory");
		int r = tree_remove(&a->tree, to, p->name, err);
		if (r < 0)
			return r;
		if (linkat(held, name, to, p->name, 0) == 0)
			return 0;
	}
	return err_sys(err, -errno, "making the hard link");
}

/* The target's own parents are looked up as they are in this layer; nothing is made on the way. */
static int put_hardlink(struct apply *a, const struct place *p, const struct tar_entry *e, struct err *err)
{
	char esc[160], clean[UNPACK_PATH_MAX + 8];
	struct err why;
	if (tar_path_clean(e->link, a->u->req.budget.path, a->u->req.budget.depth, clean, &why) < 0)
		return err_set(err, (enum err_kind) why.kind, "a hard link to '%s': %s", tar_escape(esc, sizeof(esc), e->link), why.msg);
	if (!clean[0])
		return err_set(err, ERR_CORRUPT, "a hard link to the root");
	(void) str_copy(a->link, sizeof(a->link), clean);
	const char *name, *real, *parent = tar_path_split(a->link, &name);
	/* finding the target may push the entry's own parent out of the cache */
	_cleanup_close_ int held = openat(p->dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (held < 0)
		return err_sys(err, -errno, "holding its directory");
	const struct place here = {.dir = held, .name = p->name, .real = ""};
	int dir, r = tree_parent(&a->tree, parent, 0, &dir, &real, err);
	if (r < 0)
		return err_wrap(err, "a hard link to '%s'", tar_escape(esc, sizeof(esc), clean));
	struct stat st;
	if (r > 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode) || S_ISCHR(st.st_mode))
			return err_set(err, ERR_CORRUPT, "a hard link to '%s', which is no file", tar_escape(esc, sizeof(esc), clean));
		return link_here(a, &here, dir, name, err);
	}
	return copy_up(a, &here, clean, err);
}

static int put_opaque(struct apply *a, const struct place *p, struct err *err)
{
	_cleanup_close_ int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "opening its directory");
	return tree_opaque(&a->tree, fd, err);
}

/* ".wh.NAME": hide NAME of the layers below. What this layer itself holds under that name stays. */
static int put_whiteout(struct apply *a, const struct place *p, const char *hidden, struct err *err)
{
	char path[UNPACK_PATH_MAX + 8];
	struct stat st;
	if (fstatat(p->dir, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISDIR(st.st_mode))
			return 0;
		_cleanup_close_ int fd = openat(p->dir, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return fd < 0 ? err_sys(err, -errno, "opening the directory") : tree_opaque(&a->tree, fd, err);
	}
	if (str_format(path, sizeof(path), "%s%s%s", p->real, *p->real ? "/" : "", hidden) < 0)
		return err_set(err, ERR_QUOTA, "its path is too long");
	int r = tree_lower(&a->tree, path, NULL, err);
	if (r < 0 || a->u->msg->what == UNPACK_NONE)
		return r; /* nothing to hide */
	return mknodat(p->dir, hidden, S_IFCHR | 0, 0) < 0 ? err_sys(err, -errno, "making the whiteout") : 0;
}

static int apply_whiteout(struct apply *a, const struct tar_entry *e, const char *parent, const char *name, struct err *err)
{
	const char *hidden = name + strlen(WHITEOUT);
	bool opaque = strcmp(name, WHITEOUT_OPAQUE) == 0;
	if (!opaque && str_after(name, WHITEOUT_META))
		return 0; /* aufs bookkeeping */
	if (e->type != TAR_FILE && e->type != TAR_HARDLINK)
		return err_set(err, ERR_CORRUPT, "a whiteout that is not a plain file");
	if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return err_set(err, ERR_CORRUPT, "a whiteout of nothing");
	struct place p = {.name = name};
	int r = tree_parent(&a->tree, parent, TREE_CREATE | TREE_LOWER | TREE_NOFOLLOW, &p.dir, &p.real, err);
	if (r <= 0)
		return r; /* a directory that is in no layer hides nothing */
	return opaque ? put_opaque(a, &p, err) : put_whiteout(a, &p, hidden, err);
}

/* A whiteout's name among the parents. Return: 1 to be left out (aufs), 0 none, ERR_CORRUPT. */
static int check_parents(const char *path, struct err *err)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		if (strncmp(p, WHITEOUT_META, strlen(WHITEOUT_META)) == 0)
			return 1;
		if (strncmp(p, WHITEOUT, strlen(WHITEOUT)) == 0)
			return err_set(err, ERR_CORRUPT, "a whiteout among its parents");
		p += n + (p[n] == '/');
	}
	return 0;
}

static int apply_entry(struct apply *a, const struct tar_entry *e, struct err *err)
{
	static int (*const put[TAR_TYPE_MAX_])(struct apply *, const struct place *, const struct tar_entry *, struct err *) = {
		[TAR_FILE] = put_file, [TAR_HARDLINK] = put_hardlink, [TAR_SYMLINK] = put_symlink, [TAR_CHAR] = put_node,
		[TAR_BLOCK] = put_node, [TAR_DIR] = put_dir, [TAR_FIFO] = put_fifo,
	};
	int r = tar_path_clean(e->path, a->u->req.budget.path, a->u->req.budget.depth, a->path, err);
	if (r >= 0)
		r = check_ids(e, err);
	if (r < 0)
		return r;
	if (!a->path[0])
		return put_root(a, e, err);
	struct place p;
	const char *parent = tar_path_split(a->path, &p.name);
	r = check_parents(parent, err);
	if (r != 0)
		return MIN(r, 0);
	if (str_after(p.name, WHITEOUT))
		return apply_whiteout(a, e, parent, p.name, err);
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK)
		return put_node(a, &p, e, err);
	r = tree_parent(&a->tree, parent, TREE_CREATE, &p.dir, &p.real, err);
	if (r < 0)
		return r;
	return put[e->type](a, &p, e, err);
}

int unpack_apply(struct unpack *u, int root, struct err *err)
{
	struct apply *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	a->u = u;
	strbuf_init(&a->times, DIR_TIMES_MAX);
	tree_init(&a->tree, u, root);
	const struct tar_entry *e;
	int r;
	while ((r = unpack_next(u, &e, err)) > 0) {
		r = apply_entry(a, e, err);
		if (r < 0) {
			r = unpack_fail_member(u, err, e->path);
			break;
		}
	}
	if (r >= 0)
		set_times(a);
	tree_done(&a->tree);
	strbuf_done(&a->times);
	free(a);
	return r;
}
