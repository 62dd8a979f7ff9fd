/* SPDX-License-Identifier: Apache-2.0 */
/* Each part of the statistics from the version that accounts it; a file that is not there leaves its field as it is. */
#include "kernel/cgroup_stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define STAT_MAX ((size_t) 1 << 20)
#define HUGETLB_MAX 16
#define V1_NO_LIMIT ((uint64_t) INT64_MAX - 0xfffff) /* v1 says "none" as the largest number of whole pages */

static bool read_u64(int dfd, const char *file, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	if (dfd < 0 || read_file(dfd, file, 4096, &text) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "max") == 0) {
		*ret = CGROUP_NO_LIMIT;
		return true;
	}
	return parse_u64(text, ret) == 0;
}

/* The four files of a v1 counter: PREFIX.usage_in_bytes and so on. */
static void read_v1_usage(int dfd, const char *prefix, struct cgroup_usage *u)
{
	char file[64];
	const struct {
		const char *suffix;
		uint64_t *value;
	} files[] = {{"usage_in_bytes", &u->usage}, {"limit_in_bytes", &u->limit}, {"max_usage_in_bytes", &u->max}, {"failcnt", &u->failcnt}};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void) snprintf(file, sizeof(file), "%s.%s", prefix, files[i].suffix);
		bool ok = read_u64(dfd, file, files[i].value);
		u->has |= i == 0 && ok;
	}
	if (u->limit >= V1_NO_LIMIT)
		u->limit = CGROUP_NO_LIMIT;
}

static void read_psi(int dfd, const char *file, struct cgroup_psi *psi)
{
	_cleanup_free_ char *text = NULL;
	if (dfd >= 0 && read_file(dfd, file, 4096, &text) > 0)
		cgroup_parse_psi(text, psi);
}

static int read_keys(int dfd, const char *file, struct cgroup_keys *k)
{
	_cleanup_free_ char *text = NULL;
	return dfd >= 0 && read_file(dfd, file, STAT_MAX, &text) > 0 ? cgroup_parse_keys(text, k) : 0;
}

static int read_percpu(int dfd, struct cgroup_stats *s)
{
	_cleanup_free_ char *text = NULL;
	if (read_file(dfd, "cpuacct.usage_percpu", STAT_MAX, &text) <= 0)
		return 0;
	size_t n = 0, room = 1;
	for (const char *p = text; *p; p++)
		room += *p == ' ';
	uint64_t *v = calloc(room, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (char *p = text, *end; *p && n < room; p = end) {
		p += strspn(p, " \n");
		end = p + strcspn(p, " \n");
		bool more = *end != '\0';
		*end = '\0';
		if (*p && parse_u64(p, &v[n]) == 0)
			n++;
		end += more;
	}
	s->cpu.percpu_ns = v;
	s->cpu.n_percpu = n;
	return 0;
}

static int read_cpuacct(int dfd, struct cgroup_stats *s)
{
	struct cgroup_keys k = {0};
	if (!read_u64(dfd, "cpuacct.usage", &s->cpu.total_ns))
		return 0;
	s->cpu.has = true;
	if (!read_u64(dfd, "cpuacct.usage_user", &s->cpu.user_ns) || !read_u64(dfd, "cpuacct.usage_sys", &s->cpu.kernel_ns)) {
		int r = read_keys(dfd, "cpuacct.stat", &k); /* in USER_HZ; the others came with 4.6 */
		uint64_t tick = (uint64_t) 1000000000 / (uint64_t) MAX(sysconf(_SC_CLK_TCK), 1);
		s->cpu.user_ns = cgroup_key_value(&k, "user", 0) * tick;
		s->cpu.kernel_ns = cgroup_key_value(&k, "system", 0) * tick;
		free(k.v);
		if (r < 0)
			return r;
	}
	return read_percpu(dfd, s);
}

/* cpu.stat: v1 has throttling alone, in ns; v2 has usage too, in us. */
static int read_cpu(const struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_keys k = {0};
	int version, dfd = cgroup_dir(cg, CG_CPU, &version);
	int r = read_keys(dfd, "cpu.stat", &k);
	if (r == 0 && k.n > 0) {
		s->cpu.has_throttling = cgroup_key_value(&k, "nr_periods", UINT64_MAX) != UINT64_MAX;
		s->cpu.periods = cgroup_key_value(&k, "nr_periods", 0);
		s->cpu.throttled_periods = cgroup_key_value(&k, "nr_throttled", 0);
		s->cpu.throttled_ns = version == 1 ? cgroup_key_value(&k, "throttled_time", 0) : cgroup_key_value(&k, "throttled_usec", 0) * 1000;
		if (version == 2) {
			s->cpu.has = true;
			s->cpu.total_ns = cgroup_key_value(&k, "usage_usec", 0) * 1000;
			s->cpu.user_ns = cgroup_key_value(&k, "user_usec", 0) * 1000;
			s->cpu.kernel_ns = cgroup_key_value(&k, "system_usec", 0) * 1000;
		}
	}
	free(k.v);
	(void) read_u64(dfd, version == 1 ? "cpu.shares" : "cpu.weight", &s->cpu.shares); /* unknown: 0 */
	if (version == 2)
		read_psi(dfd, "cpu.pressure", &s->cpu.psi);
	int acct_version, acct = cgroup_dir(cg, CG_CPUACCT, &acct_version);
	return r == 0 && acct >= 0 && acct_version == 1 ? read_cpuacct(acct, s) : r;
}

static int read_memory_v1(int dfd, struct cgroup_stats *s)
{
	read_v1_usage(dfd, "memory", &s->memory.usage);
	read_v1_usage(dfd, "memory.memsw", &s->memory.swap);
	read_v1_usage(dfd, "memory.kmem", &s->memory.kernel);
	read_v1_usage(dfd, "memory.kmem.tcp", &s->memory.kernel_tcp);
	uint64_t hierarchy = 0;
	s->memory.use_hierarchy = read_u64(dfd, "memory.use_hierarchy", &hierarchy) && hierarchy == 1;
	s->memory.cache_bytes = cgroup_key_value(&s->memory.raw, s->memory.use_hierarchy ? "total_cache" : "cache", 0);
	return 0;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a == CGROUP_NO_LIMIT || b == CGROUP_NO_LIMIT || a > UINT64_MAX - b ? CGROUP_NO_LIMIT : a + b;
}

static int read_memory_v2(int dfd, struct cgroup_stats *s)
{
	struct cgroup_usage *u = &s->memory.usage, swap = {0};
	struct cgroup_keys events = {0};
	u->has = read_u64(dfd, "memory.current", &u->usage);
	(void) read_u64(dfd, "memory.max", &u->limit); /* absent in the root alone */
	(void) read_u64(dfd, "memory.peak", &u->max);  /* 5.19 */
	int r = read_keys(dfd, "memory.events", &events);
	u->failcnt = cgroup_key_value(&events, "max", 0);
	free(events.v);
	swap.has = read_u64(dfd, "memory.swap.current", &swap.usage);
	(void) read_u64(dfd, "memory.swap.max", &swap.limit);
	(void) read_u64(dfd, "memory.swap.peak", &swap.max); /* 6.5 */
	if (swap.has)
		s->memory.swap = (struct cgroup_usage) {true, sum(u->usage, swap.usage), sum(u->limit, swap.limit), swap.max ? sum(u->max, swap.max) : 0, 0};
	s->memory.use_hierarchy = true;
	s->memory.cache_bytes = cgroup_key_value(&s->memory.raw, "file", 0);
	read_psi(dfd, "memory.pressure", &s->memory.psi);
	return r;
}

static int read_memory(const struct cgroup *cg, struct cgroup_stats *s)
{
	int version, dfd = cgroup_dir(cg, CG_MEMORY, &version);
	s->version = version == 2 ? 2 : 1;
	if (dfd < 0)
		return 0;
	int r = read_keys(dfd, "memory.stat", &s->memory.raw);
	if (r == 0)
		r = version == 1 ? read_memory_v1(dfd, s) : read_memory_v2(dfd, s);
	(void) cgroup_oom_count(cg, &s->memory.oom_kills); /* before 4.13: 0 */
	return r;
}

static void read_pids(const struct cgroup *cg, struct cgroup_stats *s)
{
	int dfd = cgroup_dir(cg, CG_PIDS, NULL);
	s->pids.has = read_u64(dfd, "pids.current", &s->pids.usage);
	s->pids.limit = CGROUP_NO_LIMIT;
	(void) read_u64(dfd, "pids.max", &s->pids.limit);
	(void) read_u64(dfd, "pids.peak", &s->pids.max); /* 6.1 */
}

/* As runc chooses: CFQ's and BFQ's counters where a scheduler keeps them, the throttle layer's otherwise. */
static int read_blkio(int dfd, struct cgroup_stats *s)
{
	static const char *const files[CG_IO_KIND_MAX_][3] = {
		[CG_IO_BYTES] = {"blkio.io_service_bytes_recursive", "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive"},
		[CG_IO_SERVICED] = {"blkio.io_serviced_recursive", "blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive"},
		[CG_IO_QUEUED] = {"blkio.io_queued_recursive", "blkio.bfq.io_queued_recursive"},
		[CG_IO_SERVICE_TIME] = {"blkio.io_service_time_recursive", "blkio.bfq.io_service_time_recursive"},
		[CG_IO_WAIT_TIME] = {"blkio.io_wait_time_recursive", "blkio.bfq.io_wait_time_recursive"},
		[CG_IO_MERGED] = {"blkio.io_merged_recursive", "blkio.bfq.io_merged_recursive"},
		[CG_IO_TIME] = {"blkio.time_recursive", "blkio.bfq.time"},
		[CG_IO_SECTORS] = {"blkio.sectors_recursive", "blkio.bfq.sectors"},
	};
	for (int k = 0; k < CG_IO_KIND_MAX_; k++)
		for (size_t i = 0; i < 3 && files[k][i] && s->io[k].n == 0; i++) {
			_cleanup_free_ char *text = NULL;
			if (read_file(dfd, files[k][i], STAT_MAX, &text) <= 0)
				continue;
			int r = cgroup_parse_io_v1(text, &s->io[k]);
			if (r < 0)
				return r;
		}
	return 0;
}

static int read_io(const struct cgroup *cg, struct cgroup_stats *s)
{
	_cleanup_free_ char *text = NULL;
	int version, dfd = cgroup_dir(cg, CG_BLKIO, &version);
	if (dfd < 0)
		return 0;
	if (version == 1)
		return read_blkio(dfd, s);
	read_psi(dfd, "io.pressure", &s->io_psi);
	return read_file(dfd, "io.stat", STAT_MAX, &text) > 0 ? cgroup_parse_io_stat(text, &s->io[CG_IO_BYTES], &s->io[CG_IO_SERVICED]) : 0;
}

/* "hugetlb.2MB.usage_in_bytes" on v1, "hugetlb.2MB.current" on v2: the files say which sizes there are. */
static bool huge_size(const char *file, const char *suffix, char *size, size_t room)
{
	const char *s = str_after(file, "hugetlb.");
	size_t n = s ? strlen(s) : 0, k = strlen(suffix);
	if (n <= k || n - k >= room || strcmp(s + n - k, suffix) != 0 || memchr(s, '.', n - k))
		return false;
	memcpy(size, s, n - k);
	size[n - k] = '\0';
	return true;
}

static void read_huge_v2(int dfd, const char *prefix, struct cgroup_usage *u)
{
	char file[64];
	const struct {
		const char *suffix;
		uint64_t *value;
	} files[] = {{"current", &u->usage}, {"max", &u->limit}};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void) snprintf(file, sizeof(file), "%s.%s", prefix, files[i].suffix);
		bool ok = read_u64(dfd, file, files[i].value);
		u->has |= i == 0 && ok;
	}
}

static void read_huge_events(int dfd, const char *prefix, struct cgroup_usage *u)
{
	char file[64];
	struct cgroup_keys k = {0};
	(void) snprintf(file, sizeof(file), "%s.events", prefix);
	if (read_keys(dfd, file, &k) == 0)
		u->failcnt = cgroup_key_value(&k, "max", 0);
	free(k.v);
}

static int read_hugetlb(const struct cgroup *cg, struct cgroup_stats *s)
{
	int version, dfd = cgroup_dir(cg, CG_HUGETLB, &version);
	int dup = dfd < 0 ? -1 : openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup < 0 ? NULL : fdopendir(dup);
	if (!d) {
		safe_close(dup);
		return 0;
	}
	struct dirent *e;
	int r = 0;
	while (r == 0 && s->n_hugetlb < HUGETLB_MAX && (e = readdir(d))) {
		char size[sizeof(s->hugetlb->page_size)], prefix[40], rsvd[48];
		if (!huge_size(e->d_name, version == 1 ? ".usage_in_bytes" : ".current", size, sizeof(size)))
			continue;
		struct cgroup_hugetlb *v = reallocarray(s->hugetlb, s->n_hugetlb + 1, sizeof(*v)), *h;
		if (!v) {
			r = -ENOMEM;
			break;
		}
		s->hugetlb = v;
		h = &v[s->n_hugetlb++];
		*h = (struct cgroup_hugetlb) {0};
		memcpy(h->page_size, size, sizeof(size));
		(void) snprintf(prefix, sizeof(prefix), "hugetlb.%s", size);
		(void) snprintf(rsvd, sizeof(rsvd), "%s.rsvd", prefix);
		if (version == 1) {
			read_v1_usage(dfd, prefix, &h->usage);
			read_v1_usage(dfd, rsvd, &h->rsvd);
		} else {
			read_huge_v2(dfd, prefix, &h->usage);
			read_huge_v2(dfd, rsvd, &h->rsvd);
			read_huge_events(dfd, prefix, &h->usage);
		}
	}
	(void) closedir(d);
	return r;
}

static int read_line(int dfd, const char *const *files, char **ret)
{
	for (; *files && dfd >= 0; files++) {
		_cleanup_free_ char *text = NULL;
		if (read_file(dfd, *files, 1 << 16, &text) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		*ret = take_ptr(text);
		return 0;
	}
	return 0;
}

static int read_cpuset(const struct cgroup *cg, struct cgroup_stats *s)
{
	static const char *const cpus[] = {"cpuset.effective_cpus", "cpuset.cpus.effective", "cpuset.cpus", NULL};
	static const char *const mems[] = {"cpuset.effective_mems", "cpuset.mems.effective", "cpuset.mems", NULL};
	int dfd = cgroup_dir(cg, CG_CPUSET, NULL);
	int r = read_line(dfd, cpus, &s->cpuset_cpus);
	return r == 0 ? read_line(dfd, mems, &s->cpuset_mems) : r;
}

int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret)
{
	static int (*const parts[])(const struct cgroup *, struct cgroup_stats *) = {read_cpu, read_memory, read_io, read_hugetlb, read_cpuset};
	*ret = (struct cgroup_stats) {.pids.limit = CGROUP_NO_LIMIT};
	read_pids(cg, ret);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int r = parts[i](cg, ret);
		if (r < 0)
			return r;
	}
	return 0;
}

void cgroup_stats_done(struct cgroup_stats *s)
{
	free(s->cpu.percpu_ns);
	free(s->memory.raw.v);
	for (int k = 0; k < CG_IO_KIND_MAX_; k++)
		free(s->io[k].v);
	free(s->hugetlb);
	free(s->cpuset_cpus);
	free(s->cpuset_mems);
	*s = (struct cgroup_stats) {0};
}
