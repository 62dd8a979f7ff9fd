/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"

#define MS 1000000

/* A container that ran for @seconds under @policy and ended with @code. */
static void ends(struct container_request *r, struct container *c, const char *policy, int64_t max, int64_t seconds, int code)
{
	r->restart_name = (char *) policy;
	r->restart_max = max;
	c->finished_ns = now_ns();
	c->started_ns = c->finished_ns - seconds * NSEC_PER_SEC;
	c->exit_code = code;
	restart_judge(c);
}

static void delays(void **state)
{
	struct container_request r = {0};
	struct container c = {.req = &r};
	static const int64_t want_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000};
	for (size_t i = 0; i < ARRAY_LEN(want_ms); i++) {
		int64_t before = now_ns();
		ends(&r, &c, "always", 0, 1, 0);
		assert_int_equal(c.restart_delay_ms, want_ms[i]);
		assert_int_equal(c.restart_count, i + 1);
		assert_true(c.restart_due_ns >= before + want_ms[i] * MS && c.restart_due_ns <= now_ns() + want_ms[i] * MS);
	}
	ends(&r, &c, "always", 0, 10, 0); /* a run that lasted begins them anew, and not the count */
	assert_int_equal(c.restart_delay_ms, 100);
	assert_int_equal(c.restart_count, 13);
	c.started_ns = 0; /* nor does one that never began last */
	c.finished_ns = now_ns();
	restart_judge(&c);
	assert_int_equal(c.restart_delay_ms, 200);
}

static void policies(void **state)
{
	static const struct {
		const char *policy;
		int64_t max, count;
		int code;
		bool by_hand, again;
	} rows[] = {
		{NULL, 0, 0, 1, false, false},	       {"", 0, 0, 1, false, false},		{"no", 0, 0, 1, false, false},
		{"always", 0, 0, 0, false, true},      {"always", 0, 99, 1, false, true},	{"always", 0, 0, 1, true, false},
		{"unless-stopped", 0, 0, 0, false, true}, {"unless-stopped", 0, 0, 1, true, false},
		{"on-failure", 0, 0, 0, false, false}, {"on-failure", 0, 99, 1, false, true},	{"on-failure", 0, 0, 137, true, false},
		{"on-failure", 3, 2, 1, false, true},  {"on-failure", 3, 3, 1, false, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct container_request r = {0};
		struct container c = {.req = &r, .restart_count = rows[i].count, .by_hand = rows[i].by_hand, .restart_due_ns = 7};
		ends(&r, &c, rows[i].policy, rows[i].max, 1, rows[i].code);
		assert_int_equal(c.restart_due_ns != 0, rows[i].again);
		assert_int_equal(c.restart_count, rows[i].count + rows[i].again);
		assert_int_equal(row_run_state(&c), rows[i].again ? RUN_RESTARTING : RUN_CREATED);
	}
}

static void mark(int dir, const char *name, int64_t ns)
{
	struct timespec t[2] = {{.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC}, {.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC}};
	int fd = openat(dir, name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, t), 0);
	assert_int_equal(close(fd), 0);
}

/* A signal that need not end anything counts for an end at once alone; one that is to end counts whenever. */
static void marks(void **state)
{
	char path[] = "/tmp/test-restart.XXXXXX";
	int64_t now = now_ns();
	assert_non_null(mkdtemp(path));
	int dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(dir >= 0);
	assert_false(restart_marked(dir, now));
	mark(dir, "signalled", now - 3 * NSEC_PER_SEC);
	assert_true(restart_marked(dir, now));
	mark(dir, "signalled", now - 11 * NSEC_PER_SEC);
	assert_false(restart_marked(dir, now));
	mark(dir, "stopped", now - 100 * NSEC_PER_SEC);
	assert_true(restart_marked(dir, now));
	assert_int_equal(unlinkat(dir, "stopped", 0), 0);
	assert_int_equal(unlinkat(dir, "signalled", 0), 0);
	assert_int_equal(close(dir), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(delays), cmocka_unit_test(policies), cmocka_unit_test(marks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
