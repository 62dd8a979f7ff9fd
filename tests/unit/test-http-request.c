/* SPDX-License-Identifier: Apache-2.0 */
/* The strict request reader: each head is fed whole and byte by byte, and both must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "http/request.h"
#include "http/response.h"

struct feed {
	int fd;
	const char *text;
	size_t len, step;
	bool keep_open;
};

static void *feed_main(void *arg)
{
	struct feed *f = arg;
	for (size_t i = 0; i < f->len; i += f->step) {
		size_t n = MIN(f->step, f->len - i);
		if (send(f->fd, f->text + i, n, MSG_NOSIGNAL) != (ssize_t) n)
			break;
	}
	if (!f->keep_open)
		(void) shutdown(f->fd, SHUT_WR);
	return NULL;
}

struct session {
	struct feed feed;
	pthread_t thread;
	struct http_peer *peer;
};

static void session_start(struct session *s, const char *text, size_t len, size_t step)
{
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	s->peer = http_peer_new(sv[0], 0);
	s->feed = (struct feed) {.fd = sv[1], .text = text, .len = len, .step = step};
	assert_int_equal(pthread_create(&s->thread, NULL, feed_main, &s->feed), 0);
}

static void session_end(struct session *s)
{
	s->peer = http_peer_free(s->peer);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	s->feed.fd = safe_close(s->feed.fd);
}

static const size_t steps[] = {1, 3, 7, 100000};

static void refused(const char *text, size_t len, int status)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct session s;
		_cleanup_http_request_ struct http_request req;
		session_start(&s, text, len, steps[i]);
		int r = http_peer_recv_head(s.peer, &req);
		if (r != -EPROTO || req.refusal != status)
			fail_msg("step %zu: r %d, status %d instead of %d (%s) for:\n%s", steps[i], r, req.refusal, status, req.reason ? req.reason : "-", text);
		assert_non_null(req.reason);
		assert_null(req.path);
		session_end(&s);
	}
}

#define HOST "Host: h\r\n"

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 400},
		{"GET / HTTP/1.1\n" HOST "\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "X: a\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Content-Type: a\r\nContent-Type: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "X(y): a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Origin: http://evil\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\n" HOST "oRIGIN: null\r\n\r\n", 403},
		{"GET / HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", 417},
		{"GET / HTTP/1.0\r\n" HOST "\r\n", 505},
		{"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
		{"GET /\r\n\r\n", 505},
		{"GET http://other/x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET http://h@other/x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET https://h/x HTTP/1.1\r\n" HOST "\r\n", 400},
		{"CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"GET /a//b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET //a HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/ HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/../b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /v1.24/../b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/%2e%2e/b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/%2e%2e%2fb HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/./b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a/%2E/b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%2f%2fb HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%00b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%0ab HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%c3%a9 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%2 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a%zz HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a% HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a?b=%0 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a?b=%00 HTTP/1.1\r\n" HOST "\r\n", 400},
		{"\x16\x03\x01 hello", 400},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].text, strlen(rows[i].text), rows[i].status);
	static const char nul[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
	refused(nul, sizeof(nul) - 1, 400);
}

static void test_limits(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	strbuf_adds(&b, "GET / HTTP/1.1\r\n" HOST);
	while (b.len < HTTP_HEAD_MAX + 10) {
		strbuf_adds(&b, "X: ");
		for (int i = 0; i < 1000; i++)
			strbuf_addc(&b, 'x');
		strbuf_adds(&b, "\r\n");
	}
	strbuf_adds(&b, "\r\n");
	refused(b.s, b.len, 431);
	strbuf_reset(&b);
	strbuf_adds(&b, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 0; i < 300; i++)
		strbuf_adds(&b, "X: y\r\n");
	strbuf_adds(&b, "\r\n");
	refused(b.s, b.len, 431);
	strbuf_reset(&b);
	strbuf_adds(&b, "GET / HTTP/1.1\r\n" HOST "Content-Type: ");
	for (int i = 0; i < 300; i++)
		strbuf_addc(&b, 'x');
	strbuf_adds(&b, "\r\n\r\n");
	refused(b.s, b.len, 431);
}

static void expect_body(struct http_peer *p, const char *want)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	int r = http_peer_recv_text(p, &b);
	assert_int_equal(r, 0);
	assert_string_equal(b.s ? b.s : "", want);
	assert_false(http_peer_in_body(p));
}

/* Three requests on one connection, sent in one go or in crumbs. */
static void test_keep_alive(void **state)
{
	static const char text[] = "\r\nPOST /v1.50/containers/create?name=a+b%26c&x HTTP/1.1\r\nhost:  h \r\nContent-Type: Application/JSON; charset=utf-8\r\n"
				   "Content-Length: 5\r\n\r\nhello"
				   "PUT http://H/images/a%2Fb:1/json HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n"
				   "HEAD /_ping HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct session s;
		struct http_request req;
		session_start(&s, text, sizeof(text) - 1, steps[i]);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_string_equal(req.method, "POST");
		assert_string_equal(req.path, "/v1.50/containers/create");
		assert_string_equal(http_query_get(&req.query, "name"), "a b&c");
		assert_string_equal(http_query_get(&req.query, "x"), "");
		assert_string_equal(req.content_type, "application/json");
		assert_int_equal(req.content_length, 5);
		assert_true(req.keep_alive && !req.upgrade && !req.chunked);
		expect_body(s.peer, "hello");
		http_request_done(&req);

		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_string_equal(req.method, "PUT");
		assert_string_equal(req.path, "/images/a/b:1/json");
		assert_true(req.chunked);
		expect_body(s.peer, "abc0123456789");
		http_request_done(&req);

		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_string_equal(req.method, "HEAD");
		assert_false(req.keep_alive);
		http_request_done(&req);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 0);
		http_request_done(&req);
		session_end(&s);
	}
}

/* A body that nobody read does not become the next head. */
static void test_unread_body(void **state)
{
	static const char text[] = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 20\r\n\r\nGET /evil HTTP/1.1\r\n"
				   "POST /b HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\nGET /c HTTP/1.1\r\n" HOST "\r\n";
	struct session s;
	static const char *const want[] = {"/a", "/b", "/c"};
	session_start(&s, text, sizeof(text) - 1, 5);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		_cleanup_http_request_ struct http_request req;
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_string_equal(req.path, want[i]);
	}
	session_end(&s);
}

/* Bytes behind the head of an upgrade belong to the stream, also when the request had a body. */
static void test_upgrade(void **state)
{
	static const char text[] = "POST /exec/x/start HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early bytes";
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct session s;
		_cleanup_http_request_ struct http_request req;
		session_start(&s, text, sizeof(text) - 1, steps[i]);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_true(req.upgrade);
		expect_body(s.peer, "{}");
		const char *early;
		size_t n;
		_cleanup_close_ int fd = http_peer_hijack(s.peer, &early, &n);
		char rest[32] = "";
		memcpy(rest, early, n);
		ssize_t more = read_full(fd, rest + n, sizeof(rest) - 1 - n);
		assert_true(more >= 0);
		assert_string_equal(rest, "early bytes");
		session_end(&s);
	}
}

static void test_expect_continue(void **state)
{
	static const char text[] = "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
	struct session s;
	_cleanup_http_request_ struct http_request req;
	session_start(&s, text, sizeof(text) - 1, 1000);
	assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
	expect_body(s.peer, "ok");
	char buf[64] = "";
	assert_int_equal(recv(s.feed.fd, buf, sizeof(buf) - 1, 0), 25);
	assert_string_equal(buf, "HTTP/1.1 100 Continue\r\n\r\n");
	session_end(&s);
}

static void test_short_body(void **state)
{
	static const char *const texts[] = {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nok", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n9\r\nok"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct session s;
		_cleanup_http_request_ struct http_request req;
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(100);
		session_start(&s, texts[i], strlen(texts[i]), 1000);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_int_equal(http_peer_recv_text(s.peer, &b), -ECONNRESET);
		session_end(&s);
	}
	struct session s;
	_cleanup_http_request_ struct http_request req;
	static const char half[] = "POST /a HTTP/1.1\r\nHo";
	session_start(&s, half, sizeof(half) - 1, 1000);
	assert_int_equal(http_peer_recv_head(s.peer, &req), -ECONNRESET);
	session_end(&s);
}

/* A broken chunk stays broken, however often one asks (found by fuzz-http-request). */
static void test_broken_chunks(void **state)
{
	static const char *const texts[] = {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
					    "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
					    "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct session s;
		struct http_request req;
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(100);
		session_start(&s, texts[i], strlen(texts[i]), 1000);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		http_request_done(&req);
		assert_int_equal(http_peer_recv_text(s.peer, &b), -EPROTO);
		assert_int_equal(http_peer_recv_text(s.peer, &b), -EPROTO);
		assert_int_equal(http_peer_recv_head(s.peer, &req), -EPROTO);
		assert_int_equal(req.refusal, 400);
		http_request_done(&req);
		session_end(&s);
	}
}

static void test_ceiling(void **state)
{
	static const char *const texts[] = {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde",
					    "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct session s;
		_cleanup_http_request_ struct http_request req;
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4);
		session_start(&s, texts[i], strlen(texts[i]), 1000);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		assert_int_equal(http_peer_recv_text(s.peer, &b), -EFBIG);
		session_end(&s);
	}
}

static void *body_main(void *arg)
{
	int *fd = ((void **) arg)[1];
	long r = http_peer_body_to_fd(((void **) arg)[0], *fd);
	*fd = safe_close(*fd);
	return (void *) r;
}

/* A megabyte through a pipe, with a length (spliced) and in chunks. */
static void test_body_to_fd(void **state)
{
	enum { SIZE = 1 << 20 };
	_cleanup_free_ char *data = malloc(SIZE), *got = malloc(SIZE + 1);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char) (i * 7 + i / 251);
	for (int chunked = 0; chunked < 2; chunked++) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(SIZE + 4096);
		strbuf_adds(&b, "POST /images/load HTTP/1.1\r\n" HOST);
		strbuf_adds(&b, chunked ? "Transfer-Encoding: chunked\r\n\r\n100000\r\n" : "Content-Length: 1048576\r\n\r\n");
		strbuf_add(&b, data, SIZE);
		strbuf_adds(&b, chunked ? "\r\n0\r\n\r\nGET /next HTTP/1.1\r\n" HOST "\r\n" : "GET /next HTTP/1.1\r\n" HOST "\r\n");
		struct session s;
		_cleanup_http_request_ struct http_request req, next;
		int pipes[2];
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		session_start(&s, b.s, b.len, 60000);
		assert_int_equal(http_peer_recv_head(s.peer, &req), 1);
		pthread_t t;
		void *args[] = {s.peer, &pipes[1]}, *res;
		assert_int_equal(pthread_create(&t, NULL, body_main, args), 0);
		assert_int_equal(read_full(pipes[0], got, SIZE + 1), SIZE);
		assert_int_equal(pthread_join(t, &res), 0);
		assert_int_equal((long) res, 0);
		assert_memory_equal(data, got, SIZE);
		assert_int_equal(http_peer_recv_head(s.peer, &next), 1);
		assert_string_equal(next.path, "/next");
		safe_close(pipes[0]);
		session_end(&s);
	}
}

static void test_query(void **state)
{
	struct http_query q;
	static const char *const many[] = {"t", NULL};
	assert_int_equal(http_query_parse("a=1&b=%7B%22x%22%3A1%7D&&t=1&t=2&e&f=0&g=False&h=None&i=+no+&j=yes", &q), 0);
	assert_string_equal(http_query_get(&q, "b"), "{\"x\":1}");
	assert_null(http_query_get(&q, "A"));
	assert_null(http_query_twice(&q, many));
	assert_true(http_query_bool(&q, "a", false));
	static const char *const no[] = {"e", "f", "g", "h", "i"};
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(http_query_bool(&q, no[i], true));
	assert_true(http_query_bool(&q, "j", false));
	assert_true(http_query_bool(&q, "zz", true));
	http_query_done(&q);
	assert_int_equal(http_query_parse("a=1&a=2", &q), 0);
	assert_string_equal(http_query_twice(&q, many), "a");
	http_query_done(&q);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(4096);
	for (int i = 0; i <= HTTP_QUERY_MAX; i++)
		strbuf_adds(&b, "a&");
	assert_int_equal(http_query_parse(b.s, &q), -EINVAL);
	assert_null(q.keys);
}

static void test_response(void **state)
{
	int sv[2];
	char buf[512];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	const struct {
		struct http_response r;
		const char *want;
	} rows[] = {
		{{.status = 200, .content_type = "a/b", .headers = "X: y\r\n", .body = "hi", .len = 2}, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
		{{.status = 304, .content_type = "a/b", .body = "hi", .len = 2}, "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{{.status = 204}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{{.status = 200, .body = "OK", .len = 2, .flags = HTTP_RESPONSE_NO_BODY}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"},
		{{.status = 404, .flags = HTTP_RESPONSE_CLOSE}, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{{.status = 200, .flags = HTTP_RESPONSE_CHUNKED}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(http_respond(sv[0], &rows[i].r), 0);
		ssize_t n = recv(sv[1], buf, sizeof(buf) - 1, 0);
		assert_true(n > 0);
		buf[n] = '\0';
		assert_string_equal(buf, rows[i].want);
	}
	assert_int_equal(http_chunk_send(sv[0], "hello", 5, false), 0);
	assert_int_equal(http_chunk_send(sv[0], "x", 1, true), 0);
	assert_int_equal(http_chunk_send(sv[0], NULL, 0, true), 0);
	ssize_t n = recv(sv[1], buf, sizeof(buf) - 1, 0);
	buf[n] = '\0';
	assert_string_equal(buf, "5\r\nhello\r\n1\r\nx\r\n0\r\n\r\n0\r\n\r\n");
	safe_close(sv[1]);
	assert_int_equal(http_respond(sv[0], &rows[0].r), -EPIPE); /* and no SIGPIPE */
	safe_close(sv[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits), cmocka_unit_test(test_keep_alive), cmocka_unit_test(test_unread_body),
		cmocka_unit_test(test_upgrade), cmocka_unit_test(test_expect_continue), cmocka_unit_test(test_short_body), cmocka_unit_test(test_broken_chunks),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_body_to_fd), cmocka_unit_test(test_query), cmocka_unit_test(test_response),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
