/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done to a container through its cgroups once it is there: change its limits, freeze it, count and signal its processes, read what it
 * has used, hear of its OOM kills, and take the cgroups away. For coffer-oci's commands and the engine.
 *
 * @cgroup_path is what sandbox_started.cgroup_path held ("" for a container without cgroups: the calls then fail with ERR_UNSUPPORTED, or have
 * nothing to do where that is said). It is to be kept as it is: a path from each hierarchy's root, or several lines of them. @flags: the same
 * enum sandbox_flags as at the start (SANDBOX_SYSTEMD_CGROUP matters). Context of all: host side, no other thread of the program changes
 * the cgroup; nothing here stays half-done without an error.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "kernel/cgroup_stats.h"
#include "spec/runtime.h"

/** sandbox_update() - write the limits of @r that are set (has_*, non-NULL, non-empty lists) over those in force. Memory and swap are written in the order that the kernel
 *  takes: swap first when it grows. devices, when there are any, replace the whole filter. With SANDBOX_SYSTEMD_CGROUP the scope's properties follow.
 *  Return: 0; ERR_INVALID or ERR_UNSUPPORTED naming the field ("linux.resources.memory.limit"); what was written before the one that failed stays. */
int sandbox_update(const char *cgroup_path, unsigned flags, const struct resources_spec *r, struct err *err);

/** sandbox_has_limit() - whether this kernel has the limit @field of linux.resources ("memory.swappiness") for the cgroups below @parent ("coffer/local"), which is made
 *  when it is missing. Return: 1, 0, <0 with @err. */
int sandbox_has_limit(const char *parent, const char *field, struct err *err);

/** sandbox_pause() - freeze every process in it and wait until all are (at most 10 s, then thawed again and ERR_SYSTEM). Frozen already: 0. */
int sandbox_pause(const char *cgroup_path, unsigned flags, struct err *err);
/** sandbox_resume() - thaw. Return: 0 (also when it was not frozen). */
int sandbox_resume(const char *cgroup_path, unsigned flags, struct err *err);
/** sandbox_is_paused() - Return: 1 frozen, 0 not (also without cgroups), <0 with @err. */
int sandbox_is_paused(const char *cgroup_path, unsigned flags, struct err *err);

/** sandbox_pids() - every process in it and in cgroups below it, as the caller's pid namespace numbers them, ascending, each once.
 *  *@ret: caller frees; may be NULL when there is none. A cgroup that is gone has none. Return: 0 or <0 with @err. */
int sandbox_pids(const char *cgroup_path, unsigned flags, pid_t **ret, size_t *ret_n, struct err *err);
/** sandbox_kill_all() - send @sig to every process in it. SIGKILL also reaches those that are being forked and those that are frozen.
 *  Return: 0 (also when there was none); <0 with @err. Does not wait for their end. */
int sandbox_kill_all(const char *cgroup_path, unsigned flags, int sig, struct err *err);

/** sandbox_stats() - what it has used. *@ret: to be released with cgroup_stats_done() in any case. Return: 0; ERR_NOT_FOUND when the cgroup is gone. */
int sandbox_stats(const char *cgroup_path, unsigned flags, struct cgroup_stats *ret, struct err *err);

/** sandbox_account() - have everything accounted that sandbox_stats() shows: CPU time and block I/O are not from the start where that would cost the start something. Counters
 *  begin at 0 then. Return: 0 (also where this host cannot); ERR_NOT_FOUND when the cgroup is gone. */
int sandbox_account(const char *cgroup_path, struct err *err);

/** sandbox_oom_watch() - a descriptor that polls readable (POLLIN) after an OOM in the container's memory cgroup and when the cgroup is removed.
 *  Return: fd, owned by the caller, non-blocking; <0 with @err. v1: eventfd on memory.oom_control; v2: inotify on memory.events. */
int sandbox_oom_watch(const char *cgroup_path, unsigned flags, struct err *err);
/** sandbox_oom_next() - take what made @fd readable. *@seen: the caller's counter between calls, 0 at first. Return: 1 an OOM happened, 0 nothing
 *  new, -ENOENT the cgroup is gone (end of the watch), other <0: -errno. */
int sandbox_oom_next(const char *cgroup_path, unsigned flags, int fd, uint64_t *seen);

/** sandbox_remove() - kill what is left and remove the cgroups; a scope of systemd's is stopped as well. Idempotent; "" has nothing to do. sandbox_cleanup()
 *  is this without flags. Return: 0 or <0 with @err. */
int sandbox_remove(const char *cgroup_path, unsigned flags, struct err *err);
