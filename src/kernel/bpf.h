/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device filter of cgroup v2: an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE) made from a list of rules by a small assembler, loaded, and attached to a
 * cgroup's directory. v2 has no devices controller; this is what stands in its place (cgroup-v2.rst "Device controller").
 *
 * What the rules mean, bit by bit: an access asks for some of read, write, mknod; each bit that is asked for is decided by the last rule that names the device and that
 * bit, and without one it is refused; the access is permitted when every bit is. The program walks the list from its end with the set of bits that are still
 * undecided. bpf_device_permits() says the same as a plain loop, for the tests.
 */
#pragma once

#include <stddef.h>

#include "base/macro.h"

enum bpf_device_access { BPF_DEVICE_MKNOD = 1, BPF_DEVICE_READ = 2, BPF_DEVICE_WRITE = 4, BPF_DEVICE_ALL = 7 }; /* BPF_DEVCG_ACC_* */

struct bpf_device_rule {
	bool allow;
	char type;             /* 'c', 'b'; 'a': either */
	int64_t major, minor;  /* -1: any */
	unsigned access;       /* enum bpf_device_access; 0: none, the rule says nothing */
};

#define BPF_DEVICE_RULES_MAX 1024

struct bpf_insn; /* linux/bpf.h */

/** bpf_device_program() - assemble. *@ret: caller frees. Return: number of instructions; -E2BIG more than BPF_DEVICE_RULES_MAX rules; -EINVAL a number that no device has; -ENOMEM. */
int bpf_device_program(const struct bpf_device_rule *rules, size_t n, struct bpf_insn **ret);
/** bpf_device_permits() - the rules' meaning without a program. @access: enum bpf_device_access. */
bool bpf_device_permits(const struct bpf_device_rule *rules, size_t n, char type, uint32_t major, uint32_t minor, unsigned access);
/** bpf_device_simulate() - run a program of bpf_device_program() on one access, as the kernel would. Return: 1 permitted, 0 refused, -EINVAL an instruction
 *  that the assembler does not make, or no end. */
int bpf_device_simulate(const struct bpf_insn *insns, size_t n, char type, uint32_t major, uint32_t minor, unsigned access);
/** bpf_device_load() - hand it to the kernel's verifier. @log: its words on failure, @size bytes; NULL: none. Return: program fd, -errno (-EPERM without CAP_BPF or
 *  CAP_SYS_ADMIN in the first user namespace). Source: bpf(2) BPF_PROG_LOAD, Linux >= 4.15. */
int bpf_device_load(const struct bpf_insn *insns, size_t n, char *log, size_t size);
/** bpf_device_attach() - make @prog_fd the filter of the cgroup @dir_fd in place of the one that this call attached before; programs of others, such as systemd's,
 *  stay beside it, and an access needs the consent of all. Return: 0, -errno. Source: BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI and BPF_F_REPLACE, Linux >= 5.6. */
int bpf_device_attach(int dir_fd, int prog_fd);
/** bpf_device_count() - how many device programs stand at @dir_fd itself. Return: count, -errno. */
int bpf_device_count(int dir_fd);
