/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options before the command, and the choice of the command. Everything is decided here before anything is opened, but descriptors 0, 1 and 2:
 * a closed one would be taken by the first file of ours that is opened, and handed to the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/suggest.h"
#include "oci/internal.h"
#include "oci/oci.h"
#include "sandbox/sandbox.h"

#define EXIT_UNKNOWN_COMMAND 3 /* as runc */

struct global_options {
	const char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless, *criu;
	bool debug, systemd_cgroup, version, help;
};

#define F(field) offsetof(struct global_options, field)
static const struct flag rows[] = {
	{"root", 0, FLAG_STR, F(root), "DIR", "where the containers' state is (default /run/coffer-oci; rootless: $XDG_RUNTIME_DIR/coffer-oci)"},
	{"log", 0, FLAG_STR, F(log), "FILE", "append messages to a file instead of stderr"},
	{"log-format", 0, FLAG_STR, F(log_format), "text|json", "how messages look (default text)"},
	{"log-level", 0, FLAG_STR, F(log_level), "LEVEL", "error, warning, info or debug (default warning)"},
	{"debug", 0, FLAG_BOOL, F(debug), NULL, "the same as --log-level debug"},
	{"systemd-cgroup", 0, FLAG_BOOL, F(systemd_cgroup), NULL, "let systemd make the cgroup; cgroupsPath is then SLICE:PREFIX:NAME"},
	{"cgroup-manager", 0, FLAG_STR, F(cgroup_manager), "NAME", "cgroupfs, systemd or disabled (default cgroupfs)"},
	{"rootless", 0, FLAG_STR, F(rootless), "true|false|auto", "whether the caller is not the host's root (default auto)"},
	{"criu", 0, FLAG_STR, F(criu), "PATH", "accepted and ignored: there is no checkpointing"},
	{"version", 'v', FLAG_BOOL, F(version), NULL, "print the version"},
	{"V", 'V', FLAG_BOOL, F(version), NULL, NULL}, /* as crun has it */
	{"help", 'h', FLAG_BOOL, F(help), NULL, "print this help"},
};
#undef F
const struct flag_table oci_global_flags = FLAG_TABLE(rows);

static const struct oci_command *const commands[] = {
	&oci_create, &oci_start, &oci_run,    &oci_state,  &oci_list,   &oci_exec, &oci_ps,	&oci_kill,
	&oci_delete, &oci_pause, &oci_resume, &oci_update, &oci_events, &oci_spec, &oci_features,
};

const struct oci_command *const *oci_commands(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(commands);
	return commands;
}

const struct oci_command *oci_command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int apply_cgroup_manager(struct oci *o, const struct global_options *g, struct err *err)
{
	if (g->systemd_cgroup || str_eq(g->cgroup_manager, "systemd"))
		o->sandbox_flags |= SANDBOX_SYSTEMD_CGROUP;
	else if (str_eq(g->cgroup_manager, "disabled"))
		o->sandbox_flags |= SANDBOX_NO_CGROUP;
	else if (g->cgroup_manager && !str_eq(g->cgroup_manager, "cgroupfs"))
		return err_set(err, ERR_INVALID, "--cgroup-manager: '%s' is not one of cgroupfs, systemd, disabled", g->cgroup_manager);
	return 0;
}

static int apply_rootless(struct oci *o, const struct global_options *g, struct err *err)
{
	bool on = false;
	if (!g->rootless || str_eq(g->rootless, "auto"))
		on = oci_is_rootless();
	else if (parse_bool(g->rootless, &on) < 0)
		return err_set(err, ERR_INVALID, "--rootless: '%s' is not one of true, false, auto", g->rootless);
	o->sandbox_flags |= on ? SANDBOX_ROOTLESS : 0;
	return 0;
}

static int apply_log(struct oci *o, const struct global_options *g, struct err *err)
{
	if (str_eq(g->log_format, "json"))
		o->log_json = true;
	else if (g->log_format && !str_eq(g->log_format, "text"))
		return err_set(err, ERR_INVALID, "--log-format: '%s' is not one of text, json", g->log_format);
	int level = g->debug ? OCI_LOG_DEBUG : g->log_level ? oci_log_level_parse(g->log_level) : OCI_LOG_WARN;
	if (level < 0)
		return err_set(err, ERR_INVALID, "--log-level: '%s' is not one of error, warning, info, debug", g->log_level);
	o->log_level = (enum oci_log_level) level;
	/* crun names the kind of log in front */
	const char *file = g->log ? str_after(g->log, "file:") ?: g->log : NULL;
	if (file && (str_after(file, "journald:") || str_after(file, "syslog:")))
		return err_set(err, ERR_UNSUPPORTED, "--log: '%s': only files can be written", file);
	o->log_file = str_eq(file, "/dev/stderr") || str_empty(file) ? NULL : file;
	return 0;
}

static int apply_root(struct oci *o, const struct global_options *g, struct err *err)
{
	if (str_empty(g->root))
		return oci_root_default(o, err);
	char cwd[PATH_MAX] = "";
	if (g->root[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_sys(err, -errno, "--root: '%s': current directory", g->root);
	int r = str_format(o->root, sizeof(o->root), "%s%s%s", cwd, *cwd ? "/" : "", g->root);
	return r < 0 ? err_sys(err, r, "--root") : 0;
}

static int apply(struct oci *o, const struct global_options *g, struct err *err)
{
	int r = apply_log(o, g, err); /* first: it says where the other complaints go */
	r = r < 0 ? r : apply_cgroup_manager(o, g, err);
	r = r < 0 ? r : apply_rootless(o, g, err);
	return r < 0 ? r : apply_root(o, g, err);
}

/* Three lines of these shapes: go-runc, dockerd and Podman parse them. */
static void print_version(void)
{
	(void) printf("coffer-oci version " COFFER_VERSION "\ncommit: v" COFFER_VERSION "\nspec: 1.3.0\n");
	(void) fflush(stdout);
}

static int unknown_command(const char *name, struct err *err)
{
	struct suggest s;
	suggest_init(&s, name, strlen(name));
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		suggest_offer(&s, commands[i]->name);
	const char *near = suggest_best(&s);
	if (str_eq(name, "checkpoint") || str_eq(name, "restore"))
		return err_set(err, ERR_UNSUPPORTED, "'%s' is not supported: there is no checkpointing", name);
	return err_set(err, ERR_INVALID, "unknown command '%.80s'%s%s%s: see coffer-oci --help", name, near ? ", did you mean '" : "", near ?: "",
		       near ? "'?" : "");
}

static int run_command(struct oci *o, const struct oci_command *c, int argc, char **argv, struct err *err)
{
	static const struct flag_table none;
	o->fail_code = c->fail_code ?: o->fail_code;
	const struct flag_table *tables[] = {c->flags ?: &none, NULL};
	_cleanup_free_ const char **args = calloc((size_t) argc + 1, sizeof(*args));
	_cleanup_free_ void *options = calloc(1, c->options_size ?: 1);
	size_t n = 0;
	if (!args || !options)
		return err_oom(err);
	int r = flag_parse(tables, argc, argv, c->mode & OCI_STRICT_ORDER ? 0 : FLAG_INTERSPERSED, options, args, &n, err);
	if (r == FLAG_HELP) {
		oci_help_command(c);
		r = 0;
	} else if (r == 0 && (n < c->min_args || n > c->max_args)) {
		r = err_set(err, ERR_INVALID, "%s: %s: usage: coffer-oci %s %s", c->name, n < c->min_args ? "an argument is missing" : "too many arguments", c->name, c->usage);
	} else if (r == 0) {
		r = c->run(o, options, args, n, err);
	} else {
		(void) err_wrap(err, "%s", c->name);
	}
	flag_release(tables, options);
	return r;
}

static int dispatch(struct oci *o, int argc, char **argv, struct err *err)
{
	struct global_options g = {};
	static const struct flag_table *const tables[] = {&oci_global_flags, NULL};
	_cleanup_free_ const char **args = calloc((size_t) argc + 1, sizeof(*args));
	size_t n = 0;
	if (!args)
		return err_oom(err);
	int r = flag_parse(tables, argc - 1, argv + 1, 0, &g, args, &n, err);
	if (r == FLAG_HELP || g.help || (r == 0 && !g.version && (n == 0 || str_eq(args[0], "help")))) {
		const struct oci_command *c = n > 1 ? oci_command_find(args[1]) : NULL;
		if (c)
			oci_help_command(c);
		else
			oci_help();
		return 0;
	}
	if (r == 0 && g.version) {
		print_version();
		return 0;
	}
	r = r < 0 ? r : apply(o, &g, err);
	if (r < 0)
		return r;
	const struct oci_command *c = oci_command_find(args[0]);
	if (!c) {
		o->fail_code = EXIT_UNKNOWN_COMMAND;
		return unknown_command(args[0], err);
	}
	return run_command(o, c, (int) n - 1, (char **) args + 1, err);
}

static int std_fds_open(struct err *err)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return err_sys(err, -errno, "/dev/null in place of closed descriptor %d", fd);
	return 0;
}

int oci_main(int argc, char **argv)
{
	struct oci o = {.sandbox_flags = SANDBOX_OBEY, .log_level = OCI_LOG_WARN, .fail_code = 1};
	struct err err = {};
	(void) signal(SIGCHLD, SIG_DFL); /* an ignored one would lose our children's statuses */
	(void) signal(SIGPIPE, SIG_IGN); /* init gets the default back */
	int r = std_fds_open(&err);
	r = r < 0 ? r : dispatch(&o, argc, argv, &err);
	if (r >= 0)
		return r;
	oci_fail(&o, err.msg);
	return o.fail_code;
}
