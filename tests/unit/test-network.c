/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and rules against the running kernel, in a network namespace of the test's own. Root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/confine.h"
#include "kernel/link.h"
#include "kernel/netlink.h"
#include "network/rules.h"

#define TABLE "coffer-test"

static int route = -EBADF, filter = -EBADF;

static int setup(void **state)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	route = nl_open(NETLINK_ROUTE);
	filter = nft_open();
	return route >= 0 && filter >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	route = safe_close(route);
	filter = safe_close(filter);
	return 0;
}

static int other_namespace(void)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	return fd;
}

static struct ip_addr v4(const char *text, uint8_t prefix)
{
	struct ip_addr a = {.family = AF_INET, .prefix = prefix};
	assert_int_equal(inet_pton(AF_INET, text, a.bytes), 1);
	return a;
}

static struct ip_addr v6(const char *text, uint8_t prefix)
{
	struct ip_addr a = {.family = AF_INET6, .prefix = prefix};
	assert_int_equal(inet_pton(AF_INET6, text, a.bytes), 1);
	return a;
}

static double ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void pairs(void **state)
{
	struct bridge br = {.name = "cf-test", .mac = {2, 1, 2, 3, 4, 5}, .addresses = {v4("10.9.0.1", 16), v6("fd00:9::1", 64)}, .n_addresses = 2};
	assert_int_equal(link_make_bridge(route, &br), 0);
	assert_int_equal(link_make_bridge(route, &br), -EEXIST);
	_cleanup_close_ int ns = other_namespace(), own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct interface i = {
		.name = "eth0", .host_name = "cvtest", .bridge = "cf-test", .mac = {2, 0x42, 10, 9, 0, 2}, .gateway_mac = {2, 1, 2, 3, 4, 5}, .mtu = 1400, .ipv6 = true,
		.addresses = {v4("10.9.0.2", 16), v6("fd00:9::2", 64)}, .n_addresses = 2, .gateway4 = v4("10.9.0.1", 16), .gateway6 = v6("fd00:9::1", 64),
	};
	double t0 = ms();
	assert_int_equal(link_join(route, &i, ns), 0);
	double t1 = ms();
	assert_int_equal(link_join(route, &i, ns), -EEXIST);
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	int inside = nl_open(NETLINK_ROUTE);
	double t2 = ms();
	assert_int_equal(link_settle(inside, &i), 0);
	double t3 = ms();
	assert_int_equal(link_default_route(inside, &i, false), 0);
	assert_int_equal(link_default_route(inside, &i, true), 0);
	safe_close(inside);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	print_message("join %.2f ms, settle %.2f ms\n", t1 - t0, t3 - t2);
	assert_int_equal(link_trunk(route, "cf-test", "ctd", "cf-none", "ctu", 0), -ENODEV);
	assert_int_equal(link_delete(route, "cvtest"), 0);
	assert_int_equal(link_delete(route, "cvtest"), -ENODEV);
	assert_int_equal(link_delete(route, "cf-test"), 0);
}

/* What a shell command writes. Return: owned text; it has to succeed. */
static char *shell(const char *command)
{
	int fds[2], status = -1;
	char *text = calloc(1, 65536);
	assert_true(text && pipe(fds) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void) dup2(fds[1], 1);
		(void) dup2(fds[1], 2);
		(void) close_from(3);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(fds[1]);
	(void) read_full(fds[0], text, 65535);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		print_message("%s: %s\n", command, text);
	assert_int_equal(status, 0);
	return text;
}

static void rules(void **state)
{
	_cleanup_nft_ struct nft_batch n = NFT_BATCH_INIT;
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 0);
	rules_build(&n, TABLE, "cfv");
	double t0 = ms();
	assert_int_equal(nft_commit(filter, &n), 0);
	double t1 = ms();
	print_message("build %.2f ms\n", t1 - t0);
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 1);
	struct interface i = {.host_name = "cvtest", .mac = {2, 0x42, 10, 9, 0, 2}, .ipv6 = true, .addresses = {v4("10.9.0.2", 16), v6("fd00:9::2", 64)}, .n_addresses = 2};
	struct rules_port any = {.host = {.family = AF_INET}, .proto = IPPROTO_TCP, .host_port = 8080, .to = v4("10.9.0.2", 16), .to_port = 80};
	struct rules_port six = {.host = v6("::1", 128), .proto = IPPROTO_UDP, .host_port = 8080, .to = v6("fd00:9::2", 64), .to_port = 80};
	for (int on = 1; on >= 0; on--) {
		_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
		t0 = ms();
		rules_network(&b, TABLE, "cf-test", RULES_MASQUERADE | RULES_HOST_ACCESS, on);
		rules_endpoint(&b, TABLE, &i, on);
		rules_port(&b, TABLE, &any, on);
		rules_port(&b, TABLE, &six, on);
		t1 = ms();
		assert_int_equal(nft_commit(filter, &b), 0);
		print_message("%s: build %.3f commit %.2f ms\n", on ? "add" : "delete", t1 - t0, ms() - t1);
		_cleanup_free_ char *text = shell("nft list ruleset");
		if (on && getenv("SHOW"))
			fputs(text, stderr);
		static const char *const shown[] = {"\"cvtest\" . 02:42:0a:09:00:02 . 10.9.0.2", "fe80::42:aff:fe09:2", "tcp . 8080 : 10.9.0.2 . 80", "udp . ::1 . 8080 : fd00:9::2 . 80",
						    "\"cf-test\" . \"cf-test\""};
		for (size_t k = 0; k < ARRAY_LEN(shown); k++)
			assert_int_equal(strstr(text, shown[k]) != NULL, on);
		/* nobody but us needs to understand it, but whoever looks should */
		assert_null(strstr(text, "unknown"));
	}
}

static void flush_is_seen(void **state)
{
	_cleanup_close_ int listener = nft_listen();
	bool gone = false, came = false;
	assert_true(listener >= 0);
	_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
	rules_network(&b, TABLE, "cf-flush", 0, true);
	assert_int_equal(nft_commit(filter, &b), 0);
	assert_int_equal(nft_heard(listener, TABLE, &gone, "DOCKER-USER", &came), 0);
	assert_false(gone);
	free(shell("nft flush chain inet " TABLE " forward"));
	assert_int_equal(nft_heard(listener, TABLE, &gone, "DOCKER-USER", &came), 0);
	assert_true(gone && !came);
	free(shell("nft add table ip filter && nft add chain ip filter DOCKER-USER && nft delete table ip filter"));
	assert_int_equal(nft_heard(listener, TABLE, &gone, "DOCKER-USER", &came), 0);
	assert_true(came);
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 0);
	_cleanup_nft_ struct nft_batch n = NFT_BATCH_INIT;
	rules_build(&n, TABLE, "cfv");
	assert_int_equal(nft_commit(filter, &n), 0);
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 1);
	_cleanup_nft_ struct nft_batch d = NFT_BATCH_INIT;
	rules_drop(&d, TABLE);
	assert_int_equal(nft_commit(filter, &d), 0);
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 0);
	/* each of so many elements has no table: the socket has no room for all that is said of them (ENOBUFS), and the reason is told all the same */
	_cleanup_nft_ struct nft_batch many = NFT_BATCH_INIT;
	for (unsigned i = 0; i < 2000; i++)
		rules_port(&many, TABLE, &(struct rules_port){.host.family = AF_INET, .proto = IPPROTO_TCP, .host_port = (uint16_t) (20000 + i), .to.family = AF_INET, .to_port = 80}, i % 2);
	assert_int_equal(nft_commit(filter, &many), -ENOENT);
	assert_int_equal(rules_are_whole(filter, TABLE, "cfv"), 0);
}

static void beside_docker(void **state)
{
	assert_int_equal(rules_beside_docker(filter, "cf-"), 0);
	free(shell("nft add table ip filter && nft add chain ip filter DOCKER-USER"));
	for (int i = 0; i < 2; i++)
		assert_int_equal(rules_beside_docker(filter, "cf-"), 0);
	uint64_t handle;
	assert_int_equal(nft_find_rules(filter, NFPROTO_IPV4, "filter", "DOCKER-USER", "coffer cf-", &handle), 4);
	_cleanup_free_ char *text = shell("nft list ruleset");
	const char *docker0 = strstr(text, "iifname \"cf-*\" oifname \"docker0\" counter packets 0 bytes 0 return");
	assert_non_null(docker0);
	assert_non_null(strstr(docker0, "oifname \"br-*\" counter packets 0 bytes 0 return"));
	assert_non_null(strstr(docker0, "iifname \"cf-*\" counter packets 0 bytes 0 accept"));
}

static void speed(void **state)
{
	_cleanup_nft_ struct nft_batch n = NFT_BATCH_INIT;
	rules_build(&n, TABLE, "cfv");
	assert_int_equal(nft_commit(filter, &n), 0);
	struct rules_port any = {.host = {.family = AF_INET}, .proto = IPPROTO_TCP, .to = v4("10.9.0.2", 16), .to_port = 80};
	_cleanup_nft_ struct nft_batch many = NFT_BATCH_INIT;
	for (int i = 0; i < 1000; i++) {
		any.host_port = (uint16_t) (10000 + i);
		rules_port(&many, TABLE, &any, true);
	}
	double t0 = ms();
	assert_int_equal(nft_commit(filter, &many), 0);
	print_message("1000 ports: %.2f ms\n", ms() - t0);
	double add = 0, del = 0;
	for (int i = 0; i < 20; i++) {
		any.host_port = (uint16_t) (20000 + i);
		for (int on = 1; on >= 0; on--) {
			_cleanup_nft_ struct nft_batch b = NFT_BATCH_INIT;
			t0 = ms();
			rules_port(&b, TABLE, &any, on);
			assert_int_equal(nft_commit(filter, &b), 0);
			*(on ? &add : &del) += ms() - t0;
		}
	}
	print_message("one port: add %.3f delete %.3f ms\n", add / 20, del / 20);
	t0 = ms();
	filter = safe_close(filter);
	print_message("close %.2f ms\n", ms() - t0);
	filter = nft_open();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs), cmocka_unit_test(rules), cmocka_unit_test(flush_is_seen), cmocka_unit_test(beside_docker), cmocka_unit_test(speed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
