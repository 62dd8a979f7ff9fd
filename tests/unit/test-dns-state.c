/* SPDX-License-Identifier: Apache-2.0 */
/* What the name server knows: messages of engines, who sees whom, answers without anybody being asked; and resolv.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "dns/answer.h"
#include "dns/resolv.h"

#define ID(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define NET_A ID("a")
#define NET_B ID("b")

static struct dns_member *tell(struct dns_state *st, const char *text)
{
	struct dns_told t = {0};
	struct dns_member *m = NULL;
	char copy[2048];
	assert_int_equal(str_copy(copy, sizeof(copy), text), 0);
	assert_int_equal(dns_told_parse(copy, &t), 0);
	int fds[DNS_SOCKETS] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/null", O_RDONLY | O_CLOEXEC)};
	assert_int_equal(dns_state_tell(st, &t, &m), 0);
	dns_state_give(m, fds);
	assert_int_equal(fds[0], -EBADF);
	return m;
}

static bool finds(struct dns_state *st, const struct dns_member *m, const char *name, const char *want)
{
	struct dns_found f;
	char text[INET_ADDRSTRLEN];
	if (!dns_state_find(st, m, name, &f))
		return want == NULL;
	assert_int_equal(f.n, 1);
	(void) inet_ntop(AF_INET, f.stays[0]->v4.bytes, text, sizeof(text));
	return str_eq(text, want);
}

#define WEB "tell " ID("1") " Web\nnetwork " NET_A " front external\naddress 10.0.0.2\nname Web\nname www\n"
#define DB "tell " ID("2") " db\nlink Shop WWW\nnetwork " NET_B " back.end internal\naddress 10.1.0.2\naddress fd01::2\nname db\nnetwork " NET_A \
	   " front external\naddress 10.0.0.3\nname db\nname data\n"
#define ALONE "tell " ID("3") " alone\nnetwork " NET_B " back.end internal\naddress 10.1.0.3\nname alone\n"

static void who_sees_whom(void **state)
{
	struct dns_state st;
	assert_int_equal(dns_state_init(&st), 0);
	struct dns_member *web = tell(&st, WEB), *db = tell(&st, DB), *alone = tell(&st, ALONE);
	assert_true(finds(&st, web, "db", "10.0.0.3"));
	assert_true(finds(&st, db, "db", "10.1.0.2")); /* the first of its networks decides */
	assert_true(finds(&st, alone, "db", "10.1.0.2"));
	assert_true(finds(&st, alone, "data", NULL)); /* an alias of the other network's */
	assert_true(finds(&st, alone, "web", NULL));
	assert_true(finds(&st, db, "www", "10.0.0.2"));
	assert_true(finds(&st, db, "shop", "10.0.0.2")); /* a link is the linking one's alone */
	assert_true(finds(&st, web, "shop", NULL));
	assert_true(finds(&st, db, "db.front", "10.0.0.3"));
	assert_true(finds(&st, db, "db.back.end", "10.1.0.2"));
	assert_true(finds(&st, web, "db.back.end", NULL));
	assert_true(finds(&st, db, "front", NULL));
	assert_true(finds(&st, db, ".front", NULL));
	assert_false(dns_state_external(alone));
	assert_true(dns_state_external(db));
	dns_state_done(&st);
}

static void told_again(void **state)
{
	struct dns_state st;
	struct dns_told t = {0};
	char text[] = "tell " ID("1") " web\nnetwork " NET_A " front external\naddress 10.0.0.9\nname web\n";
	assert_int_equal(dns_state_init(&st), 0);
	struct dns_member *web = tell(&st, WEB), *db = tell(&st, DB), *again;
	assert_true(finds(&st, db, "www", "10.0.0.2"));
	assert_int_equal(dns_told_parse(text, &t), 0);
	assert_int_equal(dns_state_tell(&st, &t, &again), 0);
	assert_ptr_equal(web, again);
	assert_true(finds(&st, db, "web", "10.0.0.9"));
	assert_true(finds(&st, db, "www", NULL));
	dns_state_forget(&st, web);
	assert_true(finds(&st, db, "web", NULL));
	assert_true(finds(&st, db, "shop", NULL));
	dns_state_done(&st);
}

static void many(void **state)
{
	struct dns_state st;
	char text[512], name[32];
	struct dns_member *m = NULL;
	struct dns_found f;
	assert_int_equal(dns_state_init(&st), 0);
	for (unsigned i = 0; i < 500; i++) {
		(void) str_format(text, sizeof(text), "tell %064x c%u\nnetwork " NET_A " front external\naddress 10.0.%u.%u\nname c%u\nname all\n", i, i, i / 256, i % 256, i);
		m = tell(&st, text);
	}
	for (unsigned i = 0; i < 500; i += 2) {
		(void) str_format(name, sizeof(name), "c%u", i);
		assert_true(dns_state_find(&st, m, name, &f));
		assert_int_equal(f.n, 1);
		(void) str_format(text, sizeof(text), "%064x", i);
		dns_state_forget(&st, dns_state_get(&st, text));
		assert_false(dns_state_find(&st, m, name, &f));
	}
	assert_true(dns_state_find(&st, m, "all", &f));
	assert_int_equal(f.n, 250);
	dns_state_done(&st);
}

static void messages_refused(void **state)
{
	static const char *const bad[] = {
		"", "tell\n", "tell x web\n", "tell " ID("1") "\n", "tell " ID("1") " web", "tell " ID("1") " a b\n", "tell " ID("1") "  web\n", "name web\n",
		WEB "tell " ID("1") " web\n", WEB "forget " ID("1") "\n", "forget " ID("1") "\nname x\n", "forget ../../x\n", "watch now\n", WEB "nonsense\n",
		"tell " ID("1") " web\naddress 10.0.0.2\n", "tell " ID("1") " web\nname web\n", WEB "address 10.0.0.3\n", WEB "server localhost\n", WEB "address 10.0.0.2/16\n",
		WEB "network " NET_B " x sometimes\n", WEB "link db\n", WEB "server 1.1.1.1\nserver 1.1.1.1\nserver 1.1.1.1\nserver 1.1.1.1\nserver 1.1.1.1\nserver 1.1.1.1\n"
		"server 1.1.1.1\nserver 1.1.1.1\nserver 1.1.1.1\n", "tell " ID("1") " a\x01z\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct dns_told t = {0};
		char copy[2048];
		assert_int_equal(str_copy(copy, sizeof(copy), bad[i]), 0);
		assert_true(dns_told_parse(copy, &t) < 0);
		assert_null(t.name);
	}
}

/* A name that would be two lines, or another word, never leaves the engine. */
static void writing_refuses_injection(void **state)
{
	static const char *const bad[] = {"a\nname b", "a b", "", "a\tb"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(DNS_TEXT_MAX);
		struct err err = {0};
		char *names[] = {(char *) bad[i], NULL};
		const struct dns_network n = {.id = NET_A, .name = "front", .names = names};
		const struct dns_link l = {.alias = bad[i], .target = "db"}, m = {.alias = "db", .target = bad[i]};
		const struct dns_container by_alias = {.id = ID("1"), .name = "web", .networks = &n, .n_networks = 1};
		const struct dns_container by_link = {.id = ID("1"), .name = "web", .links = &l, .n_links = 1};
		const struct dns_container by_target = {.id = ID("1"), .name = "web", .links = &m, .n_links = 1};
		const struct dns_container by_name = {.id = ID("1"), .name = bad[i]};
		assert_int_equal(dns_told_write(&by_alias, &out, &err), -EINVAL);
		assert_int_equal(dns_told_write(&by_link, &out, &err), -EINVAL);
		assert_int_equal(dns_told_write(&by_target, &out, &err), -EINVAL);
		assert_int_equal(dns_told_write(&by_name, &out, &err), -EINVAL);
	}
}

static void writing_keeps_the_ceilings(void **state)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(DNS_TEXT_MAX);
	struct err err = {0};
	char *names[DNS_NAMES_MAX + 2] = {0};
	for (size_t i = 0; i <= DNS_NAMES_MAX; i++)
		names[i] = (char *) "x";
	const struct dns_network n = {.id = NET_A, .name = "front", .names = names};
	const struct dns_container c = {.id = ID("1"), .name = "web", .networks = &n, .n_networks = 1};
	assert_true(dns_told_write(&c, &out, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
}

/* Answers */

static size_t ask(struct dns_state *st, const struct dns_member *m, const char *name, uint16_t type, uint8_t *p)
{
	static struct dns_random random;
	struct dns_question q = {.id = 1, .flags = DNS_RD, .type = type, .class = DNS_CLASS_IN};
	int n = str_empty(name) ? 1 : dns_name_wire(name, q.name);
	assert_true(n > 0);
	q.name_len = (uint8_t) n;
	return dns_answer_local(st, m, &q, &random, p, DNS_PLAIN_MAX);
}

#define ANSWERED(rcode, count) assert_true(n > 0 && (p[3] & 15) == (rcode) && p[7] == (count))

static void answers(void **state)
{
	struct dns_state st;
	uint8_t p[DNS_PLAIN_MAX];
	assert_int_equal(dns_state_init(&st), 0);
	struct dns_member *web = tell(&st, WEB), *db = tell(&st, DB), *alone = tell(&st, ALONE);
	size_t n = ask(&st, web, "DB", DNS_TYPE_A, p);
	ANSWERED(DNS_NOERROR, 1);
	n = ask(&st, web, "db", DNS_TYPE_AAAA, p); /* known, but not so: NODATA, and nobody else is asked */
	ANSWERED(DNS_NOERROR, 0);
	n = ask(&st, web, "db", 15 /* MX */, p);
	ANSWERED(DNS_NOERROR, 0);
	n = ask(&st, db, "db", 255 /* ANY */, p);
	ANSWERED(DNS_NOERROR, 2);
	n = ask(&st, web, "foo.localhost", DNS_TYPE_A, p);
	ANSWERED(DNS_NOERROR, 1);
	n = ask(&st, db, "2.0.0.10.in-addr.arpa", DNS_TYPE_PTR, p);
	ANSWERED(DNS_NOERROR, 1);
	assert_memory_equal(p + n - 11, "\3web\5front", 11);
	assert_int_equal(ask(&st, web, "2.0.1.10.in-addr.arpa", DNS_TYPE_PTR, p), 0); /* db's address on a network that web is not on */
	assert_int_equal(ask(&st, web, "example.com", DNS_TYPE_A, p), 0);
	assert_int_equal(ask(&st, web, "alone", DNS_TYPE_A, p), 0);
	assert_int_equal(ask(&st, web, "", 2 /* NS */, p), 0);
	n = ask(&st, web, "example.com", 252 /* AXFR */, p);
	ANSWERED(DNS_REFUSED, 0);
	n = ask(&st, alone, "example.com", DNS_TYPE_A, p); /* CVE-2024-29018 */
	ANSWERED(DNS_NXDOMAIN, 0);
	n = ask(&st, alone, "db", DNS_TYPE_A, p);
	ANSWERED(DNS_NOERROR, 1);
	dns_state_done(&st);
}

static void resolv_conf(void **state)
{
	static const char text[] = "# comment\nnameserver 127.0.0.53\n nameserver 9.9.9.9\nnameserver\t1.1.1.1 # two\nnameserver fe80::1%eth0\nnameserver x\nnameserverx 2.2.2.2\n"
				   "domain old.example\nsearch a.example  b.example\r\noptions ndots:2 edns0\noptions rotate";
	struct resolv r = {0};
	assert_int_equal(resolv_parse(text, sizeof(text) - 1, &r), 0);
	assert_int_equal(strv_len(r.servers), 3);
	assert_string_equal(r.servers[0], "127.0.0.53");
	assert_string_equal(r.servers[1], "1.1.1.1");
	assert_string_equal(r.servers[2], "fe80::1%eth0");
	assert_int_equal(strv_len(r.search), 2);
	assert_string_equal(r.search[1], "b.example");
	assert_int_equal(strv_len(r.options), 3);
	resolv_done(&r);
	static const char *const yes[] = {"127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"}, *const no[] = {"128.0.0.1", "10.0.0.1", "fe80::1%lo", "fd00::1", "x"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(resolv_is_loopback(yes[i]));
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(resolv_is_loopback(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_sees_whom), cmocka_unit_test(told_again), cmocka_unit_test(many), cmocka_unit_test(messages_refused), cmocka_unit_test(writing_refuses_injection), cmocka_unit_test(writing_keeps_the_ceilings),
		cmocka_unit_test(answers), cmocka_unit_test(resolv_conf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
