/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of an image archive, staged by the unpacker under names of its own, or the files of a layout directory. Names are looked
 * up in a table; a link member is another name of the table, never a path on disk (CVE-2014-9356).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/internal.h"
#include "codec/tar_path.h"
#include "kernel/path.h"

enum { MEMBERS_MAX = 20000, LINKS_MAX = 8, DEPTH_MAX = 32 };

struct archive_member {
	char *path, *link; /* owned; clean; link NULL: a file */
	uint32_t index;
	uint64_t size;
};

void archive_done(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].path);
		free(a->v[i].link);
	}
	free(a->v);
	a->v = NULL;
	a->n = 0;
	a->dir = safe_close(a->dir);
}

static int by_path(const void *x, const void *y)
{
	return strcmp(((const struct archive_member *) x)->path, ((const struct archive_member *) y)->path);
}

/* The target of a symbolic link in clean form: relative to its directory, ".." by name only. */
static int resolve_link(const char *path, const char *target, char *out, size_t size, struct err *err)
{
	char joined[2 * UNPACK_PATH_MAX + 16];
	const char *slash = strrchr(path, '/');
	int dir = target[0] != '/' && slash ? (int) (slash - path) : 0;
	if (str_format(joined, sizeof(joined), "%.*s/%s", dir, path, target) < 0)
		return err_set(err, ERR_QUOTA, "a link that is too long");
	size_t at = 0;
	for (char *p = joined; *p;) {
		p += strspn(p, "/");
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (at == 0)
				return err_set(err, ERR_CORRUPT, "a link that leads out of the archive");
			while (at > 0 && out[--at] != '/')
				;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (at + n + 2 > size)
				return err_set(err, ERR_QUOTA, "a link that is too long");
			if (at > 0)
				out[at++] = '/';
			memcpy(out + at, p, n);
			at += n;
		}
		p += n;
	}
	out[at] = '\0';
	return 0;
}

static int add_member(struct archive *a, const struct unpack_msg *m, const char *path, const char *link, struct err *err)
{
	if (a->n >= MEMBERS_MAX)
		return err_set(err, ERR_QUOTA, "more than %d members", MEMBERS_MAX);
	if (a->n == a->cap) {
		size_t cap = MAX(a->cap * 2, (size_t) 64);
		struct archive_member *v = realloc(a->v, cap * sizeof(*v));
		if (!v)
			return err_oom(err);
		a->v = v;
		a->cap = cap;
	}
	struct archive_member *e = &a->v[a->n];
	*e = (struct archive_member) {.path = strdup(path), .link = link ? strdup(link) : NULL, .index = m->index, .size = m->size};
	a->n++;
	return e->path && (!link || e->link) ? 0 : err_oom(err);
}

static int on_member(void *ctx, const struct unpack_msg *m, struct err *err)
{
	struct archive *a = ctx;
	char path[UNPACK_PATH_MAX + 8], link[UNPACK_PATH_MAX + 8];
	bool is_link = m->what != UNPACK_MEMBER_FILE;
	int r = tar_path_clean(m->path, UNPACK_PATH_MAX, DEPTH_MAX, path, err);
	if (r >= 0 && m->what == UNPACK_MEMBER_HARDLINK)
		r = tar_path_clean(m->link, UNPACK_PATH_MAX, DEPTH_MAX, link, err);
	else if (r >= 0 && is_link)
		r = resolve_link(path, m->link, link, sizeof(link), err);
	if (r >= 0)
		r = add_member(a, m, path, is_link ? link : NULL, err);
	return r < 0 ? err_wrap(err, "member '%.200s'", str_is_plain(m->path) ? m->path : "(unprintable)") : r;
}

static void on_progress(void *ctx, uint64_t in, uint64_t out)
{
	load_report(((struct archive *) ctx)->l, "", "Reading archive", out, 0);
}

int archive_split(struct load *l, int fd, struct archive *ret, struct err *err)
{
	*ret = (struct archive) {.l = l, .dir = mkdir_open_at(l->work.fd, "split", 0700)};
	if (ret->dir < 0)
		return err_sys(err, ret->dir, "making a staging directory");
	struct unpack_msg *done = calloc(1, sizeof(*done));
	if (!done)
		return err_oom(err);
	const struct unpack_run run = {
		.req = {.magic = UNPACK_MAGIC, .job = UNPACK_SPLIT, .coding = INFLATE_AUTO, .budget = UNPACK_BUDGET_DEFAULT},
		.input = fd, .target = ret->dir, .member = on_member, .progress = on_progress, .ctx = ret,
	};
	int r = unpack_run(l->s, &run, done, err);
	free(done);
	if (r < 0)
		return err_wrap(err, "reading the archive");
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_path);
	for (size_t i = 1; i < ret->n; i++)
		if (strcmp(ret->v[i - 1].path, ret->v[i].path) == 0)
			return err_set(err, ERR_CORRUPT, "the archive holds '%.200s' twice", str_is_plain(ret->v[i].path) ? ret->v[i].path : "(unprintable)");
	return 0;
}

int archive_layout(struct load *l, int dir_fd, struct archive *ret, struct err *err)
{
	*ret = (struct archive) {.l = l, .layout = true, .dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	return ret->dir < 0 ? err_sys(err, -errno, "opening the layout") : 0;
}

static const struct archive_member *find(const struct archive *a, const char *name)
{
	const struct archive_member key = {.path = (char *) name};
	return a->n ? bsearch(&key, a->v, a->n, sizeof(*a->v), by_path) : NULL;
}

/* A file of the layout, copied into the work: what is hashed must be what is used. */
static int copy_in(struct archive *a, const char *name, int *ret_dir, char ret_name[48], struct err *err)
{
	_cleanup_close_ int from = open_beneath_nosymlink(a->dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	struct stat st;
	if (from == -ENOENT)
		return 0;
	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "'%s' in the layout is not a regular file", name);
	(void) str_format(ret_name, 48, "copy%u", load_count(a->l));
	_cleanup_close_ int to = openat(a->l->work.fd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(err, -errno, "copying '%s'", name);
	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
		if (n < 0 && errno == EXDEV)
			break;
		if (n < 0)
			return err_sys(err, -errno, "copying '%s'", name);
		*ret_dir = a->l->work.fd;
		if (n == 0)
			return 1;
	}
	_cleanup_free_ char *buf = malloc(1 << 20);
	ssize_t n = buf ? 0 : -ENOMEM;
	while (buf && (n = read_full(from, buf, 1 << 20)) > 0) {
		int r = write_all(to, buf, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "copying '%s'", name);
	}
	*ret_dir = a->l->work.fd;
	return n < 0 ? err_sys(err, (int) n, "copying '%s'", name) : 1;
}

int archive_get(struct archive *a, const char *name, int *ret_dir, char ret_name[48], struct err *err)
{
	char clean[UNPACK_PATH_MAX + 8];
	int r = tar_path_clean(name, UNPACK_PATH_MAX, DEPTH_MAX, clean, err);
	if (r < 0)
		return err_wrap(err, "'%.200s'", str_is_plain(name) ? name : "(unprintable)");
	if (a->layout)
		return copy_in(a, clean, ret_dir, ret_name, err);
	const struct archive_member *m = find(a, clean);
	for (int links = 0; m && m->link; links++) {
		if (links >= LINKS_MAX)
			return err_set(err, ERR_CORRUPT, "'%.200s': more than %d links in a row", name, LINKS_MAX);
		const char *to = m->link;
		m = find(a, to);
		if (!m)
			return err_set(err, ERR_CORRUPT, "'%.200s' is a link to '%.200s', which is not in the archive", name,
				       str_is_plain(to) ? to : "(unprintable)");
	}
	if (!m)
		return 0;
	(void) str_format(ret_name, 48, UNPACK_STAGED_FORMAT, m->index);
	*ret_dir = a->dir;
	return 1;
}

int archive_text(struct archive *a, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	int dir = -EBADF;
	char staged[48];
	int r = archive_get(a, name, &dir, staged, err);
	if (r <= 0)
		return r;
	ssize_t n = read_file(dir, staged, max, ret);
	if (n == -EFBIG)
		return err_set(err, ERR_QUOTA, "'%s' is larger than %zu bytes", name, max);
	if (n < 0)
		return err_sys(err, (int) n, "reading '%s'", name);
	*ret_len = (size_t) n;
	return 1;
}
