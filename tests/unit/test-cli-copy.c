/* SPDX-License-Identifier: Apache-2.0 */
/* docker's rules of cp as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "base/str.h"
#include "cli/copy_plan.h"

static void test_sides(void **state)
{
	static const struct {
		const char *arg, *container, *path;
	} rows[] = {
		{"web:/etc", "web", "/etc"}, {"web:etc", "web", "etc"}, {"web:", "web", ""}, {"/a:b", "", "/a:b"}, {"./a:b", "", "./a:b"}, {"../a:b", "", "../a:b"},
		{"plain", "", "plain"},      {"-", "", "-"},		{"a/b", "", "a/b"},  {"c:/x:y", "c", "/x:y"},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct copy_side s;
		struct err err;
		assert_int_equal(copy_side_parse(rows[i].arg, &s, &err), 0);
		assert_string_equal(s.container, rows[i].container);
		assert_string_equal(s.path, rows[i].path);
	}
}

static void test_clean(void **state)
{
	static const char *const rows[][2] = {
		{"/a//b/./c", "/a/b/c"}, {"/a/../b", "/b"}, {"/../..", "/"}, {"a/..", "."}, {"../a/../..", "../.."}, {"/a/b/", "/a/b/"}, {"/a/.", "/a/."}, {"/a/./", "/a/"},
		{".", "."},		 {"./", "."},	    {"/", "/"},	     {"/.", "/."},  {"a", "a"},		      {"", "."},	   {"a/b/../..//c/.", "c/."},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[PATH_MAX];
		assert_int_equal(copy_clean(rows[i][0], out), 0);
		assert_string_equal(out, rows[i][1]);
	}
	char longest[2 * PATH_MAX], out[PATH_MAX];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(copy_clean(longest, out), -ENAMETOOLONG);
}

static void test_split(void **state)
{
	static const char *const rows[][3] = {
		{"/a/b", "/a", "b"}, {"/a/b/", "/a", "b"}, {"/a/.", "/a", "."}, {"/a", "/", "a"}, {"/", "/", "/"}, {"a", ".", "a"}, {".", ".", "."}, {"a/", ".", "a"}, {"/.", "/", "."}, {"x/y/../z", "x", "z"},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char dir[PATH_MAX], base[NAME_MAX + 1];
		assert_int_equal(copy_split(rows[i][0], dir, base), 0);
		assert_string_equal(dir, rows[i][1]);
		assert_string_equal(base, rows[i][2]);
	}
}

enum { GONE, FILE_, DIR_ };

static struct copy_info info(const char *path, int what)
{
	struct copy_info i = {.exists = what != GONE, .is_dir = what == DIR_};
	assert_int_equal(str_copy(i.path, sizeof(i.path), path), 0);
	return i;
}

static void test_plan(void **state)
{
	static const struct {
		const char *src;
		int src_is;
		const char *dst;
		int dst_is;
		const char *dir, *from, *to, *why;
	} rows[] = {
		{"/s/f", FILE_, "/d", DIR_, "/d", "f", "", NULL},      {"/s/f", FILE_, "/d/", DIR_, "/d/", "f", "", NULL},   {"/s/f", FILE_, "/d/g", GONE, "/d", "f", "g", NULL},
		{"/s/f", FILE_, "/d/g", FILE_, "/d", "f", "g", NULL},  {"/s/f", FILE_, "/d/g/", GONE, NULL, NULL, NULL, "no such directory"},
		{"/s", DIR_, "/d", DIR_, "/d", "s", "", NULL},	       {"/s", DIR_, "/d/n", GONE, "/d", "s", "n", NULL},     {"/s", DIR_, "/d/n/", GONE, "/d", "s", "n", NULL},
		{"/s", DIR_, "/f", FILE_, NULL, NULL, NULL, "cannot copy directory"}, {"/s/.", DIR_, "/d", DIR_, "/d", ".", "", NULL},	 {"/s/.", DIR_, "/d/n", GONE, "/d", ".", "n", NULL},
		{"/", DIR_, "/d", DIR_, "/d", "/", "", NULL},	       {"/", DIR_, "n", GONE, ".", "/", "n", NULL},	     {"f", FILE_, ".", DIR_, ".", "f", "", NULL},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct copy_info src = info(rows[i].src, rows[i].src_is), dst = info(rows[i].dst, rows[i].dst_is);
		struct copy_plan p;
		struct err err;
		int r = copy_plan(&src, &dst, &p, &err);
		if (rows[i].why) {
			assert_true(r < 0);
			assert_string_equal(err.msg, rows[i].why);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(p.dir, rows[i].dir);
		assert_string_equal(p.from, rows[i].from);
		assert_string_equal(p.to, rows[i].to);
	}
}

static void test_rename(void **state)
{
	static const struct {
		const char *from, *to, *member, *want;
	} rows[] = {
		{"s", "", "s/x", "s/x"}, {"s", "n", "s/x", "n/x"}, {"s", "n", "s", "n"},   {"s", "n", "other", NULL}, {"s", "n", "sx", NULL}, {"s", "", "", NULL},
		{".", "n", "x", "n/x"},	 {".", "n", "", "n"},	   {"/", "n", "etc", "n/etc"}, {".", "", "x", "x"},    {".", "", "", ""},
	};
	(void) state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct copy_plan p = {.dir = ""};
		char buf[PATH_MAX];
		(void) str_copy(p.from, sizeof(p.from), rows[i].from);
		(void) str_copy(p.to, sizeof(p.to), rows[i].to);
		const char *got = copy_rename(&p, rows[i].member, buf);
		if (!rows[i].want)
			assert_null(got);
		else
			assert_string_equal(got, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sides), cmocka_unit_test(test_clean), cmocka_unit_test(test_split), cmocka_unit_test(test_plan), cmocka_unit_test(test_rename),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
