/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/simulate.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#define INSNS_MAX 4096

enum kind { BAD, PLAIN, LOAD, SCRATCH, SHIFT, DIVIDE, COND, ALWAYS, RETURN };

/* Instructions that seccomp takes (kernel/seccomp.c, seccomp_check_filter). */
static enum kind kind_of(uint16_t code)
{
	switch (code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return LOAD;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
		return PLAIN;
	case BPF_ALU | BPF_DIV | BPF_K:
		return DIVIDE;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return SHIFT;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return SCRATCH;
	case BPF_JMP | BPF_JA:
		return ALWAYS;
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return COND;
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
		return RETURN;
	default:
		return BAD;
	}
}

static bool insn_ok(const struct sock_filter *f, size_t left)
{
	switch (kind_of(f->code)) {
	case BAD:
		return false;
	case LOAD:
		return f->k % 4 == 0 && f->k < sizeof(struct seccomp_data) && left > 0;
	case SCRATCH:
		return f->k < BPF_MEMWORDS && left > 0;
	case SHIFT:
		return f->k < 32 && left > 0;
	case DIVIDE:
		return f->k != 0 && left > 0;
	case ALWAYS:
		return f->k < left;
	case COND:
		return f->jt < left && f->jf < left;
	case RETURN:
		return true;
	case PLAIN:
		return left > 0;
	}
	return false;
}

int seccomp_check_program(const struct sock_filter *insn, size_t n, struct err *err)
{
	if (n == 0 || n > INSNS_MAX)
		return err_set(err, ERR_CORRUPT, "seccomp filter: %zu instructions, not within 1..%d", n, INSNS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!insn_ok(&insn[i], n - i - 1))
			return err_set(err, ERR_CORRUPT, "seccomp filter: instruction %zu of %zu (code 0x%x) is not a valid one", i, n,
				       insn[i].code);
	return 0;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	default: /* BPF_NEG */
		return 0u - a;
	}
}

static bool test(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGE:
		return a >= b;
	case BPF_JGT:
		return a > b;
	default: /* BPF_JSET */
		return a & b;
	}
}

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static void load(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	uint32_t v = f->k;
	if (BPF_MODE(f->code) == BPF_ABS)
		memcpy(&v, (const char *) data + f->k, sizeof(v));
	else if (BPF_MODE(f->code) == BPF_LEN)
		v = sizeof(*data);
	else if (BPF_MODE(f->code) == BPF_MEM)
		v = m->mem[f->k];
	if (BPF_CLASS(f->code) == BPF_LD)
		m->a = v;
	else
		m->x = v;
}

static void step(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
	case BPF_LDX:
		load(m, f, data);
		break;
	case BPF_ST:
		m->mem[f->k] = m->a;
		break;
	case BPF_STX:
		m->mem[f->k] = m->x;
		break;
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		break;
	default: /* BPF_ALU */
		m->a = alu(f->code, m->a, BPF_SRC(f->code) == BPF_X ? m->x : f->k);
	}
}

uint32_t seccomp_simulate(const struct sock_filter *insn, size_t n, const struct seccomp_data *data)
{
	struct machine m = {0};
	for (size_t pc = 0; pc < n; pc++) { /* forward only, so it ends */
		const struct sock_filter *f = &insn[pc];
		if (BPF_CLASS(f->code) == BPF_RET)
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		if (f->code == (BPF_JMP | BPF_JA))
			pc += f->k;
		else if (BPF_CLASS(f->code) == BPF_JMP)
			pc += test(f->code, m.a, BPF_SRC(f->code) == BPF_X ? m.x : f->k) ? f->jt : f->jf;
		else
			step(&m, f, data);
	}
	assert(!"a checked program ends in a return");
	return SECCOMP_RET_KILL_PROCESS;
}
