/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/create.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "oci/console.h"
#include "oci/foreground.h"
#include "oci/notify.h"
#include "oci/preserve.h"
#include "sandbox/cgroup_ops.h"

#define CONFIG_BYTES_MAX (8u << 20)

/* What is gathered before anything is made. */
struct plan {
	const struct create_options *opt;
	enum create_how how;
	char bundle[PATH_MAX];
	int bundle_fd; /* owned */
	char *text;    /* owned; the document */
	size_t len;
	unsigned preserve, listen;
	int console;   /* owned; connected socket, -EBADF: none */
};

static void plan_done(struct plan *p)
{
	p->bundle_fd = safe_close(p->bundle_fd);
	p->console = safe_close(p->console);
	free(p->text);
}

static int open_bundle(struct plan *p, struct err *err)
{
	const char *path = p->opt->bundle ?: ".";
	char link[40];
	p->bundle_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->bundle_fd < 0)
		return err_sys(err, -errno, "--bundle '%s'", path);
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", p->bundle_fd);
	ssize_t n = readlink(link, p->bundle, sizeof(p->bundle));
	if (n < 0 || (size_t) n >= sizeof(p->bundle))
		return err_sys(err, n < 0 ? -errno : -ENAMETOOLONG, "--bundle '%s'", path);
	p->bundle[n] = '\0';
	return 0;
}

static int read_document(struct plan *p, struct runtime_spec **ret, struct err *err)
{
	/* --config counts from the current directory when it says where, from the bundle when it is a name: crun's way and runc's */
	const char *file = p->opt->config ?: "config.json";
	ssize_t n = read_file(strchr(file, '/') ? AT_FDCWD : p->bundle_fd, file, CONFIG_BYTES_MAX, &p->text);
	if (n < 0)
		return err_sys(err, (int) n, "bundle '%s': reading '%s'", p->bundle, file);
	p->len = (size_t) n;
	int r = runtime_spec_parse(p->text, p->len, ret, err);
	if (r == 0 && !(*ret)->process.args)
		return err_set(err, ERR_INVALID, "config.json: process: args: nothing to run");
	return r;
}

static int gather(struct plan *p, struct created *c, struct err *err)
{
	int r = preserve_fds(p->opt->preserve_fds, &p->preserve, &p->listen, err);
	r = r < 0 ? r : open_bundle(p, err);
	r = r < 0 ? r : read_document(p, &c->spec, err);
	r = r < 0 ? r : sandbox_seal(c->spec, err);
	r = r < 0 ? r : console_check(c->spec->process.terminal, p->how != CREATE_FOREGROUND, p->opt->console_socket, err);
	r = r < 0 ? r : preserve_environment(&c->spec->process, p->listen, err);
	if (r == 0 && p->how == CREATE_FOREGROUND)
		foreground_size(&c->spec->process);
	if (r == 0 && p->opt->console_socket) {
		p->console = console_connect(p->opt->console_socket, err);
		r = p->console < 0 ? p->console : 0;
	}
	return r;
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void block(struct created *c)
{
	sigset_t set;
	(void) sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void) sigaddset(&set, ending[i]);
	c->blocked = sigprocmask(SIG_BLOCK, &set, &c->before) == 0;
}

void created_unblock(struct created *c)
{
	if (c->blocked)
		(void) sigprocmask(SIG_SETMASK, &c->before, NULL);
	c->blocked = false;
}

static int interrupted(struct err *err)
{
	sigset_t set;
	(void) sigpending(&set);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		if (sigismember(&set, ending[i]) == 1)
			return err_set(err, ERR_SYSTEM, "interrupted by SIG%s", sigabbrev_np(ending[i]));
	return 0;
}

static int save_config(const struct container *c, const struct plan *p, struct err *err)
{
	_cleanup_close_ int fd = openat(c->dir, CONTAINER_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, p->text, p->len);
	return r < 0 ? err_sys(err, r, "container '%s': copying config.json", c->id) : 0;
}

static int listen_for_start(const struct container *c, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void) snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" CONTAINER_START, c->dir); /* --root may be longer than an address */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		return err_sys(err, -errno, "container '%s': making its start socket", c->id);
	return take_fd(&fd);
}

static int start(const struct oci *o, const struct plan *p, struct created *c, struct err *err)
{
	_cleanup_close_ int start_fd = p->how == CREATE_WAITING ? listen_for_start(&c->c, err) : -EBADF;
	if (p->how == CREATE_WAITING && start_fd < 0)
		return start_fd;
	const struct sandbox_args a = {
		.bundle_fd = p->bundle_fd,
		.spec = c->spec,
		.flags = o->sandbox_flags | (p->opt->no_pivot ? SANDBOX_NO_PIVOT : 0) | (p->opt->no_new_keyring ? SANDBOX_KEEP_KEYRING : 0),
		.id = c->c.id,
		.bundle = p->bundle,
		.start_fd = take_fd(&start_fd),
		.lock_fd = c->c.dir,
		.preserve_fds = p->preserve,
		.report_fd = -EBADF,
		.stdio = {-EBADF, -EBADF, -EBADF},
		.fail_step = getenv("COFFER_FAIL_STEP"),
	};
	return sandbox_start(&a, &c->started, err);
}

static int fill_record(const struct plan *p, const struct created *c, struct record *rec, struct err *err)
{
	const struct runtime_spec *s = c->spec;
	const char *root = s->root_path ?: "";
	rec->oci_version = strdup(s->version);
	rec->id = strdup(c->c.id);
	rec->bundle = strdup(p->bundle);
	rec->rootfs = root[0] == '/' ? strdup(root) : str_printf("%s/%s", p->bundle, root);
	rec->cgroup_path = strdup(c->started.cgroup_path);
	if (!rec->oci_version || !rec->id || !rec->bundle || !rec->rootfs || !rec->cgroup_path)
		return err_oom(err);
	for (size_t i = 0; i < s->n_annotations; i++)
		if (keyval_add(&rec->annotations, &rec->n_annotations, s->annotations[i].key, s->annotations[i].value) < 0)
			return err_oom(err);
	rec->pid = c->started.init.pid;
	rec->created_ns = now_ns();
	rec->owner = geteuid();
	rec->systemd_cgroup = c->started.systemd;
	rec->private_pids = s->ns[NS_PID].mode == NS_MODE_NEW;
	rec->has_poststart = s->hooks[HOOK_POSTSTART].n > 0;
	rec->has_poststop = s->hooks[HOOK_POSTSTOP].n > 0;
	int r = proc_start_ticks(rec->pid, &rec->start_ticks); /* ours and unreaped: it is there, if only as a zombie */
	return r < 0 ? err_sys(err, r, "process %d", (int) rec->pid) : 0;
}

static int save(const struct plan *p, struct created *c, struct err *err)
{
	c->c.rec = calloc(1, sizeof(*c->c.rec));
	if (!c->c.rec)
		return err_oom(err);
	int r = fill_record(p, c, c->c.rec, err);
	if (r == 0 && p->console >= 0)
		r = console_send(p->console, c->started.console_fd, err);
	if (r == 0 && p->opt->pid_file)
		r = pid_file_write(p->opt->pid_file, c->started.init.pid, err);
	r = r < 0 ? r : container_save(&c->c, err);
	return r < 0 || p->how == CREATE_FOREGROUND ? r : interrupted(err);
}

int pid_file_write(const char *path, pid_t pid, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int) pid); /* no line's end: conmon and containerd read it as it is */
	int r = write_file_atomic(AT_FDCWD, path, text, (size_t) n, 0644);
	return r < 0 ? err_sys(err, r, "--pid-file '%s'", path) : 0;
}

/* Everything back, the first error stays the one that is told. */
static void undo(const struct plan *p, struct created *c)
{
	struct err ignored;
	int status;
	if (c->started.init.pid > 0) {
		(void) kill(c->started.init.pid, SIGKILL); /* our own child, not reaped: the pid is certain */
		(void) process_wait(c->started.init.pid, &status);
		if (p->opt->pid_file)
			(void) unlink(p->opt->pid_file); /* it would name nobody, or somebody else soon */
	}
	if (*c->started.cgroup_path)
		(void) sandbox_remove(c->started.cgroup_path, c->started.systemd ? SANDBOX_SYSTEMD_CGROUP : 0, &ignored);
	(void) container_forget(&c->c, &ignored);
}

static int offer_notify(const struct oci *o, struct created *c, enum create_how how, struct err *err)
{
	if (!notify_wanted())
		return 0;
	int r = notify_prepare(o, &c->c, c->spec, err);
	if (r < 0 || how == CREATE_WAITING)
		return r;
	c->notify = notify_listen(&c->c, err);
	return MIN(c->notify, 0);
}

int create_container(const struct oci *o, const char *id, const struct create_options *opt, enum create_how how, struct created *ret, struct err *err)
{
	_cleanup_(plan_done) struct plan p = {.opt = opt, .how = how, .bundle_fd = -EBADF, .console = -EBADF};
	int r = gather(&p, ret, err);
	if (r < 0)
		return r;
	oci_warn_ungranted(o, &ret->spec->process, ret->spec->ns[NS_USER].mode != NS_MODE_HOST);
	STRV_FOREACH(warning, ret->spec->process.warnings)
		oci_log(o, OCI_LOG_WARN, "config.json: %s", warning);
	block(ret);
	r = container_create(o, id, &ret->c, err);
	if (r < 0)
		return r;
	r = save_config(&ret->c, &p, err);
	r = r < 0 ? r : offer_notify(o, ret, how, err);
	r = r < 0 ? r : start(o, &p, ret, err);
	r = r < 0 ? r : save(&p, ret, err);
	r = r < 0 ? r : sandbox_proceed(&ret->started, err);
	if (r < 0)
		undo(&p, ret);
	return r;
}

void created_done(struct created *c)
{
	container_done(&c->c);
	sandbox_started_done(&c->started);
	c->notify = safe_close(c->notify);
	c->spec = runtime_spec_free(c->spec);
	created_unblock(c); /* last: a signal that waited may end us here, with everything in order */
}

static const struct flag rows[] = {CREATE_FLAGS};
static const struct flag_table flags = FLAG_TABLE(rows);

static int run_create(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_created_ struct created c = CREATED_INIT;
	return create_container(o, args[0], options, CREATE_WAITING, &c, err);
}

const struct oci_command oci_create = {
	.name = "create", .usage = "[OPTIONS] CONTAINER", .summary = "Make a container from a bundle; its command waits for start",
	.examples = "  coffer-oci create --bundle box --pid-file box.pid web\n  coffer-oci start web", .flags = &flags,
	.options_size = sizeof(struct create_options), .min_args = 1, .max_args = 1, .run = run_create,
};
