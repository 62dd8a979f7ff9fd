/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device program: a handful of instructions a rule, jumps that go forward only, no memory but the context. Registers:
 *   r1 the context (struct bpf_cgroup_dev_ctx), r2 the bits that are asked for and still undecided, r3 the type, r4 major, r5 minor, r0 the verdict.
 * A rule whose effect later rules hide altogether is not assembled: everything before a rule that decides all bits of all devices.
 */
#include <errno.h>
#include <linux/bpf.h>

#include "kernel/bpf.h"

enum { INSNS_HEAD = 6, INSNS_RULE = 8, INSNS_TAIL = 2 }; /* at most */

struct assembler {
	struct bpf_insn *v; /* borrowed; room for what every rule may need */
	size_t n;
};

static size_t emit(struct assembler *a, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	a->v[a->n] = (struct bpf_insn) {.code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
	return a->n++;
}

static void emit_return(struct assembler *a, bool verdict)
{
	(void) emit(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict);
	(void) emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_load(struct assembler *a, uint8_t dst, size_t offset)
{
	(void) emit(a, BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, (int16_t) offset, 0);
}

static void emit_head(struct assembler *a)
{
	emit_load(a, BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type)); /* access << 16 | type */
	(void) emit(a, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	(void) emit(a, BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, 0, 0xffff);
	(void) emit(a, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_2, 0, 0, 16);
	emit_load(a, BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(a, BPF_REG_5, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

/* "if (reg != value) goto the next rule": where that is gets known when the rule ends. */
static void emit_unless(struct assembler *a, uint8_t reg, int64_t value)
{
	if (value >= 0)
		(void) emit(a, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, -1, (int32_t) (uint32_t) value);
}

static void emit_rule(struct assembler *a, const struct bpf_device_rule *r)
{
	size_t start = a->n;
	emit_unless(a, BPF_REG_3, r->type == 'a' ? -1 : r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	emit_unless(a, BPF_REG_4, r->major);
	emit_unless(a, BPF_REG_5, r->minor);
	if (r->access != BPF_DEVICE_ALL && r->allow) {
		(void) emit(a, BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, (int32_t) (BPF_DEVICE_ALL & ~r->access));
		(void) emit(a, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, -1, 0);
	} else if (r->access != BPF_DEVICE_ALL) {
		(void) emit(a, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_0, BPF_REG_2, 0, 0);
		(void) emit(a, BPF_ALU | BPF_AND | BPF_K, BPF_REG_0, 0, 0, (int32_t) r->access);
		(void) emit(a, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, -1, 0);
	}
	emit_return(a, r->allow);
	for (size_t i = start; i < a->n; i++)
		if (a->v[i].off == -1)
			a->v[i].off = (int16_t) (a->n - i - 1);
}

static bool decides_all(const struct bpf_device_rule *r)
{
	return r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == BPF_DEVICE_ALL;
}

static bool is_valid(const struct bpf_device_rule *r)
{
	return (r->type == 'a' || r->type == 'b' || r->type == 'c') && r->major <= UINT32_MAX && r->minor <= UINT32_MAX && r->access <= BPF_DEVICE_ALL;
}

int bpf_device_program(const struct bpf_device_rule *rules, size_t n, struct bpf_insn **ret)
{
	if (n > BPF_DEVICE_RULES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		if (!is_valid(&rules[i]))
			return -EINVAL;
	struct assembler a = {.v = calloc(INSNS_HEAD + n * INSNS_RULE + INSNS_TAIL, sizeof(*a.v))};
	if (!a.v)
		return -ENOMEM;
	bool verdict = false;
	emit_head(&a);
	for (size_t i = n; i-- > 0;) {
		if (decides_all(&rules[i])) {
			verdict = rules[i].allow;
			break;
		}
		if (rules[i].access)
			emit_rule(&a, &rules[i]);
	}
	emit_return(&a, verdict);
	*ret = a.v;
	return (int) a.n;
}

bool bpf_device_permits(const struct bpf_device_rule *rules, size_t n, char type, uint32_t major, uint32_t minor, unsigned access)
{
	for (unsigned bit = 1; bit <= BPF_DEVICE_WRITE; bit <<= 1) {
		if (!(access & bit))
			continue;
		bool permitted = false;
		for (size_t i = 0; i < n; i++) {
			const struct bpf_device_rule *r = &rules[i];
			if (r->access & bit && (r->type == 'a' || r->type == type) && (r->major < 0 || r->major == major) && (r->minor < 0 || r->minor == minor))
				permitted = r->allow;
		}
		if (!permitted)
			return false;
	}
	return true;
}

/* The few instructions that are made above, over 32-bit registers (no value here is larger). */
static int step(const struct bpf_insn *i, const uint32_t ctx[3], uint32_t *reg, size_t *pc)
{
	uint32_t imm = (uint32_t) i->imm, *dst = &reg[i->dst_reg];
	switch (i->code) {
	case BPF_LDX | BPF_MEM | BPF_W:
		*dst = ctx[i->off / 4];
		return 0;
	case BPF_ALU | BPF_MOV | BPF_X:
		*dst = reg[i->src_reg];
		return 0;
	case BPF_ALU64 | BPF_MOV | BPF_K:
		*dst = imm;
		return 0;
	case BPF_ALU | BPF_AND | BPF_K:
		*dst &= imm;
		return 0;
	case BPF_ALU | BPF_RSH | BPF_K:
		*dst >>= imm;
		return 0;
	case BPF_JMP32 | BPF_JNE | BPF_K:
		*pc += *dst != imm ? (size_t) i->off : 0;
		return 0;
	case BPF_JMP32 | BPF_JEQ | BPF_K:
		*pc += *dst == imm ? (size_t) i->off : 0;
		return 0;
	default:
		return -EINVAL;
	}
}

int bpf_device_simulate(const struct bpf_insn *insns, size_t n, char type, uint32_t major, uint32_t minor, unsigned access)
{
	const uint32_t ctx[3] = {access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR), major, minor};
	uint32_t reg[16] = {0};
	for (size_t pc = 0; pc < n; pc++) {
		if (insns[pc].code == (BPF_JMP | BPF_EXIT))
			return (int) reg[0];
		if (insns[pc].off < 0 || (BPF_CLASS(insns[pc].code) == BPF_LDX && insns[pc].off > 8))
			return -EINVAL;
		int r = step(&insns[pc], ctx, reg, &pc);
		if (r < 0)
			return r;
	}
	return -EINVAL;
}
