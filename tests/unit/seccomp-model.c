/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp-model.h"

#include <errno.h>
#include <linux/audit.h>

#define VALUES_MAX 1024

static bool kernel_ge(const struct seccomp_env *e, const struct seccomp_gate *g)
{
	return e->kernel_major * 65536 + e->kernel_minor >= g->kernel_major * 65536 + g->kernel_minor;
}

bool model_rule_counts(const struct seccomp_rule *r, const struct seccomp_env *env, enum seccomp_arch arch)
{
	for (unsigned c = 0; c < 41; c++) {
		bool held = env->caps >> c & 1;
		if (c == 21 && !(env->flags & SECCOMP_ENV_SYS_ADMIN_UNLOCKS))
			held = false;
		if ((r->includes.caps >> c & 1) && !held)
			return false;
		if ((r->excludes.caps >> c & 1) && held)
			return false;
	}
	if (r->includes.has_arches && !(r->includes.arches & 1u << arch))
		return false;
	if (r->excludes.has_arches && (r->excludes.arches & 1u << arch))
		return false;
	if (r->includes.has_kernel && !kernel_ge(env, &r->includes))
		return false;
	return !(r->excludes.has_kernel && kernel_ge(env, &r->excludes));
}

static bool cond_holds(const struct seccomp_cond *c, const struct seccomp_data *d)
{
	uint64_t a = d->args[c->arg];
	switch ((enum seccomp_op) c->op) {
	case SECCOMP_OP_NE:
		return a != c->value;
	case SECCOMP_OP_LT:
		return a < c->value;
	case SECCOMP_OP_LE:
		return a <= c->value;
	case SECCOMP_OP_EQ:
		return a == c->value;
	case SECCOMP_OP_GE:
		return a >= c->value;
	case SECCOMP_OP_GT:
		return a > c->value;
	case SECCOMP_OP_MASKED_EQ:
		return (a & c->value) == c->value2;
	case SECCOMP_OP_NOT_IN32:
		return (uint32_t) a != (uint32_t) c->value && (uint32_t) a != (uint32_t) c->value2;
	case SECCOMP_OP_MAX_:
		break;
	}
	abort();
}

static bool rule_matches(const struct seccomp_rule *r, const struct seccomp_data *d)
{
	size_t hits = 0;
	for (size_t i = 0; i < r->n_conds; i++)
		hits += cond_holds(&r->conds[i], d);
	return r->any ? hits > 0 : hits == r->n_conds;
}

static uint32_t rules_verdict(const struct seccomp_profile *p, const struct seccomp_env *env, const struct seccomp_data *d,
			      enum seccomp_arch arch)
{
	uint32_t verdict = p->default_ret;
	bool matched = false;
	const char *name = syscall_name(arch, d->nr);
	for (size_t i = 0; name && i < p->n_rules; i++) {
		const struct seccomp_rule *r = &p->rules[i];
		if (r->ret == p->default_ret || !model_rule_counts(r, env, arch))
			continue;
		for (size_t k = 0; r->names[k]; k++) {
			if (!str_eq(r->names[k], name))
				continue;
			if (r->n_conds == 0)
				return r->ret;
			if (!matched && rule_matches(r, d)) {
				matched = true;
				verdict = r->ret;
			}
		}
	}
	return verdict;
}

uint32_t model_verdict(const struct seccomp_profile *p, const struct seccomp_env *env, const struct seccomp_data *d)
{
	enum seccomp_arch arch = env->arch;
	bool kills = p->default_ret == SECCOMP_RET_KILL_PROCESS || p->default_ret == SECCOMP_RET_KILL_THREAD;
	if (d->arch != seccomp_arch_audit(arch)) {
		bool listed = arch == SECCOMP_ARCH_X86_64 && (p->arches & 1u << SECCOMP_ARCH_X86);
		bool open = env->flags & SECCOMP_ENV_ALLOW_SUBARCHES;
		if (!listed || (open && d->arch != AUDIT_ARCH_I386))
			return SECCOMP_RET_KILL_PROCESS;
		if (!open)
			return SECCOMP_RET_ERRNO | ENOSYS;
		arch = SECCOMP_ARCH_X86;
	} else if (arch == SECCOMP_ARCH_X86_64 && (uint32_t) d->nr >= SECCOMP_X32_BIT) {
		return kills ? p->default_ret : SECCOMP_RET_ERRNO | ENOSYS;
	}
	if ((uint32_t) d->nr > (uint32_t) syscall_highest(arch))
		return (p->default_ret & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO ? SECCOMP_RET_ERRNO | ENOSYS : p->default_ret;
	return rules_verdict(p, env, d, arch);
}

/* ---- calls ---- */

static void add_around(uint64_t *v, size_t *n, uint64_t x)
{
	const uint64_t variants[] = {x,       x - 1, x + 1, x | UINT64_C(1) << 32,           x ^ UINT64_C(1) << 63, x & UINT32_MAX,
				     x << 32, ~x,    x | 1, x | UINT64_C(0xffffffff00000000)};
	for (size_t i = 0; i < ARRAY_LEN(variants) && *n < VALUES_MAX; i++)
		v[(*n)++] = variants[i];
}

static size_t values_for(const struct seccomp_profile *p, const char *name, unsigned arg, uint64_t *v)
{
	size_t n = 0;
	add_around(v, &n, 0);
	add_around(v, &n, UINT32_MAX);
	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t k = 0; p->rules[i].names[k]; k++)
			for (size_t c = 0; str_eq(p->rules[i].names[k], name) && c < p->rules[i].n_conds; c++)
				if (p->rules[i].conds[c].arg == arg) {
					add_around(v, &n, p->rules[i].conds[c].value);
					add_around(v, &n, p->rules[i].conds[c].value2);
				}
	return n;
}

static bool has_conds(const struct seccomp_profile *p, const char *name)
{
	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t k = 0; p->rules[i].names[k]; k++)
			if (str_eq(p->rules[i].names[k], name) && p->rules[i].n_conds > 0)
				return true;
	return false;
}

struct values {
	size_t n[SECCOMP_ARGS];
	uint64_t v[SECCOMP_ARGS][VALUES_MAX];
};

static int each_args(const struct values *vs, struct seccomp_data *d, int (*fn)(const struct seccomp_data *d, void *ctx), void *ctx)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15) + (uint32_t) d->nr;
	int r = 0;
	for (unsigned a = 0; a < SECCOMP_ARGS && r == 0; a++)
		for (size_t i = 0; i < vs->n[a] && r == 0; i++) { /* one argument at a time, the others zero */
			memset(d->args, 0, sizeof(d->args));
			d->args[a] = vs->v[a][i];
			r = fn(d, ctx);
		}
	for (int i = 0; i < 800 && r == 0; i++) { /* all together */
		for (unsigned a = 0; a < SECCOMP_ARGS; a++)
			d->args[a] = vs->v[a][model_random(&seed) % vs->n[a]];
		r = fn(d, ctx);
	}
	return r;
}

int model_each_call(const struct seccomp_profile *p, enum seccomp_arch arch, int (*fn)(const struct seccomp_data *d, void *ctx), void *ctx)
{
	static const uint32_t odd[] = {0x3fffffff, 0x40000000, 0x40000001, 0x40000200, 0x400003ff,
				       0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	struct values *vs = calloc(1, sizeof(*vs));
	struct seccomp_data d = {.arch = seccomp_arch_audit(arch), .instruction_pointer = 0x401000};
	int r = vs ? 0 : -ENOMEM;
	for (int nr = 0; nr < 1024 && r == 0; nr++) {
		const char *name = syscall_name(arch, nr);
		memset(d.args, 0, sizeof(d.args));
		d.nr = nr;
		r = fn(&d, ctx);
		if (!name || !has_conds(p, name))
			continue;
		for (unsigned a = 0; a < SECCOMP_ARGS; a++)
			vs->n[a] = values_for(p, name, a, vs->v[a]);
		if (r == 0)
			r = each_args(vs, &d, fn, ctx);
	}
	memset(d.args, 0, sizeof(d.args));
	for (size_t i = 0; i < ARRAY_LEN(odd) && r == 0; i++) {
		d.nr = (int) odd[i];
		r = fn(&d, ctx);
	}
	free(vs);
	return r;
}

/* ---- random profiles ---- */

uint64_t model_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static const char *pick(uint64_t *s, const char *const *list, size_t n)
{
	return list[model_random(s) % n];
}

static uint64_t random_value(uint64_t *s)
{
	switch (model_random(s) % 6) {
	case 0:
		return model_random(s) % 8;
	case 1:
		return UINT64_C(1) << model_random(s) % 63;
	case 2:
		return model_random(s) & UINT32_MAX;
	case 3:
		return (model_random(s) & 0xff) << 32 | (model_random(s) & 0xff);
	case 4:
		return UINT32_MAX + (model_random(s) % 3);
	default:
		return model_random(s) >> 1; /* JSON integers are signed 64-bit here */
	}
}

static void random_conds(uint64_t *s, struct strbuf *b)
{
	static const char *const ops[] = {"NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"};
	size_t n = 1 + model_random(s) % 3;
	strbuf_adds(b, ",\"args\":[");
	for (size_t i = 0; i < n; i++) {
		const char *op = pick(s, ops, ARRAY_LEN(ops));
		uint64_t v = random_value(s), v2 = random_value(s);
		if (str_eq(op, "MASKED_EQ"))
			v2 &= v; /* a datum outside its mask is a profile's mistake; tested by hand */
		strbuf_addf(b, "%s{\"index\":%d,\"value\":%llu,\"valueTwo\":%llu,\"op\":\"SCMP_CMP_%s\"}", i ? "," : "",
			    (int) (model_random(s) % SECCOMP_ARGS), (unsigned long long) v, (unsigned long long) v2, op);
	}
	strbuf_adds(b, "]");
}

static const char *const random_actions[] = {"KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG"};

static void random_gate(uint64_t *s, struct strbuf *b, const char *key)
{
	static const char *const gates[] = {"\"caps\":[\"CAP_SYS_ADMIN\"]", "\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"]",
					    "\"arches\":[\"amd64\"]",       "\"arches\":[\"arm64\",\"s390x\"]",
					    "\"minKernel\":\"4.8\"",        "\"minKernel\":\"6.10\"",
					    "\"minKernel\":\"99.0\""};
	if (model_random(s) % 8 == 0)
		strbuf_addf(b, ",\"%s\":{%s}", key, pick(s, gates, ARRAY_LEN(gates)));
}

char *model_random_profile(uint64_t *s, bool clean)
{
	struct strbuf b = STRBUF_INIT(1 << 20);
	/* clean: the verdict of a call's rules follows from its name, so overlaps cannot disagree */
	const char *def = pick(s, random_actions, ARRAY_LEN(random_actions));
	size_t n_rules = 1 + model_random(s) % 24;
	strbuf_addf(&b, "{\"defaultAction\":\"SCMP_ACT_%s\",\"syscalls\":[", def);
	for (size_t i = 0; i < n_rules; i++) {
		size_t action = model_random(s) % ARRAY_LEN(random_actions);
		size_t n_names = 1 + model_random(s) % 12;
		strbuf_addf(&b, "%s{\"names\":[", i ? "," : "");
		for (size_t k = 0, out = 0; k < n_names; k++) {
			const char *name = syscall_row_name(model_random(s) % 470);
			if (!name || (clean && strlen(name) % ARRAY_LEN(random_actions) != action && k > 0))
				continue;
			if (clean && k == 0)
				action = strlen(name) % ARRAY_LEN(random_actions);
			strbuf_addf(&b, "%s\"%s\"", out++ ? "," : "", name);
		}
		strbuf_addf(&b, "],\"action\":\"SCMP_ACT_%s\"", random_actions[action]);
		if (action == 4 || action == 5)
			strbuf_addf(&b, ",\"errnoRet\":%d", clean ? 13 : (int) (model_random(s) % 4096));
		if (model_random(s) % 2)
			random_conds(s, &b);
		random_gate(s, &b, "includes");
		random_gate(s, &b, "excludes");
		strbuf_adds(&b, "}");
	}
	strbuf_adds(&b, "]}");
	return strbuf_steal(&b);
}

#define ARG(i, v, op) "{\"index\":" #i ",\"value\":" #v ",\"op\":\"SCMP_CMP_" #op "\"}"
#define ARG2(i, v, v2, op) "{\"index\":" #i ",\"value\":" #v ",\"valueTwo\":" #v2 ",\"op\":\"SCMP_CMP_" #op "\"}"
#define RULE(name, act, args) "{\"names\":[\"" name "\"],\"action\":\"SCMP_ACT_" #act "\",\"args\":[" args "]}"
#define PROFILE(def, rules) "{\"defaultAction\":\"SCMP_ACT_" #def "\",\"syscalls\":[" rules "]}"

const char *const hand_profiles[] = {
    /* nothing but a default */
    PROFILE(ALLOW, ""),
    PROFILE(ERRNO, ""),
    /* every action as a verdict */
    PROFILE(ERRNO, RULE("read", ALLOW, "") "," RULE("write", KILL, "") "," RULE("open", KILL_THREAD, "") "," RULE(
		       "close", KILL_PROCESS, "") "," RULE("stat", TRAP, "") "," RULE("fstat", LOG, "") "," RULE("lstat", TRACE, "")),
    /* every action as the default */
    PROFILE(KILL, RULE("read", ALLOW, "")),
    PROFILE(KILL_PROCESS, RULE("read", ALLOW, "")),
    PROFILE(TRAP, RULE("read", ALLOW, "")),
    PROFILE(LOG, RULE("read", ERRNO, "")),
    PROFILE(TRACE, RULE("read", ERRNO, "")),
    PROFILE(KILL_THREAD, RULE("read", LOG, "")),
    /* every operator, one value in each half and in both */
    PROFILE(ERRNO,
	    RULE("read", ALLOW, ARG(0, 7, NE)) "," RULE("write", ALLOW, ARG(1, 4294967303, LT)) "," RULE(
		"open", ALLOW,
		ARG(2, 4294967296, LE)) "," RULE("close", ALLOW,
						 ARG(3, 81985529216486895,
						     EQ)) "," RULE("stat", ALLOW,
								   ARG(4, 4294967295, GE)) "," RULE("fstat", ALLOW,
												    ARG(5, 9223372036854775807, GT))),
    PROFILE(ALLOW,
	    RULE("read", ERRNO, ARG(0, 0, NE)) "," RULE("write", ERRNO, ARG(1, 1, LT)) "," RULE("open", ERRNO, ARG(2, 0, LE)) "," RULE(
		"close", ERRNO, ARG(3, 0, EQ)) "," RULE("stat", ERRNO, ARG(4, 1, GE)) "," RULE("fstat", ERRNO, ARG(5, 0, GT))),
    /* masks: low, high, both, whole, none; value two */
    PROFILE(ERRNO,
	    RULE("clone", ALLOW, ARG2(0, 2114060288, 0, MASKED_EQ)) "," RULE("read", ALLOW, ARG2(1, 65280, 4608, MASKED_EQ)) "," RULE(
		"write", ALLOW,
		ARG2(2, 1095216660480, 4294967296,
		     MASKED_EQ)) "," RULE("open", ALLOW,
					  ARG2(3, 4294967295, 5, MASKED_EQ)) "," RULE("close", ALLOW,
										      ARG2(4, 72057594037927937, 1,
											   MASKED_EQ)) "," RULE("stat", ALLOW,
														ARG2(5, 0, 0, MASKED_EQ))),
    /* several arguments ANDed */
    PROFILE(ERRNO, RULE("socket", ALLOW, ARG(0, 2, EQ) "," ARG(1, 1, EQ) "," ARG(2, 6, LE)) "," RULE(
		       "mmap", ALLOW, ARG2(2, 4, 0, MASKED_EQ) "," ARG(4, 10, GT))),
    /* one argument twice: ORed */
    PROFILE(ERRNO, RULE("personality", ALLOW, ARG(0, 0, EQ) "," ARG(0, 8, EQ) "," ARG(0, 131072, EQ) "," ARG(0, 4294967295, EQ))),
    PROFILE(ERRNO, RULE("prctl", ALLOW, ARG(0, 3, EQ) "," ARG(1, 9, EQ) "," ARG(0, 5, EQ))),
    /* several rules for one call ORed, as docker writes socket */
    PROFILE(ERRNO,
	    RULE("socket", ALLOW, ARG(0, 38, LT)) "," RULE("socket", ALLOW, ARG(0, 39, EQ)) "," RULE("socket", ALLOW, ARG(0, 40, GT))),
    /* a rule without conditions beats conditional ones, before and after them */
    PROFILE(ERRNO, RULE("ioctl", ALLOW, "") "," RULE("ioctl", KILL, ARG(1, 5, EQ)) "," RULE("fcntl", KILL,
											    ARG(1, 5, EQ)) "," RULE("fcntl", ALLOW, "")),
    /* a rule with the default's verdict says nothing */
    PROFILE(ALLOW, RULE("ioctl", ERRNO, ARG(1, 21522, EQ)) "," RULE("ioctl", ALLOW, "")),
    /* different verdicts for separate values */
    PROFILE(ALLOW, RULE("ioctl", ERRNO, ARG(1, 1, EQ)) "," RULE("ioctl", KILL, ARG(1, 2, EQ)) "," RULE(
		       "ioctl", TRAP, ARG(1, 3, EQ)) "," RULE("ioctl", LOG, ARG(1, 4, EQ))),
    /* errnoRet, the default's too, 0 and the largest */
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\","
    "\"errnoRet\":1},"
    "{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":0},{\"names\":[\"open\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":"
    "4094},"
    "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":65535},{\"name\":\"stat\",\"action\":\"SCMP_ACT_ERRNO\",\"errno\":"
    "\"EACCES\"}]}",
    /* gates of every kind */
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
    "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_CHOWN\"]}},"
    "{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_BOOT\"]}},"
    "{\"names\":[\"open\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}},"
    "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":[\"CAP_SYS_BOOT\"]}},"
    "{\"names\":[\"stat\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
    "{\"names\":[\"fstat\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
    "{\"names\":[\"lstat\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"amd64\",\"x32\"]}},"
    "{\"names\":[\"poll\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"arches\":[\"amd64\"]}},"
    "{\"names\":[\"mmap\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"s390\",\"s390x\"]}},"
    "{\"names\":[\"brk\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
    "{\"names\":[\"pipe\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"99.9\"}},"
    "{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"4.8\"}}]}",
    /* the OCI form */
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],\"flags\":["
    "\"SECCOMP_FILTER_FLAG_LOG\"],"
    "\"syscalls\":[{\"names\":[\"getcwd\",\"chmod\",\"socketcall\",\"no_such_call\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
    /* docker's archMap, comments and nulls */
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\","
    "\"SCMP_ARCH_X32\"]},"
    "{\"architecture\":\"SCMP_ARCH_RISCV64\",\"subArchitectures\":null}],\"syscalls\":[{\"names\":[\"getcwd\"],\"action\":\"SCMP_ACT_"
    "ALLOW\",\"args\":null,"
    "\"comment\":\"why\",\"includes\":{},\"excludes\":{}}]}",
    NULL,
};
