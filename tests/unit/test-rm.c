/* SPDX-License-Identifier: Apache-2.0 */
/* rm_rf_at(): trees of any depth with few descriptors, links not followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int scratch(char *path)
{
	assert_non_null(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* @depth directories inside each other below @dfd, a file in each: made by descriptor, since no path is that long. */
static void dig(int dfd, const char *top, int depth)
{
	int at = mkdir_open_at(dfd, top, 0700);
	for (int i = 0; i < depth; i++) {
		assert_true(at >= 0);
		int f = openat(at, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(f >= 0);
		(void) close(f);
		int next = mkdir_open_at(at, ".rm-0", 0700); /* a name that the removal would like for itself */
		(void) close(at);
		at = next;
	}
	(void) close(at);
}

static void five_thousand_levels(void **state)
{
	char path[] = "/var/tmp/test-rm.XXXXXX";
	int dfd = scratch(path);
	dig(dfd, "deep", 5000);
	struct rlimit old, few = {.rlim_cur = 80};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int r = rm_rf_at(dfd, "deep");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, 0);
	assert_int_equal(faccessat(dfd, "deep", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	(void) close(dfd);
	assert_int_equal(rmdir(path), 0);
}

static void links_are_not_followed(void **state)
{
	char path[] = "/var/tmp/test-rm.XXXXXX";
	int dfd = scratch(path);
	dig(dfd, "kept", 2);
	assert_true(mkdir_open_at(dfd, "gone", 0700) >= 0);
	assert_int_equal(symlinkat("../kept", dfd, "gone/link"), 0);
	assert_int_equal(rm_rf_at(dfd, "gone"), 0);
	assert_int_equal(faccessat(dfd, "kept/file", F_OK, 0), 0);
	assert_int_equal(symlinkat("kept", dfd, "gone"), 0);
	assert_int_equal(rm_rf_at(dfd, "gone"), 0);
	assert_int_equal(faccessat(dfd, "kept/file", F_OK, 0), 0);
	assert_int_equal(rm_rf_at(dfd, "never-there"), 0);
	assert_int_equal(rm_rf_at(dfd, "kept"), 0);
	(void) close(dfd);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(five_thousand_levels), cmocka_unit_test(links_are_not_followed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
