/* SPDX-License-Identifier: Apache-2.0 */
#include "files/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "files/listing.h"

enum { PATH_BYTES_MAX = 512 << 10 };

struct frame {
	int fd; /* owned */
	struct listing names;
	size_t next, path_len;
};
struct walk {
	const struct pack *p;
	struct frame *v; /* owned */
	size_t n, cap;
	struct strbuf path;
	bool rooted; /* names start with a '/' */
};

bool pack_is_kernel_fs(int fd)
{
	static const uint32_t magics[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, 0x19800202 /* mqueue */, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC, SELINUX_MAGIC, BPF_FS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, 0x62656570 /* configfs */, BINFMTFS_MAGIC, 0x65735543 /* fusectl */,
	};
	struct statfs s;
	for (size_t i = 0; i < ARRAY_LEN(magics) && fstatfs(fd, &s) == 0; i++)
		if ((uint32_t) s.f_type == magics[i])
			return true;
	return false;
}

uint64_t pack_mount_id(int dirfd, const char *name)
{
	struct statx x;
	if (statx(dirfd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &x) < 0 || !(x.stx_mask & STATX_MNT_ID))
		return 0;
	return x.stx_mnt_id;
}

static int fail(int r, const struct walk *w, struct err *err)
{
	char name[200];
	return err_sys(err, r, "reading '%s'", tar_escape(name, sizeof(name), w->path.s));
}

static int push(struct walk *w, int *fd_take, struct err *err)
{
	if (w->n >= w->p->depth_max)
		return err_set(err, ERR_QUOTA, "more than %u directories deep", w->p->depth_max);
	if (w->n == w->cap) {
		size_t cap = MAX(2 * w->cap, (size_t) 16);
		struct frame *v = realloc(w->v, cap * sizeof(*v));
		if (!v)
			return err_oom(err);
		w->v = v;
		w->cap = cap;
	}
	struct frame f = {.fd = -EBADF, .path_len = w->path.len};
	int r = listing_read(*fd_take, &f.names);
	if (r < 0 && r != -ENOENT) /* removed meanwhile: empty */
		return fail(r, w, err);
	f.fd = take_fd(fd_take);
	w->v[w->n++] = f;
	return 0;
}

/* Write the directory and, unless what is in it is nobody's, go into it. */
static int enter(struct walk *w, int dirfd, const char *name, const struct stat *st, struct err *err)
{
	const struct pack *p = w->p;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	bool hidden = fd >= 0 && (pack_is_kernel_fs(fd) || (p->hidden_mount && pack_mount_id(fd, "") == p->hidden_mount));
	if (fd < 0)
		return fail(-errno, w, err);
	struct stat shown = *st;
	if (hidden)
		shown.st_uid = shown.st_gid = 0; /* the kernel's root, which nobody inside is */
	int r = member_write(p->m, dirfd, name, *w->path.s ? w->path.s : "/", &shown, hidden ? -EBADF : fd, err);
	if (r < 0 || hidden)
		return r;
	return push(w, &fd, err);
}

static int one(struct walk *w, int dirfd, const char *name, struct err *err)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(-errno, w, err);
	return S_ISDIR(st.st_mode) ? enter(w, dirfd, name, &st, err) : member_write(w->p->m, dirfd, name, w->path.s, &st, -EBADF, err);
}

static void leave(struct walk *w)
{
	struct frame *f = &w->v[--w->n];
	f->fd = safe_close(f->fd);
	listing_done(&f->names);
}

static void cut(struct strbuf *b, size_t len)
{
	b->len = len;
	b->s[len] = '\0';
}

static int walk(struct walk *w, struct err *err)
{
	int r = 0;
	while (r == 0 && w->n > 0) {
		struct frame *f = &w->v[w->n - 1];
		cut(&w->path, f->path_len);
		if (f->next == f->names.n) {
			leave(w);
			continue;
		}
		const char *name = f->names.names[f->next++];
		if (w->path.len > 0 || w->rooted)
			strbuf_addc(&w->path, '/');
		strbuf_adds(&w->path, name);
		if (strbuf_err(&w->path) < 0)
			return err_set(err, ERR_QUOTA, "a path of more than %d bytes", PATH_BYTES_MAX);
		r = one(w, f->fd, name, err);
	}
	return r;
}

static int finish(struct walk *w, int r, struct err *err)
{
	r = r < 0 ? r : walk(w, err);
	while (w->n > 0)
		leave(w);
	free(w->v);
	strbuf_done(&w->path);
	return r;
}

int pack_children(const struct pack *p, int fd, struct err *err)
{
	struct walk w = {.p = p, .path = STRBUF_INIT(PATH_BYTES_MAX)};
	_cleanup_close_ int dup = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	strbuf_adds(&w.path, "");
	int r = dup < 0 ? err_sys(err, -errno, "dup") : strbuf_err(&w.path) < 0 ? err_oom(err) : push(&w, &dup, err);
	return finish(&w, r, err);
}

int pack_object(const struct pack *p, int dirfd, const char *leaf, const char *name, struct err *err)
{
	struct walk w = {.p = p, .path = STRBUF_INIT(PATH_BYTES_MAX), .rooted = true};
	strbuf_adds(&w.path, str_eq(name, "/") ? "" : name);
	return finish(&w, strbuf_err(&w.path) < 0 ? err_oom(err) : one(&w, dirfd, leaf, err), err);
}
