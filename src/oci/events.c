/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what a container uses, once or again and again, and its OOMs as they come; one JSON object a line in runc's shape (its types/events.go), in which
 * a member that is zero is left out.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "codec/json.h"
#include "oci/container.h"
#include "sandbox/cgroup_ops.h"

#define LINE_BYTES_MAX (4u << 20)

struct events_options {
	bool stats;
	int64_t interval_ns;
};

static int set_interval(void *field, const char *value, struct err *err)
{
	int64_t ns;
	if (time_parse_duration(value, &ns) < 0 || ns <= 0)
		return err_set(err, ERR_INVALID, "not a duration above 0 such as 5s or 500ms");
	*(int64_t *) field = ns;
	return 0;
}

static const struct flag rows[] = {
	{"interval", 0, FLAG_SET, offsetof(struct events_options, interval_ns), "DURATION", "time between two reports (default 5s)", set_interval},
	{"stats", 0, FLAG_BOOL, offsetof(struct events_options, stats), NULL, "print one report and leave"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

static void write_nonzero(struct json_writer *w, const char *key, uint64_t v)
{
	if (v)
		jw_uint(w, key, v);
}

static void write_usage(struct json_writer *w, const char *key, const struct cgroup_usage *u)
{
	jw_obj(w, key);
	jw_uint(w, "limit", u->limit);
	write_nonzero(w, "usage", u->usage);
	write_nonzero(w, "max", u->max);
	jw_uint(w, "failcnt", u->failcnt);
	jw_end(w);
}

static void write_psi_line(struct json_writer *w, const char *key, const struct cgroup_psi_line *l)
{
	static const char *const names[] = {"avg10", "avg60", "avg300"};
	const uint32_t v[] = {l->avg10, l->avg60, l->avg300};
	jw_obj(w, key);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		char text[24];
		(void) snprintf(text, sizeof(text), "%u.%02u", v[i] / 100, v[i] % 100);
		jw_raw(w, names[i], text);
	}
	jw_uint(w, "total", l->total_usec);
	jw_end(w);
}

static void write_psi(struct json_writer *w, const struct cgroup_psi *p)
{
	if (!p->has)
		return;
	jw_obj(w, "psi");
	write_psi_line(w, "some", &p->some);
	write_psi_line(w, "full", &p->full);
	jw_end(w);
}

static void write_cpu(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_obj(w, "cpu");
	jw_obj(w, "usage");
	write_nonzero(w, "total", s->cpu.total_ns);
	if (s->cpu.n_percpu) {
		jw_arr(w, "percpu");
		for (size_t i = 0; i < s->cpu.n_percpu; i++)
			jw_uint(w, NULL, s->cpu.percpu_ns[i]);
		jw_end(w);
	}
	jw_uint(w, "kernel", s->cpu.kernel_ns);
	jw_uint(w, "user", s->cpu.user_ns);
	jw_end(w);
	jw_obj(w, "throttling");
	write_nonzero(w, "periods", s->cpu.periods);
	write_nonzero(w, "throttledPeriods", s->cpu.throttled_periods);
	write_nonzero(w, "throttledTime", s->cpu.throttled_ns);
	jw_end(w);
	write_psi(w, &s->cpu.psi);
	jw_end(w);
}

/* "0-2,5" as [0,1,2,5] */
static void write_list(struct json_writer *w, const char *key, const char *list)
{
	if (str_empty(list))
		return;
	jw_arr(w, key);
	unsigned first, last;
	for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		int n = sscanf(p, "%u-%u", &first, &last);
		last = n == 2 ? last : first;
		for (unsigned v = first; n >= 1 && v <= last && v - first < 8192; v++)
			jw_uint(w, NULL, v);
	}
	jw_end(w);
}

static void write_cpuset(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_obj(w, "cpuset");
	write_list(w, "cpus", s->cpuset_cpus);
	jw_uint(w, "cpu_exclusive", 0);
	write_list(w, "mems", s->cpuset_mems);
	jw_uint(w, "mem_hardwall", 0);
	jw_uint(w, "mem_exclusive", 0);
	jw_uint(w, "memory_migrate", 0);
	jw_uint(w, "memory_spread_page", 0);
	jw_uint(w, "memory_spread_slab", 0);
	jw_uint(w, "memory_pressure", 0);
	jw_uint(w, "sched_load_balance", 0);
	jw_int(w, "sched_relax_domain_level", 0);
	jw_end(w);
}

static void write_memory(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_obj(w, "memory");
	write_nonzero(w, "cache", s->memory.cache_bytes);
	write_usage(w, "usage", &s->memory.usage);
	write_usage(w, "swap", &s->memory.swap);
	write_usage(w, "kernel", &s->memory.kernel);
	write_usage(w, "kernelTCP", &s->memory.kernel_tcp);
	if (s->memory.raw.n) {
		jw_obj(w, "raw");
		for (size_t i = 0; i < s->memory.raw.n; i++)
			jw_uint(w, s->memory.raw.v[i].name, s->memory.raw.v[i].value);
		jw_end(w);
	}
	write_psi(w, &s->memory.psi);
	jw_end(w);
}

static void write_io(struct json_writer *w, const struct cgroup_stats *s)
{
	static const char *const names[CG_IO_KIND_MAX_] = {
		[CG_IO_BYTES] = "ioServiceBytesRecursive", [CG_IO_SERVICED] = "ioServicedRecursive", [CG_IO_QUEUED] = "ioQueueRecursive",
		[CG_IO_SERVICE_TIME] = "ioServiceTimeRecursive", [CG_IO_WAIT_TIME] = "ioWaitTimeRecursive", [CG_IO_MERGED] = "ioMergedRecursive",
		[CG_IO_TIME] = "ioTimeRecursive", [CG_IO_SECTORS] = "sectorsRecursive",
	};
	jw_obj(w, "blkio");
	for (size_t k = 0; k < CG_IO_KIND_MAX_; k++) {
		if (!s->io[k].n)
			continue;
		jw_arr(w, names[k]);
		for (size_t i = 0; i < s->io[k].n; i++) {
			const struct cgroup_io_row *row = &s->io[k].v[i];
			jw_obj(w, NULL);
			write_nonzero(w, "major", row->major);
			write_nonzero(w, "minor", row->minor);
			if (*row->op)
				jw_str(w, "op", row->op);
			write_nonzero(w, "value", row->value);
			jw_end(w);
		}
		jw_end(w);
	}
	write_psi(w, &s->io_psi);
	jw_end(w);
}

static void write_hugetlb(struct json_writer *w, const struct cgroup_stats *s)
{
	jw_obj(w, "hugetlb");
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		const struct cgroup_usage *u = &s->hugetlb[i].usage;
		jw_obj(w, s->hugetlb[i].page_size);
		write_nonzero(w, "usage", u->usage);
		write_nonzero(w, "max", u->max);
		jw_uint(w, "failcnt", u->failcnt);
		jw_end(w);
	}
	jw_end(w);
}

static int print_stats(const struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(LINE_BYTES_MAX);
	struct cgroup_stats s = {};
	struct json_writer w;
	int r = sandbox_stats(c->rec->cgroup_path, container_flags(c), &s, err);
	if (r == 0) {
		jw_init(&w, &b);
		jw_obj(&w, NULL);
		jw_str(&w, "type", "stats");
		jw_str(&w, "id", c->id);
		jw_obj(&w, "data");
		write_cpu(&w, &s);
		write_cpuset(&w, &s);
		write_memory(&w, &s);
		jw_obj(&w, "pids");
		write_nonzero(&w, "current", s.pids.usage);
		write_nonzero(&w, "limit", s.pids.limit == CGROUP_NO_LIMIT ? 0 : s.pids.limit);
		jw_end(&w);
		write_io(&w, &s);
		write_hugetlb(&w, &s);
		jw_obj(&w, "intel_rdt");
		jw_end(&w);
		jw_null(&w, "network_interfaces");
		jw_end(&w);
		jw_end(&w);
		strbuf_addc(&b, '\n');
		r = oci_print(&b, err);
	}
	cgroup_stats_done(&s);
	return r;
}

static int print_oom(const struct container *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(LINE_BYTES_MAX);
	strbuf_addf(&b, "{\"type\":\"oom\",\"id\":\"%s\"}\n", c->id); /* an id needs no escapes */
	return oci_print(&b, err);
}

/* Until the container ends, or its cgroup is gone. */
static int follow(const struct container *c, int64_t interval_ns, struct err *err)
{
	_cleanup_close_ int pidfd = container_pidfd(c);
	_cleanup_close_ int oom = sandbox_oom_watch(c->rec->cgroup_path, container_flags(c), err);
	if (pidfd < 0)
		return pidfd == -ESRCH ? 0 : err_sys(err, pidfd, "opening process %d", (int) c->rec->pid);
	if (oom < 0)
		return oom;
	usec_t step = (usec_t) interval_ns / 1000, next = now_usec() + step;
	uint64_t seen = 0;
	int looks = 0; /* v1 tells of an OOM before it has chosen and counted the victim: look again for a moment */
	for (;;) {
		struct pollfd p[] = {{.fd = oom, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
		usec_t now = now_usec();
		usec_t wait_ms = now < next ? MIN((next - now) / USEC_PER_MSEC + 1, (usec_t) (looks > 0 ? 10 : 3600000)) : 0;
		int n = poll(p, 2, (int) wait_ms);
		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
		bool told = n > 0 && p[0].revents;
		looks = told ? 50 : MAX(looks - 1, 0);
		int r = told || looks > 0 || now >= next ? sandbox_oom_next(c->rec->cgroup_path, container_flags(c), oom, &seen) : 0;
		if (r < 0)
			return r == -ENOENT ? 0 : err_sys(err, r, "watching for OOMs");
		if (r > 0 && (r = print_oom(c, err)) < 0)
			return r;
		if (n > 0 && p[1].revents)
			return 0;
		if (now_usec() < next)
			continue;
		next += step;
		r = print_stats(c, err);
		if (r < 0)
			return err->kind == ERR_NOT_FOUND ? 0 : r;
	}
}

static int run_events(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct events_options *opt = options;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_open(o, args[0], &c, err);
	if (r < 0)
		return r;
	if (container_status(&c) == STATUS_STOPPED)
		return err_set(err, ERR_CONFLICT, "container not running: '%s' has stopped", c.id);
	return opt->stats ? print_stats(&c, err) : follow(&c, opt->interval_ns ?: 5 * NSEC_PER_SEC, err);
}

const struct oci_command oci_events = {
	.name = "events", .usage = "[OPTIONS] CONTAINER", .summary = "Print what a container uses, and its OOMs, as lines of JSON",
	.examples = "  coffer-oci events --stats web\n  coffer-oci events --interval 1s web", .flags = &flags,
	.options_size = sizeof(struct events_options), .min_args = 1, .max_args = 1, .run = run_events,
};
