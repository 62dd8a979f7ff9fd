/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill: a signal to init, or to everything in the container. The messages are read by others: containerd takes "container not running" for a process
 * that has ended by itself, and "does not exist" for a container that is gone.
 */
#include <errno.h>
#include <signal.h>

#include "base/fd.h"
#include "base/signo.h"
#include "oci/container.h"
#include "oci/each.h"
#include "sandbox/cgroup_ops.h"

struct kill_options {
	bool all, regex;
};

static const struct flag rows[] = {
	{"all", 'a', FLAG_BOOL, offsetof(struct kill_options, all), NULL, "signal every process in the container"},
	{"regex", 'r', FLAG_BOOL, offsetof(struct kill_options, regex), NULL, "CONTAINER is a regular expression: signal all that match"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

struct kill_ctx {
	int sig;
	bool all;
};

static int kill_one(const struct oci *o, const char *id, void *ctx, struct err *err)
{
	const struct kill_ctx *k = ctx;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_open(o, id, &c, err);
	if (r < 0)
		return r;
	/* without a pid namespace the others outlive init: there SIGKILL means all of them, as with runc */
	bool all = k->all || (!c.rec->private_pids && k->sig == SIGKILL);
	if (all && *c.rec->cgroup_path)
		return sandbox_kill_all(c.rec->cgroup_path, container_flags(&c), k->sig, err);
	_cleanup_close_ int pidfd = container_pidfd(&c);
	if (pidfd < 0 && pidfd != -ESRCH)
		return err_sys(err, pidfd, "container '%s': opening process %d", id, (int) c.rec->pid);
	r = pidfd < 0 ? pidfd : process_kill(pidfd, k->sig);
	if (r == -ESRCH)
		return err_set(err, ERR_CONFLICT, "container not running: '%s' has stopped", id);
	if (r < 0)
		return err_sys(err, r, "container '%s': signal %d", id, k->sig);
	struct err ignored;
	if (k->sig == SIGKILL && *c.rec->cgroup_path)
		(void) sandbox_resume(c.rec->cgroup_path, container_flags(&c), &ignored); /* a frozen process of v1 dies when it thaws (freezer-subsystem.rst) */
	return 0;
}

static int run_kill(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct kill_options *opt = options;
	struct kill_ctx k = {.sig = SIGTERM, .all = opt->all};
	if (n > 1) {
		k.sig = signal_parse(args[1], err);
		if (k.sig < 0)
			return k.sig;
	}
	return opt->regex ? each_match(o, args[0], kill_one, &k, err) : kill_one(o, args[0], &k, err);
}

const struct oci_command oci_kill = {
	.name = "kill", .usage = "[OPTIONS] CONTAINER [SIGNAL]", .summary = "Send a signal (default TERM) to a container's first process",
	.examples = "  coffer-oci kill web\n  coffer-oci kill web SIGHUP\n  coffer-oci kill --all web 9", .flags = &flags,
	.options_size = sizeof(struct kill_options), .min_args = 1, .max_args = 2, .run = run_kill,
};
