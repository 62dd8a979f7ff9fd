/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: one more process in a running container. It is described by a document (--process), or it is the container's own process with another
 * command and what the options change of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/num.h"
#include "oci/console.h"
#include "oci/create.h"
#include "oci/foreground.h"
#include "oci/preserve.h"

#define PROCESS_BYTES_MAX (4u << 20)
#define EXIT_EXEC_FAILED 255 /* as runc: below it are exit codes of the command */
#define GROUPS_MAX 4096

struct exec_options {
	const char *console_socket, *cwd, *user, *process, *pid_file, *process_label, *apparmor, *cgroup;
	char **env, **groups, **caps; /* owned */
	int64_t preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused, no_subreaper;
};

#define F(field) offsetof(struct exec_options, field)
static const struct flag rows[] = {
	{"process", 'p', FLAG_STR, F(process), "FILE", "read the process from a document (config.json's \"process\")"},
	{"detach", 'd', FLAG_BOOL, F(detach), NULL, "do not wait for the command"},
	{"tty", 't', FLAG_BOOL, F(tty), NULL, "give it a terminal"},
	{"cwd", 0, FLAG_STR, F(cwd), "DIR", "working directory in the container"},
	{"env", 'e', FLAG_LIST, F(env), "KEY=VALUE", "set an environment variable"},
	{"user", 'u', FLAG_STR, F(user), "UID[:GID]", "user and group by number"},
	{"additional-gids", 'g', FLAG_LIST, F(groups), "GID", "one more group"},
	{"cap", 'c', FLAG_LIST, F(caps), "CAP", "one more capability"},
	{"no-new-privs", 0, FLAG_BOOL, F(no_new_privs), NULL, "set no_new_privs"},
	{"apparmor", 0, FLAG_STR, F(apparmor), "PROFILE", "AppArmor profile"},
	{"process-label", 0, FLAG_STR, F(process_label), "LABEL", "SELinux label"},
	{"cgroup", 0, FLAG_STR, F(cgroup), "PATH", "a cgroup below the container's to run in; it has to exist"},
	{"pid-file", 0, FLAG_STR, F(pid_file), "FILE", "write the command's pid there"},
	{"console-socket", 0, FLAG_STR, F(console_socket), "PATH", "unix socket that gets the terminal's master side"},
	{"preserve-fds", 0, FLAG_INT, F(preserve_fds), "N", "hand N more descriptors, from 3 on, to the command"},
	{"ignore-paused", 0, FLAG_BOOL, F(ignore_paused), NULL, "also into a paused container: the command waits with it"},
	{"no-subreaper", 0, FLAG_BOOL, F(no_subreaper), NULL, NULL},
};
#undef F
static const struct flag_table flags = FLAG_TABLE(rows);

/* The process from --process FILE, read as the engine's exec documents are. */
static int from_document(const char *file, struct process_spec *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strbuf_ struct strbuf doc = STRBUF_INIT(PROCESS_BYTES_MAX + 64);
	struct coffer_ext ext = {};
	ssize_t n = read_file(AT_FDCWD, file, PROCESS_BYTES_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "--process '%s'", file);
	strbuf_adds(&doc, "{\"process\":");
	strbuf_add(&doc, text, (size_t) n);
	strbuf_addc(&doc, '}');
	int r = strbuf_err(&doc);
	r = r < 0 ? err_sys(err, r, "--process '%s'", file) : exec_spec_parse(doc.s, doc.len, ret, &ext, err);
	coffer_ext_done(&ext);
	return r < 0 && err->kind != ERR_SYSTEM ? err_wrap(err, "--process '%s'", file) : r;
}

static int set_text(char **field, const char *value, struct err *err)
{
	if (!value)
		return 0;
	free(*field);
	*field = strdup(value);
	return *field ? 0 : err_oom(err);
}

/* KEY=VALUE takes the place of an earlier KEY: getenv(3) finds the first. */
static int set_env(char ***env, const char *entry, struct err *err)
{
	const char *eq = strchr(entry, '=');
	if (!eq || eq == entry)
		return err_set(err, ERR_INVALID, "--env: '%.80s' is not KEY=VALUE", entry);
	for (char **v = *env; v && *v; v++)
		if (strncmp(*v, entry, (size_t) (eq - entry) + 1) == 0)
			return set_text(v, entry, err);
	return strv_push(env, entry) < 0 ? err_oom(err) : 0;
}

static int set_user(struct process_spec *p, const char *user, struct err *err)
{
	char uid[16];
	size_t n = strcspn(user, ":");
	if (str_format(uid, sizeof(uid), "%.*s", (int) MIN(n, (size_t) 20), user) < 0 || parse_u32(uid, &p->uid) < 0 || p->uid == UINT32_MAX ||
	    (user[n] && (parse_u32(user + n + 1, &p->gid) < 0 || p->gid == UINT32_MAX)))
		return err_set(err, ERR_INVALID, "--user: '%.80s' is not UID[:GID] in numbers", user);
	return 0;
}

static int add_groups(struct process_spec *p, char **groups, struct err *err)
{
	STRV_FOREACH(g, groups) {
		uint32_t *v = realloc(p->groups, (p->n_groups + 1) * sizeof(*v));
		if (!v)
			return err_oom(err);
		p->groups = v;
		if (parse_u32(g, &v[p->n_groups]) < 0 || v[p->n_groups] == UINT32_MAX || p->n_groups == GROUPS_MAX)
			return err_set(err, ERR_INVALID, "--additional-gids: '%.80s' is not a group's number", g);
		p->n_groups++;
	}
	return 0;
}

static int add_caps(struct process_spec *p, char **caps, struct err *err)
{
	STRV_FOREACH(name, caps) {
		int cap = cap_from_name(name);
		if (cap < 0)
			return err_set(err, ERR_INVALID, "--cap: unknown capability '%.80s'", name);
		uint64_t bit = UINT64_C(1) << cap;
		p->has_caps = true;
		p->caps.bounding |= bit;
		p->caps.permitted |= bit;
		p->caps.effective |= bit;
	}
	return 0;
}

/* @p is the container's own process. */
static int from_options(const struct exec_options *opt, const char **args, size_t n, struct process_spec *p, struct err *err)
{
	p->args = strv_free(p->args);
	for (size_t i = 0; i < n; i++)
		if (strv_push(&p->args, args[i]) < 0)
			return err_oom(err);
	p->terminal = opt->tty;
	p->no_new_privileges |= opt->no_new_privs;
	int r = set_text(&p->cwd, opt->cwd, err);
	r = r < 0 ? r : set_text(&p->apparmor_profile, opt->apparmor, err);
	r = r < 0 ? r : set_text(&p->selinux_label, opt->process_label, err);
	r = r < 0 || !opt->user ? r : set_user(p, opt->user, err);
	r = r < 0 ? r : add_groups(p, opt->groups, err);
	r = r < 0 ? r : add_caps(p, opt->caps, err);
	STRV_FOREACH(e, opt->env)
		r = r < 0 ? r : set_env(&p->env, e, err);
	if (r == 0 && (!p->cwd || p->cwd[0] != '/'))
		return err_set(err, ERR_INVALID, "--cwd: '%.200s' is not an absolute path", p->cwd ?: "");
	return r;
}

static int check_status(const struct container *c, const struct exec_options *opt, struct err *err)
{
	enum status status = container_status(c);
	if (status == STATUS_STOPPED)
		return err_set(err, ERR_CONFLICT, "cannot exec in container '%s': it has stopped", c->id);
	if (status == STATUS_PAUSED && !opt->ignore_paused)
		return err_set(err, ERR_CONFLICT, "cannot exec in container '%s': it is paused (resume it first, or use --ignore-paused)", c->id);
	return 0;
}

/* [CONTROLLER:]PATH below each of the container's cgroups. */
static int sub_cgroup(const struct container *c, const char *sub, char *buf, size_t size, struct err *err)
{
	const char *path = strchr(sub, ':') ? strchr(sub, ':') + 1 : sub;
	if (path != sub && *sub != ':')
		return err_set(err, ERR_UNSUPPORTED, "--cgroup '%.200s': one controller alone cannot be chosen: leave '%.*s' away", sub, (int) (path - sub), sub);
	path += strspn(path, "/");
	if (strstr(path, "..") || !*c->rec->cgroup_path || strchr(c->rec->cgroup_path, '\n'))
		return err_set(err, ERR_INVALID, "--cgroup '%.200s': not a cgroup below the container's", sub);
	int r = str_format(buf, size, "%s/%s", c->rec->cgroup_path, path);
	return r < 0 ? err_sys(err, r, "--cgroup '%.200s'", sub) : 0;
}

struct exec_run {
	const struct oci *o;
	const struct exec_options *opt;
	struct container c;
	struct runtime_spec *spec;   /* owned */
	struct process_spec process; /* owned; only with --process */
	struct process_spec *p;      /* borrowed; the one to run */
	unsigned preserve;
	struct sandbox_started started;
};

static void exec_run_done(struct exec_run *x)
{
	container_done(&x->c);
	process_spec_done(&x->process);
	x->spec = runtime_spec_free(x->spec);
	sandbox_started_done(&x->started);
}

static int describe(struct exec_run *x, const char **args, size_t n, struct err *err)
{
	const struct exec_options *opt = x->opt;
	unsigned listen = 0;
	int r = preserve_fds(opt->preserve_fds, &x->preserve, &listen, err);
	r = r < 0 ? r : container_open(x->o, args[0], &x->c, err);
	r = r < 0 ? r : check_status(&x->c, opt, err);
	r = r < 0 ? r : container_config(&x->c, &x->spec, err);
	r = r < 0 ? r : sandbox_seal(x->spec, err);
	if (r < 0)
		return r;
	x->p = opt->process ? &x->process : &x->spec->process;
	r = opt->process ? from_document(opt->process, &x->process, err) : from_options(opt, args + 1, n - 1, x->p, err);
	oci_warn_ungranted(x->o, x->p, x->spec->ns[NS_USER].mode != NS_MODE_HOST);
	STRV_FOREACH(warning, x->process.warnings)
		oci_log(x->o, OCI_LOG_WARN, "--process: %s", warning);
	r = r < 0 ? r : preserve_environment(x->p, listen, err);
	if (r == 0 && !opt->detach)
		foreground_size(x->p);
	return r < 0 ? r : console_check(x->p->terminal, opt->detach, opt->console_socket, err);
}

static int start(struct exec_run *x, struct err *err)
{
	char cgroup[PATH_MAX];
	_cleanup_close_ int pidfd = container_pidfd(&x->c);
	_cleanup_close_ int bundle = open(x->c.rec->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pidfd < 0)
		return err_set(err, ERR_CONFLICT, "cannot exec in container '%s': it has stopped", x->c.id);
	int r = x->opt->cgroup ? sub_cgroup(&x->c, x->opt->cgroup, cgroup, sizeof(cgroup), err) : str_copy(cgroup, sizeof(cgroup), x->c.rec->cgroup_path);
	if (r < 0)
		return x->opt->cgroup ? r : err_sys(err, r, "cgroup");
	const struct sandbox_exec_args a = {
		.bundle_fd = bundle, /* nothing is read from it: it may be gone */
		.spec = x->spec,
		.process = x->p,
		.id = x->c.id,
		.bundle = x->c.rec->bundle,
		.flags = container_flags(&x->c) | (x->o->sandbox_flags & SANDBOX_ROOTLESS),
		.cgroup_path = cgroup,
		.preserve_fds = x->preserve,
		.pidfd = pidfd,
		.pid = x->c.rec->pid,
		.report_fd = -EBADF,
		.stdio = {-EBADF, -EBADF, -EBADF},
		.fail_step = getenv("COFFER_FAIL_STEP"),
	};
	return sandbox_exec_start(&a, &x->started, err);
}

static int finish(struct exec_run *x, int console, struct signals *signals, struct err *err)
{
	int r = console >= 0 ? console_send(console, x->started.console_fd, err) : 0;
	if (r == 0 && x->opt->pid_file)
		r = pid_file_write(x->opt->pid_file, x->started.init.pid, err);
	if (r < 0)
		(void) process_kill(x->started.init.fd, SIGKILL); /* nobody would know of it */
	if (r < 0 || x->opt->detach)
		return r;
	const struct foreground_fds fds = {.master = console >= 0 ? -EBADF : x->started.console_fd, .notify = -EBADF};
	return foreground_wait(x->o, &x->started.init, &fds, signals, err);
}

static int run_exec(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct exec_options *opt = options;
	_cleanup_(exec_run_done) struct exec_run x = {.o = o, .opt = opt, .c = CONTAINER_INIT, .started = {.init = PIDREF_NULL, .wait_fd = -EBADF, .console_fd = -EBADF}};
	_cleanup_signals_ struct signals signals = SIGNALS_INIT;
	_cleanup_close_ int console = -EBADF;
	if (n < 2 && !opt->process)
		return err_set(err, ERR_INVALID, "exec: no command: usage: coffer-oci exec %s", oci_exec.usage);
	int r = describe(&x, args, n, err);
	if (r == 0 && opt->console_socket) {
		console = console_connect(opt->console_socket, err);
		r = MIN(console, 0);
	}
	if (r == 0 && !opt->detach) {
		r = signals_open(&signals, SIGNALS_PROXY);
		r = r < 0 ? err_sys(err, r, "signals") : 0;
	}
	r = r < 0 ? r : start(&x, err);
	return r < 0 ? r : finish(&x, console, &signals, err);
}

const struct oci_command oci_exec = {
	.name = "exec", .usage = "[OPTIONS] CONTAINER COMMAND [ARG...] | --process FILE CONTAINER", .summary = "Run one more command in a container",
	.examples = "  coffer-oci exec web ps\n  coffer-oci exec -t -e TERM=xterm -u 1000:1000 web sh\n  coffer-oci exec -d --pid-file p --process process.json web",
	.flags = &flags, .options_size = sizeof(struct exec_options), .mode = OCI_STRICT_ORDER, .fail_code = EXIT_EXEC_FAILED, .min_args = 1,
	.max_args = OCI_ARGS_ANY, .run = run_exec,
};
