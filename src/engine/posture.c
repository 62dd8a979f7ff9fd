/* SPDX-License-Identifier: Apache-2.0 */
/* The posture of a running container: found here, read by the sandbox room from the kernel (P9). */
#include "sandbox/posture.h"

#include <errno.h>

#include "engine/internal.h"

int engine_posture(struct engine *e, const struct caller *caller, const char *ref, struct json_writer *w, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct run_info info;
	struct security sec;
	char cgroup[MONITOR_PATH_MAX], filter[MONITOR_PATH_MAX], profile[32], hash[65];
	int rc = container_find(e, caller->tenant, ref, &c, err);
	rc = rc < 0 ? rc : state_read(e, &c, /* locked= */ false, &info, err);
	if (rc < 0)
		return rc;
	if (info.state != RUN_RUNNING)
		return err_set(err, ERR_CONFLICT, "container %s is not running: there is nothing to read from the kernel", c.name);
	rc = security_parse(c.req, &sec, err);
	rc = rc < 0 ? rc : seccomp_prepare(e, c.req, filter, profile, sizeof(profile), hash, err);
	if (rc < 0)
		return rc;
	cgroup_path_of(&c, cgroup);
	struct posture_target t = {
		.pid = info.live.pid, .id = c.id, .name = c.name, .cgroup_path = cgroup, .seccomp_name = profile, .seccomp_hash = hash[0] ? hash : NULL,
		.privileged = c.req->privileged, .landlock = !sec.landlock_unconfined,
	};
	return posture_read(&t, w, err);
}
