/* SPDX-License-Identifier: Apache-2.0 */
#include "files/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/tar.h"
#include "files/listing.h"

enum { PATH_BYTES_MAX = 512 << 10 };

struct frame {
	int upper, lower;    /* owned; -EBADF: no such directory below, or one that is hidden */
	struct listing names, below; /* @below: of the lower directory, only where it is hidden by an opaque one */
	size_t next, next_below, path_len;
	struct stat st;
	bool told;           /* the directory itself was an item */
};
struct walk {
	const struct diff *d;
	struct frame *v; /* owned */
	size_t n, cap;
	struct strbuf path;
};

static int fail(int r, const struct walk *w, struct err *err)
{
	char name[200];
	return err_sys(err, r, "reading '%s'", tar_escape(name, sizeof(name), w->path.s));
}

static void cut(struct strbuf *b, size_t len)
{
	b->len = len;
	b->s[len] = '\0';
}

static int append(struct walk *w, const char *name, struct err *err)
{
	if (w->path.len > 0)
		strbuf_addc(&w->path, '/');
	strbuf_adds(&w->path, name);
	return strbuf_err(&w->path) < 0 ? err_set(err, ERR_QUOTA, "a path of more than %d bytes", PATH_BYTES_MAX) : 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* A directory's size and times say nothing: the overlay's are others. */
static bool differs(const struct stat *a, const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid || a->st_rdev != b->st_rdev)
		return true;
	return !S_ISDIR(a->st_mode) && (a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec);
}

static int tell(struct walk *w, enum diff_kind kind, int dirfd, const char *name, const struct stat *st, int fd, struct err *err)
{
	const struct diff_item i = {.kind = kind, .path = w->path.s, .dirfd = dirfd, .name = name, .st = st, .fd = fd};
	return w->d->item(w->d->ctx, &i, err);
}

/* Before something in a directory is told, the directories above it are. */
static int tell_parents(struct walk *w, struct err *err)
{
	int r = 0;
	for (size_t i = 1; r == 0 && i < w->n; i++) {
		struct frame *f = &w->v[i];
		char *end = &w->path.s[f->path_len], kept = *end;
		if (f->told)
			continue;
		f->told = true;
		*end = '\0';
		const char *slash = strrchr(w->path.s, '/');
		r = tell(w, DIFF_MODIFIED, w->v[i - 1].upper, slash ? slash + 1 : w->path.s, &f->st, f->upper, err);
		*end = kept;
	}
	return r;
}

static int push(struct walk *w, struct frame *f, struct err *err)
{
	if (w->n >= w->d->depth_max)
		return err_set(err, ERR_QUOTA, "more than %u directories deep", w->d->depth_max);
	if (w->n == w->cap) {
		size_t cap = MAX(2 * w->cap, (size_t) 16);
		struct frame *v = realloc(w->v, cap * sizeof(*v));
		if (!v)
			return err_oom(err);
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = *f;
	*f = (struct frame) {.upper = -EBADF, .lower = -EBADF};
	return 0;
}

static void frame_done(struct frame *f)
{
	f->upper = safe_close(f->upper);
	f->lower = safe_close(f->lower);
	listing_done(&f->names);
	listing_done(&f->below);
}

/* A directory that was removed meanwhile is empty. */
static int read_names(const struct walk *w, int fd, struct listing *ret, struct err *err)
{
	int r = listing_read(fd, ret);
	return r < 0 && r != -ENOENT ? fail(r, w, err) : 0;
}

/* What an opaque directory hides: told by name, or left to the mark. */
static int hide_lower(struct walk *w, struct frame *f, struct err *err)
{
	if (!w->d->mark_opaque)
		return read_names(w, f->lower, &f->below, err);
	f->lower = safe_close(f->lower);
	return 0;
}

static int do_dir(struct walk *w, struct frame *parent, const char *name, const struct stat *st, const struct stat *old, struct err *err)
{
	struct frame f = {.upper = openat(parent->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), .lower = -EBADF, .st = *st, .path_len = w->path.len};
	bool opaque = false, both = old && S_ISDIR(old->st_mode);
	if (f.upper < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(-errno, w, err);
	if (both)
		f.lower = openat(parent->lower, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = both && f.lower < 0 ? fail(-errno, w, err) : 0;
	if (r == 0 && both) {
		r = w->d->is_opaque(w->d->ctx, f.upper, err);
		opaque = r > 0;
		r = opaque ? hide_lower(w, &f, err) : MIN(r, 0);
	}
	int upper = f.upper, dirfd = parent->upper;
	f.told = !both || opaque || differs(st, old);
	if (r == 0 && f.told)
		r = tell_parents(w, err);
	if (r == 0 && f.told)
		r = tell(w, old ? DIFF_MODIFIED : DIFF_ADDED, dirfd, name, st, upper, err);
	if (r == 0 && opaque && w->d->mark_opaque)
		r = tell(w, DIFF_OPAQUE, dirfd, name, st, upper, err);
	r = r < 0 ? r : read_names(w, f.upper, &f.names, err);
	if (r == 0)
		r = push(w, &f, err); /* @parent may have moved */
	if (r < 0)
		frame_done(&f);
	return r;
}

static int one(struct walk *w, struct frame *f, const char *name, struct err *err)
{
	struct stat st, below;
	if (fstatat(f->upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(-errno, w, err);
	bool old = f->lower >= 0 && fstatat(f->lower, name, &below, AT_SYMLINK_NOFOLLOW) == 0;
	if (!is_whiteout(&st) && S_ISDIR(st.st_mode))
		return do_dir(w, f, name, &st, old ? &below : NULL, err);
	if (is_whiteout(&st) ? !old : old && !differs(&st, &below))
		return 0;
	int r = tell_parents(w, err);
	if (r < 0)
		return r;
	return is_whiteout(&st) ? tell(w, DIFF_DELETED, -EBADF, name, NULL, -EBADF, err) : tell(w, old ? DIFF_MODIFIED : DIFF_ADDED, f->upper, name, &st, -EBADF, err);
}

static bool listing_has(const struct listing *l, const char *name)
{
	size_t a = 0, b = l->n;
	while (a < b) {
		size_t mid = (a + b) / 2;
		int c = strcmp(l->names[mid], name);
		if (c == 0)
			return true;
		*(c < 0 ? &a : &b) = c < 0 ? mid + 1 : mid;
	}
	return false;
}

/* One step in the top frame. */
static int step(struct walk *w, struct err *err)
{
	struct frame *f = &w->v[w->n - 1];
	cut(&w->path, f->path_len);
	if (f->next_below < f->below.n) {
		const char *name = f->below.names[f->next_below++];
		if (listing_has(&f->names, name))
			return 0; /* told as modified, or as deleted where it is a whiteout all the same */
		int r = append(w, name, err);
		return r < 0 ? r : tell(w, DIFF_DELETED, -EBADF, name, NULL, -EBADF, err);
	}
	if (f->next < f->names.n) {
		const char *name = f->names.names[f->next++];
		int r = append(w, name, err);
		return r < 0 ? r : one(w, f, name, err);
	}
	frame_done(f);
	w->n--;
	return 0;
}

int diff_walk(const struct diff *d, struct err *err)
{
	struct walk w = {.d = d, .path = STRBUF_INIT(PATH_BYTES_MAX)};
	struct frame top = {.upper = openat(d->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .lower = -EBADF, .told = true};
	strbuf_adds(&w.path, "");
	if (d->lower >= 0)
		top.lower = openat(d->lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = top.upper < 0 || (d->lower >= 0 && top.lower < 0) ? fail(-errno, &w, err) : 0;
	r = r < 0 ? r : read_names(&w, top.upper, &top.names, err);
	r = r < 0 ? r : push(&w, &top, err);
	frame_done(&top);
	while (r == 0 && w.n > 0)
		r = step(&w, err);
	while (w.n > 0)
		frame_done(&w.v[--w.n]);
	free(w.v);
	strbuf_done(&w.path);
	return r;
}
