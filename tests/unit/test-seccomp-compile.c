/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>

#include "seccomp-model.h"
#include "seccomp/simulate.h"

#define PODMAN_CAPS UINT64_C(0x800405fb)
#define SYS_ADMIN (UINT64_C(1) << 21)
#define DENIED (SECCOMP_RET_ERRNO | EPERM)
#define MISSING (SECCOMP_RET_ERRNO | ENOSYS)

static const struct seccomp_env plain = {.arch = SECCOMP_ARCH_X86_64, .caps = PODMAN_CAPS, .kernel_major = 6, .kernel_minor = 1};

static struct seccomp_program compile(const struct seccomp_profile *p, struct seccomp_env env)
{
	struct seccomp_program prog;
	struct err err;
	if (seccomp_compile(p, &env, &prog, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(seccomp_check_program(prog.insn, prog.n, &err), 0);
	return prog;
}

static uint32_t ask(const struct seccomp_program *p, const char *name, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = {.nr = syscall_number(SECCOMP_ARCH_X86_64, name), .arch = AUDIT_ARCH_X86_64, .args = {a0, a1}};
	assert_true(d.nr >= 0);
	return seccomp_simulate(p->insn, p->n, &d);
}

static void default_denies_what_it_promises(void **state)
{
	static const char *const denied[] = {"io_uring_setup",
					     "io_uring_enter",
					     "io_uring_register",
					     "userfaultfd",
					     "keyctl",
					     "add_key",
					     "request_key",
					     "unshare",
					     "setns",
					     "mount",
					     "umount2",
					     "fsopen",
					     "open_tree",
					     "open_tree_attr",
					     "move_mount",
					     "bpf",
					     "perf_event_open",
					     "kexec_load",
					     "kexec_file_load",
					     "init_module",
					     "reboot",
					     "swapon",
					     "pivot_root",
					     "quotactl",
					     "open_by_handle_at",
					     "vmsplice",
					     "acct",
					     "syslog",
					     "iopl",
					     "settimeofday",
					     "lsm_set_self_attr",
					     "move_pages",
					     "fanotify_init",
					     "sethostname",
					     "nfsservctl",
					     "_sysctl",
					     "create_module",
					     "uselib",
					     "ustat",
					     "sysfs"};
	_cleanup_seccomp_program_ struct seccomp_program p = compile(seccomp_profile_default(), plain);
	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		if (ask(&p, denied[i], 0, 0) != DENIED)
			fail_msg("%s gives 0x%x", denied[i], ask(&p, denied[i], 0, 0));
	assert_int_equal(ask(&p, "clone3", 0, 0), MISSING);
	assert_int_equal(ask(&p, "chroot", 0, 0), SECCOMP_RET_ALLOW); /* CAP_SYS_CHROOT is one of the eleven */
	assert_int_equal(ask(&p, "execve", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&p, "ptrace", 0, 0), SECCOMP_RET_ALLOW);
	struct seccomp_data d = {.nr = 470, .arch = AUDIT_ARCH_X86_64};
	assert_int_equal(seccomp_simulate(p.insn, p.n, &d), MISSING);
}

static void truncated_arguments_cannot_be_smuggled(void **state)
{
	static const uint64_t high[] = {0, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_C(0xffffffff00000000)};
	_cleanup_seccomp_program_ struct seccomp_program p = compile(seccomp_profile_default(), plain);
	for (size_t i = 0; i < ARRAY_LEN(high); i++) {
		assert_int_equal(ask(&p, "ioctl", 0, high[i] | 0x5412), DENIED);
		assert_int_equal(ask(&p, "ioctl", 0, high[i] | 0x541c), DENIED);
		assert_int_equal(ask(&p, "ioctl", 0, high[i] | 0x5413), SECCOMP_RET_ALLOW);
		assert_int_equal(ask(&p, "ioctl", 0, high[i] | 0x5401), SECCOMP_RET_ALLOW);
		assert_int_equal(ask(&p, "socket", high[i] | 38, 0), DENIED);
		assert_int_equal(ask(&p, "socket", high[i] | 40, 0), DENIED);
		assert_int_equal(ask(&p, "socket", high[i] | 39, 0), SECCOMP_RET_ALLOW);
		assert_int_equal(ask(&p, "clone", high[i] | 0x10000000, 0), DENIED);
		assert_int_equal(ask(&p, "clone", high[i] | 0x3d0f00, 0), SECCOMP_RET_ALLOW); /* a thread */
	}
	static const uint64_t personas[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	for (size_t i = 0; i < ARRAY_LEN(personas); i++) {
		assert_int_equal(ask(&p, "personality", personas[i], 0), SECCOMP_RET_ALLOW);
		assert_int_equal(ask(&p, "personality", personas[i] | UINT64_C(1) << 32, 0), DENIED);
		assert_int_equal(ask(&p, "personality", personas[i] ^ 0x40000, 0), DENIED);
	}
}

static void sys_admin_unlocks_only_when_told(void **state)
{
	static const char *const gated[] = {"mount", "bpf", "setns", "unshare", "clone3", "open_tree", "quotactl"};
	struct seccomp_env env = plain;
	env.caps = (UINT64_C(1) << 41) - 1;
	_cleanup_seccomp_program_ struct seccomp_program held = compile(seccomp_profile_default(), env);
	env.flags = SECCOMP_ENV_SYS_ADMIN_UNLOCKS;
	_cleanup_seccomp_program_ struct seccomp_program told = compile(seccomp_profile_default(), env);
	env.caps = 0;
	_cleanup_seccomp_program_ struct seccomp_program flag_alone = compile(seccomp_profile_default(), env);
	for (size_t i = 0; i < ARRAY_LEN(gated); i++) {
		bool by_other_cap = str_eq(gated[i], "bpf"); /* CAP_BPF */
		assert_int_equal(ask(&held, gated[i], 0, 0) == SECCOMP_RET_ALLOW, by_other_cap);
		assert_int_equal(ask(&told, gated[i], 0, 0), SECCOMP_RET_ALLOW);
		assert_int_not_equal(ask(&flag_alone, gated[i], 0, 0), SECCOMP_RET_ALLOW);
	}
	assert_int_equal(ask(&held, "clone", 0x10000000, 0), DENIED);
	assert_int_equal(ask(&told, "clone", 0x10000000, 0), SECCOMP_RET_ALLOW);
}

static void default_is_small_and_deterministic(void **state)
{
	_cleanup_seccomp_program_ struct seccomp_program a = compile(seccomp_profile_default(), plain),
							 b = compile(seccomp_profile_default(), plain);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.insn, b.insn, a.n * sizeof(a.insn[0]));
	print_message("default profile: %zu instructions\n", a.n);
	assert_true(a.n <= 120);
	size_t names = 0, conds = 0;
	const struct seccomp_rule *first = &seccomp_profile_default()->rules[0];
	for (conds = first->n_conds; first->names[names]; names++)
		assert_true(syscall_number(SECCOMP_ARCH_X86_64, first->names[names]) >= 0 ||
			    syscall_number(SECCOMP_ARCH_AARCH64, first->names[names]) >= 0);
	assert_int_equal(conds, 0);
	assert_true(names <= 361);
}

struct against_model {
	const struct seccomp_profile *p;
	const struct seccomp_env *env;
	struct seccomp_program prog;
	size_t n;
};

static int as_model(const struct seccomp_data *d, void *ctx)
{
	struct against_model *m = ctx;
	uint32_t ours = seccomp_simulate(m->prog.insn, m->prog.n, d), model = model_verdict(m->p, m->env, d);
	if (ours != model)
		fail_msg("arch 0x%x call 0x%x(0x%llx 0x%llx): ours 0x%x, model 0x%x", d->arch, d->nr, d->args[0], d->args[1], ours, model);
	m->n++;
	return 0;
}

static void check_model(const struct seccomp_profile *p, const struct seccomp_env *env, enum seccomp_arch calls)
{
	struct against_model m = {.p = p, .env = env, .prog = compile(p, *env)};
	(void) model_each_call(p, calls, as_model, &m);
	assert_true(m.n > 1000);
	seccomp_program_done(&m.prog);
}

static const struct seccomp_env envs[] = {
    {.arch = SECCOMP_ARCH_X86_64, .caps = PODMAN_CAPS, .kernel_major = 6, .kernel_minor = 1},
    {.arch = SECCOMP_ARCH_X86_64,
     .caps = ~UINT64_C(0) >> 23,
     .kernel_major = 6,
     .kernel_minor = 18,
     .flags = SECCOMP_ENV_SYS_ADMIN_UNLOCKS},
    {.arch = SECCOMP_ARCH_X86_64, .caps = PODMAN_CAPS, .kernel_major = 6, .kernel_minor = 1, .flags = SECCOMP_ENV_ALLOW_SUBARCHES},
    {.arch = SECCOMP_ARCH_AARCH64, .caps = SYS_ADMIN, .kernel_major = 4, .kernel_minor = 4},
};

static void agrees_with_the_model(void **state)
{
	uint64_t seed = UINT64_C(0x5eed);
	for (size_t e = 0; e < ARRAY_LEN(envs); e++) {
		check_model(seccomp_profile_default(), &envs[e], envs[e].arch);
		check_model(seccomp_profile_default(), &envs[e], SECCOMP_ARCH_X86);
		for (size_t i = 0; hand_profiles[i]; i++) {
			_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
			assert_int_equal(seccomp_profile_parse(hand_profiles[i], strlen(hand_profiles[i]), "t", &p, NULL), 0);
			check_model(p, &envs[e], envs[e].arch);
			check_model(p, &envs[e], SECCOMP_ARCH_X86);
		}
		for (size_t i = 0; i < 25; i++) { /* overlapping rules with different verdicts: the first that matches */
			_cleanup_free_ char *text = model_random_profile(&seed, /* clean= */ false);
			_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
			assert_int_equal(seccomp_profile_parse(text, strlen(text), "t", &p, NULL), 0);
			check_model(p, &envs[e], envs[e].arch);
		}
	}
}

static void sub_architecture_is_filtered_by_its_own_numbers(void **state)
{
	static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],"
				   "\"syscalls\":[{\"name\":\"getpid\",\"action\":\"SCMP_ACT_ALLOW\"}]}";
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	assert_int_equal(seccomp_profile_parse(text, strlen(text), "t", &p, NULL), 0);
	struct seccomp_env env = plain;
	struct seccomp_data getpid32 = {.nr = 20, .arch = AUDIT_ARCH_I386}, writev64 = {.nr = 20, .arch = AUDIT_ARCH_X86_64},
			    exotic = {.arch = AUDIT_ARCH_S390X};
	_cleanup_seccomp_program_ struct seccomp_program shut = compile(p, env);
	env.flags = SECCOMP_ENV_ALLOW_SUBARCHES;
	_cleanup_seccomp_program_ struct seccomp_program open = compile(p, env);
	_cleanup_seccomp_program_ struct seccomp_program unlisted = compile(seccomp_profile_default(), env);
	assert_int_equal(seccomp_simulate(shut.insn, shut.n, &getpid32), MISSING);
	assert_int_equal(seccomp_simulate(open.insn, open.n, &getpid32), SECCOMP_RET_ALLOW);
	assert_int_equal(seccomp_simulate(open.insn, open.n, &writev64), DENIED);
	assert_int_equal(seccomp_simulate(open.insn, open.n, &exotic), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(seccomp_simulate(unlisted.insn, unlisted.n, &getpid32), SECCOMP_RET_KILL_PROCESS);
}

/* Many calls with argument rules of their own: the tree spans far more than 255 instructions. */
static char *wide_profile(size_t names, size_t conds)
{
	struct strbuf b = STRBUF_INIT(4 << 20);
	strbuf_adds(&b, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[");
	for (size_t i = 0; i < names; i++) {
		strbuf_addf(&b, "%s{\"name\":\"%s\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":[", i ? "," : "",
			    syscall_name(SECCOMP_ARCH_X86_64, (int) i));
		for (size_t c = 0; c < conds; c++)
			strbuf_addf(&b, "%s{\"index\":%zu,\"value\":%zu,\"op\":\"SCMP_CMP_%s\"}", c ? "," : "", c % 6, (i + c) << 30,
				    c % 2 ? "GE" : "NE");
		strbuf_adds(&b, "]}");
	}
	strbuf_adds(&b, "]}");
	return strbuf_steal(&b);
}

static void long_programs_jump_right(void **state)
{
	_cleanup_free_ char *text = wide_profile(120, 6);
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	assert_int_equal(seccomp_profile_parse(text, strlen(text), "t", &p, NULL), 0);
	_cleanup_seccomp_program_ struct seccomp_program prog = compile(p, plain);
	print_message("%zu instructions\n", prog.n);
	assert_true(prog.n > 2500);
	check_model(p, &plain, SECCOMP_ARCH_X86_64);
	_cleanup_free_ char *sets = wide_profile(40, 60);
	_cleanup_seccomp_profile_ struct seccomp_profile *q = NULL;
	assert_int_equal(seccomp_profile_parse(sets, strlen(sets), "t", &q, NULL), 0);
	_cleanup_seccomp_program_ struct seccomp_program none = {0};
	struct err err;
	assert_int_equal(seccomp_compile(q, &plain, &none, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "4096"));
	assert_null(none.insn);
}

static void notify_is_refused(void **state)
{
	static const char *const texts[] = {
	    "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
	    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"mount\",\"action\":\"SCMP_ACT_NOTIFY\"}]}"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
		struct seccomp_program prog = {0};
		struct err err;
		assert_int_equal(seccomp_profile_parse(texts[i], strlen(texts[i]), "t", &p, &err), 0);
		assert_true(seccomp_compile(p, &plain, &prog, &err) < 0);
		assert_int_equal(err.kind, ERR_UNSUPPORTED);
		assert_non_null(strstr(err.msg, "SCMP_ACT_NOTIFY"));
	}
}

static void errno_bounds(void **state)
{
	static const char text[] =
	    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"read\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":4095}]}";
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	assert_int_equal(seccomp_profile_parse(text, strlen(text), "t", &p, NULL), 0);
	_cleanup_seccomp_program_ struct seccomp_program prog = compile(p, plain);
	assert_int_equal(ask(&prog, "read", 0, 0), SECCOMP_RET_ERRNO | 4095);
}

static void allow_list_for_helpers(void **state)
{
	static const char *const names[] = {"read", "write", "exit_group", NULL}, *const wrong[] = {"raed", NULL};
	_cleanup_seccomp_program_ struct seccomp_program p = {0}, none = {0};
	struct err err;
	assert_int_equal(seccomp_compile_allow(names, SECCOMP_RET_KILL_PROCESS, &p, &err), 0);
	assert_int_equal(seccomp_check_program(p.insn, p.n, &err), 0);
	struct seccomp_data d = {.arch = seccomp_arch_audit(seccomp_native_arch())};
	for (int nr = 0; nr < 1024; nr++) {
		const char *name = syscall_name(seccomp_native_arch(), nr);
		bool listed = name && (str_eq(name, "read") || str_eq(name, "write") || str_eq(name, "exit_group"));
		d.nr = nr;
		assert_int_equal(seccomp_simulate(p.insn, p.n, &d), listed ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
	}
	assert_true(seccomp_compile_allow(wrong, SECCOMP_RET_KILL_PROCESS, &none, &err) < 0);
	assert_non_null(strstr(err.msg, "raed"));
}

static void the_checker_refuses_what_the_kernel_would(void **state)
{
	static const struct sock_filter bad[][2] = {
	    {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)}, /* no return */
	    {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, 0)}, /* not aligned */
	    {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0)}, /* outside */
	    {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_K, 0)}, /* over the end */
	    {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), BPF_STMT(BPF_RET | BPF_K, 0)}, /* backwards */
	    {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 0)}, /* not for seccomp */
	    {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 0)},
	    {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, 0)},
	    {BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 0)},
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(seccomp_check_program(bad[i], 2, &err) < 0);
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
	assert_true(seccomp_check_program(bad[0], 0, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(default_denies_what_it_promises),
	    cmocka_unit_test(truncated_arguments_cannot_be_smuggled),
	    cmocka_unit_test(sys_admin_unlocks_only_when_told),
	    cmocka_unit_test(default_is_small_and_deterministic),
	    cmocka_unit_test(agrees_with_the_model),
	    cmocka_unit_test(sub_architecture_is_filtered_by_its_own_numbers),
	    cmocka_unit_test(long_programs_jump_right),
	    cmocka_unit_test(notify_is_refused),
	    cmocka_unit_test(errno_bounds),
	    cmocka_unit_test(allow_list_for_helpers),
	    cmocka_unit_test(the_checker_refuses_what_the_kernel_would),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
