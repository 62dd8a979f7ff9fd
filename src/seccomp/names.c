/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the profile format and what the kernel calls them. Pure tables and their lookups.
 */
#include <errno.h>
#include <linux/seccomp.h>

#include "seccomp/internal.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define MAX_ERRNO 4095

/* The first row of a return value is its canonical name. */
static const struct seccomp_action actions[] = {
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, 0},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, 0},
	{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, 0}, /* the old name */
	{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, 0},
	{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, MAX_ERRNO},
	{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, 0xffff},
	{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, 0},
	{"SCMP_ACT_LOG", SECCOMP_RET_LOG, 0},
	{"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF, 0},
};

static const char *const ops[] = {
	[SECCOMP_OP_NE] = "SCMP_CMP_NE", [SECCOMP_OP_LT] = "SCMP_CMP_LT", [SECCOMP_OP_LE] = "SCMP_CMP_LE",
	[SECCOMP_OP_EQ] = "SCMP_CMP_EQ", [SECCOMP_OP_GE] = "SCMP_CMP_GE", [SECCOMP_OP_GT] = "SCMP_CMP_GT",
	[SECCOMP_OP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ", [SECCOMP_OP_NOT_IN32] = NULL,
};
static_assert(ARRAY_LEN(ops) == SECCOMP_OP_MAX_, "every operator has a row");

static const char *const caps[] = {
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
	"CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
};
static_assert(ARRAY_LEN(caps) == 41, "Linux 5.9 to 6.18 have 41 capabilities");

/* Docker names architectures twice: SCMP_ARCH_* in lists, Go's names in gates. */
static const struct {
	const char *token, *goarch;
} arches[] = {
	[SECCOMP_ARCH_X86_64] = {"SCMP_ARCH_X86_64", "amd64"},
	[SECCOMP_ARCH_AARCH64] = {"SCMP_ARCH_AARCH64", "arm64"},
	[SECCOMP_ARCH_X86] = {"SCMP_ARCH_X86", "x86"},
};

static const char *const other_arches[] = {
	"SCMP_ARCH_NATIVE",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",     "SCMP_ARCH_MIPS",        "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
	"SCMP_ARCH_MIPSEL",   "SCMP_ARCH_MIPSEL64",    "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",     "SCMP_ARCH_PPC64",  "SCMP_ARCH_PPC64LE",
	"SCMP_ARCH_S390",     "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64",    "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64",
	"SCMP_ARCH_M68K",     "SCMP_ARCH_SH",          "SCMP_ARCH_SHEB",
};

static const struct {
	const char *name;
	uint32_t bit;
} flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

const struct seccomp_action *seccomp_action_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (str_eq(actions[i].name, name))
			return &actions[i];
	return NULL;
}

const char *seccomp_action_at(size_t i)
{
	return i < ARRAY_LEN(actions) ? actions[i].name : NULL;
}

const char *seccomp_action_name(uint32_t ret)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (actions[i].ret == (ret & SECCOMP_RET_ACTION_FULL))
			return actions[i].name;
	return NULL;
}

static int find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && str_eq(names[i], name))
			return (int) i;
	return -1;
}

int seccomp_op_find(const char *name)
{
	return find(ops, ARRAY_LEN(ops), name);
}

const char *seccomp_op_name(enum seccomp_op op)
{
	return ops[op];
}

int seccomp_cap_find(const char *name)
{
	return find(caps, ARRAY_LEN(caps), name);
}

const char *seccomp_cap_name(unsigned cap)
{
	return cap < ARRAY_LEN(caps) ? caps[cap] : NULL;
}

enum seccomp_arch seccomp_arch_find(const char *name, bool *ret_known)
{
	*ret_known = true;
	if (str_eq(name, "SCMP_ARCH_NATIVE"))
		return seccomp_native_arch();
	for (size_t i = 0; i < ARRAY_LEN(arches); i++)
		if (str_eq(arches[i].token, name))
			return (enum seccomp_arch) i;
	*ret_known = find(other_arches, ARRAY_LEN(other_arches), name) >= 0;
	return SECCOMP_ARCH_INVALID_;
}

const char *seccomp_arch_at(size_t i)
{
	return i < ARRAY_LEN(arches) ? arches[i].token : NULL;
}

const char *seccomp_arch_token(enum seccomp_arch arch)
{
	return arches[arch].token;
}

enum seccomp_arch seccomp_goarch_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(arches); i++)
		if (str_eq(arches[i].goarch, name) || str_eq(seccomp_arch_name((enum seccomp_arch) i), name))
			return (enum seccomp_arch) i;
	return SECCOMP_ARCH_INVALID_;
}

const char *seccomp_goarch_name(enum seccomp_arch arch)
{
	return arches[arch].goarch;
}

int seccomp_errno_find(const char *name)
{
	for (int e = 1; e <= EHWPOISON; e++)
		if (str_eq(strerrorname_np(e), name))
			return e;
	return -1;
}

uint32_t seccomp_flag_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (str_eq(flags[i].name, name))
			return flags[i].bit;
	return 0;
}

const char *seccomp_flag_name(size_t i, uint32_t *ret_bit)
{
	if (i >= ARRAY_LEN(flags))
		return NULL;
	*ret_bit = flags[i].bit;
	return flags[i].name;
}
