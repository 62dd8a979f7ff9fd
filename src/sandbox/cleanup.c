/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/num.h"
#include "base/str.h"
#include "kernel/cgroup.h"
#include "sandbox/sandbox.h"

int sandbox_cleanup(const char *cgroup_path, struct err *err)
{
	int r = cgroup_remove(cgroup_path + strspn(cgroup_path, "/"));
	return r < 0 ? err_sys(err, r, "removing cgroup '%s'", cgroup_path) : 0;
}

/* "oom_kill N": memory.events on v2 (4.13), memory.oom_control on v1 (4.13). */
int sandbox_oom_killed(const char *cgroup_path)
{
	struct cgroup cg;
	int r = cgroup_open(&cg, cgroup_path + strspn(cgroup_path, "/"));
	if (r < 0)
		return r;
	char text[1024];
	r = cgroup_read(&cg, CG_MEMORY, "memory.oom_control", "memory.events", text, sizeof(text));
	cgroup_done(&cg);
	if (r < 0)
		return r;
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *n = str_after(line, "oom_kill ");
		uint64_t v;
		if (!n)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return parse_u64(n, &v) == 0 && v > 0;
	}
	return 0;
}
