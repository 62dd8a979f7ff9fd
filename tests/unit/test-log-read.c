/* SPDX-License-Identifier: Apache-2.0 */
/* A log read back: records of both formats as the monitor wrote them, what is damaged, compressed files, and files that are rotated under a reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/gzip.h"
#include "engine/log_files.h"
#include "engine/log_record.h"
#include "log-fixture.h"

static void open_log(struct fixture *f, const struct log_format *format, uint64_t max_bytes, uint32_t max_files, bool compress, const char *attrs)
{
	const struct log_options o = {.format = format, .max_bytes = max_bytes, .max_files = max_files, .compress = compress, .attrs = attrs};
	assert_int_equal(log_open(f->log, f->dir_fd, &o), 0);
}

static void add(struct fixture *f, enum log_stream stream, const char *s, size_t len)
{
	log_add(f->log, stream, (const uint8_t *) s, len, T0);
}

/* The next record of @text, which goes on behind it. */
static void next(const struct log_kind *k, const char **p, size_t *left, struct strbuf *scratch, struct logs_record *ret)
{
	size_t skip, len;
	ssize_t n = k->frame(*p, *left, &skip, &len);
	assert_true(n > 0 && (size_t) n <= *left);
	assert_int_equal(k->parse(*p + skip, len, scratch, ret), 0);
	*p += n;
	*left -= (size_t) n;
}

static void check_both(struct fixture *f, const struct log_format *format, const char *driver, const char *attrs)
{
	static const struct {
		enum log_stream stream;
		const char *text;
		size_t len;
	} rows[] = {{LOG_STDOUT, "one\n", 4}, {LOG_STDERR, "\n", 1}, {LOG_STDOUT, "tab\t\"quoted\"\\\r\n", 15}, {LOG_STDERR, "no end", 6}};
	const struct log_kind *k = log_kind_of(driver);
	_cleanup_free_ char *text = NULL;
	_cleanup_strbuf_ struct strbuf scratch = STRBUF_INIT(1 << 20);
	struct logs_record r;
	open_log(f, format, 0, 1, false, attrs);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		add(f, rows[i].stream, rows[i].text, rows[i].len);
	log_end(f->log, LOG_STDERR);
	ssize_t n = read_file(f->dir_fd, k->name, 1 << 20, &text);
	assert_true(n > 0);
	const char *p = text;
	size_t left = (size_t) n, skip, len;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		next(k, &p, &left, &scratch, &r);
		assert_int_equal(r.stream, rows[i].stream == LOG_STDOUT ? 1 : 2);
		assert_int_equal(r.len, rows[i].len);
		assert_memory_equal(r.text, rows[i].text, r.len);
		assert_int_equal(r.time_ns, T0);
		assert_string_equal(r.attrs, str_empty(attrs) ? "" : "a+key=1%2F2,tag=t");
	}
	assert_int_equal(left, 0);
	/* no beginning of it is a whole record but those that end where one ends */
	for (size_t cut = 0; cut < (size_t) n; cut++) {
		ssize_t whole = k->frame(text, cut, &skip, &len);
		assert_true(whole == 0 || (size_t) whole <= cut);
	}
}

static void test_json(void **state)
{
	check_both(*state, &log_json, "json-file", "{\"a key\":\"1/2\",\"tag\":\"t\"}");
}

static void test_json_without_attributes(void **state)
{
	check_both(*state, &log_json, "", "");
}

static void test_local(void **state)
{
	check_both(*state, &log_local, "local", "");
}

static void test_local_bytes_are_as_they_were(void **state)
{
	struct fixture *f = *state;
	const struct log_kind *k = log_kind_of("local");
	static const char bytes[] = "nul\0and\377\376\n";
	_cleanup_free_ char *text = NULL;
	_cleanup_strbuf_ struct strbuf scratch = STRBUF_INIT(1 << 20);
	struct logs_record r;
	open_log(f, &log_local, 0, 1, false, NULL);
	add(f, LOG_STDOUT, bytes, sizeof(bytes) - 1);
	log_flush(f->log);
	ssize_t n = read_file(f->dir_fd, "local.log", 1 << 20, &text);
	const char *p = text;
	size_t left = (size_t) n;
	next(k, &p, &left, &scratch, &r);
	assert_int_equal(r.len, sizeof(bytes) - 1);
	assert_memory_equal(r.text, bytes, r.len);
	/* as docker's own files are: length, {1: "stdout", 2: time, 3: line}, length */
	assert_memory_equal(text, "\0\0\0\x1d\x0a\x06stdout\x10", 13);
	assert_memory_equal(text + n - 4, "\0\0\0\x1d", 4);
}

static void test_no_records(void **state)
{
	static const char *const bad[] = {"", "{", "{}", "[]", "{\"log\":\"x\"}", "{\"log\":\"x\",\"stream\":\"stdout\"}", "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"yesterday\"}", "{\"log\":1,\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}"};
	_cleanup_strbuf_ struct strbuf scratch = STRBUF_INIT(1 << 20);
	struct logs_record r;
	size_t skip, len;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(log_kind_of("json-file")->parse(bad[i], strlen(bad[i]), &scratch, &r), -EINVAL);
	const struct log_kind *local = log_kind_of("local");
	assert_int_equal(local->frame("\0\0\0\0abcd", 8, &skip, &len), -EBADMSG);
	assert_int_equal(local->frame("\x7f\0\0\0abcd", 8, &skip, &len), -EBADMSG);
	assert_int_equal(local->frame("\0\0\0\1x\0\0\0\2", 9, &skip, &len), -EBADMSG);
	static const struct {
		const char *s;
		size_t len;
	} records[] = {{"\x0a", 1}, {"\x0a\x7fx", 3}, {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}, {"\x0d\1\2\3\4", 5}, {"\x10\1", 2}, {"\x1a\xff\xff\xff\xff\x0f", 6}};
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		assert_int_equal(local->parse(records[i].s, records[i].len, &scratch, &r), -EINVAL);
	assert_null(log_kind_of("none"));
}

/* ---- gzip ---- */

static void compress(struct fixture *f, const char *from, const char *to)
{
	_cleanup_close_ int in = openat(f->dir_fd, from, O_RDONLY | O_CLOEXEC), out = openat(f->dir_fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(gzip_fd(in, out), 0);
}

static ssize_t gunzip_all(struct fixture *f, const char *name, char *buf, size_t size, size_t step)
{
	struct gunzip *z;
	_cleanup_close_ int fd = openat(f->dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = 1;
	assert_int_equal(gunzip_new(fd, &z), 0);
	while (r > 0 && n < size) {
		r = gunzip_read(z, buf + n, MIN(step, size - n));
		n += r > 0 ? (size_t) r : 0;
	}
	gunzip_free(z);
	return r < 0 ? r : (ssize_t) n;
}

static void test_gzip(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 300000 };
	_cleanup_free_ char *data = malloc(SIZE), *back = malloc(2 * SIZE + 1);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char) (i * i >> 5);
	_cleanup_close_ int fd = openat(f->dir_fd, "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write_all(fd, data, SIZE), 0);
	compress(f, "data", "data.gz");
	for (size_t step = 1; step < 2 * SIZE; step = step * 7 + 4096) {
		assert_int_equal(gunzip_all(f, "data.gz", back, SIZE + 1, step), SIZE);
		assert_memory_equal(back, data, SIZE);
	}
	/* two members, as cat(1) makes them */
	_cleanup_free_ char *gz = NULL;
	ssize_t n = read_file(f->dir_fd, "data.gz", 1 << 20, &gz);
	_cleanup_close_ int twice = openat(f->dir_fd, "twice.gz", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write_all(twice, gz, (size_t) n) | write_all(twice, gz, (size_t) n), 0);
	assert_int_equal(gunzip_all(f, "twice.gz", back, 2 * SIZE + 1, 1000), 2 * SIZE);
	/* cut off, and no gzip at all */
	assert_int_equal(ftruncate(twice, n - 5), 0);
	assert_int_equal(gunzip_all(f, "twice.gz", back, 2 * SIZE + 1, 4096), -EBADMSG);
	assert_int_equal(gunzip_all(f, "data", back, 10, 10), -EBADMSG);
	_cleanup_close_ int empty = openat(f->dir_fd, "empty", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(gunzip_all(f, "empty", back, 10, 10), 0);
}

/* ---- rotation with compression ---- */

static bool there(struct fixture *f, const char *name)
{
	return faccessat(f->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Fills one file after the other: each takes ten. */
static void lines(struct fixture *f, int from, int to)
{
	for (int i = from; i < to; i++) {
		char line[16];
		int n = str_format(line, sizeof(line), "%04d\n", i);
		add(f, LOG_STDOUT, line, (size_t) n);
	}
	log_flush(f->log);
}

static void squeeze_between(struct fixture *f, void (*meanwhile)(struct fixture *f), bool ok)
{
	int in = -EBADF, out = -EBADF;
	assert_int_equal(log_squeeze_begin(f->log, &in, &out), 1);
	assert_int_equal(gzip_fd(in, out), 0);
	if (meanwhile)
		meanwhile(f);
	safe_close(in);
	safe_close(out);
	log_squeeze_end(f->log, ok);
}

/* What a reader makes of the files: the first and the last number, all in between in order. */
static void expect_numbers(struct fixture *f, int first, int last)
{
	struct log_files files = {NULL, 0};
	const struct log_kind *k = log_kind_of("json-file");
	_cleanup_strbuf_ struct strbuf scratch = STRBUF_INIT(1 << 20);
	int want = first;
	assert_int_equal(log_files_open(f->dir_fd, k->name, 0, &files), 0);
	for (size_t i = files.n; i > 0; i--) {
		char buf[8192];
		ssize_t n = log_file_read(&files.v[i - 1], buf, sizeof(buf));
		assert_true(n >= 0);
		const char *p = buf;
		for (size_t left = (size_t) n; left > 0; want++) {
			struct logs_record r;
			char text[16];
			next(k, &p, &left, &scratch, &r);
			(void) str_format(text, sizeof(text), "%04d\n", want);
			assert_string_equal(r.text, text);
		}
	}
	assert_int_equal(want, last + 1);
	log_files_done(&files);
}

#define TEN (10 * strlen("{\"log\":\"0000\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.123456789Z\"}\n"))

static void rotate_once(struct fixture *f)
{
	lines(f, 35, 45);
}

static void rotate_all(struct fixture *f)
{
	lines(f, 35, 100);
}

static void test_compression(void **state)
{
	struct fixture *f = *state;
	open_log(f, &log_json, TEN, 4, /* compress= */ true, NULL);
	lines(f, 0, 35);
	assert_true(f->log->rotated && there(f, "json.log.3"));
	squeeze_between(f, NULL, true);
	assert_true(there(f, "json.log.3.gz") && !there(f, "json.log.3") && !there(f, "squeezed"));
	expect_numbers(f, 0, 34);
	/* the second one moves on while it is compressed, and the first falls off */
	squeeze_between(f, rotate_once, true);
	assert_true(there(f, "json.log.3.gz") && !there(f, "json.log.3") && there(f, "json.log.2") && there(f, "json.log.1") && !there(f, "json.log.4.gz"));
	expect_numbers(f, 10, 44);
	/* one that could not be compressed stays as it is */
	squeeze_between(f, NULL, false);
	assert_true(there(f, "json.log.2") && !there(f, "json.log.2.gz") && !there(f, "squeezed"));
	expect_numbers(f, 10, 44);
}

static void test_one_that_falls_off_while_it_is_compressed(void **state)
{
	struct fixture *f = *state;
	open_log(f, &log_json, TEN, 4, /* compress= */ true, NULL);
	lines(f, 0, 35);
	squeeze_between(f, rotate_all, true);
	assert_true(!there(f, "json.log.3.gz") && there(f, "json.log.3") && !there(f, "squeezed"));
	expect_numbers(f, 60, 99);
}

static void test_all_of_them_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	int in, out;
	open_log(f, &log_json, TEN, 4, /* compress= */ true, NULL);
	lines(f, 0, 35);
	for (int i = 0; i < 3; i++) {
		assert_true(f->log->rotated);
		squeeze_between(f, NULL, true);
	}
	assert_int_equal(log_squeeze_begin(f->log, &in, &out), 0);
	assert_true(there(f, "json.log.1.gz") && there(f, "json.log.2.gz") && there(f, "json.log.3.gz"));
	expect_numbers(f, 0, 34);
	lines(f, 35, 41);
	expect_numbers(f, 10, 40);
}

static void test_attributes_that_are_too_long(void **state)
{
	struct fixture *f = *state;
	char attrs[LOG_ATTRS_MAX + 2];
	memset(attrs, ' ', sizeof(attrs) - 1);
	attrs[sizeof(attrs) - 1] = '\0';
	const struct log_options o = {.format = &log_json, .max_files = 1, .attrs = attrs};
	assert_int_equal(log_open(f->log, f->dir_fd, &o), -E2BIG);
	f->log->fd = -EBADF;
}

static void test_largest_record_with_attributes(void **state)
{
	struct fixture *f = *state;
	char attrs[LOG_ATTRS_MAX + 1];
	_cleanup_free_ char *line = malloc(3 * LOG_LINE_MAX);
	memset(line, 1, 3 * LOG_LINE_MAX); /* six bytes each */
	(void) str_copy(attrs, sizeof(attrs), "{\"k\":\"");
	memset(attrs + 6, 'v', sizeof(attrs) - 9);
	memcpy(attrs + sizeof(attrs) - 3, "\"}", 3);
	open_log(f, &log_json, 0, 1, false, attrs);
	f->log->dropped = 7; /* a notice comes first */
	add(f, LOG_STDOUT, line, 3 * LOG_LINE_MAX);
	log_end(f->log, LOG_STDOUT);
	assert_int_equal(f->log->dropped, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_json), T(test_json_without_attributes), T(test_local), T(test_local_bytes_are_as_they_were), T(test_no_records), T(test_gzip), T(test_compression),
		T(test_one_that_falls_off_while_it_is_compressed), T(test_all_of_them_one_after_the_other), T(test_attributes_that_are_too_long), T(test_largest_record_with_attributes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
