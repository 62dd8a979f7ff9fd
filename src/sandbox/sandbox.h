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
#include "kernel/process.h"

/* How a foreign caller (coffer-oci) differs from our engine. */
enum sandbox_flags {
	SANDBOX_OBEY = 1 << 0,         /* a foreign document: exactly what it says, none of our defaults, errors for what we cannot do */
	SANDBOX_NO_PIVOT = 1 << 1,     /* --no-pivot: MS_MOVE and chroot, for a root on rootfs (initramfs) */
	SANDBOX_KEEP_KEYRING = 1 << 2, /* --no-new-keyring */
	SANDBOX_SYSTEMD_CGROUP = 1 << 3, /* cgroupsPath is "SLICE:PREFIX:NAME", made by systemd */
	SANDBOX_NO_CGROUP = 1 << 4,    /* --cgroup-manager disabled */
	SANDBOX_ROOTLESS = 1 << 5,     /* the caller is not host root: what needs it is done by newuidmap, by init, or not at all */
};

struct process_spec;
struct runtime_spec;

struct sandbox_args {
	int bundle_fd; /* borrowed; directory with config.json */
	const char *config_file; /* borrowed; name in the bundle; NULL: "config.json" */
	struct runtime_spec *spec; /* borrowed; sandbox_start(): the document, parsed already, perhaps edited; NULL: read it from the bundle */
	unsigned flags; /* enum sandbox_flags */
	const char *id, *bundle; /* borrowed; for the state that hooks read; NULL with the engine */
	int start_fd;  /* owned; listening SOCK_SEQPACKET unix socket on which init accepts one connection and reads one byte before it goes on to the
			* command (OCI create and start); that connection then carries its reports (sandbox_go()); <= 0: goes on at once */
	int lock_fd;   /* borrowed; a descriptor whose lock the new process must not keep alive; <= 0: none */
	unsigned preserve_fds; /* --preserve-fds: descriptors 3 .. 3+N-1 stay open in the command */
	int report_fd; /* owned; SOCK_SEQPACKET, CLOEXEC; its EOF means "exec'ed" */
	int stdio[3];  /* owned; the container's ends; -EBADF: the caller's own 0, 1, 2; ignored when process.terminal (then the pty is made inside) */
	const char *fail_step; /* fault injection: the named step fails with EIO; NULL: none */
};

/** sandbox_create() - be the creator. Never returns; exits 0 when init was handed everything, 1 after REPORT_FAILED.
 *  Context: forked child of a single-threaded program, host root. Linux >= 6.1. */
_Noreturn void sandbox_create(const struct sandbox_args *args);

/* What sandbox_start() and sandbox_exec_start() leave behind. */
struct sandbox_started {
	struct pidref init; /* owned; our own child (of the caller) */
	int wait_fd;        /* owned; where init waits for sandbox_proceed(); closed without it, init leaves */
	bool waits;         /* it will wait again, on start_fd */
	int console_fd;     /* owned; the terminal's master when process.terminal, else -EBADF */
	char cgroup_path[512]; /* below each hierarchy's root, as sandbox_cleanup() takes it; "": none */
	bool systemd; /* the cgroup is a scope of systemd's */
};

/** sandbox_start() - a container for a caller that stays itself (coffer-oci): the caller is the creator, or forks one where namespaces are joined by path;
 *  init is the caller's child. @args->report_fd is ignored: this call reads the reports itself, runs prestart and createRuntime hooks in the caller's namespaces
 *  when init stands before its pivot, and takes the terminal. It returns when everything is made and checked and init waits for sandbox_proceed(). Return: 0 with *@ret; <0 with @err (ERR_CMD_NOT_FOUND, ERR_CMD_DENIED for the command itself): init is killed and reaped, its cgroup removed.
 *  Context: single-threaded; SIGCHLD not ignored. */
int sandbox_start(const struct sandbox_args *args, struct sandbox_started *ret, struct err *err);

/** sandbox_proceed() - the caller has written down that the container is there: init goes on, to wait on start_fd or to its command; then this returns when the command
 *  was exec'ed. A caller that dies before this takes init with it, so that no process is ever without a record. Return: 0; <0 as sandbox_go(): @s->init is the caller's
 *  to kill and reap. */
int sandbox_proceed(struct sandbox_started *s, struct err *err);

/** sandbox_seal() - before anything else is done for a container with @spec, or in it: where somebody inside might write this program's file, start the
 *  program anew, with the same arguments, from a read-only mount or a sealed copy of it (CVE-2019-5736). Open descriptors that are not close-on-exec
 *  are kept. Return: 0 when there is nothing to do, or it was done; <0. Context: single-threaded, a program that may simply run again from its start. */
int sandbox_seal(const struct runtime_spec *spec, struct err *err);

/** sandbox_go() - OCI start: connect to @sock_path (the address that start_fd listens on), let init go on, and wait until the command was exec'ed.
 *  Return: 0; <0 what init says (startContainer hook, seccomp, execve), ERR_NOT_FOUND when nobody listens. */
int sandbox_go(const char *sock_path, struct err *err);
void sandbox_started_done(struct sandbox_started *s);

struct sandbox_exec_args {
	int bundle_fd;   /* borrowed; the container's bundle */
	const char *config_file; /* borrowed; NULL: "config.json" */
	struct runtime_spec *spec; /* borrowed; sandbox_exec_start(): the container's document, parsed; NULL: read config_file */
	const struct process_spec *process; /* borrowed; sandbox_exec_start(): the process to run; NULL: read exec_file */
	const char *id, *bundle; /* borrowed; as in sandbox_args */
	unsigned flags;  /* enum sandbox_flags */
	const char *cgroup_path; /* borrowed; NULL: as the container's document says */
	unsigned preserve_fds;
	const char *exec_file; /* name of the exec document in the bundle */
	int pidfd;       /* borrowed; the container's init */
	int pid;         /* its pid, verified against @pidfd by the caller */
	int report_fd;   /* owned; as above */
	int stdio[3];    /* owned; as above */
	const char *fail_step; /* as above */
};

/** sandbox_exec() - be the creator of one more process in a running container: same namespaces, cgroups, filter and
 *  never more privilege than the document says. Never returns; reports as sandbox_create(). */
_Noreturn void sandbox_exec(const struct sandbox_exec_args *args);
/** sandbox_exec_start() - the same from a process that stays itself: forks the creator, waits until the command was exec'ed or failed. @args->report_fd is
 *  ignored. *@ret: the new process, the caller's child; cgroup_path is left empty. */
int sandbox_exec_start(const struct sandbox_exec_args *args, struct sandbox_started *ret, struct err *err);

/** sandbox_cleanup() - remove the container's cgroups, killing what is left in them. Idempotent. @cgroup_path as in the spec.
 *  Return: 0 or -errno with @err. Context: host side. */
int sandbox_cleanup(const char *cgroup_path, struct err *err);

/** sandbox_oom_killed() - whether the container's memory cgroup counted an OOM kill. Return: 1, 0, -errno when unknowable. */
int sandbox_oom_killed(const char *cgroup_path);
/** sandbox_frozen() - whether the container is paused. Return: 1, 0, -errno when unknowable. */
int sandbox_frozen(const char *cgroup_path);
/** sandbox_kill_session() - SIGKILL to @leader, a child of the caller that it has not reaped, its descendants, and every process of the container in its
 *  session. */
void sandbox_kill_session(const char *cgroup_path, pid_t leader);
