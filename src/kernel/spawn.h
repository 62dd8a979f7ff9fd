/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting another program from a threaded one: posix_spawn(3) only (STYLE 18). The child gets exactly the descriptors of the table,
 * default signal dispositions, an empty signal mask and a process group of its own.
 */
#pragma once

#include "kernel/process.h"

struct spawn_fd {
	int from, to; /* borrowed; number in the child */
};

/** spawn_program() - start @path with @argv and @envp. @fds: the child's whole table; nothing else stays open from 3 on (numbers 0-2 that are not
 *  in the table are inherited). Return: 0 with *@ret {pid, pidfd}, to be reaped by process_wait(); -errno (also the exec's). */
int spawn_program(const char *path, char *const argv[], char *const envp[], const struct spawn_fd *fds, size_t n, struct pidref *ret);
