/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor asks of its container's cgroup while it probes the container's health: is it frozen, and the end of one session in it. */
#include <signal.h>
#include <unistd.h>

#include "base/str.h"
#include "kernel/cgroup.h"
#include "sandbox/sandbox.h"

#define ROUNDS 5

int sandbox_frozen(const char *cgroup_path)
{
	struct cgroup cg;
	int r = cgroup_open(&cg, cgroup_path);
	if (r < 0)
		return r;
	r = cgroup_is_frozen(&cg);
	cgroup_done(&cg);
	return r;
}

/* Until a look finds nobody: one of them may have forked in between. */
void sandbox_kill_session(const char *cgroup_path, pid_t sid)
{
	struct cgroup cg;
	bool found = true;
	if (cgroup_open(&cg, cgroup_path) < 0)
		return;
	for (int i = 0; found && i < ROUNDS; i++) {
		_cleanup_free_ pid_t *pids = NULL;
		ssize_t n = cgroup_pids(&cg, &pids);
		found = false;
		for (ssize_t k = 0; k < n; k++)
			if (getsid(pids[k]) == sid)
				found |= kill(pids[k], SIGKILL) == 0;
	}
	cgroup_done(&cg);
}
