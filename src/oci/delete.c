/* SPDX-License-Identifier: Apache-2.0 */
/* delete: what create made is taken away, in an order that can be repeated after a failure: the directory goes last. */
#include "oci/delete.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fd.h"
#include "oci/each.h"
#include "sandbox/cgroup_ops.h"

#define KILL_WAIT_MS 10000 /* a process in uninterruptible sleep is waited for no longer */

struct delete_options {
	bool force, regex;
};

static const struct flag rows[] = {
	{"force", 'f', FLAG_BOOL, offsetof(struct delete_options, force), NULL, "kill the container (SIGKILL) if it runs; a missing one is no error"},
	{"regex", 'r', FLAG_BOOL, offsetof(struct delete_options, regex), NULL, "CONTAINER is a regular expression: delete all that match"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

int delete_locked(const struct oci *o, struct container *c, const struct runtime_spec *spec, struct err *err)
{
	_cleanup_runtime_spec_ struct runtime_spec *own = NULL;
	struct err why;
	if (c->rec->has_poststop && !spec) {
		if (container_config(c, &own, &why) < 0)
			oci_log(o, OCI_LOG_WARN, "poststop hooks are not run: %s", why.msg);
		spec = own;
	}
	int r = *c->rec->cgroup_path ? sandbox_remove(c->rec->cgroup_path, container_flags(c), err) : 0;
	r = r < 0 ? r : container_forget(c, err);
	if (r == 0 && spec && c->rec->has_poststop && container_hooks(c, spec, HOOK_POSTSTOP, STATUS_STOPPED, &why) < 0)
		oci_log(o, OCI_LOG_WARN, "%s, ignoring", why.msg);
	return r;
}

/* SIGKILL to all, and the end of init waited for. */
static int stop_hard(const struct container *c, struct err *err)
{
	if (*c->rec->cgroup_path) {
		struct err ignored;
		(void) sandbox_kill_all(c->rec->cgroup_path, container_flags(c), SIGKILL, &ignored); /* a frozen one too; init is asked by pidfd below */
	}
	_cleanup_close_ int pidfd = container_pidfd(c);
	if (pidfd == -ESRCH)
		return 0;
	int r = pidfd < 0 ? pidfd : process_kill(pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return err_sys(err, r, "container '%s': killing process %d", c->id, (int) c->rec->pid);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	for (usec_t end = now_usec() + KILL_WAIT_MS * USEC_PER_MSEC;;) {
		usec_t now = now_usec();
		int n = now < end ? poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) : 0;
		if (n > 0)
			return 0;
		if (n == 0)
			return err_set(err, ERR_SYSTEM, "container '%s': process %d is still there %d s after SIGKILL", c->id, (int) c->rec->pid, KILL_WAIT_MS / 1000);
		if (errno != EINTR)
			return err_sys(err, -errno, "poll");
	}
}

static int delete_one(const struct oci *o, const char *id, void *ctx, struct err *err)
{
	const struct delete_options *opt = ctx;
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = opt->force ? container_open_any(o, id, &c, err) : container_open(o, id, &c, err);
	/* before the lock too: a start that waits for a hook holds it until init is gone */
	if (r == 0 && opt->force && c.rec && container_status(&c) != STATUS_STOPPED)
		r = stop_hard(&c, err);
	r = r < 0 ? r : container_lock(&c, err);
	if (r < 0)
		return opt->force && err->kind == ERR_NOT_FOUND ? 0 : r;
	if (!c.rec) {
		/* its create had the lock until now: has it ended well, or was it killed? */
		(void) container_done(&c);
		r = container_open_any(o, id, &c, err);
		r = r < 0 ? r : container_lock(&c, err);
		if (r < 0)
			return err->kind == ERR_NOT_FOUND ? 0 : r;
		if (!c.rec)
			return container_clear(o, &c, err);
	}
	enum status status = container_status(&c);
	if (status != STATUS_STOPPED && !opt->force)
		return err_set(err, ERR_CONFLICT, "cannot delete container '%s' that is not stopped: %s (kill it first, or use --force)", id, status_name(status));
	r = status == STATUS_STOPPED ? 0 : stop_hard(&c, err);
	return r < 0 ? r : delete_locked(o, &c, NULL, err);
}

static int run_delete(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	struct delete_options *opt = options;
	return opt->regex ? each_match(o, args[0], delete_one, opt, err) : delete_one(o, args[0], opt, err);
}

const struct oci_command oci_delete = {
	.name = "delete", .usage = "[OPTIONS] CONTAINER", .summary = "Delete a stopped container and what it holds",
	.examples = "  coffer-oci delete web\n  coffer-oci delete --force web\n  coffer-oci delete --regex '^ci-'", .flags = &flags,
	.options_size = sizeof(struct delete_options), .min_args = 1, .max_args = 1, .run = run_delete,
};
