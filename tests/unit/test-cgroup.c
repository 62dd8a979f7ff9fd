/* SPDX-License-Identifier: Apache-2.0 */
/* cgroups without a kernel: the paths' text, the formats of the files, the conversions from v1's numbers, the device list; and with one: create, join, freeze, count. Root. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/cgroup_internal.h"
#include "kernel/cgroup_stats.h"
#include "kernel/process.h"
#include "sandbox/cgroup_knobs.h"
#include "sandbox/cgroup_ops.h"
#include "sandbox/device_filter.h"

static void paths_are_checked(void **state)
{
	static const struct {
		const char *in, *name, *want; /* want NULL: -EINVAL */
	} cases[] = {
		{"/a/b", "memory", "a/b"},           {"a//b/", "memory", "a/b"},     {"///x", "pids", "x"},
		{"/a\nmemory=/p/a", "memory", "p/a"}, {"/a\nmemory=/p/a", "pids", "a"}, {"/a\nmem=/x\nmemory=//y/", "memory", "y"},
		{"", "pids", NULL},                  {"/", "pids", NULL},             {"/a/../b", "pids", NULL},
		{"..", "pids", NULL},                {"/a/.", "pids", NULL},          {"/a\npids=/", "pids", NULL},
		{"/a/..b/.c", "pids", "a/..b/.c"},   {"/a\nunified=/z", "unified", "z"},
	};
	char buf[CGROUP_PATH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = cgroup_path_in(cases[i].in, cases[i].name, buf);
		assert_int_equal(r, cases[i].want ? 0 : -EINVAL);
		if (cases[i].want)
			assert_string_equal(buf, cases[i].want);
	}
	char longest[700];
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(cgroup_path_in(longest, "pids", buf), -EINVAL); /* one part of more than 255 */
	for (size_t i = 100; i < sizeof(longest) - 1; i += 100)
		longest[i] = '/';
	assert_int_equal(cgroup_path_in(longest, "pids", buf), -EINVAL); /* all of it */
}

static void a_whole_host_is_never_opened(void **state)
{
	struct cgroup cg;
	const char *failed;
	static const char *const roots[] = {"", "/", "//", "/..", "/."};
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		assert_int_equal(cgroup_open(&cg, roots[i]), -EINVAL);
		assert_int_equal(cgroup_create(&cg, roots[i], CG_ALL, 0, &failed), -EINVAL);
		assert_int_equal(cgroup_remove(roots[i]), -EINVAL);
	}
}

static void keyed_files(void **state)
{
	struct cgroup_keys k = {0};
	assert_int_equal(cgroup_parse_keys("cache 10\nrss 20\nodd\n 7 8 9\nbad x\nhuge 18446744073709551615\nlast 3", &k), 0);
	assert_int_equal(k.n, 5);
	assert_int_equal(cgroup_key_value(&k, "rss", 0), 20);
	assert_int_equal(cgroup_key_value(&k, "7", 0), 8);
	assert_true(cgroup_key_value(&k, "huge", 0) == UINT64_MAX);
	assert_int_equal(cgroup_key_value(&k, "last", 0), 3);
	assert_int_equal(cgroup_key_value(&k, "odd", 5), 5);
	free(k.v);
	k = (struct cgroup_keys) {0};
	assert_int_equal(cgroup_parse_keys("", &k), 0);
	assert_int_equal(k.n, 0);
	/* a ceiling, whatever the file says */
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	for (int i = 0; i < 3000; i++)
		strbuf_addf(&b, "k%d %d\n", i, i);
	assert_int_equal(cgroup_parse_keys(b.s, &k), 0);
	assert_int_equal(k.n, 1024);
	assert_int_equal(cgroup_key_value(&k, "k1023", 0), 1023);
	free(k.v);
}

static void io_files(void **state)
{
	struct cgroup_io_rows rows = {0}, ios = {0};
	assert_int_equal(cgroup_parse_io_v1("8:0 Read 100\n8:0 Write 200\n8:16 7\nTotal 300\n8:x Read 1\n", &rows), 0);
	assert_int_equal(rows.n, 3);
	assert_true(rows.v[1].major == 8 && rows.v[1].minor == 0 && rows.v[1].value == 200);
	assert_string_equal(rows.v[1].op, "Write");
	assert_true(rows.v[2].minor == 16 && rows.v[2].value == 7 && !*rows.v[2].op);
	free(rows.v);
	rows = (struct cgroup_io_rows) {0};
	assert_int_equal(cgroup_parse_io_stat("259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=9\n8:0 \n", &rows, &ios), 0);
	assert_int_equal(rows.n, 3);
	assert_int_equal(ios.n, 3);
	assert_true(rows.v[1].value == 2 && ios.v[0].value == 3 && ios.v[0].major == 259);
	free(rows.v);
	free(ios.v);
}

static void pressure_files(void **state)
{
	struct cgroup_psi p = {0};
	cgroup_parse_psi("some avg10=1.23 avg60=0.00 avg300=45.60 total=789\nfull avg10=0.01 avg60=0.00 avg300=100.00 total=5\n", &p);
	assert_true(p.has && p.some.avg10 == 123 && p.some.avg300 == 4560 && p.some.total_usec == 789 && p.full.avg10 == 1 && p.full.avg300 == 10000);
	p = (struct cgroup_psi) {0};
	cgroup_parse_psi("nonsense\n", &p);
	assert_false(p.has);
}

/* The numbers that crun and the cgroups library of runc give. */
static void shares_become_weights(void **state)
{
	static const struct {
		uint64_t shares, weight;
	} cases[] = {{0, 1}, {2, 1}, {3, 2}, {100, 17}, {102, 17}, {256, 35}, {512, 59}, {1000, 99}, {1024, 100}, {1025, 101}, {2048, 174}, {10240, 639}, {65536, 3023},
		     {262143, 10000}, {262144, 10000}, {UINT64_MAX, 10000}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(cgroup_weight_of_shares(cases[i].shares), cases[i].weight);
	for (uint64_t s = 3; s <= 262144; s++)
		assert_true(cgroup_weight_of_shares(s) >= cgroup_weight_of_shares(s - 1));
}

static void other_conversions(void **state)
{
	assert_int_equal(cgroup_io_weight_of_blkio(10), 1);
	assert_int_equal(cgroup_io_weight_of_blkio(500), 4950);
	assert_int_equal(cgroup_io_weight_of_blkio(1000), 10000);
	int64_t v;
	assert_int_equal(cgroup_swap_max(100, 300, &v), 0);
	assert_int_equal(v, 200);
	assert_int_equal(cgroup_swap_max(100, 100, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(cgroup_swap_max(100, -1, &v), 0);
	assert_int_equal(v, -1);
	assert_int_equal(cgroup_swap_max(100, 99, &v), -EINVAL);
	assert_int_equal(cgroup_swap_max(0, 99, &v), -EDOM);
	assert_int_equal(cgroup_swap_max(-1, 99, &v), -EDOM);
}

static void device_lists(void **state)
{
	struct err err;
	struct bpf_device_rule *v;
	size_t n;
	struct device_rule rules[] = {
		{.allow = true, .type = 'c', .major = 10, .minor = 229, .access = "rw"}, {.allow = false, .type = 'a', .major = -1, .minor = -1, .access = ""},
		{.allow = true, .type = 'b', .major = 8, .minor = -1, .access = "r"},
	};
	struct resources_spec r = {.devices = rules, .n_devices = 3};
	assert_int_equal(device_filter_rules(&r, false, &v, &n, &err), 0);
	assert_int_equal(n, 2); /* what stands before "everything" is past */
	assert_true(v[0].type == 'a' && !v[0].allow && v[1].type == 'b' && v[1].access == BPF_DEVICE_READ);
	free(v);
	r.n_devices = 1;
	assert_int_equal(device_filter_rules(&r, true, &v, &n, &err), 0);
	assert_true(n > 2 && v[0].type == 'a' && !v[0].allow); /* refused is where every list starts */
	assert_true(bpf_device_permits(v, n, 'c', 10, 229, 6) && !bpf_device_permits(v, n, 'c', 10, 200, 2));
	assert_true(bpf_device_permits(v, n, 'c', 1, 3, 7) && bpf_device_permits(v, n, 'b', 8, 0, BPF_DEVICE_MKNOD) && !bpf_device_permits(v, n, 'b', 8, 0, 2));
	assert_int_equal(device_filter_fits_v1(v, n), -1);
	free(v);
	const struct bpf_device_rule hole[] = {{false, 'a', -1, -1, 7}, {true, 'c', 10, -1, 7}, {false, 'c', 10, 229, 7}};
	assert_int_equal(device_filter_fits_v1(hole, 3), 2);
	const struct bpf_device_rule back[] = {{false, 'a', -1, -1, 7}, {true, 'c', 10, 229, 7}, {false, 'c', 10, 229, 4}};
	assert_int_equal(device_filter_fits_v1(back, 3), -1);
	const struct bpf_device_rule open_but[] = {{true, 'a', -1, -1, 7}, {false, 'c', 10, 229, 7}, {true, 'c', 10, -1, 7}};
	assert_int_equal(device_filter_fits_v1(open_but, 3), 2);
}

static void what_is_asked_first(void **state)
{
	struct resources_spec r = {0};
	assert_null(knobs_first_asked(&r, true));
	assert_int_equal(knobs_controllers(&r), 0);
	r.has_swappiness = true;
	r.cpus = (char[]) {""};
	assert_string_equal(knobs_first_asked(&r, true), "linux.resources.memory.swappiness");
	assert_int_equal(knobs_controllers(&r), 1u << CG_MEMORY);
	r = (struct resources_spec) {.n_devices = 1};
	assert_null(knobs_first_asked(&r, false));
	assert_string_equal(knobs_first_asked(&r, true), "linux.resources.devices");
}

/* With the kernel */

static char cg_path[64];

static int make_path(void **state)
{
	static int n;
	(void) snprintf(cg_path, sizeof(cg_path), "/coffer-test-%d-%d", (int) getpid(), n++);
	return 0;
}

static int remove_path(void **state)
{
	return cgroup_remove(cg_path);
}

/* A child in @cg that sleeps. */
static pid_t sleeper(const struct cgroup *cg)
{
	int fds[CG_CONTROLLER_MAX_], sync[2];
	int n = cgroup_join_fds(cg, fds);
	assert_true(n >= 0);
	assert_int_equal(pipe2(sync, O_CLOEXEC), 0);
	struct pidref child = PIDREF_NULL;
	pid_t pid = process_clone(0, cg->v2, &child);
	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(1);
		(void) !write(sync[1], "x", 1);
		for (;;)
			(void) pause();
	}
	char c;
	assert_int_equal(read(sync[0], &c, 1), 1);
	for (int i = 0; i < n; i++)
		safe_close(fds[i]);
	safe_close(sync[0]);
	safe_close(sync[1]);
	safe_close(child.fd);
	return pid;
}

static char process_state(pid_t pid)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	(void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	assert_true(read_file(AT_FDCWD, path, 4096, &text) > 0);
	return strrchr(text, ')')[2];
}

static unsigned all_v1(void)
{
	struct cgroup_layout l;
	unsigned mask = 0;
	assert_int_equal(cgroup_layout_read(&l), 0);
	if (cgroup_is_unified(&l))
		return CG_ALL;
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++)
		mask |= cgroup_has(&l, (enum cg_controller) c) == 1 ? 1u << c : 0;
	return mask;
}

static void joined_when_empty(void **state)
{
	struct cgroup cg, other;
	const char *failed;
	unsigned mask = all_v1(), flags = CGROUP_FOREIGN | CGROUP_EMPTY;
	assert_int_equal(cgroup_create(&cg, cg_path, mask, flags, &failed), 0);
	assert_true(cg.made != 0);
	assert_int_equal(cgroup_create(&other, cg_path, mask, flags, &failed), 0);
	assert_int_equal(other.made, 0);
	cgroup_undo(&other); /* what it did not make it does not take away */
	pid_t pid = sleeper(&cg);
	assert_int_equal(cgroup_create(&other, cg_path, mask, flags, &failed), -EADDRINUSE);
	assert_int_equal(kill(pid, 0), 0);
	assert_string_equal(other.path, "");
	cgroup_done(&cg);
	assert_int_equal(cgroup_open(&cg, cg_path), 0);
	cgroup_done(&cg);
	assert_int_equal(cgroup_remove(cg_path), 0);
	int status;
	assert_int_equal(process_wait(pid, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void frozen_counted_and_killed(void **state)
{
	struct cgroup cg;
	struct err err;
	const char *failed;
	assert_int_equal(cgroup_create(&cg, cg_path, all_v1(), CGROUP_FOREIGN, &failed), 0);
	pid_t a = sleeper(&cg), b = sleeper(&cg), *v;
	size_t n;
	assert_int_equal(sandbox_pids(cg_path, 0, &v, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_true(v[0] == MIN(a, b) && v[1] == MAX(a, b));
	free(v);
	assert_int_equal(sandbox_is_paused(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_pause(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_is_paused(cg_path, 0, &err), 1);
	assert_int_equal(sandbox_pause(cg_path, 0, &err), 0);
	/* a deadly signal ends a frozen process on v2, and waits for the thaw on v1 */
	bool v1 = cgroup_has(&cg.layout, CG_FREEZER) == 1;
	assert_int_equal(kill(a, SIGUSR1), 0);
	(void) usleep(20000);
	assert_true(!v1 || process_state(a) != 'Z');
	assert_int_equal(sandbox_resume(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_is_paused(cg_path, 0, &err), 0);
	int status;
	assert_int_equal(process_wait(a, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	struct cgroup_stats s;
	assert_int_equal(sandbox_stats(cg_path, 0, &s, &err), 0);
	assert_true(s.pids.has && s.pids.usage == 1 && s.pids.limit == CGROUP_NO_LIMIT);
	assert_true(s.cpu.has && s.cpu.total_ns > 0);
	assert_true(s.memory.usage.has && s.memory.usage.limit == CGROUP_NO_LIMIT && s.memory.raw.n > 10);
	assert_non_null(s.cpuset_cpus);
	cgroup_stats_done(&s);
	/* killed while it is frozen */
	assert_int_equal(sandbox_pause(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_kill_all(cg_path, 0, SIGKILL, &err), 0);
	assert_int_equal(process_wait(b, &status), 0);
	cgroup_done(&cg);
	assert_int_equal(sandbox_remove(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_remove(cg_path, 0, &err), 0);
	assert_true(sandbox_stats(cg_path, 0, &s, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(sandbox_pids(cg_path, 0, &v, &n, &err), 0);
	assert_int_equal(n, 0);
}

/* The engine has no freezer directory until somebody pauses. */
static void late_freezer(void **state)
{
	struct cgroup cg;
	struct err err;
	const char *failed;
	assert_int_equal(cgroup_create(&cg, cg_path, 1u << CG_PIDS, 0, &failed), 0);
	pid_t pid = sleeper(&cg);
	cgroup_done(&cg);
	assert_int_equal(sandbox_pause(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_is_paused(cg_path, 0, &err), 1);
	assert_true(process_state(pid) == 'D' || process_state(pid) == 'S'); /* D on v1, S or D on v2 */
	assert_int_equal(sandbox_resume(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_pause(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_remove(cg_path, 0, &err), 0); /* thawed for that */
	int status;
	assert_int_equal(process_wait(pid, &status), 0);
}

static uint64_t read_number(const struct cgroup *cg, enum cg_controller c, const char *v1, const char *v2)
{
	char text[64];
	assert_int_equal(cgroup_read(cg, c, v1, v2, text, sizeof(text)), 0);
	return strtoull(text, NULL, 10);
}

static void updated_in_the_right_order(void **state)
{
	struct cgroup cg;
	struct err err;
	const char *failed;
	const int64_t mib = 1 << 20;
	assert_int_equal(cgroup_create(&cg, cg_path, all_v1(), CGROUP_FOREIGN, &failed), 0);
	bool v2 = cgroup_has(&cg.layout, CG_MEMORY) == 2;
	struct resources_spec r = {.has_memory = true, .memory = 32 * mib, .has_swap = true, .swap = 64 * mib};
	static const int64_t steps[][2] = {{32, 64}, {128, 256}, {64, 64}, {512, 1024}, {16, 32}, {32, -1}, {64, 128}, {-1, -1}, {8, 16}};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		r.memory = steps[i][0] < 0 ? -1 : steps[i][0] * mib;
		r.swap = steps[i][1] < 0 ? -1 : steps[i][1] * mib;
		if (sandbox_update(cg_path, 0, &r, &err) < 0)
			fail_msg("step %zu: %s", i, err.msg);
		if (r.memory > 0)
			assert_true(read_number(&cg, CG_MEMORY, "memory.limit_in_bytes", "memory.max") == (uint64_t) r.memory);
		if (r.swap > 0)
			assert_true(read_number(&cg, CG_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max") == (uint64_t) (v2 ? r.swap - r.memory : r.swap));
	}
	/* quota and period each by itself: the other stays */
	r = (struct resources_spec) {.has_quota = true, .quota = 50000, .has_period = true, .period = 100000, .has_pids = true, .pids = 7};
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	r = (struct resources_spec) {.has_period = true, .period = 200000};
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	char text[64];
	assert_int_equal(cgroup_read(&cg, CG_CPU, "cpu.cfs_quota_us", "cpu.max", text, sizeof(text)), 0);
	assert_string_equal(text, v2 ? "50000 200000" : "50000");
	r = (struct resources_spec) {.has_quota = true, .quota = 20000, .has_burst = true, .burst = 10000};
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	assert_int_equal(read_number(&cg, CG_CPU, "cpu.cfs_burst_us", "cpu.max.burst"), 10000);
	assert_int_equal(read_number(&cg, CG_PIDS, "pids.max", "pids.max"), 7);
	/* idle, with shares that would be refused beside it */
	r = (struct resources_spec) {.has_idle = true, .idle = 1, .has_shares = true, .shares = 512};
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	assert_int_equal(read_number(&cg, CG_CPU, "cpu.idle", "cpu.idle"), 1);
	r.idle = 0;
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	assert_int_equal(read_number(&cg, CG_CPU, "cpu.shares", "cpu.weight"), v2 ? 59 : 512);
	cgroup_done(&cg);
}

static void asked(const struct resources_spec *r, const char *field)
{
	struct err err;
	if (sandbox_update(cg_path, 0, r, &err) == 0)
		fail_msg("%s was taken", field);
	assert_non_null(strstr(err.msg, field));
}

static void refused_by_name(void **state)
{
	struct cgroup cg;
	const char *failed;
	assert_int_equal(cgroup_create(&cg, cg_path, all_v1(), CGROUP_FOREIGN, &failed), 0);
	struct hugepage_limit huge = {.page_size = (char[]) {"../../x"}, .limit = 1};
	asked(&(struct resources_spec) {.hugepages = &huge, .n_hugepages = 1}, "linux.resources.hugepageLimits");
	huge.page_size = (char[]) {"3MB"};
	asked(&(struct resources_spec) {.hugepages = &huge, .n_hugepages = 1}, "linux.resources.hugepageLimits");
	asked(&(struct resources_spec) {.has_swappiness = true, .swappiness = 101}, "linux.resources.memory.swappiness");
	asked(&(struct resources_spec) {.has_blkio_weight = true, .blkio_weight = 5}, "linux.resources.blockIO.weight");
	asked(&(struct resources_spec) {.has_kernel = true, .kernel = 1 << 20}, "linux.resources.memory.kernel");
	asked(&(struct resources_spec) {.cpus = (char[]) {"no-cpu"}}, "linux.resources.cpu.cpus");
	struct keyval kv = {(char[]) {"../memory.max"}, (char[]) {"1"}};
	asked(&(struct resources_spec) {.unified = &kv, .n_unified = 1}, "linux.resources.unified");
	kv.key = (char[]) {"nosuch.max"};
	asked(&(struct resources_spec) {.unified = &kv, .n_unified = 1}, "linux.resources.unified");
	struct rdma_limit rdma = {.device = (char[]) {"a b"}};
	asked(&(struct resources_spec) {.rdma = &rdma, .n_rdma = 1}, "linux.resources.rdma");
	/* checkBeforeUpdate: less than is in use */
	pid_t pid = sleeper(&cg);
	asked(&(struct resources_spec) {.has_memory = true, .memory = 4096, .has_check_before = true, .check_before_update = true}, "checkBeforeUpdate");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(process_wait(pid, NULL), 0);
	cgroup_done(&cg);
}

static void an_oom_is_heard(void **state)
{
	struct cgroup cg;
	struct err err;
	const char *failed;
	uint64_t seen = 0;
	assert_int_equal(cgroup_create(&cg, cg_path, all_v1(), CGROUP_FOREIGN, &failed), 0);
	struct resources_spec r = {.has_memory = true, .memory = 8 << 20, .has_swap = true, .swap = 8 << 20};
	assert_int_equal(sandbox_update(cg_path, 0, &r, &err), 0);
	int fd = sandbox_oom_watch(cg_path, 0, &err);
	assert_true(fd >= 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0);
	int fds[CG_CONTROLLER_MAX_], status;
	int n = cgroup_join_fds(&cg, fds);
	struct pidref child = PIDREF_NULL;
	pid_t pid = process_clone(0, cg.v2, &child);
	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(1);
		volatile char *m = malloc(64 << 20);
		for (size_t i = 0; m && i < 64 << 20; i += 4096)
			m[i] = 1;
		_exit(2);
	}
	assert_int_equal(process_wait(pid, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(sandbox_oom_next(cg_path, 0, fd, &seen), 1);
	assert_true(seen >= 1);
	for (int i = 0; i < n; i++)
		safe_close(fds[i]);
	safe_close(child.fd);
	cgroup_done(&cg);
	assert_int_equal(sandbox_remove(cg_path, 0, &err), 0);
	assert_int_equal(sandbox_oom_next(cg_path, 0, fd, &seen), -ENOENT);
	safe_close(fd);
}

/* Below the caller's own cgroups, which may be another in each hierarchy. */
static void relative_paths(void **state)
{
	struct cgroup_layout l;
	char path[CGROUP_PATH_MAX];
	assert_int_equal(cgroup_layout_read(&l), 0);
	assert_int_equal(cgroup_path_below_own(&l, "x/y", path), 0);
	assert_int_equal(path[0], '/');
	/* opened, every hierarchy's directory is where /proc/PID/cgroup will say */
	struct cgroup cg;
	const char *failed;
	assert_int_equal(cgroup_path_below_own(&l, cg_path, path), 0);
	assert_int_equal(cgroup_create(&cg, path, all_v1(), CGROUP_FOREIGN, &failed), 0);
	pid_t pid = sleeper(&cg);
	char own[CGROUP_PATH_MAX];
	assert_int_equal(cgroup_path_of_pid(&l, pid, own), 0);
	for (int c = 0; c < CG_CONTROLLER_MAX_; c++) {
		char want[CGROUP_PATH_MAX], is[CGROUP_PATH_MAX];
		if (cg.v1[c] < 0)
			continue;
		assert_int_equal(cgroup_path_in(path, cgroup_hierarchy_name(c), want), 0);
		assert_int_equal(cgroup_path_in(own, cgroup_hierarchy_name(c), is), 0);
		assert_string_equal(want, is);
	}
	cgroup_done(&cg);
	assert_int_equal(cgroup_remove(path), 0);
	assert_int_equal(process_wait(pid, NULL), 0);
	assert_true(cgroup_path_below_own(&l, "../x", path) < 0);
	assert_true(cgroup_path_below_own(&l, "", path) < 0);
}

#define WITH_PATH(f) cmocka_unit_test_setup_teardown(f, make_path, remove_path)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_checked),
		cmocka_unit_test(a_whole_host_is_never_opened),
		cmocka_unit_test(keyed_files),
		cmocka_unit_test(io_files),
		cmocka_unit_test(pressure_files),
		cmocka_unit_test(shares_become_weights),
		cmocka_unit_test(other_conversions),
		cmocka_unit_test(device_lists),
		cmocka_unit_test(what_is_asked_first),
		WITH_PATH(relative_paths),
		WITH_PATH(joined_when_empty),
		WITH_PATH(frozen_counted_and_killed),
		WITH_PATH(late_freezer),
		WITH_PATH(updated_in_the_right_order),
		WITH_PATH(refused_by_name),
		WITH_PATH(an_oom_is_heard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
