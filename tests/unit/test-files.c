/* SPDX-License-Identifier: Apache-2.0 */
/* The room of containers' files, on directories of this test's: names, modes, trees out and in, what a layer changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "files/diff.h"
#include "files/extract.h"
#include "files/filemode.h"
#include "files/find.h"
#include "files/pack.h"
#include "kernel/path.h"

static int top = -EBADF; /* a directory of this run */

static int setup(void **state)
{
	char name[] = "/tmp/test-files.XXXXXX";
	(void) state;
	if (!mkdtemp(name))
		return -1;
	top = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	char proc[64], name[256];
	(void) state;
	(void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", top);
	ssize_t n = readlink(proc, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	top = safe_close(top);
	return rm_rf_at(AT_FDCWD, name);
}

static void put(int dir, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static int make(const char *name)
{
	int fd = mkdir_open_at(top, name, 0755);
	assert_true(fd >= 0);
	return fd;
}

static void test_modes(void **state)
{
	(void) state;
	assert_int_equal(filemode_to_go(S_IFDIR | 0755), 2147484141u);
	assert_int_equal(filemode_to_go(S_IFREG | 04711), 1u << 23 | 0711);
	assert_int_equal(filemode_to_go(S_IFLNK | 0777), 1u << 27 | 0777);
	assert_int_equal(filemode_to_go(S_IFCHR | 0666), 1u << 26 | 1u << 21 | 0666);
	assert_int_equal(filemode_to_go(S_IFBLK | 0660), 1u << 26 | 0660);
	assert_int_equal(filemode_to_go(S_IFIFO | S_ISVTX), 1u << 25 | 1u << 20);
	assert_int_equal(filemode_to_go(S_IFSOCK | S_ISGID), 1u << 24 | 1u << 22);
}

static void test_clean(void **state)
{
	static const char *const rows[][2] = {
		{"/a//b/./c", "/a/b/c"}, {"a", "/a"}, {"", "/"}, {"/", "/"}, {"/.", "/."}, {".", "/."}, {"/a/", "/a/"}, {"/a/.", "/a/."}, {"/a/../../b", "/b"}, {"/..", "/"}, {"/a/..", "/"}, {"/a/../", "/"},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[PATH_MAX];
		assert_int_equal(find_clean(rows[i][0], out), 0);
		assert_string_equal(out, rows[i][1]);
	}
	char longest[2 * PATH_MAX], out[PATH_MAX];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(find_clean(longest, out), -ENAMETOOLONG);
}

static void test_find(void **state)
{
	static const struct {
		const char *path, *leaf, *name;
		enum err_kind kind; /* ERR_NONE: found */
		mode_t type;
		const char *target;
	} rows[] = {
		{"/d/f", "f", "f", ERR_NONE, S_IFREG, ""}, {"/d", "d", "d", ERR_NONE, S_IFDIR, ""}, {"/d/", ".", "d", ERR_NONE, S_IFDIR, ""}, {"/d/.", ".", ".", ERR_NONE, S_IFDIR, ""},
		{"/", ".", "/", ERR_NONE, S_IFDIR, ""}, {"/abs", "abs", "abs", ERR_NONE, S_IFLNK, "/d/f"}, {"/up", "up", "up", ERR_NONE, S_IFLNK, "/d"}, {"/up/f", "f", "f", ERR_NONE, S_IFREG, ""},
		{"/chain", "chain", "chain", ERR_NONE, S_IFLNK, "/d/f"}, {"/loop", "loop", "loop", ERR_NONE, S_IFLNK, ""}, {"/dangling", "dangling", "dangling", ERR_NONE, S_IFLNK, "/no/where"},
		{"/no", NULL, NULL, ERR_NOT_FOUND, 0, NULL}, {"/d/f/x", NULL, NULL, ERR_INVALID, 0, NULL}, {"/loop/x", NULL, NULL, ERR_INVALID, 0, NULL},
	};
	(void) state;
	_cleanup_close_ int root = make("find"), d = mkdir_open_at(root, "d", 0755);
	put(d, "f", "x");
	assert_int_equal(symlinkat("/d/f", root, "abs"), 0);
	assert_int_equal(symlinkat("../../../d", root, "up"), 0);
	assert_int_equal(symlinkat("abs", root, "chain"), 0);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(symlinkat("no/./where", root, "dangling"), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct found f;
		struct files_status s;
		struct err err;
		int r = find_object(root, rows[i].path, &f, &err);
		if (rows[i].kind != ERR_NONE) {
			assert_true(r < 0);
			assert_int_equal(err.kind, rows[i].kind);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(f.leaf, rows[i].leaf);
		find_status(root, &f, &s);
		assert_string_equal(s.name, rows[i].name);
		assert_int_equal(f.st.st_mode & S_IFMT, rows[i].type);
		assert_string_equal(s.target, rows[i].target);
		found_done(&f);
	}
}

static void test_links(void **state)
{
	struct links l = {0};
	const char *first;
	(void) state;
	for (ino_t i = 1; i <= 5000; i++) {
		struct stat st = {.st_dev = i % 3, .st_ino = i};
		char name[16];
		(void) snprintf(name, sizeof(name), "n%llu", (unsigned long long) i);
		assert_int_equal(links_first(&l, &st, name, &first), 0);
		assert_null(first);
		assert_int_equal(links_first(&l, &st, "again", &first), 0);
		assert_string_equal(first, name);
	}
	links_done(&l);
}

static int collect(void *ctx, const void *p, size_t n)
{
	strbuf_add(ctx, p, n);
	return strbuf_err(ctx);
}

static void pack_into(int dir, const char *name, struct strbuf *b)
{
	struct tar_writer *w;
	struct member_writer m;
	struct err err;
	assert_int_equal(tar_writer_new(collect, b, &w), 0);
	assert_int_equal(member_writer_init(&m, w, 0, 1000, &err), 0);
	const struct pack p = {.m = &m, .depth_max = 50};
	assert_int_equal(pack_object(&p, dir, ".", name, &err), 0);
	assert_int_equal(tar_writer_end(w), 0);
	member_writer_done(&m);
	(void) tar_writer_free(w);
}

struct source {
	const struct strbuf *b;
	size_t at;
};

static ssize_t give(void *ctx, void *buf, size_t len)
{
	struct source *s = ctx;
	size_t n = MIN(len, s->b->len - s->at);
	memcpy(buf, s->b->s + s->at, n);
	s->at += n;
	return (ssize_t) n;
}

static int open_dir(int dir, const char *path, int flags)
{
	return str_eq(path, ".") ? open_beneath(dir, ".", flags, 0) : open_beneath_nosymlink(dir, path, flags, 0);
}

static void test_out_and_in(void **state)
{
	static const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	struct strbuf first = STRBUF_INIT(1 << 20), second = STRBUF_INIT(1 << 20);
	struct source s = {.b = &first};
	struct tar *t;
	struct err err;
	(void) state;
	_cleanup_close_ int from = make("from"), to = make("to"), sub = mkdir_open_at(from, "sub", 0750);
	put(from, "b", "bytes");
	put(sub, "deep\nname", "x");
	assert_int_equal(linkat(from, "b", sub, "link", 0), 0);
	assert_int_equal(symlinkat("../b", sub, "sym"), 0);
	assert_int_equal(mkfifoat(from, "fifo", 0600), 0);
	assert_int_equal(fchmodat(from, "b", 01640, 0), 0);
	pack_into(from, ".", &first);
	assert_int_equal(tar_new(give, &s, &limits, &t), 0);
	struct extract x = {.dir = to, .flags = EXTRACT_XATTRS, .depth_max = 50, .open_dir = open_dir};
	assert_int_equal(extract_all(&x, t, &err), 0);
	(void) tar_free(t);
	assert_int_equal(x.entries, 7);
	struct stat a, b;
	assert_int_equal(fstatat(to, "b", &a, 0), 0);
	assert_int_equal(fstatat(to, "sub/link", &b, 0), 0);
	assert_true(a.st_ino == b.st_ino && (a.st_mode & 07777) == 01640);
	assert_int_equal(utimensat(to, ".", (const struct timespec[2]){{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}}, 0), 0);
	assert_int_equal(utimensat(from, ".", (const struct timespec[2]){{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}}, 0), 0);
	strbuf_reset(&first);
	pack_into(from, "n", &first);
	pack_into(to, "n", &second);
	/* the top's own mode and owner are not the archive's when it is called "." */
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.s, second.s, first.len);
	strbuf_done(&first);
	strbuf_done(&second);
}

/* Items as lines. */
static int note(void *ctx, const struct diff_item *i, struct err *err)
{
	(void) err;
	strbuf_addf(ctx, "%c %s\n", "CADO"[i->kind], i->path);
	return 0;
}

static int opaque_by_name(void *ctx, int fd, struct err *err)
{
	struct stat st;
	(void) ctx;
	(void) err;
	return fstatat(fd, ".opaque", &st, 0) == 0; /* stands for the attribute, which only root may set */
}

static void check_diff(int upper, int lower, bool mark, const char *want)
{
	struct strbuf b = STRBUF_INIT(1 << 16);
	struct err err;
	const struct diff d = {.upper = upper, .lower = lower, .depth_max = 50, .mark_opaque = mark, .is_opaque = opaque_by_name, .item = note, .ctx = &b};
	assert_int_equal(diff_walk(&d, &err), 0);
	strbuf_addc(&b, '\0');
	assert_string_equal(b.s, want);
	strbuf_done(&b);
}

static void test_diff(void **state)
{
	(void) state;
	_cleanup_close_ int upper = make("upper"), lower = make("lower");
	_cleanup_close_ int ua = mkdir_open_at(upper, "a", 0755), la = mkdir_open_at(lower, "a", 0755);
	_cleanup_close_ int ub = mkdir_open_at(upper, "b", 0700), lb = mkdir_open_at(lower, "b", 0755);
	_cleanup_close_ int uc = mkdir_open_at(upper, "c", 0755), lc = mkdir_open_at(lower, "c", 0755);
	_cleanup_close_ int ud = mkdir_open_at(upper, "d", 0755), ld = mkdir_open_at(lower, "d", 0755);
	put(la, "same", "x");
	put(ua, "same", "x");
	const struct timespec t[2] = {{.tv_sec = 5}, {.tv_sec = 5}};
	assert_int_equal(utimensat(la, "same", t, 0), 0);
	assert_int_equal(utimensat(ua, "same", t, 0), 0);
	put(la, "changed", "x");
	put(ua, "changed", "longer");
	put(ua, "new", "x");
	put(lb, "below", "x");
	put(lc, "gone", "x");
	put(lc, "stays", "x");
	put(uc, "stays", "longer");
	put(uc, ".opaque", "");
	put(ld, "kept", "x");
	put(lower, "file", "x");
	_cleanup_close_ int uf = mkdir_open_at(upper, "file", 0755);
	put(uf, "in", "x");
	check_diff(upper, lower, false, "C a\nC a/changed\nA a/new\nC b\nC c\nD c/gone\nA c/.opaque\nC c/stays\nC file\nA file/in\n");
	check_diff(upper, lower, true, "C a\nC a/changed\nA a/new\nC b\nC c\nO c\nA c/.opaque\nA c/stays\nC file\nA file/in\n");
	check_diff(ud, -EBADF, false, "");
	if (mknodat(ud, "kept", S_IFCHR, makedev(0, 0)) == 0) { /* a whiteout: since Linux 5.8 anybody may */
		assert_int_equal(mknodat(ud, "never", S_IFCHR, makedev(0, 0)), 0);
		check_diff(ud, ld, false, "D kept\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes), cmocka_unit_test(test_clean), cmocka_unit_test(test_find), cmocka_unit_test(test_links), cmocka_unit_test(test_out_and_in), cmocka_unit_test(test_diff),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
