/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime: from a bundle to a confined process. Called only in a forked, single-threaded child (the "creator"):
 * of the monitor, or of coffer-oci. The creator parses config.json, plans, prepares cgroups and mounts as host root, makes
 * the container's init with clone3(CLONE_PARENT), so that init is a child of the creator's *parent*, hands init its mounts
 * and leaves. Init builds its root, drops what it must and execs.
 *
 *   parent (monitor)            creator                          init
 *     fork ------------------>  read, check, plan
 *                               cgroups, rlimits
 *                               clone3 ----------------------->  wait for maps
 *     <- REPORT_PID ---------   maps ------------------------->  cgroups, own root, hostname, lo; wait for mounts
 *                               layers, volumes
 *                               fds -------------------------->  mounts, masks, pivot
 *     (reap creator)            _exit(0)                          tty
 *     <- REPORT_CONSOLE + fd  ------------------------------------
 *                                                                ids, caps, landlock, seccomp, execve
 *     <- EOF on the report socket: execve succeeded
 *     <- REPORT_FAILED + err: it did not; creator/init have left or are about to
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/report.h"

struct sandbox_args {
	int bundle_fd; /* borrowed; directory with config.json */
	int report_fd; /* owned; SOCK_SEQPACKET, CLOEXEC; its EOF means "exec'ed" */
	int stdio[3];  /* owned; the container's ends; ignored when process.terminal (then the pty is made inside) */
	const char *fail_step; /* fault injection: the named step fails with EIO; NULL: none */
};

/** sandbox_create() - be the creator. Never returns; exits 0 when init was handed everything, 1 after REPORT_FAILED.
 *  Context: forked child of a single-threaded program, host root. Linux >= 6.1. */
_Noreturn void sandbox_create(const struct sandbox_args *args);

struct sandbox_exec_args {
	int bundle_fd;   /* borrowed; the container's bundle */
	const char *exec_file; /* name of the exec document in the bundle */
	int pidfd;       /* borrowed; the container's init */
	int pid;         /* its pid, verified against @pidfd by the caller */
	int report_fd;   /* owned; as above */
	int stdio[3];    /* owned; as above */
};

/** sandbox_exec() - be the creator of one more process in a running container: same namespaces, cgroups, filter and
 *  never more privilege than the document says. Never returns; reports as sandbox_create(). */
_Noreturn void sandbox_exec(const struct sandbox_exec_args *args);

/** sandbox_cleanup() - remove the container's cgroups, killing what is left in them. Idempotent. @cgroup_path as in the spec.
 *  Return: 0 or -errno with @err. Context: host side. */
int sandbox_cleanup(const char *cgroup_path, struct err *err);

/** sandbox_oom_killed() - whether the container's memory cgroup counted an OOM kill. Return: 1, 0, -errno when unknowable. */
int sandbox_oom_killed(const char *cgroup_path);
