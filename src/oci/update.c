/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update: new limits for a container that is there. Either a document (--resources, the "resources" object of config.json), or single options as runc
 * and crun have them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "codec/json.h"
#include "oci/container.h"
#include "sandbox/cgroup_ops.h"

#define RESOURCES_BYTES_MAX (1u << 20)

static int set_i64(void *field, const char *value, struct err *err)
{
	int64_t v;
	if (parse_i64(value, &v) < 0)
		return err_set(err, ERR_INVALID, "not a whole number");
	*(int64_t *) field = v;
	return 0;
}

static int set_u64(void *field, const char *value, struct err *err)
{
	return parse_u64(value, field) < 0 ? err_set(err, ERR_INVALID, "not a whole number from 0 on") : 0;
}

static int set_u32(void *field, const char *value, struct err *err)
{
	return parse_u32(value, field) < 0 ? err_set(err, ERR_INVALID, "not a whole number from 0 on") : 0;
}

/* bytes with or without a suffix, -1 for no limit */
static int set_bytes(void *field, const char *value, struct err *err)
{
	uint64_t bytes;
	if (str_eq(value, "-1")) {
		*(int64_t *) field = -1;
		return 0;
	}
	if (parse_size(value, &bytes) < 0 || bytes > INT64_MAX)
		return err_set(err, ERR_INVALID, "not a size such as 64m, nor -1");
	*(int64_t *) field = (int64_t) bytes;
	return 0;
}

static int set_text(void *field, const char *value, struct err *err)
{
	free(*(char **) field);
	*(char **) field = strdup(value);
	return *(char **) field ? 0 : err_oom(err);
}

/* One line an option: option, field, its "present" flag (none: the text itself says), reader, what 0 means, help. */
#define LIMITS(X)                                                                                                                                  \
	X("blkio-weight", blkio_weight, R(has_blkio_weight), set_u32, true, "N", "weight of block I/O, 10 to 1000")                                \
	X("cpu-period", period, R(has_period), set_u64, true, "USEC", "CFS period")                                                                \
	X("cpu-quota", quota, R(has_quota), set_i64, true, "USEC", "CPU time in a period; -1: no limit")                                           \
	X("cpu-burst", burst, R(has_burst), set_u64, false, "USEC", "CPU time that may be saved up")                                               \
	X("cpu-share", shares, R(has_shares), set_u64, true, "N", "CPU weight, relative to others (2 to 262144)")                                  \
	X("cpu-rt-period", rt_period, R(has_rt_period), set_u64, true, "USEC", "real-time period")                                                 \
	X("cpu-rt-runtime", rt_runtime, R(has_rt_runtime), set_i64, true, "USEC", "real-time CPU time in a period")                                \
	X("cpu-idle", idle, R(has_idle), set_i64, false, "0|1", "SCHED_IDLE for the whole cgroup")                                                 \
	X("cpuset-cpus", cpus, NO_FLAG, set_text, false, "LIST", "CPUs to run on")                                                                 \
	X("cpuset-mems", mems, NO_FLAG, set_text, false, "LIST", "memory nodes to use")                                                            \
	X("kernel-memory", kernel, R(has_kernel), set_bytes, true, "BYTES", "kernel memory (cgroup v1 of old kernels)")                            \
	X("kernel-memory-tcp", kernel_tcp, R(has_kernel_tcp), set_bytes, true, "BYTES", "memory of TCP buffers (cgroup v1)")                       \
	X("memory", memory, R(has_memory), set_bytes, true, "BYTES", "memory; -1: no limit")                                                       \
	X("memory-reservation", reservation, R(has_reservation), set_bytes, true, "BYTES", "memory that is kept under pressure")                   \
	X("memory-swap", swap, R(has_swap), set_bytes, true, "BYTES", "memory and swap together; -1: no limit")                                    \
	X("pids-limit", pids, R(has_pids), set_i64, true, "N", "processes; -1: no limit")

#define X(name, field, ...) LIMIT_##field,
enum { LIMITS(X) LIMIT_MAX_ };
#undef X

#define NO_FLAG SIZE_MAX
#define R(field) offsetof(struct resources_spec, field)
#define X(name, field, has, set, zero_unset, arg, help) {name, R(field), has, set, zero_unset},
static const struct {
	const char *name;
	size_t off, has;
	int (*set)(void *field, const char *value, struct err *err);
	bool zero_is_unset; /* runc's callers pass 0 for "leave it" */
} limits[LIMIT_MAX_] = {LIMITS(X)};
#undef X
#undef R

struct update_options {
	const char *resources;
	const char *value[LIMIT_MAX_]; /* as given, by row of limits */
};

#define X(name_, field, has, set_, zero_unset, arg_, help_)                                                                                                \
	{.name = name_, .kind = FLAG_STR, .offset = offsetof(struct update_options, value[LIMIT_##field]), .arg = arg_, .help = help_},
static const struct flag rows[] = {
	LIMITS(X){"resources", 'r', FLAG_STR, offsetof(struct update_options, resources), "FILE",
		  "read limits from a file, - for stdin: the \"resources\" object of config.json"},
	{"l3-cache-schema", 0, FLAG_REFUSED, 0, NULL, "resctrl of a running container cannot be changed"},
	{"mem-bw-schema", 0, FLAG_REFUSED, 0, NULL, "resctrl of a running container cannot be changed"},
};
#undef X
static const struct flag_table flags = FLAG_TABLE(rows);

static int from_options(const struct update_options *opt, struct resources_spec *r, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (!opt->value[i] || (limits[i].zero_is_unset && str_eq(opt->value[i], "0")) || !*opt->value[i])
			continue;
		int e = limits[i].set((char *) r + limits[i].off, opt->value[i], err);
		if (e < 0) {
			(void) err_wrap(err, "update: --%s: '%.80s'", limits[i].name, opt->value[i]);
			return e;
		}
		if (limits[i].has != NO_FLAG)
			*(bool *) ((char *) r + limits[i].has) = true;
	}
	return 0;
}

static ssize_t read_resources(const char *file, char **ret, struct err *err)
{
	ssize_t n;
	if (str_eq(file, "-")) {
		*ret = malloc(RESOURCES_BYTES_MAX + 1);
		if (!*ret)
			return err_oom(err);
		n = read_full(STDIN_FILENO, *ret, RESOURCES_BYTES_MAX + 1);
		if (n > (ssize_t) RESOURCES_BYTES_MAX)
			n = -EFBIG;
	} else {
		n = read_file(AT_FDCWD, file, RESOURCES_BYTES_MAX, ret);
	}
	return n < 0 ? err_sys(err, (int) n, "update: --resources '%s'", file) : n;
}

/* The reader of whole documents reads it: what is right there is right here. */
static int from_document(const char *file, struct runtime_spec **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json *json = NULL;
	_cleanup_strbuf_ struct strbuf doc = STRBUF_INIT(RESOURCES_BYTES_MAX + 200);
	ssize_t n = read_resources(file, &text, err);
	if (n < 0)
		return (int) n;
	int r = json_parse(text, (size_t) n, RESOURCES_BYTES_MAX, "resources", &json, err);
	if (r == 0 && json_kind(json) != JSON_KIND_OBJECT)
		r = err_set(err, ERR_INVALID, "expected an object, got %s", json_kind_name(json_kind(json)));
	if (r < 0)
		return err_wrap(err, "update: --resources '%s'", file);
	strbuf_adds(&doc, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"/\"},\"linux\":{\"resources\":");
	strbuf_add(&doc, text, (size_t) n);
	strbuf_adds(&doc, "}}");
	r = strbuf_err(&doc) < 0 ? err_sys(err, strbuf_err(&doc), "update") : runtime_spec_parse(doc.s, doc.len, ret, err);
	if (r < 0)
		return err_wrap(err, "update: --resources '%s'", file);
	/* as runc: callers pass on the container's whole object, whose device list was completed when the container was made */
	(*ret)->resources.n_devices = 0;
	return 0;
}

static int run_update(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct update_options *opt = options;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_runtime_spec_ struct runtime_spec *spec = NULL;
	int r = container_open(o, args[0], &c, err);
	if (r < 0)
		return r;
	if (opt->resources)
		r = from_document(opt->resources, &spec, err);
	else if (!(spec = runtime_spec_new()))
		r = err_oom(err);
	else
		r = from_options(opt, &spec->resources, err);
	r = r < 0 ? r : container_lock(&c, err);
	if (r < 0)
		return r;
	if (container_status(&c) == STATUS_STOPPED)
		return err_set(err, ERR_CONFLICT, "cannot update container '%s': it has stopped", c.id);
	return sandbox_update(c.rec->cgroup_path, container_flags(&c), &spec->resources, err);
}

const struct oci_command oci_update = {
	.name = "update", .usage = "[OPTIONS] CONTAINER", .summary = "Change the limits of a container",
	.examples = "  coffer-oci update --memory 64m --pids-limit 100 web\n  echo '{\"cpu\":{\"quota\":50000,\"period\":100000}}' | coffer-oci update -r - web",
	.flags = &flags, .options_size = sizeof(struct update_options), .min_args = 1, .max_args = 1, .run = run_update,
};
