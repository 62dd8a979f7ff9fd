/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile text -> parse -> compile -> simulate. Whatever the text: no crash, and a profile that compiles gives a program that
 * the kernel's checker would take, that answers every call with a verdict of the profile (or one of C1-C3), and that is the
 * same when compiled again and when read back from its own JSON form.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>

#include "seccomp/compile.h"
#include "seccomp/simulate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool verdict_is_known(const struct seccomp_profile *p, uint32_t ret)
{
	if (ret == p->default_ret || ret == (SECCOMP_RET_ERRNO | ENOSYS) || ret == SECCOMP_RET_KILL_PROCESS)
		return true;
	for (size_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].ret == ret)
			return true;
	return false;
}

static void ask(const struct seccomp_profile *p, const struct seccomp_program *a, const struct seccomp_program *b)
{
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
	static const uint64_t values[] = {0, 1, 38, 0x5412, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(0x100005412), UINT64_MAX};
	for (size_t x = 0; x < ARRAY_LEN(arches); x++)
		for (int nr = 0; nr < 512; nr++) {
			uint64_t v = values[(size_t) nr % ARRAY_LEN(values)];
			struct seccomp_data d = {.nr = nr, .arch = arches[x], .args = {v, ~v, v + 1, v - 1, v << 1, v >> 1}};
			uint32_t ret = seccomp_simulate(a->insn, a->n, &d);
			if (!verdict_is_known(p, ret) || (b && ret != seccomp_simulate(b->insn, b->n, &d)))
				abort();
		}
}

static void read_back(const struct seccomp_profile *p, const struct seccomp_env *env, const struct seccomp_program *prog)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(16 << 20);
	_cleanup_seccomp_profile_ struct seccomp_profile *again = NULL;
	_cleanup_seccomp_program_ struct seccomp_program same = {0};
	struct err err;
	if (seccomp_profile_write(p, &b, &err) < 0)
		abort();
	if (b.len > SECCOMP_PROFILE_MAX_BYTES)
		return; /* spelt out, it may outgrow what is read */
	if (seccomp_profile_parse(b.s, b.len, "written", &again, &err) < 0 || seccomp_compile(again, env, &same, &err) < 0)
		abort();
	ask(p, prog, &same);
}

static void run(const struct seccomp_profile *p, const struct seccomp_env *env)
{
	_cleanup_seccomp_program_ struct seccomp_program prog = {0}, again = {0};
	struct err err = {0};
	if (seccomp_compile(p, env, &prog, &err) < 0) {
		if (!err.msg[0] || prog.insn)
			abort();
		return;
	}
	if (seccomp_check_program(prog.insn, prog.n, &err) < 0 || seccomp_compile(p, env, &again, &err) < 0)
		abort();
	if (prog.n != again.n || memcmp(prog.insn, again.insn, prog.n * sizeof(prog.insn[0])) != 0)
		abort();
	ask(p, &prog, NULL);
	read_back(p, env, &prog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct seccomp_env envs[] = {
	    {.arch = SECCOMP_ARCH_X86_64, .caps = UINT64_C(0x800405fb), .kernel_major = 6, .kernel_minor = 1},
	    {.arch = SECCOMP_ARCH_X86_64,
	     .caps = UINT64_MAX,
	     .kernel_major = 6,
	     .kernel_minor = 18,
	     .flags = SECCOMP_ENV_SYS_ADMIN_UNLOCKS | SECCOMP_ENV_ALLOW_SUBARCHES},
	    {.arch = SECCOMP_ARCH_AARCH64},
	};
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	struct err err = {0};
	if (seccomp_profile_parse((const char *) data, size, "fuzz", &p, &err) < 0) {
		if (!err.msg[0] || p)
			abort();
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(envs); i++)
		run(p, &envs[i]);
	return 0;
}
