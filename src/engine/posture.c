/* SPDX-License-Identifier: Apache-2.0 */
/* The posture of a container: the sandbox reads it from the kernel (P9); the engine says which process, and what was asked for. */
#include "engine/internal.h"
#include "sandbox/posture.h"

#define CONFIG_MAX (8u << 20)

/* What the bundle asked for: only to name a profile behind a hash. */
static int asked_for(struct engine *e, const struct container *c, struct runtime_spec **ret, struct err *err)
{
	_cleanup_close_ int dir = bundle_open(e, c->id);
	if (dir < 0)
		return err_sys(err, dir, "opening the container's bundle");
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(dir, "config.json", CONFIG_MAX, &text);
	if (n < 0)
		return err_sys(err, (int) n, "reading the container's config.json");
	return runtime_spec_parse(text, (size_t) n, ret, err);
}

int engine_posture(struct engine *e, const struct caller *caller, const char *ref, struct json_writer *w, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_runtime_spec_ struct runtime_spec *spec = NULL;
	struct run_info run;
	char cgroup[MONITOR_PATH_MAX];
	int r = container_find(e, caller->tenant, ref, &c, err);
	r = r < 0 ? r : state_read(e, &c, /* locked= */ false, &run, err);
	if (r < 0)
		return r;
	if (run.state != RUN_RUNNING)
		return err_set(err, ERR_CONFLICT, "container %s is not running: there is nothing to read a posture from (coffer start %s)", ref, ref);
	r = asked_for(e, &c, &spec, err);
	if (r < 0)
		return r;
	cgroup_path_of(&c, cgroup);
	const struct posture_target t = {
		.pid = run.live.pid,
		.id = c.id,
		.name = c.name,
		.cgroup_path = cgroup,
		.seccomp_name = spec->coffer.seccomp_filter ? spec->coffer.seccomp_name : "unconfined",
		.seccomp_hash = spec->coffer.seccomp_hash,
		.runtime = runtime_is_foreign(c.req) ? c.req->runtime : NULL,
		.privileged = c.req->privileged,
		.landlock = spec->coffer.landlock,
	};
	return posture_read(&t, w, err);
}
