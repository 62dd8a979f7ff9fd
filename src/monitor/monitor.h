/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: one small single-threaded process per container. It is the parent and reaper of the container's init and of
 * every exec, owns their stdio, writes the log, serves attach, and records how things ended. src/monitor/proto.h says how
 * it is talked to. It knows the sandbox only as function pointers, since rooms of one level do not see each other.
 *
 * The container's life hangs on the monitor's: the sandbox sets PR_SET_PDEATHSIG, and a container that another runtime made has a guard
 * (guard.c), so a monitor that is killed takes its container along. Terminal signals and SIGTERM are ignored; a container is killed through MONITOR_KILL.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

struct monitor_create_args {
	int bundle_fd; /* borrowed */
	int report_fd; /* owned by the child; base/report.h */
	int lock_fd;   /* borrowed; the container's lock, for as long as the child is at it; init does not get it; -EBADF */
	int stdio[3];  /* owned by the child; -EBADF with a terminal */
	const char *fail_step; /* NULL: none */
	bool foreign;          /* MONITOR_FOREIGN */
};

struct monitor_exec_args {
	int bundle_fd;         /* borrowed */
	const char *exec_file; /* name of the document in the bundle */
	int pidfd;             /* borrowed; the container's init */
	pid_t pid;             /* its pid; it is our unreaped child, so the number is certain */
	int report_fd;         /* as above */
	int stdio[3];          /* as above */
	bool foreign;          /* as above */
};

struct monitor_ops {
	/** create() - be the creator of the container, in a forked child; never returns. It makes init with CLONE_PARENT. */
	void (*create)(void *ctx, const struct monitor_create_args *args);
	/** exec() - be the creator of one more process, in a forked child; never returns. */
	void (*exec)(void *ctx, const struct monitor_exec_args *args);
	/** oom_killed() - 1: the cgroup counted an OOM kill; 0 or -errno otherwise. May be NULL. */
	int (*oom_killed)(const char *cgroup_path);
	/** is_paused() - 1: the cgroup is frozen; 0 or -errno otherwise. May be NULL. */
	int (*is_paused)(const char *cgroup_path);
	/** kill_session() - SIGKILL to @leader, its descendants, and every process of the cgroup in its session. May be NULL. */
	void (*kill_session)(const char *cgroup_path, pid_t leader);
	void *ctx;
	char *title; /* what ps shows: the short id is written there once it is known; as many bytes, or NULL */
};

/** monitor_run() - be the monitor, its first connection being @sock (owned). Return: the exit status of the program; does not return when it
 *  becomes the reaper. Context: the only thread; every descriptor above 2 but @sock is closed. */
int monitor_run(const struct monitor_ops *ops, int sock);
