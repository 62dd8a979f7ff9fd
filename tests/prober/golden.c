/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober-golden: the sweep lines of the golden file, from the compiled default profile and the simulator.
 * prober-golden --filter: the filter itself, raw, on stdout.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "base/fd.h"
#include "seccomp/compile.h"
#include "seccomp/simulate.h"

#define DEFAULT_CAPS UINT64_C(0x800405fb)

static const char *class_of(uint32_t ret)
{
	if (ret == SECCOMP_RET_ALLOW)
		return "allowed";
	if (ret == (SECCOMP_RET_ERRNO | EPERM))
		return "EPERM";
	return ret == (SECCOMP_RET_ERRNO | ENOSYS) ? "ENOSYS" : "killed";
}

int main(int argc, char **argv)
{
	struct seccomp_env env = {.arch = seccomp_native_arch(), .caps = DEFAULT_CAPS, .kernel_major = 6, .kernel_minor = 1};
	_cleanup_seccomp_program_ struct seccomp_program p = {0};
	struct err err;
	if (seccomp_compile(seccomp_profile_default(), &env, &p, &err) < 0) {
		fprintf(stderr, "prober-golden: %s\n", err.msg);
		return 1;
	}
	if (argc > 1)
		return write_all(STDOUT_FILENO, p.insn, p.n * sizeof(p.insn[0])) < 0;
	for (int nr = 0; nr < 1024; nr++) {
		struct seccomp_data d = {.nr = nr, .arch = seccomp_arch_audit(env.arch)};
		memset(d.args, 0xff, sizeof(d.args));
		const char *name = syscall_name(env.arch, nr);
		if (name && str_eq(name, "sync"))
			printf("sweep.%04d skipped # sync\n", nr);
		else
			printf("sweep.%04d %s%s%s\n", nr, class_of(seccomp_simulate(p.insn, p.n, &d)), name ? " # " : "", name ? name : "");
	}
	return 0;
}
