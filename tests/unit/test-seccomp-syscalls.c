/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>

#include "seccomp/syscalls.h"

static void table_is_sorted_and_unique(void **state)
{
	size_t i = 1;
	for (; syscall_row_name(i); i++)
		assert_true(strcmp(syscall_row_name(i - 1), syscall_row_name(i)) < 0);
	assert_true(i > 450);
	for (int a = 0; a < SECCOMP_ARCH_MAX_; a++)
		for (size_t k = 0; k < i; k++) {
			int nr = syscall_number(a, syscall_row_name(k));
			if (nr >= 0)
				assert_string_equal(syscall_name(a, nr),
						    syscall_row_name(k)); /* two names for one number would fail here */
		}
}

static void known_numbers(void **state)
{
	static const struct {
		const char *name;
		int x86_64, aarch64;
	} rows[] = {
	    {"read", 0, 63},
	    {"clone3", 435, 435},
	    {"cachestat", 451, 451},
	    {"fchmodat2", 452, 452},
	    {"map_shadow_stack", 453, 453},
	    {"futex_wake", 454, 454},
	    {"futex_wait", 455, 455},
	    {"futex_requeue", 456, 456},
	    {"statmount", 457, 457},
	    {"listmount", 458, 458},
	    {"mseal", 462, 462},
	    {"removexattrat", 466, 466},
	    {"open_tree_attr", 467, 467},
	    {"file_getattr", 468, 468},
	    {"file_setattr", 469, 469},
	    {"uretprobe", 335, -1},
	    {"open", 2, -1},
	    {"renameat", 264, 38},
	    {"no_such_call", -1, -1},
	    {"lsm_list_modules", 461, 461},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(syscall_number(SECCOMP_ARCH_X86_64, rows[i].name), rows[i].x86_64);
		assert_int_equal(syscall_number(SECCOMP_ARCH_AARCH64, rows[i].name), rows[i].aarch64);
	}
	assert_int_equal(syscall_highest(SECCOMP_ARCH_X86_64), 469);
	assert_int_equal(syscall_highest(SECCOMP_ARCH_AARCH64), 469);
	assert_null(syscall_name(SECCOMP_ARCH_X86_64, -1));
	assert_null(syscall_name(SECCOMP_ARCH_X86_64, 1000));
	assert_true(syscall_is_known("socketcall"));
	assert_false(syscall_is_known("no_such_call"));
}

/* Every number that libseccomp knows is in our tables under the same name, on every architecture. */
static void libseccomp_agrees(void **state)
{
	static const uint32_t tokens[] = {
	    [SECCOMP_ARCH_X86_64] = SCMP_ARCH_X86_64, [SECCOMP_ARCH_AARCH64] = SCMP_ARCH_AARCH64, [SECCOMP_ARCH_X86] = SCMP_ARCH_X86};
	for (int a = 0; a < SECCOMP_ARCH_MAX_; a++) {
		int found = 0;
		for (int nr = 0; nr <= 450; nr++) {
			char *name = seccomp_syscall_resolve_num_arch(tokens[a], nr);
			if (name && nr == seccomp_syscall_resolve_name_arch(tokens[a], name)) {
				assert_int_equal(syscall_number(a, name), nr);
				found++;
			}
			free(name);
		}
		assert_true(found > 290);
		assert_int_equal(seccomp_arch_audit(a), tokens[a]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table_is_sorted_and_unique), cmocka_unit_test(known_numbers),
					   cmocka_unit_test(libseccomp_agrees)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
