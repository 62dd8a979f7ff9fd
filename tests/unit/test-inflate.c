/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "base/str.h"
#include "codec/inflate.h"

struct input {
	struct strbuf b;
	size_t at, step;
};

static ssize_t read_some(void *ctx, void *buf, size_t len)
{
	struct input *in = ctx;
	size_t n = MIN(MIN(len, in->step), in->b.len - in->at);
	memcpy(buf, in->b.s + in->at, n);
	in->at += n;
	return (ssize_t) n;
}

static void add_gzip(struct input *in, const void *data, size_t len)
{
	struct isal_zstream z;
	size_t room = len + len / 8 + 4096;
	unsigned char *out = malloc(room);
	isal_deflate_stateless_init(&z);
	z.gzip_flag = IGZIP_GZIP;
	z.end_of_stream = 1;
	z.next_in = (uint8_t *) data;
	z.avail_in = (uint32_t) len;
	z.next_out = out;
	z.avail_out = (uint32_t) room;
	assert_int_equal(isal_deflate_stateless(&z), COMP_OK);
	strbuf_add(&in->b, out, z.total_out);
	free(out);
}

static void add_zstd(struct input *in, const void *data, size_t len)
{
	size_t room = ZSTD_compressBound(len);
	unsigned char *out = malloc(room);
	size_t n = ZSTD_compress(out, room, data, len, 3);
	assert_false(ZSTD_isError(n));
	strbuf_add(&in->b, out, n);
	free(out);
}

static ssize_t drain(struct input *in, size_t step, struct inflate_limits limits, struct strbuf *out, char why[200])
{
	struct inflate *z;
	const struct inflate_source src = {read_some, in};
	char buf[3000];
	ssize_t n;
	in->at = 0;
	in->step = step;
	strbuf_reset(out);
	assert_int_equal(inflate_new(&src, INFLATE_AUTO, &limits, &z), 0);
	while ((n = inflate_read(z, buf, sizeof(buf))) > 0)
		strbuf_add(out, buf, (size_t) n);
	(void) str_copy(why, 200, inflate_why(z));
	(void) inflate_free(z);
	return n;
}

static const struct inflate_limits none = {0};
static char text[200000];

static void check(struct input *in, size_t copies)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(16 << 20);
	char why[200];
	for (size_t step = 1; step < 400000; step = step * 7 + 1) {
		assert_int_equal(drain(in, step, none, &out, why), 0);
		assert_int_equal(out.len, copies * sizeof(text));
		for (size_t i = 0; i < copies; i++)
			assert_memory_equal(out.s + i * sizeof(text), text, sizeof(text));
	}
}

static void every_coding_in_every_step(void **state)
{
	struct input g = {.b = STRBUF_INIT(16 << 20)}, z = {.b = STRBUF_INIT(16 << 20)}, p = {.b = STRBUF_INIT(16 << 20)};
	for (size_t i = 1; i <= 3; i++) {
		add_gzip(&g, text, sizeof(text));
		check(&g, i); /* members one after the other are one stream */
		add_zstd(&z, text, sizeof(text));
		check(&z, i);
		strbuf_add(&p.b, text, sizeof(text));
		check(&p, i);
	}
	strbuf_done(&g.b);
	strbuf_done(&z.b);
	strbuf_done(&p.b);
}

static void damage_is_told(void **state)
{
	for (int zstd = 0; zstd < 2; zstd++) {
		struct input in = {.b = STRBUF_INIT(16 << 20)};
		_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(16 << 20);
		char why[200];
		(zstd ? add_zstd : add_gzip)(&in, text, sizeof(text));
		size_t whole = in.b.len;
		for (size_t cut = 5; cut < whole; cut += whole / 50 + 1) {
			in.b.len = cut;
			assert_int_equal(drain(&in, 100, none, &out, why), -EBADMSG);
			assert_non_null(strstr(why, "cut short"));
		}
		in.b.len = whole;
		strbuf_adds(&in.b, "garbage");
		assert_int_equal(drain(&in, 100, none, &out, why), -EBADMSG);
		assert_non_null(strstr(why, "trailing"));
		if (!zstd) { /* crc and length */
			for (size_t k = 1; k <= 8; k++) {
				in.b.len = whole;
				in.b.s[whole - k] ^= 1;
				assert_int_equal(drain(&in, 1000, none, &out, why), -EBADMSG);
				in.b.s[whole - k] ^= 1;
			}
		}
		strbuf_done(&in.b);
	}
}

static void other_codings_are_named(void **state)
{
	struct input in = {.b = STRBUF_INIT(100)};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(100);
	char why[200];
	strbuf_add(&in.b, "\xfd" "7zXZ\0xxxx", 10);
	assert_int_equal(drain(&in, 10, none, &out, why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "xz"));
	strbuf_done(&in.b);
}

static void limits_hold(void **state)
{
	struct input in = {.b = STRBUF_INIT(16 << 20)};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(64 << 20);
	char why[200];
	_cleanup_free_ char *zeros = calloc(1, 8 << 20);
	add_gzip(&in, zeros, 8 << 20);
	assert_int_equal(drain(&in, 4096, (struct inflate_limits) {.out_max = 8 << 20}, &out, why), 0);
	assert_int_equal(drain(&in, 4096, (struct inflate_limits) {.out_max = (8 << 20) - 1}, &out, why), -EDQUOT);
	assert_int_equal(drain(&in, 4096, (struct inflate_limits) {.ratio_max = 20, .ratio_floor = 1 << 20}, &out, why), -EDQUOT);
	assert_true(out.len < (2 << 20));
	strbuf_reset(&in.b);
	for (int i = 0; i < 50; i++)
		add_gzip(&in, "x", 1);
	assert_int_equal(drain(&in, 4096, (struct inflate_limits) {.members_max = 49}, &out, why), -EDQUOT);
	assert_int_equal(drain(&in, 4096, (struct inflate_limits) {.members_max = 50}, &out, why), 0);
	assert_int_equal(out.len, 50);
	strbuf_reset(&in.b);
	/* frame header: window descriptor of 2 GiB, no content size */
	strbuf_add(&in.b, "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9);
	assert_int_equal(drain(&in, 4096, none, &out, why), -EDQUOT);
	assert_non_null(strstr(why, "window"));
	strbuf_done(&in.b);
}

int main(void)
{
	uint32_t x = 1;
	for (size_t i = 0; i < sizeof(text); i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char) (i % 3 ? 'a' + (x >> 28) : x >> 24);
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_coding_in_every_step), cmocka_unit_test(damage_is_told),
		cmocka_unit_test(other_codings_are_named), cmocka_unit_test(limits_hold)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
