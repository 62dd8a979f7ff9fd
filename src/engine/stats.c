/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container uses, in docker's shape (moby api/types/container/stats.go): its cgroups' counters beside those of the whole machine, so that
 * a client can tell a share of one from two samples. Nothing is collected while nobody asks.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/internal.h"
#include "engine/share.h"
#include "kernel/process.h"
#include "sandbox/cgroup_ops.h"

#define INTERFACES_MAX 64
#define PROC_MAX (1u << 20)

struct interface {
	char name[32];
	uint64_t rx[4], tx[4]; /* bytes, packets, errors, dropped */
};

struct sample {
	int64_t time_ns;
	struct cgroup_stats cg; /* owned */
	uint64_t system_ns;     /* of all CPUs, idle time included */
	unsigned cpus;          /* online */
	struct interface *interfaces; /* owned */
	size_t n_interfaces;
};

struct stats_reader {
	char id[ID_LEN + 1];
	char *tenant, *name; /* owned */
	bool accounted;
	struct sample now, before;
};

static void sample_done(struct sample *s)
{
	cgroup_stats_done(&s->cg);
	free(s->interfaces);
	*s = (struct sample) {0};
}

int engine_stats_begin(struct engine *e, const struct caller *caller, const char *ref, struct stats_reader **ret, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int rc = container_find(e, caller->tenant, ref, &c, err);
	if (rc < 0)
		return rc;
	struct stats_reader *rd = calloc(1, sizeof(*rd));
	if (!rd)
		return err_oom(err);
	memcpy(rd->id, c.id, sizeof(rd->id));
	rd->name = str_printf("/%s", c.name);
	rd->tenant = strdup(c.tenant);
	if (!rd->name || !rd->tenant) {
		engine_stats_end(rd);
		return err_oom(err);
	}
	*ret = rd;
	return 0;
}

void engine_stats_end(struct stats_reader *rd)
{
	if (!rd)
		return;
	sample_done(&rd->now);
	sample_done(&rd->before);
	free(rd->tenant);
	free(rd->name);
	free(rd);
}

/* Taking one */

/* "cpu  USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ ...": docker adds these seven (proc(5)). */
static int read_machine(struct sample *s)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long v[7], sum = 0;
	ssize_t n = read_file(AT_FDCWD, "/proc/stat", PROC_MAX, &text);
	if (n < 0)
		return (int) n;
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]) != 7)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		sum += v[i];
	s->system_ns = sum * (NSEC_PER_SEC / (uint64_t) MAX(sysconf(_SC_CLK_TCK), 1));
	for (const char *p = text; (p = strstr(p, "\ncpu")); p += 4)
		s->cpus += isdigit((unsigned char) p[4]) != 0;
	return 0;
}

/* "  eth0: BYTES PACKETS ERRS DROP FIFO FRAME COMPRESSED MULTICAST BYTES PACKETS ERRS DROP ..." of its network namespace (proc(5)); lo is nobody's traffic. */
static int read_network(pid_t pid, struct sample *s)
{
	_cleanup_free_ char *text = NULL;
	char path[48];
	(void) str_format(path, sizeof(path), "/proc/%d/net/dev", (int) pid); /* fits */
	if (read_file(AT_FDCWD, path, PROC_MAX, &text) < 0)
		return 0; /* it is leaving */
	s->interfaces = calloc(INTERFACES_MAX, sizeof(*s->interfaces));
	if (!s->interfaces)
		return -ENOMEM;
	for (char *line = text; line && s->n_interfaces < INTERFACES_MAX; line = strchr(line, '\n'), line += line != NULL) {
		struct interface *i = &s->interfaces[s->n_interfaces];
		unsigned long long v[12];
		int n = sscanf(line, " %31[^: \n]: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", i->name, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11]);
		if (n != 13 || str_eq(i->name, "lo"))
			continue;
		for (size_t k = 0; k < 4; k++) {
			i->rx[k] = v[k];
			i->tx[k] = v[8 + k];
		}
		s->n_interfaces++;
	}
	return 0;
}

/* Return: 1, 0 it does not run. */
static int take(struct engine *e, struct stats_reader *rd, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	struct err why = {0};
	char cgroup[MONITOR_PATH_MAX];
	int rc = container_load(e, rd->id, &c, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "No such container: %s", rd->id);
	rc = rc < 0 ? rc : state_read(e, &c, /* locked= */ false, &info, err);
	if (rc < 0 || info.state != RUN_RUNNING)
		return MIN(rc, 0);
	cgroup_path_of(&c, cgroup);
	if (!rd->accounted)
		(void) sandbox_account(cgroup, &why); /* told by the next call */
	rd->accounted = true;
	rc = sandbox_stats(cgroup, 0, &rd->now.cg, &why);
	if (rc < 0 && why.kind == ERR_NOT_FOUND)
		return 0; /* at this moment it ended */
	if (rc < 0) {
		*err = why;
		return rc;
	}
	rd->now.time_ns = now_ns();
	rc = read_machine(&rd->now);
	if (rc >= 0 && share_of(c.req, NS_NET, NULL) != SHARE_HOST)
		rc = read_network((pid_t) info.live.pid, &rd->now);
	return rc < 0 ? err_sys(err, rc, "reading /proc") : 1;
}

/* Writing one */

static void write_when(struct json_writer *w, const char *key, int64_t ns)
{
	char buf[TIME_RFC3339_MAX];
	jw_str(w, key, time_format_rfc3339(buf, ns, /* fixed= */ false));
}

static void write_cpu(struct json_writer *w, const char *key, const struct sample *s)
{
	jw_obj(w, key);
	jw_obj(w, "cpu_usage");
	jw_uint(w, "total_usage", s->cg.cpu.total_ns);
	if (s->cg.cpu.n_percpu) {
		jw_arr(w, "percpu_usage");
		for (size_t i = 0; i < s->cg.cpu.n_percpu; i++)
			jw_uint(w, NULL, s->cg.cpu.percpu_ns[i]);
		jw_end(w);
	}
	jw_uint(w, "usage_in_kernelmode", s->cg.cpu.kernel_ns);
	jw_uint(w, "usage_in_usermode", s->cg.cpu.user_ns);
	jw_end(w);
	if (s->time_ns) {
		jw_uint(w, "system_cpu_usage", s->system_ns);
		jw_uint(w, "online_cpus", s->cpus);
	}
	jw_obj(w, "throttling_data");
	jw_uint(w, "periods", s->cg.cpu.periods);
	jw_uint(w, "throttled_periods", s->cg.cpu.throttled_periods);
	jw_uint(w, "throttled_time", s->cg.cpu.throttled_ns);
	jw_end(w);
	jw_end(w);
}

static void write_memory(struct json_writer *w, const struct sample *s)
{
	const struct cgroup_usage *u = &s->cg.memory.usage;
	uint64_t machine = (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE);
	jw_obj(w, "memory_stats");
	if (u->has) {
		jw_uint(w, "usage", u->usage);
		if (s->cg.version == 1) {
			jw_uint(w, "max_usage", u->max);
			jw_uint(w, "failcnt", u->failcnt);
		}
		jw_obj(w, "stats");
		for (size_t i = 0; i < s->cg.memory.raw.n; i++)
			jw_uint(w, s->cg.memory.raw.v[i].name, s->cg.memory.raw.v[i].value);
		jw_end(w);
		jw_uint(w, "limit", MIN(u->limit, machine)); /* no limit: all there is */
	}
	jw_end(w);
}

static void write_io(struct json_writer *w, const char *key, const struct cgroup_io_rows *rows)
{
	if (!rows || rows->n == 0) {
		jw_null(w, key);
		return;
	}
	jw_arr(w, key);
	for (size_t i = 0; i < rows->n; i++) {
		char op[sizeof(rows->v[i].op)];
		for (size_t k = 0; k < sizeof(op); k++)
			op[k] = (char) tolower((unsigned char) rows->v[i].op[k]);
		jw_obj(w, NULL);
		jw_uint(w, "major", rows->v[i].major);
		jw_uint(w, "minor", rows->v[i].minor);
		jw_str(w, "op", op);
		jw_uint(w, "value", rows->v[i].value);
		jw_end(w);
	}
	jw_end(w);
}

static void write_blkio(struct json_writer *w, const struct sample *s)
{
	static const char *const keys[CG_IO_KIND_MAX_] = {
		[CG_IO_BYTES] = "io_service_bytes_recursive", [CG_IO_SERVICED] = "io_serviced_recursive",   [CG_IO_QUEUED] = "io_queue_recursive",  [CG_IO_SERVICE_TIME] = "io_service_time_recursive",
		[CG_IO_WAIT_TIME] = "io_wait_time_recursive", [CG_IO_MERGED] = "io_merged_recursive",	    [CG_IO_TIME] = "io_time_recursive",	    [CG_IO_SECTORS] = "sectors_recursive",
	};
	jw_obj(w, "blkio_stats");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		write_io(w, keys[i], &s->cg.io[i]);
	jw_end(w);
}

static void write_networks(struct json_writer *w, const struct sample *s)
{
	static const char *const words[] = {"bytes", "packets", "errors", "dropped"};
	if (s->n_interfaces == 0)
		return;
	jw_obj(w, "networks");
	for (size_t i = 0; i < s->n_interfaces; i++) {
		jw_obj(w, s->interfaces[i].name);
		for (size_t k = 0; k < 2 * ARRAY_LEN(words); k++) {
			char key[24];
			(void) str_format(key, sizeof(key), "%s_%s", k < 4 ? "rx" : "tx", words[k % 4]); /* fits */
			jw_uint(w, key, (k < 4 ? s->interfaces[i].rx : s->interfaces[i].tx)[k % 4]);
		}
		jw_end(w);
	}
	jw_end(w);
}

static void write_sample(struct json_writer *w, const struct stats_reader *rd)
{
	const struct sample *s = &rd->now;
	jw_obj(w, NULL);
	jw_str(w, "name", rd->name);
	jw_str(w, "id", rd->id);
	write_when(w, "read", s->time_ns);
	write_when(w, "preread", rd->before.time_ns);
	jw_obj(w, "pids_stats");
	if (s->cg.pids.has) {
		jw_uint(w, "current", s->cg.pids.usage);
		jw_uint(w, "limit", s->cg.pids.limit);
	}
	jw_end(w);
	write_blkio(w, s);
	jw_uint(w, "num_procs", 0); /* Windows */
	jw_obj(w, "storage_stats"); /* Windows */
	jw_end(w);
	write_cpu(w, "cpu_stats", s);
	write_cpu(w, "precpu_stats", &rd->before);
	write_memory(w, s);
	write_networks(w, s);
	jw_end(w);
}

int engine_stats_next(struct engine *e, struct stats_reader *rd, int wait_ms, int cancel_fd, struct json_writer *w, struct err *err)
{
	struct pollfd p = {cancel_fd, POLLIN | POLLRDHUP, 0};
	if (wait_ms > 0 && poll(&p, 1, wait_ms) > 0)
		return -ECANCELED;
	sample_done(&rd->before);
	rd->before = rd->now;
	rd->now = (struct sample) {0};
	int rc = take(e, rd, err);
	if (rc == 0) {
		sample_done(&rd->before);
		sample_done(&rd->now);
		rd->accounted = false; /* the next run has cgroups of its own */
	}
	if (rc >= 0 && w)
		write_sample(w, rd);
	return rc;
}
