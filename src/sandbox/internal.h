/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the sandbox room: the context that creator, init and exec carry from step to step, and the prototypes between
 * the room's files. The context is plain memory: init gets a copy by clone3, so nothing in it is shared after the clone.
 */
#pragma once

#include "kernel/cgroup.h"
#include "kernel/process.h"
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

struct sandbox {
	const char *fail_step; /* borrowed */
	bool is_exec;          /* one more process in a running container */
	int bundle_fd;         /* borrowed */
	int report_fd;         /* owned */
	int stdio[3];          /* owned; -EBADF with a terminal */
	int trace_fd;          /* -EBADF: no trace */

	struct runtime_spec *spec; /* owned; the container's document */
	const struct process_spec *process; /* borrowed: the one to run */
	const struct coffer_ext *ext;       /* borrowed */
	struct plan plan;

	struct cgroup cgroup;
	int join_fds[CG_CONTROLLER_MAX_]; /* owned; v1 `tasks` files that the new process writes "0" to */
	int n_join;

	int sync[2];    /* owned; SOCK_SEQPACKET between creator [0] and init [1] */
	int userns_fd;  /* owned; the container's user namespace, -EBADF on the host's */
	int rootfs_mnt; /* owned; detached root mount */
	struct pidref child; /* owned; init, as the creator sees it */

	/* init's own */
	int root_fd;    /* owned; the attached root, O_PATH */
	int proc_fd;    /* owned; a private procfs (R3) */
	char command[4096]; /* path that execve gets */
	struct sandbox_user user;
	char **env;     /* owned; with HOME */
	void *filter;   /* owned; compiled seccomp filter */
	size_t filter_len; /* instructions */
};

void sandbox_ctx_init(struct sandbox *s);
/** sandbox_fail() - report @err and leave. */
_Noreturn void sandbox_fail(struct sandbox *s, const struct err *err);

/* limits.c */
int limits_raise(struct sandbox *s, struct err *err);   /* host side: what only host root may raise; oom score */
int limits_apply(struct sandbox *s, struct err *err);   /* in the new process, late */
int limits_cgroup(struct sandbox *s, struct err *err);  /* write the cgroup's knobs */

/* rootfs.c */
int rootfs_build(struct sandbox *s, struct err *err);   /* creator: layers, overlay -> rootfs_mnt */
int rootfs_attach(struct sandbox *s, struct err *err);  /* init: attach it over "/" and open it */

/* mounts.c */
int mounts_prepare(struct sandbox *s, struct err *err); /* creator: detached clones of bind sources */
int mounts_attach(struct sandbox *s, struct err *err);  /* init: everything in the plan's order */
int mounts_proc(struct sandbox *s, struct err *err);    /* init: the private procfs */

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

/* init.c */
_Noreturn void init_main(struct sandbox *s);
extern const struct step init_steps[];
extern const size_t n_init_steps;
int step_stdio(struct sandbox *s, struct err *err);
int step_join_cgroup(struct sandbox *s, struct err *err);
int step_environment(struct sandbox *s, struct err *err);
int step_deathsig(struct sandbox *s, struct err *err);
/** signals_reset() - default dispositions, empty mask: what a fresh program expects. */
void signals_reset(void);
