/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request after the other with libcurl, as told and no further: no redirect is followed, no proxy but the given one is used, no encoding
 * is undone, addresses beyond what the request allows are not connected to. HTTP/1.1 alone: one parser fewer that meets strangers.
 */
#include "fetch/serve.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "fetch/reach.h"

enum { BUFFER = 512 << 10, HEADERS_MAX = 200 };
#define USER_AGENT "coffer/0.1.0 (linux)"

struct exchange {
	const struct fetch_setup *setup;
	const struct fetch_secrets *secrets;
	CURL *curl;                /* owned; keeps its connection from request to request */
	struct fetch_request *q;   /* owned */
	struct fetch_msg *m;       /* owned */
	int out, body;             /* owned, of the request under way */
	enum fetch_reach reach;    /* of the address that is connected to */
	struct addrinfo *proxies[2]; /* owned; where the operator's proxies are, NULL: none or not known */
	bool refused, head_sent, too_long, bad_head, gone, has_length;
	unsigned n_headers;
	uint64_t sent, bytes;
	char why[CURL_ERROR_SIZE];
};

/* Headers that the engine hears of. */
#define AT(member) offsetof(struct fetch_msg, member), sizeof(((struct fetch_msg *) 0)->member)
static const struct {
	const char *name;
	size_t offset, size;
	bool join; /* may come more than once */
} wanted[] = {
	{"content-type", AT(content_type), false}, {"docker-content-digest", AT(digest), false}, {"content-range", AT(content_range), false},
	{"retry-after", AT(retry_after), false},   {"range", AT(range), false},			 {"docker-upload-uuid", AT(upload_id), false},
	{"location", AT(location), false},	   {"www-authenticate", AT(challenge), true},	 {"link", AT(link), true},
};
#undef AT

static void keep_header(struct exchange *x, size_t row, const char *value, size_t len)
{
	char *at = (char *) x->m + wanted[row].offset;
	size_t have = strlen(at);
	const char *sep = have ? ", " : "";
	if (have && !wanted[row].join)
		x->bad_head = true; /* which one is meant? */
	else if (have + strlen(sep) + len >= wanted[row].size)
		x->bad_head = true;
	else {
		memcpy(at + have, sep, strlen(sep));
		memcpy(at + have + strlen(sep), value, len);
		at[have + strlen(sep) + len] = '\0';
	}
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t len = size * n, left = len;
	if (len >= 5 && strncasecmp(p, "HTTP/", 5) == 0) { /* of the answer after a "100 Continue" */
		uint32_t kind = x->m->kind;
		memset(x->m, 0, sizeof(*x->m));
		x->m->kind = kind;
		x->has_length = false;
		return len;
	}
	if (++x->n_headers > HEADERS_MAX)
		return 0;
	if (len > strlen("content-length:") && strncasecmp(p, "content-length:", strlen("content-length:")) == 0) {
		x->bad_head = x->bad_head || x->has_length; /* where does the body end? */
		x->has_length = true;
	}
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		size_t name = strlen(wanted[i].name);
		if (len <= name || p[name] != ':' || strncasecmp(p, wanted[i].name, name) != 0)
			continue;
		const char *v = p + name + 1;
		left = len - name - 1;
		while (left > 0 && (*v == ' ' || *v == '\t')) {
			v++;
			left--;
		}
		while (left > 0 && (v[left - 1] == '\r' || v[left - 1] == '\n' || v[left - 1] == ' '))
			left--;
		keep_header(x, i, v, left);
	}
	return x->bad_head ? 0 : len;
}

static int send_head(struct exchange *x)
{
	long status = 0;
	curl_off_t length = -1;
	(void) curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	x->m->kind = FETCH_HEAD;
	x->m->status = (uint32_t) status;
	x->m->length = length < 0 ? UINT64_MAX : (uint64_t) length;
	x->m->reach = x->reach;
	x->head_sent = true;
	return send_fds(FETCH_FD_SOCK, x->m, sizeof(*x->m), NULL, 0);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t len = size * n;
	if (!x->head_sent && send_head(x) < 0)
		return 0;
	x->bytes += len;
	x->too_long = x->bytes > x->q->answer_max;
	if (x->too_long)
		return 0;
	x->gone = write_all(x->out, p, len) < 0;
	return x->gone ? 0 : len;
}

static size_t on_upload(char *p, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	uint64_t left = x->q->body_len - x->sent;
	ssize_t got = pread(x->body, p, (size_t) MIN((uint64_t) (size * n), left), (off_t) (x->q->body_offset + x->sent));
	if (got < 0)
		return CURL_READFUNC_ABORT;
	x->sent += (uint64_t) got;
	return (size_t) got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct exchange *x = ctx;
	if (origin != SEEK_SET || offset < 0 || (uint64_t) offset > x->q->body_len)
		return CURL_SEEKFUNC_CANTSEEK;
	x->sent = (uint64_t) offset;
	return CURL_SEEKFUNC_OK;
}

/* Where @proxy ("host:port", "http://user:password@host:port") is. */
static struct addrinfo *find_proxy(const char *proxy)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char *host = NULL, *port = NULL;
	CURLU *u = *proxy ? curl_url() : NULL;
	if (u && curl_url_set(u, CURLUPART_URL, proxy, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		if (host[0] == '[' && host[1]) { /* an IPv6 address, which getaddrinfo() wants bare */
			memmove(host, host + 1, strlen(host));
			host[strcspn(host, "]")] = '\0';
		}
		bool known = curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK;
		const char *usual = strncasecmp(proxy, "https://", 8) == 0 ? "443" : "1080"; /* libcurl's defaults for proxies */
		if (getaddrinfo(host, known ? port : usual, &hints, &found) != 0)
			found = NULL;
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return found;
}

/* The operator named it: it may lie anywhere. What lies behind it is the proxy's to say. */
static bool is_proxy(const struct exchange *x, const struct sockaddr *a, socklen_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(x->proxies); i++)
		for (const struct addrinfo *p = x->proxies[i]; p; p = p->ai_next)
			if (p->ai_addrlen == len && memcmp(p->ai_addr, a, len) == 0)
				return true;
	return false;
}

/* The address itself is looked at, after the name was resolved and at the moment it is connected to: no name can be bent meanwhile (R19). */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct exchange *x = ctx;
	enum fetch_reach reach = is_proxy(x, &a->addr, a->addrlen) ? (enum fetch_reach) x->q->reach : fetch_reach_of(&a->addr);
	if (reach > x->q->reach) {
		x->refused = true;
		return CURL_SOCKET_BAD;
	}
	x->reach = reach;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static struct curl_slist *read_headers(const char *text)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	while (*text) {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n);
		struct curl_slist *grown = line ? curl_slist_append(list, line) : NULL;
		free(line);
		if (!grown) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = grown;
		text += n + (text[n] == '\n');
	}
	return list;
}

#define SET(option, value)                                                                                             \
	do {                                                                                                           \
		if (curl_easy_setopt(x->curl, (option), (value)) != CURLE_OK)                                         \
			return -EINVAL;                                                                                \
	} while (0)

static int set_blob(struct exchange *x, CURLoption option, char *text, size_t len)
{
	struct curl_blob b = {.data = text, .len = len, .flags = CURL_BLOB_NOCOPY};
	SET(option, &b);
	return 0;
}

static int set_tls(struct exchange *x)
{
	const struct fetch_secrets *s = x->secrets;
	bool insecure = x->q->flags & FETCH_INSECURE;
	int r = 0;
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, insecure ? 0L : 2L);
	if (s->ca)
		r = set_blob(x, CURLOPT_CAINFO_BLOB, s->ca, s->ca_len);
	if (r >= 0 && s->cert && (x->q->flags & FETCH_CLIENT_CERT))
		r = set_blob(x, CURLOPT_SSLCERT_BLOB, s->cert, s->cert_len);
	if (r >= 0 && s->key && (x->q->flags & FETCH_CLIENT_CERT))
		r = set_blob(x, CURLOPT_SSLKEY_BLOB, s->key, s->key_len);
	return r;
}

static int set_method(struct exchange *x)
{
	static const char *const names[] = {[FETCH_GET] = "GET", [FETCH_HEAD_ONLY] = "HEAD", [FETCH_POST] = "POST", [FETCH_PUT] = "PUT",
					    [FETCH_PATCH] = "PATCH", [FETCH_DELETE] = "DELETE"};
	static_assert(ARRAY_LEN(names) == FETCH_METHOD_MAX_, "every method has a name");
	if (x->q->method == FETCH_HEAD_ONLY) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (x->body >= 0) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) x->q->body_len);
	} else if (x->q->method == FETCH_POST || x->q->method == FETCH_PUT || x->q->method == FETCH_PATCH) {
		SET(CURLOPT_POSTFIELDS, "");
		SET(CURLOPT_POSTFIELDSIZE, 0L);
	}
	if (x->q->method != FETCH_GET && x->q->method != FETCH_HEAD_ONLY)
		SET(CURLOPT_CUSTOMREQUEST, names[x->q->method]);
	return 0;
}

static int set_all(struct exchange *x, struct curl_slist *headers)
{
	const char *proxy = strncasecmp(x->q->url, "https:", 6) == 0 ? x->setup->https_proxy : x->setup->http_proxy;
	curl_easy_reset(x->curl); /* the connection stays */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_URL, x->q->url);
	SET(CURLOPT_PROTOCOLS_STR, x->q->flags & FETCH_PLAIN ? "http,https" : "https");
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_USERAGENT, USER_AGENT);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_PROXY, proxy); /* "" also silences the environment */
	SET(CURLOPT_NOPROXY, x->setup->no_proxy);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) x->q->connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1024L);
	SET(CURLOPT_LOW_SPEED_TIME, (long) x->q->stall_s);
	SET(CURLOPT_TIMEOUT, (long) x->q->total_s);
	SET(CURLOPT_BUFFERSIZE, (long) BUFFER);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, (long) BUFFER);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_ERRORBUFFER, x->why);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_READFUNCTION, on_upload);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, x);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_OPENSOCKETDATA, x);
	int r = set_method(x);
	return r < 0 ? r : set_tls(x);
}

static bool speaks_no_tls(const char *why)
{
	return strstr(why, "wrong version number") || strstr(why, "packet length too long") || strstr(why, "http request");
}

static const char *words(const struct exchange *x, CURLcode c)
{
	return x->why[0] ? x->why : curl_easy_strerror(c);
}

/* What libcurl's code means, with the words of a person. */
static enum fetch_failure explain(struct exchange *x, CURLcode c, struct err *err)
{
	if (x->refused) {
		(void) err_set(err, ERR_DENIED, "the address is on a private, loopback or link-local network, where this request may not lead");
		return FETCH_FAIL_FINAL;
	}
	if (x->too_long) {
		(void) err_set(err, ERR_QUOTA, "the answer has more than %llu bytes", (unsigned long long) x->q->answer_max);
		return FETCH_FAIL_FINAL;
	}
	if (x->bad_head || x->n_headers > HEADERS_MAX) {
		(void) err_set(err, ERR_CORRUPT, "the answer's headers are doubled or too many");
		return FETCH_FAIL_FINAL;
	}
	switch (c) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		(void) err_set(err, ERR_DENIED, "tls: the server's certificate is not trusted: %s", words(x, c));
		return FETCH_FAIL_FINAL;
	case CURLE_SSL_CONNECT_ERROR:
		(void) err_set(err, ERR_SYSTEM, "tls: %s", speaks_no_tls(words(x, c)) ? "the server gave an HTTP answer to an HTTPS request" : words(x, c));
		return speaks_no_tls(words(x, c)) ? FETCH_FAIL_NOT_TLS : FETCH_FAIL_FINAL;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		(void) err_set(err, ERR_DENIED, "the address is not taken: %s", words(x, c));
		return FETCH_FAIL_FINAL;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
		(void) err_set(err, ERR_SYSTEM, "%s", words(x, c));
		return FETCH_FAIL_RETRY;
	default:
		(void) err_set(err, ERR_SYSTEM, "%s", words(x, c));
		return FETCH_FAIL_FINAL;
	}
}

/* Return: 0; -errno when the engine is gone. */
static int run_request(struct exchange *x)
{
	struct curl_slist *headers = read_headers(x->q->headers);
	memset(x->m, 0, sizeof(*x->m));
	x->refused = x->head_sent = x->too_long = x->bad_head = x->gone = x->has_length = false;
	x->n_headers = 0;
	x->sent = x->bytes = 0;
	x->why[0] = '\0';
	CURLcode c = headers && set_all(x, headers) >= 0 ? curl_easy_perform(x->curl) : CURLE_OUT_OF_MEMORY;
	curl_slist_free_all(headers);
	int r = c == CURLE_OK && !x->head_sent ? send_head(x) : 0;
	if (r < 0)
		return r;
	memset(x->m, 0, sizeof(*x->m));
	x->m->kind = FETCH_DONE;
	x->m->bytes = x->bytes;
	if (c != CURLE_OK)
		x->m->failure = explain(x, c, &x->m->err);
	x->out = safe_close(x->out); /* before the last word: the engine reads the pipe to its end first */
	return send_fds(FETCH_FD_SOCK, x->m, sizeof(*x->m), NULL, 0);
}

/* Return: 1 a request is there, 0 the engine has closed, -errno. */
static int next_request(struct exchange *x)
{
	int fds[2];
	size_t n = ARRAY_LEN(fds);
	ssize_t len = recv_fds(FETCH_FD_SOCK, x->q, sizeof(*x->q), fds, &n);
	if (len <= 0)
		return (int) len;
	x->out = n > 0 ? fds[0] : -EBADF;
	x->body = n > 1 ? fds[1] : -EBADF;
	bool has_body = x->q->flags & FETCH_BODY;
	if (len != (ssize_t) sizeof(*x->q) || x->q->magic != FETCH_MAGIC || x->q->method >= FETCH_METHOD_MAX_ || n != (has_body ? 2u : 1u))
		return -EBADMSG;
	x->q->url[sizeof(x->q->url) - 1] = x->q->headers[sizeof(x->q->headers) - 1] = '\0';
	return 1;
}

int fetch_prepare(struct err *err)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : err_set(err, ERR_SYSTEM, "fetcher: libcurl does not start");
}

int fetch_serve(const struct fetch_setup *setup, const struct fetch_secrets *secrets)
{
	struct exchange x = {.setup = setup, .secrets = secrets, .out = -EBADF, .body = -EBADF};
	x.q = calloc(1, sizeof(*x.q));
	x.m = calloc(1, sizeof(*x.m));
	x.curl = curl_easy_init();
	x.proxies[0] = find_proxy(setup->http_proxy);
	x.proxies[1] = find_proxy(setup->https_proxy);
	int r = x.q && x.m && x.curl ? 1 : -ENOMEM;
	while (r > 0 && (r = next_request(&x)) > 0) {
		r = run_request(&x) < 0 ? -EPIPE : 1;
		x.out = safe_close(x.out);
		x.body = safe_close(x.body);
		if (x.q) /* it is; gcc does not see it beside the sanitizers */
			explicit_bzero(x.q, sizeof(*x.q));
	}
	return r < 0;
}
