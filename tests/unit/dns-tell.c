/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of the name server as a command, for tests/e2e/test_dns.py:
 *	dns-tell RUN LIBEXEC ensure | tell [NETNS] | forget ID | watch
 * tell: what to say comes on stdin, as src/dns/proto.h has it; with a network namespace's path its sockets are opened there. Prints what the call returned;
 * watch prints when the server has ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "dns/proto.h"

static void text_of(const struct dns_address *a, char text[INET6_ADDRSTRLEN])
{
	text[0] = '\0';
	if (a->family)
		(void) inet_ntop(a->family, a->bytes, text, INET6_ADDRSTRLEN);
}

static int tell(int run, const char *libexec, struct dns_told *t, struct err *err)
{
	static char text[DNS_NETWORKS_MAX + DNS_SERVERS_MAX][2][INET6_ADDRSTRLEN];
	static struct dns_network networks[DNS_NETWORKS_MAX];
	static struct dns_link links[DNS_LINKS_MAX];
	char *servers[DNS_SERVERS_MAX + 1] = {0};
	for (size_t i = 0; i < t->n_stays; i++) {
		const struct dns_stay *s = &t->stays[i];
		text_of(&s->v4, text[i][0]);
		text_of(&s->v6, text[i][1]);
		networks[i] = (struct dns_network) {.id = s->id, .name = s->name, .internal = s->internal, .v4 = text[i][0], .v6 = text[i][1], .names = s->names};
	}
	for (size_t i = 0; i < t->n_servers; i++) {
		text_of(&t->servers[i], text[DNS_NETWORKS_MAX + i][0]);
		servers[i] = text[DNS_NETWORKS_MAX + i][0];
	}
	for (size_t i = 0; i < t->n_links; i++)
		links[i] = (struct dns_link) {.alias = t->links[i].name, .target = t->links[i].target};
	const struct dns_container c = {
		.id = t->id, .name = t->name, .networks = networks, .n_networks = t->n_stays, .links = links, .n_links = t->n_links, .servers = t->n_servers ? servers : NULL,
	};
	return dns_tell(run, libexec, &c, err);
}

static int read_told(struct dns_told *t)
{
	static char text[DNS_TEXT_MAX + 1];
	ssize_t n = read_full(STDIN_FILENO, text, DNS_TEXT_MAX);
	return n < 0 ? (int) n : dns_told_parse(text, t);
}

static int do_tell(int run, const char *libexec, const char *netns, struct err *err)
{
	_cleanup_dns_told_ struct dns_told t = {0};
	int sockets[DNS_SOCKETS] = {-EBADF, -EBADF};
	int r = read_told(&t);
	if (r < 0)
		return err_sys(err, r, "reading stdin");
	_cleanup_close_ int ns = netns ? open(netns, O_RDONLY | O_CLOEXEC) : -EBADF;
	r = ns >= 0 ? dns_open_at(ns, sockets) : netns ? -errno : 0;
	if (r < 0)
		return err_sys(err, r, "opening sockets");
	r = tell(run, libexec, &t, err);
	int given = r >= 0 && netns ? dns_give(run, t.id, sockets) : 0;
	if (given < 0)
		r = err_sys(err, given, "giving sockets");
	for (int i = 0; i < DNS_SOCKETS; i++)
		safe_close(sockets[i]);
	return r;
}

static int do_watch(int run, struct err *err)
{
	char c;
	_cleanup_close_ int fd = dns_watch(run);
	if (fd < 0)
		return err_sys(err, fd, "watching");
	printf("watching\n");
	(void) fflush(stdout);
	return (int) read(fd, &c, 1);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	_cleanup_close_ int run = argc < 4 ? -EBADF : open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = -EINVAL;
	if (run < 0)
		(void) err_set(&err, ERR_INVALID, "usage: see the head of dns-tell.c");
	else if (str_eq(argv[3], "ensure"))
		r = dns_ensure(run, argv[2], &err);
	else if (str_eq(argv[3], "tell"))
		r = do_tell(run, argv[2], argv[4], &err);
	else if (str_eq(argv[3], "forget") && argc > 4)
		r = dns_forget(run, argv[4]);
	else if (str_eq(argv[3], "watch"))
		r = do_watch(run, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.msg[0] ? err.msg : strerror(-r));
	else
		printf("%d\n", r);
	return r < 0;
}
