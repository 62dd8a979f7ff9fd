/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: clone3, pidfds, /proc/PID facts. A process is {pid, pidfd}; a bare pid is only trusted together with its start ticks.
 * clone3 is for single-threaded programs only (STYLE 18).
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

struct pidref {
	pid_t pid;
	int fd; /* owned; -EBADF: none */
};
#define PIDREF_NULL ((struct pidref) {.pid = 0, .fd = -EBADF})

/** process_clone() - clone3 with @flags (CLONE_NEW*, CLONE_PARENT, ...; CLONE_PIDFD is added). @cgroup_fd: CLONE_INTO_CGROUP when >= 0.
 *  Return: child's pid in the parent with *@ret filled, 0 in the child, -errno. Linux >= 5.7. */
pid_t process_clone(uint64_t flags, int cgroup_fd, struct pidref *ret);
/** pidfd_open_() - Return: pidfd or -errno (-ESRCH: gone). */
int process_pidfd(pid_t pid);
/** process_kill() - signal by pidfd. */
int process_kill(int pidfd, int sig);
/** process_wait() - reap by pid. Return: 0 and *@ret_status as waitpid(2), or -errno. */
int process_wait(pid_t pid, int *ret_status);
/** proc_start_ticks() - field 22 of /proc/PID/stat. Return: 0 or -errno (-ESRCH: gone). Source: proc(5). */
int proc_start_ticks(pid_t pid, uint64_t *ret);
/** proc_is() - whether @pid still is the process that started at @ticks (zombies count as gone). */
bool proc_is(pid_t pid, uint64_t ticks);
/** proc_status_field() - value of "Key:" in /proc/PID/status text, copied and trimmed. Return: 0, -ENOENT. */
int proc_status_field(const char *status, const char *key, char *buf, size_t size);
/** exit_code_from_status() - waitpid status -> 0..255 or 128 + signal. */
int exit_code_from_status(int status);
