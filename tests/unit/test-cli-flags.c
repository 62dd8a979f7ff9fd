/* SPDX-License-Identifier: Apache-2.0 */
/* The flag parser: docker's forms, what stops it, what it refuses, and every command's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/str.h"
#include "cli/command.h"
#include "base/flag.h"
#include "cli/options.h"
#include "base/suggest.h"

struct sample {
	bool tty, stdin_open, quiet;
	int8_t init;
	const char *name;
	char **env;
	int64_t pids, memory, late;
};

static int set_late(void *field, const char *value, struct err *err)
{
	if (!str_eq(value, "late"))
		return err_set(err, ERR_INVALID, "only late will do");
	*(int64_t *) field = 7;
	return 0;
}

#define O(f) offsetof(struct sample, f)
static const struct flag rows[] = {
	{"env", 'e', FLAG_LIST, O(env)},	{"init", 0, FLAG_TRISTATE, O(init)}, {"interactive", 'i', FLAG_BOOL, O(stdin_open)},
	{"late", 'l', FLAG_SET, O(late), NULL, "x", set_late}, {"memory", 'm', FLAG_SIZE, O(memory)}, {"name", 0, FLAG_STR, O(name)},
	{"pids-limit", 0, FLAG_INT, O(pids)},	{"tty", 't', FLAG_BOOL, O(tty)},
	{"publish", 'p', FLAG_REFUSED, 0, NULL, "no ports"}, {"publish-all", 'P', FLAG_REFUSED_BOOL, 0, NULL, "no ports"},
};
static const struct flag_table *const tables[] = {FLAGS(rows), NULL};

struct parsed {
	struct sample o;
	const char *args[16];
	size_t n;
	struct err err;
	int r;
};

static struct parsed parse(unsigned mode, int argc, const char *const *argv)
{
	struct parsed p = {.o = {.init = -1}};
	p.r = flag_parse(tables, argc, (char **) argv, mode, &p.o, p.args, &p.n, &p.err);
	return p;
}
#define PARSE(mode, ...) parse(mode, (int) (sizeof((const char *[]) {__VA_ARGS__}) / sizeof(char *)), (const char *[]) {__VA_ARGS__})

static void test_forms(void **state)
{
	struct parsed p = PARSE(0, "-it", "-e", "A=1", "-eB=2", "-e=C=3", "--env=D=4", "--env", "E=5", "--name", "web", "--memory=1.5g", "--pids-limit", "-1", "--init",
				"-l", "late", "img", "-x", "--name", "no");
	assert_int_equal(p.r, 0);
	assert_true(p.o.tty && p.o.stdin_open);
	assert_int_equal(strv_len(p.o.env), 5);
	assert_string_equal(p.o.env[1], "B=2");
	assert_string_equal(p.o.env[2], "C=3");
	assert_string_equal(p.o.name, "web");
	assert_int_equal(p.o.memory, 1610612736);
	assert_int_equal(p.o.pids, -1);
	assert_int_equal(p.o.init, 1);
	assert_int_equal(p.o.late, 7);
	assert_int_equal(p.n, 4); /* flags stop at the image */
	assert_string_equal(p.args[1], "-x");
	flag_release(tables, &p.o);
	assert_null(p.o.env);
}

static void test_switches_with_values(void **state)
{
	struct parsed p = PARSE(0, "-t=false", "--interactive=TRUE", "--init=false", "img");
	assert_int_equal(p.r, 0);
	assert_false(p.o.tty);
	assert_true(p.o.stdin_open);
	assert_int_equal(p.o.init, 0);
	p = PARSE(0, "--tty=maybe", "img");
	assert_true(p.r < 0);
	assert_string_equal(p.err.msg, "invalid argument \"maybe\" for \"-t, --tty\" flag: neither true nor false");
}

static void test_positionals(void **state)
{
	struct parsed p = PARSE(FLAG_INTERSPERSED, "a", "-t", "b", "--", "-c", "-");
	assert_int_equal(p.r, 0);
	assert_true(p.o.tty);
	assert_int_equal(p.n, 4);
	assert_string_equal(p.args[2], "-c");
	p = PARSE(0, "--", "-t");
	assert_int_equal(p.n, 1);
	assert_false(p.o.tty);
	p = PARSE(0, "-", "x"); /* a lone dash is an argument */
	assert_int_equal(p.n, 2);
}

static void expect_error(struct parsed p, const char *msg)
{
	assert_true(p.r < 0);
	assert_string_equal(p.err.msg, msg);
}

static void test_errors(void **state)
{
	expect_error(PARSE(0, "--nmae", "x"), "unknown flag: --nmae, did you mean --name?");
	expect_error(PARSE(0, "--zzzzzz"), "unknown flag: --zzzzzz");
	expect_error(PARSE(0, "-tz"), "unknown shorthand flag: 'z' in -tz");
	expect_error(PARSE(0, "--name"), "flag needs an argument: --name");
	expect_error(PARSE(0, "-te"), "flag needs an argument: 'e' in -te");
	expect_error(PARSE(0, "--pids-limit=9x"), "invalid argument \"9x\" for \"--pids-limit\" flag: not a whole number");
	expect_error(PARSE(0, "-m", "99999999999999999999"), "invalid argument \"99999999999999999999\" for \"-m, --memory\" flag: value out of range");
	expect_error(PARSE(0, "-l", "early"), "invalid argument \"early\" for \"-l, --late\" flag: only late will do");
	expect_error(PARSE(0, "-p", "80:80", "x"), "--publish is not there yet: no ports");
	expect_error(PARSE(0, "-p80:80"), "--publish is not there yet: no ports");
	expect_error(PARSE(0, "--publish"), "--publish is not there yet: no ports");
	expect_error(PARSE(0, "-tP"), "--publish-all is not there yet: no ports");
	assert_int_equal(PARSE(0, "--publish-all=false").r, 0); /* asks for nothing */
	assert_int_equal(PARSE(0, "-t", "--help").r, FLAG_HELP);
	assert_int_equal(PARSE(0, "-h").r, FLAG_HELP);
}

/* Every table of every command: names unique, rows complete. */
static void test_tables(void **state)
{
	size_t n;
	const struct command *const *v = command_list(&n);
	for (size_t c = 0; c < n; c++) {
		_cleanup_strv_ char **seen = NULL;
		unsigned char abbrs[256] = {0};
		assert_non_null(v[c]->run);
		assert_non_null(v[c]->examples);
		for (const struct flag_table *const *t = v[c]->flags; *t; t++)
			for (size_t i = 0; i < (*t)->n; i++) {
				const struct flag *f = &(*t)->rows[i];
				if (strv_has(seen, f->name))
					fail_msg("%s: --%s twice", v[c]->name, f->name);
				assert_int_equal(strv_push(&seen, f->name), 0);
				if (f->abbr && abbrs[(unsigned char) f->abbr]++)
					fail_msg("%s: -%c twice", v[c]->name, f->abbr);
				if (f->kind == FLAG_SET)
					assert_non_null(f->set);
			}
	}
}

/* docker run's flags as its client lists them (28.2): each is here, working or refused by name. */
static void test_docker_run_flags(void **state)
{
	static const char docker[] =
		"add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-period cpu-quota "
		"cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps "
		"device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option dns-search domainname entrypoint env env-file "
		"expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname init "
		"interactive ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory "
		"memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable oom-score-adj pid "
		"pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime security-opt shm-size sig-proxy stop-signal "
		"stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts volume volume-driver volumes-from workdir ";
	for (const char *p = docker; *p;) {
		size_t n = strcspn(p, " ");
		bool found = false;
		for (const struct flag_table *const *t = command_run.flags; *t; t++)
			for (size_t i = 0; i < (*t)->n; i++)
				found = found || (strlen((*t)->rows[i].name) == n && strncmp((*t)->rows[i].name, p, n) == 0);
		if (!found)
			fail_msg("docker run --%.*s is neither known nor refused", (int) n, p);
		p += n + 1;
	}
}

static void test_find(void **state)
{
	static const struct {
		const char *words[2];
		const char *name;
	} cases[] = {{{"run", "x"}, "run"},	       {{"container", "ls"}, "ps"},	    {{"image", "ls"}, "images"}, {{"image", "rm"}, "rmi"},
		     {{"image", "inspect"}, "image inspect"}, {{"container", "run"}, "run"}, {{"volume", "list"}, "volume ls"}, {{"image", "load"}, "load"},
		     {{"image", "run"}, NULL},	       {{"container", "load"}, NULL},	    {{"frob", "x"}, NULL}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int words;
		const struct command *c = command_find(2, (char **) cases[i].words, &words);
		assert_true((c == NULL) == (cases[i].name == NULL));
		if (c)
			assert_string_equal(c->name, cases[i].name);
	}
}

static void test_suggest(void **state)
{
	struct suggest s;
	suggest_init(&s, "rnu", 3);
	suggest_offer(&s, "rm");
	suggest_offer(&s, "run");
	suggest_offer(&s, "ps");
	assert_string_equal(suggest_best(&s), "run");
	suggest_init(&s, "xyzzy", 5);
	suggest_offer(&s, "run");
	assert_null(suggest_best(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),  cmocka_unit_test(test_switches_with_values), cmocka_unit_test(test_positionals), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_tables), cmocka_unit_test(test_docker_run_flags),	    cmocka_unit_test(test_find),	cmocka_unit_test(test_suggest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
