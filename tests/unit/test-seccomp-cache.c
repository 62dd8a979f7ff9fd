/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "codec/digest.h"
#include "seccomp/cache.h"
#include "seccomp/simulate.h"

struct dir {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct dir d;
	(void) str_copy(d.path, sizeof(d.path), "/tmp/test-seccomp-cache.XXXXXX");
	if (!mkdtemp(d.path))
		return -1;
	d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &d;
	return d.fd < 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;
	d->fd = safe_close(d->fd);
	return rm_rf_at(AT_FDCWD, d->path);
}

static struct seccomp_filter get(int dfd, const char *json, const struct seccomp_env *env)
{
	struct seccomp_source src = {.json = json, .len = json ? strlen(json) : 0, .what = "t"};
	struct seccomp_filter f;
	struct err err;
	if (seccomp_filter_get(dfd, &src, env, &f, &err) < 0)
		fail_msg("%s", err.msg);
	/* what is on disk is what was promised */
	_cleanup_free_ char *bytes = NULL;
	char hex[65];
	assert_int_equal(read_file(dfd, f.name, 1 << 16, &bytes), f.len);
	digest_sha256_hex(bytes, f.len, hex);
	assert_string_equal(hex, f.hash);
	assert_int_equal(seccomp_check_program((void *) bytes, f.len / sizeof(struct sock_filter), NULL), 0);
	return f;
}

static int count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	(void) closedir(d);
	return n;
}

static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":[{\"name\":\"read\","
			   "\"action\":\"SCMP_ACT_ALLOW\"}]}";

static void second_time_is_from_the_cache(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	seccomp_env_init(&env);
	for (int i = 0; i < 2; i++) {
		const char *json = i ? text : NULL;
		struct seccomp_filter a = get(d->fd, json, &env), b = get(d->fd, json, &env);
		assert_true(a.built);
		assert_false(b.built);
		assert_string_equal(a.name, b.name);
		assert_string_equal(a.hash, b.hash);
		assert_int_equal(b.flags, i ? SECCOMP_FILTER_FLAG_LOG : 0);
	}
	assert_int_equal(count(d->path), 4); /* two filters, two sums, no temporary */
	struct stat st;
	struct seccomp_filter f = get(d->fd, NULL, &env);
	assert_int_equal(fstatat(d->fd, f.name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void every_input_has_its_own_name(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	seccomp_env_init(&env);
	struct seccomp_env other[] = {env, env, env, env};
	other[1].caps = UINT64_C(1) << 18;
	other[2].flags = SECCOMP_ENV_SYS_ADMIN_UNLOCKS;
	other[3].kernel_minor++;
	char names[16][SECCOMP_CACHE_NAME_MAX];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		for (int custom = 0; custom < 2; custom++) {
			struct seccomp_filter f = get(d->fd, custom ? text : NULL, &other[i]);
			for (size_t k = 0; k < n; k++)
				assert_string_not_equal(names[k], f.name);
			assert_int_equal(str_copy(names[n++], sizeof(names[0]), f.name), 0);
		}
	char more[sizeof(text) + 1];
	assert_true(str_format(more, sizeof(more), "%s ", text) > 0);
	assert_string_not_equal(get(d->fd, more, &env).name, get(d->fd, text, &env).name);
}

static void damage_is_repaired(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	seccomp_env_init(&env);
	struct seccomp_filter f = get(d->fd, NULL, &env);
	char sum[SECCOMP_CACHE_NAME_MAX + 8];
	assert_true(str_format(sum, sizeof(sum), "%s.sum", f.name) > 0);
	for (int i = 0; i < 7; i++) {
		int fd = openat(d->fd, i < 4 ? f.name : sum, O_RDWR | O_CLOEXEC);
		char byte = 0x55;
		assert_true(fd >= 0);
		switch (i) {
		case 0: /* torn */
			assert_int_equal(ftruncate(fd, (off_t) f.len / 2), 0);
			break;
		case 1: /* not a multiple */
			assert_int_equal(ftruncate(fd, (off_t) f.len - 3), 0);
			break;
		case 2: /* one bit */
			assert_int_equal(pwrite(fd, &byte, 1, 44), 1);
			break;
		case 3: /* longer */
			assert_int_equal(pwrite(fd, &byte, 1, (off_t) f.len), 1);
			break;
		case 4:
			assert_int_equal(ftruncate(fd, 0), 0);
			break;
		case 5:
			assert_int_equal(pwrite(fd, "v9", 2, 0), 2);
			break;
		case 6: /* filter gone, sum left */
			assert_int_equal(unlinkat(d->fd, f.name, 0), 0);
			break;
		}
		(void) close(fd);
		struct seccomp_filter again = get(d->fd, NULL, &env);
		assert_true(again.built);
		assert_string_equal(again.hash, f.hash);
		assert_false(get(d->fd, NULL, &env).built);
	}
}

static void failures_leave_nothing(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	struct seccomp_filter f = {.name = "untouched"};
	struct err err = {0};
	seccomp_env_init(&env);
	static const char *const bad[] = {"{\"defaultAction\":\"X\"}", "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct seccomp_source src = {bad[i], strlen(bad[i]), "t"};
		assert_true(seccomp_filter_get(d->fd, &src, &env, &f, &err) < 0);
		assert_string_equal(f.name, "untouched");
	}
	assert_int_equal(count(d->path), 0);
	struct seccomp_source def = {0};
	assert_true(seccomp_filter_get(-EBADF, &def, &env, &f, &err) < 0);
	assert_int_equal(err.kind, ERR_SYSTEM);
}

static void many_at_once(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	seccomp_env_init(&env);
	pid_t pids[8];
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			for (int k = 0; k < 50; k++) {
				struct seccomp_source src = {0};
				struct seccomp_filter f;
				env.caps = (uint64_t) k % 5;
				if (seccomp_filter_get(d->fd, &src, &env, &f, NULL) < 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count(d->path), 10);
}

static void cached_is_quick(void **state)
{
	struct dir *d = *state;
	struct seccomp_env env;
	seccomp_env_init(&env);
	struct seccomp_source src = {0};
	struct seccomp_filter f;
	(void) get(d->fd, NULL, &env);
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 200; i++) {
		struct timespec a, b;
		(void) clock_gettime(CLOCK_MONOTONIC, &a);
		assert_int_equal(seccomp_filter_get(d->fd, &src, &env, &f, NULL), 0);
		(void) clock_gettime(CLOCK_MONOTONIC, &b);
		best = MIN(best, (uint64_t) ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec));
	}
	print_message("cached: %llu ns\n", (unsigned long long) best);
	assert_true(best < 1000000); /* the aim is 50 us; this bound holds under a sanitizer on a busy machine too */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(second_time_is_from_the_cache, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_input_has_its_own_name, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_is_repaired, setup, teardown),
	    cmocka_unit_test_setup_teardown(failures_leave_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(cached_is_quick, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
