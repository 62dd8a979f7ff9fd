/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cp`, both ways. What comes from a container is foreign: names are clean before they are used, nothing is written through a link that the archive
 * brought, set-id bits and file capabilities are left out unless --archive asks for them, device nodes always (R18; CVE-2018-1002100 and its kin).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "cli/archive_stat.h"
#include "cli/copy_plan.h"
#include "cli/link.h"
#include "cli/put.h"
#include "files/extract.h"
#include "files/filemode.h"
#include "files/pack.h"
#include "kernel/path.h"

#define DEPTH_MAX 500
#define PROGRESS_USEC (200 * USEC_PER_MSEC)

struct cp_options {
	bool archive, follow, quiet;
};

static const struct flag cp_rows[] = {
	{"archive", 'a', FLAG_BOOL, offsetof(struct cp_options, archive), NULL, "To a container: owned by its user; from one, as root: with owners, set-id bits and capabilities"},
	{"follow-link", 'L', FLAG_BOOL, offsetof(struct cp_options, follow), NULL, "Copy what a symbolic link SRC_PATH leads to"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct cp_options, quiet), NULL, "No progress (default when stdout is no terminal)"},
};

/* Progress: one live line on a terminal, and the sum at the end. */

struct meter {
	const char *what; /* "Copying to container" */
	bool quiet, live;
	usec_t last;
	uint64_t bytes;
};

static void meter_init(struct meter *m, const char *what, bool quiet)
{
	*m = (struct meter){.what = what, .quiet = quiet, .live = !quiet && isatty(STDERR_FILENO)};
}

static void meter_show(void *ctx, uint64_t bytes)
{
	struct meter *m = ctx;
	char size[32];
	m->bytes = bytes;
	if (!m->live || now_usec() - m->last < PROGRESS_USEC)
		return;
	m->last = now_usec();
	fprintf(stderr, "\r\033[K%s - %s", m->what, format_size(size, sizeof(size), bytes));
	fflush(stderr);
}

static void meter_end(struct meter *m, bool well, const char *container, const char *path)
{
	char size[32];
	if (m->live && m->last)
		fputs("\r\033[K", stderr);
	if (well && !m->quiet)
		fprintf(stderr, "Successfully copied %s to %s%s%s\n", format_size(size, sizeof(size), m->bytes), container, *container ? ":" : "", path);
}

/* Paths of ours */

/* As docker says where a name of ours is meant to become a file. */
static int check_output(const char *path, struct err *err)
{
	struct stat st;
	char dir[PATH_MAX], base[NAME_MAX + 1];
	if (copy_split(path, dir, base) < 0)
		return err_set(err, ERR_INVALID, "invalid output path: '%.100s' is too long", path);
	if (stat(path, &st) < 0)
		return stat(dir, &st) < 0 && errno == ENOENT ? err_set(err, ERR_INVALID, "invalid output path: directory \"%.300s\" does not exist", dir) : 0;
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	return err_set(err, ERR_INVALID, "invalid output path: \"%.300s\" must be a directory or a regular file", path);
}

/* The destination: links are followed by the kernel; a last one that leads nowhere yet names what will be made. */
static int here_destination(const char *path, struct copy_info *ret, struct err *err)
{
	struct stat st;
	*ret = (struct copy_info){.exists = stat(path, &st) == 0};
	ret->is_dir = ret->exists && S_ISDIR(st.st_mode);
	return copy_clean(path, ret->path) < 0 ? err_set(err, ERR_INVALID, "'%.100s...': the path is too long", path) : 0;
}

/* From a container */

struct incoming {
	struct http_conn *c; /* borrowed */
	const char *p;       /* unread rest of a piece; borrowed */
	size_t n;
	struct copy_plan plan;
	struct meter *meter;
	uint64_t bytes;
	bool strange;        /* a member that was not asked for */
};

static ssize_t read_body(void *ctx, void *buf, size_t len)
{
	struct incoming *in = ctx;
	if (in->n == 0) {
		int r = http_recv_body(in->c, &in->p, &in->n);
		if (r <= 0)
			return r;
	}
	size_t k = MIN(len, in->n);
	memcpy(buf, in->p, k);
	in->p += k;
	in->n -= k;
	in->bytes += k;
	meter_show(in->meter, in->bytes);
	return (ssize_t) k;
}

static const char *rename_member(void *ctx, const char *path, char *buf)
{
	struct incoming *in = ctx;
	const char *name = copy_rename(&in->plan, path, buf);
	in->strange |= !name;
	return name;
}

static int open_local(int dir, const char *path, int flags)
{
	return str_eq(path, ".") ? open_beneath(dir, ".", flags, 0) : open_beneath_nosymlink(dir, path, flags, 0);
}

static int extract_here(struct incoming *in, bool all, struct err *err)
{
	const struct tar_limits limits = {.entries_max = 20000000, .header_max = 1 << 20, .xattr_max = 256 << 10, .path_max = PATH_MAX - 1, .chunks_max = 65536};
	_cleanup_(tar_freep) struct tar *t = NULL;
	_cleanup_close_ int dir = open(in->plan.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, -errno, "opening '%.300s'", in->plan.dir);
	if (tar_new(read_body, in, &limits, &t) < 0)
		return err_oom(err);
	struct extract x = {
		.dir = dir, .flags = EXTRACT_NO_OVERWRITE | EXTRACT_NO_DEVICES | EXTRACT_XATTRS | (all && geteuid() == 0 ? EXTRACT_OWNER : EXTRACT_HARMLESS), .depth_max = DEPTH_MAX,
		.open_dir = open_local, .rename = rename_member, .ctx = in,
	};
	int r = extract_all(&x, t, err);
	if (r >= 0 && in->strange)
		r = err_set(err, ERR_CORRUPT, "the engine's archive holds what was not asked for: it was left out");
	return r;
}

static int to_stdout(struct incoming *in, struct err *err)
{
	char buf[65536];
	ssize_t n;
	while ((n = read_body(in, buf, sizeof(buf))) > 0) {
		int r = write_all(STDOUT_FILENO, buf, (size_t) n);
		if (r < 0)
			return err_sys(err, r, "writing to stdout");
	}
	return n < 0 ? err_sys(err, (int) n, "the archive was cut short") : 0;
}

/* -L: the path that a last link leads to in the end. */
static int follow(struct cli *cli, const char *container, const char *path, char *out, struct err *err)
{
	struct archive_stat st;
	int r = archive_stat(cli, container, path, &st, err);
	if (r < 0)
		return r;
	const char *to = r > 0 && st.mode & GO_MODE_SYMLINK && st.target[0] ? st.target : path;
	return str_copy(out, PATH_MAX, to) < 0 ? err_set(err, ERR_INVALID, "the path is too long") : 0;
}

/* Plan for what comes; with -L it comes under the link's target's name and gets the link's. */
static int plan_incoming(const char *asked, const char *path, const struct archive_stat *st, const char *dst, struct incoming *in, struct err *err)
{
	struct copy_info src = {.exists = true, .is_dir = st->mode & GO_MODE_DIR}, to;
	char dir[PATH_MAX], base[NAME_MAX + 1];
	int r = here_destination(dst, &to, err);
	if (r < 0)
		return r;
	if (copy_clean(path, src.path) < 0)
		return err_set(err, ERR_INVALID, "the path is too long");
	r = copy_plan(&src, &to, &in->plan, err);
	if (r >= 0 && !*in->plan.to && !str_eq(asked, path) && copy_split(asked, dir, base) == 0)
		(void) str_copy(in->plan.to, sizeof(in->plan.to), base); /* the same size */
	return r;
}

static int from_container(struct cli *cli, const struct cp_options *o, const struct copy_side *src, const char *dst, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, value = STRBUF_INIT(ARCHIVE_STAT_MAX);
	_cleanup_http_conn_ struct http_conn *c = NULL;
	struct http_answer a;
	struct archive_stat st;
	struct meter meter;
	char path[PATH_MAX];
	bool out = str_eq(dst, "-");
	int r = out ? 0 : check_output(dst, err);
	if (r >= 0 && str_copy(path, sizeof(path), src->path) < 0)
		r = err_set(err, ERR_INVALID, "the path is too long");
	if (r >= 0 && o->follow)
		r = follow(cli, src->container, src->path, path, err);
	r = r < 0 ? r : link_open(cli, &c, err);
	if (r < 0)
		return r;
	archive_target(&t, src->container, path);
	r = http_send(c, &(struct http_call){.method = "GET", .target = t.s, .want = ARCHIVE_STAT_HEADER, .ret_want = &value});
	r = r < 0 ? link_lost(cli, r, err) : call_head(cli, c, &a, err);
	r = r < 0 ? r : archive_stat_parse(value.s, &st, err);
	if (r < 0)
		return r;
	meter_init(&meter, "Copying from container", o->quiet || out);
	struct incoming in = {.c = c, .meter = &meter};
	if (!out)
		r = plan_incoming(src->path, path, &st, dst, &in, err);
	r = r < 0 ? r : out ? to_stdout(&in, err) : extract_here(&in, o->archive, err);
	meter_end(&meter, r >= 0, "", dst);
	return r;
}

/* To a container */

/* A source of ours, opened by its parent: links among the parents are followed, the last one with -L or a final '/'. */
struct source {
	int dir;                /* owned */
	char leaf[NAME_MAX + 1];
	struct copy_info info;
};

static int open_source(const char *path, bool follow_link, struct source *ret, struct err *err)
{
	char dir[PATH_MAX], *real = NULL;
	struct stat st;
	size_t n = strlen(path);
	bool inside = n > 0 && path[n - 1] == '/';
	*ret = (struct source){.dir = -EBADF};
	if (copy_clean(path, ret->info.path) < 0 || copy_split(path, dir, ret->leaf) < 0)
		return err_set(err, ERR_INVALID, "'%.100s...': the path is too long", path);
	if (lstat(path, &st) < 0)
		return err_set(err, ERR_NOT_FOUND, "lstat %.300s: %s", path, strerror(errno));
	if ((follow_link || inside) && !str_eq(ret->leaf, ".")) { /* what it leads to, under the name that was said */
		real = realpath(path, NULL);
		if (!real || stat(real, &st) < 0) {
			int r = -errno;
			free(real);
			return err_sys(err, r, "following '%.300s'", path);
		}
		int r = copy_split(real, dir, ret->leaf);
		free(real);
		if (r < 0)
			return err_set(err, ERR_INVALID, "'%.100s...': the path is too long", path);
	}
	ret->info.exists = true;
	ret->info.is_dir = S_ISDIR(st.st_mode);
	ret->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ret->dir < 0 ? err_sys(err, -errno, "opening '%.300s'", dir) : 0;
}

/* The destination, its last link followed; what cannot be asked is left to the extraction. */
static int there_destination(struct cli *cli, const struct copy_side *dst, struct copy_info *ret, struct err *err)
{
	struct archive_stat st;
	*ret = (struct copy_info){.exists = false};
	if (copy_clean(dst->path, ret->path) < 0)
		return err_set(err, ERR_INVALID, "the path is too long");
	int r = archive_stat(cli, dst->container, ret->path, &st, err);
	if (r > 0 && st.mode & GO_MODE_SYMLINK && st.target[0]) {
		(void) str_copy(ret->path, sizeof(ret->path), st.target); /* the same size */
		r = archive_stat(cli, dst->container, ret->path, &st, err);
	}
	if (r <= 0)
		return r;
	ret->exists = true;
	ret->is_dir = st.mode & GO_MODE_DIR;
	if (!ret->is_dir && st.mode & ~(uint32_t) 07777 & ~(1u << 20 | 1u << 22 | 1u << 23))
		return err_set(err, ERR_INVALID, "destination \"%.100s:%.200s\" must be a directory or a regular file", dst->container, dst->path);
	return 0;
}

static int send_tree(struct put *p, const struct source *s, const char *name, struct err *err)
{
	_cleanup_(tar_writer_freep) struct tar_writer *w = NULL;
	struct member_writer m;
	if (tar_writer_new(put_bytes, p, &w) < 0)
		return err_oom(err);
	int r = member_writer_init(&m, w, 0, UINT64_MAX, err);
	const struct pack pack = {.m = &m, .depth_max = DEPTH_MAX};
	r = r < 0 ? r : pack_object(&pack, s->dir, s->leaf, name, err);
	if (r >= 0 && (r = tar_writer_end(w)) < 0)
		r = err_sys(err, r, "sending the archive");
	member_writer_done(&m);
	return r;
}

static int send_stdin(struct put *p, struct err *err)
{
	char buf[65536];
	ssize_t n;
	int r = 0;
	while (r == 0 && (n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "reading stdin");
		r = n > 0 ? put_bytes(p, buf, (size_t) n) : 0;
	}
	return r < 0 ? err_sys(err, r, "sending the archive") : 0;
}

static int send_to(struct cli *cli, const struct cp_options *o, const struct copy_side *dst, const char *dir, const struct source *s, const char *name, struct meter *meter, struct err *err)
{
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	struct put p;
	archive_target(&t, dst->container, dir);
	target_query(&t, "noOverwriteDirNonDir", "true");
	if (o->archive)
		target_query(&t, "copyUIDGID", "true");
	int r = put_begin(cli, &t, &p, err);
	if (r < 0) {
		put_done(&p);
		return r;
	}
	p.progress = meter_show;
	p.ctx = meter;
	r = s ? send_tree(&p, s, name, err) : send_stdin(&p, err);
	if (r >= 0 || p.answered) /* an engine that answers early says why */
		r = put_end(&p, err);
	put_done(&p);
	return r;
}

static int to_container(struct cli *cli, const struct cp_options *o, const char *src, const struct copy_side *dst, struct err *err)
{
	struct source s = {.dir = -EBADF};
	struct copy_info to;
	struct copy_plan plan = {.to = ""};
	struct meter meter;
	bool in = str_eq(src, "-");
	int r = in ? 0 : open_source(src, o->follow, &s, err);
	r = r < 0 ? r : there_destination(cli, dst, &to, err);
	if (r >= 0 && in && !to.is_dir)
		r = err_set(err, ERR_INVALID, "destination \"%.100s:%.200s\" must be a directory", dst->container, dst->path);
	r = r < 0 || in ? r : copy_plan(&s.info, &to, &plan, err);
	meter_init(&meter, "Copying to container", o->quiet);
	const char *name = *plan.to ? plan.to : plan.from;
	if (r >= 0)
		r = send_to(cli, o, dst, in ? to.path : plan.dir, in ? NULL : &s, name, &meter, err);
	s.dir = safe_close(s.dir);
	meter_end(&meter, r >= 0, dst->container, to.path);
	return r;
}

static int copy(struct cli *cli, const struct cp_options *o, const char *source, const char *destination, struct err *err)
{
	struct copy_side src, dst;
	int r = copy_side_parse(source, &src, err);
	r = r < 0 ? r : copy_side_parse(destination, &dst, err);
	if (r < 0)
		return r;
	if (!*source || !*destination)
		return err_set(err, ERR_INVALID, "%s can not be empty", *source ? "destination" : "source");
	if (*src.container && *dst.container)
		return err_set(err, ERR_INVALID, "copying between containers is not supported");
	if (!*src.container && !*dst.container)
		return err_set(err, ERR_INVALID, "must specify at least one container source");
	return *src.container ? from_container(cli, o, &src, dst.path, err) : to_container(cli, o, src.path, &dst, err);
}

static int cp_run(struct cli *cli, int argc, char **argv)
{
	struct cp_options o = {};
	_cleanup_args_ struct args a = {};
	struct err err = {0};
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	o.quiet |= !isatty(STDOUT_FILENO);
	if (str_eq(a.v[1], "-") && isatty(STDOUT_FILENO))
		return cli_error("cowardly refusing to write an archive to a terminal: redirect stdout");
	return copy(cli, &o, a.v[0], a.v[1], &err) < 0 ? cli_fail(1, &err) : 0;
}

const struct command command_cp = {
	.name = "cp",
	.group = GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tcoffer cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
	.summary = "Copy files between a container, running or not, and here ('-': a tar on stdin or stdout)",
	.examples = "  coffer cp web:/etc/nginx.conf .\n  coffer cp site/. web:/srv\n  coffer cp web:/var/log - | tar tv\n",
	.flags = {FLAGS(cp_rows)},
	.min_args = 2,
	.max_args = 2,
	.run = cp_run,
};
