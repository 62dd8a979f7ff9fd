/* SPDX-License-Identifier: Apache-2.0 */
#include "image/unpack_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/path.h"

enum { LINKS_MAX = 40, DIR_PATH = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

void tree_init(struct tree *t, struct unpack *u, int root)
{
	*t = (struct tree) {.u = u, .root = root};
	for (int i = 0; i < TREE_CACHE; i++)
		t->cache[i].fd = -EBADF;
}

static void slot_done(struct tree_slot *s)
{
	free(s->path);
	free(s->real);
	s->path = s->real = NULL;
	s->stale = false;
	s->fd = safe_close(s->fd);
}

/* Nothing cached may be found again; what callers still hold stays good until its slot is used again. */
static void forget(struct tree *t)
{
	for (int i = 0; i < TREE_CACHE; i++)
		t->cache[i].stale = true;
}

void tree_done(struct tree *t)
{
	for (int i = 0; i < TREE_CACHE; i++)
		slot_done(&t->cache[i]);
}

static int remember(struct tree *t, const char *path, const char *real, int fd_take, struct tree_slot **ret, struct err *err)
{
	struct tree_slot *s = &t->cache[t->hand++ % TREE_CACHE];
	slot_done(s);
	s->path = strdup(path);
	s->real = strdup(real);
	s->fd = fd_take;
	*ret = s;
	return s->path && s->real ? 0 : err_oom(err);
}

bool tree_is_whiteout(int dirfd, const char *name)
{
	struct stat st;
	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode);
}

int tree_lower(struct tree *t, const char *path, int *ret_fd, struct err *err)
{
	struct unpack_msg *m = t->u->msg;
	memset(m, 0, sizeof(*m));
	if (ret_fd)
		*ret_fd = -EBADF;
	if (!(t->u->req.flags & UNPACK_HAS_LOWER)) {
		m->what = UNPACK_NONE;
		return 0;
	}
	m->kind = UNPACK_LOWER;
	m->what = ret_fd != NULL;
	if (str_copy(m->path, sizeof(m->path), path) < 0)
		return err_set(err, ERR_QUOTA, "its path is too long");
	int fd = -EBADF, r = unpack_call(t->u, -EBADF, UNPACK_FOUND, &fd, err);
	if (ret_fd)
		*ret_fd = fd;
	else
		(void) safe_close(fd);
	return r;
}

int tree_opaque(struct tree *t, int dirfd, struct err *err)
{
	if (!(t->u->req.flags & UNPACK_HAS_LOWER))
		return 0; /* nothing to hide */
	int fd = -EBADF;
	memset(t->u->msg, 0, sizeof(*t->u->msg));
	t->u->msg->kind = UNPACK_OPAQUE;
	int r = unpack_call(t->u, dirfd, UNPACK_ACK, &fd, err);
	(void) safe_close(fd);
	return r;
}

int tree_remove(struct tree *t, int dirfd, const char *name, struct err *err)
{
	forget(t); /* a cached path may lead through what goes now */
	int r = rm_rf_at(dirfd, name);
	return r < 0 ? err_sys(err, r, "replacing what was there") : 0;
}

int tree_mkdir(struct tree *t, int dirfd, const char *name, uint32_t mode, bool *ret_made, struct err *err)
{
	bool opaque = false;
	*ret_made = true;
	if (mkdirat(dirfd, name, mode & 0777) < 0) {
		if (errno != EEXIST)
			return err_sys(err, -errno, "making the directory");
		int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			*ret_made = false;
			return fd;
		}
		opaque = tree_is_whiteout(dirfd, name);
		forget(t);
		if (unlinkat(dirfd, name, 0) < 0 || mkdirat(dirfd, name, mode & 0777) < 0)
			return err_sys(err, -errno, "making the directory");
	}
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "opening the directory");
	int r = opaque ? tree_opaque(t, fd, err) : 0;
	return r < 0 ? r : take_fd(&fd);
}

/* A walk in progress: @real leads to @fd, @rest is still to go, @after is what will be left behind the part in work. */
struct walk {
	struct tree *t;
	unsigned flags, links;
	int fd; /* owned, or t->root */
	char real[UNPACK_PATH_MAX + 8], rest[2 * UNPACK_PATH_MAX + 16], after[2 * UNPACK_PATH_MAX + 16], part[UNPACK_PATH_MAX + 8];
};

static void walk_to(struct walk *w, int fd_take)
{
	if (w->fd != w->t->root)
		(void) safe_close(w->fd);
	w->fd = fd_take;
}

/* @real extended by @name, into @out of @real's size. */
static int walk_join(const struct walk *w, const char *name, char *out, struct err *err)
{
	if (str_format(out, sizeof(w->real), "%s%s%s", w->real, w->real[0] ? "/" : "", name) < 0)
		return err_set(err, ERR_QUOTA, "its path grows over %d bytes", UNPACK_PATH_MAX);
	return 0;
}

static int walk_into(struct walk *w, const char *name, int fd_take, struct err *err)
{
	walk_to(w, fd_take);
	int r = walk_join(w, name, w->part, err);
	if (r < 0)
		return r;
	(void) str_copy(w->real, sizeof(w->real), w->part);
	return 1;
}

/* @front and what is left become the way to go. @cost: links are counted, so that no chain of them goes on for ever. */
static int walk_rewrite(struct walk *w, const char *front, struct err *err)
{
	if (++w->links > LINKS_MAX)
		return err_set(err, ERR_CORRUPT, "more than %d symbolic links on its way", LINKS_MAX);
	if (str_format(w->rest, sizeof(w->rest), "%s/%s", front, w->after) < 0)
		return err_set(err, ERR_QUOTA, "symbolic links make its path longer than %zu bytes", sizeof(w->rest) - 1);
	return 1;
}

static int walk_link(struct walk *w, const char *name, const char *target, struct err *err)
{
	char esc[120];
	if (w->flags & TREE_NOFOLLOW)
		return err_set(err, ERR_CORRUPT, "its parent '%s' is a symbolic link", tar_escape(esc, sizeof(esc), name));
	if (target[0] == '/') {
		walk_to(w, w->t->root);
		w->real[0] = '\0';
	}
	return walk_rewrite(w, target, err);
}

/* ".." in a link's target: one up, never above the root; the way to there is walked again. */
static int walk_up(struct walk *w, struct err *err)
{
	if (!w->real[0])
		return 1;
	char *slash = strrchr(w->real, '/');
	*(slash ? slash : w->real) = '\0';
	(void) str_copy(w->part, sizeof(w->part), w->real);
	walk_to(w, w->t->root);
	w->real[0] = '\0';
	return walk_rewrite(w, w->part, err);
}

static int walk_make(struct walk *w, const char *name, const struct unpack_msg *below, struct err *err)
{
	uint32_t mode = below ? below->mode & 07777 : 0755, uid = below ? below->uid : 0, gid = below ? below->gid : 0;
	bool made;
	_cleanup_close_ int fd = tree_mkdir(w->t, w->fd, name, mode, &made, err);
	if (fd < 0)
		return fd;
	if (fchown(fd, uid, gid) < 0)
		return err_sys(err, -errno, "giving a parent directory its owner");
	if (fchmod(fd, mode) < 0)
		return err_sys(err, -errno, "giving a parent directory its mode");
	return walk_into(w, name, take_fd(&fd), err);
}

/* The next part is missing here: make it as it is below, or as new. Return: 1 go on, 0 missing. */
static int walk_missing(struct walk *w, const char *name, struct err *err)
{
	if (!(w->flags & TREE_CREATE))
		return 0;
	int r = walk_join(w, name, w->part, err);
	if (r >= 0)
		r = tree_lower(w->t, w->part, NULL, err);
	if (r < 0)
		return r;
	struct unpack_msg *m = w->t->u->msg;
	if (m->what == UNPACK_LINK) {
		(void) str_copy(w->part, sizeof(w->part), m->link);
		return walk_link(w, name, w->part, err);
	}
	if (m->what != UNPACK_DIR && (w->flags & TREE_LOWER))
		return 0;
	const struct unpack_msg below = {.mode = m->mode, .uid = m->uid, .gid = m->gid};
	return walk_make(w, name, m->what == UNPACK_DIR ? &below : NULL, err);
}

/* One part of the path. Return: 1 go on, 0 missing. */
static int walk_part(struct walk *w, const char *name, struct err *err)
{
	char esc[120];
	int fd = openat(w->fd, name, DIR_PATH);
	if (fd >= 0)
		return walk_into(w, name, fd, err);
	int e = errno;
	if (e == ENOENT || (e == ENOTDIR && tree_is_whiteout(w->fd, name)))
		return walk_missing(w, name, err);
	if (e != ENOTDIR && e != ELOOP)
		return err_sys(err, -e, "opening its parent '%s'", tar_escape(esc, sizeof(esc), name));
	ssize_t n = readlinkat(w->fd, name, w->part, sizeof(w->part) - 1);
	if (n < 0)
		return err_set(err, ERR_CORRUPT, "its parent '%s' is not a directory", tar_escape(esc, sizeof(esc), name));
	w->part[n] = '\0';
	return walk_link(w, name, w->part, err);
}

static int walk_all(struct walk *w, struct err *err)
{
	for (;;) {
		const char *p = w->rest + strspn(w->rest, "/");
		if (!*p)
			return 1;
		size_t n = strcspn(p, "/");
		char name[256];
		if (n >= sizeof(name))
			return err_set(err, ERR_CORRUPT, "a symbolic link to a name part of more than 255 bytes");
		memcpy(name, p, n);
		name[n] = '\0';
		(void) str_copy(w->after, sizeof(w->after), p + n);
		(void) str_copy(w->rest, sizeof(w->rest), w->after);
		int r = 1;
		if (strcmp(name, "..") == 0)
			r = walk_up(w, err);
		else if (strcmp(name, ".") != 0)
			r = walk_part(w, name, err);
		if (r <= 0)
			return r;
	}
}

static int walk_slowly(struct tree *t, const char *parent, unsigned flags, struct tree_slot **ret, struct err *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w)
		return err_oom(err);
	w->t = t;
	w->flags = flags;
	w->fd = t->root;
	(void) str_copy(w->rest, sizeof(w->rest), parent);
	int r = walk_all(w, err);
	int fd = w->fd;
	if (r > 0 && fd == t->root) {
		fd = openat(t->root, ".", DIR_PATH);
		if (fd < 0)
			r = err_sys(err, -errno, "opening the root");
	}
	if (r > 0)
		r = remember(t, parent, w->real, fd, ret, err) < 0 ? -ENOMEM : 1;
	else if (fd != t->root)
		(void) safe_close(fd);
	free(w);
	return r;
}

int tree_parent(struct tree *t, const char *parent, unsigned flags, int *ret_fd, const char **ret_real, struct err *err)
{
	struct tree_slot *s = NULL;
	if (!*parent) {
		*ret_fd = t->root;
		*ret_real = "";
		return 1;
	}
	for (int i = 0; i < TREE_CACHE && !s; i++)
		if (t->cache[i].path && !t->cache[i].stale && strcmp(t->cache[i].path, parent) == 0)
			s = &t->cache[i];
	/* an answer that came through links is no answer for those who may not follow them */
	if (s && (flags & TREE_NOFOLLOW) && strcmp(s->path, s->real) != 0)
		s = NULL;
	int r = 1;
	if (!s) {
		int fd = open_beneath_nosymlink(t->root, parent, DIR_PATH, 0);
		r = fd >= 0 ? (remember(t, parent, parent, fd, &s, err) < 0 ? -ENOMEM : 1) : walk_slowly(t, parent, flags, &s, err);
	}
	if (r <= 0)
		return r;
	*ret_fd = s->fd;
	*ret_real = s->real;
	return 1;
}
