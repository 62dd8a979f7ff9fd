/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/bpf.h"

#include <errno.h>

#define REACH 255 /* of a conditional jump */
#define NEAR 200 /* a return is shared up to this distance, so that the jumps around it stay short */

int bpf_writer_init(struct bpf_writer *w)
{
	*w = (struct bpf_writer){.insn = calloc(BPF_PROGRAM_MAX, sizeof(struct sock_filter))};
	return w->insn ? 0 : -ENOMEM;
}

void bpf_writer_done(struct bpf_writer *w)
{
	free(w->insn);
	w->insn = NULL;
}

static size_t add(struct bpf_writer *w, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (w->n == BPF_PROGRAM_MAX) {
		w->full = true;
		return w->n - 1;
	}
	w->insn[w->n] = (struct sock_filter){code, jt, jf, k};
	return w->n++;
}

/* Instructions between the next one to be written and @target. */
static size_t distance(const struct bpf_writer *w, size_t target)
{
	return w->n - target - 1;
}

size_t bpf_ret(struct bpf_writer *w, uint32_t ret)
{
	size_t i = 0;
	while (i < w->n_rets && w->rets[i].ret != ret)
		i++;
	if (i < w->n_rets && distance(w, w->rets[i].at) <= NEAR)
		return w->rets[i].at;
	size_t at = add(w, BPF_RET | BPF_K, 0, 0, ret);
	if (i < BPF_RETS_MAX) {
		w->rets[i].ret = ret;
		w->rets[i].at = at;
		w->n_rets = MAX(w->n_rets, i + 1);
	}
	return at;
}

/* A target within @reach of the next instruction: @target itself, its return again, or a jump-always to it. */
static size_t near(struct bpf_writer *w, size_t target, size_t reach)
{
	if (distance(w, target) <= reach)
		return target;
	if (w->insn[target].code == (BPF_RET | BPF_K))
		return bpf_ret(w, w->insn[target].k);
	return add(w, BPF_JMP | BPF_JA, 0, 0, (uint32_t) distance(w, target));
}

size_t bpf_jump(struct bpf_writer *w, uint16_t op, uint32_t k, size_t yes, size_t no)
{
	if (w->full)
		return w->n - 1;
	yes = near(w, yes, REACH - 1); /* bringing the other one near may add an instruction */
	no = near(w, no, REACH);
	if (w->full)
		return w->n - 1;
	return add(w, BPF_JMP | op | BPF_K, (uint8_t) distance(w, yes), (uint8_t) distance(w, no), k);
}

static size_t then(struct bpf_writer *w, uint16_t code, uint32_t k, size_t next)
{
	if (!w->full && next != w->n - 1)
		(void) add(w, BPF_JMP | BPF_JA, 0, 0, (uint32_t) distance(w, next));
	return add(w, code, 0, 0, k);
}

size_t bpf_load(struct bpf_writer *w, uint32_t offset, size_t next)
{
	return then(w, BPF_LD | BPF_W | BPF_ABS, offset, next);
}

size_t bpf_and(struct bpf_writer *w, uint32_t mask, size_t next)
{
	return then(w, BPF_ALU | BPF_AND | BPF_K, mask, next);
}

struct sock_filter *bpf_take(struct bpf_writer *w, size_t *ret_n)
{
	struct sock_filter *p = calloc(w->n, sizeof(*p));
	for (size_t i = 0; p && i < w->n; i++)
		p[i] = w->insn[w->n - 1 - i];
	*ret_n = p ? w->n : 0;
	return p;
}
