/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's decisions as data: users, capabilities, signals, sysctls, security options, policy, what an image contributes, and the
 * document that a container's bundle gets. No privilege, no container.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/str.h"
#include "engine/internal.h"
#include "network/network.h"

static const struct caller local = {.tenant = "local"};

static struct container_request *request(const char *config, const char *host)
{
	_cleanup_free_ char *text = str_printf("{\"Image\":\"busybox\",\"Cmd\":[\"sh\"]%s,\"HostConfig\":{\"NetworkMode\":\"none\"%s}}", config, host);
	_cleanup_json_ struct json *root = NULL;
	_cleanup_strv_ char **unknown = NULL;
	struct container_request *r = NULL;
	struct err err = {0};
	if (json_parse(text, strlen(text), 1 << 20, "test", &root, &err) < 0 || container_request_parse(root, &r, &unknown, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return r;
}

static void test_users(void **state)
{
	static const char *const good[] = {"", "0", "1000", "4294967294", "0:0", "1000:50", "alice", "alice:staff", "1000:staff", "alice:50", ":50", "_apt", "www-data", "a.b"};
	static const char *const bad[] = {"4294967295", "4294967296", "99999999999", "-1", "+0", "0x0", "1e0", " 1", "1 ", "1:", "1:-1", "0:4294967295", "1:1:1", "a b", "a\nb", "a/b", "1a"};
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (user_check("User", good[i], &err) < 0)
			fail_msg("'%s': %s", good[i], err.msg);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (user_check("User", bad[i], &err) >= 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.kind, ERR_INVALID);
	}
	uint32_t uid = 7, gid = 7;
	assert_true(user_numeric("1000:50", &uid, &gid));
	assert_int_equal(uid, 1000);
	assert_int_equal(gid, 50);
	assert_false(user_numeric("1000", &uid, &gid));
	assert_false(user_numeric("alice:50", &uid, &gid));
	assert_false(user_numeric(":50", &uid, &gid));
}

static void test_caps(void **state)
{
	static const struct {
		const char *host;
		uint64_t caps;
	} rows[] = {
		{"", DEFAULT_CAPS},
		{",\"CapAdd\":[\"NET_RAW\"]", DEFAULT_CAPS | 1 << 13},
		{",\"CapAdd\":[\"cap_sys_ptrace\"]", DEFAULT_CAPS | 1 << 19},
		{",\"CapDrop\":[\"CHOWN\",\"CAP_KILL\"]", DEFAULT_CAPS & ~UINT64_C(0x21)},
		{",\"CapDrop\":[\"ALL\"]", 0},
		{",\"CapDrop\":[\"all\"],\"CapAdd\":[\"KILL\"]", 1 << 5},
		{",\"CapAdd\":[\"ALL\"]", 0x1ffffffffff},
		{",\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"SYS_ADMIN\"]", 0x1ffffffffff & ~(UINT64_C(1) << 21)},
		{",\"Privileged\":true,\"CapDrop\":[\"ALL\"]", 0x1ffffffffff},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_container_request_ struct container_request *r = request("", rows[i].host);
		uint64_t caps = 1;
		struct err err = {0};
		assert_int_equal(caps_resolve(r, &caps, &err), 0);
		if (caps != rows[i].caps)
			fail_msg("%s: %llx", rows[i].host, (unsigned long long) caps);
	}
}

static void test_signals(void **state)
{
	static const struct {
		const char *s;
		int sig;
	} rows[] = {{"TERM", 15}, {"SIGTERM", 15}, {"sigkill", 9}, {"1", 1}, {"64", 64}, {"USR1", 10}, {"RTMIN", 34}, {"SIGRTMIN+3", 37}, {"RTMAX", 64}, {"RTMAX-1", 63}};
	static const char *const bad[] = {"", "0", "65", "-1", "NOPE", "SIG", "RTMIN+31", "RTMIN-1", "1000", "15 ", "TERMTERMTERMTERMTERM"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(signal_parse(rows[i].s, NULL), rows[i].sig);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(signal_parse(bad[i], NULL) < 0);
}

static void test_sysctls(void **state)
{
	static const struct {
		const char *key, *value;
		bool own_net, ok;
	} rows[] = {
		{"kernel.msgmax", "1", true, true},	    {"kernel/msgmax", "1", true, true},	     {"fs.mqueue.msg_max", "5", true, true},	{"net.core.somaxconn", "1 2", true, true},
		{"net.core.somaxconn", "1", false, false},  {"kernel.core_pattern", "1", true, false}, {"kernel/core_pattern", "1", true, false}, {"fs.mqueue", "1", true, false},
		{"net.../../kernel/x", "1", true, false},   {"net..ipv4", "1", true, false},	     {"", "1", true, false},			{"net.", "1", true, false},
		{"user.max_user_namespaces", "1", true, false}, {"kernel.shm_rmid_forced", "1+kernel.core_pattern=x", true, false}, {"kernel.msgmax", "", true, false},
		{"kernel.msgmax", "1\n2", true, false},	    {"vm.swappiness", "1", true, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *key = NULL;
		struct err err = {0};
		int r = sysctl_check(rows[i].key, rows[i].value, rows[i].own_net, true, &key, &err);
		if ((r >= 0) != rows[i].ok)
			fail_msg("%s=%s: %s", rows[i].key, rows[i].value, err.msg);
		assert_true(r < 0 || !strchr(key, '/'));
	}
	_cleanup_free_ char *key = NULL;
	assert_true(sysctl_check("kernel.msgmax", "1", true, /* own_ipc= */ false, &key, NULL) < 0);
	assert_int_equal(sysctl_check("net.core.somaxconn", "1", true, /* own_ipc= */ false, &key, NULL), 0);
}

static void test_names(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		char name[128];
		name_generate(i % 20, name, sizeof(name));
		assert_true(name_is_valid(name));
		assert_non_null(strchr(name, '_'));
	}
}

static void test_detach_keys(void **state)
{
	struct monitor_attach a;
	struct err err = {0};
	assert_int_equal(detach_keys_parse(NULL, &a, &err), 0);
	assert_int_equal(a.n_keys, 2);
	assert_int_equal(a.keys[0], 16);
	assert_int_equal(a.keys[1], 17);
	assert_int_equal(detach_keys_parse("a,ctrl-@,ctrl-_,ctrl-[", &a, &err), 0);
	assert_int_equal(a.n_keys, 4);
	assert_int_equal(a.keys[1], 0);
	assert_int_equal(a.keys[2], 31);
	assert_int_equal(a.keys[3], 27);
	static const char *const bad[] = {"ctrl-", "ctrl-1", "ab", "ctrl-pp", ",", "a,,b", "a,"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!str_eq(bad[i], ",") && detach_keys_parse(bad[i], &a, &err) >= 0 && a.n_keys > 2)
			fail_msg("'%s' was taken", bad[i]);
	assert_true(detach_keys_parse("ctrl-1", &a, &err) < 0);
	assert_non_null(strstr(err.msg, "Invalid detach keys (ctrl-1) provided"));
}

static void test_policy(void **state)
{
	static const struct {
		const char *config, *host;
		int kind; /* 0: passes */
		const char *says;
	} rows[] = {
		{"", "", 0, ""},
		{"", ",\"RestartPolicy\":{\"Name\":\"no\"},\"MemorySwappiness\":-1,\"PidsLimit\":0,\"Dns\":[],\"UsernsMode\":\"auto\"", 0, ""},
		{"", ",\"PidMode\":\"host\"", ERR_DENIED, "--pid"},
		{"", ",\"IpcMode\":\"host\"", ERR_DENIED, "--ipc"},
		{"", ",\"UTSMode\":\"host\"", ERR_DENIED, "--uts"},
		{"", ",\"CgroupnsMode\":\"host\"", ERR_DENIED, "--cgroupns"},
		{"", ",\"NetworkMode\":\"host\"", ERR_DENIED, "--network"},
		{"", ",\"NetworkMode\":\"bridge\"", 0, ""},
		{"", ",\"NetworkMode\":\"bridge\",\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"x\"}]}", ERR_INVALID, "--publish"},
		{"", ",\"NetworkMode\":\"container:x\"", 0, ""},
		{"", ",\"NetworkMode\":\"container:\"", ERR_INVALID, "--network"},
		{"", ",\"PidMode\":\"container:x\",\"IpcMode\":\"container:x\"", 0, ""},
		{"", ",\"PidMode\":\"container:x\",\"UsernsMode\":\"auto\"", ERR_INVALID, "--userns"},
		{"", ",\"UTSMode\":\"container:x\"", ERR_INVALID, "--uts"},
		{"", ",\"IpcMode\":\"container:x\",\"Sysctls\":{\"kernel.msgmax\":\"1\"}", ERR_INVALID, "--ipc"},
		{"", ",\"IpcMode\":\"none\"", 0, ""},
		{"", ",\"IpcMode\":\"shareable\"", 0, ""},
		{"", ",\"UsernsMode\":\"host\"", ERR_DENIED, "--userns"},
		{"", ",\"UsernsMode\":\"keep-id\"", ERR_INVALID, "keep-id"},
		{"", ",\"RestartPolicy\":{\"Name\":\"always\"}", 0, ""},
		{"", ",\"PublishAllPorts\":true", 0, ""},
		{"", ",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}", 0, ""},
		{"", ",\"NetworkMode\":\"container:x\",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}", ERR_INVALID, "conflicting options"},
		{"", ",\"Dns\":[\"1.1.1.1\",\"fd00::1\"],\"DnsSearch\":[\".\"],\"DnsOptions\":[\"ndots:2\"],\"ExtraHosts\":[\"a:1.2.3.4\",\"b=::1\",\"c:[::1]\"]", 0, ""},
		{"", ",\"Dns\":[\"localhost\"]", ERR_INVALID, "--dns"},
		{"", ",\"Dns\":[\"1.1.1.1/24\"]", ERR_INVALID, "--dns"},
		{"", ",\"Dns\":[\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\",\"1.1.1.1\"]", ERR_INVALID, "at most 8"},
		{"", ",\"DnsSearch\":[\"a b\"]", ERR_INVALID, "--dns-search"},
		{"", ",\"DnsSearch\":[\"\"]", ERR_INVALID, "DnsSearch"},
		{"", ",\"DnsOptions\":[\"ndots:1 attempts:1\"]", ERR_INVALID, "--dns-option"},
		{"", ",\"ExtraHosts\":[\"up:host-gateway\"]", ERR_INVALID, "no gateway"},
		{"", ",\"ExtraHosts\":[\"a\"]", ERR_INVALID, "add-host"},
		{"", ",\"ExtraHosts\":[\":1.2.3.4\"]", ERR_INVALID, "add-host"},
		{"", ",\"ExtraHosts\":[\"a b:1.2.3.4\"]", ERR_INVALID, "add-host"},
		{"", ",\"ExtraHosts\":[\"a:1.2.3\"]", ERR_INVALID, "add-host"},
		{"", ",\"OomScoreAdj\":-1", ERR_DENIED, "allow-host-oom-score"},
		{"", ",\"OomKillDisable\":true", ERR_INVALID, "--memory"},
		{"", ",\"OomKillDisable\":true,\"Memory\":67108864", 0, ""},
		{"", ",\"CgroupParent\":\"/a/b\"", 0, ""},
		{"", ",\"CgroupParent\":\"a/../b\"", ERR_INVALID, "--cgroup-parent"},
		{"", ",\"CgroupParent\":\"/\"", ERR_INVALID, "--cgroup-parent"},
		{"", ",\"CgroupParent\":\"a b\"", ERR_INVALID, "--cgroup-parent"},
		{"", ",\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/null\",\"Rate\":7}]", ERR_INVALID, "block device"},
		{"", ",\"BlkioWeightDevice\":[{\"Path\":\"/no/such\",\"Weight\":100}]", ERR_INVALID, "block device"},
		{"", ",\"CapAdd\":[\"FLY\"]", ERR_INVALID, "FLY"},
		{"", ",\"SecurityOpt\":[\"nonsense=1\"]", ERR_INVALID, "nonsense"},
		{"", ",\"SecurityOpt\":[\"no-new-privileges=maybe\"]", ERR_INVALID, "maybe"},
		{"", ",\"SecurityOpt\":[\"seccomp=/etc/x.json\"]", ERR_INVALID, "seccomp"},
		{"", ",\"SecurityOpt\":[\"seccomp=unconfined\",\"systempaths=unconfined\"]", 0, ""},
		{"", ",\"Devices\":[{\"PathOnHost\":\"/etc/passwd\",\"PathInContainer\":\"/dev/x\",\"CgroupPermissions\":\"rwm\"}]", ERR_INVALID, "not a device"},
		{"", ",\"Devices\":[{\"PathOnHost\":\"/dev/null\",\"PathInContainer\":\"/dev/x\",\"CgroupPermissions\":\"r\"}]", 0, ""},
		{",\"User\":\"0x0\"", "", ERR_INVALID, "0x0"},
		{",\"Hostname\":\"-x\"", "", ERR_INVALID, "Hostname"},
	};
	const struct engine e = {0};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		/* a field that is said twice in the text: the row's own comes alone */
		bool own_net = strstr(rows[i].host, "NetworkMode") != NULL;
		_cleanup_free_ char *text = str_printf("{\"Image\":\"b\",\"Cmd\":[\"sh\"]%s,\"HostConfig\":{%s%s}}", rows[i].config, own_net ? "\"Init\":false" : "\"NetworkMode\":\"none\"", rows[i].host);
		_cleanup_json_ struct json *root = NULL;
		_cleanup_strv_ char **unknown = NULL;
		_cleanup_container_request_ struct container_request *r = NULL;
		struct err err = {0};
		assert_int_equal(json_parse(text, strlen(text), 1 << 20, "test", &root, &err), 0);
		int rc = container_request_parse(root, &r, &unknown, &err);
		rc = rc < 0 ? rc : policy_check(&e, &local, r, NULL, &err);
		if ((rc < 0) != (rows[i].kind != 0) || (rc < 0 && !strstr(err.msg, rows[i].says)))
			fail_msg("%s: %d %s", text, rc, err.msg);
		if (rc < 0)
			assert_int_equal(err.kind, rows[i].kind);
	}
}

static void test_operator_allows(void **state)
{
	const struct engine e = {.allow = {[ALLOW_USERNS] = true, [ALLOW_NETWORK] = true}};
	_cleanup_container_request_ struct container_request *r = request("", ",\"UsernsMode\":\"host\"");
	_cleanup_container_request_ struct container_request *p = request("", ",\"UsernsMode\":\"host\",\"Privileged\":true");
	struct err err = {0};
	assert_int_equal(policy_check(&e, &local, r, NULL, &err), 0);
	free(r->network_mode);
	r->network_mode = strdup("host");
	assert_int_equal(policy_check(&e, &local, r, NULL, &err), 0);
	/* never all capabilities on the host itself */
	assert_true(policy_check(&e, &local, p, NULL, &err) < 0);
	assert_int_equal(err.kind, ERR_DENIED);
}

static void test_default_network(void **state)
{
	const struct engine e = {0};
	_cleanup_container_request_ struct container_request *r = request("", "");
	_cleanup_strv_ char **warnings = NULL;
	struct err err = {0};
	free(r->network_mode);
	r->network_mode = strdup("default");
	assert_int_equal(policy_check(&e, &local, r, &warnings, &err), 0);
	assert_int_equal(strv_len(warnings), 0);
	assert_string_equal(network_mode_of(r), "bridge");
}

static void test_merge_image(void **state)
{
	char *env[] = {(char *) "PATH=/bin", (char *) "X=image", (char *) "GONE=1", NULL}, *entry[] = {(char *) "echo", NULL}, *cmd[] = {(char *) "img", NULL}, *vols[] = {(char *) "/data//", NULL},
	     *keys[] = {(char *) "l", (char *) "m", NULL}, *values[] = {(char *) "image", (char *) "image", NULL};
	struct image_config img = {.env = env, .entrypoint = entry, .cmd = cmd, .volumes = vols, .label_keys = keys, .label_values = values, .user = (char *) "alice", .working_dir = (char *) "/w"};
	_cleanup_container_request_ struct container_request *r = request(",\"Env\":[\"X=flag\",\"GONE\",\"NEW=1\"],\"Labels\":{\"m\":\"flag\"},\"User\":\"0\"", "");
	struct err err = {0};
	assert_int_equal(request_merge_image(r, &img, &err), 0);
	assert_string_equal(r->env[0], "PATH=/bin");
	assert_string_equal(r->env[1], "X=flag");
	assert_string_equal(r->env[2], "NEW=1");
	assert_null(r->env[3]);
	assert_string_equal(r->entrypoint[0], "echo");
	assert_string_equal(r->cmd[0], "sh");
	assert_string_equal(r->user, "0");
	assert_string_equal(r->working_dir, "/w");
	assert_string_equal(kv_list_get(&r->labels, "l"), "image");
	assert_string_equal(kv_list_get(&r->labels, "m"), "flag");
	assert_true(strv_has(r->volumes, "/data"));
	/* an image cannot mount over the kernel's files */
	vols[0] = (char *) "/proc/self";
	assert_true(request_merge_image(r, &img, &err) < 0);
	/* --entrypoint resets the image's command */
	_cleanup_container_request_ struct container_request *own = request(",\"Entrypoint\":[\"ls\"]", "");
	vols[0] = (char *) "/v";
	own->cmd = strv_free(own->cmd);
	assert_int_equal(request_merge_image(own, &img, &err), 0);
	assert_string_equal(own->entrypoint[0], "ls");
	assert_null(own->cmd);
	/* nothing to run */
	struct image_config none = {0};
	_cleanup_container_request_ struct container_request *empty = request("", "");
	empty->cmd = strv_free(empty->cmd);
	assert_true(request_merge_image(empty, &none, &err) < 0);
	assert_non_null(strstr(err.msg, "no command specified"));
}

static const struct mount_spec *mount_at(const struct runtime_spec *s, const char *dst, size_t *ret_at)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (str_eq(s->mounts[i].destination, dst)) {
			*ret_at = i;
			return &s->mounts[i];
		}
	fail_msg("no mount at %s", dst);
	return NULL;
}

static struct runtime_spec *plan(struct container_request *r, const struct idrange_map *map)
{
	char *layers[] = {(char *) "/s/layers/2/fs", (char *) "/s/layers/1/fs", NULL}, *targets[] = {(char *) "/data", NULL}, *paths[] = {(char *) "/s/volumes/v/_data", NULL};
	struct container c = {.tenant = (char *) "local", .name = (char *) "web", .req = r};
	memset(c.id, 'a', ID_LEN);
	struct bundle_plan b = {.c = &c, .map = map, .layers = layers, .state_dir = "/s", .bundle_dir = "/r/containers/x", .libexec_dir = "/l", .seccomp_path = "/s/cache/seccomp/f",
				.seccomp_name = "default", .seccomp_hash = "00", .volume_targets = targets, .volume_paths = paths};
	struct runtime_spec *s = NULL;
	struct err err = {0};
	if (bundle_spec(&b, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static const struct idrange_map one_range = {.uid = {{0, 1048576, 65536}}, .gid = {{0, 1048576, 65536}}, .n_uid = 1, .n_gid = 1};

static void test_bundle_defaults(void **state)
{
	_cleanup_container_request_ struct container_request *r = request("", "");
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &one_range);
	size_t at;
	assert_int_equal(s->ns[NS_USER].mode, NS_MODE_NEW);
	assert_int_equal(s->ns[NS_NET].mode, NS_MODE_NEW);
	assert_int_equal(s->ns[NS_CGROUP].mode, NS_MODE_NEW);
	assert_int_equal(s->uids.v[0].host, 1048576);
	assert_true(s->process.no_new_privileges);
	assert_true(s->process.caps.bounding == DEFAULT_CAPS && s->process.caps.effective == DEFAULT_CAPS && s->process.caps.permitted == DEFAULT_CAPS);
	assert_true(s->process.caps.inheritable == 0 && s->process.caps.ambient == 0);
	assert_int_equal(s->process.umask, 022);
	assert_int_equal(s->resources.pids, 2048);
	assert_false(s->resources.devices[0].allow);
	assert_int_equal(s->resources.devices[0].type, 'a');
	assert_true(strv_has(s->masked_paths, "/proc/kcore"));
	assert_true(strv_has(s->readonly_paths, "/proc/sys"));
	assert_true(s->coffer.landlock && s->coffer.lock_userns && s->coffer.ping_group && s->coffer.create_cwd);
	assert_string_equal(s->coffer.layers[0], "/s/layers/2/fs");
	assert_string_equal(s->hostname, "aaaaaaaaaaaa");
	assert_true(strv_has(mount_at(s, "/dev/pts", &at)->options, "gid=5"));
	assert_true(strv_has(mount_at(s, "/sys", &at)->options, "ro"));
	assert_true(strv_has(mount_at(s, "/etc/hosts", &at)->options, "tryidmap"));
	bool core = false;
	for (size_t i = 0; i < s->process.n_rlimits; i++)
		core |= str_eq(s->process.rlimits[i].name, "RLIMIT_CORE") && s->process.rlimits[i].soft == 1 && s->process.rlimits[i].hard == 1;
	assert_true(core);
	assert_true(strv_find_key(s->process.env, "PATH") && str_eq(strv_find_key(s->process.env, "HOSTNAME"), "aaaaaaaaaaaa"));
}

static void test_bundle_small_map_has_no_gid5(void **state)
{
	_cleanup_container_request_ struct container_request *r = request("", "");
	const struct idrange_map tiny = {.uid = {{0, 1048576, 5}}, .gid = {{0, 1048576, 5}}, .n_uid = 1, .n_gid = 1};
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &tiny);
	size_t at;
	assert_false(strv_has(mount_at(s, "/dev/pts", &at)->options, "gid=5"));
}

static void test_bundle_mounts_in_order(void **state)
{
	_cleanup_container_request_ struct container_request *r =
		request("", ",\"Binds\":[\"/srv/deep:/a/b/c:ro\",\"/srv/top:/a:idmap\",\"vol:/data\"],\"Tmpfs\":{\"/a/b\":\"size=1m,exec\",\"/dev/shm\":\"size=2m\"}");
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &one_range);
	size_t a, ab, abc, at;
	assert_true(strv_has(mount_at(s, "/a", &a)->options, "idmap"));
	assert_true(strv_has(mount_at(s, "/a/b", &ab)->options, "size=1048576"));
	assert_false(strv_has(mount_at(s, "/a/b", &ab)->options, "noexec"));
	assert_true(strv_has(mount_at(s, "/a/b/c", &abc)->options, "rro"));
	assert_true(a < ab && ab < abc);
	const struct mount_spec *v = mount_at(s, "/data", &at);
	assert_string_equal(v->source, "/s/volumes/v/_data");
	assert_true(strv_has(v->options, "idmap") && strv_has(v->options, "copyup") && strv_has(v->options, "nosuid") && strv_has(v->options, "nodev"));
	size_t shms = 0;
	for (size_t i = 0; i < s->n_mounts; i++)
		shms += str_eq(s->mounts[i].destination, "/dev/shm");
	assert_int_equal(shms, 1);
}

static void test_bundle_privileged(void **state)
{
	_cleanup_container_request_ struct container_request *r = request("", ",\"Privileged\":true");
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &one_range);
	assert_int_equal(s->ns[NS_USER].mode, NS_MODE_NEW); /* never the host's */
	assert_true(s->process.caps.bounding == 0x1ffffffffff);
	assert_null(s->masked_paths);
	assert_false(s->coffer.lock_userns || s->coffer.landlock || s->process.no_new_privileges);
	assert_false(s->resources.devices[0].allow);
}

static void test_bundle_resources(void **state)
{
	_cleanup_container_request_ struct container_request *r =
		request("", ",\"Memory\":67108864,\"NanoCpus\":1500000000,\"CpusetCpus\":\"0\",\"PidsLimit\":7,\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":5,\"Hard\":-1}]");
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &one_range);
	assert_int_equal(s->resources.memory, 67108864);
	assert_int_equal(s->resources.swap, 2 * 67108864);
	assert_int_equal(s->resources.quota, 150000);
	assert_int_equal(s->resources.period, 100000);
	assert_int_equal(s->resources.pids, 7);
	size_t n = 0;
	for (size_t i = 0; i < s->process.n_rlimits; i++)
		if (str_eq(s->process.rlimits[i].name, "RLIMIT_NOFILE")) {
			n++;
			assert_true(s->process.rlimits[i].soft == 5 && s->process.rlimits[i].hard == UINT64_MAX);
		}
	assert_int_equal(n, 1);
}

/* What is written is what a runtime reads. */
static void test_bundle_document_round_trip(void **state)
{
	_cleanup_container_request_ struct container_request *r = request(",\"User\":\"alice\",\"Tty\":true", ",\"Sysctls\":{\"kernel/msgmax\":\"4096\"},\"Init\":true");
	_cleanup_runtime_spec_ struct runtime_spec *s = plan(r, &one_range), *back = NULL;
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(1 << 20);
	struct err err = {0};
	assert_int_equal(runtime_spec_write(s, &text, &err), 0);
	if (runtime_spec_parse(text.s, text.len, &back, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(back->coffer.user, "alice");
	assert_string_equal(back->coffer.init_path, "/l/coffer-init");
	assert_string_equal(back->sysctls[0].key, "kernel.msgmax");
	assert_string_equal(strv_find_key(back->process.env, "TERM"), "xterm");
	assert_int_equal(back->n_mounts, s->n_mounts);
}

/* Rows, ids and volumes: counted by who uses them. */

static void add_container(struct engine *e, struct container *c, char digit, const char *name, const char *userns, const char *binds)
{
	_cleanup_free_ char *host = str_printf(",\"UsernsMode\":\"%s\"%s", userns, binds);
	struct idrange_request q;
	struct idrange_map map;
	struct err err = {0};
	*c = (struct container){.tenant = strdup("local"), .name = strdup(name), .image_id = strdup("sha256:0"), .created_ns = digit, .own = request(",\"Volumes\":{\"/anon\":{}}", host)};
	c->req = c->own;
	memset(c->id, digit, ID_LEN);
	assert_int_equal(idrange_parse("auto", NULL, NULL, &q, &err), 0);
	assert_int_equal(db_begin(e->db, &err), 0);
	assert_int_equal(idrange_reserve(e->ids, "local", name, &q, &c->idmap, &map, &err), 0);
	assert_int_equal(container_insert(e, c, &err), 0);
	if (volumes_attach(e, c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(db_commit(e->db, &err), 0);
}

static int64_t count_rows(struct engine *e, const char *table)
{
	struct db_stmt *st = NULL;
	char sql[96];
	(void) str_format(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(db_query(e->db, &st, NULL, sql, ""), 0);
	assert_int_equal(db_step(st, NULL), 1);
	int64_t n = db_int(st, 0);
	db_done(st);
	return n;
}

static void test_references(void **state)
{
	char dir[] = "/tmp/coffer-engine-XXXXXX", path[64];
	struct err err = {0};
	struct container a, b, found = {0};
	assert_non_null(mkdtemp(dir));
	struct engine e = {.state_dir = dir, .run_dir = dir, .lock = PTHREAD_MUTEX_INITIALIZER, .stored = stored_cache_new()};
	e.state_fd = e.run_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void) str_format(path, sizeof(path), "%s/coffer.db", dir);
	assert_int_equal(db_open(path, &e.db, &err), 0);
	assert_int_equal(db_migrate(e.db, "engine", engine_migrations, engine_n_migrations, &err), 0);
	assert_int_equal(idrange_open(e.db, NULL, &e.ids, &err), 0);
	assert_int_equal(network_open(&(struct network_config){.db = e.db, .state_dir = dir}, &e.networks, &err), 0);
	add_container(&e, &a, 'a', "first", "auto", ",\"Binds\":[\"shared:/data\"]");
	add_container(&e, &b, 'b', "second", "auto", ",\"Binds\":[\"shared:/data\"]");
	assert_int_equal(count_rows(&e, "volume"), 3); /* one shared, two anonymous */
	assert_int_equal(count_rows(&e, "idrange_map"), 2);
	/* look-up: name, with a slash, id, prefix; ambiguous and absent ones told apart */
	static const char *const refs[] = {"first", "/first", "aaaaaaaaaaaa", "a"};
	for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
		assert_int_equal(container_find(&e, "local", refs[i], &found, &err), 0);
		assert_string_equal(found.id, a.id);
		container_done(&found);
	}
	assert_true(container_find(&e, "other", "first", &found, &err) < 0); /* another tenant's is none */
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "No such container: first");
	struct volume_uses uses = {0};
	char **targets, **names;
	assert_int_equal(volume_uses_load(&e, "local", &uses, &err), 0);
	assert_int_equal(volume_uses_find(&uses, b.id, &targets, &names), 0);
	assert_string_equal(targets[0], "/anon");
	assert_string_equal(targets[1], "/data");
	assert_string_equal(names[1], "shared");
	assert_null(targets[2]);
	free(targets);
	free(names);
	assert_int_equal(volume_uses_find(&uses, "c", &targets, &names), 0);
	assert_null(targets);
	volume_uses_done(&uses);
	/* in use: kept */
	assert_true(engine_volume_remove(&e, &local, "shared", /* force= */ true, &err) < 0);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_int_equal(remove_locked(&e, &a, /* volumes= */ true, &err), 0);
	assert_int_equal(count_rows(&e, "volume"), 2); /* its anonymous one went, the shared one is b's too */
	assert_int_equal(count_rows(&e, "idrange_map"), 1);
	assert_true(engine_volume_remove(&e, &local, "shared", /* force= */ false, &err) < 0);
	assert_int_equal(remove_locked(&e, &b, /* volumes= */ false, &err), 0);
	assert_int_equal(count_rows(&e, "volume"), 2); /* without -v the anonymous one stays */
	assert_int_equal(count_rows(&e, "idrange_map"), 0);
	assert_int_equal(engine_volume_remove(&e, &local, "shared", /* force= */ false, &err), 0);
	assert_true(engine_volume_remove(&e, &local, "shared", /* force= */ false, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(idrange_is_disjoint(e.ids, path, sizeof(path), &err), 1);
	container_done(&a);
	container_done(&b);
	network_close(e.networks);
	idrange_close(e.ids);
	db_close(e.db);
	stored_cache_free(e.stored);
	safe_close(e.state_fd);
	assert_int_equal(rm_rf_at(AT_FDCWD, dir), 0);
}

/* One text, one parsed request, shared; another text of the same container takes its place; what is held outlives it all. */
static void test_stored_requests(void **state)
{
	static const char first[] = "{\"Image\":\"a\"}", second[] = "{\"Image\":\"b\"}";
	char id[ID_LEN + 1];
	struct err err = {0};
	struct stored_request *a, *b, *other;
	struct stored_cache *s = stored_cache_new();
	assert_non_null(s);
	(void) memset(id, 'a', ID_LEN);
	id[ID_LEN] = '\0';
	assert_int_equal(stored_get(s, id, first, &a, &err), 0);
	assert_int_equal(stored_get(s, id, first, &b, &err), 0);
	assert_ptr_equal(a, b);
	assert_string_equal(stored_value(a)->image, "a");
	assert_null(stored_unref(b));
	assert_int_equal(stored_get(s, id, second, &b, &err), 0);
	assert_string_equal(stored_value(b)->image, "b");
	assert_string_equal(stored_value(a)->image, "a");
	assert_true(stored_get(s, id, "{", &other, &err) < 0);
	for (unsigned i = 0; i < 20000; i++) { /* more than there are places */
		(void) str_format(id, sizeof(id), "%064x", i * 2654435761u);
		assert_int_equal(stored_get(s, id, first, &other, &err), 0);
		stored_unref(other);
	}
	stored_drop(s, id);
	stored_drop(s, id);
	stored_cache_free(s);
	assert_string_equal(stored_value(b)->image, "b");
	stored_unref(a);
	stored_unref(b);
}

/* A request that was read is nobody's to change: who means to, gets a copy. */
static void test_own_request(void **state)
{
	struct container_request *mine = NULL, *again = NULL, *r = request("", "");
	struct container c = {.req = r};
	struct err err = {0};
	assert_int_equal(container_own_request(&c, &mine, &err), 0);
	assert_ptr_not_equal(mine, r);
	assert_ptr_equal(c.req, mine);
	assert_string_equal(mine->image, "busybox");
	assert_int_equal(container_own_request(&c, &again, &err), 0);
	assert_ptr_equal(again, mine);
	container_done(&c);
	container_request_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users), cmocka_unit_test(test_caps), cmocka_unit_test(test_signals), cmocka_unit_test(test_sysctls), cmocka_unit_test(test_names),
		cmocka_unit_test(test_detach_keys), cmocka_unit_test(test_policy), cmocka_unit_test(test_operator_allows), cmocka_unit_test(test_default_network),
		cmocka_unit_test(test_stored_requests), cmocka_unit_test(test_own_request),
		cmocka_unit_test(test_merge_image), cmocka_unit_test(test_bundle_defaults), cmocka_unit_test(test_bundle_small_map_has_no_gid5),
		cmocka_unit_test(test_bundle_mounts_in_order), cmocka_unit_test(test_bundle_privileged), cmocka_unit_test(test_bundle_resources),
		cmocka_unit_test(test_bundle_document_round_trip), cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
