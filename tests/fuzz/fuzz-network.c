/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of POST /networks/create and /networks/{id}/connect are refused with a reason or read; addresses that are read are written as what reads the same. */
#include <string.h>

#include "apimodel/network.h"
#include "base/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ip(const char *s)
{
	struct ip_addr a, b;
	char text[IP_TEXT_MAX];
	if (s && ip_parse(s, &a) == 0 && (ip_parse(ip_text(text, &a), &b) < 0 || !ip_equal(&a, &b)))
		abort();
	if (s && ip_parse_subnet(s, &a, NULL) == 0 && (ip_parse_prefix(ip_text_prefix(text, &a), &b) < 0 || !ip_equal(&a, &b) || a.prefix != b.prefix || !ip_contains(&a, &b)))
		abort();
	uint8_t mac[MAC_LEN];
	if (s && mac_parse(s, mac) == 0 && mac[0] & 1)
		abort();
}

static void told(int r, const struct err *err)
{
	if (r < 0 && (err->kind != ERR_INVALID || !err->msg[0]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strv_ char **unknown = NULL;
	struct network_request n;
	struct connect_request c;
	struct err err = {0};
	if (json_parse((const char *) data, size, 1 << 20, "body", &doc, &err) < 0)
		return 0;
	told(network_request_parse(doc, &n, &unknown, &err), &err);
	for (size_t i = 0; i < n.n_ipam; i++) {
		check_ip(n.ipam[i].subnet);
		check_ip(n.ipam[i].gateway);
		check_ip(n.ipam[i].ip_range);
	}
	network_request_done(&n);
	told(connect_request_parse(doc, &c, &unknown, &err), &err);
	check_ip(c.endpoint.ipv4);
	check_ip(c.endpoint.ipv6);
	check_ip(c.endpoint.mac);
	connect_request_done(&c);
	return 0;
}
