/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: the name tables of the profile format. */
#pragma once

#include "seccomp/compile.h"
#include "seccomp/profile.h"

struct seccomp_action {
	const char *name;
	uint32_t ret;
	uint32_t data_max; /* largest errnoRet; 0: the action takes none */
};

/** seccomp_action_find() - by profile name, NULL when unknown. */
const struct seccomp_action *seccomp_action_find(const char *name);
/** seccomp_op_find() - by profile name, or -1. */
int seccomp_op_find(const char *name);
/** seccomp_cap_find() - capability number by name ("CAP_..."), or -1. */
int seccomp_cap_find(const char *name);
/** seccomp_arch_find() - "SCMP_ARCH_X86_64", or -1 for one we have no table of. @ret_known: libseccomp has such a name. */
enum seccomp_arch seccomp_arch_find(const char *name, bool *ret_known);
/** seccomp_arch_token() - "SCMP_ARCH_X86_64". */
const char *seccomp_arch_token(enum seccomp_arch arch);
/** seccomp_goarch_find() - an entry of includes.arches ("amd64"), or -1 for another architecture's. */
enum seccomp_arch seccomp_goarch_find(const char *name);
const char *seccomp_goarch_name(enum seccomp_arch arch);
/** seccomp_rule_counts() - whether @r's gates are open in @env. */
bool seccomp_rule_counts(const struct seccomp_rule *r, const struct seccomp_env *env, enum seccomp_arch arch);
/** seccomp_errno_find() - "EPERM" to its number, or -1. */
int seccomp_errno_find(const char *name);
/** seccomp_flag_find() - "SECCOMP_FILTER_FLAG_LOG" to its bit, or 0. */
uint32_t seccomp_flag_find(const char *name);
