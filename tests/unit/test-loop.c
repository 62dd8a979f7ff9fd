/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: dispatch, change, and removal of sources that are in the batch being dispatched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"

struct owner {
	struct loop_source src;
	struct loop *loop;
	struct owner *victim; /* removed when we are called */
	int calls;
	int write_end;
};

static void ready(struct loop_source *s, uint32_t events)
{
	struct owner *o = loop_source_owner(s, struct owner, src);
	o->calls++;
	if (o->victim) {
		assert_int_equal(loop_watch(o->loop, &o->victim->src, 0), 0);
		o->victim->src.fd = safe_close(o->victim->src.fd);
	}
}

static void owner_open(struct owner *o, struct loop *l)
{
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	*o = (struct owner){.src = {.fd = p[0], .fn = ready}, .loop = l, .write_end = p[1]};
}

static void owner_close(struct owner *o)
{
	if (o->src.fd >= 0)
		assert_int_equal(loop_watch(o->loop, &o->src, 0), 0);
	safe_close(o->src.fd);
	safe_close(o->write_end);
}

static void test_dispatch(void **state)
{
	struct loop l;
	struct owner o;
	assert_int_equal(loop_init(&l), 0);
	owner_open(&o, &l);
	assert_int_equal(loop_watch(&l, &o.src, EPOLLIN), 0);
	assert_int_equal(loop_step(&l, 0), 0);
	assert_int_equal(write(o.write_end, "x", 1), 1);
	assert_int_equal(loop_step(&l, 1000), 1);
	assert_int_equal(loop_step(&l, 1000), 1);
	assert_int_equal(o.calls, 2);
	assert_int_equal(loop_watch(&l, &o.src, 0), 0);
	assert_int_equal(loop_step(&l, 0), 0);
	assert_int_equal(loop_watch(&l, &o.src, EPOLLHUP), 0);
	assert_int_equal(loop_step(&l, 0), 0);
	owner_close(&o);
	loop_done(&l);
}

static void test_removed_in_the_same_batch(void **state)
{
	struct loop l;
	struct owner a, b;
	assert_int_equal(loop_init(&l), 0);
	owner_open(&a, &l);
	owner_open(&b, &l);
	a.victim = &b;
	b.victim = &a;
	assert_int_equal(loop_watch(&l, &a.src, EPOLLIN), 0);
	assert_int_equal(loop_watch(&l, &b.src, EPOLLIN), 0);
	assert_int_equal(write(a.write_end, "x", 1), 1);
	assert_int_equal(write(b.write_end, "x", 1), 1);
	assert_int_equal(loop_step(&l, 1000), 2);
	assert_int_equal(a.calls + b.calls, 1);
	owner_close(&a);
	owner_close(&b);
	loop_done(&l);
}

static void test_bad_descriptor(void **state)
{
	struct loop l;
	assert_int_equal(loop_init(&l), 0);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct loop_source s = {.fd = fd, .fn = ready};
	assert_int_equal(loop_watch(&l, &s, EPOLLIN), -EPERM);
	assert_int_equal(s.events, 0);
	safe_close(fd);
	loop_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_removed_in_the_same_batch),
		cmocka_unit_test(test_bad_descriptor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
