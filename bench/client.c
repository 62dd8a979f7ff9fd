/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the Engine API that does nothing but ask, for bench/daemon. One thread per connection, everything over keep-alive
 * connections to a unix socket; what the client itself costs is a few microseconds a request.
 *
 *	client life SOCKET IMAGE PARALLEL TOTAL    TOTAL containers (/bin/true, no network): create, start, wait, remove, PARALLEL at once
 *	client ports SOCKET IMAGE PARALLEL TOTAL   the same on the network "bridge", each with a published port from 20000 on
 *	client rate SOCKET TARGET CONNECTIONS MS   GET TARGET on CONNECTIONS connections for MS milliseconds
 *	client attach SOCKET IMAGE BYTES           a container that writes BYTES to stdout in pieces of 64 KiB, read through one attach
 *
 * It prints "count seconds median_us p99_us" ("life": of a whole container; "attach": count is bytes, no percentiles). Anything but the
 * expected status ends it with a message and 1.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "http/client.h"

#define THREADS_MAX 256
#define SAMPLES_MAX (4u << 20)

struct job {
	const char *socket, *image, *target;
	uint64_t total, done; /* done: atomic */
	int64_t until_ns;
	uint32_t *samples; /* microseconds */
	uint64_t n_samples; /* atomic */
	bool ports;
};

static int64_t clock_now(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	(void) vfprintf(stderr, format, ap);
	va_end(ap);
	(void) fputc('\n', stderr);
	exit(1);
}

struct link {
	const char *socket;
	struct http_conn *c; /* owned */
	bool used;
};

static struct http_conn *connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		die("the socket's path is too long: %s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
		die("connecting to %s: %s", path, strerror(errno));
	struct http_conn *c = http_conn_new(fd);
	if (!c)
		die("out of memory");
	return c;
}

static struct link link_to(const char *path)
{
	return (struct link) {.socket = path, .c = connect_to(path)};
}

/* One request on a kept connection, which is replaced when the server lets go of it. Dies unless the status is @want. */
static void ask(struct link *l, const char *method, const char *target, const char *body, int want, struct strbuf *out)
{
	struct http_answer a;
	const struct http_call call = {.method = method, .target = target, .body = body, .body_len = body ? strlen(body) : 0};
	if (l->used && !http_reusable(l->c)) {
		(void) http_conn_free(l->c);
		l->c = connect_to(l->socket);
	}
	l->used = true;
	int rc = http_send(l->c, &call);
	rc = rc < 0 ? rc : http_recv_head(l->c, &a);
	rc = rc < 0 ? rc : http_recv_text(l->c, out);
	if (rc < 0)
		die("%s %s: %s", method, target, strerror(-rc));
	if (a.status != want)
		die("%s %s: status %d: %.300s", method, target, a.status, out->s ?: "");
}

static void sample(struct job *j, int64_t from)
{
	uint64_t i = __atomic_fetch_add(&j->n_samples, 1, __ATOMIC_RELAXED);
	if (i < SAMPLES_MAX)
		j->samples[i] = (uint32_t) ((clock_now() - from) / 1000);
}

static void id_of(const struct strbuf *answer, char id[65])
{
	const char *at = strstr(answer->s, "\"Id\":\"");
	if (!at || strlen(at) < 6 + 64)
		die("no id in %s", answer->s);
	memcpy(id, at + 6, 64);
	id[64] = '\0';
}

static void create(struct link *l, const char *body, char id[65])
{
	struct strbuf out = STRBUF_INIT(1 << 20);
	ask(l, "POST", "/containers/create", body, 201, &out);
	id_of(&out, id);
	strbuf_done(&out);
}

static void verb(struct link *l, const char *method, const char *id, const char *tail, int want)
{
	char target[128];
	struct strbuf out = STRBUF_INIT(1 << 20);
	(void) snprintf(target, sizeof(target), "/containers/%s%s", id, tail);
	ask(l, method, target, NULL, want, &out);
	strbuf_done(&out);
}

static void life_body(const struct job *j, uint64_t i, char *ret, size_t size)
{
	if (j->ports)
		(void) snprintf(ret, size, "{\"Image\":\"%s\",\"Cmd\":[\"/bin/true\"],\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"NetworkMode\":\"bridge\",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"%u\"}]}}}",
				j->image, 20000u + (unsigned) (i % 1000));
	else
		(void) snprintf(ret, size, "{\"Image\":\"%s\",\"Cmd\":[\"/bin/true\"],\"HostConfig\":{\"NetworkMode\":\"none\"}}", j->image);
}

static void *life_worker(void *arg)
{
	struct job *j = arg;
	char body[256], id[65];
	struct link l = link_to(j->socket);
	for (uint64_t i; (i = __atomic_fetch_add(&j->done, 1, __ATOMIC_RELAXED)) < j->total;) {
		int64_t from = clock_now();
		life_body(j, i, body, sizeof(body));
		create(&l, body, id);
		verb(&l, "POST", id, "/start", 204);
		verb(&l, "POST", id, "/wait", 200);
		verb(&l, "DELETE", id, "", 204);
		sample(j, from);
	}
	(void) http_conn_free(l.c);
	return NULL;
}

static void *rate_worker(void *arg)
{
	struct job *j = arg;
	struct link l = link_to(j->socket);
	while (clock_now() < j->until_ns) {
		struct strbuf out = STRBUF_INIT(64 << 20);
		int64_t from = clock_now();
		ask(&l, "GET", j->target, NULL, 200, &out);
		sample(j, from);
		strbuf_done(&out);
	}
	(void) http_conn_free(l.c);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
	return (x > y) - (x < y);
}

static void run_threads(struct job *j, unsigned n, void *(*worker)(void *) )
{
	pthread_t threads[THREADS_MAX];
	int64_t from = clock_now();
	j->samples = calloc(SAMPLES_MAX, sizeof(*j->samples));
	if (n == 0 || n > THREADS_MAX || !j->samples)
		die("1 to %d connections, and the memory for them", THREADS_MAX);
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, worker, j) != 0)
			die("a thread could not be made");
	for (unsigned i = 0; i < n; i++)
		(void) pthread_join(threads[i], NULL); /* cannot fail */
	double seconds = (double) (clock_now() - from) / 1e9;
	uint64_t all = j->n_samples, kept = MIN(all, (uint64_t) SAMPLES_MAX);
	if (kept == 0)
		die("nothing was measured");
	qsort(j->samples, kept, sizeof(*j->samples), by_value);
	(void) printf("%llu %.6f %u %u\n", (unsigned long long) all, seconds, j->samples[kept / 2], j->samples[kept * 99 / 100]);
	free(j->samples);
}

static uint64_t number(const char *s)
{
	uint64_t n;
	if (parse_u64(s, &n) < 0)
		die("not a number: %s", s);
	return n;
}

static uint64_t drain(int fd)
{
	static char buf[1 << 20];
	uint64_t total = 0;
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		total += n > 0 ? (uint64_t) n : 0;
	return total;
}

static void attach(const char *socket_path, const char *image, const char *bytes)
{
	char body[512], id[65], target[160];
	size_t early = 0;
	struct http_answer a;
	struct link l = link_to(socket_path);
	struct http_conn *stream = connect_to(socket_path);
	(void) snprintf(body, sizeof(body), "{\"Image\":\"%s\",\"Cmd\":[\"dd\",\"if=/dev/zero\",\"bs=64k\",\"count=%llu\"],\"AttachStdout\":true,\"HostConfig\":{\"NetworkMode\":\"none\",\"LogConfig\":{\"Type\":\"none\"}}}", image,
		        (unsigned long long) (number(bytes) / 65536));
	create(&l, body, id);
	(void) snprintf(target, sizeof(target), "/containers/%s/attach?stream=1&stdout=1", id);
	const struct http_call call = {.method = "POST", .target = target, .flags = HTTP_UPGRADE};
	int rc = http_send(stream, &call);
	rc = rc < 0 ? rc : http_recv_head(stream, &a);
	if (rc < 0 || !a.upgraded)
		die("attach: %s", rc < 0 ? strerror(-rc) : "no upgrade");
	int64_t from = clock_now();
	verb(&l, "POST", id, "/start", 204);
	(void) http_early(stream, &early);
	uint64_t total = early + drain(http_fd(stream));
	(void) printf("%llu %.6f 0 0\n", (unsigned long long) total, (double) (clock_now() - from) / 1e9);
	verb(&l, "POST", id, "/wait", 200);
	verb(&l, "DELETE", id, "", 204);
	(void) http_conn_free(stream);
	(void) http_conn_free(l.c);
}

int main(int argc, char **argv)
{
	if (argc == 6 && (str_eq(argv[1], "life") || str_eq(argv[1], "ports"))) {
		struct job j = {.socket = argv[2], .image = argv[3], .total = number(argv[5]), .ports = str_eq(argv[1], "ports")};
		run_threads(&j, (unsigned) number(argv[4]), life_worker);
	} else if (argc == 6 && str_eq(argv[1], "rate")) {
		struct job j = {.socket = argv[2], .target = argv[3], .until_ns = clock_now() + (int64_t) number(argv[5]) * 1000000};
		run_threads(&j, (unsigned) number(argv[4]), rate_worker);
	} else if (argc == 5 && str_eq(argv[1], "attach"))
		attach(argv[2], argv[3], argv[4]);
	else
		die("usage: client life|ports SOCKET IMAGE PARALLEL TOTAL | rate SOCKET TARGET CONNECTIONS MS | attach SOCKET IMAGE BYTES");
	return 0;
}
