/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "kernel/cgroup.h"
#include "sandbox/sandbox.h"

int sandbox_cleanup(const char *cgroup_path, struct err *err)
{
	int r = cgroup_remove(cgroup_path);
	return r < 0 ? err_sys(err, r, "removing cgroup '%s'", cgroup_path) : 0;
}

int sandbox_oom_killed(const char *cgroup_path)
{
	struct cgroup cg;
	uint64_t kills;
	int r = cgroup_open(&cg, cgroup_path);
	if (r < 0)
		return r;
	r = cgroup_oom_count(&cg, &kills);
	cgroup_done(&cg);
	return r < 0 ? r : kills > 0;
}
