/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers above 2^63-1: read exactly, refused by name where they do not fit, written back as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "codec/json.h"

static struct json *parse(const char *text)
{
	struct json *j = NULL;
	struct err err = {0};
	if (json_parse(text, strlen(text), 1 << 20, "test", &j, &err) < 0)
		fail_msg("%s", err.msg);
	return j;
}

static void assert_refused(const char *text)
{
	struct json *j = NULL;
	struct err err = {0};
	assert_true(json_parse(text, strlen(text), 1 << 20, "test", &j, &err) < 0);
	assert_null(j);
}

static void test_exact_up_to_the_last(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{"{\"n\":9223372036854775807}", INT64_MAX},
		{"{\"n\":9223372036854775808}", (uint64_t) INT64_MAX + 1},
		{"{\"n\" : 18446744073709551615 }", UINT64_MAX},
		{"{\"a\":[18446744073709551614,1],\"n\":18446744073709551614}", UINT64_MAX - 1},
		{"{\"pad\":\"0123456789012345678901234567890\",\"n\":10000000000000000000}", 10000000000000000000u},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_json_ struct json *j = parse(rows[i].text);
		struct err err = {0};
		uint64_t v = 0;
		int64_t small = 5;
		assert_int_equal(json_read_u64(j, "n", &v, &err), 0);
		assert_true(v == rows[i].value);
		assert_int_equal(json_kind(json_get(j, "n")), JSON_KIND_INT);
		assert_null(json_str(json_get(j, "n"), NULL));
		if (v > INT64_MAX) {
			assert_true(json_read_i64(j, "n", &small, &err) < 0);
			assert_non_null(strstr(err.msg, "n: "));
			assert_non_null(strstr(err.msg, "is more than 9223372036854775807"));
			assert_int_equal(small, 5);
		}
	}
}

static void test_what_is_no_such_number(void **state)
{
	static const char *const bad[] = {"18446744073709551616", "99999999999999999999", "-9223372036854775809", "018446744073709551615", "18446744073709551615x", "[18446744073709551615 1]"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(bad[i]);
	_cleanup_json_ struct json *j = parse("[18446744073709551615.5,18446744073709551615e0,-9223372036854775808,\"18446744073709551615\",\"\\\"18446744073709551615\"]");
	assert_int_equal(json_kind(json_at(j, 0)), JSON_KIND_REAL);
	assert_int_equal(json_kind(json_at(j, 1)), JSON_KIND_REAL);
	assert_true(json_int(json_at(j, 2), 0) == INT64_MIN);
	assert_string_equal(json_str(json_at(j, 3), ""), "18446744073709551615");
	assert_string_equal(json_str(json_at(j, 4), ""), "\"18446744073709551615");
}

static void test_dump_writes_them_back(void **state)
{
	static const char text[] = "{\"a\":18446744073709551615,\"b\":[9223372036854775808,{\"c\":\"18446744073709551615\"}],\"d\":\"\\u0001x\"}";
	_cleanup_json_ struct json *j = parse(text);
	_cleanup_free_ char *out = json_dump(j);
	assert_string_equal(out, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact_up_to_the_last), cmocka_unit_test(test_what_is_no_such_number), cmocka_unit_test(test_dump_writes_them_back)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
