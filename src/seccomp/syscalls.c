/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/syscalls.h"

#include <linux/audit.h>
#include <string.h>

struct row {
	const char *name;
	int16_t nr[SECCOMP_ARCH_MAX_];
};

static const struct row rows[] = {
#define SYSCALL(name, x86_64, aarch64, x86) {#name, {x86_64, aarch64, x86}},
#include "seccomp/syscalls.inc"
#undef SYSCALL
};

static const struct {
	const char *name;
	uint32_t audit;
} arches[] = {
    [SECCOMP_ARCH_X86_64] = {"x86_64", AUDIT_ARCH_X86_64},
    [SECCOMP_ARCH_AARCH64] = {"aarch64", AUDIT_ARCH_AARCH64},
    [SECCOMP_ARCH_X86] = {"x86", AUDIT_ARCH_I386},
};
static_assert(ARRAY_LEN(arches) == SECCOMP_ARCH_MAX_, "every architecture has a row");

enum seccomp_arch seccomp_native_arch(void)
{
#if defined(__x86_64__)
	return SECCOMP_ARCH_X86_64;
#elif defined(__aarch64__)
	return SECCOMP_ARCH_AARCH64;
#else
#error "no system call table for this architecture: add a column to syscalls.inc"
#endif
}

const char *seccomp_arch_name(enum seccomp_arch arch)
{
	return arches[arch].name;
}

uint32_t seccomp_arch_audit(enum seccomp_arch arch)
{
	return arches[arch].audit;
}

static int row_cmp(const void *name, const void *row)
{
	return strcmp(name, ((const struct row *) row)->name);
}

static const struct row *row_find(const char *name)
{
	return bsearch(name, rows, ARRAY_LEN(rows), sizeof(rows[0]), row_cmp);
}

int syscall_number(enum seccomp_arch arch, const char *name)
{
	const struct row *r = row_find(name);
	return r ? r->nr[arch] : -1;
}

bool syscall_is_known(const char *name)
{
	return row_find(name) != NULL;
}

const char *syscall_name(enum seccomp_arch arch, int nr)
{
	for (size_t i = 0; nr >= 0 && i < ARRAY_LEN(rows); i++)
		if (rows[i].nr[arch] == nr)
			return rows[i].name;
	return NULL;
}

int syscall_highest(enum seccomp_arch arch)
{
	int max = -1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		max = MAX(max, rows[i].nr[arch]);
	return max;
}

const char *syscall_row_name(size_t i)
{
	return i < ARRAY_LEN(rows) ? rows[i].name : NULL;
}
