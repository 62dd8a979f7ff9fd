/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime document (config.json, runtime-spec 1.0-1.3, Linux) as structs, with our extension under the top-level
 * key "coffer". The engine fills a struct and writes it into the bundle; the sandbox reads it back and plans from it; a
 * foreign runtime reads the same file and ignores the extension. Reading is strict about types and ranges and ignores
 * unknown keys, as the specification says.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

#define IDMAP_EXTENTS_MAX 340 /* the kernel's limit (user_namespaces(7)); our own policy is 4 */

/* One extent: @size ids from @ctr inside are @size ids from @host outside. */
struct id_extent {
	uint32_t ctr, host, size;
};

struct id_map {
	struct id_extent *v; /* owned */
	size_t n;
};

enum ns_kind { NS_USER, NS_MOUNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME, NS_KIND_MAX_ };

enum ns_mode { NS_MODE_HOST, NS_MODE_NEW, NS_MODE_PATH };

struct ns_spec {
	enum ns_mode mode;
	char *path; /* owned; only with NS_MODE_PATH */
};

struct rlimit_spec {
	char *name; /* owned; "RLIMIT_NOFILE" */
	uint64_t soft, hard;
};

/* One program that the operator's bundle asks for at a point of the life cycle (config.md "POSIX-platform Hooks"). */
struct hook_spec {
	char *path;   /* owned; absolute, on the host */
	char **args;  /* owned; argv with argv[0]; NULL: the path alone */
	char **env;   /* owned; the hook's whole environment; NULL: empty */
	uint32_t timeout; /* seconds; 0: none given */
};

enum hook_point { HOOK_PRESTART, HOOK_CREATE_RUNTIME, HOOK_CREATE_CONTAINER, HOOK_START_CONTAINER, HOOK_POSTSTART, HOOK_POSTSTOP, HOOK_POINT_MAX_ };

struct hook_list {
	struct hook_spec *v; /* owned */
	size_t n;
};

/* sched_setattr(2); policy NULL: not asked. */
struct scheduler_spec {
	char *policy;  /* owned; "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE" */
	char **flags;  /* owned; "SCHED_FLAG_RESET_ON_FORK", ... */
	int nice, priority;
	uint64_t runtime, deadline, period; /* nanoseconds; SCHED_DEADLINE */
};

struct rdt_spec { /* resctrl(5), Documentation/arch/x86/resctrl.rst */
	bool present;
	char *clos_id, *l3_schema, *mem_schema; /* owned; NULL: unset */
	char **schemata; /* owned */
	bool enable_monitoring; /* 1.3; enableCMT and enableMBM of older documents count as this */
};

struct memory_policy_spec { /* set_mempolicy(2); mode NULL: not asked */
	char *mode;   /* owned; "MPOL_BIND", ... */
	char *nodes;  /* owned; list like cpuset's */
	char **flags; /* owned; "MPOL_F_STATIC_NODES", ... */
};

struct net_device_spec { /* linux.netDevices: move @host into the container's network namespace as @name */
	char *host, *name; /* owned; name NULL: keep */
};

struct mount_spec {
	char *destination; /* owned; inside the rootfs; one that does not start with '/' is below the root (config.md 1.2), our engine writes none */
	char *type;        /* owned; "bind", "proc", "tmpfs", ...; NULL means bind when options say so */
	char *source;      /* owned; may be NULL */
	char **options;    /* owned */
	struct id_map uids, gids; /* uidMappings/gidMappings; empty: none asked */
};

struct device_spec {
	char *path; /* owned; inside the container */
	char type;  /* c b u p */
	int64_t major, minor;
	bool has_mode, has_uid, has_gid;
	uint32_t mode, uid, gid;
};

struct device_rule {
	bool allow;
	char type;      /* a c b */
	int64_t major, minor; /* -1: any */
	char access[4]; /* subset of "rwm" */
};

struct keyval {
	char *key, *value; /* owned */
};

struct blkio_device { /* one row of a blockIO list */
	int64_t major, minor;
	uint64_t weight, leaf_weight, rate; /* which of them is set follows from the list */
};

struct blkio_list {
	struct blkio_device *v; /* owned */
	size_t n;
};

enum blkio_throttle { BLKIO_READ_BPS, BLKIO_WRITE_BPS, BLKIO_READ_IOPS, BLKIO_WRITE_IOPS, BLKIO_THROTTLE_MAX_ };

struct hugepage_limit {
	char *page_size; /* owned; "2MB" */
	uint64_t limit;  /* bytes */
};

struct rdma_limit {
	char *device; /* owned; "mlx5_1" */
	bool has_handles, has_objects;
	uint32_t handles, objects;
};

struct net_priority {
	char *name; /* owned; interface */
	uint32_t priority;
};

struct resources_spec {
	bool has_pids, has_memory, has_swap, has_reservation, has_shares, has_quota, has_period, has_oom_disable;
	bool has_kernel, has_kernel_tcp, has_swappiness, has_use_hierarchy, has_check_before, has_rt_runtime, has_rt_period, has_burst, has_idle;
	bool has_blkio_weight, has_blkio_leaf_weight, has_class_id;
	int64_t kernel, kernel_tcp; /* memory.kernel, memory.kernelTCP: bytes */
	uint64_t swappiness;   /* 0..100 */
	bool use_hierarchy, check_before_update;
	int64_t rt_runtime;    /* cpu.realtimeRuntime, microseconds */
	uint64_t rt_period, burst; /* microseconds */
	int64_t idle;          /* cpu.idle: 0 or 1 */
	uint32_t blkio_weight, blkio_leaf_weight;
	struct blkio_list blkio_weight_devices, throttle[BLKIO_THROTTLE_MAX_];
	struct hugepage_limit *hugepages; /* owned */
	size_t n_hugepages;
	struct rdma_limit *rdma; /* owned */
	size_t n_rdma;
	uint32_t class_id;     /* network.classID */
	struct net_priority *net_priorities; /* owned */
	size_t n_net_priorities;
	int64_t pids;          /* -1: no limit */
	int64_t memory, swap, reservation; /* bytes; -1: no limit; swap is memory+swap as in cgroup v1 and docker */
	bool oom_disable;
	uint64_t shares;
	int64_t quota;         /* microseconds per period; -1: no limit */
	uint64_t period;
	char *cpus, *mems;     /* owned; cpuset lists */
	struct device_rule *devices; /* owned */
	size_t n_devices;
	struct keyval *unified; /* owned */
	size_t n_unified;
};

struct caps_spec {
	uint64_t bounding, effective, permitted, inheritable, ambient; /* bit = capability number */
};

struct process_spec {
	bool terminal;
	uint16_t rows, cols; /* consoleSize; 0: unset */
	char **args, **env;  /* owned */
	char *cwd;           /* owned; absolute */
	uint32_t uid, gid, umask;
	bool has_umask;
	uint32_t *groups;    /* owned; additional gids */
	size_t n_groups;
	bool has_caps;
	struct caps_spec caps;
	bool no_new_privileges;
	struct rlimit_spec *rlimits; /* owned */
	size_t n_rlimits;
	bool has_oom_score_adj;
	int oom_score_adj;
	char *apparmor_profile, *selinux_label; /* owned; NULL: none */
	struct scheduler_spec scheduler;
	char *io_class;      /* owned; ioPriority.class "IOPRIO_CLASS_BE"; NULL: not asked */
	int io_priority;
	char *affinity_initial, *affinity_final; /* owned; execCPUAffinity, cpu lists; NULL: not asked */
	char **warnings;     /* owned; what the runtime has to say aloud and goes on: capabilities that nobody here knows (config.md) */
};

/* A process whose namespaces the container joins (linux.namespaces[].path below /proc/PID): it must still be the one that was meant when they have been opened. */
struct join_spec {
	uint32_t pid;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	char *name;           /* owned; of its container, for messages */
};

/* An interface that the creator makes: a pair, the outer end a port of a bridge. Addresses as text, those with a prefix length say so. */
struct interface_spec {
	char *name, *host_name, *bridge, *gateway_bridge; /* owned; inside, outside, whose port, and which bridge has the gateway (NULL: the same) */
	char *mac, *gateway_mac;	 /* owned */
	uint32_t mtu;			 /* 0: the kernel's */
	bool ipv6, isolated, hairpin;
	char **addresses;		 /* owned; "10.0.0.2/16" */
	char *gateway4, *gateway6;	 /* owned; NULL: no default route */
};
#define INTERFACES_MAX 64

/* What our engine adds (key "coffer"); absent in a foreign bundle. */
struct coffer_ext {
	bool present;
	char **layers;     /* owned; absolute paths of layer directories, topmost first; empty: use root.path */
	char *upper, *work; /* owned; absolute directories on one filesystem; NULL upper: read-only overlay */
	char *seccomp_filter; /* owned; absolute path of a compiled filter (struct sock_filter array); NULL: none or linux.seccomp */
	char *seccomp_name;   /* owned; the profile's name, for the posture: "default", a file name, "unconfined" */
	uint32_t seccomp_flags; /* SECCOMP_FILTER_FLAG_* that the profile asks for */
	char *seccomp_hash;   /* owned; hex sha256 of the filter bytes */
	char *cgroup_path;    /* owned; "coffer/local/ID" below each hierarchy's root */
	char *init_path;      /* owned; host path of coffer-init for --init; NULL: none */
	char *user;           /* owned; "name[:group]" still to be resolved inside the rootfs; NULL: process.user holds */
	char **group_names;   /* owned; --group-add entries that are names, resolved like @user */
	bool ping_group;      /* open ping_group_range to every gid of the map (needs an own netns) */
	bool landlock;        /* apply the default Landlock ruleset */
	bool lock_userns;     /* write 0 to user.max_user_namespaces inside */
	bool create_cwd;      /* make process.cwd inside the rootfs when it is missing */
	char *runtime;        /* owned; absolute path of the foreign runtime that starts the container; NULL: the sandbox itself */
	struct interface_spec *interfaces; /* owned */
	char *dns_run, *dns_id; /* owned; the name server's sockets are opened in the network namespace and given to it, by this run directory and under this id; NULL: no */
	size_t n_interfaces;
	bool ephemeral;       /* the writable layer goes with the container: never synced, never mounted again */
	struct join_spec *joins; /* owned */
	size_t n_joins;
	char *shm_from;       /* owned; path of the mount namespace whose /dev/shm a mount with the option "shmof" is; NULL: none */
};

struct runtime_spec {
	char *version;    /* owned; ociVersion */
	char *hostname, *domainname; /* owned */
	char *root_path;  /* owned */
	bool root_readonly;
	struct process_spec process;
	struct mount_spec *mounts; /* owned */
	size_t n_mounts;
	struct ns_spec ns[NS_KIND_MAX_];
	struct id_map uids, gids;  /* linux.uidMappings / gidMappings */
	struct device_spec *devices; /* owned */
	size_t n_devices;
	char *cgroups_path; /* owned */
	struct resources_spec resources;
	struct keyval *sysctls; /* owned */
	size_t n_sysctls;
	char **masked_paths, **readonly_paths; /* owned */
	char *rootfs_propagation; /* owned */
	char *mount_label;   /* owned; SELinux context of the mounts */
	bool has_time_offset[2]; /* [0] monotonic, [1] boottime (time_namespaces(7)) */
	int64_t time_secs[2];
	uint32_t time_nanosecs[2];
	char *personality;   /* owned; linux.personality.domain: "LINUX", "LINUX32"; NULL: not asked */
	char **personality_flags; /* owned; reserved by the specification: none is known */
	struct rdt_spec rdt;
	struct memory_policy_spec memory_policy;
	struct net_device_spec *net_devices; /* owned */
	size_t n_net_devices;
	struct hook_list hooks[HOOK_POINT_MAX_];
	char *seccomp_json;  /* owned; the linux.seccomp object as text, unparsed; NULL: none */
	struct keyval *annotations; /* owned */
	size_t n_annotations;
	struct coffer_ext coffer;
};

/** runtime_spec_parse() - read a document of @len bytes. Unknown keys are ignored. Return: 0; ERR_INVALID naming field and value.
 *  Source: opencontainers/runtime-spec config.md, config-linux.md (1.3). */
int runtime_spec_parse(const char *text, size_t len, struct runtime_spec **ret, struct err *err);
/** runtime_spec_write() - the document as JSON text into @out. Return: 0 or -errno. */
int runtime_spec_write(const struct runtime_spec *s, struct strbuf *out, struct err *err);
/** runtime_spec_new() - an empty spec: every namespace NS_MODE_HOST, nothing limited. NULL when out of memory. */
struct runtime_spec *runtime_spec_new(void);
struct runtime_spec *runtime_spec_free(struct runtime_spec *s);
void runtime_spec_freep(struct runtime_spec **s);
#define _cleanup_runtime_spec_ _cleanup_(runtime_spec_freep)

/* Builders for the engine: all copy their strings. Return: 0 or -ENOMEM. */
int runtime_spec_add_mount(struct runtime_spec *s, const char *dst, const char *type, const char *src, char *const *options,
			   struct mount_spec **ret);
int runtime_spec_add_rlimit(struct process_spec *p, const char *name, uint64_t soft, uint64_t hard);
int keyval_add(struct keyval **v, size_t *n, const char *key, const char *value);
void keyvals_free(struct keyval *v, size_t n);
int id_map_add(struct id_map *m, uint32_t ctr, uint32_t host, uint32_t size);
void id_map_done(struct id_map *m);
int id_map_dup(const struct id_map *m, struct id_map *ret);
/** id_map_to_host() - host id of container id @ctr. Return: true and *@ret, or false when unmapped. */
bool id_map_to_host(const struct id_map *m, uint32_t ctr, uint32_t *ret);

/** process_spec_parse() / process_spec_write() - the process object alone, as exec passes it. The exec file is
 *  {"process":{...},"coffer":{"user":"name[:group]","groupNames":[..],"seccompFilter":"..."}}. */
int exec_spec_parse(const char *text, size_t len, struct process_spec *ret, struct coffer_ext *ret_ext, struct err *err);
int exec_spec_write(const struct process_spec *p, const struct coffer_ext *ext, struct strbuf *out, struct err *err);
/** process_spec_write() - the process object alone, as `--process` of other runtimes takes it. */
int process_spec_write(const struct process_spec *p, struct strbuf *out, struct err *err);
void process_spec_done(struct process_spec *p);
void coffer_ext_done(struct coffer_ext *e);

/* Capability names: "CAP_CHOWN" <-> number. */
/** cap_from_name() - with or without "CAP_", any case. Return: number or -EINVAL. */
int cap_from_name(const char *name);
const char *cap_name(int cap); /* "CAP_CHOWN"; NULL above the last known */
/** hook_point_name() - "createRuntime", as in the document. */
const char *hook_point_name(enum hook_point p);
#define CAP_LAST_KNOWN 40 /* CAP_CHECKPOINT_RESTORE, Linux 5.9 */
