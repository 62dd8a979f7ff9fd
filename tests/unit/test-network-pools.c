/* SPDX-License-Identifier: Apache-2.0 */
/* Which subnets networks get: of the operator's pools, of docker's, none that the host uses; and the default network as the operator wants it. Root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "kernel/link.h"
#include "kernel/netlink.h"
#include "network/internal.h"

struct world {
	char dir[64], path[96];
	struct db *db;
	struct network_defaults defaults;
	struct network_room *room; /* NULL: closed */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	(void) str_copy(w->dir, sizeof(w->dir), "/tmp/coffer-pools-XXXXXX");
	if (!w || unshare(CLONE_NEWNET) < 0 || !mkdtemp(w->dir))
		return -1;
	(void) str_format(w->path, sizeof(w->path), "%s/coffer.db", w->dir);
	struct err err;
	*state = w;
	return db_open(w->path, &w->db, &err);
}

static int teardown(void **state)
{
	struct world *w = *state;
	w->room = network_close(w->room);
	network_defaults_done(&w->defaults);
	db_close(w->db);
	int r = rm_rf_at(AT_FDCWD, w->dir);
	free(w);
	return r;
}

static int read_words(struct network_words w, const char *pools, struct network_defaults *ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;
	*err = (struct err){0};
	assert_true(!pools || json_parse(pools, strlen(pools), 1 << 16, "pools", &doc, err) >= 0);
	w.pools = doc;
	return network_defaults_read(&w, ret, err);
}

/* The room as it is after the operator's change. */
static void open_with(struct world *w, struct network_words words, const char *pools)
{
	struct err err;
	w->room = network_close(w->room);
	network_defaults_done(&w->defaults);
	if (read_words(words, pools, &w->defaults, &err) < 0)
		fail_msg("%s", err.msg);
	const struct network_config cfg = {.db = w->db, .state_dir = "/nowhere", .defaults = &w->defaults};
	if (network_open(&cfg, &w->room, &err) < 0)
		fail_msg("%s", err.msg);
}

static int create(struct world *w, const char *name, bool ipv6, char four[IP_TEXT_MAX], char six[IP_TEXT_MAX], struct err *err)
{
	struct network n = {.tenant = strdup("t"), .name = strdup(name), .driver = strdup("bridge"), .ipv6 = ipv6};
	*err = (struct err){0};
	int rc = network_create(w->room, &n, err);
	(void) ip_text_prefix(four, &n.subnet[NETWORK_V4]);
	(void) ip_text_prefix(six, &n.subnet[NETWORK_V6]);
	network_done(&n);
	return rc;
}

static void expect(struct world *w, const char *name, const char *subnet)
{
	char four[IP_TEXT_MAX], six[IP_TEXT_MAX];
	struct err err;
	if (create(w, name, /* ipv6= */ false, four, six, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(four, subnet);
}

static void host_has(const char *bridge, const char *address)
{
	_cleanup_close_ int route = nl_open(NETLINK_ROUTE);
	struct bridge b = {.mac = {2, 1, 2, 3, 4, 5}, .n_addresses = 1};
	assert_int_equal(str_copy(b.name, sizeof(b.name), bridge), 0);
	assert_int_equal(ip_parse_prefix(address, &b.addresses[0]), 0);
	assert_int_equal(link_make_bridge(route, &b), 0);
}

static void pools_of_the_operator(void **state)
{
	struct world *w = *state;
	char four[IP_TEXT_MAX], six[IP_TEXT_MAX];
	struct err err;
	host_has("lan0", "10.64.1.7/25"); /* the host's own routes are in no network */
	open_with(w, (struct network_words){.icc = true}, "[{\"base\":\"10.64.0.0/22\",\"size\":24},{\"base\":\"10.80.0.0/30\",\"size\":30},{\"base\":\"fd00:7::/62\",\"size\":64}]");
	expect(w, "a", "10.64.2.0/24"); /* 10.64.0.0/24 is the default network's */
	expect(w, "b", "10.64.3.0/24");
	expect(w, "c", "10.80.0.0/30");
	assert_true(create(w, "d", false, four, six, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
	assert_non_null(strstr(err.msg, "default-address-pools"));
	/* one that goes makes room */
	struct network n;
	assert_int_equal(network_remove(w->room, "t", "b", &n, &err), 0);
	network_done(&n);
	host_has("lan1", "fd00:7::1/64");
	assert_int_equal(create(w, "e", true, four, six, &err), 0);
	assert_string_equal(four, "10.64.3.0/24");
	assert_string_equal(six, "fd00:7:0:1::/64");
	/* without the operator's word docker's are there again, beside what there is */
	open_with(w, (struct network_words){.icc = true}, NULL);
	expect(w, "f", "172.17.0.0/16");
}

static void none_is_the_hosts(void **state)
{
	struct world *w = *state;
	host_has("lan0", "172.17.3.1/24");
	host_has("lan1", "172.18.255.1/16");
	open_with(w, (struct network_words){.icc = true}, NULL);
	expect(w, "a", "172.20.0.0/16"); /* 172.19.0.0/16 is the default network's */
}

static void give(struct world *w, const char *name, const char *subnet)
{
	struct network n = {.tenant = strdup("t"), .name = strdup(name), .driver = strdup("bridge"), .ipv6 = true};
	struct err err;
	assert_int_equal(ip_parse_subnet(subnet, &n.subnet[NETWORK_V6], NULL), 0);
	if (network_create(w->room, &n, &err) < 0)
		fail_msg("%s", err.msg);
	network_done(&n);
}

/* Somebody's wide subnet is stepped over at once: one by one its parts would take for ever, with the database locked. */
static void a_wide_subnet_in_the_way(void **state)
{
	struct world *w = *state;
	char four[IP_TEXT_MAX], six[IP_TEXT_MAX];
	struct err err;
	host_has("lan0", "10.1.2.3/9");
	open_with(w, (struct network_words){.icc = true}, "[{\"base\":\"10.0.0.0/8\",\"size\":30},{\"base\":\"fd00::/8\",\"size\":126}]");
	give(w, "a", "fd00::/10");
	assert_int_equal(create(w, "b", true, four, six, &err), 0);
	assert_string_equal(four, "10.128.0.8/30"); /* the default network and a have the first two */
	assert_string_equal(six, "fd40::/126");
	give(w, "c", "fd80::/9");
	give(w, "d", "fd60::/11");
	assert_int_equal(create(w, "e", true, four, six, &err), 0);
	assert_string_equal(six, "fd40::4/126");
	/* nothing is left of what random ones come from */
	open_with(w, (struct network_words){.icc = true}, NULL);
	host_has("lan1", "fd01::1/8");
	assert_true(create(w, "f", true, four, six, &err) < 0);
	assert_int_equal(err.kind, ERR_QUOTA);
}

static struct network found(struct world *w)
{
	struct network n;
	struct err err;
	if (network_find(w->room, "t", "bridge", &n, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

static void the_default_network_follows(void **state)
{
	struct world *w = *state;
	char text[IP_TEXT_MAX];
	struct err err;
	open_with(w, (struct network_words){.icc = true}, NULL);
	struct network n = found(w);
	assert_string_equal(ip_text_prefix(text, &n.subnet[NETWORK_V4]), "172.17.0.0/16");
	network_done(&n);

	const struct network_words words = {.bip = "10.200.0.9/24", .fixed_cidr = "10.200.0.128/25", .fixed_cidr6 = "fd00:8::/64", .ip = "127.0.0.1", .mtu = 1400, .ipv6 = true};
	open_with(w, words, NULL);
	n = found(w);
	assert_string_equal(ip_text_prefix(text, &n.subnet[NETWORK_V4]), "10.200.0.0/24");
	assert_string_equal(ip_text(text, &n.gateway[NETWORK_V4]), "10.200.0.9");
	assert_string_equal(ip_text_prefix(text, &n.range[NETWORK_V4]), "10.200.0.128/25");
	assert_string_equal(ip_text_prefix(text, &n.subnet[NETWORK_V6]), "fd00:8::/64");
	assert_string_equal(ip_text(text, &n.gateway[NETWORK_V6]), "fd00:8::1");
	assert_string_equal(ip_text(text, &n.publish_on), "127.0.0.1");
	assert_true(n.mtu == 1400 && n.isolated && n.ipv6);

	/* not under somebody who is on it */
	struct endpoint p = {0};
	memcpy(p.network, n.id, sizeof(p.network));
	memset(p.container, 'a', ID_LEN);
	assert_int_equal(endpoint_add(w->room, &p, &err), 0);
	assert_true(db_exec(w->db, &err, "UPDATE network_endpoint SET up=1", "") >= 0);
	network_done(&n);
	open_with(w, (struct network_words){.bip = "10.201.0.1/24", .icc = true}, NULL);
	n = found(w);
	assert_string_equal(ip_text(text, &n.gateway[NETWORK_V4]), "10.200.0.9");
	network_done(&n);
	assert_int_equal(endpoint_remove(w->room, p.container, p.network, &err), 0);
	n = found(w);
	assert_string_equal(ip_text(text, &n.gateway[NETWORK_V4]), "10.201.0.1");
	assert_true(n.mtu == 0 && !n.isolated && !n.ipv6 && !n.range[NETWORK_V4].family && !n.subnet[NETWORK_V6].family && !n.publish_on.family);
	network_done(&n);

	/* a subnet that another network has is told */
	expect(w, "a", "172.17.0.0/16");
	open_with(w, (struct network_words){.bip = "172.17.0.1/16", .icc = true}, NULL);
	assert_true(network_find(w->room, "t", "bridge", &n, &err) < 0);
	assert_non_null(strstr(err.msg, "daemon.json"));
	assert_non_null(strstr(err.msg, "Pool overlaps"));
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		struct network_words words;
		const char *pools, *key, *why;
	} rows[] = {
		{{.icc = true}, "[1]", "default-address-pools", "expected an object"},
		{{.icc = true}, "[{\"base\":\"10.0.0.0/8\",\"size\":24,\"x\":1}]", "default-address-pools: x", "unknown key"},
		{{.icc = true}, "[{\"base\":\"10.0.0.1/8\",\"size\":24}]", "default-address-pools", "bits behind"},
		{{.icc = true}, "[{\"size\":24}]", "default-address-pools", "base ''"},
		{{.icc = true}, "[{\"base\":\"10.0.0.0/16\",\"size\":8}]", "default-address-pools", "size 8"},
		{{.icc = true}, "[{\"base\":\"10.0.0.0/16\",\"size\":31}]", "default-address-pools", "to 30"},
		{{.icc = true}, "[{\"base\":\"10.0.0.0/16\",\"size\":\"24\"}]", "default-address-pools", "expected a"},
		{{.bip = "10.0.0.0/24"}, NULL, "bip", "first or the last"},
		{{.bip = "10.0.0.255/24"}, NULL, "bip", "first or the last"},
		{{.bip = "10.0.0.1"}, NULL, "bip", "prefix length"},
		{{.bip = "fd00::1/64"}, NULL, "bip", "IPv4"},
		{{.fixed_cidr = "10.0.0.0/25"}, NULL, "fixed-cidr", "needs bip"},
		{{.bip = "10.0.0.1/24", .fixed_cidr = "10.0.1.0/25"}, NULL, "fixed-cidr", "not a subnet"},
		{{.bip = "10.0.0.1/24", .fixed_cidr = "10.0.0.0/16"}, NULL, "fixed-cidr", "not a subnet"},
		{{.fixed_cidr6 = "fd00::/64"}, NULL, "fixed-cidr-v6", "needs ipv6"},
		{{.ipv6 = true, .fixed_cidr6 = "10.0.0.0/24"}, NULL, "fixed-cidr-v6", "not an IPv6"},
		{{.ip = "::1"}, NULL, "ip", "IPv4"},
		{{.mtu = 10}, NULL, "mtu", "68"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct network_defaults d;
		struct err err;
		assert_true(read_words(rows[i].words, rows[i].pools, &d, &err) < 0);
		if (!str_after(err.msg, rows[i].key) || !strstr(err.msg, rows[i].why))
			fail_msg("%zu: %s", i, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pools_of_the_operator, setup, teardown),
		cmocka_unit_test_setup_teardown(none_is_the_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wide_subnet_in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(the_default_network_follows, setup, teardown),
		cmocka_unit_test(what_is_wrong_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
