/* SPDX-License-Identifier: Apache-2.0 */
/* 2,000 containers' interfaces on one network, which no bridge of Linux takes (1,023 ports): it has siblings, and the first reaches the last. Root. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/link.h"
#include "kernel/netlink.h"
#include "network/internal.h"

#define CONTAINERS 2000

static int other_namespace(void)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	return fd;
}

/* Row, address, bridge and interface of one more; where is its namespace. */
static struct interface add(struct network_room *r, const char *network, unsigned k, int ns)
{
	struct err err = {0};
	struct endpoint p = {0};
	struct network_plan plan = {0};
	(void) str_format(p.container, sizeof(p.container), "%064x", k);
	memcpy(p.network, network, sizeof(p.network));
	if (endpoint_add(r, &p, &err) < 0 || network_up(r, p.container, NULL, 0, &plan, &err) < 0)
		fail_msg("%u: %s", k, err.msg);
	struct interface i = plan.endpoints[0].i;
	(void) str_format(i.name, sizeof(i.name), "e%u", k); /* they share a namespace */
	int rc = link_join(r->route, &i, ns);
	if (rc < 0)
		fail_msg("%u: joining %s: %s", k, i.bridge, strerror(-rc));
	network_plan_done(&plan);
	return i;
}

/* A socket of @ns, where @i is set up. */
static int inside(int ns, const struct interface *i, int type)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	_cleanup_close_ int route = nl_open(NETLINK_ROUTE);
	assert_int_equal(link_settle(route, i), 0);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	assert_true(fd >= 0);
	return fd;
}

static struct sockaddr_in at(const struct interface *i, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	memcpy(&a.sin_addr, i->addresses[0].bytes, 4);
	return a;
}

static void the_first_reaches_the_last(int one, const struct interface *first, int two, const struct interface *last)
{
	_cleanup_close_ int from = inside(one, first, SOCK_DGRAM), to = inside(two, last, SOCK_DGRAM);
	struct sockaddr_in here = at(last, 4000);
	const struct timeval patience = {.tv_sec = 1};
	char text[8] = "";
	assert_int_equal(bind(to, (struct sockaddr *) &here, sizeof(here)), 0);
	assert_int_equal(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	for (int i = 0; i < 30 && !text[0]; i++) {
		assert_int_equal(sendto(from, "hello", 6, 0, (struct sockaddr *) &here, sizeof(here)), 6);
		(void) recv(to, text, sizeof(text), 0);
	}
	assert_string_equal(text, "hello");
}

static void two_thousand(void **state)
{
	char dir[] = "/tmp/coffer-full-XXXXXX", path[64];
	struct err err = {0};
	struct db *db = NULL;
	struct network_room *r = NULL;
	assert_true(unshare(CLONE_NEWNET) == 0 && mkdtemp(dir));
	(void) str_format(path, sizeof(path), "%s/coffer.db", dir);
	assert_int_equal(db_open(path, &db, &err), 0);
	const struct network_config cfg = {.db = db, .state_dir = "/nowhere"};
	assert_int_equal(network_open(&cfg, &r, &err), 0);
	struct network n = {.tenant = strdup("t"), .name = strdup("big"), .driver = strdup("bridge")};
	if (network_create(r, &n, &err) < 0)
		fail_msg("%s", err.msg);
	_cleanup_close_ int one = other_namespace(), rest = other_namespace(), two = other_namespace();
	struct interface first = add(r, n.id, 0, one), last;
	for (unsigned k = 1; k < CONTAINERS - 1; k++)
		(void) add(r, n.id, k, rest);
	last = add(r, n.id, CONTAINERS - 1, two);
	assert_string_equal(first.bridge, n.bridge);
	assert_string_not_equal(last.bridge, first.bridge);
	the_first_reaches_the_last(one, &first, two, &last);
	/* a place that is given back is taken first */
	struct err ignored;
	assert_int_equal(network_down(r, "0000000000000000000000000000000000000000000000000000000000000001", &ignored), 0);
	struct interface again = add(r, n.id, CONTAINERS, rest);
	assert_string_equal(again.bridge, first.bridge);
	network_done(&n);
	network_close(r);
	db_close(db);
	assert_int_equal(rm_rf_at(AT_FDCWD, dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(two_thousand)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
