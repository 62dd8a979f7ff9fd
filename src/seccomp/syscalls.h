/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own system call tables: name <-> number for each architecture that a filter can be compiled for. Carried here, not taken
 * from <sys/syscall.h>, so that a profile means the same on every build host and knows calls newer than its headers.
 */
#pragma once

#include "base/macro.h"

enum seccomp_arch {
	SECCOMP_ARCH_X86_64,
	SECCOMP_ARCH_AARCH64,
	SECCOMP_ARCH_X86, /* 32-bit calls on an x86_64 kernel: only as a sub-architecture */
	SECCOMP_ARCH_MAX_,
	SECCOMP_ARCH_INVALID_ = -1,
};

#define SECCOMP_X32_BIT 0x40000000u /* marks an x32 call within AUDIT_ARCH_X86_64 */

/** seccomp_native_arch() - the architecture this program was built for. */
enum seccomp_arch seccomp_native_arch(void);
/** seccomp_arch_name() - "x86_64", "aarch64", "x86". */
const char *seccomp_arch_name(enum seccomp_arch arch);
/** seccomp_arch_audit() - AUDIT_ARCH_* as seccomp_data.arch shows it. */
uint32_t seccomp_arch_audit(enum seccomp_arch arch);

/** syscall_number() - Return: number of @name on @arch, or -1: not a call of @arch (or not known to this version). */
int syscall_number(enum seccomp_arch arch, const char *name);
/** syscall_name() - Return: name of number @nr on @arch, or NULL. */
const char *syscall_name(enum seccomp_arch arch, int nr);
/** syscall_highest() - the newest number known on @arch; anything above it came with a kernel younger than this table. */
int syscall_highest(enum seccomp_arch arch);
/** syscall_is_known() - @name is in the table for some architecture. */
bool syscall_is_known(const char *name);
/** syscall_row_name() - name of table row @i (sorted), NULL past the end: for tests and for walking the table. */
const char *syscall_row_name(size_t i);
