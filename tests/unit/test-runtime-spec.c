/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime document: round trips, foreign documents, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "spec/runtime.h"

static char *opts[] = {(char *) "nosuid", (char *) "noexec", NULL};

#define ONE(ptr, count, ...)                                                                                                                          \
	do {                                                                                                                                          \
		(ptr) = calloc(1, sizeof(*(ptr)));                                                                                                     \
		*(ptr) = (typeof(*(ptr))){__VA_ARGS__};                                                                                               \
		(count) = 1;                                                                                                                           \
	} while (0)

static void fill_resources(struct resources_spec *r)
{
	r->has_kernel = r->has_kernel_tcp = r->has_swappiness = r->has_use_hierarchy = r->has_check_before = r->has_reservation = r->has_oom_disable = true;
	r->kernel = r->kernel_tcp = -1;
	r->swappiness = 60;
	r->has_rt_runtime = r->has_rt_period = r->has_burst = r->has_idle = r->has_blkio_weight = r->has_blkio_leaf_weight = r->has_class_id = true;
	r->rt_runtime = 950000;
	r->burst = 5;
	r->idle = 1;
	r->blkio_weight = 10;
	r->blkio_leaf_weight = 1000;
	ONE(r->blkio_weight_devices.v, r->blkio_weight_devices.n, .major = 8, .weight = 500);
	for (int i = 0; i < BLKIO_THROTTLE_MAX_; i++)
		ONE(r->throttle[i].v, r->throttle[i].n, .major = 8, .minor = i, .rate = UINT64_MAX - (uint64_t) i);
	ONE(r->hugepages, r->n_hugepages, .page_size = strdup("2MB"), .limit = UINT64_MAX);
	ONE(r->rdma, r->n_rdma, .device = strdup("mlx5_1"), .has_objects = true, .objects = 7);
	ONE(r->net_priorities, r->n_net_priorities, .name = strdup("eth0"), .priority = 5);
}

static void fill_linux(struct runtime_spec *s)
{
	s->mount_label = strdup("system_u:object_r:container_file_t:s0:c1,c2");
	s->rootfs_propagation = strdup("rslave");
	s->has_time_offset[0] = s->has_time_offset[1] = true;
	s->time_secs[0] = -5;
	s->time_nanosecs[0] = 999999999;
	s->personality = strdup("LINUX32");
	s->rdt = (struct rdt_spec){.present = true, .clos_id = strdup("gold"), .l3_schema = strdup("L3:0=7f0"), .mem_schema = strdup("MB:0=20"), .enable_monitoring = true};
	strv_push(&s->rdt.schemata, "L2:0=f");
	s->memory_policy = (struct memory_policy_spec){.mode = strdup("MPOL_BIND"), .nodes = strdup("0-1,3")};
	strv_push(&s->memory_policy.flags, "MPOL_F_STATIC_NODES");
	ONE(s->net_devices, s->n_net_devices, .host = strdup("eth1"), .name = strdup("ctr%d"));
	for (int i = 0; i < HOOK_POINT_MAX_; i++) {
		ONE(s->hooks[i].v, s->hooks[i].n, .path = strdup("/usr/bin/hook"), .timeout = (uint32_t) i);
		strv_push(&s->hooks[i].v->args, hook_point_name((enum hook_point) i));
		strv_push(&s->hooks[i].v->env, "A=b");
	}
	keyval_add(&s->annotations, &s->n_annotations, "org.example", "");
}

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
	p->scheduler = (struct scheduler_spec){.policy = strdup("SCHED_DEADLINE"), .runtime = 1000, .deadline = UINT64_MAX, .period = 3000};
	strv_push(&p->scheduler.flags, "SCHED_FLAG_RECLAIM");
	p->io_class = strdup("IOPRIO_CLASS_IDLE");
	p->io_priority = 7;
	p->affinity_initial = strdup("0-1");
	p->affinity_final = strdup("1");
	struct mount_spec *m;
	runtime_spec_add_mount(s, "/proc", "proc", "proc", opts, NULL);
	runtime_spec_add_mount(s, "/data", "bind", "/srv/18446744073709551615", NULL, &m);
	id_map_add(&m->uids, 0, 1048576, 65536);
	id_map_add(&m->gids, 0, 1048576, 65536);
	for (int i = 0; i < NS_KIND_MAX_; i++)
		s->ns[i].mode = i == NS_CGROUP ? NS_MODE_HOST : NS_MODE_NEW;
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
	fill_resources(r);
	fill_linux(s);
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
	assert_true(t->process.scheduler.deadline == UINT64_MAX);
	assert_int_equal(t->process.io_priority, 7);
	assert_string_equal(t->process.affinity_final, "1");
	assert_true(t->resources.throttle[BLKIO_WRITE_IOPS].v[0].rate == UINT64_MAX - 3);
	assert_int_equal(t->resources.blkio_weight_devices.v[0].weight, 500);
	assert_string_equal(t->resources.rdma[0].device, "mlx5_1");
	assert_false(t->resources.rdma[0].has_handles);
	assert_true(t->resources.has_kernel_tcp && t->resources.kernel_tcp == -1);
	assert_true(t->time_secs[0] == -5 && t->time_nanosecs[0] == 999999999 && t->has_time_offset[1]);
	assert_string_equal(t->net_devices[0].host, "eth1");
	assert_string_equal(t->memory_policy.flags[0], "MPOL_F_STATIC_NODES");
	assert_true(t->rdt.present && t->rdt.enable_monitoring);
	assert_string_equal(t->hooks[HOOK_POSTSTOP].v[0].args[0], "poststop");
	assert_int_equal(t->hooks[HOOK_START_CONTAINER].v[0].timeout, HOOK_START_CONTAINER);
	assert_string_equal(t->mounts[1].source, "/srv/18446744073709551615");
	assert_int_equal(t->process.gid, 4294967294u);
	assert_int_equal(t->resources.devices[1].minor, -1);
	assert_int_equal(t->ns[NS_CGROUP].mode, NS_MODE_HOST);
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
	assert_string_equal(a.s, "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/r\"},\"linux\":{\"namespaces\":[],\"resources\":{}}}");
	assert_int_equal(runtime_spec_parse(a.s, a.len, &t, &err), 0);
	assert_false(t->coffer.present);
}

#define DOC(rest) "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"}" rest "}"
#define LINUX(rest) DOC(",\"linux\":{" rest "}")
#define RES(rest) LINUX("\"resources\":{" rest "}")
#define PROC(rest) DOC(",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]" rest "}")

static void test_refused(void **state)
{
	static const struct {
		const char *doc, *says;
	} rows[] = {
{"", "not valid JSON"},
		{"[]", "expected an object, got an array"},
		{"{}", "ociVersion: is missing"},
		{"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: '2.0.0' is not a 1.x version"},
		{"{\"ociVersion\":\"0.9.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: '0.9.0' is not a 1.x version"},
		{"{\"ociVersion\":\"1\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1' is not a 1.x version"},
		{"{\"ociVersion\":\"1.\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1.' is not a 1.x version"},
		{"{\"ociVersion\":\"1.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1.0' is not a 1.x version"},
		{"{\"ociVersion\":\"1.2.x\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1.2.x' is not a 1.x version"},
		{"{\"ociVersion\":\"1.2.0x\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1.2.0x' is not a 1.x version"},
		{"{\"ociVersion\":\"v1.0.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: 'v1.0.0' is not a 1.x version"},
		{"{\"ociVersion\":\"1.-1.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: '1.-1.0' is not a 1.x version"},
		{"{\"ociVersion\":\"\",\"root\":{\"path\":\"r\"}}", "ociVersion: '' is not a 1.x version"},
		{"{\"ociVersion\":\"1.0.0\"}", "root.path: is missing"},
		{DOC(",\"hostname\":5"), "config.json: hostname: expected a string, got a whole number"},
		{DOC(",\"domainname\":[]"), "domainname: expected"},
		{DOC(",\"process\":[]"), "process: expected an object"},
		{DOC(",\"process\":{\"cwd\":\"/\"}"), "process.args"},
		{DOC(",\"process\":{\"args\":[\"a\"]}"), "process.cwd: is missing"},
		{DOC(",\"process\":{\"cwd\":\"x\",\"args\":[\"a\"]}"), "process.cwd: 'x'"},
		{PROC(",\"user\":{\"uid\":4294967295}"), "process.user.uid: 4294967295"},
		{PROC(",\"user\":{\"uid\":4294967296}"), "process.user.uid"},
		{PROC(",\"user\":{\"uid\":-1}"), "negative"},
		{PROC(",\"user\":{\"gid\":4294967295}"), "process.user.gid: 4294967295"},
		{PROC(",\"user\":{\"uid\":\"0\"}"), "expected a whole number, got a string"},
		{PROC(",\"user\":{\"additionalGids\":[1,-1]}"), "process.user.additionalGids[1]"},
		{PROC(",\"user\":{\"additionalGids\":[4294967295]}"), "process.user.additionalGids[0]"},
		{PROC(",\"user\":{\"umask\":512}"), "process.user.umask: 512 is not between 0 and 511"},
		{PROC(",\"consoleSize\":{\"height\":70000,\"width\":1}"), "process.consoleSize.height: 70000"},
		{PROC(",\"capabilities\":{\"bounding\":[1]}"), "process.capabilities.bounding[0]: expected a string"},
		{PROC(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]"), "process.rlimits[1].type: 'RLIMIT_CPU' is there twice"},
		{PROC(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":-2,\"hard\":1}]"), "process.rlimits[0].soft: -2 is negative"},
		{PROC(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":-1,\"hard\":1}]"), "process.rlimits[0].soft: -1 is negative"},
		{PROC(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1}]"), "process.rlimits[0].hard: is missing"},
		{PROC(",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":18446744073709551616}]"), "not valid JSON"},
		{PROC(",\"rlimits\":[{\"type\":\"CPU\",\"soft\":1,\"hard\":1}]"), "process.rlimits[0].type: 'CPU' is not the name"},
		{PROC(",\"oomScoreAdj\":1001"), "process.oomScoreAdj: 1001 is not between -1000 and 1000"},
		{PROC(",\"oomScoreAdj\":18446744073709551615"), "process.oomScoreAdj: 18446744073709551615 is more than"},
		{PROC(",\"scheduler\":{}"), "process.scheduler.policy: is missing"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_FAST\"}"), "process.scheduler.policy: 'SCHED_FAST' is not known"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}"), "process.scheduler.nice: 20 is not between -20 and 19"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_FIFO\",\"nice\":1}"), "process.scheduler.nice: SCHED_FIFO"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_FIFO\"}"), "process.scheduler.priority: 0 does not go with SCHED_FIFO"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":1}"), "process.scheduler.priority: 1"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_RR\",\"priority\":100}"), "process.scheduler.priority: 100 is not between 0 and 99"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"deadline\":1}"), "process.scheduler.deadline: SCHED_OTHER"},
		{PROC(",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_X\"]}"), "process.scheduler.flags: 'SCHED_FLAG_X'"},
		{PROC(",\"ioPriority\":{\"priority\":1}"), "process.ioPriority.class: is missing"},
		{PROC(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_NONE\"}"), "process.ioPriority.class"},
		{PROC(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}"), "process.ioPriority.priority: 8 is not between 0 and 7"},
		{PROC(",\"execCPUAffinity\":{\"initial\":\"a\"}"), "process.execCPUAffinity.initial: 'a'"},
		{PROC(",\"execCPUAffinity\":{\"final\":\"1;2\"}"), "process.execCPUAffinity.final: '1;2'"},
		{DOC(",\"mounts\":[{\"destination\":\"\"}]"), "mounts[0].destination: is empty"},
		{DOC(",\"mounts\":[{}]"), "mounts[0].destination: is missing"},
		{DOC(",\"mounts\":[5]"), "mounts[0]: expected an object"},
		{DOC(",\"mounts\":[{\"destination\":\"/a\",\"options\":[\"ro\",1]}]"), "mounts[0].options[1]: expected a string"},
		{DOC(",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}]"), "mounts[0].gidMappings: is missing"},
		{DOC(",\"mounts\":[{\"destination\":\"/a\",\"gidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]}]"), "mounts[0].uidMappings: is missing"},
		{DOC(",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"containerID\":0,\"hostID\":1}]}]"), "mounts[0].uidMappings[0].size: is missing"},
		{DOC(",\"hooks\":{\"prestart\":[{}]}"), "hooks.prestart[0].path: is missing"},
		{DOC(",\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}"), "hooks.poststop[0].path: 'x' is not an absolute path"},
		{DOC(",\"hooks\":{\"createRuntime\":[{\"path\":\"/x\",\"timeout\":0}]}"), "hooks.createRuntime[0].timeout: 0 is not between 1"},
		{DOC(",\"hooks\":{\"createContainer\":[{\"path\":\"/x\",\"timeout\":-1}]}"), "hooks.createContainer[0].timeout: -1 is negative"},
		{DOC(",\"hooks\":{\"startContainer\":[{\"path\":\"/x\",\"args\":\"y\"}]}"), "hooks.startContainer[0].args: expected an array"},
		{DOC(",\"hooks\":{\"poststart\":{}}"), "hooks.poststart: expected an array"},
		{DOC(",\"annotations\":{\"a\":1}"), "annotations.a: expected a string"},
		{LINUX("\"namespaces\":{}"), "linux.namespaces: expected an array"},
		{LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]"), "linux.namespaces[1].type: 'pid' is there twice"},
		{LINUX("\"namespaces\":[{\"type\":\"moon\"}]"), "linux.namespaces[0].type: unknown namespace 'moon'"},
		{LINUX("\"namespaces\":[{\"type\":\"net\",\"path\":\"\"}]"), "unknown namespace 'net'"},
		{LINUX("\"namespaces\":[{\"type\":\"ipc\",\"path\":\"x\"}]"), "linux.namespaces[0].path: 'x' is not an absolute path"},
		{LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":0}]"), "linux.uidMappings[0].size: 0 maps nothing"},
		{LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967295,\"size\":2}]"), "past the last id"},
		{LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":9},{\"containerID\":8,\"hostID\":50,\"size\":9}]"), "linux.uidMappings[1]: overlaps entry 0"},
		{LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":9},{\"containerID\":9,\"hostID\":13,\"size\":9}]"), "overlaps entry 0"},
		{LINUX("\"gidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":9}]"), "linux.gidMappings: needs a user namespace"},
		{LINUX("\"timeOffsets\":{\"monotonic\":{\"secs\":1}}"), "linux.timeOffsets: needs a new time namespace"},
		{LINUX("\"timeOffsets\":{\"realtime\":{\"secs\":1}}"), "linux.timeOffsets.realtime"},
		{LINUX("\"timeOffsets\":{\"boottime\":{\"nanosecs\":1000000000}}"), "linux.timeOffsets.boottime.nanosecs: 1000000000"},
		{LINUX("\"devices\":[{\"path\":\"/dev/x\",\"major\":1,\"minor\":1}]"), "linux.devices[0].type: is missing"},
		{LINUX("\"devices\":[{\"path\":\"dev/x\",\"type\":\"c\",\"major\":1,\"minor\":1}]"), "linux.devices[0].path: 'dev/x'"},
		{LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"q\"}]"), "linux.devices[0].type: 'q' is not one of 'cbup'"},
		{LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1}]"), "linux.devices[0].minor: is missing"},
		{LINUX("\"netDevices\":{\"eth0\":{}}"), "linux.netDevices: needs a network namespace"},
		{LINUX("\"namespaces\":[{\"type\":\"network\"}],\"netDevices\":{\"a/b\":{}}"), "linux.netDevices: 'a/b' is not"},
		{LINUX("\"namespaces\":[{\"type\":\"network\"}],\"netDevices\":{\"eth0\":{\"name\":\"e%s\"}}"), "linux.netDevices.eth0.name: 'e%s'"},
		{LINUX("\"namespaces\":[{\"type\":\"network\"}],\"netDevices\":{\"eth0\":5}"), "linux.netDevices.eth0: expected an object"},
		{LINUX("\"sysctl\":{\"a\":1}"), "linux.sysctl.a: expected a string"},
		{LINUX("\"seccomp\":[]"), "linux.seccomp: expected an object"},
		{LINUX("\"rootfsPropagation\":\"some\""), "linux.rootfsPropagation: 'some' is not known"},
		{LINUX("\"maskedPaths\":[\"proc/kcore\"]"), "linux.maskedPaths[0]: 'proc/kcore'"},
		{LINUX("\"readonlyPaths\":[\"/proc/sys\",\"x\"]"), "linux.readonlyPaths[1]: 'x'"},
		{LINUX("\"mountLabel\":1"), "linux.mountLabel: expected a string"},
		{LINUX("\"personality\":{}"), "linux.personality.domain: is missing"},
		{LINUX("\"personality\":{\"domain\":\"BSD\"}"), "linux.personality.domain: 'BSD'"},
		{LINUX("\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"ADDR_NO_RANDOMIZE\"]}"), "linux.personality.flags"},
		{LINUX("\"intelRdt\":{\"closID\":\"../x\"}"), "linux.intelRdt.closID"},
		{LINUX("\"intelRdt\":{\"memBwSchema\":\"L3:1\"}"), "linux.intelRdt.memBwSchema"},
		{LINUX("\"intelRdt\":{\"schemata\":[\"L3:1\\nMB:2\"]}"), "linux.intelRdt.schemata"},
		{LINUX("\"intelRdt\":{\"enableCMT\":1}"), "linux.intelRdt.enableCMT: expected a boolean"},
		{LINUX("\"memoryPolicy\":{\"nodes\":\"0\"}"), "linux.memoryPolicy.mode: is missing"},
		{LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_X\"}"), "linux.memoryPolicy.mode"},
		{LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}"), "linux.memoryPolicy.nodes: MPOL_BIND needs"},
		{LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_LOCAL\",\"nodes\":\"1\"}"), "linux.memoryPolicy.nodes: MPOL_LOCAL takes none"},
		{LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"all\"}"), "linux.memoryPolicy.nodes"},
		{LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_X\"]}"), "linux.memoryPolicy.flags"},
		{RES("\"memory\":{\"limit\":\"1g\"}"), "linux.resources.memory.limit: expected"},
		{RES("\"memory\":{\"limit\":-2}"), "linux.resources.memory.limit: -2 is not between -1"},
		{RES("\"memory\":{\"limit\":9223372036854775808}"), "linux.resources.memory.limit: 9223372036854775808 is more than"},
		{RES("\"memory\":{\"swappiness\":101}"), "linux.resources.memory.swappiness: 101 is not between 0 and 100"},
		{RES("\"memory\":{\"useHierarchy\":1}"), "linux.resources.memory.useHierarchy"},
		{RES("\"cpu\":{\"idle\":2}"), "linux.resources.cpu.idle: 2 is not between 0 and 1"},
		{RES("\"cpu\":{\"quota\":5,\"burst\":6}"), "linux.resources.cpu.burst: 6 is more than quota, 5"},
		{RES("\"pids\":{\"limit\":1.5}"), "linux.resources.pids.limit: expected a whole number"},
		{RES("\"devices\":[{\"allow\":true,\"access\":\"rwx\"}]"), "linux.resources.devices[0].access: 'rwx'"},
		{RES("\"devices\":[{\"allow\":true,\"type\":\"q\"}]"), "'q'"},
		{RES("\"devices\":[{\"access\":\"r\"}]"), "linux.resources.devices[0].allow: is missing"},
		{RES("\"devices\":[{\"allow\":true,\"major\":-2}]"), "linux.resources.devices[0].major: -2"},
		{RES("\"blockIO\":{\"weight\":5}"), "config.json: linux.resources.blockIO.weight: 5 is not between 10 and 1000"},
		{RES("\"blockIO\":{\"leafWeight\":1001}"), "linux.resources.blockIO.leafWeight: 1001"},
		{RES("\"blockIO\":{\"weightDevice\":[{\"major\":1,\"minor\":2}]}"), "linux.resources.blockIO.weightDevice[0].weight: is missing"},
		{RES("\"blockIO\":{\"weightDevice\":[{\"major\":1,\"minor\":2,\"weight\":1}]}"), "linux.resources.blockIO.weightDevice[0].weight: 1 is not between"},
		{RES("\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":1,\"rate\":2}]}"), "linux.resources.blockIO.throttleReadBpsDevice[0].minor: is missing"},
		{RES("\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":1,\"minor\":1,\"rate\":-1}]}"), "linux.resources.blockIO.throttleWriteIOPSDevice[0].rate: -1 is negative"},
		{RES("\"hugepageLimits\":[{\"pageSize\":\"2M\",\"limit\":1}]"), "linux.resources.hugepageLimits[0].pageSize: '2M'"},
		{RES("\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":1}]"), "linux.resources.hugepageLimits[0].pageSize"},
		{RES("\"network\":{\"classID\":4294967296}"), "linux.resources.network.classID"},
		{RES("\"network\":{\"priorities\":[{\"name\":\"eth0\"}]}"), "linux.resources.network.priorities[0].priority: is missing"},
		{RES("\"rdma\":{\"mlx5_1\":{}}"), "linux.resources.rdma.mlx5_1.hcaHandles: is missing"},
		{RES("\"rdma\":{\"mlx5_1\":{\"hcaHandles\":-1}}"), "linux.resources.rdma.mlx5_1.hcaHandles: -1 is negative"},
		{RES("\"unified\":{\"../memory.max\":\"1\"}"), "linux.resources.unified: '../memory.max'"},
		{RES("\"unified\":{\"memory.max\":1}"), "linux.resources.unified.memory.max: expected a string"},
		{DOC(",\"coffer\":{\"landlock\":1}"), "coffer.landlock: expected a boolean"},
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
				  "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}],\"unheardOf\":{\"x\":[1]},"
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

/* config.md: a capability that cannot be mapped is a warning. */
static void test_unknown_capability_is_a_warning(void **state)
{
	static const char doc[] = PROC(",\"capabilities\":{\"bounding\":[\"CAP_FLY\",\"CAP_KILL\"],\"effective\":[\"CAP_FLY\"]}");
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err = {0};
	assert_int_equal(runtime_spec_parse(doc, sizeof(doc) - 1, &s, &err), 0);
	assert_true(s->process.caps.bounding == 1u << 5 && s->process.caps.effective == 0);
	assert_int_equal(strv_len(s->process.warnings), 2);
	assert_string_equal(s->process.warnings[0], "process.capabilities.bounding[0]: 'CAP_FLY' is not a capability that is known here, ignoring");
}

static void test_versions(void **state)
{
	static const char *const good[] = {"1.0.0", "1.0.0-rc5", "1.0.0-rc6-dev", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0", "1.4.0"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
		_cleanup_free_ char *doc = str_printf("{\"ociVersion\":\"%s\",\"root\":{\"path\":\"r\"}}", good[i]);
		struct err err = {0};
		assert_int_equal(runtime_spec_parse(doc, strlen(doc), &s, &err), 0);
	}
}

/* Docker 20.10 writes "not asked" as a number: a weight of 0 and -1 without its sign. */
static void test_docker_numbers(void **state)
{
	static const char doc[] = RES("\"blockIO\":{\"weight\":0,\"leafWeight\":0},\"memory\":{\"swappiness\":18446744073709551615}");
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err = {0};
	assert_int_equal(runtime_spec_parse(doc, sizeof(doc) - 1, &s, &err), 0);
	assert_false(s->resources.has_blkio_weight || s->resources.has_blkio_leaf_weight || s->resources.has_swappiness);
}

/* Numbers above 2^63 reach the profile's reader as they were written. */
static void test_seccomp_text_keeps_big_numbers(void **state)
{
	static const char doc[] = LINUX("\"seccomp\":{\"value\":18446744073709551614,\"s\":\"18446744073709551614\",\"n\":[9223372036854775808 ,1]}");
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err = {0};
	assert_int_equal(runtime_spec_parse(doc, sizeof(doc) - 1, &s, &err), 0);
	assert_string_equal(s->seccomp_json, "{\"value\":18446744073709551614,\"s\":\"18446744073709551614\",\"n\":[9223372036854775808,1]}");
}

static void test_older_rdt_names(void **state)
{
	static const char doc[] = LINUX("\"intelRdt\":{\"enableMBM\":true}");
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err = {0};
	assert_int_equal(runtime_spec_parse(doc, sizeof(doc) - 1, &s, &err), 0);
	assert_true(s->rdt.present && s->rdt.enable_monitoring);
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
	assert_non_null(strstr(err.msg, "process: is missing"));
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
		cmocka_unit_test(test_id_map),		 cmocka_unit_test(test_unknown_capability_is_a_warning),
		cmocka_unit_test(test_versions),	 cmocka_unit_test(test_docker_numbers),
		cmocka_unit_test(test_older_rdt_names),	 cmocka_unit_test(test_seccomp_text_keeps_big_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
