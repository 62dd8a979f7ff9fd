/* SPDX-License-Identifier: Apache-2.0 */
#include "files/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/inflate.h"
#include "files/diff.h"
#include "files/extract.h"
#include "files/find.h"
#include "files/pack.h"
#include "kernel/path.h"

struct job {
	const struct files_request *req;
	const struct files_view *view;
	struct files_msg *done;
};

static int write_stream(void *ctx, const void *p, size_t n)
{
	(void) ctx;
	return write_all(FILES_FD_STREAM, p, n);
}

static int say(const struct files_msg *m, int fd, struct err *err)
{
	int r = send_fds(FILES_FD_SOCK, m, sizeof(*m), &fd, fd >= 0 ? 1 : 0);
	return r < 0 ? err_sys(err, r, "talking to the engine") : 0;
}

/* Archives out */

struct out {
	struct tar_writer *w;
	struct member_writer m;
};

static int out_begin(struct job *j, struct out *o, unsigned flags, struct err *err)
{
	*o = (struct out) {0};
	if (tar_writer_new(write_stream, NULL, &o->w) < 0)
		return err_oom(err);
	return member_writer_init(&o->m, o->w, flags, j->req->budget.entries, err);
}

static int out_end(struct job *j, struct out *o, int r, struct err *err)
{
	if (r >= 0 && (r = tar_writer_end(o->w)) < 0)
		r = err_sys(err, r, "writing the archive");
	j->done->entries = o->m.entries;
	j->done->bytes = o->m.bytes;
	member_writer_done(&o->m);
	o->w = tar_writer_free(o->w);
	return r;
}

/* /dev of a running container is the engine's: it shows as it lies in the root file system, empty. */
static uint64_t hidden_mount(int root)
{
	uint64_t dev = pack_mount_id(root, "dev"), own = pack_mount_id(root, "");
	return dev != own ? dev : 0;
}

static int pack_out(struct job *j, int dirfd, const char *leaf, const char *name, struct err *err)
{
	struct out o;
	int r = out_begin(j, &o, 0, err);
	const struct pack p = {.m = &o.m, .depth_max = j->req->budget.depth, .hidden_mount = hidden_mount(j->view->root)};
	r = r < 0 ? r : pack_object(&p, dirfd, leaf, name, err);
	return out_end(j, &o, r, err);
}

/* What the kernel says in proc and sysfs is no file of the container's; the directory it is mounted on is. */
static int refuse_kernel_fs(const struct found *f, struct err *err)
{
	if (!pack_is_kernel_fs(f->parent) || str_eq(f->leaf, "."))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "no such file or directory");
}

static int tell_status(struct job *j, const struct found *f, struct err *err)
{
	struct files_msg m = {.kind = FILES_STATUS};
	find_status(j->view->root, f, &m.status);
	return say(&m, -EBADF, err);
}

static int do_stat_or_get(struct job *j, struct err *err)
{
	struct found f;
	int r = find_object(j->view->root, j->req->path, &f, err);
	if (r < 0)
		return r;
	r = refuse_kernel_fs(&f, err);
	r = r < 0 ? r : tell_status(j, &f, err);
	if (r >= 0 && j->req->job == FILES_GET)
		r = pack_out(j, f.parent, f.leaf, f.name, err);
	found_done(&f);
	return r;
}

static int do_export(struct job *j, struct err *err)
{
	struct stat st;
	struct out o;
	int r = out_begin(j, &o, 0, err);
	const struct pack p = {.m = &o.m, .depth_max = j->req->budget.depth};
	_cleanup_close_ int top = openat(j->view->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r >= 0 && (top < 0 || fstat(top, &st) < 0))
		r = err_sys(err, -errno, "opening the root");
	struct files_msg m = {.kind = FILES_STATUS}; /* nothing that could fail before the first byte is left */
	r = r < 0 ? r : say(&m, -EBADF, err);
	r = r < 0 ? r : pack_children(&p, top, err);
	return out_end(j, &o, r, err);
}

/* Archives in */

struct in {
	struct inflate *z;
	struct tar *t;
};

static ssize_t read_stream(void *ctx, void *buf, size_t len)
{
	(void) ctx;
	ssize_t n;
	do
		n = read(FILES_FD_STREAM, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t read_plain(void *ctx, void *buf, size_t len)
{
	return inflate_read(((struct in *) ctx)->z, buf, len);
}

static int in_begin(const struct files_budget *b, struct in *in, struct err *err)
{
	const struct inflate_source src = {.read = read_stream};
	const struct inflate_limits zl = {.out_max = b->bytes, .ratio_max = b->ratio, .ratio_floor = b->ratio_floor, .members_max = b->members};
	const struct tar_limits tl = {.entries_max = b->entries, .data_max = b->bytes, .header_max = b->header, .xattr_max = b->xattr, .path_max = PATH_MAX - 1, .chunks_max = b->chunks,
		.end_optional = true};
	if (inflate_new(&src, INFLATE_AUTO, &zl, &in->z) < 0 || tar_new(read_plain, in, &tl, &in->t) < 0)
		return err_oom(err);
	return 0;
}

static void in_end(struct in *in)
{
	in->t = tar_free(in->t);
	in->z = inflate_free(in->z);
}

static int open_inside(int dir, const char *path, int flags)
{
	return open_under_root(dir, path, flags, 0);
}

static int check_writable(const struct job *j, int dir, struct err *err)
{
	struct statvfs s;
	if (fstatvfs(dir, &s) < 0)
		return err_sys(err, -errno, "looking at the file system");
	if (!(s.f_flag & ST_RDONLY))
		return 0;
	bool root = pack_mount_id(dir, "") == pack_mount_id(j->view->root, "");
	return err_set(err, ERR_INVALID, root ? "container rootfs is marked read-only" : "mounted volume is marked read-only");
}

static int do_put(struct job *j, struct err *err)
{
	const struct files_request *q = j->req;
	struct extract x = {.flags = EXTRACT_OWNER | EXTRACT_XATTRS | (q->flags & FILES_NO_OVERWRITE ? EXTRACT_NO_OVERWRITE : 0), .depth_max = q->budget.depth, .open_dir = open_inside};
	struct in in = {0};
	_cleanup_close_ int dir = find_dir(j->view->root, q->path, err);
	int r = dir < 0 ? dir : check_writable(j, dir, err);
	if (r >= 0 && pack_is_kernel_fs(dir))
		r = err_set(err, ERR_INVALID, "a kernel file system takes no files");
	if (r >= 0 && q->flags & FILES_AS_USER && *q->user) {
		x.flags |= EXTRACT_FORCE_OWNER;
		r = j->view->lookup(j->view->root, q->user, &x.uid, &x.gid, err);
	}
	x.dir = dir;
	r = r < 0 ? r : in_begin(&q->budget, &in, err);
	if (r >= 0) {
		r = extract_all(&x, in.t, err);
		if (r < 0 && inflate_why(in.z)[0])
			r = err_set(err, r == -EDQUOT ? ERR_QUOTA : r == -EOPNOTSUPP ? ERR_UNSUPPORTED : ERR_CORRUPT, "the archive: %s", inflate_why(in.z));
	}
	in_end(&in);
	j->done->entries = x.entries;
	j->done->bytes = x.bytes;
	return r;
}

/* The container's own layer */

static int ask_opaque(void *ctx, int fd, struct err *err)
{
	struct files_msg m = {.kind = FILES_OPAQUE};
	size_t n = 0;
	(void) ctx;
	int r = say(&m, fd, err);
	if (r < 0)
		return r;
	ssize_t len = recv_fds(FILES_FD_SOCK, &m, sizeof(m), NULL, &n);
	if (len != (ssize_t) sizeof(m) || m.kind != FILES_ANSWER)
		return err_set(err, ERR_SYSTEM, "an answer from the engine that makes no sense");
	return m.yes ? 1 : 0;
}

static int change_item(void *ctx, const struct diff_item *i, struct err *err)
{
	static const char letters[] = {[DIFF_MODIFIED] = 'C', [DIFF_ADDED] = 'A', [DIFF_DELETED] = 'D'};
	FILE *f = ctx;
	if (fprintf(f, "%c/%s", letters[i->kind], i->path) < 0 || fputc('\0', f) == EOF)
		return err_sys(err, -errno, "writing the changes");
	return 0;
}

static int do_changes(struct job *j, struct err *err)
{
	FILE *f = fdopen(FILES_FD_STREAM, "w");
	if (!f)
		return err_sys(err, -errno, "opening the stream");
	const struct diff d = {.upper = j->view->upper, .lower = j->view->lower, .depth_max = j->req->budget.depth / 2, .is_opaque = ask_opaque, .item = change_item, .ctx = f};
	int r = diff_walk(&d, err);
	if (r >= 0 && fflush(f) == EOF)
		r = err_sys(err, -errno, "writing the changes");
	return r;
}

static int put_mark(struct member_writer *m, const char *path, const char *prefix, const char *name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *text = slash ? str_printf("%.*s/%s%s", (int) (slash - path), path, prefix, name) : str_printf("%s%s", prefix, name);
	return text ? member_write_mark(m, text, err) : err_oom(err);
}

/* AUFS's marks, which every image has: ".wh.NAME" hides one name of the layers below, ".wh..wh..opq" all of a directory. */
static int layer_item(void *ctx, const struct diff_item *i, struct err *err)
{
	struct member_writer *m = ctx;
	if (i->kind == DIFF_DELETED)
		return put_mark(m, i->path, ".wh.", i->name, err);
	if (i->kind == DIFF_OPAQUE) {
		_cleanup_free_ char *path = str_printf("%s/.wh..wh..opq", i->path);
		return path ? member_write_mark(m, path, err) : err_oom(err);
	}
	return member_write(m, i->dirfd, i->name, i->path, i->st, i->fd, err);
}

static int do_layer(struct job *j, struct err *err)
{
	struct out o;
	int r = out_begin(j, &o, MEMBER_NO_DEVICES, err);
	const struct diff d = {.upper = j->view->upper, .lower = j->view->lower, .depth_max = j->req->budget.depth / 2, .mark_opaque = true, .is_opaque = ask_opaque, .item = layer_item, .ctx = &o.m};
	o.m.bytes_max = j->req->budget.bytes;
	r = r < 0 ? r : diff_walk(&d, err);
	return out_end(j, &o, r, err);
}

int files_serve(const struct files_request *req, const struct files_view *view, struct files_msg *done, struct err *err)
{
	static int (*const jobs[])(struct job *, struct err *) = {
		[FILES_STAT] = do_stat_or_get, [FILES_GET] = do_stat_or_get, [FILES_PUT] = do_put, [FILES_EXPORT] = do_export, [FILES_CHANGES] = do_changes, [FILES_LAYER] = do_layer,
	};
	static_assert(ARRAY_LEN(jobs) == FILES_JOB_MAX_, "a function a job");
	struct job j = {.req = req, .view = view, .done = done};
	*done = (struct files_msg) {.kind = FILES_DONE};
	assert(req->job > 0 && req->job < FILES_JOB_MAX_);
	return jobs[req->job](&j, err);
}
