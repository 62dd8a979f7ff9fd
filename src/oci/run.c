/* SPDX-License-Identifier: Apache-2.0 */
/* run: create and start in one, and in the foreground also the wait and the delete. */
#include <errno.h>

#include "oci/create.h"
#include "oci/delete.h"
#include "oci/foreground.h"
#include "oci/notify.h"

static const struct flag rows[] = {
	CREATE_FLAGS,
	{"detach", 'd', FLAG_BOOL, offsetof(struct create_options, detach), NULL, "do not wait for the command"},
	{"keep", 0, FLAG_BOOL, offsetof(struct create_options, keep), NULL, "keep the container's state when the command has ended"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

/* Our own state of it goes; somebody else may have deleted it meanwhile. */
static void forget(const struct oci *o, struct created *c)
{
	struct err why = {};
	int r = container_lock(&c->c, &why);
	r = r < 0 ? r : delete_locked(o, &c->c, c->spec, &why);
	if (r < 0 && why.kind != ERR_NOT_FOUND)
		oci_fail(o, why.msg); /* the command's exit code says more than ours would */
}

static int run_run(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct create_options *opt = options;
	_cleanup_created_ struct created c = CREATED_INIT;
	_cleanup_signals_ struct signals signals = SIGNALS_INIT;
	int r = opt->detach ? 0 : signals_open(&signals, SIGNALS_PROXY);
	if (r < 0)
		return err_sys(err, r, "signals");
	r = create_container(o, args[0], opt, opt->detach ? CREATE_DETACHED : CREATE_FOREGROUND, &c, err);
	if (r < 0)
		return r;
	container_poststart(o, &c.c, c.spec);
	container_unlock(&c.c);
	if (opt->detach) {
		created_unblock(&c);
		return c.notify < 0 ? 0 : notify_wait(c.notify, c.started.init.fd, c.started.init.pid, err);
	}
	const struct foreground_fds fds = {.master = opt->console_socket ? -EBADF : c.started.console_fd, .notify = c.notify};
	int code = foreground_wait(o, &c.started.init, &fds, &signals, err);
	if (code >= 0 && !opt->keep)
		forget(o, &c);
	return code;
}

const struct oci_command oci_run = {
	.name = "run", .usage = "[OPTIONS] CONTAINER", .summary = "Make a container from a bundle and run its command",
	.examples = "  coffer-oci run --bundle box web\n  coffer-oci run -d --bundle box --pid-file box.pid web", .flags = &flags,
	.options_size = sizeof(struct create_options), .min_args = 1, .max_args = 1, .run = run_run,
};
