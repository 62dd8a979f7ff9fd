/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources: what the container's cgroup is limited to. Source: runtime-spec config-linux.md "Control groups". */
#include <errno.h>

#include "spec/runtime_fields.h"

enum { DEVICES_MAX = 1024, HUGEPAGES_MAX = 64 };
#define RES(key, kind, member, ...) FIELD(struct resources_spec, key, kind, member __VA_OPT__(, ) __VA_ARGS__)
#define RES_HAS(key, kind, member, flag_, ...) RES(key, kind, member, HAS(struct resources_spec, flag_) __VA_OPT__(, ) __VA_ARGS__)
#define RES_LIST(member, count, table, max) LIST_OF(struct resources_spec, member, count, table, max)
#define PART(key_, table) {.key = (key_), .kind = FIELD_OBJ, .sub = &(table)} /* its members lie in struct resources_spec itself */
#define LIMIT .lo = -1, .hi = INT64_MAX /* -1: none */

/* Device rules */

static int read_access(const struct json *v, void *base, struct err *err)
{
	struct device_rule *d = base;
	const char *s = json_str(v, NULL);
	if (!s)
		return err_set(err, ERR_INVALID, "access: expected a string, got %s", json_kind_name(json_kind(v)));
	if (strlen(s) > 3 || strspn(s, "rwm") != strlen(s))
		return err_set(err, ERR_INVALID, "access: '%s' is not made of r, w and m", s);
	return str_copy(d->access, sizeof(d->access), s);
}

static void write_access(struct json_writer *w, const char *key, const void *base)
{
	jw_str(w, key, ((const struct device_rule *) base)->access);
}

/* -1 is "any" and stays unwritten, as an absent number is read. */
static int read_device_number(const struct json *v, const char *key, int64_t *ret, struct err *err)
{
	int64_t n = json_int(v, -2);
	if (json_kind(v) != JSON_KIND_INT)
		return err_set(err, ERR_INVALID, "%s: expected a whole number, got %s", key, json_kind_name(json_kind(v)));
	if (n < -1 || n > UINT32_MAX)
		return err_set(err, ERR_INVALID, "%s: %lld is not a device number", key, (long long) n);
	*ret = n;
	return 0;
}

static int read_rule_major(const struct json *v, void *base, struct err *err)
{
	return read_device_number(v, "major", &((struct device_rule *) base)->major, err);
}

static int read_rule_minor(const struct json *v, void *base, struct err *err)
{
	return read_device_number(v, "minor", &((struct device_rule *) base)->minor, err);
}

static void write_rule_major(struct json_writer *w, const char *key, const void *base)
{
	if (((const struct device_rule *) base)->major >= 0)
		jw_int(w, key, ((const struct device_rule *) base)->major);
}

static void write_rule_minor(struct json_writer *w, const char *key, const void *base)
{
	if (((const struct device_rule *) base)->minor >= 0)
		jw_int(w, key, ((const struct device_rule *) base)->minor);
}

static const char *const rule_types[] = {"acb"};
static const struct device_rule blank_rule = {.type = 'a', .major = -1, .minor = -1};
static const struct field rule_rows[] = {
	FIELD(struct device_rule, "allow", FIELD_BOOL, allow, .need = true, .always = true),
	FIELD(struct device_rule, "type", FIELD_CHAR, type, .words = rule_types),
	FIELD(struct device_rule, "major", FIELD_OTHER, major, .read = read_rule_major, .write = write_rule_major),
	FIELD(struct device_rule, "minor", FIELD_OTHER, minor, .read = read_rule_minor, .write = write_rule_minor),
	FIELD(struct device_rule, "access", FIELD_OTHER, access, .read = read_access, .write = write_access),
};
static const struct field_table rule_fields = TABLE(rule_rows, .blank = &blank_rule);

/* Memory, cpu, pids */

/* Docker writes the -1 of its own request, "not asked", as an unsigned number. */
static int check_memory(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	struct resources_spec *r = base;
	if (r->has_swappiness && r->swappiness == UINT64_MAX)
		r->has_swappiness = false;
	if (r->has_swappiness && r->swappiness > 100)
		return err_set(err, ERR_INVALID, "swappiness: %llu is not between 0 and 100", (unsigned long long) r->swappiness);
	return 0;
}

static const struct field memory_rows[] = {
	RES_HAS("limit", FIELD_I64, memory, has_memory, LIMIT),
	RES_HAS("reservation", FIELD_I64, reservation, has_reservation, LIMIT),
	RES_HAS("swap", FIELD_I64, swap, has_swap, LIMIT),
	RES_HAS("kernel", FIELD_I64, kernel, has_kernel, LIMIT),
	RES_HAS("kernelTCP", FIELD_I64, kernel_tcp, has_kernel_tcp, LIMIT),
	RES_HAS("swappiness", FIELD_U64, swappiness, has_swappiness),
	RES_HAS("disableOOMKiller", FIELD_BOOL, oom_disable, has_oom_disable),
	RES_HAS("useHierarchy", FIELD_BOOL, use_hierarchy, has_use_hierarchy),
	RES_HAS("checkBeforeUpdate", FIELD_BOOL, check_before_update, has_check_before),
};
static const struct field_table memory_fields = TABLE(memory_rows, .check = check_memory);

static int check_cpu(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct resources_spec *r = base;
	if (r->has_burst && r->has_quota && r->quota > 0 && r->burst > (uint64_t) r->quota)
		return err_set(err, ERR_INVALID, "burst: %llu is more than quota, %lld", (unsigned long long) r->burst, (long long) r->quota);
	return 0;
}

static const struct field cpu_rows[] = {
	RES_HAS("shares", FIELD_U64, shares, has_shares),
	RES_HAS("quota", FIELD_I64, quota, has_quota, LIMIT),
	RES_HAS("burst", FIELD_U64, burst, has_burst),
	RES_HAS("period", FIELD_U64, period, has_period),
	RES_HAS("realtimeRuntime", FIELD_I64, rt_runtime, has_rt_runtime, LIMIT),
	RES_HAS("realtimePeriod", FIELD_U64, rt_period, has_rt_period),
	RES("cpus", FIELD_STR, cpus),
	RES("mems", FIELD_STR, mems),
	RES_HAS("idle", FIELD_I64, idle, has_idle, .lo = 0, .hi = 1),
};
static const struct field_table cpu_fields = TABLE(cpu_rows, .check = check_cpu);

static const struct field pids_rows[] = {
	RES_HAS("limit", FIELD_I64, pids, has_pids, LIMIT),
};
static const struct field_table pids_fields = TABLE(pids_rows);

/* Block I/O */

#define DEVICE_NUMBERS                                                                                                                                \
	FIELD(struct blkio_device, "major", FIELD_I64, major, .need = true, .always = true, .lo = 0, .hi = UINT32_MAX),                                 \
		FIELD(struct blkio_device, "minor", FIELD_I64, minor, .need = true, .always = true, .lo = 0, .hi = UINT32_MAX)
enum { WEIGHT_MIN = 10, WEIGHT_MAX = 1000 };

static int check_weight_range(uint64_t v, const char *what, struct err *err)
{
	if (v == 0 || (v >= WEIGHT_MIN && v <= WEIGHT_MAX))
		return 0;
	return err_set(err, ERR_INVALID, "%s: %llu is not between %d and %d", what, (unsigned long long) v, WEIGHT_MIN, WEIGHT_MAX);
}

static int check_weight(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct blkio_device *d = base;
	if (!d->weight && !d->leaf_weight)
		return err_set(err, ERR_INVALID, "weight: is missing, and so is leafWeight");
	int r = check_weight_range(d->weight, "weight", err);
	return r < 0 ? r : check_weight_range(d->leaf_weight, "leafWeight", err);
}

static const struct field weight_rows[] = {
	DEVICE_NUMBERS,
	FIELD(struct blkio_device, "weight", FIELD_U64, weight),
	FIELD(struct blkio_device, "leafWeight", FIELD_U64, leaf_weight),
};
static const struct field_table weight_fields = TABLE(weight_rows, .check = check_weight);

static const struct field throttle_rows[] = {
	DEVICE_NUMBERS,
	FIELD(struct blkio_device, "rate", FIELD_U64, rate, .need = true, .always = true),
};
static const struct field_table throttle_fields = TABLE(throttle_rows);

/* 0 is how Docker writes "not asked". */
static int check_blkio(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	struct resources_spec *s = base;
	s->has_blkio_weight = s->has_blkio_weight && s->blkio_weight;
	s->has_blkio_leaf_weight = s->has_blkio_leaf_weight && s->blkio_leaf_weight;
	int r = check_weight_range(s->blkio_weight, "weight", err);
	return r < 0 ? r : check_weight_range(s->blkio_leaf_weight, "leafWeight", err);
}

#define THROTTLE(key, which) RES(key, FIELD_LIST, throttle[which].v, RES_LIST(throttle[which].v, throttle[which].n, throttle_fields, DEVICES_MAX))
static const struct field blkio_rows[] = {
	RES_HAS("weight", FIELD_U32, blkio_weight, has_blkio_weight),
	RES_HAS("leafWeight", FIELD_U32, blkio_leaf_weight, has_blkio_leaf_weight),
	RES("weightDevice", FIELD_LIST, blkio_weight_devices.v, RES_LIST(blkio_weight_devices.v, blkio_weight_devices.n, weight_fields, DEVICES_MAX)),
	THROTTLE("throttleReadBpsDevice", BLKIO_READ_BPS),
	THROTTLE("throttleWriteBpsDevice", BLKIO_WRITE_BPS),
	THROTTLE("throttleReadIOPSDevice", BLKIO_READ_IOPS),
	THROTTLE("throttleWriteIOPSDevice", BLKIO_WRITE_IOPS),
};
static const struct field_table blkio_fields = TABLE(blkio_rows, .check = check_blkio);

/* Huge pages, network, rdma, files of cgroup v2 */

/* The name of a control file is made of it: "2MB" and nothing else. */
static int check_hugepage(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const char *s = ((const struct hugepage_limit *) base)->page_size;
	size_t digits = strspn(s, "0123456789");
	if (digits == 0 || digits > 10 || s[0] == '0' || !s[digits] || !strchr("KMG", s[digits]) || !str_eq(s + digits + 1, "B"))
		return err_set(err, ERR_INVALID, "pageSize: '%s' is not a size like 64KB, 2MB or 1GB", s);
	return 0;
}

static const struct field hugepage_rows[] = {
	FIELD(struct hugepage_limit, "pageSize", FIELD_STR, page_size, .need = true),
	FIELD(struct hugepage_limit, "limit", FIELD_U64, limit, .need = true, .always = true),
};
static const struct field_table hugepage_fields = TABLE(hugepage_rows, .check = check_hugepage);

static const struct field priority_rows[] = {
	FIELD(struct net_priority, "name", FIELD_STR, name, .need = true),
	FIELD(struct net_priority, "priority", FIELD_U32, priority, .need = true, .always = true),
};
static const struct field_table priority_fields = TABLE(priority_rows);

static const struct field network_rows[] = {
	RES_HAS("classID", FIELD_U32, class_id, has_class_id),
	RES("priorities", FIELD_LIST, net_priorities, RES_LIST(net_priorities, n_net_priorities, priority_fields, DEVICES_MAX)),
};
static const struct field_table network_fields = TABLE(network_rows);

static int check_rdma(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct rdma_limit *l = base;
	return l->has_handles || l->has_objects ? 0 : err_set(err, ERR_INVALID, "hcaHandles: is missing, and so is hcaObjects");
}

static const struct field rdma_rows[] = {
	FIELD(struct rdma_limit, "hcaHandles", FIELD_U32, handles, HAS(struct rdma_limit, has_handles)),
	FIELD(struct rdma_limit, "hcaObjects", FIELD_U32, objects, HAS(struct rdma_limit, has_objects)),
};
static const struct field_table rdma_fields = TABLE(rdma_rows, .check = check_rdma);

/* Keys of unified are names of files in the container's cgroup: they may not lead out of it. */
static int check_resources(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct resources_spec *r = base;
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *k = r->unified[i].key;
		if (!*k || *k == '.' || strchr(k, '/') || !str_is_plain(k))
			return err_set(err, ERR_INVALID, "unified: '%.100s' is not the name of a file in a cgroup", str_is_plain(k) ? k : "?");
	}
	return 0;
}

static const struct field resources_rows[] = {
	RES("devices", FIELD_LIST, devices, RES_LIST(devices, n_devices, rule_fields, FIELD_LIST_MAX)),
	PART("memory", memory_fields),
	PART("cpu", cpu_fields),
	PART("pids", pids_fields),
	PART("blockIO", blkio_fields),
	RES("hugepageLimits", FIELD_LIST, hugepages, RES_LIST(hugepages, n_hugepages, hugepage_fields, HUGEPAGES_MAX)),
	PART("network", network_fields),
	RES("rdma", FIELD_MAP, rdma, RES_LIST(rdma, n_rdma, rdma_fields, DEVICES_MAX), .key_off = offsetof(struct rdma_limit, device)),
	RES("unified", FIELD_STRMAP, unified, COUNT(struct resources_spec, n_unified)),
};
const struct field_table spec_resources_fields = TABLE(resources_rows, .check = check_resources);
