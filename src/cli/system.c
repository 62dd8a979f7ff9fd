/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `version` and `info`.
 */
#include <stdio.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/template.h"

struct format_options {
	const char *format; /* borrowed */
};

static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, offsetof(struct format_options, format), "template", "Go template, or json"},
};

static int show_template(const char *format, const struct json *doc)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(4 << 20);
	struct err err;
	if (template_run(str_eq(format, "json") ? "{{json .}}" : format, doc, &out, &err) < 0)
		return cli_fail(64, &err); /* docker's code for a bad template */
	(void) printf("%s\n", out.s ? out.s : "");
	return 0;
}

/* {"Client": {...}, "Server": <the engine's answer>} */
static int version_doc(const struct reply *server, struct json **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(1 << 20);
	struct json_writer w;
	jw_init(&w, &b);
	jw_obj(&w, NULL);
	jw_obj(&w, "Client");
	jw_str(&w, "Version", COFFER_VERSION);
	jw_str(&w, "ApiVersion", &API[2]);
	jw_str(&w, "Os", "linux");
	jw_end(&w);
	if (server)
		jw_raw(&w, "Server", server->text.s ? server->text.s : "null");
	else
		jw_null(&w, "Server");
	jw_end(&w);
	return strbuf_err(&b) < 0 ? err_oom(err) : json_parse(b.s, b.len, b.max, "version", ret, err);
}

static void print_version(const struct json *doc, bool server)
{
	const struct json *s = json_get(doc, "Server");
	(void) printf("Client: Coffer\n Version:      %s\n API version:  %s\n", COFFER_VERSION, &API[2]);
	if (!server)
		return;
	(void) printf("\nServer:\n");
	JSON_FOREACH(c, i, json_get(s, "Components"))
		(void) printf(" %-13s %s\n", json_str(json_get(c, "Name"), ""), json_str(json_get(c, "Version"), ""));
	static const char *const fields[][2] = {{"Version:", "Version"}, {"API version:", "ApiVersion"}, {"Kernel:", "KernelVersion"}, {"OS/Arch:", "Os"}};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *value = json_str(json_get(s, fields[i][1]), NULL);
		if (value && i == 3)
			(void) printf(" %-13s %s/%s\n", fields[i][0], value, json_str(json_get(s, "Arch"), ""));
		else if (value)
			(void) printf(" %-13s %s\n", fields[i][0], value);
	}
}

static int version_run(struct cli *cli, int argc, char **argv)
{
	struct format_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err lost = {}, err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/version", NULL, NULL);
	bool server = call(cli, "GET", &t, NULL, &reply, &lost) == 0;
	if (version_doc(server ? &reply : NULL, &doc, &err) < 0)
		return cli_fail(1, &err);
	if (o.format)
		r = show_template(o.format, doc);
	else
		print_version(doc, server);
	if (!server)
		return cli_fail(1, &lost);
	return o.format ? r : 0;
}

const struct command command_version = {
	.name = "version",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Show the versions of this program and of the engine",
	.examples = "  coffer version --format '{{.Server.Version}}'\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = version_run,
};

static void print_list(const char *label, const struct json *list)
{
	(void) printf(" %s:", label);
	JSON_FOREACH(e, i, list)
		(void) printf("%s%s", i > 0 ? ", " : " ", json_str(e, ""));
	(void) printf("\n");
}

static void print_value(const char *label, const char *key, const struct json *doc)
{
	char buf[24];
	const struct json *v = json_get(doc, key);
	if (json_kind(v) == JSON_KIND_STRING)
		(void) printf(" %s: %s\n", label, json_str(v, ""));
	else if (json_kind(v) == JSON_KIND_INT && str_eq(key, "MemTotal"))
		(void) printf(" %s: %s\n", label, format_size(buf, sizeof(buf), (uint64_t) MAX(json_int(v, 0), (int64_t) 0)));
	else if (json_kind(v) == JSON_KIND_INT)
		(void) printf(" %s: %lld\n", label, (long long) json_int(v, 0));
	else if (json_kind(v) == JSON_KIND_ARRAY)
		print_list(label, v);
}

static void print_info(const struct json *doc)
{
	static const char *const fields[][2] = {
		{"Containers", "Containers"}, {" Running", "ContainersRunning"}, {" Paused", "ContainersPaused"}, {" Stopped", "ContainersStopped"},
		{"Images", "Images"}, {"Version", "ServerVersion"}, {"Storage driver", "Driver"}, {"Logging driver", "LoggingDriver"},
		{"Cgroup driver", "CgroupDriver"}, {"Cgroup version", "CgroupVersion"}, {"Security options", "SecurityOptions"},
		{"Kernel version", "KernelVersion"}, {"Operating system", "OperatingSystem"}, {"OS type", "OSType"}, {"Architecture", "Architecture"},
		{"CPUs", "NCPU"}, {"Total memory", "MemTotal"}, {"Name", "Name"}, {"Root dir", "DockerRootDir"}, {"Warnings", "Warnings"},
	};
	(void) printf("Client:\n Version: %s\n\nServer:\n", COFFER_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!str_eq(fields[i][1], "Warnings") || json_len(json_get(doc, "Warnings")) > 0)
			print_value(fields[i][0], fields[i][1], doc);
}

static int info_run(struct cli *cli, int argc, char **argv)
{
	struct format_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/info", NULL, NULL);
	if (call_json(cli, "GET", &t, NULL, &doc, &err) < 0)
		return cli_fail(1, &err);
	if (o.format)
		return show_template(o.format, doc);
	print_info(doc);
	return 0;
}

const struct command command_info = {
	.name = "info",
	.group = GROUP_OTHER,
	.usage = "[OPTIONS]",
	.summary = "Show facts about the engine and this host",
	.examples = "  coffer info --format '{{.CgroupVersion}}'\n",
	.flags = {FLAGS(rows)},
	.max_args = 0,
	.run = info_run,
};
