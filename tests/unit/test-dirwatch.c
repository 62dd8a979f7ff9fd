/* SPDX-License-Identifier: Apache-2.0 */
/* Hearing of a directory's changes, with and without an inotify instance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dirwatch.h"
#include "base/fd.h"

static void make_file(const char *dir)
{
	_cleanup_close_ int dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = openat(dfd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(unlinkat(dfd, "file", 0), 0);
}

static void test_hears(void **state)
{
	char dir[] = "/tmp/coffer-dirwatch-XXXXXX";
	_cleanup_dirwatch_ struct dirwatch w = DIRWATCH_NULL;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(dirwatch_add(&w, dir, IN_CREATE), 0);
	if (w.fd < 0) { /* this host's instances are used up: the last test is about that */
		assert_true(w.looks);
		return;
	}
	struct pollfd p = {w.fd, POLLIN, 0};
	assert_int_equal(dirwatch_timeout(&w, -1), -1);
	assert_int_equal(poll(&p, 1, 0), 0);
	make_file(dir);
	assert_int_equal(poll(&p, 1, 1000), 1);
	dirwatch_drain(&w);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_missing(void **state)
{
	_cleanup_dirwatch_ struct dirwatch w = DIRWATCH_NULL;
	assert_int_equal(dirwatch_add(&w, "/nonexistent/directory", IN_CREATE), -ENOENT);
	assert_int_equal(w.fd, -EBADF);
	assert_false(w.looks);
}

/* In a user namespace of its own, whose ceiling (user.max_inotify_instances) is this child's to set. */
static int without_instances(void)
{
	struct dirwatch w = DIRWATCH_NULL;
	if (unshare(CLONE_NEWUSER) < 0)
		return 77;
	_cleanup_close_ int fd = open("/proc/sys/user/max_inotify_instances", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return 77;
	if (dirwatch_add(&w, "/tmp", IN_CREATE) != 0 || dirwatch_add(&w, "/", IN_CREATE) != 0 || w.fd != -EBADF)
		return 1;
	if (dirwatch_timeout(&w, -1) != DIRWATCH_LOOK_MS || dirwatch_timeout(&w, 5) != 5 || dirwatch_timeout(&w, 60000) != DIRWATCH_LOOK_MS)
		return 2;
	dirwatch_drain(&w);
	dirwatch_done(&w);
	return 0;
}

static void test_bug_no_instance_is_no_failure(void **state)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(without_instances());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hears), cmocka_unit_test(test_missing), cmocka_unit_test(test_bug_no_instance_is_no_failure)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
