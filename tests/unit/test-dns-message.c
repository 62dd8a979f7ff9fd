/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: questions of clients, answers of ours, answers of resolvers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "dns/message.h"

#define HEAD "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEAD_OPT "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define WEB "\x03Web\x00"
#define A_IN "\x00\x01\x00\x01"
#define OPT(size) "\x00\x00\x29" size "\x00\x00\x80\x00\x00\x00"

static int parse(const char *p, size_t len, struct dns_question *q)
{
	uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too far */
	assert_non_null(exact);
	memcpy(exact, p, len);
	int r = dns_question_parse(exact, len, q);
	free(exact);
	return r;
}
#define PARSE(text, q) parse(text, sizeof(text) - 1, q)

static void question(void **state)
{
	struct dns_question q;
	char name[DNS_TEXT_NAME_MAX];
	assert_int_equal(PARSE(HEAD WEB A_IN, &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_TYPE_A);
	assert_int_equal(q.class, DNS_CLASS_IN);
	assert_int_equal(q.udp_size, 0);
	assert_int_equal(dns_name_text(q.name, q.name_len, name), 0);
	assert_string_equal(name, "web");
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN OPT("\x10\x00"), &q), 0);
	assert_int_equal(q.udp_size, 4096);
	assert_true(q.dnssec_ok);
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN OPT("\x00\x01"), &q), 0);
	assert_int_equal(q.udp_size, 512); /* RFC 6891 6.2.3: less means 512 */
}

static void question_cut_anywhere(void **state)
{
	static const char whole[] = HEAD_OPT WEB A_IN OPT("\x10\x00");
	struct dns_question q;
	for (size_t n = 0; n < sizeof(whole) - 1; n++)
		assert_int_equal(parse(whole, n, &q), n < DNS_HEADER ? -EBADMSG : DNS_FORMERR);
}

static void question_refused(void **state)
{
	struct dns_question q;
	assert_int_equal(PARSE("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00" WEB A_IN, &q), -EBADMSG); /* an answer */
	assert_int_equal(PARSE("\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00" WEB A_IN, &q), DNS_NOTIMP); /* update */
	assert_int_equal(PARSE("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" WEB A_IN WEB A_IN, &q), DNS_FORMERR);
	assert_int_equal(PARSE("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", &q), DNS_FORMERR);
	assert_int_equal(PARSE("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" WEB A_IN, &q), DNS_FORMERR); /* an answer in a question */
	assert_int_equal(PARSE(HEAD "\xc0\x0c" A_IN, &q), DNS_FORMERR); /* a pointer to itself */
	assert_int_equal(PARSE(HEAD "\x40web" A_IN, &q), DNS_FORMERR); /* label type that there is not */
	assert_int_equal(PARSE("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x02" WEB A_IN OPT("\x10\x00") OPT("\x10\x00"), &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN "\x03web\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00", &q), DNS_FORMERR); /* OPT not at the root */
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN "\x00\x00\x29\x10\x00\x00\x01\x00\x00\x00\x00", &q), DNS_BADVERS);
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN "\xc0\xff\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00", &q), DNS_FORMERR); /* points past the end */
}

static void question_longest_name(void **state)
{
	char text[600] = HEAD;
	size_t n = DNS_HEADER;
	struct dns_question q;
	char name[DNS_TEXT_NAME_MAX];
	for (int i = 0; i < 3; i++) {
		text[n++] = 63;
		memset(text + n, 'a', 63);
		n += 63;
	}
	text[n++] = 61; /* 3 * 64 + 62 + 1 = 255 */
	memset(text + n, 'b', 61);
	n += 61;
	memcpy(text + n, "\0" A_IN, 5);
	assert_int_equal(parse(text, n + 5, &q), 0);
	assert_int_equal(q.name_len, DNS_WIRE_NAME_MAX);
	assert_int_equal(dns_name_text(q.name, q.name_len, name), 0);
	assert_int_equal(strlen(name), 253);
	text[DNS_HEADER + 192] = 62; /* one more */
	text[n] = 'b';
	memcpy(text + n + 1, "\0" A_IN, 5);
	assert_int_equal(parse(text, n + 6, &q), DNS_FORMERR);
}

static void names(void **state)
{
	uint8_t wire[DNS_WIRE_NAME_MAX];
	char text[DNS_TEXT_NAME_MAX];
	static const char *const bad[] = {".", "a..b", "a.", ".a", "1234567890123456789012345678901234567890123456789012345678901234"};
	assert_int_equal(dns_name_wire("web.My_Net", wire), 12);
	assert_memory_equal(wire, "\3web\6My_Net", 12);
	assert_int_equal(dns_name_text(wire, 12, text), 0);
	assert_string_equal(text, "web.my_net");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dns_name_wire(bad[i], wire), -EINVAL);
	assert_int_equal(dns_name_text((const uint8_t *) "\3a.b\0", 5, text), -EINVAL); /* a dot inside a label is no dot */
	assert_int_equal(dns_name_text((const uint8_t *) "\3a\nb\0", 5, text), -EINVAL);
	assert_int_equal(dns_name_text((const uint8_t *) "\0", 1, text), 0);
	assert_string_equal(text, "");
}

static void reverse(void **state)
{
	char a[INET6_ADDRSTRLEN];
	static const char *const bad[] = {"in-addr.arpa", "3.2.1.in-addr.arpa", "5.4.3.2.1.in-addr.arpa", "256.3.2.1.in-addr.arpa", "x.3.2.1.in-addr.arpa", "1.ip6.arpa", "web", ""};
	assert_int_equal(dns_reverse_text("2.0.0.10.in-addr.arpa", a), 0);
	assert_string_equal(a, "10.0.0.2");
	assert_int_equal(dns_reverse_text("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", a), 0);
	assert_string_equal(a, "fd00::2");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dns_reverse_text(bad[i], a), -EINVAL);
}

static void answer(void **state)
{
	uint8_t p[DNS_PLAIN_MAX];
	struct dns_question q;
	struct dns_writer w;
	assert_int_equal(PARSE(HEAD_OPT WEB A_IN OPT("\x10\x00"), &q), 0);
	dns_answer_begin(&w, &q, p, sizeof(p));
	dns_answer_add(&w, DNS_TYPE_A, 5, "\x0a\x00\x00\x02", 4);
	size_t n = dns_answer_end(&w, &q, DNS_NOERROR);
	static const char want[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01" WEB A_IN "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x02"
				   "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(p, want, n);
	n = dns_refusal(&q, DNS_BADVERS, p, sizeof(p));
	assert_int_equal(p[3] & 15, 0);
	assert_int_equal(p[n - 6], 1); /* the upper bits of 16 */
}

static void answer_that_does_not_fit(void **state)
{
	uint8_t p[DNS_PLAIN_MAX];
	struct dns_question q;
	struct dns_writer w;
	assert_int_equal(PARSE(HEAD WEB A_IN, &q), 0);
	dns_answer_begin(&w, &q, p, sizeof(p));
	for (int i = 0; i < 100; i++)
		dns_answer_add(&w, DNS_TYPE_A, 5, "\x0a\x00\x00\x02", 4);
	size_t n = dns_answer_end(&w, &q, DNS_NOERROR);
	assert_true(n <= DNS_PLAIN_MAX);
	assert_true(p[2] & DNS_TC >> 8);
	assert_int_equal(p[7], 30); /* (512 - 21) / 16 */
}

/* What a resolver says to the question that we wrote. */
struct reply {
	struct dns_question q;
	uint8_t name[DNS_WIRE_NAME_MAX];
	uint8_t p[1024];
	size_t len;
};

static void reply_init(struct reply *r, const char *tail, size_t tail_len, const char *counts)
{
	assert_int_equal(PARSE(HEAD WEB A_IN, &r->q), 0);
	memcpy(r->name, "\3wEb", 5);
	uint8_t *exact = r->p;
	r->len = dns_forward_write(&r->q, r->name, 0x4242, exact);
	r->p[2] |= 0x80;
	memcpy(r->p + 6, counts, 6);
	memcpy(r->p + r->len, tail, tail_len);
	r->len += tail_len;
}

static enum dns_check check(const struct reply *r, uint16_t id, size_t *ret)
{
	uint8_t *exact = malloc(r->len);
	assert_non_null(exact);
	memcpy(exact, r->p, r->len);
	enum dns_check c = dns_forward_check(&r->q, r->name, id, exact, r->len, ret);
	free(exact);
	return c;
}

#define RECORD "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x02"

static void forward(void **state)
{
	struct reply r;
	size_t n = 0;
	reply_init(&r, RECORD "garbage", sizeof(RECORD "garbage") - 1, "\0\1\0\0\0\0");
	assert_int_equal(check(&r, 0x4242, &n), DNS_CHECK_OK);
	assert_int_equal(n, r.len - 7);
	assert_int_equal(check(&r, 0x4243, &n), DNS_CHECK_FOREIGN);
	n = dns_forward_finish(&r.q, r.p, n, DNS_PLAIN_MAX);
	assert_memory_equal(r.p, "\x12\x34\x81\x80", 4);
	assert_memory_equal(r.p + DNS_HEADER, WEB, 5);
	assert_int_equal(n, DNS_HEADER + 9 + 16);
}

static void forward_other_letters(void **state)
{
	struct reply r;
	size_t n = 0;
	reply_init(&r, RECORD, sizeof(RECORD) - 1, "\0\1\0\0\0\0");
	memcpy(r.name, "\3web", 5);
	assert_int_equal(check(&r, 0x4242, &n), DNS_CHECK_CASE);
	assert_int_equal(n, r.len);
	memcpy(r.name, "\3wex", 5);
	assert_int_equal(check(&r, 0x4242, &n), DNS_CHECK_FOREIGN);
}

static void forward_hostile(void **state)
{
	static const struct {
		const char *tail;
		size_t len;
		const char *counts;
	} bad[] = {
		{"\xc0\x15" "\0\1\0\1\0\0\0\0\0\0", 12, "\0\1\0\0\0\0"}, /* a name that points to itself */
		{"\x01" "a\xc0\x15" "\0\1\0\1\0\0\0\0\0\0", 14, "\0\1\0\0\0\0"}, /* and one that grows */
		{"\xc0\x00" "\0\1\0\1\0\0\0\0\0\0", 12, "\0\1\0\0\0\0"}, /* into the header */
		{"\xff\xff" "\0\1\0\1\0\0\0\0\0\0", 12, "\0\1\0\0\0\0"},
		{RECORD, 16, "\0\2\0\0\0\0"},                  /* fewer than announced */
		{RECORD, 16, "\xff\xff\xff\xff\xff\xff"},
		{"\xc0\x0c\0\1\0\1\0\0\0\0\xff\xff", 12, "\0\1\0\0\0\0"}, /* data past the end */
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct reply r;
		size_t n = 0;
		reply_init(&r, bad[i].tail, bad[i].len, bad[i].counts);
		assert_int_equal(check(&r, 0x4242, &n), DNS_CHECK_BROKEN);
	}
}

static void forward_too_long(void **state)
{
	struct reply r;
	size_t n = 0;
	reply_init(&r, RECORD, sizeof(RECORD) - 1, "\0\1\0\0\0\0");
	assert_int_equal(check(&r, 0x4242, &n), DNS_CHECK_OK);
	assert_int_equal(dns_forward_finish(&r.q, r.p, n, 30), DNS_HEADER + 9);
	assert_true(r.p[2] & DNS_TC >> 8);
	assert_int_equal(r.p[7], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(question), cmocka_unit_test(question_cut_anywhere), cmocka_unit_test(question_refused), cmocka_unit_test(question_longest_name),
		cmocka_unit_test(names), cmocka_unit_test(reverse), cmocka_unit_test(answer), cmocka_unit_test(answer_that_does_not_fit), cmocka_unit_test(forward),
		cmocka_unit_test(forward_other_letters), cmocka_unit_test(forward_hostile), cmocka_unit_test(forward_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
