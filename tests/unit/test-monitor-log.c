/* SPDX-License-Identifier: Apache-2.0 */
/* The json-file log: escaping, lines and their splits, rotation, and a disk that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "log-fixture.h"

#define T0_TEXT "2023-11-14T22:13:20.123456789Z"

static int open_json(struct log *l, int dir_fd, uint64_t max_bytes, uint32_t max_files)
{
	const struct log_options o = {.format = &log_json, .max_bytes = max_bytes, .max_files = max_files};
	return log_open(l, dir_fd, &o);
}

static char *content(struct fixture *f, const char *name)
{
	char *s = NULL;
	assert_true(read_file(f->dir_fd, name, 64 << 20, &s) >= 0);
	return s;
}

static void add(struct fixture *f, enum log_stream stream, const char *s)
{
	log_add(f->log, stream, (const uint8_t *) s, strlen(s), T0);
}

static void expect(struct fixture *f, const char *want)
{
	log_flush(f->log);
	char *have = content(f, "json.log");
	assert_string_equal(have, want);
	free(have);
}

#define RECORD(text, stream) "{\"log\":\"" text "\",\"stream\":\"" stream "\",\"time\":\"" T0_TEXT "\"}\n"

static void test_escape(void **state)
{
	static const struct {
		const char *in, *out;
		size_t len;
	} rows[] = {
		{"plain <a> & b", "plain <a> & b", 13},
		{"a\"b\\c\n\r\t\b\f", "a\\\"b\\\\c\\n\\r\\t\\b\\f", 11 - 1},
		{"\0\x01\x0b\x1f\x7f", "\\u0000\\u0001\\u000b\\u001f\x7f", 5},
		{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 11},
		{"\xff", "\\ufffd", 1},
		{"\xc3", "\\ufffd", 1},
		{"\xc0\xaf", "\\ufffd\\ufffd", 2},
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", 3},
		{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", 4},
		{"\xe0\x80\x80x", "\\ufffd\\ufffd\\ufffdx", 4},
		{"a\x80z", "a\\ufffdz", 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t out[128] = {0};
		size_t n = log_escape(out, (const uint8_t *) rows[i].in, rows[i].len);
		assert_string_equal((char *) out, rows[i].out);
		assert_int_equal(n, strlen(rows[i].out));
	}
}

static void test_lines(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add(f, LOG_STDOUT, "one\ntwo\nthr");
	add(f, LOG_STDERR, "oops\n");
	add(f, LOG_STDOUT, "ee\n\n");
	expect(f, RECORD("one\\n", "stdout") RECORD("two\\n", "stdout") RECORD("oops\\n", "stderr") RECORD("three\\n", "stdout") RECORD("\\n", "stdout"));
	struct stat st;
	assert_int_equal(fstatat(f->dir_fd, "json.log", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_unfinished_line_ends_with_the_stream(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add(f, LOG_STDOUT, "no newline");
	expect(f, "");
	log_end(f->log, LOG_STDOUT);
	log_end(f->log, LOG_STDERR);
	expect(f, RECORD("no newline", "stdout"));
}

static void test_time_is_that_of_the_beginning(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add(f, LOG_STDOUT, "a");
	log_add(f->log, LOG_STDOUT, (const uint8_t *) "b\nc\n", 4, T0 + 1);
	expect(f, RECORD("ab\\n", "stdout") "{\"log\":\"c\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.123456790Z\"}\n");
}

/* @n bytes of @c, then @tail, fed in pieces of @step */
static void add_run(struct fixture *f, size_t n, char c, const char *tail, size_t step)
{
	size_t len = n + strlen(tail);
	uint8_t *s = malloc(len);
	memset(s, c, n);
	memcpy(s + n, tail, strlen(tail));
	for (size_t i = 0; i < len; i += step)
		log_add(f->log, LOG_STDOUT, s + i, MIN(step, len - i), T0);
	free(s);
	log_flush(f->log);
}

/* lengths of the texts in the file, newline counted as one; @ret_n: records */
static size_t text_lengths(struct fixture *f, size_t *lens, size_t max)
{
	size_t n = 0;
	char *s = content(f, "json.log");
	for (char *p = s; (p = strstr(p, "{\"log\":\"")) && n < max; n++) {
		p += 8;
		char *e = strstr(p, "\",\"stream\"");
		lens[n] = (size_t) (e - p) - (e[-1] == 'n' && e[-2] == '\\' ? 1 : 0);
		p = e;
	}
	free(s);
	return n;
}

static void test_long_lines_are_split(void **state)
{
	static const size_t steps[] = {1, 1000, 16384, 1 << 20};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct fixture *f = *state;
		size_t lens[8];
		assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
		assert_int_equal(ftruncate(f->log->fd, 0), 0);
		add_run(f, 40000, 'x', "\n", steps[i]);
		assert_int_equal(text_lengths(f, lens, 8), 3);
		assert_int_equal(lens[0], 16384);
		assert_int_equal(lens[1], 16384);
		assert_int_equal(lens[2], 40000 - 2 * 16384 + 1);
		assert_int_equal(ftruncate(f->log->fd, 0), 0);
		add_run(f, 16384, 'x', "\n", steps[i]);
		assert_int_equal(text_lengths(f, lens, 8), 2);
		assert_int_equal(lens[1], 1);
		assert_int_equal(ftruncate(f->log->fd, 0), 0);
		add_run(f, 16383, 'x', "\n", steps[i]);
		assert_int_equal(text_lengths(f, lens, 8), 1);
		log_close(f->log);
	}
}

static void test_a_split_spares_characters(void **state)
{
	static const size_t steps[] = {1, 777, 1 << 20};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct fixture *f = *state;
		size_t lens[8];
		assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
		assert_int_equal(ftruncate(f->log->fd, 0), 0);
		add_run(f, 16382, 'x', "\xe2\x82\xac\n", steps[i]);
		assert_int_equal(text_lengths(f, lens, 8), 2);
		assert_int_equal(lens[0], 16382);
		assert_int_equal(lens[1], 4);
		char *s = content(f, "json.log");
		assert_null(strstr(s, "\\ufffd"));
		free(s);
		log_close(f->log);
	}
}

static void test_worst_case_fits(void **state)
{
	struct fixture *f = *state;
	size_t lens[64];
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add_run(f, 200000, '\x01', "\n", 65536);
	assert_int_equal(text_lengths(f, lens, 64), 13);
	assert_int_equal(lens[0], 6 * 16384);
}

static uint64_t file_size(struct fixture *f, const char *name)
{
	struct stat st;
	return fstatat(f->dir_fd, name, &st, 0) < 0 ? UINT64_MAX : (uint64_t) st.st_size;
}

static void test_rotation(void **state)
{
	struct fixture *f = *state;
	const uint64_t one = strlen(RECORD("0000\\n", "stdout"));
	assert_int_equal(open_json(f->log, f->dir_fd, 10 * one, 3), 0);
	for (int i = 0; i < 35; i++) {
		char line[16];
		(void) str_format(line, sizeof(line), "%04d\n", i);
		add(f, LOG_STDOUT, line);
		if (i % 3 == 0)
			log_flush(f->log);
	}
	log_flush(f->log);
	assert_true(file_size(f, "json.log") == 5 * one);
	assert_true(file_size(f, "json.log.1") == 10 * one);
	assert_true(file_size(f, "json.log.2") == 10 * one);
	assert_true(file_size(f, "json.log.3") == UINT64_MAX);
	char *s = content(f, "json.log.2");
	assert_non_null(str_after(s, "{\"log\":\"0010\\n\""));
	free(s);
	s = content(f, "json.log");
	assert_non_null(str_after(s, "{\"log\":\"0030\\n\""));
	free(s);
}

static void test_rotation_with_one_file(void **state)
{
	struct fixture *f = *state;
	const uint64_t one = strlen(RECORD("x\\n", "stdout"));
	assert_int_equal(open_json(f->log, f->dir_fd, 4 * one, 1), 0);
	for (int i = 0; i < 10; i++)
		add(f, LOG_STDOUT, "x\n");
	log_flush(f->log);
	assert_true(file_size(f, "json.log") == 2 * one);
	assert_true(file_size(f, "json.log.1") == UINT64_MAX);
}

static void test_rotation_that_fails_loses_nothing(void **state)
{
	struct fixture *f = *state;
	const uint64_t one = strlen(RECORD("x\\n", "stdout"));
	assert_int_equal(open_json(f->log, f->dir_fd, 2 * one, 2), 0);
	assert_int_equal(mkdirat(f->dir_fd, "json.log.1", 0700), 0);
	assert_int_equal(mkdirat(f->dir_fd, "json.log.1/in-the-way", 0700), 0);
	for (int i = 0; i < 9; i++)
		add(f, LOG_STDOUT, "x\n");
	log_flush(f->log);
	assert_true(file_size(f, "json.log") == 9 * one);
}

static void test_continues_an_existing_file(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add(f, LOG_STDOUT, "a\n");
	log_flush(f->log);
	log_close(f->log);
	memset(f->log, 0, sizeof(*f->log));
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	add(f, LOG_STDOUT, "b\n");
	expect(f, RECORD("a\\n", "stdout") RECORD("b\\n", "stdout"));
}

static void test_refuses_what_is_not_a_file(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(symlinkat("/etc/passwd", f->dir_fd, "json.log"), 0);
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), -ELOOP);
	assert_int_equal(unlinkat(f->dir_fd, "json.log", 0), 0);
	assert_int_equal(mkfifoat(f->dir_fd, "json.log", 0600), 0);
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), -EINVAL);
}

/* RLIMIT_FSIZE makes writes short and then fail, exactly as a disk does that is filling up */
static void limit(uint64_t bytes)
{
	struct rlimit r = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	const uint64_t one = strlen(RECORD("x\\n", "stdout"));
	(void) signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(open_json(f->log, f->dir_fd, 0, 1), 0);
	limit(2 * one + 10);
	for (int i = 0; i < 5; i++)
		add(f, LOG_STDOUT, "x\n");
	log_flush(f->log);
	assert_true(file_size(f, "json.log") == 2 * one);
	assert_true(f->log->dropped == 3);
	add(f, LOG_STDOUT, "x\n");
	log_flush(f->log);
	assert_true(f->log->dropped == 4);
	limit(RLIM_INFINITY);
	add(f, LOG_STDOUT, "back\n");
	expect(f, RECORD("x\\n", "stdout") RECORD("x\\n", "stdout") RECORD("coffer: records lost because the log could not be written: 4\\n", "stderr")
		       RECORD("back\\n", "stdout"));
	assert_true(f->log->dropped == 0);
}

static void test_no_log(void **state)
{
	struct fixture *f = *state;
	f->log->dir_fd = f->log->fd = -EBADF;
	add(f, LOG_STDOUT, "nobody\n");
	log_end(f->log, LOG_STDOUT);
	log_flush(f->log);
	assert_true(f->log->out_len == 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		T(test_lines),
		T(test_unfinished_line_ends_with_the_stream),
		T(test_time_is_that_of_the_beginning),
		T(test_long_lines_are_split),
		T(test_a_split_spares_characters),
		T(test_worst_case_fits),
		T(test_rotation),
		T(test_rotation_with_one_file),
		T(test_rotation_that_fails_loses_nothing),
		T(test_continues_an_existing_file),
		T(test_refuses_what_is_not_a_file),
		T(test_full_disk),
		T(test_no_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
