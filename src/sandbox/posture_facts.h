/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about one process, read from the kernel and kept as data; posture.c turns them into a report. Private to the room.
 */
#pragma once

#include "kernel/lsm.h"
#include "sandbox/posture.h"
#include "spec/runtime.h"

struct posture_facts {
	struct id_map uids, gids;   /* owned */
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	int no_new_privs, seccomp_mode, seccomp_filters; /* -1: the kernel does not say */
	uint32_t uid, gid;          /* as the reader's namespace sees them */
	uint64_t ns[NS_KIND_MAX_], host_ns[NS_KIND_MAX_]; /* inode numbers */
	char filter_hash[65];       /* "" when it could not be read back */
	size_t filter_len;          /* instructions */
	int filter_err;             /* -errno of that attempt */
	bool has_apparmor, has_selinux; /* the host has it */
	char profile[LSM_LABEL_MAX], profile_mode[32]; /* AppArmor; "" when it could not be read */
	char label[LSM_LABEL_MAX], own_label[LSM_LABEL_MAX]; /* SELinux; the reader's own beside it */
	int selinux_enforcing;      /* 1, 0 permissive, -errno */
	char pids_max[32], pids_current[32], memory_max[32], memory_swap_max[32], cpu_quota[64], cpu_shares[32], cpuset[128]; /* "" absent */
	bool has_pids, has_memory, has_cpu;
	char cgroup[256];           /* path in the pids (or v2) hierarchy */
	char *devices;              /* owned; devices.list, NULL: no v1 devices cgroup */
	int device_filters;         /* eBPF programs on its v2 cgroup; -1: v1, or unknown */
	size_t n_masked, n_masked_seen;     /* covered, existing */
	size_t n_readonly, n_readonly_seen;
	char first_open[128];       /* a path that should be covered and is not, "" */
	bool root_readonly;
	struct rlimit_fact {
		char name[32], soft[24], hard[24];
	} rlimits[16];
	size_t n_rlimits;
	size_t n_dev_nodes;         /* device nodes reachable in /dev */
	char dev_extra[128];        /* one that is not in the default set, "" */
	int landlock_abi;
	int yama;                   /* kernel.yama.ptrace_scope, 0 to 3; -1: no Yama in this kernel */
};

/** facts_read() - Return: 0; ERR_NOT_FOUND when the process is gone. */
int facts_read(const struct posture_target *t, struct posture_facts *ret, struct err *err);
void facts_done(struct posture_facts *f);

/* filter_read.c */
/** filter_read_back() - sha256 of the innermost seccomp filter of @pid. Return: number of instructions; -errno (-ENOENT: no filter;
 *  -EOPNOTSUPP: the kernel cannot). Source: ptrace(2) PTRACE_SECCOMP_GET_FILTER, Linux >= 4.4 with CONFIG_CHECKPOINT_RESTORE. */
int filter_read_back(pid_t pid, char hash[65]);
