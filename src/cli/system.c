/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `version` and `info`.
 */
#include <stdio.h>

#include "base/num.h"
#include "cli/call.h"
#include "cli/show.h"
#include "cli/template.h"

struct format_options {
	const char *format; /* borrowed */
};

static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, offsetof(struct format_options, format), "template", "Go template, or json"},
};

#if defined(__x86_64__)
#define GO_ARCH "amd64"
#elif defined(__aarch64__)
#define GO_ARCH "arm64"
#else
#define GO_ARCH "unknown"
#endif

/* {"Client": {...}, "Server": <the engine's answer>} */
static int version_doc(const struct reply *server, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_obj(&w, "Client");
	jw_str(&w, "Version", COFFER_VERSION);
	jw_str(&w, "ApiVersion", &API[2]);
	jw_str(&w, "DefaultAPIVersion", &API[2]);
	jw_str(&w, "GitCommit", "");
	jw_str(&w, "Os", "linux");
	jw_str(&w, "Arch", GO_ARCH);
	jw_str(&w, "Context", "default");
	jw_end(&w);
	if (server)
		jw_raw(&w, "Server", server->text.s ? server->text.s : "null");
	else
		jw_null(&w, "Server");
	jw_end(&w);
	return strbuf_err(out) < 0 ? err_oom(err) : 0;
}

static void print_fact(const char *indent, const char *label, const char *value)
{
	if (!str_empty(value))
		(void) printf("%s%-*s %s\n", indent, (int) (19 - strlen(indent)), label, value);
}

static const char *detail(const struct json *component, const char *key)
{
	return json_str(json_get(json_get(component, "Details"), key), "");
}

static void print_component(const struct json *c)
{
	_cleanup_free_ char *api = str_printf("%s (minimum version %s)", detail(c, "ApiVersion"), detail(c, "MinAPIVersion"));
	_cleanup_free_ char *arch = str_printf("%s/%s", detail(c, "Os"), detail(c, "Arch"));
	(void) printf(" %s:\n", json_str(json_get(c, "Name"), ""));
	print_fact("  ", "Version:", json_str(json_get(c, "Version"), ""));
	print_fact("  ", "API version:", *detail(c, "ApiVersion") ? api : "");
	print_fact("  ", "Git commit:", detail(c, "GitCommit"));
	print_fact("  ", "Kernel:", detail(c, "KernelVersion"));
	print_fact("  ", "OS/Arch:", *detail(c, "Os") ? arch : "");
	print_fact("  ", "Experimental:", detail(c, "Experimental"));
}

static int print_version(const struct reply *server, struct err *err)
{
	_cleanup_json_ struct json *s = NULL;
	(void) printf("Client: Coffer\n");
	print_fact(" ", "Version:", COFFER_VERSION);
	print_fact(" ", "API version:", &API[2]);
	print_fact(" ", "OS/Arch:", "linux/" GO_ARCH);
	if (!server)
		return 0;
	int r = json_parse(server->text.s ? server->text.s : "", server->text.len, REPLY_MAX, "the engine's answer", &s, err);
	if (r < 0)
		return r;
	(void) printf("\nServer: %s\n", json_str(json_get(json_get(s, "Platform"), "Name"), ""));
	JSON_FOREACH(c, i, json_get(s, "Components"))
		print_component(c);
	return 0;
}

static int version_run(struct cli *cli, int argc, char **argv)
{
	struct format_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT, doc = STRBUF_INIT(REPLY_MAX);
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	struct err lost = {}, err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.format && template_check(o.format, &err) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &err);
	target_start(&t, "/version", NULL, NULL);
	bool server = call(cli, "GET", &t, NULL, &reply, &lost) == 0;
	r = version_doc(server ? &reply : NULL, &doc, &err);
	if (r == 0)
		r = o.format ? show_template(o.format, doc.s, doc.len, &err) : print_version(server ? &reply : NULL, &err);
	if (r < 0)
		return cli_fail(1, &err);
	return server ? 0 : cli_fail(1, &lost);
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

/* Lines of `info` as rows: what a value is shown as follows from its kind. */
static const struct fact {
	const char *label, *path; /* "Plugins/Volume": a member of a member */
	enum { FACT_VALUE, FACT_MEMORY, FACT_KEYS, FACT_TITLE, FACT_SET /* left out when empty */, FACT_LINES, FACT_INSECURE } kind;
} facts[] = {
	{" Containers", "Containers"},
	{"  Running", "ContainersRunning"},
	{"  Paused", "ContainersPaused"},
	{"  Stopped", "ContainersStopped"},
	{" Images", "Images"},
	{" Server Version", "ServerVersion"},
	{" Storage Driver", "Driver"},
	{" Logging Driver", "LoggingDriver"},
	{" Cgroup Driver", "CgroupDriver"},
	{" Cgroup Version", "CgroupVersion"},
	{" Plugins", "Plugins", FACT_TITLE},
	{"  Volume", "Plugins/Volume"},
	{"  Network", "Plugins/Network"},
	{"  Log", "Plugins/Log"},
	{" Swarm", "Swarm/LocalNodeState"},
	{" Runtimes", "Runtimes", FACT_KEYS},
	{" Default Runtime", "DefaultRuntime"},
	{" Security Options", "SecurityOptions"}, /* its own lines below */
	{" Kernel Version", "KernelVersion"},
	{" Operating System", "OperatingSystem"},
	{" OSType", "OSType"},
	{" Architecture", "Architecture"},
	{" CPUs", "NCPU"},
	{" Total Memory", "MemTotal", FACT_MEMORY},
	{" Name", "Name"},
	{" Docker Root Dir", "DockerRootDir"},
	{" Debug Mode", "Debug"},
	{" HTTP Proxy", "HttpProxy", FACT_SET},
	{" HTTPS Proxy", "HttpsProxy", FACT_SET},
	{" No Proxy", "NoProxy", FACT_SET},
	{" Experimental", "ExperimentalBuild"},
	{" Insecure Registries", "RegistryConfig/IndexConfigs", FACT_INSECURE},
	{NULL, "RegistryConfig/InsecureRegistryCIDRs", FACT_LINES}, /* the same list goes on */
	{" Registry Mirrors", "RegistryConfig/Mirrors", FACT_LINES},
	{" Live Restore Enabled", "LiveRestoreEnabled"},
};

static const struct json *member(const struct json *doc, const char *path)
{
	char name[64];
	const char *slash = strchr(path, '/');
	if (!slash)
		return json_get(doc, path);
	(void) str_format(name, sizeof(name), "%.*s", (int) (slash - path), path); /* fits: they are written above */
	return json_get(json_get(doc, name), slash + 1);
}

/* "name=seccomp,profile=builtin" as docker shows it: the name, and what it is set to below */
static void print_security(const struct json *options)
{
	(void) printf(" Security Options:\n");
	JSON_FOREACH(e, i, options) {
		const char *s = json_str(e, "");
		for (bool first = true; *s; first = false) {
			size_t n = strcspn(s, ","), key = strcspn(s, "=");
			const char *value = key < n ? s + key + 1 : s;
			if (first)
				(void) printf("  %.*s\n", (int) (s + n - value), value);
			else
				(void) printf("   %c%.*s: %.*s\n", *s & ~0x20, (int) (key - 1), s + 1, (int) (s + n - value), value);
			s += n + (s[n] == ',');
		}
	}
}

static void print_words(const char *label, const struct json *v)
{
	(void) printf("%s:", label);
	if (json_kind(v) == JSON_KIND_ARRAY)
		JSON_FOREACH(e, i, v)
			(void) printf(" %s", json_str(e, ""));
	else
		JSON_FOREACH_MEMBER(key, value, v)
			(void) printf(" %s", value ? key : "");
	(void) printf("\n");
}

/* One a line; those of an index that are not secure, or all of a list. */
static void print_lines(const char *label, const struct json *v)
{
	if (label && (json_kind(v) == JSON_KIND_OBJECT || json_len(v) > 0))
		(void) printf("%s:\n", label);
	JSON_FOREACH_MEMBER(key, value, v)
		if (!json_bool(json_get(value, "Secure"), true))
			(void) printf("  %s\n", key);
	JSON_FOREACH(e, i, v)
		(void) printf("  %s\n", json_str(e, ""));
}

static void print_one(const struct fact *f, const struct json *doc)
{
	char buf[24];
	const struct json *v = member(doc, f->path);
	if (json_kind(v) <= JSON_KIND_NULL)
		return;
	if (str_eq(f->path, "SecurityOptions"))
		print_security(v);
	else if (f->kind == FACT_LINES || f->kind == FACT_INSECURE)
		print_lines(f->label, v);
	else if (f->kind == FACT_SET && !*json_str(v, ""))
		return;
	else if (f->kind == FACT_TITLE)
		(void) printf("%s:\n", f->label);
	else if (f->kind == FACT_KEYS || json_kind(v) == JSON_KIND_ARRAY)
		print_words(f->label, v);
	else if (f->kind == FACT_MEMORY)
		(void) printf("%s: %s\n", f->label, format_size_binary(buf, sizeof(buf), (uint64_t) MAX(json_int(v, 0), (int64_t) 0)));
	else if (json_kind(v) == JSON_KIND_STRING)
		(void) printf("%s: %s\n", f->label, json_str(v, ""));
	else if (json_kind(v) == JSON_KIND_BOOL)
		(void) printf("%s: %s\n", f->label, json_bool(v, false) ? "true" : "false");
	else
		(void) printf("%s: %lld\n", f->label, (long long) json_int(v, 0));
}

static void print_info(const struct json *doc)
{
	(void) printf("Client: Coffer\n Version:    %s\n\nServer:\n", COFFER_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		print_one(&facts[i], doc);
	(void) printf("\n");
	JSON_FOREACH(w, i, json_get(doc, "Warnings"))
		(void) fprintf(stderr, "%s\n", json_str(w, ""));
}

static int info_run(struct cli *cli, int argc, char **argv)
{
	struct format_options o = {};
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_reply_ struct reply reply = REPLY_INIT;
	_cleanup_json_ struct json *doc = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, &o, &a);
	if (r != CLI_PARSED)
		return r;
	if (o.format && template_check(o.format, &err) < 0)
		return cli_fail(CLI_EXIT_TEMPLATE, &err);
	target_start(&t, "/info", NULL, NULL);
	if (call(cli, "GET", &t, NULL, &reply, &err) < 0)
		return cli_fail(1, &err);
	const char *text = reply.text.s ? reply.text.s : "";
	if (o.format)
		return show_template(o.format, text, reply.text.len, &err) < 0 ? cli_fail(1, &err) : 0;
	if (json_parse(text, reply.text.len, REPLY_MAX, "the engine's answer", &doc, &err) < 0)
		return cli_fail(1, &err);
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

static int restore_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	_cleanup_strbuf_ struct strbuf t = TARGET_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct err err;
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	target_start(&t, "/system/restore", NULL, NULL);
	if (call_json(cli, "POST", &t, NULL, &answer, &err) < 0)
		return cli_fail(1, &err);
	JSON_FOREACH(id, i, json_get(answer, "Restarted"))
		(void) printf("%s\n", json_str(id, ""));
	return 0;
}

const struct command command_system_restore = {
	.name = "system restore",
	.group = GROUP_OTHER,
	.usage = "",
	.summary = "Start what its restart policy wants up, after a boot without a daemon or after system down",
	.examples = "  coffer system restore\n",
	.max_args = 0,
	.run = restore_run,
};
