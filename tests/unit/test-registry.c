/* SPDX-License-Identifier: Apache-2.0 */
/* What registries say in headers, and where an address leads: pure text. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/base64.h"
#include "fetch/reach.h"
#include "registry/challenge.h"
#include "registry/registry.h"
#include "registry/url.h"

static void test_challenges(void **state)
{
	struct challenge c;
	assert_int_equal(challenge_parse("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:library/busybox:pull\"", &c, NULL), 0);
	assert_true(c.bearer && !c.basic);
	assert_string_equal(c.realm, "https://auth.docker.io/token");
	assert_string_equal(c.service, "registry.docker.io");
	assert_string_equal(c.scope, "repository:library/busybox:pull");
	assert_int_equal(challenge_parse("basic realm=\"a \\\"b\\\", c\"", &c, NULL), 0);
	assert_true(c.basic && !c.bearer);
	assert_int_equal(challenge_parse("Negotiate, Basic realm=x, BEARER realm = \"https://a/b?c=d\" , service=s", &c, NULL), 0);
	assert_true(c.basic && c.bearer);
	assert_string_equal(c.realm, "https://a/b?c=d");
	assert_string_equal(c.service, "s");
	assert_int_equal(challenge_parse("", &c, NULL), 0);
	static const char *const bad[] = {
		"Bearer realm=\"x", "Bearer realm=\"a\",realm=\"b\"", "=", "Bearer realm=\"a\" service=\"b\"", "Bearer realm=a Bearer realm=b", "Bearer realm=\"a\", Bearer realm=\"b\"", "\"x\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		if (challenge_parse(bad[i], &c, &err) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
}

static void test_addresses(void **state)
{
	struct url u, v;
	assert_int_equal(url_parse("https://Registry.Example/v2/x?y=z#frag", &u, NULL), 0);
	assert_true(u.https);
	assert_string_equal(u.host, "registry.example:443");
	assert_string_equal(u.name, "registry.example");
	assert_string_equal(u.path, "/v2/x?y=z");
	assert_int_equal(url_parse("http://[::1]:5000", &v, NULL), 0);
	assert_string_equal(v.host, "[::1]:5000");
	assert_string_equal(v.name, "[::1]");
	assert_string_equal(v.path, "/");
	assert_false(url_same_origin(&u, &v));
	assert_int_equal(url_resolve(&u, "/upload/1?state=a", &v, NULL), 0);
	assert_true(url_same_origin(&u, &v));
	assert_string_equal(v.path, "/upload/1?state=a");
	assert_int_equal(url_resolve(&u, "http://registry.example:443/x", &v, NULL), 0);
	assert_false(url_same_origin(&u, &v)); /* the scheme counts */
	static const char *const bad[] = {
		"ftp://x/", "https://", "https:///x", "https://a:b@c/", "https://a:0/", "https://a:65536/", "https://a:/", "https://a b/", "https://a/\tb", "https://a\\b/", "//other/x", "x", "",
		"https://a%41/", "file:///etc/passwd", "https://[::1/", "https://a:80:80/",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_parse(bad[i], &v, NULL) >= 0)
			fail_msg("taken: %s", bad[i]);
	assert_true(url_resolve(&u, "//other/x", &v, NULL) < 0);
	assert_true(url_resolve(&u, "relative", &v, NULL) < 0);
}

static enum fetch_reach reach(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct sockaddr_in6 b = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &a.sin_addr) == 1)
		return fetch_reach_of((const struct sockaddr *) &a);
	assert_int_equal(inet_pton(AF_INET6, text, &b.sin6_addr), 1);
	return fetch_reach_of((const struct sockaddr *) &b);
}

static void test_reach(void **state)
{
	static const struct {
		const char *address;
		enum fetch_reach reach;
	} rows[] = {
		{"8.8.8.8", FETCH_REACH_PUBLIC}, {"2600::1", FETCH_REACH_PUBLIC}, {"10.1.2.3", FETCH_REACH_PRIVATE}, {"172.31.255.255", FETCH_REACH_PRIVATE},
		{"172.32.0.1", FETCH_REACH_PUBLIC}, {"192.168.0.1", FETCH_REACH_PRIVATE}, {"100.64.0.1", FETCH_REACH_PRIVATE}, {"fd00::1", FETCH_REACH_PRIVATE},
		{"127.0.0.1", FETCH_REACH_LOOPBACK}, {"127.255.0.9", FETCH_REACH_LOOPBACK}, {"::1", FETCH_REACH_LOOPBACK}, {"::ffff:127.0.0.1", FETCH_REACH_LOOPBACK},
		{"::ffff:10.0.0.1", FETCH_REACH_PRIVATE}, {"64:ff9b::7f00:1", FETCH_REACH_LOOPBACK}, {"2002:7f00:1::", FETCH_REACH_LOOPBACK},
		{"169.254.169.254", FETCH_REACH_LINK_LOCAL}, {"fe80::1", FETCH_REACH_LINK_LOCAL}, {"::ffff:169.254.169.254", FETCH_REACH_LINK_LOCAL},
		{"0.0.0.0", FETCH_REACH_LINK_LOCAL}, {"::", FETCH_REACH_LINK_LOCAL}, {"224.0.0.1", FETCH_REACH_LINK_LOCAL}, {"255.255.255.255", FETCH_REACH_LINK_LOCAL},
		{"ff02::1", FETCH_REACH_LINK_LOCAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (reach(rows[i].address) != rows[i].reach)
			fail_msg("%s: %d", rows[i].address, (int) reach(rows[i].address));
}

static void test_base64(void **state)
{
	for (size_t n = 0; n < 9; n++) {
		const char text[] = "\xff\xfe\xfd~abcde";
		_cleanup_strbuf_ struct strbuf a = STRBUF_INIT(64), b = STRBUF_INIT(64), c = STRBUF_INIT(64), d = STRBUF_INIT(64);
		base64_add(&a, text, n);
		base64url_add(&b, text, n);
		assert_int_equal(base64_decode(a.s ? a.s : "", &c), 0);
		assert_int_equal(base64_decode(b.s ? b.s : "", &d), 0);
		assert_true(c.len == n && d.len == n && (n == 0 || (memcmp(c.s, text, n) == 0 && memcmp(d.s, text, n) == 0)));
	}
	static const char *const bad[] = {"a", "a===", "ab=", "a b", "ab\n=", "====", "abc=="};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(64);
		if (base64_decode(bad[i], &b) >= 0)
			fail_msg("taken: %s", bad[i]);
	}
}

static void test_auth_header(void **state)
{
	struct registry_auth a;
	assert_int_equal(registry_auth_parse("eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIiLCJzZXJ2ZXJhZGRyZXNzIjoicyJ9", &a, NULL), 0);
	assert_string_equal(a.username, "a");
	assert_string_equal(a.password, "b");
	registry_auth_done(&a);
	static const char *const none[] = {NULL, "", "e30=", "!!", "eyJ1c2VybmFtZSI6NX0", "W10="};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		assert_int_equal(registry_auth_parse(none[i], &a, NULL), 0);
		assert_null(a.username);
		registry_auth_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenges), cmocka_unit_test(test_addresses), cmocka_unit_test(test_reach), cmocka_unit_test(test_base64), cmocka_unit_test(test_auth_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
