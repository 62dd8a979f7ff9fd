/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libseccomp as the oracle: the same profile built by it and by us, both filters run in our simulator over every system call
 * number and around every boundary of every argument. Where the answers are meant to differ, `differences` says so and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "seccomp-model.h"
#include "seccomp/simulate.h"

struct filter {
	struct sock_filter *insn;
	size_t n;
};

struct pair {
	const struct seccomp_profile *p;
	const struct seccomp_env *env;
	struct filter ours, theirs;
	const char *text;
	size_t compared, excused;
};

/* ---- intended differences ---- */

static bool is_new(const struct seccomp_profile *p, const struct seccomp_data *d)
{
	return (uint32_t) d->nr > (uint32_t) syscall_highest(SECCOMP_ARCH_X86_64) && (uint32_t) d->nr < SECCOMP_X32_BIT;
}

static bool is_x32(const struct seccomp_profile *p, const struct seccomp_data *d)
{
	return (uint32_t) d->nr >= SECCOMP_X32_BIT;
}

static bool is_ordering(const struct seccomp_cond *c)
{
	return c->op == SECCOMP_OP_LT || c->op == SECCOMP_OP_LE || c->op == SECCOMP_OP_GE || c->op == SECCOMP_OP_GT;
}

/* the call has several conditions on one argument, at least one of them an ordering */
static bool is_mixed_ordering(const struct seccomp_profile *p, const struct seccomp_data *d)
{
	const char *name = syscall_name(SECCOMP_ARCH_X86_64, d->nr);
	unsigned conds[SECCOMP_ARGS] = {0}, orderings[SECCOMP_ARGS] = {0};
	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t k = 0; p->rules[i].names[k]; k++)
			for (size_t c = 0; str_eq(p->rules[i].names[k], name) && c < p->rules[i].n_conds; c++) {
				conds[p->rules[i].conds[c].arg]++;
				orderings[p->rules[i].conds[c].arg] += is_ordering(&p->rules[i].conds[c]);
			}
	for (unsigned a = 0; a < SECCOMP_ARGS; a++)
		if (conds[a] > 1 && orderings[a] > 0)
			return true;
	return false;
}

static const struct {
	const char *name, *reason;
	bool (*applies)(const struct seccomp_profile *p, const struct seccomp_data *d);
} differences[] = {
    {"new numbers", "libseccomp answers the default; we answer ENOSYS when the default is an errno, as runc patches into its filters (C3)",
     is_new},
    {"x32", "libseccomp takes the bit for a foreign architecture (and -1 for an unknown call); we answer as a kernel without x32 (C2)",
     is_x32},
    {"mixed orderings",
     "libseccomp 2.5 shares the test of the high half between rules of one call, and then takes arg < v or arg >= v for true though "
     "neither holds; we answer as the model",
     is_mixed_ordering},
};

static const char *excuse(const struct seccomp_profile *p, const struct seccomp_data *d)
{
	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		if (differences[i].applies(p, d))
			return differences[i].name;
	return NULL;
}

/* ---- libseccomp ---- */

static const enum scmp_compare scmp_ops[] = {
    [SECCOMP_OP_NE] = SCMP_CMP_NE,
    [SECCOMP_OP_LT] = SCMP_CMP_LT,
    [SECCOMP_OP_LE] = SCMP_CMP_LE,
    [SECCOMP_OP_EQ] = SCMP_CMP_EQ,
    [SECCOMP_OP_GE] = SCMP_CMP_GE,
    [SECCOMP_OP_GT] = SCMP_CMP_GT,
    [SECCOMP_OP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static void add(scmp_filter_ctx ctx, uint32_t ret, int nr, const struct seccomp_cond *c, size_t n)
{
	struct scmp_arg_cmp cmp[SECCOMP_ARGS];
	assert_true(n <= SECCOMP_ARGS);
	for (size_t i = 0; i < n; i++) {
		assert_true(c[i].op <= SECCOMP_OP_MASKED_EQ);
		cmp[i] = (struct scmp_arg_cmp){c[i].arg, scmp_ops[c[i].op], c[i].value, c[i].value2};
	}
	int r = seccomp_rule_add_array(ctx, ret, nr, (unsigned) n, cmp);
	if (r != 0 && r != -EEXIST)
		fail_msg("libseccomp refuses a rule for call %d: %s", nr, strerror(-r));
}

/* as runc hands a profile to libseccomp */
static struct filter build_theirs(const struct seccomp_profile *p, const struct seccomp_env *env)
{
	scmp_filter_ctx ctx = seccomp_init(p->default_ret);
	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct seccomp_rule *r = &p->rules[i];
		if (r->ret == p->default_ret || !model_rule_counts(r, env, SECCOMP_ARCH_X86_64))
			continue;
		for (size_t k = 0; r->names[k]; k++) {
			int nr = syscall_number(SECCOMP_ARCH_X86_64, r->names[k]);
			for (size_t c = 0; nr >= 0 && r->any && c < r->n_conds; c++)
				add(ctx, r->ret, nr, &r->conds[c], 1);
			if (nr >= 0 && !r->any)
				add(ctx, r->ret, nr, r->conds, r->n_conds);
		}
	}
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	off_t len = lseek(fd, 0, SEEK_END);
	struct filter f = {malloc((size_t) len), (size_t) len / sizeof(struct sock_filter)};
	assert_non_null(f.insn);
	assert_int_equal(pread(fd, f.insn, (size_t) len, 0), len);
	(void) close(fd);
	seccomp_release(ctx);
	assert_int_equal(seccomp_check_program(f.insn, f.n, NULL), 0);
	return f;
}

/* ---- comparison ---- */

static void print_profile(const struct pair *x)
{
	/* cmocka cuts its messages at 1 KiB */
	fprintf(stderr, "%s\n", x->text);
}

static int compare(const struct seccomp_data *d, void *ctx)
{
	struct pair *x = ctx;
	uint32_t ours = seccomp_simulate(x->ours.insn, x->ours.n, d), model = model_verdict(x->p, x->env, d);
	if (ours != model)
		print_profile(x);
	if (ours != model)
		fail_msg("call 0x%x(0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx): ours 0x%x, model 0x%x", d->nr, d->args[0], d->args[1],
			 d->args[2], d->args[3], d->args[4], d->args[5], ours, model);
	uint32_t theirs = seccomp_simulate(x->theirs.insn, x->theirs.n, d);
	if (ours != theirs && excuse(x->p, d)) {
		x->excused++;
		return 0;
	}
	if (ours != theirs)
		print_profile(x);
	if (ours != theirs)
		fail_msg("call 0x%x(0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx): ours 0x%x, libseccomp 0x%x", d->nr, d->args[0], d->args[1],
			 d->args[2], d->args[3], d->args[4], d->args[5], ours, theirs);
	x->compared++;
	return 0;
}

static void compare_foreign(struct pair *x)
{
	static const uint32_t arches[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_AARCH64, AUDIT_ARCH_S390X, 0, UINT32_MAX};
	for (size_t i = 0; i < ARRAY_LEN(arches); i++)
		for (int nr = 0; nr < 1024; nr++) {
			struct seccomp_data d = {.nr = nr, .arch = arches[i]};
			uint32_t ours = seccomp_simulate(x->ours.insn, x->ours.n, &d);
			assert_int_equal(ours, model_verdict(x->p, x->env, &d));
			if (!(x->p->arches &
			      1u << SECCOMP_ARCH_X86)) /* then we say ENOSYS where libseccomp, told of no other architecture, kills (C1) */
				assert_int_equal(ours, seccomp_simulate(x->theirs.insn, x->theirs.n, &d));
		}
}

static void check_text(const char *text, const struct seccomp_env *env, struct pair *sum)
{
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	_cleanup_seccomp_program_ struct seccomp_program prog = {0};
	struct err err;
	if (seccomp_profile_parse(text, strlen(text), "test", &p, &err) < 0 || seccomp_compile(p, env, &prog, &err) < 0)
		fail_msg("%s\n%s", text, err.msg);
	assert_int_equal(seccomp_check_program(prog.insn, prog.n, NULL), 0);
	struct pair x = {.p = p, .env = env, .ours = {prog.insn, prog.n}, .theirs = build_theirs(p, env), .text = text};
	(void) model_each_call(p, SECCOMP_ARCH_X86_64, compare, &x);
	compare_foreign(&x);
	assert_true(x.compared >= 400);
	sum->compared += x.compared;
	sum->excused += x.excused;
	free(x.theirs.insn);
}

static struct seccomp_env test_env(uint64_t caps, uint32_t flags)
{
	return (struct seccomp_env){.arch = SECCOMP_ARCH_X86_64, .caps = caps, .kernel_major = 6, .kernel_minor = 9, .flags = flags};
}

#define PODMAN_CAPS UINT64_C(0x800405fb) /* the container's eleven */
#define ALL_CAPS ((UINT64_C(1) << 41) - 1)

static void default_profile(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	struct err err;
	struct pair sum = {0};
	assert_int_equal(seccomp_default_write_json(&b, &err), 0);
	const struct seccomp_env envs[] = {test_env(PODMAN_CAPS, 0), test_env(0, 0), test_env(ALL_CAPS, 0),
					   test_env(ALL_CAPS, SECCOMP_ENV_SYS_ADMIN_UNLOCKS)};
	for (size_t i = 0; i < ARRAY_LEN(envs); i++)
		check_text(b.s, &envs[i], &sum);
	print_message("%zu calls equal, %zu differ as intended\n", sum.compared, sum.excused);
}

static void hand_written_profiles(void **state)
{
	struct pair sum = {0};
	size_t n = 0;
	for (; hand_profiles[n]; n++) {
		const struct seccomp_env envs[] = {test_env(PODMAN_CAPS, 0), test_env(ALL_CAPS, SECCOMP_ENV_SYS_ADMIN_UNLOCKS)};
		for (size_t i = 0; i < ARRAY_LEN(envs); i++)
			check_text(hand_profiles[n], &envs[i], &sum);
	}
	assert_true(n >= 12);
	print_message("%zu profiles, %zu calls equal, %zu differ as intended\n", n, sum.compared, sum.excused);
}

static void random_profiles(void **state)
{
	uint64_t seed = UINT64_C(0xc0ffe12345);
	struct pair sum = {0};
	for (int i = 0; i < 200; i++) {
		_cleanup_free_ char *text = model_random_profile(&seed, /* clean= */ true);
		struct seccomp_env env = test_env(i % 2 ? PODMAN_CAPS : ALL_CAPS, i % 3 ? 0 : SECCOMP_ENV_SYS_ADMIN_UNLOCKS);
		assert_non_null(text);
		check_text(text, &env, &sum);
	}
	print_message("%zu calls equal, %zu differ as intended\n", sum.compared, sum.excused);
}

static void a_wrong_filter_is_noticed(void **state)
{
	/* the comparison itself: two profiles that differ in one boundary must not pass for equal */
	struct err err;
	_cleanup_seccomp_profile_ struct seccomp_profile *a = NULL, *b = NULL;
	static const char *const text[] = {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"name\":\"read\",\"action\":\"SCMP_ACT_"
					   "ALLOW\",\"args\":[{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_LE\"}]}]}",
					   "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"name\":\"read\",\"action\":\"SCMP_ACT_"
					   "ALLOW\",\"args\":[{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_LT\"}]}]}"};
	assert_int_equal(seccomp_profile_parse(text[0], strlen(text[0]), "a", &a, &err), 0);
	assert_int_equal(seccomp_profile_parse(text[1], strlen(text[1]), "b", &b, &err), 0);
	struct seccomp_env env = test_env(0, 0);
	_cleanup_seccomp_program_ struct seccomp_program prog = {0};
	assert_int_equal(seccomp_compile(a, &env, &prog, &err), 0);
	struct filter theirs = build_theirs(b, &env);
	size_t differ = 0;
	for (uint64_t v = 0; v < 16; v++) {
		struct seccomp_data d = {.nr = 0, .arch = AUDIT_ARCH_X86_64, .args = {v}};
		differ += seccomp_simulate(prog.insn, prog.n, &d) != seccomp_simulate(theirs.insn, theirs.n, &d);
	}
	assert_int_equal(differ, 1);
	free(theirs.insn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(default_profile), cmocka_unit_test(hand_written_profiles),
					   cmocka_unit_test(random_profiles), cmocka_unit_test(a_wrong_filter_is_noticed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
