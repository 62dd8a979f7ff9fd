/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime document: round trips, foreign documents, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "spec/runtime.h"

static char *opts[] = {(char *) "nosuid", (char *) "noexec", NULL};

static struct runtime_spec *sample(void)
{
	struct runtime_spec *s = runtime_spec_new();
	assert_non_null(s);
	s->version = strdup("1.2.0");
	s->hostname = strdup("web");
	s->root_path = strdup("rootfs");
	s->root_readonly = true;
	struct process_spec *p = &s->process;
	p->terminal = true;
	p->rows = 40;
	p->cols = 100;
	strv_push(&p->args, "/bin/sh");
	strv_push(&p->args, "-c \"quoted\"");
	strv_push(&p->env, "PATH=/bin");
	p->cwd = strdup("/");
	p->uid = 1000;
	p->gid = 4294967294u;
	p->umask = 022;
	p->has_umask = true;
	p->groups = calloc(2, sizeof(uint32_t));
	p->groups[0] = 5;
	p->groups[1] = 44;
	p->n_groups = 2;
	p->has_caps = true;
	p->caps = (struct caps_spec){.bounding = 0x1ffffffffff, .effective = 1, .permitted = 3};
	p->no_new_privileges = true;
	runtime_spec_add_rlimit(p, "RLIMIT_NOFILE", 1024, UINT64_MAX);
	runtime_spec_add_rlimit(p, "RLIMIT_CORE", 1, 1);
	p->has_oom_score_adj = true;
	p->oom_score_adj = -7;
	struct mount_spec *m;
	runtime_spec_add_mount(s, "/proc", "proc", "proc", opts, NULL);
	runtime_spec_add_mount(s, "/data", "bind", "/srv/18446744073709551615", NULL, &m);
	id_map_add(&m->uids, 0, 1048576, 65536);
	id_map_add(&m->gids, 0, 1048576, 65536);
	for (int i = 0; i < NS_KIND_MAX_; i++)
		s->ns[i].mode = i == NS_TIME ? NS_MODE_HOST : NS_MODE_NEW;
	s->ns[NS_NET].mode = NS_MODE_PATH;
	s->ns[NS_NET].path = strdup("/proc/1/ns/net");
	id_map_add(&s->uids, 0, 1048576, 65536);
	id_map_add(&s->gids, 0, 1048576, 1000);
	id_map_add(&s->gids, 1000, 2097152, 64536);
	s->devices = calloc(1, sizeof(*s->devices));
	s->n_devices = 1;
	s->devices[0] = (struct device_spec){.path = strdup("/dev/fuse"), .type = 'c', .major = 10, .minor = 229, .has_mode = true, .mode = 0666};
	struct resources_spec *r = &s->resources;
	r->has_pids = r->has_memory = r->has_swap = r->has_shares = r->has_quota = r->has_period = true;
	r->pids = 2048;
	r->memory = 1 << 30;
	r->swap = -1;
	r->shares = 512;
	r->quota = 50000;
	r->period = 100000;
	r->cpus = strdup("0-1");
	r->devices = calloc(2, sizeof(*r->devices));
	r->n_devices = 2;
	r->devices[0] = (struct device_rule){.type = 'a', .major = -1, .minor = -1, .access = "rwm"};
	r->devices[1] = (struct device_rule){.allow = true, .type = 'c', .major = 136, .minor = -1, .access = "rw"};
	keyval_add(&r->unified, &r->n_unified, "memory.high", "max");
	keyval_add(&s->sysctls, &s->n_sysctls, "net.core.somaxconn", "1024");
	strv_push(&s->masked_paths, "/proc/kcore");
	strv_push(&s->readonly_paths, "/proc/sys");
	s->cgroups_path = strdup("coffer/local/x");
	s->seccomp_json = strdup("{\"defaultAction\":\"SCMP_ACT_ERRNO\"}");
	struct coffer_ext *c = &s->coffer;
	c->present = true;
	strv_push(&c->layers, "/l/2");
	strv_push(&c->layers, "/l/1");
	c->upper = strdup("/u");
	c->work = strdup("/w");
	c->seccomp_filter = strdup("/cache/f");
	c->seccomp_name = strdup("default");
	c->cgroup_path = strdup("coffer/local/x");
	c->user = strdup("web:www");
	strv_push(&c->group_names, "audio");
	c->ping_group = c->landlock = c->lock_userns = c->create_cwd = true;
	return s;
}

static void write_text(const struct runtime_spec *s, struct strbuf *b)
{
	struct err err = {0};
	if (runtime_spec_write(s, b, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_round_trip(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = sample(), *t = NULL;
	_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
	struct err err = {0};
	write_text(s, &a);
	if (runtime_spec_parse(a.s, a.len, &t, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(t->process.rlimits[0].hard == UINT64_MAX);
	assert_string_equal(t->mounts[1].source, "/srv/18446744073709551615");
	assert_int_equal(t->process.gid, 4294967294u);
	assert_int_equal(t->resources.devices[1].minor, -1);
	assert_int_equal(t->ns[NS_TIME].mode, NS_MODE_HOST);
	assert_string_equal(t->ns[NS_NET].path, "/proc/1/ns/net");
	assert_string_equal(t->coffer.layers[0], "/l/2");
	write_text(t, &b);
	assert_string_equal(a.s, b.s);
}

static void test_empty_spec_has_no_extras(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = runtime_spec_new(), *t = NULL;
	_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(1 << 20);
	struct err err = {0};
	s->version = strdup("1.0.2");
	s->root_path = strdup("/r");
	write_text(s, &a);
	assert_string_equal(a.s, "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/r\",\"readonly\":false},\"linux\":{\"namespaces\":[],\"resources\":{}}}");
	assert_int_equal(runtime_spec_parse(a.s, a.len, &t, &err), 0);
	assert_false(t->coffer.present);
}

#define DOC(rest) "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"}" rest "}"
#define PROC(rest) DOC(",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]" rest "}")

static void test_refused(void **state)
{
	static const struct {
		const char *doc, *says;
	} rows[] = {
		{"", "not valid JSON"},
		{"[]", "expected an object, got an array"},
		{"{}", "ociVersion"},
		{"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "'2.0.0'"},
		{"{\"ociVersion\":\"1.0.0\"}", "root: path is missing"},
		{DOC(",\"hostname\":5"), "hostname: expected a string, got a whole number"},
		{DOC(",\"process\":{\"cwd\":\"/\"}"), "process: args"},
		{DOC(",\"process\":{\"cwd\":\"x\",\"args\":[\"a\"]}"), "process: cwd: 'x'"},
		{PROC(",\"user\":{\"uid\":4294967295}"), "process: user: uid: 4294967295"},
		{PROC(",\"user\":{\"uid\":4294967296}"), "process: user: uid"},
		{PROC(",\"user\":{\"uid\":-1}"), "negative"},
		{PROC(",\"user\":{\"uid\":\"0\"}"), "expected a whole number, got a string"},
		{PROC(",\"user\":{\"additionalGids\":[1,-1]}"), "additionalGids[1]"},
		{PROC(",\"user\":{\"umask\":512}"), "umask"},
		{PROC(",\"capabilities\":{\"bounding\":[\"CAP_FLY\"]}"), "capabilities: bounding: unknown capability 'CAP_FLY'"},
		{PROC(",\"rlimits\":[{\"type\":\"A\",\"soft\":1,\"hard\":1},{\"type\":\"A\",\"soft\":1,\"hard\":1}]"), "'A' is there twice"},
		{PROC(",\"rlimits\":[{\"type\":\"A\",\"soft\":-2,\"hard\":1}]"), "negative"},
		{DOC(",\"mounts\":[{\"destination\":\"rel\"}]"), "mounts[0]: destination: 'rel'"},
		{DOC(",\"mounts\":[5]"), "mounts[0]: expected an object"},
		{DOC(",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}"), "namespaces[1]: type: 'pid' is there twice"},
		{DOC(",\"linux\":{\"namespaces\":[{\"type\":\"moon\"}]}"), "unknown namespace 'moon'"},
		{DOC(",\"linux\":{\"namespaces\":[{\"type\":\"net\",\"path\":\"\"}]}"), "unknown namespace 'net'"},
		{DOC(",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":0}]}"), "maps nothing"},
		{DOC(",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967295,\"size\":2}]}"), "past the last id"},
		{DOC(",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":9},{\"containerID\":8,\"hostID\":50,\"size\":9}]}"), "overlaps entry 0"},
		{DOC(",\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":9},{\"containerID\":9,\"hostID\":13,\"size\":9}]}"), "overlaps entry 0"},
		{DOC(",\"linux\":{\"resources\":{\"memory\":{\"limit\":\"1g\"}}}"), "linux: resources: memory: limit: expected"},
		{DOC(",\"linux\":{\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rwx\"}]}}"), "'rwx'"},
		{DOC(",\"linux\":{\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"q\"}]}}"), "'q'"},
		{DOC(",\"linux\":{\"sysctl\":{\"a\":1}}"), "sysctl: 'a': expected a string"},
		{DOC(",\"linux\":{\"seccomp\":[]}"), "seccomp: expected an object"},
		{DOC(",\"coffer\":{\"landlock\":1}"), "coffer: landlock: expected a boolean"},
		{DOC(",\"hostname\":\"a\",\"hostname\":\"b\""), "duplicate"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct runtime_spec *s = NULL;
		struct err err = {0};
		int r = runtime_spec_parse(rows[i].doc, strlen(rows[i].doc), &s, &err);
		if (r >= 0 || s || !strstr(err.msg, rows[i].says))
			fail_msg("%s: r=%d, '%s' lacks '%s'", rows[i].doc, r, err.msg, rows[i].says);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

static void test_foreign_document(void **state)
{
	static const char doc[] = "{\"ociVersion\":\"1.0.2-dev\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],\"env\":[\"A=1\"],\"cwd\":\"/\","
				  "\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"ambient\":[]},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\": 18446744073709551615,"
				  "\"soft\":18446744073709551615}],\"scheduler\":{\"policy\":\"SCHED_OTHER\"}},\"root\":{\"path\":\"rootfs\"},\"hooks\":{},"
				  "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],\"annotations\":null,"
				  "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}],\"intelRdt\":{\"x\":[1]},"
				  "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},\"maskedPaths\":[]}}";
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err = {0};
	if (runtime_spec_parse(doc, sizeof(doc) - 1, &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(s->process.rlimits[0].soft == UINT64_MAX && s->process.rlimits[0].hard == UINT64_MAX);
	assert_true(s->process.has_caps && s->process.caps.bounding == 1u << 5);
	assert_int_equal(s->resources.devices[0].type, 'a');
	assert_int_equal(s->resources.devices[0].major, -1);
	assert_int_equal(s->ns[NS_NET].mode, NS_MODE_PATH);
	assert_int_equal(s->ns[NS_USER].mode, NS_MODE_HOST);
	assert_null(s->masked_paths);
}

static void test_exec_document(void **state)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = sample();
	_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(1 << 20), b = STRBUF_INIT(1 << 20);
	struct process_spec p = {0};
	struct coffer_ext e = {0}, ext = {.present = true, .user = (char *) "web"};
	struct err err = {0};
	assert_int_equal(exec_spec_write(&s->process, &ext, &a, &err), 0);
	assert_int_equal(exec_spec_parse(a.s, a.len, &p, &e, &err), 0);
	assert_string_equal(e.user, "web");
	assert_int_equal(p.n_groups, 2);
	assert_int_equal(exec_spec_write(&p, &e, &b, &err), 0);
	assert_string_equal(a.s, b.s);
	process_spec_done(&p);
	coffer_ext_done(&e);
	assert_true(exec_spec_parse("{}", 2, &p, &e, &err) < 0);
	assert_non_null(strstr(err.msg, "process is missing"));
}

static void test_caps(void **state)
{
	assert_int_equal(cap_from_name("CAP_CHOWN"), 0);
	assert_int_equal(cap_from_name("net_admin"), 12);
	assert_int_equal(cap_from_name("cap_checkpoint_restore"), CAP_LAST_KNOWN);
	assert_true(cap_from_name("ALL") < 0);
	assert_true(cap_from_name("") < 0);
	assert_true(cap_from_name("CAP_") < 0);
	assert_null(cap_name(CAP_LAST_KNOWN + 1));
	assert_null(cap_name(-1));
	for (int i = 0; i <= CAP_LAST_KNOWN; i++)
		assert_int_equal(cap_from_name(cap_name(i)), i);
}

static void test_id_map(void **state)
{
	struct id_map m = {0}, c = {0};
	uint32_t host = 7;
	assert_int_equal(id_map_add(&m, 0, 1048576, 1000), 0);
	assert_int_equal(id_map_add(&m, 2000, 3000000, 10), 0);
	assert_int_equal(id_map_dup(&m, &c), 0);
	assert_true(id_map_to_host(&c, 999, &host) && host == 1049575);
	assert_false(id_map_to_host(&c, 1000, &host));
	assert_true(id_map_to_host(&c, 2009, &host) && host == 3000009);
	assert_false(id_map_to_host(&c, 2010, &host));
	id_map_done(&m);
	id_map_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_empty_spec_has_no_extras),
		cmocka_unit_test(test_refused),		 cmocka_unit_test(test_foreign_document),
		cmocka_unit_test(test_exec_document),	 cmocka_unit_test(test_caps),
		cmocka_unit_test(test_id_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
