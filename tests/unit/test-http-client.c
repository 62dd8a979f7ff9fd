/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of HTTP over a socketpair: heads, bodies of every framing cut at every byte, upgrades, and broken peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "http/client.h"
#include "http/escape.h"

/* A peer that has already said @text, then (with @close) left. */
static struct http_conn *peer(const char *text, size_t len, int *ret_fd)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct http_conn *c = http_conn_new(pair[0]);
	assert_int_equal(http_send(c, &(struct http_call) {.method = "GET", .target = "/x"}), 0);
	assert_int_equal(write_all(pair[1], text, len), 0);
	(void) shutdown(pair[1], SHUT_WR);
	*ret_fd = pair[1];
	return c;
}

static int fetch(const char *text, struct http_answer *a, struct strbuf *body, bool *reusable)
{
	int fd;
	struct http_conn *c = peer(text, strlen(text), &fd);
	int r = http_recv_head(c, a);
	if (r == 0)
		r = http_recv_text(c, body);
	*reusable = http_reusable(c);
	(void) http_conn_free(c);
	safe_close(fd);
	return r;
}

static void test_bodies(void **state)
{
	static const struct {
		const char *text, *body;
		int status;
		bool reusable;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: application/json\r\n\r\nhello", "hello", 200, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, true},
		{"HTTP/1.1 204 No Content\r\n\r\n", "", 204, true},
		{"HTTP/1.1 304 Not Modified\r\n\r\n", "", 304, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", "abcdefg", 200, true},
		{"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 200, false},
		{"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", "no", 404, false},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", "x", 201, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_answer a;
		bool reusable;
		_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4096);
		assert_int_equal(fetch(cases[i].text, &a, &body, &reusable), 0);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(body.s ? body.s : "", cases[i].body);
		assert_int_equal(reusable, cases[i].reusable);
	}
}

static void test_broken(void **state)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{"", -ECONNRESET},
		{"HTTP/1.1 200 OK\r\nContent-Le", -ECONNRESET},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", -ECONNRESET},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", -ECONNRESET},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", -EPROTO},
		{"SSH-2.0-hello\r\n", -EPROTO},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_answer a;
		bool reusable;
		_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4096);
		assert_int_equal(fetch(cases[i].text, &a, &body, &reusable), cases[i].want);
		assert_false(reusable);
	}
}

static void test_ceiling(void **state)
{
	struct http_answer a;
	bool reusable;
	_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(4);
	assert_int_equal(fetch("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &a, &body, &reusable), -EFBIG);
}

/* Head and body arrive one byte at a time; then the same connection serves again. */
static void test_byte_by_byte(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct http_conn *c = http_conn_new(pair[0]);
	for (int round = 0; round < 2; round++) {
		struct http_answer a;
		_cleanup_strbuf_ struct strbuf body = STRBUF_INIT(64);
		assert_int_equal(http_send(c, &(struct http_call) {.method = "POST", .target = "/x", .body = "{}", .body_len = 2}), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			for (size_t i = 0; i < sizeof(text) - 1; i++) {
				(void) write_all(pair[1], text + i, 1);
				(void) usleep(i % 16 ? 0 : 500);
			}
			_exit(0);
		}
		assert_int_equal(http_recv_head(c, &a), 0);
		assert_string_equal(a.content_type, "application/vnd.docker.multiplexed-stream");
		assert_int_equal(http_recv_text(c, &body), 0);
		assert_string_equal(body.s, "hello");
		assert_true(http_reusable(c));
	}
	(void) http_conn_free(c);
	safe_close(pair[1]);
}

static void test_upgrade(void **state)
{
	static const char text[] = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly bytes";
	int fd;
	size_t n;
	struct http_answer a;
	struct http_conn *c = peer(text, sizeof(text) - 1, &fd);
	assert_int_equal(http_recv_head(c, &a), 0);
	assert_true(a.upgraded);
	assert_int_equal(a.status, 101);
	const char *early = http_early(c, &n);
	assert_int_equal(n, 11);
	assert_memory_equal(early, "early bytes", 11);
	(void) http_conn_free(c);
	safe_close(fd);
}

static void test_request(void **state)
{
	int pair[2];
	char buf[1024];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct http_conn *c = http_conn_new(pair[0]);
	assert_int_equal(http_send(c, &(struct http_call) {.method = "POST", .target = "/a", .body = "{\"x\":1}", .body_len = 7, .flags = HTTP_UPGRADE}), 0);
	ssize_t n = read(pair[1], buf, sizeof(buf) - 1); /* one write: all there at once */
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "POST /a HTTP/1.1\r\nHost: coffer\r\nUser-Agent: coffer\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
				 "Content-Length: 7\r\n\r\n{\"x\":1}");
	safe_close(pair[1]);
	assert_int_equal(http_send(c, &(struct http_call) {.method = "GET", .target = "/"}), -EPIPE); /* and no SIGPIPE */
	(void) http_conn_free(c);
}

static void test_escape(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(256);
	char head[HTTP_CHUNK_HEAD];
	http_escape(&b, "host:5000/a-b_c.d~@x?&= %ä");
	assert_string_equal(b.s, "host:5000/a-b_c.d~@x%3F%26%3D%20%25%C3%A4");
	http_chunk_head(head, 0x1a2b);
	assert_memory_equal(head, "00001a2b\r\n", HTTP_CHUNK_HEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),	cmocka_unit_test(test_broken),	cmocka_unit_test(test_ceiling), cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_upgrade), cmocka_unit_test(test_request), cmocka_unit_test(test_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
