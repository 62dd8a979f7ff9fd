/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as a request says them: what is out of range, what this host's kernel does not have. The latter is docker's business to warn of and leave out
 * (moby daemon_unix.go verifyPlatformContainerResources), so that one compose file works on hosts of all kinds.
 */
#include <errno.h>
#include <sys/stat.h>

#include "engine/internal.h"
#include "sandbox/cgroup_ops.h"

#define CGROUP_PARENT_MAX 80 /* what fits into MONITOR_PATH_MAX with tenant and id */

static int check_ranges(const struct container_request *r, struct err *err)
{
	const struct {
		const char *field;
		int64_t v, min, max;
	} rows[] = {
		{"Memory (--memory)", r->memory, 6 << 20, INT64_MAX},
		{"MemoryReservation (--memory-reservation)", r->memory_reservation, 1, INT64_MAX},
		{"NanoCpus (--cpus)", r->nano_cpus, 10000000, INT64_MAX / 100000},
		{"CpuShares (--cpu-shares)", r->cpu_shares, 2, 262144},
		{"CpuPeriod (--cpu-period)", r->cpu_period, 1000, 1000000},
		{"CpuQuota (--cpu-quota)", r->cpu_quota == -1 ? 0 : r->cpu_quota, 1000, INT64_MAX},
		{"ShmSize (--shm-size)", r->shm_size, 1, INT64_MAX},
		{"PidsLimit (--pids-limit)", r->pids_limit == -1 ? 0 : r->pids_limit, 1, 4194304},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].v != 0 && (rows[i].v < rows[i].min || rows[i].v > rows[i].max))
			return err_set(err, ERR_INVALID, "HostConfig.%s: %lld is out of range: minimum %lld", rows[i].field, (long long) rows[i].v, (long long) rows[i].min);
	return 0;
}

/* Below 0 a container outlives the host's own daemons. */
static int check_oom(const struct engine *e, const struct container_request *r, struct err *err)
{
	if (r->oom_score_adj < -1000 || r->oom_score_adj > 1000)
		return err_set(err, ERR_INVALID, "HostConfig.OomScoreAdj (--oom-score-adj): %lld is not between -1000 and 1000", (long long) r->oom_score_adj);
	if (r->oom_score_adj < 0) {
		char what[64];
		(void) str_format(what, sizeof(what), "HostConfig.OomScoreAdj (--oom-score-adj) %lld", (long long) r->oom_score_adj); /* fits */
		int rc = allow_check(e, ALLOW_OOM_SCORE, what, err);
		if (rc < 0)
			return rc;
	}
	if (r->oom_kill_disable && r->memory <= 0)
		return err_set(err, ERR_INVALID, "HostConfig.OomKillDisable (--oom-kill-disable): without a memory limit (--memory) the host itself would stand still");
	return 0;
}

static int check_ulimits(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < r->n_ulimits; i++) {
		const struct ulimit_request *u = &r->ulimits[i];
		if (!rlimit_name(u->name))
			return err_set(err, ERR_INVALID, "HostConfig.Ulimits (--ulimit): invalid ulimit type: %.64s", u->name);
		if (u->soft < -1 || u->hard < -1 || (u->hard != -1 && (u->soft == -1 || u->soft > u->hard)))
			return err_set(err, ERR_INVALID, "HostConfig.Ulimits (--ulimit): %s: the soft limit %lld is above the hard limit %lld", u->name, (long long) u->soft,
				       (long long) u->hard);
	}
	return 0;
}

static int check_devices(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_request *d = &r->devices[i];
		const char *perm = d->permissions ?: "rwm";
		struct stat st;
		if (str_empty(d->host) || d->host[0] != '/' || (d->container && d->container[0] && d->container[0] != '/'))
			return err_set(err, ERR_INVALID, "HostConfig.Devices (--device): '%.200s:%.200s' are not absolute paths", d->host ?: "", d->container ?: "");
		if (strlen(perm) > 3 || perm[strspn(perm, "rwm")] != '\0')
			return err_set(err, ERR_INVALID, "HostConfig.Devices (--device): '%.16s' is not made of r, w and m", perm);
		if (stat(d->host, &st) < 0)
			return err_sys(err, -errno, "HostConfig.Devices (--device): '%.200s'", d->host);
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			return err_set(err, ERR_INVALID, "HostConfig.Devices (--device): '%.200s' is not a device", d->host);
	}
	return 0;
}

/* Block I/O */

static const struct {
	const char *field, *flag, *limit; /* of HostConfig; of linux.resources */
	size_t at; /* of a struct blkio_limits */
	const char *warning;
} blkio_lists[] = {
	{"BlkioWeightDevice", "--blkio-weight-device", "blockIO.weightDevice", offsetof(struct container_request, blkio_weight_devices),
	 "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."},
	{"BlkioDeviceReadBps", "--device-read-bps", "blockIO.throttleReadBpsDevice", offsetof(struct container_request, blkio_read_bps),
	 "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded."},
	{"BlkioDeviceWriteBps", "--device-write-bps", "blockIO.throttleWriteBpsDevice", offsetof(struct container_request, blkio_write_bps),
	 "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded."},
	{"BlkioDeviceReadIOps", "--device-read-iops", "blockIO.throttleReadIOPSDevice", offsetof(struct container_request, blkio_read_iops),
	 "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded."},
	{"BlkioDeviceWriteIOps", "--device-write-iops", "blockIO.throttleWriteIOPSDevice", offsetof(struct container_request, blkio_write_iops),
	 "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded."},
};

static const struct blkio_limits *blkio_list(const struct container_request *r, size_t i)
{
	return (const struct blkio_limits *) ((const char *) r + blkio_lists[i].at);
}

static int check_blkio(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(blkio_lists); i++) {
		const struct blkio_limits *l = blkio_list(r, i);
		for (size_t k = 0; k < l->n; k++) {
			struct stat st;
			if (stat(l->v[k].path, &st) < 0 || !S_ISBLK(st.st_mode))
				return err_set(err, ERR_INVALID, "HostConfig.%s (%s): '%.200s' is not a block device of this host", blkio_lists[i].field, blkio_lists[i].flag, l->v[k].path);
		}
	}
	return 0;
}

/* Where its cgroup is */

/* A path below the tenant's own cgroup, whether it starts with a slash or not: a parent elsewhere would be out of the tenant's limits. */
static int check_cgroup_parent(const struct container_request *r, struct err *err)
{
	const char *p = r->cgroup_parent;
	if (str_empty(p))
		return 0;
	bool good = strlen(p) <= CGROUP_PARENT_MAX && p[strspn(p, "/")] != '\0' && p[strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")] == '\0';
	for (const char *s = p; good && *s; s += strcspn(s, "/"), s += *s != '\0')
		good = s[0] != '.' && strcspn(s, "/") < ID_LEN; /* a container's own directory is nobody's parent */
	if (!good)
		return err_set(err, ERR_INVALID, "HostConfig.CgroupParent (--cgroup-parent): '%.100s' is not a path of at most %d letters, digits, '_', '-' and '.', whose parts are "
			       "shorter than an id and do not start with a dot", p, CGROUP_PARENT_MAX);
	return 0;
}

int limits_check(const struct engine *e, const struct container_request *r, struct err *err)
{
	static int (*const checks[])(const struct container_request *, struct err *) = {check_ranges, check_ulimits, check_devices, check_blkio, check_cgroup_parent};
	int rc = check_oom(e, r, err);
	for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(checks); i++)
		rc = checks[i](r, err);
	return rc;
}

/* What this kernel lacks */

static bool asks_swappiness(const struct container_request *r)
{
	return r->memory_swappiness >= 0;
}

static void drop_swappiness(struct container_request *r)
{
	r->memory_swappiness = -1;
}

static bool asks_oom_disable(const struct container_request *r)
{
	return r->oom_kill_disable;
}

static void drop_oom_disable(struct container_request *r)
{
	r->oom_kill_disable = false;
}

static bool asks_reservation(const struct container_request *r)
{
	return r->memory_reservation > 0;
}

static void drop_reservation(struct container_request *r)
{
	r->memory_reservation = 0;
}

static bool asks_weight(const struct container_request *r)
{
	return r->blkio_weight > 0;
}

static void drop_weight(struct container_request *r)
{
	r->blkio_weight = 0;
}

static const struct {
	bool (*asks)(const struct container_request *r);
	void (*drop)(struct container_request *r);
	const char *limit, *warning;
} droppable[] = {
	{asks_swappiness, drop_swappiness, "memory.swappiness",
	 "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."},
	{asks_oom_disable, drop_oom_disable, "memory.disableOOMKiller", "Your kernel does not support OomKillDisable. OomKillDisable discarded."},
	{asks_reservation, drop_reservation, "memory.reservation",
	 "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded."},
	{asks_weight, drop_weight, "blockIO.weight", "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."},
};

static int warn(char ***warnings, const char *text, struct err *err)
{
	return warnings && strv_push(warnings, text) < 0 ? err_oom(err) : 0;
}

static int discard_lists(const char *parent, struct container_request *r, char ***warnings, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(blkio_lists); i++) {
		struct blkio_limits *l = (struct blkio_limits *) ((char *) r + blkio_lists[i].at);
		int rc = l->n ? sandbox_has_limit(parent, blkio_lists[i].limit, err) : 1;
		if (rc == 0) {
			blkio_limits_done(l);
			rc = warn(warnings, blkio_lists[i].warning, err);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int limits_discard(const char *tenant, struct container_request *r, char ***warnings, struct err *err)
{
	char parent[MONITOR_PATH_MAX];
	(void) str_format(parent, sizeof(parent), "coffer/%.100s", tenant); /* fits */
	for (size_t i = 0; i < ARRAY_LEN(droppable); i++) {
		int rc = droppable[i].asks(r) ? sandbox_has_limit(parent, droppable[i].limit, err) : 1;
		if (rc == 0) {
			droppable[i].drop(r);
			rc = warn(warnings, droppable[i].warning, err);
		}
		if (rc < 0)
			return rc;
	}
	if (r->cpu_rt_period || r->cpu_rt_runtime) {
		int rc = sandbox_has_limit(parent, "cpu.realtimeRuntime", err);
		if (rc <= 0)
			return rc < 0 ? rc : err_set(err, ERR_UNSUPPORTED, "HostConfig.CpuRealtimeRuntime (--cpu-rt-runtime): Your kernel does not support CPU real-time scheduler");
	}
	return discard_lists(parent, r, warnings, err);
}
