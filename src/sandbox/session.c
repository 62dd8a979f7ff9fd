/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor asks of its container's cgroup while it probes the container's health: is it frozen, and the end of one process there with all that it has started. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "kernel/cgroup.h"
#include "kernel/proc_stat.h"
#include "sandbox/sandbox.h"

#define ROUNDS 5

int sandbox_frozen(const char *cgroup_path)
{
	struct cgroup cg;
	int r = cgroup_open_one(&cg, cgroup_path, CG_FREEZER);
	if (r < 0)
		return r;
	r = cgroup_is_frozen(&cg);
	cgroup_done(&cg);
	return r;
}

struct member {
	pid_t pid, parent;
	bool marked;
};

/* The session of @leader, and who descends from it: another runtime may have made it no session of its own. */
static size_t mark(struct member *m, size_t n, pid_t leader)
{
	size_t marked = 0;
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			bool ours = m[i].pid == leader || getsid(m[i].pid) == leader;
			for (size_t k = 0; !ours && !m[i].marked && k < n; k++)
				ours = m[k].marked && m[k].pid == m[i].parent;
			if (ours && !m[i].marked) {
				m[i].marked = more = true;
				marked++;
			}
		}
	}
	return marked;
}

/* Return: how many were signalled. */
static size_t kill_once(const struct cgroup *cg, pid_t leader)
{
	_cleanup_free_ pid_t *pids = NULL;
	ssize_t n = cgroup_pids(cg, &pids);
	_cleanup_free_ struct member *m = n > 0 ? calloc((size_t) n, sizeof(*m)) : NULL;
	size_t have = 0, left;
	for (ssize_t i = 0; m && i < n; i++) {
		struct proc_stat st;
		if (proc_stat_read(pids[i], &st) >= 0 && st.state != 'Z')
			m[have++] = (struct member) {.pid = pids[i], .parent = (pid_t) st.ppid};
	}
	left = m ? mark(m, have, leader) : 0;
	for (size_t i = 0; i < have; i++)
		if (m[i].marked)
			(void) kill(m[i].pid, SIGKILL); /* gone already is as good */
	return left;
}

/* Until a look finds nobody: one of them may have forked in between. */
void sandbox_kill_session(const char *cgroup_path, pid_t leader)
{
	struct cgroup cg;
	if (cgroup_open(&cg, cgroup_path) < 0)
		return;
	for (int i = 0; i < ROUNDS && kill_once(&cg, leader) > 0; i++)
		continue;
	cgroup_done(&cg);
}
