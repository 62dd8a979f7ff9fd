/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile to classic BPF, our own compiler. The program checks the architecture, then finds the call's number in a balanced
 * tree over runs of numbers with one verdict, then compares arguments where a rule asks for it, always as 64 bits in two
 * halves. The output is a pure function of its inputs, byte for byte.
 *
 * What no rule of a profile can change:
 *  C1 a call through another architecture's entry (int 0x80 on x86_64) kills the process; when the profile lists that
 *     architecture but SECCOMP_ENV_ALLOW_SUBARCHES is off, it gets ENOSYS instead
 *  C2 an x32 call (SECCOMP_X32_BIT) gets ENOSYS, as from a kernel without x32; the default verdict when that kills
 *  C3 a number above the newest known one gets ENOSYS when the default verdict is another errno, else the default verdict:
 *     C libraries probe new calls and take EPERM for an answer (runc #2737)
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "seccomp/profile.h"

struct sock_filter;

enum {
	/* CAP_SYS_ADMIN counts in includes.caps and excludes.caps. Without it a profile is read as if the capability were not held:
	 * a user namespace hands CAP_SYS_ADMIN out for free, and docker's gate would open mount, bpf, setns and two dozen more */
	SECCOMP_ENV_SYS_ADMIN_UNLOCKS = 1 << 0,
	/* Let the 32-bit entry in when the profile lists SCMP_ARCH_X86. Off by default even for profiles that list it (docker's own
	 * does): socketcall and ipc pass their arguments behind a pointer, so an argument rule on socket (AF_ALG, AF_VSOCK) would
	 * not hold there. x32 and 32-bit arm stay shut in any case: there is no table for them */
	SECCOMP_ENV_ALLOW_SUBARCHES = 1 << 1,
	/* SCMP_ACT_NOTIFY is compiled: the caller loads the filter with SECCOMP_FILTER_FLAG_NEW_LISTENER and hands the listener on */
	SECCOMP_ENV_ALLOW_NOTIFY = 1 << 2,
};

struct seccomp_env {
	enum seccomp_arch arch;
	uint64_t caps; /* the container's bounding set; bit = capability number */
	uint16_t kernel_major, kernel_minor;
	uint32_t flags; /* SECCOMP_ENV_* */
};

struct seccomp_program {
	struct sock_filter *insn; /* owned */
	size_t n;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* that the profile asks for */
};

/** seccomp_env_init() - this machine: native architecture, running kernel's version; no capability, no flag. */
void seccomp_env_init(struct seccomp_env *env);
/** seccomp_profile_notifies() - whether @p has SCMP_ACT_NOTIFY anywhere. */
bool seccomp_profile_notifies(const struct seccomp_profile *p);
/** seccomp_compile() - compile @p for @env. Return: 0 with *@ret (seccomp_program_done); ERR_UNSUPPORTED for SCMP_ACT_NOTIFY without
 *  SECCOMP_ENV_ALLOW_NOTIFY; *  ERR_INVALID when it comes to more than 4096 instructions. */
int seccomp_compile(const struct seccomp_profile *p, const struct seccomp_env *env, struct seccomp_program *ret, struct err *err);
/** seccomp_compile_allow() - a filter for a helper process of ours: @names (NULL-terminated) are allowed, anything else gets
 *  @else_ret (SECCOMP_RET_*). Names that this architecture lacks are skipped; a name that none has is ERR_INVALID. */
int seccomp_compile_allow(const char *const *names, uint32_t else_ret, struct seccomp_program *ret, struct err *err);
/** seccomp_profile_write_oci() - @p as a linux.seccomp object for another runtime: gates are resolved for @env, rules that do not count left out. */
int seccomp_profile_write_oci(const struct seccomp_profile *p, const struct seccomp_env *env, struct strbuf *out, struct err *err);
void seccomp_program_done(struct seccomp_program *p);
#define _cleanup_seccomp_program_ _cleanup_(seccomp_program_done)
