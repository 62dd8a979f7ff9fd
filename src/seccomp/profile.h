/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp profile as data: what docker's profile JSON and the OCI linux.seccomp object say, before it is compiled for one
 * architecture and capability set (seccomp/compile.h). Verdicts are kept as the kernel's return values
 * (SECCOMP_RET_ACTION | data), so that two verdicts are equal exactly when their numbers are.
 *
 * Meaning, as runc with libseccomp gives it:
 *  M1 the conditions of a rule are ANDed; when two of them name the same argument, each is a rule of its own (ORed)
 *  M2 several rules for one call are ORed; the first one that matches, in the document's order, decides
 *  M3 a rule without conditions beats all conditional rules of its call; the first such rule counts
 *  M4 a rule whose verdict equals the default says nothing and is dropped
 *  M5 a name that an architecture does not have is skipped
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "seccomp/syscalls.h"

#define SECCOMP_PROFILE_MAX_BYTES (1u << 20)
#define SECCOMP_RULES_MAX 2048
#define SECCOMP_NAMES_MAX 16384 /* over all rules */
#define SECCOMP_CONDS_MAX 64 /* a rule */
#define SECCOMP_ARGS 6 /* of a system call */

enum seccomp_op {
	SECCOMP_OP_NE,
	SECCOMP_OP_LT,
	SECCOMP_OP_LE,
	SECCOMP_OP_EQ,
	SECCOMP_OP_GE,
	SECCOMP_OP_GT,
	SECCOMP_OP_MASKED_EQ, /* (arg & value) == value2 */
	SECCOMP_OP_NOT_IN32, /* the low 32 bits are neither value nor value2: for arguments that the kernel truncates to int, where
			      * NE would be passed by any high bit (CVE-2019-10063). Ours alone; in JSON it is spelt out in MASKED_EQ rules
			      */
	SECCOMP_OP_MAX_,
};

struct seccomp_cond {
	uint8_t arg; /* 0..5 */
	uint8_t op; /* enum seccomp_op */
	uint64_t value, value2;
};

/* When a rule counts: docker's includes and excludes. */
struct seccomp_gate {
	uint64_t caps; /* bit = capability number */
	uint32_t arches; /* bit = enum seccomp_arch */
	bool has_arches; /* a list was given; it may name only architectures we do not know */
	bool has_kernel;
	uint16_t kernel_major, kernel_minor;
};

struct seccomp_rule {
	const char *const *names; /* NULL-terminated; owned unless the profile is static */
	uint32_t ret; /* SECCOMP_RET_* with its data */
	const struct seccomp_cond *conds; /* owned unless static */
	size_t n_conds;
	bool any; /* conditions are alternatives (M1) */
	struct seccomp_gate includes, excludes;
};

struct seccomp_profile {
	uint32_t default_ret;
	uint32_t arches; /* bit = enum seccomp_arch: listed by name or through archMap; the native one always counts */
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* asked for */
	const struct seccomp_rule *rules; /* owned unless static */
	size_t n_rules;
	char *listener_path, *listener_metadata; /* owned; NULL: none */
};

/** seccomp_profile_parse() - read docker's profile or an OCI linux.seccomp object; they differ in a few keys and both sets are taken.
 *  Unknown keys with a value are refused: a misspelt "excludes" must not widen a filter. @what: names the document in errors.
 *  Return: 0 with *@ret owned by the caller; ERR_INVALID naming field and value. */
int seccomp_profile_parse(const char *text, size_t len, const char *what, struct seccomp_profile **ret, struct err *err);
/** seccomp_profile_parse_oci() - the linux.seccomp object of a runtime document: there unknown keys are ignored (runtime-spec config.md "Extensibility"). */
int seccomp_profile_parse_oci(const char *text, size_t len, const char *what, struct seccomp_profile **ret, struct err *err);
struct seccomp_profile *seccomp_profile_free(struct seccomp_profile *p);
void seccomp_profile_freep(struct seccomp_profile **p);
#define _cleanup_seccomp_profile_ _cleanup_(seccomp_profile_freep)

/** seccomp_profile_write() - @p in docker's JSON form; what parses back compiles to equal verdicts. Return: 0 or -errno. */
int seccomp_profile_write(const struct seccomp_profile *p, struct strbuf *out, struct err *err);

/** seccomp_profile_default() - our default profile (static; never freed). Its version is SECCOMP_DEFAULT_VERSION. */
const struct seccomp_profile *seccomp_profile_default(void);
/** seccomp_default_write_json() - the default profile in docker's form, for docs and for other engines. Return: 0 or -errno. */
int seccomp_default_write_json(struct strbuf *out, struct err *err);
#define SECCOMP_DEFAULT_VERSION 1 /* raise with every change of default.c, compile.c or syscalls.inc: cached filters are named by it */

/** seccomp_action_name() - "SCMP_ACT_ERRNO" for a kernel return value; NULL when it is none. */
const char *seccomp_action_name(uint32_t ret);
/** seccomp_op_name() - "SCMP_CMP_EQ"; NULL for one that JSON has no word for. */
const char *seccomp_op_name(enum seccomp_op op);
/* The words of the format by index, NULL past the last: for `features`. */
const char *seccomp_action_at(size_t i);
/** seccomp_arch_at() - architectures whose calls we can judge; other names are taken and judge nothing. */
const char *seccomp_arch_at(size_t i);
/** seccomp_flag_name() - name of flag row @i and its bit. */
const char *seccomp_flag_name(size_t i, uint32_t *ret_bit);
/** seccomp_cap_name() - "CAP_SYS_ADMIN"; NULL above the last known. */
const char *seccomp_cap_name(unsigned cap);
