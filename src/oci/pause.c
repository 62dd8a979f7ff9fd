/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: the freezer. */
#include "oci/container.h"
#include "sandbox/cgroup_ops.h"

static int open_live(const struct oci *o, const char *id, struct container *c, struct err *err)
{
	int r = container_open(o, id, c, err);
	r = r < 0 ? r : container_lock(c, err);
	if (r < 0)
		return r;
	if (!*c->rec->cgroup_path)
		return err_set(err, ERR_UNSUPPORTED, "container '%s' has no cgroup of its own: it cannot be frozen", id);
	return 0;
}

static int run_pause(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = open_live(o, args[0], &c, err);
	if (r < 0)
		return r;
	enum status status = container_status(&c);
	if (status != STATUS_RUNNING && status != STATUS_CREATED)
		return err_set(err, ERR_CONFLICT, "cannot pause container '%s': it is not running but %s", c.id, status_name(status));
	return sandbox_pause(c.rec->cgroup_path, container_flags(&c), err);
}

static int run_resume(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = open_live(o, args[0], &c, err);
	if (r < 0)
		return r;
	int paused = sandbox_is_paused(c.rec->cgroup_path, container_flags(&c), err);
	if (paused < 0)
		return paused;
	if (!paused || container_status(&c) == STATUS_STOPPED)
		return err_set(err, ERR_CONFLICT, "cannot resume container '%s': it is not paused but %s", c.id, status_name(container_status(&c)));
	return sandbox_resume(c.rec->cgroup_path, container_flags(&c), err);
}

const struct oci_command oci_pause = {
	.name = "pause", .usage = "CONTAINER", .summary = "Freeze every process in a container", .examples = "  coffer-oci pause web",
	.min_args = 1, .max_args = 1, .run = run_pause,
};
const struct oci_command oci_resume = {
	.name = "resume", .usage = "CONTAINER", .summary = "Let a paused container go on", .examples = "  coffer-oci resume web",
	.min_args = 1, .max_args = 1, .run = run_resume,
};
