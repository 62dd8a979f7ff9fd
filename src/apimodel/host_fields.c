/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HostConfig, the half that depends on the host, as a table in docker's order. Rows of kind FIELD_FIXED are fields of the
 * Engine API that are not there yet: inspect shows docker's default, and a request that sets one hears about it.
 */
#include "apimodel/internal.h"
#include "base/num.h"

#define AT(member) .offset = offsetof(struct container_request, member)
#define FLAG_AT(member) .set_offset = offsetof(struct container_request, member)

#define CPUS_MAX 8192      /* the kernel's largest NR_CPUS */
#define MEMORY_MIN 6291456 /* docker's own floor: below it nothing starts */
#define ULIMITS_MAX 32
#define DEVICES_MAX 256
#define PORT_BINDINGS_MAX 65536

static const struct field log_fields[] = {
	{.name = "Type", .kind = FIELD_STR, .max_bytes = 64, AT(log_type)},
	{.name = "Config", .kind = FIELD_KV, .max_items = 64, AT(log_opts)},
	{NULL},
};

static int restart_check(struct reader *rd, const struct field *f, void *obj)
{
	static const char *const names[] = {"no", "always", "on-failure", "unless-stopped", NULL};
	const struct container_request *r = obj;
	if (r->restart_name && !word_is_one_of(names, r->restart_name))
		return reader_fail(rd, "RestartPolicy.Name", "invalid restart policy: unknown policy '%.60s'; use one of no, always, "
				   "on-failure, unless-stopped", r->restart_name);
	if (r->restart_max > 0 && r->restart_name && !str_eq(r->restart_name, "on-failure"))
		return reader_fail(rd, "RestartPolicy.MaximumRetryCount", "invalid restart policy: maximum retry count can only be used "
				   "with 'on-failure'");
	return 0;
}

static const struct field restart_fields[] = {
	{.name = "Name", .kind = FIELD_STR, .max_bytes = 32, AT(restart_name)},
	{.name = "MaximumRetryCount", .kind = FIELD_I64, .max = 1000000, AT(restart_max)},
	{NULL},
};

/* [height, width]; [0, 0] and null: unset */
static int console_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0)
		return r;
	int64_t size[2] = {0, 0};
	if (json_len(v) != 2 && json_len(v) != 0)
		return reader_fail(rd, f->name, "expected [height, width]");
	JSON_FOREACH(e, i, v) {
		size[i] = json_int(e, -1);
		if (size[i] < 0 || size[i] > UINT16_MAX)
			return reader_fail(rd, f->name, "height and width are whole numbers up to %d", UINT16_MAX);
	}
	req->console_rows = (unsigned) size[0];
	req->console_cols = (unsigned) size[1];
	return 0;
}

static void console_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	jw_arr(w, f->name);
	jw_uint(w, NULL, req->console_rows);
	jw_uint(w, NULL, req->console_cols);
	jw_end(w);
}

/* Kept as text until networks have their room; the shape is checked here. */
static int port_bindings_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0 || json_len(v) == 0)
		return r;
	JSON_FOREACH_MEMBER(port, list, v) {
		r = reader_kind(rd, f->name, list, JSON_KIND_ARRAY);
		if (r >= 0 && (!str_is_plain(port) || strlen(port) > 64))
			r = reader_fail(rd, f->name, "invalid port specification: '%.60s'", port);
		if (r < 0)
			return r;
	}
	req->port_bindings_json = json_dump(v);
	if (!req->port_bindings_json)
		return err_oom(rd->err);
	if (strlen(req->port_bindings_json) > PORT_BINDINGS_MAX)
		return reader_fail(rd, f->name, "longer than %d bytes", PORT_BINDINGS_MAX);
	return 0;
}

static void port_bindings_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	jw_raw(w, f->name, req->port_bindings_json ? req->port_bindings_json : "{}");
}

static const struct field ulimit_fields[] = {
	{.name = "Name", .kind = FIELD_STR, .max_bytes = 32, .offset = offsetof(struct ulimit_request, name)},
	{.name = "Hard", .kind = FIELD_I64, .min = -1, .max = INT64_MAX, .offset = offsetof(struct ulimit_request, hard)},
	{.name = "Soft", .kind = FIELD_I64, .min = -1, .max = INT64_MAX, .offset = offsetof(struct ulimit_request, soft)},
	{NULL},
};

static int ulimit_check(struct reader *rd, const struct ulimit_request *u)
{
	static const char *const names[] = {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
				      "rtprio", "rttime", "sigpending", "stack", NULL};
	if (!u->name || !word_is_one_of(names, u->name))
		return reader_fail(rd, "Name", "invalid ulimit type: '%s'", u->name ? u->name : "");
	if (u->hard != -1 && (u->soft == -1 || u->soft > u->hard))
		return reader_fail(rd, "Soft", "ulimit '%s': the soft limit %lld must be less than or equal to the hard limit %lld", u->name,
				   (long long) u->soft, (long long) u->hard);
	return 0;
}

int items_read(struct reader *rd, const struct field *f, const struct json *v, const struct field *table, size_t size, size_t max,
	       int (*check)(struct reader *rd, void *item), void **items, size_t *n)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_ARRAY);
	if (r <= 0 || json_len(v) == 0)
		return r;
	if (json_len(v) > max)
		return reader_fail(rd, f->name, "%zu entries, at most %zu are taken", json_len(v), max);
	*items = calloc(json_len(v), size);
	if (!*items)
		return err_oom(rd->err);
	JSON_FOREACH(e, i, v) {
		void *item = (char *) *items + (*n)++ * size;
		if (json_kind(e) != JSON_KIND_OBJECT)
			return reader_fail(rd, f->name, "element %zu: expected an object, got %s", i, json_kind_name(json_kind(e)));
		size_t mark = reader_enter_item(rd, f->name, i);
		r = fields_read(rd, table, e, item);
		if (r >= 0)
			r = check(rd, item);
		reader_leave(rd, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

void items_write(struct json_writer *w, const struct field *f, const struct field *table, const void *items, size_t size, size_t n)
{
	jw_arr(w, f->name);
	for (size_t i = 0; i < n; i++) {
		jw_obj(w, NULL);
		fields_write(w, table, (const char *) items + i * size);
		jw_end(w);
	}
	jw_end(w);
}

static int ulimit_item_check(struct reader *rd, void *item)
{
	return ulimit_check(rd, item);
}

static int ulimits_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	return items_read(rd, f, v, ulimit_fields, sizeof(*req->ulimits), ULIMITS_MAX, ulimit_item_check, (void **) &req->ulimits,
			  &req->n_ulimits);
}

static void ulimits_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	items_write(w, f, ulimit_fields, req->ulimits, sizeof(*req->ulimits), req->n_ulimits);
}

static const struct field device_fields[] = {
	{.name = "PathOnHost", .kind = FIELD_STR, .offset = offsetof(struct device_request, host)},
	{.name = "PathInContainer", .kind = FIELD_STR, .offset = offsetof(struct device_request, container)},
	{.name = "CgroupPermissions", .kind = FIELD_STR, .max_bytes = 3, .offset = offsetof(struct device_request, permissions)},
	{NULL},
};

bool path_has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static int device_item_check(struct reader *rd, void *item)
{
	const struct device_request *d = item;
	if (!d->host || d->host[0] != '/' || path_has_dotdot(d->host))
		return reader_fail(rd, "PathOnHost", "'%.100s' is not an absolute path without '..'", d->host ? d->host : "");
	if (d->container && (d->container[0] != '/' || path_has_dotdot(d->container)))
		return reader_fail(rd, "PathInContainer", "'%.100s' is not an absolute path without '..'", d->container);
	if (d->permissions && d->permissions[strspn(d->permissions, "rwm")] != '\0')
		return reader_fail(rd, "CgroupPermissions", "'%s' is not made of r, w and m", d->permissions);
	return 0;
}

static int devices_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	return items_read(rd, f, v, device_fields, sizeof(*req->devices), DEVICES_MAX, device_item_check, (void **) &req->devices,
			  &req->n_devices);
}

static void devices_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *req = obj;
	items_write(w, f, device_fields, req->devices, sizeof(*req->devices), req->n_devices);
}

/* One end of "0-3": digits up to a separator. */
static const char *cpu_number(const char *s, uint32_t *ret)
{
	char num[12];
	size_t n = strspn(s, "0123456789");
	if (n == 0 || n >= sizeof(num))
		return NULL;
	memcpy(num, s, n);
	num[n] = '\0';
	return parse_u32(num, ret) == 0 && *ret < CPUS_MAX ? s + n : NULL;
}

/* A range costs nothing here, whatever its size: CVE-2018-20699 expanded "0-1000000000". */
static int cpuset_check(struct reader *rd, const struct field *f, void *obj)
{
	const char *text = *(char **) ((char *) obj + f->offset), *s = text;
	while (s) {
		uint32_t lo, hi;
		s = cpu_number(s, &lo);
		if (s && *s == '-') {
			s = cpu_number(s + 1, &hi);
			s = s && hi >= lo ? s : NULL;
		}
		if (s && *s == '\0')
			return 0;
		s = s && *s == ',' ? s + 1 : NULL;
	}
	if (!text)
		return 0;
	return reader_fail(rd, f->name, "'%.100s' is not a list such as 0-3,7 of numbers below %d", text, CPUS_MAX);
}

static int strings_not_empty(struct reader *rd, const struct field *f, void *obj)
{
	char *const *v = *(char ***) ((char *) obj + f->offset);
	STRV_FOREACH(s, v)
		if (*s == '\0')
			return reader_fail(rd, f->name, "holds an empty string");
	return 0;
}

static int memory_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	if (r->memory > 0 && r->memory < MEMORY_MIN)
		return reader_fail(rd, f->name, "%lld: minimum memory limit allowed is 6MB", (long long) r->memory);
	return 0;
}

static int blkio_weight_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	if (r->blkio_weight > 0 && r->blkio_weight < 10)
		return reader_fail(rd, f->name, "%lld: range of blkio weight is from 10 to 1000", (long long) r->blkio_weight);
	return 0;
}

static int cpu_period_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	if (r->cpu_period > 0 && r->cpu_period < 1000)
		return reader_fail(rd, f->name, "%lld: CPU cfs period can not be less than 1ms or larger than 1s", (long long) r->cpu_period);
	return 0;
}

static int cpu_quota_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	if (r->cpu_quota > 0 && r->cpu_quota < 1000)
		return reader_fail(rd, f->name, "%lld: CPU cfs quota can not be less than 1ms (i.e. 1000)", (long long) r->cpu_quota);
	return 0;
}

static int cpu_rt_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	if (r->cpu_rt_period > 0 && r->cpu_rt_runtime > r->cpu_rt_period)
		return reader_fail(rd, f->name, "%lld: cpu real-time runtime cannot be higher than cpu real-time period", (long long) r->cpu_rt_runtime);
	return 0;
}

/* "c 1:3 rwm", "b *:* r": docker's syntax (opts.ValidateDeviceCgroupRule) */
static bool device_rule_is_valid(const char *s)
{
	if (!s[0] || !strchr("acb", s[0]) || s[1] != ' ')
		return false;
	s += 2;
	for (int i = 0; i < 2; i++) {
		size_t n = *s == '*' ? 1 : strspn(s, "0123456789");
		if (n == 0 || n > 9 || s[n] != (i ? ' ' : ':'))
			return false;
		s += n + 1;
	}
	return *s && strlen(s) <= 3 && s[strspn(s, "rwm")] == '\0';
}

static int device_rules_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	STRV_FOREACH(rule, r->device_cgroup_rules)
		if (!device_rule_is_valid(rule))
			return reader_fail(rd, f->name, "'%.60s': invalid device cgroup format: use 'TYPE MAJOR:MINOR ACCESS', such as 'c 1:3 rw'", rule);
	return 0;
}

static int gpus_read(struct reader *rd, const struct field *f, const struct json *v, void *obj _unused_)
{
	if (value_is_empty(v))
		return 0;
	return reader_fail(rd, f->name, "(--gpus) device requests need a driver's hook that runs on the host as root with words of the image (CVE-2024-0132): "
			   "there is none; single devices are added with Devices (--device)");
}

static void gpus_write(struct json_writer *w, const struct field *f, const void *obj _unused_)
{
	jw_null(w, f->name);
}

/* On Linux docker knows the default alone. */
static int isolation_read(struct reader *rd, const struct field *f, const struct json *v, void *obj _unused_)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_STRING);
	const char *s = json_str(v, "");
	if (r <= 0 || !*s || str_eq(s, "default"))
		return MIN(r, 0);
	return reader_fail(rd, f->name, "invalid isolation '%.60s' on linux: default is", s);
}

/* "web", "web:ro": a name and ro or rw (and the z or Z of a label, which binds have) */
static int volumes_from_check(struct reader *rd, const struct field *f, void *obj)
{
	const struct container_request *r = obj;
	STRV_FOREACH(s, r->volumes_from) {
		const char *mode = strchr(s, ':');
		if (!*s || mode == s)
			return reader_fail(rd, f->name, "malformed volumes-from specification: '%.80s'", s);
		static const char *const modes[] = {"ro", "rw", NULL};
		if (mode && !word_is_one_of(modes, mode + 1))
			return reader_fail(rd, f->name, "'%.80s': invalid mode '%.20s' for volumes-from: ro and rw are known", s, mode + 1);
	}
	return 0;
}

static int volume_driver_read(struct reader *rd, const struct field *f, const struct json *v, void *obj _unused_)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_STRING);
	return r < 0 || value_is_empty(v) || str_eq(json_str(v, ""), "local") ? MIN(r, 0) : reader_unknown(rd, f->name);
}

static void unset_text_write(struct json_writer *w, const struct field *f, const void *obj _unused_)
{
	jw_str(w, f->name, "");
}

#define BLKIO(label, member) {.name = label, .kind = FIELD_CUSTOM, AT(member), .read = blkio_read, .write = blkio_write}
#define LIST(label, member, null_form) {.name = label, .kind = FIELD_STRV, .empty = null_form, AT(member), .check = strings_not_empty}

const struct field host_fields[] = {
	{.name = "Binds", .kind = FIELD_CUSTOM, .read = binds_read, .write = binds_write},
	{.name = "ContainerIDFile", .kind = FIELD_IGNORED, .text = "\"\""},
	{.name = "LogConfig", .kind = FIELD_OBJ, .sub = log_fields},
	{.name = "NetworkMode", .kind = FIELD_STR, .max_bytes = 256, AT(network_mode)},
	{.name = "PortBindings", .kind = FIELD_CUSTOM, .read = port_bindings_read, .write = port_bindings_write},
	{.name = "RestartPolicy", .kind = FIELD_OBJ, .sub = restart_fields, .check = restart_check},
	{.name = "AutoRemove", .kind = FIELD_BOOL, AT(auto_remove)},
	{.name = "VolumeDriver", .kind = FIELD_CUSTOM, .read = volume_driver_read, .write = unset_text_write},
	{.name = "VolumesFrom", .kind = FIELD_STRV, .empty = EMPTY_NULL, .max_items = 64, AT(volumes_from), .check = volumes_from_check},
	{.name = "Mounts", .kind = FIELD_CUSTOM, .read = mounts_read, .write = mounts_write},
	{.name = "InheritedMounts", .kind = FIELD_CUSTOM, .read = mounts_read, .write = mounts_write}, /* ours: what VolumesFrom came to */
	{.name = "Tmpfs", .kind = FIELD_CUSTOM, .read = tmpfs_read, .write = tmpfs_write},
	{.name = "ConsoleSize", .kind = FIELD_CUSTOM, .read = console_read, .write = console_write},
	{.name = "Annotations", .kind = FIELD_KV, .empty = EMPTY_OMIT, .flags = FIELD_TEXT, AT(annotations)},
	LIST("CapAdd", cap_add, EMPTY_NULL),
	LIST("CapDrop", cap_drop, EMPTY_NULL),
	{.name = "CgroupnsMode", .kind = FIELD_STR, .max_bytes = 256, AT(cgroupns_mode)},
	LIST("Dns", dns, EMPTY_ZERO),
	LIST("DnsOptions", dns_options, EMPTY_ZERO),
	LIST("DnsSearch", dns_search, EMPTY_ZERO),
	LIST("ExtraHosts", extra_hosts, EMPTY_NULL),
	LIST("GroupAdd", group_add, EMPTY_NULL),
	{.name = "IpcMode", .kind = FIELD_STR, .max_bytes = 256, AT(ipc_mode)},
	{.name = "Cgroup", .kind = FIELD_FIXED, .text = "\"\""},
	LIST("Links", links, EMPTY_NULL),
	{.name = "OomScoreAdj", .kind = FIELD_I64, .min = -1000, .max = 1000, AT(oom_score_adj)},
	{.name = "PidMode", .kind = FIELD_STR, .max_bytes = 256, AT(pid_mode)},
	{.name = "Privileged", .kind = FIELD_BOOL, AT(privileged)},
	{.name = "PublishAllPorts", .kind = FIELD_BOOL, AT(publish_all_ports)},
	{.name = "ReadonlyRootfs", .kind = FIELD_BOOL, AT(readonly_rootfs)},
	{.name = "SecurityOpt", .kind = FIELD_STRV, .empty = EMPTY_NULL, .flags = FIELD_TEXT, .max_items = 64, .max_bytes = 1 << 20, AT(security_opt),
	 .check = strings_not_empty},
	{.name = "StorageOpt", .kind = FIELD_KV, .empty = EMPTY_OMIT, AT(storage_opt)},
	{.name = "UTSMode", .kind = FIELD_STR, .max_bytes = 256, AT(uts_mode)},
	{.name = "UsernsMode", .kind = FIELD_STR, .max_bytes = 256, AT(userns_mode)},
	{.name = "UidMaps", .kind = FIELD_STRV, .empty = EMPTY_OMIT, .max_items = 340, .max_bytes = 64, AT(uid_maps), .check = strings_not_empty},
	{.name = "GidMaps", .kind = FIELD_STRV, .empty = EMPTY_OMIT, .max_items = 340, .max_bytes = 64, AT(gid_maps), .check = strings_not_empty},
	{.name = "ShmSize", .kind = FIELD_I64, AT(shm_size)},
	{.name = "Sysctls", .kind = FIELD_KV, .empty = EMPTY_OMIT, .max_items = 256, AT(sysctls)},
	{.name = "Runtime", .kind = FIELD_STR, .max_bytes = 256, AT(runtime)},
	{.name = "Isolation", .kind = FIELD_CUSTOM, .read = isolation_read, .write = unset_text_write},
	{.name = "CpuShares", .kind = FIELD_I64, AT(cpu_shares)},
	{.name = "Memory", .kind = FIELD_I64, AT(memory), .check = memory_check},
	{.name = "NanoCpus", .kind = FIELD_I64, AT(nano_cpus)},
	{.name = "CgroupParent", .kind = FIELD_STR, AT(cgroup_parent)},
	{.name = "BlkioWeight", .kind = FIELD_I64, .max = 1000, AT(blkio_weight), .check = blkio_weight_check},
	BLKIO("BlkioWeightDevice", blkio_weight_devices),
	BLKIO("BlkioDeviceReadBps", blkio_read_bps),
	BLKIO("BlkioDeviceWriteBps", blkio_write_bps),
	BLKIO("BlkioDeviceReadIOps", blkio_read_iops),
	BLKIO("BlkioDeviceWriteIOps", blkio_write_iops),
	{.name = "CpuPeriod", .kind = FIELD_I64, .min = 0, .max = 1000000, AT(cpu_period), .check = cpu_period_check},
	{.name = "CpuQuota", .kind = FIELD_I64, .min = -1, .max = INT64_MAX, AT(cpu_quota), .check = cpu_quota_check},
	{.name = "CpuRealtimePeriod", .kind = FIELD_I64, .max = 1000000, AT(cpu_rt_period)},
	{.name = "CpuRealtimeRuntime", .kind = FIELD_I64, .max = 1000000, AT(cpu_rt_runtime), .check = cpu_rt_check},
	{.name = "CpusetCpus", .kind = FIELD_STR, .max_bytes = 1024, AT(cpuset_cpus), .check = cpuset_check},
	{.name = "CpusetMems", .kind = FIELD_STR, .max_bytes = 1024, AT(cpuset_mems), .check = cpuset_check},
	{.name = "Devices", .kind = FIELD_CUSTOM, .read = devices_read, .write = devices_write},
	{.name = "DeviceCgroupRules", .kind = FIELD_STRV, .empty = EMPTY_NULL, .max_bytes = 64, AT(device_cgroup_rules), .check = device_rules_check},
	{.name = "DeviceRequests", .kind = FIELD_CUSTOM, .read = gpus_read, .write = gpus_write},
	{.name = "MemoryReservation", .kind = FIELD_I64, AT(memory_reservation)},
	{.name = "MemorySwap", .kind = FIELD_I64, .min = -1, .max = INT64_MAX, AT(memory_swap)},
	{.name = "MemorySwappiness", .kind = FIELD_I64, .empty = EMPTY_NULL, .min = -1, .max = 100, .unset = -1, AT(memory_swappiness)},
	{.name = "OomKillDisable", .kind = FIELD_BOOL, AT(oom_kill_disable)},
	{.name = "PidsLimit", .kind = FIELD_I64, .empty = EMPTY_NULL, .min = -1, .max = INT64_MAX, AT(pids_limit)},
	{.name = "Ulimits", .kind = FIELD_CUSTOM, .read = ulimits_read, .write = ulimits_write},
	{.name = "Init", .kind = FIELD_TRI, .empty = EMPTY_OMIT, AT(init)},
	{.name = "CpuCount", .kind = FIELD_FIXED, .text = "0"},
	{.name = "CpuPercent", .kind = FIELD_FIXED, .text = "0"},
	{.name = "IOMaximumIOps", .kind = FIELD_FIXED, .text = "0"},
	{.name = "IOMaximumBandwidth", .kind = FIELD_FIXED, .text = "0"},
	{.name = "KernelMemory", .kind = FIELD_FIXED},
	{.name = "KernelMemoryTCP", .kind = FIELD_FIXED},
	{.name = "MaskedPaths", .kind = FIELD_STRV, .empty = EMPTY_NULL, AT(masked_paths), FLAG_AT(masked_paths_set), .check = strings_not_empty},
	{.name = "ReadonlyPaths", .kind = FIELD_STRV, .empty = EMPTY_NULL, AT(readonly_paths), FLAG_AT(readonly_paths_set), .check = strings_not_empty},
	{NULL},
};
