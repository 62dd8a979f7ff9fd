/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/digest.h"

static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char million_a[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void known_answers(void **state)
{
	char hex[DIGEST_SHA256_HEX + 1];
	digest_sha256_hex("abc", 3, hex);
	assert_string_equal(hex, abc);
	digest_sha256_hex(NULL, 0, hex);
	assert_string_equal(hex, empty);
}

static void streaming_equals_one_shot(void **state)
{
	struct digest d;
	char hex[DIGEST_SHA256_HEX + 1], chunk[977];
	memset(chunk, 'a', sizeof(chunk));
	digest_init(&d);
	for (size_t left = 1000000; left > 0;) {
		size_t n = left < sizeof(chunk) ? left : sizeof(chunk);
		digest_update(&d, chunk, n);
		left -= n;
	}
	assert_int_equal(d.bytes, 1000000);
	digest_final_hex(&d, hex);
	assert_string_equal(hex, million_a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers), cmocka_unit_test(streaming_equals_one_shot)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
