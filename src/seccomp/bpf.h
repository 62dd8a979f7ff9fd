/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes classic BPF for seccomp from its last instruction to its first, so that every jump target is known when the jump is
 * written: classic BPF only jumps forward, and a conditional jump reaches 255 instructions. A target is the position of an
 * instruction counted from the end. Where one has moved out of reach, a jump-always is put next to the jump; returns are
 * repeated instead, which costs the same.
 */
#pragma once

#include <linux/filter.h>

#include "base/macro.h"

#define BPF_PROGRAM_MAX 4096 /* BPF_MAXINSNS: the kernel takes no longer filter */
#define BPF_RETS_MAX 64 /* different return values whose last position is remembered */

struct bpf_writer {
	struct sock_filter *insn; /* owned; [BPF_PROGRAM_MAX], last instruction first */
	size_t n;
	bool full; /* latched: more than BPF_PROGRAM_MAX */
	struct {
		uint32_t ret;
		size_t at;
	} rets[BPF_RETS_MAX];
	size_t n_rets;
};

/** bpf_writer_init() - Return: 0 or -ENOMEM. */
int bpf_writer_init(struct bpf_writer *w);
void bpf_writer_done(struct bpf_writer *w);
/** bpf_ret() - a target that returns @ret: one already written and near, or a new one. */
size_t bpf_ret(struct bpf_writer *w, uint32_t ret);
/** bpf_jump() - if A @op @k (BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JSET) go to @yes, else to @no. Return: its own position. */
size_t bpf_jump(struct bpf_writer *w, uint16_t op, uint32_t k, size_t yes, size_t no);
/** bpf_load() - A = 32 bits at @offset of struct seccomp_data; goes on at @next. */
size_t bpf_load(struct bpf_writer *w, uint32_t offset, size_t next);
/** bpf_and() - A &= @mask; goes on at @next. */
size_t bpf_and(struct bpf_writer *w, uint32_t mask, size_t next);
/** bpf_take() - the program in running order, starting at the instruction written last. Caller frees. NULL: out of memory. */
struct sock_filter *bpf_take(struct bpf_writer *w, size_t *ret_n);
