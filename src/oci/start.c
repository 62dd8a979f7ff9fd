/* SPDX-License-Identifier: Apache-2.0 */
/* start: lets a created container's init go on to its command. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "oci/container.h"
#include "oci/notify.h"
#include "sandbox/sandbox.h"

static int take_socket(struct container *c, struct err *err)
{
	enum status status = container_status(c);
	if (status == STATUS_STOPPED)
		return err_set(err, ERR_CONFLICT, "cannot start container '%s': it has stopped", c->id);
	/* the name is the state: from here on the container counts as running, whatever happens to us */
	if (status == STATUS_CREATED && renameat(c->dir, CONTAINER_START, c->dir, CONTAINER_STARTED) == 0)
		return 0;
	if (status == STATUS_CREATED && errno != ENOENT)
		return err_sys(err, -errno, "container '%s': renaming its start socket", c->id);
	/* a start that was killed between the rename and its word to init: init still listens there */
	if (status == STATUS_RUNNING && faccessat(c->dir, CONTAINER_STARTED, F_OK, 0) == 0)
		return 1;
	return err_set(err, ERR_CONFLICT, "cannot start container '%s': it is %s already", c->id, status_name(status));
}

/* -EBADF: nobody is to be notified */
static int listen_for_ready(const struct oci *o, const struct container *c)
{
	struct err why = {};
	int fd = notify_wanted() ? notify_listen(c, &why) : -EBADF;
	if (fd < 0 && why.kind != ERR_NONE)
		oci_log(o, OCI_LOG_WARN, "%s, ignoring", why.msg);
	return fd < 0 ? -EBADF : fd;
}

static int run_start(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_open(o, args[0], &c, err);
	r = r < 0 ? r : container_lock(&c, err);
	r = r < 0 ? r : take_socket(&c, err);
	if (r < 0)
		return r;
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d/" CONTAINER_STARTED, c.dir); /* an address has room for 107 bytes only (unix(7)) */
	bool again = r > 0;
	_cleanup_close_ int notify = listen_for_ready(o, &c);
	r = sandbox_go(path, err);
	if (r < 0 && again && err->kind == ERR_NOT_FOUND)
		return err_set(err, ERR_CONFLICT, "cannot start container '%s': it is running already", c.id);
	if (r < 0)
		return err_wrap(err, "starting container '%s'", c.id);
	container_poststart(o, &c, NULL);
	if (notify < 0)
		return 0;
	container_unlock(&c);
	_cleanup_close_ int pidfd = container_pidfd(&c);
	return pidfd < 0 ? 0 : notify_wait(notify, pidfd, c.rec->pid, err);
}

const struct oci_command oci_start = {
	.name = "start", .usage = "CONTAINER", .summary = "Run the command of a created container",
	.examples = "  coffer-oci create -b box web && coffer-oci start web", .min_args = 1, .max_args = 1, .run = run_start,
};
