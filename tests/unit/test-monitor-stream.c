/* SPDX-License-Identifier: Apache-2.0 */
/* What streams are made of: detach keys, frames, queues; and the exit codes and records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/process.h"
#include "monitor/frame.h"
#include "monitor/internal.h"

/* feed @in in pieces of @step; Return: what came through, as a string in @out; *@ret_detached */
static void scan(const char *seq, const char *in, size_t step, char *out, bool *ret_detached)
{
	struct keys k = {.n = (uint8_t) strlen(seq)};
	memcpy(k.seq, seq, strlen(seq));
	size_t n = 0, len = strlen(in);
	*ret_detached = false;
	for (size_t i = 0; i < len && !*ret_detached; i += step) {
		size_t got;
		*ret_detached = keys_scan(&k, (const uint8_t *) in + i, MIN(step, len - i), (uint8_t *) out + n, &got);
		n += got;
	}
	out[n] = '\0';
}

static void test_keys(void **state)
{
	static const struct {
		const char *seq, *in, *out;
		bool detached;
	} rows[] = {
		{"\x10\x11", "abc", "abc", false},
		{"\x10\x11", "a\x10\x11z", "a", true},
		{"\x10\x11", "a\x10z", "a\x10z", false},
		{"\x10\x11", "a\x10", "a", false},
		{"\x10\x11", "\x10\x10\x11", "\x10", true},
		{"aab", "aaab", "a", true},
		{"aab", "aacaab", "aac", true},
		{"abab", "abaabab", "aba", true},
		{"abac", "ababac", "ab", true},
		{"q", "xq", "x", true},
		{"", "anything", "anything", false},
		{"0123456789abcdef", "0123456789abcdeX0123456789abcdef", "0123456789abcdeX", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step <= 8; step++) {
			char out[64];
			bool detached;
			scan(rows[i].seq, rows[i].in, step, out, &detached);
			assert_string_equal(out, rows[i].out);
			assert_int_equal(detached, rows[i].detached);
		}
}

/* the state machine against a search in the whole input, over every short input of two letters */
static void test_keys_against_search(void **state)
{
	static const char *const seqs[] = {"ab", "aab", "aba", "aaaa", "abaab"};
	for (size_t s = 0; s < ARRAY_LEN(seqs); s++)
		for (unsigned bits = 0; bits < 1u << 12; bits++) {
			char in[13] = "", out[40], want[13];
			bool detached;
			for (int i = 0; i < 12; i++)
				in[i] = bits >> i & 1 ? 'a' : 'b';
			scan(seqs[s], in, 5, out, &detached);
			char *at = strstr(in, seqs[s]);
			assert_int_equal(detached, at != NULL);
			size_t n = at ? (size_t) (at - in) : strlen(in);
			memcpy(want, in, n);
			want[n] = '\0';
			if (detached)
				assert_string_equal(out, want);
			else /* the end may be held back */
				assert_true(strlen(out) + strlen(seqs[s]) > n && strncmp(out, want, strlen(out)) == 0);
		}
}

static void test_frame(void **state)
{
	uint8_t h[FRAME_HEADER];
	frame_header(h, FRAME_STDERR, 0x01020304);
	assert_memory_equal(h, ((uint8_t[]){2, 0, 0, 0, 1, 2, 3, 4}), 8);
}

static void test_queue(void **state)
{
	struct queue q;
	uint8_t next_in = 0, next_out = 0, buf[5000];
	queue_init(&q, 8192);
	for (int round = 0; round < 2000; round++) {
		size_t n = (size_t) (round * 37 % 5000);
		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t) (next_in + i);
		struct iovec iov[2] = {{buf, n / 3}, {buf + n / 3, n - n / 3}}, out[2];
		bool fits = n <= q.cap - q.used;
		assert_int_equal(queue_put(&q, iov, 2), fits ? 0 : -ENOBUFS);
		if (fits)
			next_in = (uint8_t) (next_in + n);
		int k = queue_peek(&q, out);
		size_t have = 0;
		for (int j = 0; j < k; j++) {
			for (size_t i = 0; i < out[j].iov_len; i++)
				assert_int_equal(((uint8_t *) out[j].iov_base)[i], (uint8_t) (next_out + have + i));
			have += out[j].iov_len;
		}
		assert_int_equal(have, q.used);
		size_t take = have * (size_t) (round % 4) / 3;
		queue_drop(&q, take);
		next_out = (uint8_t) (next_out + take);
	}
	queue_done(&q);
	assert_null(q.p);
}

static void test_queue_gives_pages_back(void **state)
{
	struct queue q;
	queue_init(&q, 8192);
	struct iovec one = {(void *) "x", 1};
	assert_null(q.p);
	assert_int_equal(queue_put(&q, &one, 1), 0);
	queue_trim(&q);
	assert_non_null(q.p);
	queue_drop(&q, 1);
	queue_trim(&q);
	assert_null(q.p);
}

static void test_exit_codes(void **state)
{
	assert_int_equal(exit_code_from_status(7 << 8), 7);
	assert_int_equal(exit_code_from_status(255 << 8), 255);
	assert_int_equal(exit_code_from_status(9), 137);
	assert_int_equal(exit_code_from_status(15), 143);
	assert_int_equal(exit_code_from_status(11 | 0x80), 139);
}

static void test_records(void **state)
{
	char dir[] = "/tmp/coffer-test-record-XXXXXX", name[RECORD_NAME_MAX];
	char id[ID_LEN + 1];
	assert_non_null(mkdtemp(dir));
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(id_new(id), 0);
	struct monitor_exit x = {.magic = MONITOR_EXIT_MAGIC, .code = 3, .finished_ns = 12345}, y;
	assert_int_equal(record_read_exit(fd, id, &y), -ENOENT);
	assert_int_equal(record_write(fd, record_exec_name(name, id, ".exit"), &x, sizeof(x)), 0);
	assert_int_equal(record_read_exit(fd, id, &y), 0);
	assert_memory_equal(&x, &y, sizeof(x));
	x.magic = 1;
	assert_int_equal(record_write(fd, name, &x, sizeof(x)), 0);
	assert_int_equal(record_read_exit(fd, id, &y), -EBADMSG);
	assert_int_equal(record_write(fd, name, &x, 5), 0);
	assert_int_equal(record_read_exit(fd, id, &y), -EBADMSG);
	assert_int_equal(rm_rf_at(AT_FDCWD, dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),   cmocka_unit_test(test_keys_against_search),    cmocka_unit_test(test_frame),
		cmocka_unit_test(test_queue),  cmocka_unit_test(test_queue_gives_pages_back), cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
