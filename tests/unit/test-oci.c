/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-oci without containers: the command line's tables against what callers of runc and crun pass, ids, the state file, which terminals go with which options.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/signo.h"
#include "oci/console.h"
#include "oci/create.h"
#include "oci/internal.h"
#include "oci/record.h"

static void test_ids(void **state)
{
	static const char *const good[] = {"a", "web", "A_b+c-d.e", "0", "...", ".hidden", "-x", "busybox1_2-3.4+5"};
	static const char *const bad[] = {"", ".", "..", "a/b", "../x", "a b", "a\n", "\xc3\xa9", "a:b", "a@b", "a\\b", "$(x)"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(container_id_check(good[i], NULL), 0);
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(container_id_check(bad[i], &err) < 0 && err.kind == ERR_INVALID);
	char longest[1026];
	memset(longest, 'x', sizeof(longest));
	longest[1024] = '\0';
	assert_int_equal(container_id_check(longest, NULL), 0);
	longest[1024] = 'x';
	longest[1025] = '\0';
	assert_true(container_id_check(longest, NULL) < 0);
}

static struct record sample(void)
{
	static struct keyval annotations[] = {{(char *) "org.example.a", (char *) "1"}, {(char *) "quote\"", (char *) "line\nend"}};
	return (struct record) {
		.oci_version = (char *) "1.0.2", .id = (char *) "web", .pid = 4711, .start_ticks = 123456789012, .created_ns = 1700000000123456789, .owner = 1000,
		.bundle = (char *) "/b", .rootfs = (char *) "/b/rootfs", .cgroup_path = (char *) "/a\n/b", .systemd_cgroup = true, .private_pids = true,
		.has_poststop = true, .annotations = annotations, .n_annotations = ARRAY_LEN(annotations),
	};
}

static void test_record_round(void **state)
{
	struct record a = sample(), *b = NULL;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(RECORD_BYTES_MAX);
	struct err err;
	assert_int_equal(record_write(&a, &text, &err), 0);
	assert_int_equal(record_parse(text.s, text.len, &b, &err), 0);
	assert_string_equal(a.oci_version, b->oci_version);
	assert_string_equal(a.id, b->id);
	assert_string_equal(a.cgroup_path, b->cgroup_path);
	assert_string_equal(a.rootfs, b->rootfs);
	assert_int_equal(a.pid, b->pid);
	assert_true(a.start_ticks == b->start_ticks && a.created_ns == b->created_ns && a.owner == b->owner);
	assert_true(b->systemd_cgroup && b->private_pids && !b->has_poststart && b->has_poststop);
	assert_int_equal(b->n_annotations, 2);
	assert_string_equal(b->annotations[1].key, "quote\"");
	assert_string_equal(b->annotations[1].value, "line\nend");
	(void) record_free(b);
}

/* One member of a good record replaced. */
static void test_record_refused(void **state)
{
	static const struct {
		const char *from, *to, *word;
	} rows[] = {
		{"\"version\":1", "\"version\":2", "version"},
		{"\"pid\":4711", "\"pid\":0", "pid"},
		{"\"pid\":4711", "\"pid\":-1", "pid"},
		{"\"pid\":4711", "\"pid\":4294967297", "pid"},
		{"\"pid\":4711", "\"pid\":\"4711\"", "pid"},
		{"\"pid\":4711,", "", "pid"},
		{"\"startTicks\":123456789012,", "", "startTicks"},
		{"\"id\":\"web\"", "\"id\":\"../web\"", "id"},
		{"\"bundle\":\"/b\"", "\"bundle\":\"b\"", "bundle"},
		{"\"rootfs\":\"/b/rootfs\"", "\"rootfs\":null", "rootfs"},
		{"\"owner\":1000", "\"owner\":-1", "owner"},
		{"\"org.example.a\":\"1\"", "\"org.example.a\":1", "annotations"},
		{"\"version\":1", "\"version\":1,\"version\":1", "state.json"},
	};
	struct record a = sample();
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(RECORD_BYTES_MAX);
	assert_int_equal(record_write(&a, &text, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_strbuf_ struct strbuf bad = STRBUF_INIT(RECORD_BYTES_MAX);
		struct record *b = NULL;
		struct err err = {};
		const char *at = strstr(text.s, rows[i].from);
		assert_non_null(at);
		strbuf_add(&bad, text.s, (size_t) (at - text.s));
		strbuf_adds(&bad, rows[i].to);
		strbuf_adds(&bad, at + strlen(rows[i].from));
		assert_true(record_parse(bad.s, bad.len, &b, &err) < 0);
		if (!strstr(err.msg, rows[i].word))
			fail_msg("row %zu: '%s' does not name %s", i, err.msg, rows[i].word);
	}
	for (size_t n = 0; n < text.len; n++) { /* torn anywhere */
		struct record *b = NULL;
		assert_true(record_parse(text.s, n, &b, NULL) < 0);
	}
}

static const struct flag *flag_find(const struct flag_table *t, const char *name)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (str_eq(t->rows[i].name, name))
			return &t->rows[i];
	return NULL;
}

/* What `CMD --help` of runc 1.1.5 to 1.3 and crun 1.8 to 1.20 lists; "x=NAME" is the short form. */
static const struct {
	const char *command, *options;
} known[] = {
	{"", "debug log log-format log-level root criu systemd-cgroup rootless cgroup-manager h=help v=version"},
	{"create", "b=bundle console-socket pid-file no-pivot no-new-keyring preserve-fds f=config no-subreaper"},
	{"run", "b=bundle console-socket d=detach keep pid-file no-subreaper no-pivot no-new-keyring preserve-fds f=config"},
	{"exec", "console-socket cwd e=env t=tty u=user g=additional-gids p=process d=detach pid-file process-label apparmor no-new-privs c=cap preserve-fds cgroup ignore-paused"},
	{"kill", "a=all r=regex"},
	{"delete", "f=force r=regex"},
	{"list", "f=format q=quiet"},
	{"ps", "f=format"},
	{"update", "r=resources blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus cpuset-mems memory memory-reservation memory-swap "
		   "pids-limit l3-cache-schema mem-bw-schema kernel-memory kernel-memory-tcp cpu-idle"},
	{"events", "interval stats"},
	{"spec", "b=bundle rootless f=file"},
};

static void test_known_options(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct oci_command *c = oci_command_find(known[i].command);
		const struct flag_table *t = *known[i].command ? c->flags : &oci_global_flags;
		_cleanup_free_ char *copy = strdup(known[i].options);
		char *save = NULL;
		for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
			const struct flag *f = flag_find(t, word[1] == '=' ? word + 2 : word);
			if (!f || (word[1] == '=' && f->abbr != word[0]))
				fail_msg("%s has no option %s", known[i].command, word);
		}
	}
}

static void test_tables(void **state)
{
	size_t n;
	const struct oci_command *const *v = oci_commands(&n);
	assert_int_equal(n, 15);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(oci_command_find(v[i]->name), v[i]);
		assert_true(v[i]->summary && v[i]->usage && v[i]->examples && v[i]->run);
		for (size_t a = 0; v[i]->flags && a < v[i]->flags->n; a++) {
			const struct flag *f = &v[i]->flags->rows[a];
			assert_true(f->kind == FLAG_REFUSED || f->offset < v[i]->options_size);
			for (size_t b = 0; b < a; b++) {
				assert_false(str_eq(f->name, v[i]->flags->rows[b].name));
				assert_false(f->abbr && f->abbr == v[i]->flags->rows[b].abbr);
			}
		}
	}
	assert_null(oci_command_find("checkpoint"));
}

static int parse_create(char **argv, struct create_options *opt, const char **args, size_t *n)
{
	const struct flag_table *tables[] = {oci_command_find("create")->flags, NULL};
	struct err err;
	int argc = 0;
	while (argv[argc])
		argc++;
	*opt = (struct create_options) {};
	return flag_parse(tables, argc, argv, FLAG_INTERSPERSED, opt, args, n, &err);
}

static void test_spellings(void **state)
{
	static const char *const rows[][8] = {
		{"--bundle", "/b", "--preserve-fds", "2", "id"}, {"--bundle=/b", "--preserve-fds=2", "id"}, {"-b", "/b", "id", "--preserve-fds", "2"},
		{"id", "-b/b", "--preserve-fds=2"},		 {"-b=/b", "--preserve-fds", "2", "--", "id"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct create_options opt;
		const char *args[8];
		size_t n = 0;
		assert_int_equal(parse_create((char **) rows[i], &opt, args, &n), 0);
		assert_int_equal(n, 1);
		assert_string_equal(args[0], "id");
		assert_string_equal(opt.bundle, "/b");
		assert_int_equal(opt.preserve_fds, 2);
	}
	static const char *const bad[][4] = {{"--bundel", "/b", "id"}, {"id", "--bundle"}, {"--preserve-fds", "two", "id"}, {"-z", "id"}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct create_options opt;
		const char *args[8];
		size_t n = 0;
		assert_true(parse_create((char **) bad[i], &opt, args, &n) < 0);
	}
}

static void test_console_rules(void **state)
{
	static const struct {
		bool terminal, detached;
		const char *socket;
		bool good;
	} rows[] = {
		{true, true, "/s", true}, {true, false, NULL, true}, {true, false, "/s", true}, {false, true, NULL, true}, {false, false, NULL, true},
		{true, true, NULL, false}, {false, true, "/s", false}, {false, false, "/s", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;
		assert_int_equal(console_check(rows[i].terminal, rows[i].detached, rows[i].socket, &err) == 0, rows[i].good);
		assert_true(rows[i].good || strstr(err.msg, "console-socket"));
	}
}

static void test_signal_names(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} rows[] = {{"KILL", 9}, {"SIGKILL", 9}, {"kill", 9}, {"9", 9}, {"15", 15}, {"SIGRTMIN", 34}, {"RTMIN+3", 37}, {"SIGRTMAX-1", 63}, {"64", 64}, {"SIGHUP", 1}};
	static const char *const bad[] = {"", "0", "65", "-9", "SIG", "SIGNOPE", "9x", "RTMIN+31", "RTMAX+1"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(signal_parse(rows[i].text, NULL), rows[i].sig);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(signal_parse(bad[i], NULL) < 0);
}

static void test_log_levels(void **state)
{
	assert_int_equal(oci_log_level_parse("error"), OCI_LOG_ERROR);
	assert_int_equal(oci_log_level_parse("warn"), OCI_LOG_WARN);
	assert_int_equal(oci_log_level_parse("warning"), OCI_LOG_WARN);
	assert_int_equal(oci_log_level_parse("debug"), OCI_LOG_DEBUG);
	assert_true(oci_log_level_parse("loud") < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids), cmocka_unit_test(test_record_round), cmocka_unit_test(test_record_refused), cmocka_unit_test(test_known_options),
		cmocka_unit_test(test_tables), cmocka_unit_test(test_spellings), cmocka_unit_test(test_console_rules), cmocka_unit_test(test_signal_names),
		cmocka_unit_test(test_log_levels),
	};
	return cmocka_run_group_tests_name("oci", tests, NULL, NULL);
}
