/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as the kernel runs it for seccomp: a checker with the kernel's rules and an interpreter. For tests and for the
 * posture report, which asks a loaded filter what it does to a call.
 */
#pragma once

#include <linux/seccomp.h>

#include "base/err.h"

struct sock_filter;

/** seccomp_check_program() - the rules of seccomp_check_filter() and bpf_check_classic() in the kernel: 1..4096 instructions, known
 *  ones only, loads inside seccomp_data and aligned, every jump inside, no path that does not end in a return.
 *  Return: 0; ERR_CORRUPT naming the instruction. */
int seccomp_check_program(const struct sock_filter *insn, size_t n, struct err *err);
/** seccomp_simulate() - what a program that passed seccomp_check_program() answers for @data: SECCOMP_RET_* with its data. */
uint32_t seccomp_simulate(const struct sock_filter *insn, size_t n, const struct seccomp_data *data);
