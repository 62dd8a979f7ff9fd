/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical container request: what POST /containers/create says (Config, HostConfig, NetworkingConfig of the Engine
 * API 1.50), parsed once, checked once, stored once, executed as it stands (R15). The same codec writes it into the
 * database and into inspect answers. Extensions of ours: HostConfig.UidMaps / GidMaps (with UsernsMode "map"),
 * HostConfig.DetachKeys is a query parameter as in docker.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "codec/json.h"

struct kv_list {
	char **keys, **values; /* owned, parallel, NULL-terminated */
};

enum mount_kind { MOUNT_BIND, MOUNT_VOLUME, MOUNT_TMPFS, MOUNT_KIND_MAX_ };

struct mount_request {
	enum mount_kind kind;
	char *source;      /* owned; bind: absolute host path; volume: name, NULL = anonymous */
	char *target;      /* owned; absolute, cleaned */
	bool read_only;
	bool no_copy;      /* volume: do not populate from the image on first use */
	bool create_source; /* bind by -v: make the missing source directory, as docker does */
	bool idmap;        /* bind: shift ids with the container's map; volumes always are */
	char *propagation; /* owned; bind: "rprivate" (set when the request says nothing), "rslave", "rshared", ... */
	char *subpath;     /* owned; volume */
	struct kv_list volume_labels; /* of a volume that this mount makes */
	bool non_recursive;    /* bind: without what is mounted below the source */
	bool ro_non_recursive; /* bind: read-only itself, but not what is mounted below */
	bool force_recursive;  /* bind: read-only all the way down, or not at all; it always is so here */
	bool inherited;        /* came by VolumesFrom: nothing that the request itself says */
	uint64_t tmpfs_size;  /* bytes, 0: default */
	uint32_t tmpfs_mode;  /* 0: 01777 */
	char *tmpfs_options;  /* owned; raw --tmpfs options still to be checked */
	char relabel;      /* SELinux: 'z' for every container, 'Z' for this one alone, 0 as it is */
	bool from_mounts;  /* came by Mounts, not by Binds: how inspect shows it */
	char *bind_text;   /* owned; the original Binds string */
};

struct ulimit_request {
	char *name; /* owned; "nofile" */
	int64_t soft, hard; /* -1: unlimited */
};

struct device_request {
	char *host, *container, *permissions; /* owned */
};

struct blkio_limit {
	char *path;    /* owned; a block device of the host */
	int64_t value; /* weight, or bytes or operations a second */
};

struct blkio_limits {
	struct blkio_limit *v; /* owned */
	size_t n;
};

struct health_request {
	char **test; /* owned; NULL: none */
	int64_t interval, timeout, start_period, start_interval; /* ns */
	int64_t retries;
};

struct container_request {
	/* Config */
	char *hostname, *domainname, *user, *image, *working_dir, *stop_signal, *mac_address; /* owned, NULL: unset */
	bool attach_stdin, attach_stdout, attach_stderr, tty, open_stdin, stdin_once, network_disabled;
	char **env, **cmd, **entrypoint; /* owned */
	bool entrypoint_set; /* an empty Entrypoint ([] or [""]) resets the image's */
	bool cmd_set;
	struct kv_list labels;
	char **volumes; /* owned; anonymous volume targets (Config.Volumes keys) */
	char **exposed_ports; /* owned; "80/tcp" */
	int stop_timeout; /* seconds; -1: unset, -2: wait for ever (docker's -1), as engine_stop() takes it */
	struct health_request *health; /* owned; NULL: none */

	/* HostConfig */
	struct mount_request *mounts; /* owned; Binds, Mounts and Tmpfs together */
	size_t n_mounts;
	char *network_mode, *userns_mode, *ipc_mode, *pid_mode, *uts_mode, *cgroupns_mode, *cgroup_parent, *runtime; /* owned */
	char **uid_maps, **gid_maps; /* owned; "container:host:size" */
	bool privileged, readonly_rootfs, auto_remove, publish_all_ports;
	int init; /* -1: unset, 0, 1 */
	char **cap_add, **cap_drop, **security_opt, **group_add, **dns, **dns_search, **dns_options, **extra_hosts, **volumes_from, **links; /* owned */
	struct kv_list sysctls, log_opts, annotations, storage_opt;
	char *log_type; /* owned */
	char *restart_name; /* owned; "no", "always", "on-failure", "unless-stopped" */
	int64_t restart_max;
	int64_t memory, memory_swap, memory_reservation, nano_cpus, cpu_shares, cpu_quota, cpu_period, pids_limit, shm_size;
	int64_t oom_score_adj, memory_swappiness, blkio_weight; /* swappiness: -1 unset */
	int64_t cpu_rt_period, cpu_rt_runtime;                  /* microseconds */
	struct blkio_limits blkio_weight_devices, blkio_read_bps, blkio_write_bps, blkio_read_iops, blkio_write_iops;
	bool oom_kill_disable;
	char *cpuset_cpus, *cpuset_mems; /* owned */
	struct ulimit_request *ulimits; /* owned */
	size_t n_ulimits;
	struct device_request *devices; /* owned */
	size_t n_devices;
	char **device_cgroup_rules; /* owned */
	bool masked_paths_set, readonly_paths_set; /* null = defaults; [] = none */
	char **masked_paths, **readonly_paths;     /* owned */
	unsigned console_rows, console_cols;

	/* NetworkingConfig and PortBindings are kept as JSON text until networks have their room; owned, NULL: empty */
	char *networking_json, *port_bindings_json;
};

/** container_request_parse() - strict read of a create body. Types and ranges are checked and named; keys are matched without regard
 *  to case; an unknown key with a non-empty value goes to *@ret_unknown (owned strv, "HostConfig.Foo"), which the caller refuses or
 *  warns about. Return: 0; ERR_INVALID. Source: Engine API 1.50, ContainerCreate. */
int container_request_parse(const struct json *body, struct container_request **ret, char ***ret_unknown, struct err *err);
struct container_request *container_request_new(void); /* every "unset" marker in place; NULL when out of memory */
struct container_request *container_request_free(struct container_request *r);
void container_request_freep(struct container_request **r);
#define _cleanup_container_request_ _cleanup_(container_request_freep)

/** container_request_write_config() / _host_config() - the Config and HostConfig objects as inspect shows them, under @key. */
void container_request_write_config(struct json_writer *w, const char *key, const struct container_request *r);
void container_request_write_host_config(struct json_writer *w, const char *key, const struct container_request *r);
/** container_request_write() - the whole request in the form that container_request_parse() reads back unchanged. Return: 0 or -errno. */
int container_request_write(const struct container_request *r, struct strbuf *out);

int kv_list_set(struct kv_list *l, const char *key, const char *value); /* replaces; 0 or -ENOMEM */
const char *kv_list_get(const struct kv_list *l, const char *key);
void kv_list_done(struct kv_list *l);
/** container_request_inherit() - one more mount for @r, as VolumesFrom gives it: a copy of @m with @target's place taken from an inherited one that was there before;
 *  nothing happens where the request itself mounts something. Return: 0 or -ENOMEM, -E2BIG. */
int container_request_inherit(struct container_request *r, const struct mount_request *m);
/** blkio_limits_merge() - the values of @more over those of @l, device by device. Return: 0 or -ENOMEM. */
int blkio_limits_merge(struct blkio_limits *l, const struct blkio_limits *more);
void blkio_limits_done(struct blkio_limits *l);
