/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: rules that count in this environment -> one struct call for each number (M1-M5 of profile.h)
 * runs:    neighbours with equal calls -> struct run
 * emit:    runs -> tree, conditions -> compares
 */
#include "seccomp/compile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "seccomp/bpf.h"
#include "seccomp/internal.h"

#define ALTS_MAX 4096 /* for one call: more cannot fit the program, and emit_alts() recurses over them */
#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

/* One conjunction of conditions with its verdict. */
struct alt {
	const struct seccomp_cond *conds; /* borrowed from the profile */
	size_t n;
	uint32_t ret;
	struct alt *next; /* owned */
};

/* What happens to one system call: @ret when nothing of @first matches. */
struct call {
	uint32_t ret;
	bool fixed; /* a rule without conditions decided (M3) */
	struct alt *first, **tail; /* owned */
	size_t n_alts;
};

struct run {
	uint32_t first_nr;
	const struct call *call; /* borrowed */
};

struct table {
	struct call *calls; /* owned; [n]; n - 1 is the newest known number */
	size_t n;
	struct call above, x32;
	struct run *runs; /* owned */
	size_t n_runs;
};

static void call_done(struct call *c)
{
	for (struct alt *a = c->first, *next; a; a = next) {
		next = a->next;
		free(a);
	}
}

static void table_done(struct table *t)
{
	for (size_t i = 0; t->calls && i < t->n; i++)
		call_done(&t->calls[i]);
	free(t->calls);
	free(t->runs);
}

/* ---- resolve ---- */

static bool kernel_at_least(const struct seccomp_env *env, const struct seccomp_gate *g)
{
	return env->kernel_major > g->kernel_major || (env->kernel_major == g->kernel_major && env->kernel_minor >= g->kernel_minor);
}

/* docker's meaning: every condition of includes must hold, any condition of excludes drops the rule */
bool seccomp_rule_counts(const struct seccomp_rule *r, const struct seccomp_env *env, enum seccomp_arch arch)
{
	uint64_t caps = env->flags & SECCOMP_ENV_SYS_ADMIN_UNLOCKS ? env->caps : env->caps & ~CAP_SYS_ADMIN_BIT;
	const struct seccomp_gate *in = &r->includes, *ex = &r->excludes;
	if ((ex->arches >> arch & 1) || (ex->caps & caps) || (ex->has_kernel && kernel_at_least(env, ex)))
		return false;
	return (!in->has_arches || (in->arches >> arch & 1)) && (in->caps & ~caps) == 0 && (!in->has_kernel || kernel_at_least(env, in));
}

static int add_alt(struct call *c, const struct seccomp_cond *conds, size_t n, uint32_t ret, struct err *err)
{
	if (c->n_alts++ >= ALTS_MAX)
		return err_set(err, ERR_INVALID, "seccomp profile: more than %d conditional rules for one system call", ALTS_MAX);
	struct alt *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	*a = (struct alt){conds, n, ret, NULL};
	*c->tail = a;
	c->tail = &a->next;
	return 0;
}

static int add_rule(struct call *c, const struct seccomp_rule *r, struct err *err)
{
	int e = 0;
	if (c->fixed)
		return 0;
	if (r->n_conds == 0) {
		c->fixed = true;
		c->ret = r->ret;
	} else if (!r->any)
		e = add_alt(c, r->conds, r->n_conds, r->ret, err);
	else
		for (size_t i = 0; i < r->n_conds && e >= 0; i++)
			e = add_alt(c, &r->conds[i], 1, r->ret, err);
	return e;
}

static int resolve(struct table *t, const struct seccomp_profile *p, const struct seccomp_env *env, enum seccomp_arch arch, struct err *err)
{
	t->n = (size_t) syscall_highest(arch) + 1;
	t->calls = calloc(t->n, sizeof(*t->calls));
	if (!t->calls)
		return err_oom(err);
	for (size_t i = 0; i < t->n; i++)
		t->calls[i] = (struct call){.ret = p->default_ret, .tail = &t->calls[i].first};
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct seccomp_rule *r = &p->rules[i];
		if (r->ret == p->default_ret || !seccomp_rule_counts(r, env, arch))
			continue; /* M4 */
		for (size_t k = 0; r->names[k]; k++) {
			int nr = syscall_number(arch, r->names[k]);
			int e = nr < 0 ? 0 : add_rule(&t->calls[nr], r, err); /* M5 */
			if (e < 0)
				return e;
		}
	}
	return 0;
}

/* ---- runs ---- */

static bool conds_equal(const struct alt *a, const struct alt *b)
{
	if (a->ret != b->ret || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct seccomp_cond *x = &a->conds[i], *y = &b->conds[i];
		if (x->arg != y->arg || x->op != y->op || x->value != y->value || x->value2 != y->value2)
			return false;
	}
	return true;
}

static bool call_equal(const struct call *a, const struct call *b)
{
	if (a->ret != b->ret)
		return false;
	const struct alt *x = a->fixed ? NULL : a->first, *y = b->fixed ? NULL : b->first;
	for (; x && y; x = x->next, y = y->next)
		if (!conds_equal(x, y))
			return false;
	return !x && !y;
}

static void add_run(struct table *t, uint32_t nr, const struct call *c)
{
	if (t->n_runs == 0 || !call_equal(t->runs[t->n_runs - 1].call, c))
		t->runs[t->n_runs++] = (struct run){nr, c};
}

static bool is_kill(uint32_t ret)
{
	uint32_t action = ret & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD;
}

static int build_runs(struct table *t, uint32_t default_ret, enum seccomp_arch arch, struct err *err)
{
	bool is_errno = (default_ret & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
	t->above = (struct call){.ret = is_errno ? SECCOMP_RET_ERRNO | ENOSYS : default_ret}; /* C3 */
	t->x32 = (struct call){.ret = is_kill(default_ret) ? default_ret : SECCOMP_RET_ERRNO | ENOSYS}; /* C2 */
	t->runs = calloc(t->n + 2, sizeof(*t->runs));
	if (!t->runs)
		return err_oom(err);
	for (size_t i = 0; i < t->n; i++)
		add_run(t, (uint32_t) i, &t->calls[i]);
	add_run(t, (uint32_t) t->n, &t->above);
	if (arch == SECCOMP_ARCH_X86_64)
		add_run(t, SECCOMP_X32_BIT, &t->x32);
	return 0;
}

/* ---- emit ---- */

static uint32_t lo(uint64_t v)
{
	return (uint32_t) v;
}

static uint32_t hi(uint64_t v)
{
	return (uint32_t) (v >> 32);
}

static size_t load_lo(struct bpf_writer *w, unsigned arg, size_t next)
{
	return bpf_load(w, (uint32_t) (offsetof(struct seccomp_data, args) + 8 * arg), next);
}

static size_t load_hi(struct bpf_writer *w, unsigned arg, size_t next)
{
	static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the high half lies behind the low one");
	return bpf_load(w, (uint32_t) (offsetof(struct seccomp_data, args) + 8 * arg + 4), next);
}

/* the argument equals the value */
static size_t emit_equal(struct bpf_writer *w, const struct seccomp_cond *c, size_t yes, size_t no)
{
	size_t low = load_lo(w, c->arg, bpf_jump(w, BPF_JEQ, lo(c->value), yes, no));
	return load_hi(w, c->arg, bpf_jump(w, BPF_JEQ, hi(c->value), low, no));
}

/* above: the compare of the low halves, BPF_JGT or BPF_JGE */
static size_t emit_above(struct bpf_writer *w, const struct seccomp_cond *c, uint16_t low_op, size_t yes, size_t no)
{
	size_t low = load_lo(w, c->arg, bpf_jump(w, low_op, lo(c->value), yes, no));
	size_t same = bpf_jump(w, BPF_JEQ, hi(c->value), low, no);
	return load_hi(w, c->arg, bpf_jump(w, BPF_JGT, hi(c->value), yes, same));
}

static size_t emit_masked_half(struct bpf_writer *w, uint32_t offset, uint32_t mask, uint32_t value, size_t yes, size_t no)
{
	if (value & ~mask)
		return no;
	if (mask == 0)
		return yes;
	if (value == 0)
		return bpf_load(w, offset, bpf_jump(w, BPF_JSET, mask, no, yes));
	size_t test = bpf_jump(w, BPF_JEQ, value, yes, no);
	return bpf_load(w, offset, mask == UINT32_MAX ? test : bpf_and(w, mask, test));
}

static size_t emit_masked(struct bpf_writer *w, const struct seccomp_cond *c, size_t yes, size_t no)
{
	uint32_t offset = (uint32_t) (offsetof(struct seccomp_data, args) + 8 * c->arg);
	if (c->value2 & ~c->value)
		return no;
	size_t low = emit_masked_half(w, offset, lo(c->value), lo(c->value2), yes, no);
	return emit_masked_half(w, offset + 4, hi(c->value), hi(c->value2), low, no);
}

static size_t emit_not_in32(struct bpf_writer *w, const struct seccomp_cond *c, size_t yes, size_t no)
{
	size_t second = bpf_jump(w, BPF_JEQ, lo(c->value2), no, yes);
	return load_lo(w, c->arg, bpf_jump(w, BPF_JEQ, lo(c->value), no, second));
}

static size_t emit_cond(struct bpf_writer *w, const struct seccomp_cond *c, size_t yes, size_t no)
{
	switch ((enum seccomp_op) c->op) {
	case SECCOMP_OP_EQ:
		return emit_equal(w, c, yes, no);
	case SECCOMP_OP_NE:
		return emit_equal(w, c, no, yes);
	case SECCOMP_OP_GT:
		return emit_above(w, c, BPF_JGT, yes, no);
	case SECCOMP_OP_LE:
		return emit_above(w, c, BPF_JGT, no, yes);
	case SECCOMP_OP_GE:
		return emit_above(w, c, BPF_JGE, yes, no);
	case SECCOMP_OP_LT:
		return emit_above(w, c, BPF_JGE, no, yes);
	case SECCOMP_OP_MASKED_EQ:
		return emit_masked(w, c, yes, no);
	case SECCOMP_OP_NOT_IN32:
		return emit_not_in32(w, c, yes, no);
	case SECCOMP_OP_MAX_:
		break;
	}
	assert(!"operators are checked by the parser");
	return no;
}

static bool is_equal(const struct alt *a)
{
	return a && a->n == 1 && a->conds[0].op == SECCOMP_OP_EQ;
}

/* @a and what follows it ask whether one argument is one of several values: load it once */
static bool same_set(const struct alt *a, const struct alt *b)
{
	return is_equal(a) && is_equal(b) && a->ret == b->ret && a->conds->arg == b->conds->arg &&
	       hi(a->conds->value) == hi(b->conds->value);
}

/* Values of the set from @a up to @end, tested one after the other; A holds the low half. */
static size_t emit_set(struct bpf_writer *w, const struct alt *a, const struct alt *end, size_t no)
{
	if (a == end)
		return no;
	size_t rest = emit_set(w, a->next, end, no);
	return bpf_jump(w, BPF_JEQ, lo(a->conds->value), bpf_ret(w, a->ret), rest);
}

static size_t emit_alts(struct bpf_writer *w, const struct alt *a, uint32_t otherwise)
{
	if (!a)
		return bpf_ret(w, otherwise);
	const struct alt *end = a->next;
	while (same_set(a, end))
		end = end->next;
	size_t no = emit_alts(w, end, otherwise);
	if (end != a->next) {
		size_t low = load_lo(w, a->conds->arg, emit_set(w, a, end, no));
		return load_hi(w, a->conds->arg, bpf_jump(w, BPF_JEQ, hi(a->conds->value), low, no));
	}
	size_t at = bpf_ret(w, a->ret);
	for (size_t i = a->n; i > 0 && !w->full; i--)
		at = emit_cond(w, &a->conds[i - 1], at, no);
	return at;
}

static size_t emit_call(struct bpf_writer *w, const struct call *c)
{
	return c->fixed ? bpf_ret(w, c->ret) : emit_alts(w, c->first, c->ret);
}

static size_t emit_tree(struct bpf_writer *w, const struct run *runs, size_t n)
{
	if (n == 1)
		return emit_call(w, runs[0].call);
	size_t half = n / 2;
	size_t right = emit_tree(w, runs + half, n - half);
	size_t left = emit_tree(w, runs, half);
	return left == right ? left : bpf_jump(w, BPF_JGE, runs[half].first_nr, right, left);
}

static size_t emit_arch(struct bpf_writer *w, const struct table *t)
{
	return bpf_load(w, offsetof(struct seccomp_data, nr), emit_tree(w, t->runs, t->n_runs));
}

/* ---- all of it ---- */

bool seccomp_profile_notifies(const struct seccomp_profile *p)
{
	bool notify = p->default_ret == SECCOMP_RET_USER_NOTIF;
	for (size_t i = 0; i < p->n_rules; i++)
		notify = notify || p->rules[i].ret == SECCOMP_RET_USER_NOTIF;
	return notify;
}

static int check_notify(const struct seccomp_profile *p, const struct seccomp_env *env, struct err *err)
{
	if ((env->flags & SECCOMP_ENV_ALLOW_NOTIFY) || !seccomp_profile_notifies(p))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "seccomp profile: SCMP_ACT_NOTIFY needs a listener, which only coffer-oci hands on (linux.seccomp.listenerPath); use another action");
}

static int table_build(struct table *t, const struct seccomp_profile *p, const struct seccomp_env *env, enum seccomp_arch arch,
		       struct err *err)
{
	int r = resolve(t, p, env, arch, err);
	return r < 0 ? r : build_runs(t, p->default_ret, arch, err);
}

static void emit_program(struct bpf_writer *w, const struct table *native, const struct table *sub, bool listed, enum seccomp_arch arch)
{
	size_t other = bpf_ret(w, listed ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_KILL_PROCESS); /* C1 */
	if (sub->calls) {
		size_t entry = emit_arch(w, sub);
		other = bpf_jump(w, BPF_JEQ, seccomp_arch_audit(SECCOMP_ARCH_X86), entry, bpf_ret(w, SECCOMP_RET_KILL_PROCESS));
	}
	size_t entry = emit_arch(w, native);
	(void) bpf_load(w, offsetof(struct seccomp_data, arch), bpf_jump(w, BPF_JEQ, seccomp_arch_audit(arch), entry, other));
}

int seccomp_compile(const struct seccomp_profile *p, const struct seccomp_env *env, struct seccomp_program *ret, struct err *err)
{
	_cleanup_(table_done) struct table native = {0}, sub = {0};
	_cleanup_(bpf_writer_done) struct bpf_writer w = {0};
	bool listed = env->arch == SECCOMP_ARCH_X86_64 && (p->arches >> SECCOMP_ARCH_X86 & 1);
	int r = check_notify(p, env, err);
	if (r >= 0)
		r = table_build(&native, p, env, env->arch, err);
	if (r >= 0 && listed && (env->flags & SECCOMP_ENV_ALLOW_SUBARCHES))
		r = table_build(&sub, p, env, SECCOMP_ARCH_X86, err);
	if (r < 0)
		return r;
	if (bpf_writer_init(&w) < 0)
		return err_oom(err);
	emit_program(&w, &native, &sub, listed, env->arch);
	if (w.full)
		return err_set(err, ERR_INVALID,
			       "seccomp profile: compiles to more than the %d instructions that the kernel takes; use fewer argument rules",
			       BPF_PROGRAM_MAX);
	struct seccomp_program out = {.flags = p->flags};
	out.insn = bpf_take(&w, &out.n);
	if (!out.insn)
		return err_oom(err);
	*ret = out;
	return 0;
}

int seccomp_compile_allow(const char *const *names, uint32_t else_ret, struct seccomp_program *ret, struct err *err)
{
	for (size_t i = 0; names[i]; i++)
		if (!syscall_is_known(names[i]))
			return err_set(err, ERR_INVALID, "seccomp allow-list: no system call '%s'", names[i]);
	struct seccomp_rule rule = {.names = names, .ret = SECCOMP_RET_ALLOW};
	struct seccomp_profile p = {.default_ret = else_ret, .rules = &rule, .n_rules = 1};
	struct seccomp_env env;
	seccomp_env_init(&env);
	return seccomp_compile(&p, &env, ret, err);
}

void seccomp_program_done(struct seccomp_program *p)
{
	free(p->insn);
	*p = (struct seccomp_program){0};
}

void seccomp_env_init(struct seccomp_env *env)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	if (uname(&u) == 0)
		(void) sscanf(u.release, "%u.%u", &major, &minor); /* the kernel's own words; stays 0.0 when they are not numbers */
	*env = (struct seccomp_env){.arch = seccomp_native_arch(), .kernel_major = (uint16_t) major, .kernel_minor = (uint16_t) minor};
}
