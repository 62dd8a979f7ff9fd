/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/str.h"
#include "codec/tar_path.h"

static void clean_names(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"a", "a"}, {"./a/b/", "a/b"}, {"/abs/x", "abs/x"}, {"a//b/./c", "a/b/c"}, {".", ""}, {"./", ""}, {"/", ""}, {"a/..b", "a/..b"}, {"...", "..."},
		{"", NULL}, {"..", NULL}, {"../x", NULL}, {"a/../../x", NULL}, {"a/../b", NULL}, {"a/..", NULL}, {"/..", NULL},
	};
	char out[4200];
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = tar_path_clean(cases[i].in, 4096, 512, out, &err);
		assert_int_equal(r >= 0, cases[i].out != NULL);
		if (r >= 0)
			assert_string_equal(out, cases[i].out);
	}
}

static void limits(void **state)
{
	char in[4200], out[4200];
	struct err err;
	for (size_t i = 0; i < 4096; i++)
		in[i] = i % 200 == 199 ? '/' : 'x';
	in[4096] = '\0';
	assert_int_equal(tar_path_clean(in, 4096, 512, out, &err), 0);
	assert_true(tar_path_clean(in, 4095, 512, out, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
	assert_true(tar_path_clean(in, 4096, 10, out, &err) < 0);
	memset(in, 'x', 256);
	in[256] = '\0';
	assert_true(tar_path_clean(in, 4096, 512, out, &err) < 0);
	in[255] = '\0';
	assert_int_equal(tar_path_clean(in, 4096, 512, out, &err), 0);
}

static void split(void **state)
{
	char p[] = "a/b/c", q[] = "c";
	const char *name;
	assert_string_equal(tar_path_split(p, &name), "a/b");
	assert_string_equal(name, "c");
	assert_string_equal(tar_path_split(q, &name), "");
	assert_string_equal(name, "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(clean_names), cmocka_unit_test(limits), cmocka_unit_test(split)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
