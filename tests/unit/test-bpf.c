/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device filter: programs of our assembler, run by the simulator and by the kernel, against the plain loop that says what a rule list means.
 * Rule lists of every shape up to three rules over a small universe are tried whole, longer ones at random from a fixed seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/bpf.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "kernel/process.h"

/* Every rule that differs for devices b/c 1..3:1..3. */
static const char types[] = {'a', 'b', 'c'};
static const int64_t numbers[] = {-1, 1, 2};
static const unsigned accesses[] = {0, 1, 2, 4, 3, 5, 6, 7};
#define N_RULES (2 * 3 * 3 * 3 * 8)

static struct bpf_device_rule rule_number(unsigned n)
{
	struct bpf_device_rule r = {.allow = n % 2};
	n /= 2;
	r.type = types[n % 3];
	n /= 3;
	r.major = numbers[n % 3];
	n /= 3;
	r.minor = numbers[n % 3];
	r.access = accesses[n / 3 % 8];
	return r;
}

static void compare(const struct bpf_device_rule *rules, size_t n)
{
	struct bpf_insn *insns;
	int len = bpf_device_program(rules, n, &insns);
	assert_true(len > 0);
	for (unsigned d = 0; d < 2 * 3 * 3; d++)
		for (unsigned access = 1; access <= 7; access++) {
			char type = d % 2 ? 'b' : 'c';
			uint32_t major = 1 + d / 2 % 3, minor = 1 + d / 6;
			bool want = bpf_device_permits(rules, n, type, major, minor, access);
			if (bpf_device_simulate(insns, (size_t) len, type, major, minor, access) != want)
				fail_msg("%zu rules: %c %u:%u %u should be %d", n, type, major, minor, access, want);
		}
	free(insns);
}

static void one_and_two_rules_of_every_shape(void **state)
{
	struct bpf_device_rule r[2] = {0};
	compare(r, 0);
	for (unsigned a = 0; a < N_RULES; a++) {
		r[0] = rule_number(a);
		compare(r, 1);
		for (unsigned b = 0; b < N_RULES; b++) {
			r[1] = rule_number(b);
			compare(r, 2);
		}
	}
}

static void longer_lists(void **state)
{
	struct bpf_device_rule r[12];
	unsigned seed = 20261123;
	for (int round = 0; round < 20000; round++) {
		size_t n = 3 + (size_t) rand_r(&seed) % 10;
		for (size_t i = 0; i < n; i++)
			r[i] = rule_number((unsigned) rand_r(&seed) % N_RULES);
		compare(r, n);
	}
}

/* What the words mean, said by hand: the model itself is tested here. */
static void meaning(void **state)
{
	const struct bpf_device_rule rules[] = {
		{false, 'a', -1, -1, 7}, {true, 'c', 1, 3, 7}, {true, 'b', 8, -1, 2}, {false, 'b', 8, 1, 6}, {true, 'b', 8, 1, 4},
	};
	static const struct {
		char type;
		uint32_t major, minor;
		unsigned access;
		bool want;
	} cases[] = {
		{'c', 1, 3, 6, true}, {'c', 1, 3, 1, true}, {'b', 1, 3, 2, false}, {'c', 1, 5, 2, false},
		{'b', 8, 0, 2, true}, {'b', 8, 0, 4, false}, {'b', 8, 0, 6, false},
		{'b', 8, 1, 2, false}, {'b', 8, 1, 4, true}, {'b', 8, 1, 6, false},
	};
	struct bpf_insn *insns;
	int len = bpf_device_program(rules, ARRAY_LEN(rules), &insns);
	assert_true(len > 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(bpf_device_permits(rules, ARRAY_LEN(rules), cases[i].type, cases[i].major, cases[i].minor, cases[i].access), cases[i].want);
		assert_int_equal(bpf_device_simulate(insns, (size_t) len, cases[i].type, cases[i].major, cases[i].minor, cases[i].access), cases[i].want);
	}
	free(insns);
}

static void bad_rules(void **state)
{
	struct bpf_insn *insns;
	struct bpf_device_rule r = {.allow = true, .type = 'x', .major = -1, .minor = -1, .access = 7};
	assert_int_equal(bpf_device_program(&r, 1, &insns), -EINVAL);
	r.type = 'c';
	r.major = (int64_t) 1 << 32;
	assert_int_equal(bpf_device_program(&r, 1, &insns), -EINVAL);
	r.major = 1;
	r.access = 8;
	assert_int_equal(bpf_device_program(&r, 1, &insns), -EINVAL);
	static struct bpf_device_rule many[BPF_DEVICE_RULES_MAX + 1];
	assert_int_equal(bpf_device_program(many, ARRAY_LEN(many), &insns), -E2BIG);
	/* nothing but our own instructions is simulated */
	const struct bpf_insn loop[] = {{.code = BPF_JMP | BPF_JA, .off = -1}};
	assert_int_equal(bpf_device_simulate(loop, 1, 'c', 1, 3, 7), -EINVAL);
	const struct bpf_insn no_end[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1}};
	assert_int_equal(bpf_device_simulate(no_end, 1, 'c', 1, 3, 7), -EINVAL);
}

static void the_verifier_takes_the_longest(void **state)
{
	static struct bpf_device_rule r[BPF_DEVICE_RULES_MAX];
	char log[4096];
	unsigned seed = 7;
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = (struct bpf_device_rule) {.allow = i % 3, .type = i % 2 ? 'b' : 'c', .major = rand_r(&seed) % 256, .minor = i % 5 ? rand_r(&seed) % 256 : -1,
						 .access = 1 + (unsigned) rand_r(&seed) % 7};
	struct bpf_insn *insns;
	int len = bpf_device_program(r, ARRAY_LEN(r), &insns);
	assert_true(len > 0);
	int fd = bpf_device_load(insns, (size_t) len, log, sizeof(log));
	free(insns);
	if (fd < 0)
		fail_msg("%d: %s", fd, log);
	safe_close(fd);
	/* what the verifier refuses comes back with its words */
	const struct bpf_insn nothing[] = {{.code = BPF_JMP | BPF_EXIT}};
	assert_int_equal(bpf_device_load(nothing, 1, log, sizeof(log)), -EACCES);
	assert_non_null(strstr(log, "R0"));
}

/* bit 0: /dev/null opens for reading, 1: for writing, 2: a node of it can be made, 3: /dev/zero opens. In a child inside the cgroup. */
static int probe(const char *dir)
{
	char node[64];
	int got = 0, fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	got |= fd >= 0 ? 1 : 0;
	safe_close(fd);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	got |= fd >= 0 ? 2 : 0;
	safe_close(fd);
	(void) snprintf(node, sizeof(node), "%s/null", dir);
	got |= mknod(node, S_IFCHR | 0600, makedev(1, 3)) == 0 ? 4 : 0;
	(void) unlink(node);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	got |= fd >= 0 ? 8 : 0;
	safe_close(fd);
	return got;
}

static int probe_in(int cgroup_fd, const char *dir)
{
	struct pidref child = PIDREF_NULL;
	int status;
	pid_t pid = process_clone(0, cgroup_fd, &child);
	if (pid == 0)
		_exit(probe(dir));
	assert_true(pid > 0);
	assert_int_equal(process_wait(pid, &status), 0);
	safe_close(child.fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void put(int cgroup_fd, const struct bpf_device_rule *rules, size_t n)
{
	struct bpf_insn *insns;
	int len = bpf_device_program(rules, n, &insns);
	int prog = bpf_device_load(insns, (size_t) len, NULL, 0);
	assert_true(prog >= 0);
	assert_int_equal(bpf_device_attach(cgroup_fd, prog), 0);
	safe_close(prog);
	free(insns);
}

static void the_kernel_obeys_it(void **state)
{
	struct cgroup_layout l;
	char path[200], tmp[] = "/var/tmp/coffer-bpf-XXXXXX";
	assert_int_equal(cgroup_layout_read(&l), 0);
	if (!*l.v2_mount)
		fail_msg("this host has no cgroup v2 mount");
	assert_non_null(mkdtemp(tmp));
	(void) snprintf(path, sizeof(path), "%s/coffer-test-bpf-%d", l.v2_mount, (int) getpid());
	assert_int_equal(mkdir(path, 0755), 0);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	int open_all = probe_in(fd, tmp);
	assert_int_equal(open_all, 15);

	const struct bpf_device_rule none[] = {{false, 'a', -1, -1, 7}};
	put(fd, none, 1);
	assert_int_equal(bpf_device_count(fd), 1);
	assert_int_equal(probe_in(fd, tmp), 0);

	const struct bpf_device_rule read_null[] = {{false, 'a', -1, -1, 7}, {true, 'c', 1, 3, BPF_DEVICE_READ}};
	put(fd, read_null, 2); /* in place of the first: both would let nothing through */
	assert_int_equal(bpf_device_count(fd), 1);
	assert_int_equal(probe_in(fd, tmp), 1);

	const struct bpf_device_rule no_write[] = {{true, 'a', -1, -1, 7}, {false, 'c', 1, 3, BPF_DEVICE_WRITE}};
	put(fd, no_write, 2);
	assert_int_equal(probe_in(fd, tmp), 1 | 4 | 8);
	safe_close(fd);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(tmp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meaning),
		cmocka_unit_test(one_and_two_rules_of_every_shape),
		cmocka_unit_test(longer_lists),
		cmocka_unit_test(bad_rules),
		cmocka_unit_test(the_verifier_takes_the_longest),
		cmocka_unit_test(the_kernel_obeys_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
