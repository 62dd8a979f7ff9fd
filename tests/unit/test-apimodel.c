/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical container request: round trips, docker's defaults, refusals that name field and value, alias tricks. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "apimodel/container.h"
#include "apimodel/target.h"
#include "base/clock.h"

struct outcome {
	struct container_request *req;
	char **unknown;
	struct err err;
	int r;
};

static struct outcome parse_n(const char *text, size_t len)
{
	struct outcome o = {NULL};
	_cleanup_json_ struct json *doc = NULL;
	o.r = json_parse(text, len, 16 << 20, "body", &doc, &o.err);
	if (o.r >= 0)
		o.r = container_request_parse(doc, &o.req, &o.unknown, &o.err);
	assert_true(o.r >= 0 ? o.req != NULL : o.req == NULL);
	return o;
}

static struct outcome parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void done(struct outcome *o)
{
	container_request_free(o->req);
	strv_free(o->unknown);
}

static void refused(const char *text, const char *needle1, const char *needle2)
{
	struct outcome o = parse(text);
	if (o.r >= 0)
		fail_msg("accepted: %s", text);
	if (o.err.kind != ERR_INVALID || !strstr(o.err.msg, needle1) || !strstr(o.err.msg, needle2))
		fail_msg("%s: kind %d, '%s' lacks '%s' or '%s'", text, o.err.kind, o.err.msg, needle1, needle2);
	done(&o);
}

static char *write_request(const struct container_request *r)
{
	struct strbuf b = STRBUF_INIT(8 << 20);
	assert_int_equal(container_request_write(r, &b), 0);
	return strbuf_steal(&b);
}

/* parse -> write -> parse -> write: the two texts are equal. */
static void round_trip(const char *text)
{
	struct outcome a = parse(text);
	if (a.r < 0)
		fail_msg("%s: %s", text, a.err.msg);
	_cleanup_free_ char *one = write_request(a.req);
	struct outcome b = parse(one);
	if (b.r < 0)
		fail_msg("%s: %s", one, b.err.msg);
	assert_int_equal(strv_len(b.unknown), 0);
	_cleanup_free_ char *two = write_request(b.req);
	assert_string_equal(one, two);
	done(&a);
	done(&b);
}

static const char full[] =
	"{\"Hostname\":\"web\",\"Domainname\":\"example.org\",\"User\":\"1:2\",\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,"
	"\"ExposedPorts\":{\"80/tcp\":{},\"9-10/udp\":{}},\"Tty\":true,\"OpenStdin\":true,\"StdinOnce\":true,\"Env\":[\"A=b\",\"C\",\"PEM=x\\ny\"],"
	"\"Cmd\":[\"sh\",\"\"],\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"true\"],\"Interval\":1000000,\"Timeout\":2000000,\"StartPeriod\":3000000,"
	"\"StartInterval\":4000000,\"Retries\":5},\"Image\":\"busybox\",\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\",\"Entrypoint\":[\"/e\"],"
	"\"NetworkDisabled\":true,\"Labels\":{\"k\":\"v\",\"K\":\"two\\nlines\"},\"StopSignal\":\"SIGINT\",\"StopTimeout\":7,"
	"\"HostConfig\":{\"Binds\":[\"/h:/b:ro,rslave,idmap\",\"vol:/n:nocopy\",\"/anon\"],\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}},"
	"\"NetworkMode\":\"none\",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]},\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3},"
	"\"VolumesFrom\":[\"x:ro\"],\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/s\",\"Target\":\"/m1\",\"ReadOnly\":true,\"BindOptions\":{\"Propagation\":\"rshared\","
	"\"CreateMountpoint\":true,\"IDMap\":true}},{\"Type\":\"volume\",\"Source\":\"v2\",\"Target\":\"/m2\",\"VolumeOptions\":{\"NoCopy\":true,\"Subpath\":\"a/b\"}},"
	"{\"Type\":\"tmpfs\",\"Target\":\"/m3\",\"TmpfsOptions\":{\"SizeBytes\":4096,\"Mode\":511,\"Options\":[[\"noexec\"],[\"uid\",\"5\"]]}}],"
	"\"Tmpfs\":{\"/run\":\"size=64k\",\"/t\":\"\"},\"ConsoleSize\":[40,100],\"Annotations\":{\"a\":\"b\"},\"CapAdd\":[\"NET_RAW\"],\"CapDrop\":[\"ALL\"],"
	"\"CgroupnsMode\":\"private\",\"Dns\":[\"1.1.1.1\"],\"DnsOptions\":[\"ndots:1\"],\"DnsSearch\":[\"a.b\"],\"ExtraHosts\":[\"h:1.2.3.4\"],\"GroupAdd\":[\"5\"],"
	"\"IpcMode\":\"private\",\"OomScoreAdj\":100,\"PidMode\":\"container:x\",\"Privileged\":true,\"PublishAllPorts\":true,\"ReadonlyRootfs\":true,"
	"\"SecurityOpt\":[\"no-new-privileges\",\"seccomp={\\n}\"],\"StorageOpt\":{\"size\":\"1g\"},\"UTSMode\":\"host\",\"UsernsMode\":\"map\",\"UidMaps\":[\"0:100000:5\"],"
	"\"GidMaps\":[\"0:200000:6\"],\"ShmSize\":65536,\"Sysctls\":{\"kernel.msgmax\":\"1\"},\"Runtime\":\"r\",\"CpuShares\":512,\"Memory\":67108864,"
	"\"CgroupParent\":\"p\",\"BlkioWeight\":500,\"CpuPeriod\":100000,\"CpuQuota\":50000,\"CpusetCpus\":\"0-3,7\",\"CpusetMems\":\"0\","
	"\"Devices\":[{\"PathOnHost\":\"/dev/null\",\"PathInContainer\":\"/dev/x\",\"CgroupPermissions\":\"rw\"}],\"DeviceCgroupRules\":[\"c 1:3 rwm\"],"
	"\"MemoryReservation\":33554432,\"MemorySwap\":134217728,\"MemorySwappiness\":10,\"OomKillDisable\":true,\"PidsLimit\":99,"
	"\"Ulimits\":[{\"Name\":\"nofile\",\"Hard\":2048,\"Soft\":1024},{\"Name\":\"core\",\"Hard\":-1,\"Soft\":-1}],\"Init\":true,\"MaskedPaths\":[\"/proc/x\"],\"ReadonlyPaths\":[]},"
	"\"NetworkingConfig\":{\"EndpointsConfig\":{\"default\":{\"Aliases\":[\"a\"]}}}}";

static void test_every_field(void **state)
{
	struct outcome o = parse(full);
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	assert_int_equal(strv_len(o.unknown), 0);
	const struct container_request *r = o.req;
	const struct {
		const char *got, *want;
	} strings[] = {
		{r->hostname, "web"}, {r->domainname, "example.org"}, {r->user, "1:2"}, {r->image, "busybox"}, {r->working_dir, "/w"},
		{r->stop_signal, "SIGINT"}, {r->network_mode, "none"}, {r->userns_mode, "map"}, {r->ipc_mode, "private"}, {r->pid_mode, "container:x"},
		{r->uts_mode, "host"}, {r->cgroupns_mode, "private"}, {r->cgroup_parent, "p"}, {r->runtime, "r"}, {r->log_type, "json-file"},
		{r->restart_name, "on-failure"}, {r->cpuset_cpus, "0-3,7"}, {r->cpuset_mems, "0"}, {kv_list_get(&r->labels, "K"), "two\nlines"},
		{kv_list_get(&r->log_opts, "max-size"), "1m"}, {kv_list_get(&r->sysctls, "kernel.msgmax"), "1"}, {kv_list_get(&r->annotations, "a"), "b"},
		{kv_list_get(&r->storage_opt, "size"), "1g"}, {r->networking_json, "{\"EndpointsConfig\":{\"default\":{\"Aliases\":[\"a\"]}}}"},
		{r->port_bindings_json, "{\"80/tcp\":[{\"HostPort\":\"8080\"}]}"}, {r->env[2], "PEM=x\ny"}, {r->cmd[1], ""}, {r->entrypoint[0], "/e"},
		{r->volumes[0], "/v"}, {r->exposed_ports[1], "9-10/udp"}, {r->health->test[0], "CMD-SHELL"}, {r->uid_maps[0], "0:100000:5"},
		{r->gid_maps[0], "0:200000:6"}, {r->cap_add[0], "NET_RAW"}, {r->cap_drop[0], "ALL"}, {r->security_opt[1], "seccomp={\n}"},
		{r->group_add[0], "5"}, {r->dns[0], "1.1.1.1"}, {r->dns_search[0], "a.b"}, {r->dns_options[0], "ndots:1"}, {r->extra_hosts[0], "h:1.2.3.4"},
		{r->volumes_from[0], "x:ro"}, {r->device_cgroup_rules[0], "c 1:3 rwm"}, {r->masked_paths[0], "/proc/x"}, {r->devices[0].host, "/dev/null"},
		{r->devices[0].container, "/dev/x"}, {r->devices[0].permissions, "rw"}, {r->ulimits[0].name, "nofile"},
	};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		assert_string_equal(strings[i].got, strings[i].want);
	const struct {
		int64_t got, want;
	} numbers[] = {
		{r->restart_max, 3}, {r->oom_score_adj, 100}, {r->shm_size, 65536}, {r->cpu_shares, 512}, {r->memory, 67108864}, {r->blkio_weight, 500},
		{r->cpu_period, 100000}, {r->cpu_quota, 50000}, {r->memory_reservation, 33554432}, {r->memory_swap, 134217728}, {r->memory_swappiness, 10},
		{r->pids_limit, 99}, {r->init, 1}, {r->stop_timeout, 7}, {r->console_rows, 40}, {r->console_cols, 100}, {r->n_ulimits, 2},
		{r->ulimits[0].hard, 2048}, {r->ulimits[0].soft, 1024}, {r->ulimits[1].hard, -1}, {r->n_devices, 1}, {r->health->interval, 1000000},
		{r->health->timeout, 2000000}, {r->health->start_period, 3000000}, {r->health->start_interval, 4000000}, {r->health->retries, 5},
	};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assert_int_equal(numbers[i].got, numbers[i].want);
	const bool flags[] = {r->attach_stdin, r->attach_stdout, r->attach_stderr, r->tty, r->open_stdin, r->stdin_once, r->network_disabled, r->entrypoint_set,
			      r->cmd_set, r->privileged, r->readonly_rootfs, r->publish_all_ports, r->oom_kill_disable, r->masked_paths_set, r->readonly_paths_set};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		assert_true(flags[i]);
	assert_null(r->readonly_paths);
	assert_false(r->auto_remove);
	done(&o);
	round_trip(full);
}

/* What was given comes back as it was given: the writer loses nothing of `full`. */
static void test_write_keeps_everything(void **state)
{
	struct outcome o = parse(full);
	_cleanup_free_ char *text = write_request(o.req);
	_cleanup_json_ struct json *in = NULL, *out = NULL;
	struct err err;
	assert_int_equal(json_parse(full, strlen(full), 1 << 20, "in", &in, &err), 0);
	assert_int_equal(json_parse(text, strlen(text), 1 << 20, "out", &out, &err), 0);
	JSON_FOREACH_MEMBER(key, val, in) {
		if (str_eq(key, "HostConfig"))
			continue;
		_cleanup_free_ char *a = json_dump(val), *b = json_dump(json_get(out, key));
		if (!str_eq(a, b))
			fail_msg("%s: %s became %s", key, a, b);
	}
	JSON_FOREACH_MEMBER(key, val, json_get(in, "HostConfig")) {
		_cleanup_free_ char *a = json_dump(val), *b = json_dump(json_get(json_get(out, "HostConfig"), key));
		if (!str_eq(a, b))
			fail_msg("HostConfig.%s: %s became %s", key, a, b);
	}
	done(&o);
}

static void test_mounts(void **state)
{
	struct outcome o = parse(full);
	assert_int_equal(o.req->n_mounts, 8);
	const struct mount_request *m = o.req->mounts;
	assert_true(m[0].kind == MOUNT_BIND && m[0].read_only && m[0].idmap && m[0].create_source && !m[0].from_mounts);
	assert_string_equal(m[0].source, "/h");
	assert_string_equal(m[0].target, "/b");
	assert_string_equal(m[0].propagation, "rslave");
	assert_string_equal(m[0].bind_text, "/h:/b:ro,rslave,idmap");
	assert_true(m[1].kind == MOUNT_VOLUME && m[1].no_copy && !m[1].create_source);
	assert_string_equal(m[1].source, "vol");
	assert_true(m[2].kind == MOUNT_VOLUME && !m[2].source);
	assert_string_equal(m[2].target, "/anon");
	assert_true(m[3].kind == MOUNT_BIND && m[3].from_mounts && m[3].create_source && m[3].idmap && m[3].read_only);
	assert_string_equal(m[3].propagation, "rshared");
	assert_true(m[4].kind == MOUNT_VOLUME && m[4].no_copy);
	assert_string_equal(m[4].subpath, "a/b");
	assert_true(m[5].kind == MOUNT_TMPFS && m[5].tmpfs_size == 4096 && m[5].tmpfs_mode == 0777);
	assert_string_equal(m[5].tmpfs_options, "noexec,uid=5");
	assert_true(m[6].kind == MOUNT_TMPFS && !m[6].from_mounts);
	assert_string_equal(m[6].tmpfs_options, "size=64k");
	assert_null(m[7].tmpfs_options);
	done(&o);
}

/* docker CLI 28's body for `docker create busybox` (api.md 1.2): everything means "unset". */
static void test_docker_defaults(void **state)
{
	struct outcome o = parse(
		"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
		"\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,\"Image\":\"busybox\",\"Volumes\":{},\"WorkingDir\":\"\",\"Entrypoint\":null,"
		"\"OnBuild\":null,\"Labels\":{},\"HostConfig\":{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"\",\"Config\":{}},"
		"\"NetworkMode\":\"default\",\"PortBindings\":{},\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"AutoRemove\":false,\"VolumeDriver\":\"\","
		"\"VolumesFrom\":null,\"ConsoleSize\":[0,0],\"CapAdd\":null,\"CapDrop\":null,\"CgroupnsMode\":\"\",\"Dns\":[],\"DnsOptions\":[],\"DnsSearch\":[],"
		"\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"\",\"Cgroup\":\"\",\"Links\":null,\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,"
		"\"PublishAllPorts\":false,\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\",\"ShmSize\":0,\"Isolation\":\"\","
		"\"CpuShares\":0,\"Memory\":0,\"NanoCpus\":0,\"CgroupParent\":\"\",\"BlkioWeight\":0,\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],"
		"\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],\"BlkioDeviceWriteIOps\":[],\"CpuPeriod\":0,\"CpuQuota\":0,\"CpuRealtimePeriod\":0,"
		"\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\",\"Devices\":[],\"DeviceCgroupRules\":null,\"DeviceRequests\":null,"
		"\"MemoryReservation\":0,\"MemorySwap\":0,\"MemorySwappiness\":-1,\"OomKillDisable\":false,\"PidsLimit\":0,\"Ulimits\":[],\"CpuCount\":0,"
		"\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,\"MaskedPaths\":null,\"ReadonlyPaths\":null},"
		"\"NetworkingConfig\":{\"EndpointsConfig\":{\"default\":{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"MacAddress\":\"\"}}}}");
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	assert_int_equal(strv_len(o.unknown), 0);
	struct container_request *want = container_request_new();
	want->attach_stdout = want->attach_stderr = true;
	want->image = strdup("busybox");
	want->network_mode = strdup("default");
	want->restart_name = strdup("no");
	want->networking_json = strdup(o.req->networking_json);
	_cleanup_free_ char *a = write_request(o.req), *b = write_request(want);
	assert_string_equal(a, b);
	assert_int_equal(o.req->memory_swappiness, -1);
	assert_int_equal(o.req->init, -1);
	assert_int_equal(o.req->stop_timeout, -1);
	assert_false(o.req->cmd_set || o.req->entrypoint_set || o.req->masked_paths_set || o.req->readonly_paths_set);
	container_request_free(want);
	done(&o);
	round_trip("{}");
	round_trip("{\"Image\":\"x\",\"HostConfig\":null}");
}

static void test_entrypoint(void **state)
{
	static const char *const resets[] = {"{\"Entrypoint\":[]}", "{\"Entrypoint\":[\"\"]}", "{\"Entrypoint\":\"\"}"};
	for (size_t i = 0; i < ARRAY_LEN(resets); i++) {
		struct outcome o = parse(resets[i]);
		assert_true(o.req->entrypoint_set && !o.req->entrypoint);
		done(&o);
		round_trip(resets[i]);
	}
	struct outcome o = parse("{\"Entrypoint\":null,\"Cmd\":\"ls\"}");
	assert_false(o.req->entrypoint_set);
	assert_true(o.req->cmd_set);
	assert_string_equal(o.req->cmd[0], "ls");
	done(&o);
}

static void test_keys_folded(void **state)
{
	struct outcome o = parse("{\"image\":\"x\",\"hostconfig\":{\"BINDS\":[\"/a:/b\"],\"privileged\":true}}");
	assert_string_equal(o.req->image, "x");
	assert_true(o.req->privileged && o.req->n_mounts == 1);
	done(&o);
	o = parse("{\"HostConfig\":{\"\\u0042inds\":[\"/a:/b\"]}}"); /* an escaped key is the same key */
	assert_int_equal(o.req->n_mounts, 1);
	done(&o);
	refused("{\"HostConfig\":{\"Binds\":null,\"binds\":[\"/a:/b\"]}}", "HostConfig.Binds", "twice");
	refused("{\"HostConfig\":{\"Binds\":null,\"\\u0062inds\":[\"/a:/b\"]}}", "HostConfig.Binds", "twice");
	refused("{\"HostConfig\":{},\"hostconfig\":{\"Privileged\":true}}", "HostConfig", "twice");
	refused("{\"HostConfig\":{},\"HostConfig\":{\"Privileged\":true}}", "body", "duplicate");
	refused("{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"type\":\"volume\"}]}}", "HostConfig.Mounts[0].Type", "twice");
	refused("{\"NetworkingConfig\":{\"EndpointsConfig\":{},\"endpointsconfig\":{}}}", "NetworkingConfig.EndpointsConfig", "twice");
}

static void test_unknown(void **state)
{
	struct outcome o = parse("{\"Foo\":1,\"Bar\":false,\"Baz\":[],\"HostConfig\":{\"Cgroup\":\"a\",\"VolumeDriver\":\"nfs\",\"Quux\":{},\"Nil\":null,"
				 "\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"/x\",\"VolumeOptions\":{\"Frob\":"
				 "{\"Name\":\"local\"}}}]},\"Volumes\":{\"/v\":{\"Source\":\"/etc\"}},"
				 "\"NetworkingConfig\":{\"Other\":1}}");
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	static const char *const want[] = {"Foo", "HostConfig.Cgroup", "HostConfig.VolumeDriver",
					   "HostConfig.Mounts[0].VolumeOptions.Frob", "Volumes./v",
					   "NetworkingConfig.Other"};
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		if (!strv_has(o.unknown, want[i]))
			fail_msg("'%s' was not reported", want[i]);
	assert_int_equal(strv_len(o.unknown), ARRAY_LEN(want));
	done(&o);
}

static void test_block_devices_and_rules(void **state)
{
	struct outcome o = parse("{\"HostConfig\":{\"BlkioWeightDevice\":[{\"Path\":\"/dev/sda\",\"Weight\":100}],\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/a\",\"Rate\":7},"
				 "{\"Path\":\"/dev/b\",\"Rate\":8}],\"DeviceCgroupRules\":[\"c 1:3 rw\",\"b *:* m\",\"a 10:* r\"],\"Isolation\":\"default\",\"DeviceRequests\":null,"
				 "\"CpuRealtimeRuntime\":900,\"CpuRealtimePeriod\":1000}}");
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	assert_int_equal(o.req->blkio_weight_devices.n, 1);
	assert_int_equal(o.req->blkio_read_bps.n, 2);
	assert_int_equal(o.req->blkio_read_bps.v[1].value, 8);
	const struct blkio_limit more[] = {{(char *) "/dev/b", 9}, {(char *) "/dev/c", 10}};
	assert_int_equal(blkio_limits_merge(&o.req->blkio_read_bps, &(const struct blkio_limits) {(struct blkio_limit *) more, 2}), 0);
	assert_int_equal(o.req->blkio_read_bps.n, 3);
	assert_int_equal(o.req->blkio_read_bps.v[1].value, 9);
	assert_string_equal(o.req->blkio_read_bps.v[2].path, "/dev/c");
	done(&o);
	refused("{\"HostConfig\":{\"BlkioWeightDevice\":[{\"Path\":\"/dev/sda\",\"Weight\":9}]}}", "HostConfig.BlkioWeightDevice[0].Weight", "10 to 1000");
	refused("{\"HostConfig\":{\"BlkioDeviceWriteIOps\":[{\"Path\":\"sda\",\"Rate\":9}]}}", "HostConfig.BlkioDeviceWriteIOps[0].Path", "absolute");
	refused("{\"HostConfig\":{\"BlkioDeviceReadBps\":[{\"Path\":\"/a\",\"Rate\":-1}]}}", "HostConfig.BlkioDeviceReadBps[0].Rate", "less than 0");
	refused("{\"HostConfig\":{\"DeviceRequests\":[{\"Count\":-1}]}}", "HostConfig.DeviceRequests", "--gpus");
	refused("{\"HostConfig\":{\"Isolation\":\"hyperv\"}}", "HostConfig.Isolation", "hyperv");
	refused("{\"HostConfig\":{\"CpuRealtimeRuntime\":1001,\"CpuRealtimePeriod\":1000}}", "HostConfig.CpuRealtimeRuntime", "higher");
	static const char *const rules[] = {"", "c", "c 1:3", "d 1:3 r", "c 1:3 q", "c 1:3 rwmr", "c1:3 r", "c 1:3  r", "c -1:3 r", "c 1 3 r", "c **:3 r", "c 9999999999:1 r", "c 1:3 "};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		_cleanup_free_ char *text = str_printf("{\"HostConfig\":{\"DeviceCgroupRules\":[\"%s\"]}}", rules[i]);
		refused(text, "HostConfig.DeviceCgroupRules", "device cgroup format");
	}
}

static void test_mount_options(void **state)
{
#define MOUNT(options) "{\"HostConfig\":{\"Mounts\":[{" options "}]}}"
	struct outcome o = parse(MOUNT("\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"ReadOnly\":true,\"BindOptions\":{\"NonRecursive\":true,\"ReadOnlyNonRecursive\":true}"));
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	assert_true(o.req->mounts[0].non_recursive && o.req->mounts[0].ro_non_recursive);
	/* inherited by another, twice, and not over what that mounts itself */
	struct outcome t = parse("{\"HostConfig\":{\"Binds\":[\"/own:/own\"],\"VolumesFrom\":[\"x:ro\"]}}");
	struct mount_request m = o.req->mounts[0];
	assert_int_equal(container_request_inherit(t.req, &m), 0);
	m.read_only = false;
	m.ro_non_recursive = false;
	assert_int_equal(container_request_inherit(t.req, &m), 0);
	m.target = (char *) "/own";
	assert_int_equal(container_request_inherit(t.req, &m), 0);
	assert_int_equal(t.req->n_mounts, 2);
	assert_string_equal(t.req->mounts[0].source, "/own");
	assert_true(t.req->mounts[1].inherited && !t.req->mounts[1].read_only && t.req->mounts[1].non_recursive);
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(65536);
	assert_int_equal(container_request_write(t.req, &text), 0);
	struct outcome again = parse(text.s);
	if (again.r < 0)
		fail_msg("%s", again.err.msg);
	assert_int_equal(again.req->n_mounts, 2);
	size_t i = again.req->mounts[0].inherited ? 0 : 1;
	assert_true(again.req->mounts[i].inherited && str_eq(again.req->mounts[i].target, "/b"));
	done(&again);
	done(&t);
	done(&o);
	refused(MOUNT("\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"BindOptions\":{\"ReadOnlyNonRecursive\":true}"), "ReadOnlyNonRecursive", "not ReadOnly");
	refused(MOUNT("\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"ReadOnly\":true,\"BindOptions\":{\"ReadOnlyForceRecursive\":true,\"Propagation\":\"rslave\"}"), "ReadOnlyForceRecursive", "rprivate");
	refused(MOUNT("\"Type\":\"volume\",\"Target\":\"/b\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"nfs\"}}"), "DriverConfig", "nfs");
	refused(MOUNT("\"Type\":\"volume\",\"Target\":\"/b\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"local\",\"Options\":{\"device\":\"/\"}}}"), "DriverConfig", "options");
	refused(MOUNT("\"Type\":\"image\",\"Source\":\"x\",\"Target\":\"/b\""), "Type", "image");
	refused("{\"HostConfig\":{\"VolumesFrom\":[\"x:frob\"]}}", "HostConfig.VolumesFrom", "frob");
	refused("{\"HostConfig\":{\"VolumesFrom\":[\":ro\"]}}", "HostConfig.VolumesFrom", "malformed");
#undef MOUNT
}

static void test_relabel(void **state)
{
	struct outcome o = parse("{\"HostConfig\":{\"Binds\":[\"/a:/b:ro,z\",\"/c:/d:Z\",\"vol:/e\"]}}");
	if (o.r < 0)
		fail_msg("%s", o.err.msg);
	assert_int_equal(strv_len(o.unknown), 0);
	assert_int_equal(o.req->mounts[0].relabel, 'z');
	assert_true(o.req->mounts[0].read_only);
	assert_int_equal(o.req->mounts[1].relabel, 'Z');
	assert_int_equal(o.req->mounts[2].relabel, 0);
	done(&o);
	refused("{\"HostConfig\":{\"Binds\":[\"/a:/b:z,Z\"]}}", "HostConfig.Binds[0]", "contradicts");
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *field, *value;
	} rows[] = {
		{"[]", "config cannot be empty", ""},
		{"{\"Image\":5}", "Image", "expected a string, got a whole number"},
		{"{\"Tty\":\"yes\"}", "Tty", "expected a boolean"},
		{"{\"Env\":[\"=x\"]}", "Env", "'=x'"},
		{"{\"Env\":[\"HOME=/a\\nroot::0\"]}", "Env", "HOME"},
		{"{\"Env\":[\"A\\nB=1\"]}", "Env", "control character"},
		{"{\"Env\":[1]}", "Env", "element 0"},
		{"{\"Hostname\":\"a\\nb\"}", "Hostname", "control"},
		{"{\"Hostname\":\"a\\rb\"}", "Hostname", "control"},
		{"{\"Hostname\":\"a\\u0000b\"}", "body", "NUL"},
		{"{\"Hostname\":\"-a\"}", "Hostname", "'-a'"},
		{"{\"Hostname\":\"a b\"}", "Hostname", "'a b'"},
		{"{\"Domainname\":\"a\\nb\"}", "Domainname", "control"},
		{"{\"Labels\":{\"a\\nb\":\"\"}}", "Labels", "control"},
		{"{\"User\":\"a\\nb\"}", "User", "control"},
		{"{\"HostConfig\":{\"ExtraHosts\":[\"a:1.2.3.4\\n5.6.7.8 b\"]}}", "HostConfig.ExtraHosts", "control"},
		{"{\"WorkingDir\":\"rel\"}", "WorkingDir", "'rel'"},
		{"{\"ExposedPorts\":{\"70000/tcp\":{}}}", "ExposedPorts", "70000"},
		{"{\"ExposedPorts\":{\"80/icmp\":{}}}", "ExposedPorts", "80/icmp"},
		{"{\"ExposedPorts\":{\"9-8\":{}}}", "ExposedPorts", "9-8"},
		{"{\"StopTimeout\":-2}", "StopTimeout", "-2"},
		{"{\"Healthcheck\":{\"Test\":[\"RUN\"]}}", "Healthcheck.Test", "RUN"},
		{"{\"Healthcheck\":{\"Test\":[\"NONE\"],\"Interval\":5}}", "Healthcheck.Interval", "5"},
		{"{\"HostConfig\":{\"Memory\":-1}}", "HostConfig.Memory", "-1"},
		{"{\"HostConfig\":{\"Memory\":1024}}", "HostConfig.Memory", "1024"},
		{"{\"HostConfig\":{\"Memory\":1.5}}", "HostConfig.Memory", "a fraction"},
		{"{\"HostConfig\":{\"Memory\":99999999999999999999}}", "body", "big"},
		{"{\"HostConfig\":{\"MemorySwap\":99999999}}", "HostConfig.MemorySwap", "Memory limit"},
		{"{\"HostConfig\":{\"Memory\":67108864,\"MemorySwap\":7000000}}", "HostConfig.MemorySwap", "7000000"},
		{"{\"HostConfig\":{\"MemorySwappiness\":101}}", "HostConfig.MemorySwappiness", "101"},
		{"{\"HostConfig\":{\"OomScoreAdj\":-1001}}", "HostConfig.OomScoreAdj", "-1001"},
		{"{\"HostConfig\":{\"PidsLimit\":-2}}", "HostConfig.PidsLimit", "-2"},
		{"{\"HostConfig\":{\"NanoCpus\":1,\"CpuQuota\":5000}}", "HostConfig.NanoCpus", "Quota"},
		{"{\"HostConfig\":{\"BlkioWeight\":5}}", "HostConfig.BlkioWeight", "5"},
		{"{\"HostConfig\":{\"CpuPeriod\":5}}", "HostConfig.CpuPeriod", "5"},
		{"{\"HostConfig\":{\"CpusetCpus\":\"0-1000000000\"}}", "HostConfig.CpusetCpus", "0-1000000000"},
		{"{\"HostConfig\":{\"CpusetCpus\":\"3-1\"}}", "HostConfig.CpusetCpus", "3-1"},
		{"{\"HostConfig\":{\"CpusetMems\":\"0,\"}}", "HostConfig.CpusetMems", "'0,'"},
		{"{\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"maybe\"}}}", "HostConfig.RestartPolicy.Name", "maybe"},
		{"{\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":1}}}", "HostConfig.RestartPolicy.MaximumRetryCount", "on-failure"},
		{"{\"HostConfig\":{\"AutoRemove\":true,\"RestartPolicy\":{\"Name\":\"always\"}}}", "HostConfig.AutoRemove", "always"},
		{"{\"HostConfig\":{\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2},{\"Name\":\"files\"}]}}", "HostConfig.Ulimits[1].Name", "files"},
		{"{\"HostConfig\":{\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":3,\"Hard\":2}]}}", "HostConfig.Ulimits[0].Soft", "3"},
		{"{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/../etc\"}]}}", "HostConfig.Devices[0].PathOnHost", "/dev/../etc"},
		{"{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/x\",\"CgroupPermissions\":\"q\"}]}}", "HostConfig.Devices[0].CgroupPermissions", "q"},
		{"{\"HostConfig\":{\"ConsoleSize\":[1]}}", "HostConfig.ConsoleSize", "height"},
		{"{\"HostConfig\":{\"CapAdd\":[\"\"]}}", "HostConfig.CapAdd", "empty"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":5}}}", "HostConfig.PortBindings", "an array"},
		{"{\"NetworkingConfig\":{\"EndpointsConfig\":{\"a\":5}}}", "NetworkingConfig.EndpointsConfig", "an object"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b:ro,rw\"]}}", "HostConfig.Binds[0]", "rw"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b:bogus\"]}}", "HostConfig.Binds[0]", "bogus"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b:\"]}}", "HostConfig.Binds[0]", "invalid mode"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b:ro:rw\"]}}", "HostConfig.Binds[0]", "/a:/b:ro:rw"},
		{"{\"HostConfig\":{\"Binds\":[\"./a:/b\"]}}", "HostConfig.Binds[0]", "./a"},
		{"{\"HostConfig\":{\"Binds\":[\"../a:/b\"]}}", "HostConfig.Binds[0]", "../a"},
		{"{\"HostConfig\":{\"Binds\":[\"vol:/b:rshared\"]}}", "HostConfig.Binds[0]", "rshared"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b:nocopy\"]}}", "HostConfig.Binds[0]", "nocopy"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b\",\"/c:/b/\"]}}", "HostConfig.Binds[1]", "'/b'"},
		{"{\"HostConfig\":{\"Binds\":[\"/a:/b\"],\"Tmpfs\":{\"/b\":\"\"}}}", "HostConfig.Tmpfs", "'/b'"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"image\",\"Target\":\"/a\"}]}}", "HostConfig.Mounts[0].Type", "image"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Target\":\"/a\"}]}}", "HostConfig.Mounts[0].Type", "empty"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Target\":\"/a\"}]}}", "HostConfig.Mounts[0].Source", "empty"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"rel\",\"Target\":\"/a\"}]}}", "HostConfig.Mounts[0].Source", "rel"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Source\":\"x\",\"Target\":\"/a\"}]}}", "HostConfig.Mounts[0].Source", "tmpfs"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/a\",\"BindOptions\":{\"IDMap\":true}}]}}", "HostConfig.Mounts[0].BindOptions", "must not"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/x\",\"Target\":\"/a\",\"BindOptions\":{\"Propagation\":\"up\"}}]}}",
		 "HostConfig.Mounts[0].BindOptions.Propagation", "up"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"/a\",\"VolumeOptions\":{\"Subpath\":\"a/../b\"}}]}}",
		 "HostConfig.Mounts[0].VolumeOptions.Subpath", "a/../b"},
		{"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/a\",\"TmpfsOptions\":{\"Options\":[[\"a,b\"]]}}]}}",
		 "HostConfig.Mounts[0].TmpfsOptions.Options", "a,b"},
		{"{\"HostConfig\":{\"Tmpfs\":{\"rel\":\"\"}}}", "HostConfig.Tmpfs", "rel"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].text, rows[i].field, rows[i].value);
}

/* CVE-2015-3631: one rule for every way to name a target. */
static void test_targets(void **state)
{
	static const char *const bad[] = {"/", "//", "/.", "/proc", "/proc/", "//proc", "/./proc", "/proc/self", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup",
					  "/proc/../proc", "/a/../proc", "/..", "/a/..", "..", "rel", ""};
	static const char *const forms[] = {
		"{\"HostConfig\":{\"Binds\":[\"/h:%s\"]}}",
		"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"Target\":\"%s\"}]}}",
		"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"%s\"}]}}",
		"{\"HostConfig\":{\"Tmpfs\":{\"%s\":\"\"}}}",
		"{\"Volumes\":{\"%s\":{}}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
			_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4096);
			const char *at = strstr(forms[k], "%s");
			strbuf_add(&b, forms[k], (size_t) (at - forms[k]));
			strbuf_adds(&b, bad[i]);
			strbuf_adds(&b, at + 2);
			refused(b.s, "arget", bad[i]);
		}
	static const char *const good[][2] = {{"/a", "/a"}, {"//a//b/", "/a/b"}, {"/a/./b", "/a/b"}, {"/proc2", "/proc2"}, {"/a/proc", "/a/proc"},
					      {"/system", "/system"}, {"/...", "/..."}, {"/a..b", "/a..b"}};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		_cleanup_free_ char *t = NULL;
		struct err err;
		assert_int_equal(mount_target_clean("f", good[i][0], &t, &err), 0);
		assert_string_equal(t, good[i][1]);
	}
	struct outcome o = parse("{\"Volumes\":{\"/a\":{},\"/a/\":null},\"HostConfig\":{\"Binds\":[\"/x:/a\"]}}");
	assert_int_equal(strv_len(o.req->volumes), 1); /* the same target in Volumes and Binds is legal (compose v2) */
	done(&o);
}

static char *repeat(const char *head, const char *item, size_t n, const char *tail)
{
	struct strbuf b = STRBUF_INIT(32 << 20);
	strbuf_adds(&b, head);
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_addc(&b, ',');
		strbuf_adds(&b, item);
	}
	strbuf_adds(&b, tail);
	return strbuf_steal(&b);
}

/* CVE-2018-20699 and its kin: refused quickly, whatever the size. */
static void test_bounds(void **state)
{
	static const struct {
		const char *head, *item, *tail, *field;
		size_t n;
	} rows[] = {
		{"{\"HostConfig\":{\"Ulimits\":[", "{}", "]}}", "HostConfig.Ulimits", 1000000},
		{"{\"Env\":[", "\"A=1\"", "]}", "Env", 1000000},
		{"{\"Cmd\":[", "\"\"", "]}", "Cmd", 1000000},
		{"{\"HostConfig\":{\"Binds\":[", "\"\"", "]}}", "HostConfig.Binds", 1000000},
		{"{\"HostConfig\":{\"Devices\":[", "{}", "]}}", "HostConfig.Devices", 100000},
		{"{\"HostConfig\":{\"CpusetCpus\":\"", "0-1", "\"}}", "HostConfig.CpusetCpus", 100000},
		{"{\"Image\":\"", "aaaaaaaaaaaaaaa", "\"}", "Image", 1000},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *text = repeat(rows[i].head, rows[i].item, rows[i].n, rows[i].tail);
		struct outcome o = parse(text);
		assert_int_equal(o.err.kind, ERR_INVALID);
		if (!strstr(o.err.msg, rows[i].field))
			fail_msg("'%s' does not name %s", o.err.msg, rows[i].field);
		done(&o);
	}
	/* 2000 entries of 1000 bytes: each is fine, the sum is not */
	char item[1024] = "\"A=";
	memset(item + 3, 'x', 1000);
	item[1003] = '"';
	_cleanup_free_ char *text = repeat("{\"Env\":[", item, 2000, "]}");
	refused(text, "Env", "in all");
	usec_t t = now_usec();
	refused("{\"HostConfig\":{\"CpusetCpus\":\"0-1000000000\"}}", "HostConfig.CpusetCpus", "8192");
	assert_true(now_usec() - t < 100 * USEC_PER_MSEC);
}

static void test_stop_timeout(void **state)
{
	struct outcome o = parse("{\"StopTimeout\":-1}");
	assert_int_equal(o.req->stop_timeout, -2);
	done(&o);
	round_trip("{\"StopTimeout\":-1}");
	round_trip("{\"StopTimeout\":0}");
}

/* A request built by hand (the CLI does) says the same after a trip over the wire. */
static void test_synthesized_bind(void **state)
{
	_cleanup_container_request_ struct container_request *r = container_request_new();
	r->mounts = calloc(1, sizeof(*r->mounts));
	r->mounts[0] = (struct mount_request) {.kind = MOUNT_BIND, .source = strdup("/s"), .target = strdup("/t"), .read_only = true, .idmap = true};
	r->n_mounts = 1;
	_cleanup_free_ char *text = write_request(r);
	struct outcome o = parse(text);
	assert_int_equal(o.r, 0);
	assert_string_equal(o.req->mounts[0].bind_text, "/s:/t:ro,idmap");
	assert_true(o.req->mounts[0].read_only && o.req->mounts[0].idmap);
	done(&o);
}

static void test_kv_list(void **state)
{
	struct kv_list l = {NULL};
	assert_null(kv_list_get(&l, "a"));
	assert_int_equal(kv_list_set(&l, "a", "1"), 0);
	assert_int_equal(kv_list_set(&l, "b", "2"), 0);
	assert_int_equal(kv_list_set(&l, "a", "3"), 0);
	assert_string_equal(kv_list_get(&l, "a"), "3");
	assert_int_equal(strv_len(l.keys), 2);
	kv_list_done(&l);
	assert_null(l.keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field), cmocka_unit_test(test_write_keeps_everything), cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_docker_defaults), cmocka_unit_test(test_entrypoint), cmocka_unit_test(test_keys_folded),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_relabel), cmocka_unit_test(test_block_devices_and_rules), cmocka_unit_test(test_mount_options), cmocka_unit_test(test_refusals), cmocka_unit_test(test_targets), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_stop_timeout), cmocka_unit_test(test_synthesized_bind), cmocka_unit_test(test_kv_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
