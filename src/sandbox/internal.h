/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the sandbox room: the context that creator, init and exec carry from step to step, and the prototypes between
 * the room's files. The context is plain memory: init gets a copy by clone3, so nothing in it is shared after the clone.
 */
#pragma once

#include "kernel/cgroup.h"
#include "kernel/process.h"
#include "sandbox/lsm.h"
#include "sandbox/plan.h"
#include "sandbox/sandbox.h"
#include "sandbox/step.h"
#include "spec/runtime.h"

/* The user the command runs as, once names are resolved. */
#define SANDBOX_GROUPS_MAX 256

struct sandbox_user {
	uint32_t uid, gid;
	uint32_t groups[SANDBOX_GROUPS_MAX];
	size_t n_groups;
	char home[256];
};

struct netdevice;

struct sandbox {
	const char *fail_step; /* borrowed */
	bool is_exec;          /* one more process in a running container */
	bool own_child;        /* init is the creator's own child, not its parent's (sandbox_start() without a fork) */
	bool rootless;         /* the creator is not root: it may neither clone host mounts nor make nodes; init does what it can */
	bool nested;           /* the creator is root of a user namespace that is not the host's: no device nodes, no id beyond its map */
	unsigned flags;        /* enum sandbox_flags */
	const char *config_file; /* borrowed; name in the bundle */
	const char *id, *bundle; /* borrowed; for the state that hooks read; NULL with the engine */
	int32_t host_pid;      /* the new process as its starter sees it; 0 until it was asked */
	int lock_fd;           /* borrowed; the caller's lock, which init must not hold; -EBADF */
	int start_fd;          /* owned; where init waits for OCI's start; -EBADF: it does not */
	unsigned preserve_fds;
	int bundle_fd;         /* borrowed */
	int report_fd;         /* owned */
	int stdio[3];          /* owned; -EBADF with a terminal */
	int trace_fd;          /* -EBADF: no trace */

	struct runtime_spec *spec; /* owned; the container's document */
	const struct process_spec *process; /* borrowed: the one to run */
	const struct coffer_ext *ext;       /* borrowed */
	struct plan plan;

	struct lsm_state lsm;
	struct cgroup cgroup;
	int join_fds[CG_CONTROLLER_MAX_]; /* owned; v1 `tasks` files that the new process writes "0" to */
	int n_join;
	pid_t scope_holder; /* keeps the scope's place until the new process is in it; 0: none */
	int (*scope_start)(struct sandbox *s, char *path, struct err *err); /* SANDBOX_SYSTEMD_CGROUP: have the scope made, *@path (CGROUP_PATH_MAX) is its cgroup; NULL
									     * where no foreign document comes */

	int sync[2];    /* owned; SOCK_SEQPACKET between creator [0] and init [1] */
	int ns_fds[NS_KIND_MAX_]; /* owned; namespaces that are joined by path, opened before anything is joined; -EBADF */
	bool has_own[NS_KIND_MAX_]; /* the container's namespace of that kind is not the creator's */
	int shm_ns_fd;  /* owned; mount namespace whose /dev/shm is shared (coffer_ext.shm_from), -EBADF: none */
	int caller_mnt_fd; /* owned; the caller's mount namespace where the command stays in that (caller_mounts()), else -EBADF */
	int peer_fd;    /* owned in the child alone, which closes it: the reader's end of report_fd (sandbox_start()), else -EBADF */
	int userns_fd;  /* owned; the container's user namespace, -EBADF on the host's */
	int rootfs_mnt; /* owned; detached root mount */
	struct pidref child; /* owned; init, as the creator sees it */

	/* init's own */
	int root_fd;    /* owned; the attached root, O_PATH */
	int proc_fd;    /* owned; a private procfs (R3) */
	char command[4096]; /* path that execve gets */
	struct sandbox_user user;
	char **env;     /* owned; with HOME */
	struct netdevice *netdevices; /* owned; as many as spec->n_net_devices */
	void *filter;   /* owned; compiled seccomp filter */
	size_t filter_len; /* instructions */
	uint32_t filter_flags; /* SECCOMP_FILTER_FLAG_* */
	bool filter_notify; /* it has SCMP_ACT_NOTIFY: the listener goes to @listener_path */
	char *listener_path, *listener_metadata; /* owned; NULL: none */
	int (*compile)(struct sandbox *s, struct err *err); /* linux.seccomp to @filter; NULL where no foreign document comes (keeps the compiler out of the monitor) */
};

/* A foreign document (SANDBOX_OBEY): no extension of ours, obeyed as it stands. */
static inline bool sandbox_obeys(const struct sandbox *s)
{
	return s->flags & SANDBOX_OBEY;
}

void sandbox_ctx_init(struct sandbox *s);
/** creator_rights() - what the caller of a foreign document is: fills rootless and nested. */
void creator_rights(struct sandbox *s);
/** creator_init() - a context from @args. */
void creator_init(struct sandbox *s, const struct sandbox_args *args);
/** creator_prepare() - the creator's steps up to the first that changes it. creator_finish() - the rest, with the clone. Return: 0; <0: init, if
 *  there is one, was killed. */
int creator_prepare(struct sandbox *s, struct err *err);
int creator_finish(struct sandbox *s, struct err *err);
/** creator_maps() - uid_map and gid_map of s->child, and its user namespace opened. */
int creator_maps(struct sandbox *s, struct err *err);
/** creator_joins() - whether the rest changes the creator's own namespaces for good. Valid after creator_prepare(). */
bool creator_joins(const struct sandbox *s);
/** sandbox_fail() - report @err and leave. */
_Noreturn void sandbox_fail(struct sandbox *s, const struct err *err);

/* rlimits.c */
int limits_raise(struct sandbox *s, struct err *err);   /* host side: what only host root may raise */
int limits_apply(struct sandbox *s, struct err *err);   /* in the new process, late */

/* cgroup_setup.c */
int cgroup_setup(struct sandbox *s, struct err *err);   /* creator: make the container's cgroups */
int cgroup_limits(struct sandbox *s, struct err *err);  /* creator: write their limits and the device filter */
/** cgroup_enter() - exec's creator: open the cgroups at @path and what a new process joins them by. *@ret_deeper: v2 cgroup of the first process @pid, to be tried
 *  when @path's own takes no processes; owned by the caller, -EBADF: none. */
int cgroup_enter(struct sandbox *s, const char *path, pid_t pid, int *ret_deeper, struct err *err);

/* namespaces.c: by path and of time */
int namespaces_open(struct sandbox *s, struct err *err);  /* creator, host side: what is joined by path */
int namespaces_join(struct sandbox *s, struct err *err);  /* creator, right before the clone: all but the mount namespace */
int namespaces_join_mount(struct sandbox *s, struct err *err); /* init */
int namespaces_time(struct sandbox *s, struct err *err);  /* creator: a new time namespace with its offsets, for the children */

/* attributes.c: what the kernel keeps per process and a document may ask for */
int attributes_before(struct sandbox *s, struct err *err); /* forked creator, on itself before it joins anything: oom score, scheduler, io priority, initial affinity */
int attributes_after(struct sandbox *s, struct err *err);  /* the same on s->child, where the creator is not forked */
int attributes_own(struct sandbox *s, struct err *err);   /* in the process itself: personality, memory policy, final affinity */

/* rootless.c: what an ordinary user's creator does by other means */
int rootless_maps(struct sandbox *s, struct err *err); /* uid_map and gid_map of s->child: alone, or by newuidmap and newgidmap */

/* netdevices.c: linux.netDevices */
int netdevices_read(struct sandbox *s, struct err *err);   /* creator, before the clone */
int netdevices_move(struct sandbox *s, struct err *err);   /* creator, before the handover */
int netdevices_settle(struct sandbox *s, struct err *err); /* init */

/* interfaces.c: what joins a container to its networks */
int interfaces_make(struct sandbox *s, struct err *err);   /* creator, after the clone */
int interfaces_settle(struct sandbox *s, struct err *err); /* init, with the private procfs */
/** interfaces_give() - both, to the container of process @pid that another runtime has made and not started. The calling process goes there and comes back. */
int interfaces_give(const struct coffer_ext *ext, pid_t pid, struct err *err);

/* rdt.c: linux.intelRdt */
int rdt_apply(struct sandbox *s, struct err *err); /* creator, on s->child */

/* sysctl.c */
int sysctl_apply(struct sandbox *s, struct err *err);
int sysctl_lock_userns(struct sandbox *s, struct err *err);

/* ready.c: where the new process waits for others */
int start_hooks_before_pivot(struct sandbox *s, struct err *err);
int start_wait_late(struct sandbox *s, struct err *err);  /* with no_new_privs: after the capabilities went */
int start_wait_early(struct sandbox *s, struct err *err); /* without: before the filter, which needs CAP_SYS_ADMIN to load */
int listener_load(struct sandbox *s); /* load the filter, hand its listener on. Return: 0 or -errno */

/* filter.c: linux.seccomp of a foreign document */
int filter_compile(struct sandbox *s, struct err *err);

/* rootfs.c */
int rootfs_build(struct sandbox *s, struct err *err);   /* creator: layers, overlay -> rootfs_mnt */
int rootfs_clone_dir(struct sandbox *s, const char *path, struct err *err); /* creator: one directory, shifted, to read from. Return: mount fd */
int rootfs_attach(struct sandbox *s, struct err *err);  /* init: attach it over "/" and open it */
int rootfs_options(struct sandbox *s, struct err *err); /* init: what is read-only only once everything is there */
int rootfs_enter(struct sandbox *s, struct err *err);   /* init: make it the root directory */

/* mounts.c */
int mounts_prepare(struct sandbox *s, struct err *err); /* creator: detached clones of bind sources */
int mounts_attach(struct sandbox *s, struct err *err);  /* init: everything in the plan's order */
int mounts_proc(struct sandbox *s, struct err *err);    /* init: the private procfs */
int mounts_finish(struct sandbox *s, struct err *err);  /* init: what had to be written to until now becomes read-only */

/* dev.c */
int dev_populate(struct sandbox *s, struct err *err);
int dev_console(struct sandbox *s, struct err *err);

/* masks.c */
int masks_apply(struct sandbox *s, struct err *err);
int masks_verify(struct sandbox *s, struct err *err);

/* user.c: names to ids inside the rootfs, by our own bounded reader */
int user_resolve(struct sandbox *s, struct err *err);

/* command.c */
int command_make_cwd(struct sandbox *s, struct err *err); /* when asked, as the container's root */
int command_cwd(struct sandbox *s, struct err *err);      /* enter it, as the final user */
int command_find(struct sandbox *s, struct err *err);    /* PATH lookup as the final user */
int command_exec(struct sandbox *s, struct err *err);    /* execve; returns only on failure */

/* creds.c */
int creds_become_root(struct sandbox *s, struct err *err); /* id 0 of the container's user namespace */
int creds_keyring(struct sandbox *s, struct err *err);
int creds_ids(struct sandbox *s, struct err *err);
int creds_bounding(struct sandbox *s, struct err *err);
int creds_caps(struct sandbox *s, struct err *err);
int creds_no_new_privs(struct sandbox *s, struct err *err);
int creds_landlock(struct sandbox *s, struct err *err);
int creds_filter_load(struct sandbox *s, struct err *err); /* creator: read the compiled filter */
int creds_seccomp(struct sandbox *s, struct err *err);     /* last but execve */
int creds_seccomp_early(struct sandbox *s, struct err *err); /* without no_new_privs: while CAP_SYS_ADMIN is held */

/* exec.c */
int exec_foreign_namespaces(pid_t pid, int *ret); /* CLONE_NEW* of those in which @pid differs from the caller. Return: 0 or -errno */
extern const struct step_table exec_step_tables[2];
_Noreturn void exec_create(const struct sandbox_exec_args *args, int (*compile)(struct sandbox *s, struct err *err));

/* init.c */
_Noreturn void init_main(struct sandbox *s);
extern const struct step init_steps[];
extern const size_t n_init_steps;
/** stdio_own() - by host root, once there is a plan: pipes of the standard streams become the container's root's, who alone can give them on. */
void stdio_own(const struct sandbox *s);
int step_stdio(struct sandbox *s, struct err *err);
int step_join_cgroup(struct sandbox *s, struct err *err);
int step_environment(struct sandbox *s, struct err *err);
int step_deathsig(struct sandbox *s, struct err *err);
/** signals_reset() - default dispositions, empty mask: what a fresh program expects. */
void signals_reset(void);
