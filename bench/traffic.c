/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of the traffic that bench/network sends through published ports.
 *
 *	traffic serve PORT            accept: the first byte says whether the peer wants nothing ('c'), or bytes until it hangs up ('b')
 *	traffic connect IP PORT MS    connect, one byte, the answer's byte, close, one after the other: prints connections a second
 *	traffic bulk IP PORT MS       one connection that only reads: prints MB/s
 *
 * A connection is closed by a reset: a port that waits for its time to pass could not be used again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buf[256 << 10];

static double now(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static int must(int r, const char *what)
{
	if (r >= 0)
		return r;
	perror(what);
	exit(1);
}

static struct sockaddr_in address(const char *ip, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t) strtoul(port, NULL, 10))};
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
		(void) fprintf(stderr, "not an address: %s\n", ip);
		exit(1);
	}
	return a;
}

static void serve_one(int fd)
{
	char c = 0;
	if (read(fd, &c, 1) == 1 && c == 'c')
		(void) !write(fd, &c, 1); /* the peer waits for it, or is gone */
	else if (c == 'b' && fork() == 0) {
		while (write(fd, buf, sizeof(buf)) > 0)
			continue;
		_exit(0);
	}
}

static _Noreturn void serve(const char *port)
{
	static const int on = 1;
	struct sockaddr_in a = address("0.0.0.0", port);
	int s = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	(void) signal(SIGPIPE, SIG_IGN);
	(void) signal(SIGCHLD, SIG_IGN);
	(void) setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* the bind tells */
	must(bind(s, (struct sockaddr *) &a, sizeof(a)), "bind");
	must(listen(s, 1024), "listen");
	for (;;) {
		int fd = accept(s, NULL, NULL);
		if (fd < 0)
			continue;
		serve_one(fd);
		close(fd);
	}
}

static int connect_to(const struct sockaddr_in *a)
{
	static const struct linger reset = {.l_onoff = 1};
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	(void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)); /* cannot fail */
	must(connect(fd, (const struct sockaddr *) a, sizeof(*a)), "connect");
	return fd;
}

static void ask(const struct sockaddr_in *a)
{
	char c = 'c';
	int fd = connect_to(a);
	if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
		must(-1, "talking");
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc != 5) {
		(void) fprintf(stderr, "usage: traffic serve PORT | connect|bulk IP PORT MS\n");
		return 2;
	}
	const struct sockaddr_in a = address(argv[2], argv[3]);
	const double from = now(), until = from + strtod(argv[4], NULL) / 1000;
	double n = 0, t;
	if (strcmp(argv[1], "connect") == 0) {
		for (; (t = now()) < until; n++)
			ask(&a);
	} else {
		int fd = connect_to(&a);
		ssize_t got;
		must(write(fd, "b", 1) == 1 ? 0 : -1, "talking");
		while ((t = now()) < until && (got = read(fd, buf, sizeof(buf))) > 0)
			n += (double) got / 1e6;
		close(fd);
	}
	(void) printf("%.1f\n", n / (t - from));
	return 0;
}
