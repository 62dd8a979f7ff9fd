/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "codec/tar_write.h"

struct archive {
	struct strbuf b;
	size_t at;
	int fail; /* what the sink answers */
};

static int take(void *ctx, const void *p, size_t len)
{
	struct archive *a = ctx;
	if (a->fail < 0)
		return a->fail;
	strbuf_add(&a->b, p, len);
	return strbuf_err(&a->b);
}

static ssize_t give(void *ctx, void *buf, size_t len)
{
	struct archive *a = ctx;
	size_t n = MIN(MIN(len, (size_t) 777), a->b.len - a->at);
	memcpy(buf, a->b.s + a->at, n);
	a->at += n;
	return (ssize_t) n;
}

#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10
#define A100 A50 A50
#define A300 A100 A100 A100
static const struct tar_xattr xattrs[] = {{"user.z", "1\0002", 3}, {"security.capability", "\1\0\0\2\0\4\0\0", 8}, {"user.a", "", 0}, {"user.lines", "a\nb=c", 5}};

static const struct tar_entry entries[] = {
	{.type = TAR_DIR, .path = ".", .mode = 0755},
	{.type = TAR_FILE, .path = "hello", .mode = 04755, .uid = 1000, .gid = 100, .mtime_s = 1700000000, .size = 5},
	{.type = TAR_FILE, .path = "empty", .mode = 0},
	{.type = TAR_FILE, .path = "one block", .mode = 0644, .size = 512},
	{.type = TAR_FILE, .path = "two\nlines", .mode = 0600, .size = 513},
	{.type = TAR_FILE, .path = "\xc3\xa4\xc3\xb6 umlaut", .mode = 0600},
	{.type = TAR_FILE, .path = "latin1 \xe4", .mode = 0600},
	{.type = TAR_FILE, .path = A100, .mode = 0600},
	{.type = TAR_FILE, .path = A100 "x", .mode = 0600},
	{.type = TAR_FILE, .path = A100 "/" A100, .mode = 0600},
	{.type = TAR_FILE, .path = A50 "/" A100 "/" A100, .mode = 0600},
	{.type = TAR_FILE, .path = A100 A50 "/" A50 "/" A50, .mode = 0600},
	{.type = TAR_FILE, .path = A300 "/" A300, .mode = 0600, .size = 3},
	{.type = TAR_DIR, .path = A50 A10 A10 A10 A10 "123456789/", .mode = 01777},
	{.type = TAR_DIR, .path = A100, .mode = 0755},
	{.type = TAR_DIR, .path = A300, .mode = 0755},
	{.type = TAR_SYMLINK, .path = "link", .link = "../else where", .mode = 0777},
	{.type = TAR_SYMLINK, .path = "long link", .link = "/" A300, .mode = 0777},
	{.type = TAR_SYMLINK, .path = "u link", .link = "\xc3\xa4", .mode = 0777},
	{.type = TAR_HARDLINK, .path = "hard", .link = "hello", .mode = 0644},
	{.type = TAR_HARDLINK, .path = "hard2", .link = A300 "/" A300, .mode = 0644},
	{.type = TAR_FIFO, .path = "fifo", .mode = 0644},
	{.type = TAR_CHAR, .path = "null", .mode = 0666, .dev_major = 1, .dev_minor = 3},
	{.type = TAR_BLOCK, .path = "disk", .mode = 0660, .dev_major = 4095, .dev_minor = 1048575},
	{.type = TAR_FILE, .path = "big ids", .mode = 0644, .uid = 2097152, .gid = 4294967294},
	{.type = TAR_FILE, .path = "ids that fit", .mode = 0644, .uid = 2097151, .gid = 2097151},
	{.type = TAR_FILE, .path = "now", .mode = 0644, .mtime_s = 1700000000, .mtime_ns = 123456789},
	{.type = TAR_FILE, .path = "half", .mode = 0644, .mtime_s = 1, .mtime_ns = 500000000},
	{.type = TAR_FILE, .path = "old", .mode = 0644, .mtime_s = -1},
	{.type = TAR_FILE, .path = "older", .mode = 0644, .mtime_s = -2, .mtime_ns = 250000000},
	{.type = TAR_FILE, .path = "far", .mode = 0644, .mtime_s = 8589934592},
	{.type = TAR_FILE, .path = "marked", .mode = 0644, .xattrs = xattrs, .n_xattrs = ARRAY_LEN(xattrs), .size = 1},
};

static char content(size_t i)
{
	return (char) ('a' + i % 26);
}

static void write_data(struct tar_writer *w, uint64_t size)
{
	char buf[1000];
	for (size_t i = 0; i < size;) {
		size_t n = 0;
		for (; n < sizeof(buf) && i < size; n++, i++)
			buf[n] = content(i);
		assert_int_equal(tar_writer_data(w, buf, n), 0);
	}
}

static void write_all_entries(struct archive *a)
{
	_cleanup_(tar_writer_freep) struct tar_writer *w = NULL;
	strbuf_init(&a->b, 64 << 20);
	assert_int_equal(tar_writer_new(take, a, &w), 0);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		assert_int_equal(tar_writer_entry(w, &entries[i]), 0);
		write_data(w, entries[i].size);
	}
	assert_int_equal(tar_writer_end(w), 0);
}

static void check_entry(const struct tar_entry *got, const struct tar_entry *want)
{
	size_t n = strlen(want->path);
	assert_int_equal(got->type, want->type);
	assert_int_equal(strncmp(got->path, want->path, n), 0);
	assert_string_equal(got->path + n, want->type == TAR_DIR && want->path[n - 1] != '/' ? "/" : "");
	assert_string_equal(got->link, want->link ?: "");
	assert_int_equal(got->mode, want->mode);
	assert_int_equal(got->uid, want->uid);
	assert_int_equal(got->gid, want->gid);
	assert_int_equal(got->size, want->size);
	assert_int_equal(got->mtime_s, want->mtime_s);
	assert_int_equal(got->mtime_ns, want->mtime_ns);
	assert_int_equal(got->dev_major, want->dev_major);
	assert_int_equal(got->dev_minor, want->dev_minor);
	assert_int_equal(got->n_xattrs, want->n_xattrs);
}

static void check_data(struct tar *t, uint64_t size)
{
	const void *p;
	uint64_t at, seen = 0;
	ssize_t n;
	while ((n = tar_data(t, &p, &at)) > 0)
		for (ssize_t i = 0; i < n; i++, seen++)
			assert_int_equal(((const char *) p)[i], content((size_t) seen));
	assert_int_equal(n, 0);
	assert_int_equal(seen, size);
}

static void check_all(struct archive *a)
{
	_cleanup_(tar_freep) struct tar *t = NULL;
	const struct tar_limits limits = TAR_LIMITS_DEFAULT;
	const struct tar_entry *e;
	assert_int_equal(tar_new(give, a, &limits, &t), 0);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		assert_int_equal(tar_next(t, &e), 1);
		check_entry(e, &entries[i]);
		if (e->n_xattrs > 0) { /* sorted by name, whatever the order they came in */
			assert_string_equal(e->xattrs[0].name, "security.capability");
			assert_string_equal(e->xattrs[1].name, "user.a");
			assert_memory_equal(e->xattrs[2].value, "a\nb=c", 5);
			assert_memory_equal(e->xattrs[3].value, "1\0002", 3);
		}
		check_data(t, e->size);
	}
	assert_int_equal(tar_next(t, &e), 0);
}

static void test_round_trip(void **state)
{
	(void) state;
	struct archive a = {0};
	write_all_entries(&a);
	assert_int_equal(a.b.len % 512, 0);
	check_all(&a);
	strbuf_done(&a.b);
}

static void test_same_bytes(void **state)
{
	(void) state;
	struct archive a = {0}, b = {0};
	write_all_entries(&a);
	write_all_entries(&b);
	assert_int_equal(a.b.len, b.b.len);
	assert_memory_equal(a.b.s, b.b.s, a.b.len);
	strbuf_done(&a.b);
	strbuf_done(&b.b);
}

/* Run a reader of others over the archive at "/proc/self/fd/0". Return: exit code. */
static int run(const char *const argv[], int archive, int out)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (lseek(archive, 0, SEEK_SET) < 0 || dup2(archive, 0) < 0 || (out >= 0 && dup2(out, 1) < 0))
			_exit(126);
		(void) setenv("LC_ALL", "C", 1);
		(void) setenv("TZ", "UTC", 1);
		(void) execvp(argv[0], (char *const *) argv);
		_exit(127);
	}
	int status = -1;
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int to_file(const struct archive *a)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, a->b.s, a->b.len), 0);
	return fd;
}

/* Columns grow to the right with what was listed before. */
static void squeeze(char *s)
{
	char *to = s;
	for (; *s; s++)
		if (*s != ' ' || s[1] != ' ')
			*to++ = *s;
	*to = '\0';
}

static void test_gnu_tar(void **state)
{
	(void) state;
	struct archive a = {0};
	write_all_entries(&a);
	_cleanup_close_ int in = to_file(&a), out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const char *const list[] = {"tar", "--list", "--verbose", "--numeric-owner", "--full-time", "--quoting-style=escape", "--file=-", NULL};
	assert_int_equal(run(list, in, out), 0);
	static char text[65536];
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	squeeze(text);
	static const char *const lines[] = {
		"-rwsr-xr-x 1000/100 5 2023-11-14 22:13:20 hello\n",
		"2023-11-14 22:13:20.123456789 now\n",
		"two\\nlines\n",
		"crw-rw-rw- 0/0 1,3 1970-01-01 00:00:00 null\n",
		"-rw-r--r-- 2097152/4294967294 0 1970-01-01 00:00:00 big ids\n",
		"1970-01-01 00:00:01.5 half\n",
		"hard link to hello\n",
		"link -> ../else where\n",
		" " A300 "/" A300 "\n",
		"\\303\\244\\303\\266 umlaut\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("GNU tar does not list: %s", lines[i]);
	strbuf_done(&a.b);
}

static void test_python_tarfile(void **state)
{
	(void) state;
	struct archive a = {0};
	write_all_entries(&a);
	_cleanup_close_ int in = to_file(&a);
	static const char script[] =
		"import sys, tarfile\n"
		"t = tarfile.open(fileobj=sys.stdin.buffer, mode='r:')\n"
		"m = {i.name: i for i in t.getmembers()}\n"
		"assert len(t.getmembers()) == int(sys.argv[1]), len(t.getmembers())\n"
		"def text(n): return bytes(ord('a') + i % 26 for i in range(n))\n"
		"assert t.extractfile('hello').read() == text(5) and m['hello'].mode == 0o4755 and m['hello'].uid == 1000\n"
		"assert t.extractfile('two\\nlines').read() == text(513)\n"
		"assert t.extractfile('a' * 300 + '/' + 'a' * 300).read() == text(3)\n"
		"assert m['a' * 50 + '/' + 'a' * 100 + '/' + 'a' * 100].isfile()\n"
		"assert m['big ids'].gid == 4294967294 and m['far'].mtime == 8589934592 and m['older'].mtime == -1.75\n"
		"assert m['disk'].isblk() and (m['disk'].devmajor, m['disk'].devminor) == (4095, 1048575)\n"
		"assert m['long link'].linkname == '/' + 'a' * 300 and m['hard'].islnk()\n"
		"assert '\\u00e4\\u00f6 umlaut' in m and 'latin1 \\udce4' in m\n"
		"assert m['marked'].pax_headers['SCHILY.xattr.user.lines'] == 'a\\nb=c'\n";
	char n[16];
	(void) str_format(n, sizeof(n), "%zu", ARRAY_LEN(entries));
	const char *const python[] = {"python3", "-X", "utf8", "-c", script, n, NULL};
	assert_int_equal(run(python, in, -EBADF), 0);
	strbuf_done(&a.b);
}

static void test_refused(void **state)
{
	(void) state;
	static const struct tar_xattr equals = {"user.a=b", "", 0}, none = {"", "", 0};
	static const struct tar_entry bad[] = {
		{.type = TAR_FILE, .path = ""},
		{.type = TAR_FILE, .path = "x/"},
		{.type = TAR_FILE, .path = "x", .sparse = true},
		{.type = TAR_FILE, .path = "x", .size = UINT64_MAX},
		{.type = TAR_FILE, .path = "x", .uid = UINT64_MAX},
		{.type = TAR_FILE, .path = "x", .mtime_ns = 1000000000},
		{.type = TAR_DIR, .path = "x", .size = 1},
		{.type = TAR_SYMLINK, .path = "x", .link = ""},
		{.type = TAR_HARDLINK, .path = "x", .link = ""},
		{.type = TAR_CHAR, .path = "x", .dev_major = 1 << 21},
		{.type = TAR_TYPE_MAX_, .path = "x"},
		{.type = TAR_FILE, .path = "x", .xattrs = &equals, .n_xattrs = 1},
		{.type = TAR_FILE, .path = "x", .xattrs = &none, .n_xattrs = 1},
	};
	struct archive a = {0};
	_cleanup_(tar_writer_freep) struct tar_writer *w = NULL;
	strbuf_init(&a.b, 1 << 20);
	assert_int_equal(tar_writer_new(take, &a, &w), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(tar_writer_entry(w, &bad[i]), -EINVAL);
	assert_int_equal(tar_writer_end(w), 0);
	assert_int_equal(a.b.len, 1024); /* nothing of them */
	strbuf_done(&a.b);
}

static void test_data_and_size_agree(void **state)
{
	(void) state;
	const struct tar_entry e = {.type = TAR_FILE, .path = "x", .size = 3};
	struct archive a = {0};
	_cleanup_(tar_writer_freep) struct tar_writer *w = NULL;
	strbuf_init(&a.b, 1 << 20);
	assert_int_equal(tar_writer_new(take, &a, &w), 0);
	assert_int_equal(tar_writer_data(w, "x", 1), -EFBIG);
	assert_int_equal(tar_writer_entry(w, &e), 0);
	assert_int_equal(tar_writer_data(w, "four", 4), -EFBIG);
	assert_int_equal(tar_writer_data(w, "tw", 2), 0);
	assert_int_equal(tar_writer_entry(w, &e), -EBUSY);
	assert_int_equal(tar_writer_end(w), -EBUSY);
	assert_int_equal(tar_writer_data(w, "o", 1), 0);
	assert_int_equal(tar_writer_data(w, NULL, 0), 0);
	assert_int_equal(tar_writer_end(w), 0);
	assert_int_equal(a.b.len, 2048);
	strbuf_done(&a.b);
}

static void test_sink_error_latches(void **state)
{
	(void) state;
	const struct tar_entry e = {.type = TAR_FILE, .path = "x", .size = 200000};
	static const char big[200000];
	struct archive a = {.fail = -EPIPE};
	_cleanup_(tar_writer_freep) struct tar_writer *w = NULL;
	assert_int_equal(tar_writer_new(take, &a, &w), 0);
	assert_int_equal(tar_writer_entry(w, &e), 0); /* still in the buffer */
	assert_int_equal(tar_writer_data(w, big, sizeof(big)), -EPIPE);
	a.fail = 0;
	assert_int_equal(tar_writer_end(w), -EPIPE);
	assert_int_equal(tar_writer_flush(w), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	     cmocka_unit_test(test_same_bytes),	       cmocka_unit_test(test_gnu_tar),
		cmocka_unit_test(test_python_tarfile),	     cmocka_unit_test(test_refused),	       cmocka_unit_test(test_data_and_size_agree),
		cmocka_unit_test(test_sink_error_latches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
