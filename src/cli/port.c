/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `port`: where a container's ports are reached on this host.
 */
#include <stdio.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/template_value.h"

/* "[::]:8080", "0.0.0.0:8080" */
static void print_address(const struct json *binding)
{
	const char *ip = json_str(json_get(binding, "HostIp"), ""), *port = json_str(json_get(binding, "HostPort"), "");
	bool v6 = strchr(ip, ':');
	(void) printf("%s%s%s:%s\n", v6 ? "[" : "", ip, v6 ? "]" : "", port);
}

static int show_all(const struct json *ports)
{
	_cleanup_strv_ char **keys = NULL;
	if (sorted_keys(ports, &keys) < 0)
		return cli_error("out of memory");
	STRV_FOREACH (key, keys)
		JSON_FOREACH(binding, i, json_get(ports, key)) {
			(void) printf("%s -> ", key);
			print_address(binding);
		}
	return 0;
}

/* "80", "80/tcp" */
static int show_one(const struct json *ports, const char *container, const char *want)
{
	char key[64], number[16];
	uint32_t port;
	const char *proto = strchr(want, '/');
	if (str_format(number, sizeof(number), "%.*s", (int) strcspn(want, "/"), want) < 0 || parse_u32(number, &port) < 0 || port > 65535 ||
	    str_format(key, sizeof(key), "%u/%s", port, proto ? proto + 1 : "tcp") < 0)
		return cli_error("invalid port '%.60s': use a number, or one with a protocol such as 53/udp", want);
	const struct json *bindings = json_get(ports, key);
	if (json_len(bindings) == 0)
		return cli_error("no public port '%s' published for %s", want, container);
	JSON_FOREACH(binding, i, bindings)
		print_address(binding);
	return 0;
}

static int port_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/containers/", a.v[0], "/json");
	if (call_json(cli, "GET", &t, NULL, &doc, &err) < 0)
		return cli_fail(1, &err);
	const struct json *ports = json_get(json_get(doc, "NetworkSettings"), "Ports");
	return a.n > 1 ? show_one(ports, a.v[0], a.v[1]) : show_all(ports);
}

const struct command command_port = {
	.name = "port",
	.group = GROUP_CONTAINERS,
	.usage = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	.summary = "Show where the ports of a container are reached",
	.examples = "  coffer port web\n  coffer port web 80/tcp\n",
	.min_args = 1,
	.max_args = 2,
	.run = port_run,
};
