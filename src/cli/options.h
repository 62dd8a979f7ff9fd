/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `run` and `create` were asked for, as far as argv says it; create_body() makes the Engine API's request of it.
 */
#pragma once

#include "base/flag.h"
#include "cli/health_arg.h"

struct container_options {
	/* what to run */
	const char *entrypoint, *workdir, *user, *hostname, *domainname, *name, *stop_signal, *cidfile; /* borrowed; NULL: unset */
	char **env, **env_file, **group_add, **labels, **label_file, **annotations, **attach;           /* owned strv */
	bool tty, interactive, quiet, rm;
	struct health_options health;
	const char *restart; /* borrowed; POLICY[:N], checked */
	int8_t init;                                                                                    /* -1: unset */
	int64_t stop_timeout;                                                                           /* seconds; INT64_MIN: unset */
	/* files */
	char **volumes, **mounts, **tmpfs, **volumes_from; /* owned strv */
	bool read_only;
	int64_t shm_size;                  /* bytes; 0: default */
	/* confinement */
	bool privileged;
	char **cap_add, **cap_drop, **security_opt, **uidmap, **gidmap, **ulimit, **sysctl, **device; /* owned strv */
	char **device_cgroup_rules;                                                                   /* owned strv */
	const char *userns, *ipc, *pid, *uts, *cgroupns, *runtime;                          /* borrowed */
	/* names */
	char **dns, **dns_search, **dns_options, **add_host; /* owned strv */
	/* networks */
	char **networks, **network_alias, **link_local_ip, **links, **publish, **expose; /* owned strv */
	const char *ip, *ip6, *mac;                                                      /* borrowed */
	bool publish_all;
	/* limits; 0: unset */
	int64_t pids_limit, memory, memory_swap, memory_reservation, nano_cpus, cpu_shares, cpu_quota, cpu_period, oom_score_adj;
	int64_t blkio_weight, cpu_rt_period, cpu_rt_runtime, memory_swappiness; /* swappiness: -1 unset */
	bool oom_kill_disable;
	char **blkio_weight_device, **device_read_bps, **device_write_bps, **device_read_iops, **device_write_iops, **storage_opt; /* owned strv */
	const char *cgroup_parent; /* borrowed */
	const char *cpuset_cpus, *cpuset_mems, *log_driver; /* borrowed */
	char **log_opt;                                     /* owned strv */
	enum pull_policy { PULL_MISSING, PULL_ALWAYS, PULL_NEVER } pull;
	const char *platform; /* borrowed */
	/* run only */
	bool detach, sig_proxy;
	const char *detach_keys; /* borrowed */
};

/** container_options_init() - defaults: nothing set. */
void container_options_init(struct container_options *o);

extern const struct flag_table container_flags;         /* of run and create */
extern const struct flag_table container_refused_flags; /* docker's that are not there yet */
extern const struct flag_table update_flags;            /* of update */
extern const struct flag_table run_flags;               /* of run alone */

/* Which streams are attached: --attach, or all but stdin (with -i all), or none with --detach. */
struct streams {
	bool in, out, err;
};
/** container_streams() - Return: 0; ERR_INVALID for a bad --attach. */
int container_streams(const struct container_options *o, struct streams *ret, struct err *err);

/** update_body() - JSON of POST /containers/ID/update; "{}" when nothing was asked for. *@ret: owned. */
int update_body(const struct container_options *o, char **ret, struct err *err);

/** create_body() - JSON of POST /containers/create. @image, @cmd[@n_cmd]: positional arguments. @rows/@cols: the caller's terminal,
 *  0: none. Reads --env-file, --label-file and seccomp profiles. *@ret: owned. Return: 0; ERR_INVALID/ERR_UNSUPPORTED/ERR_SYSTEM. */
int create_body(const struct container_options *o, const char *image, const char *const *cmd, size_t n_cmd, unsigned rows, unsigned cols,
		char **ret, struct err *err);
