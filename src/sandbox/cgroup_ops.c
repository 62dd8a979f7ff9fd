/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/cgroup_ops.h"

#include <errno.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/cgroup_knobs.h"
#include "sandbox/device_filter.h"
#include "sandbox/sandbox.h"
#include "sandbox/systemd_scope.h"

#define FREEZE_TIMEOUT_MS 10000

/* Return: 1 with @cg open, 0 there is none any more, <0. */
static int open_it(struct cgroup *cg, const char *path, struct err *err)
{
	cgroup_init(cg);
	if (!*path)
		return 0;
	int r = cgroup_open(cg, path);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_sys(err, r, "opening cgroup '%.200s'", path) : 1;
}

static int open_or_refuse(struct cgroup *cg, const char *path, struct err *err)
{
	int r = open_it(cg, path, err);
	if (r != 0)
		return MIN(r, 0);
	if (!*path)
		return err_set(err, ERR_UNSUPPORTED, "the container has no cgroup");
	return err_set(err, ERR_NOT_FOUND, "cgroup '%.200s' is gone", path);
}

int sandbox_update(const char *path, unsigned flags, const struct resources_spec *r, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	int e = open_or_refuse(&cg, path, err);
	if (e < 0)
		return e;
	struct knob_run run = {.cg = &cg, .r = r, .update = true};
	if (flags & SANDBOX_SYSTEMD_CGROUP)
		e = systemd_scope_update(path, r, err);
	if (e == 0)
		e = knobs_write(&run, err);
	return e == 0 && r->n_devices && geteuid() == 0 ? device_filter_apply(&cg, r, true, err) : e;
}

int sandbox_has_limit(const char *parent, const char *field, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	const char *failed;
	enum cg_controller c = knob_controller(field);
	int r = cgroup_create(&cg, parent, 1u << c, 0, &failed);
	if (r < 0)
		return err_sys(err, r, "%s: creating '%.200s'", failed, parent);
	return cgroup_has(&cg.layout, c) != 0 && knob_is_there(&cg, field);
}

static int freeze(const char *path, bool on, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	int r = open_or_refuse(&cg, path, err);
	if (r < 0)
		return r;
	r = cgroup_freeze(&cg, on, FREEZE_TIMEOUT_MS);
	if (r == -EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, "this host has no freezer cgroup");
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_SYSTEM, "not every process could be %s within %d s", on ? "frozen" : "thawed", FREEZE_TIMEOUT_MS / 1000);
	return r < 0 ? err_sys(err, r, on ? "freezing" : "thawing") : 0;
}

int sandbox_pause(const char *path, unsigned flags, struct err *err)
{
	return freeze(path, true, err);
}

int sandbox_resume(const char *path, unsigned flags, struct err *err)
{
	return freeze(path, false, err);
}

int sandbox_is_paused(const char *path, unsigned flags, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	cgroup_init(&cg);
	if (!*path)
		return 0;
	int r = cgroup_open_one(&cg, path, CG_FREEZER); /* which on v1 the first pause makes */
	r = r < 0 ? r : cgroup_is_frozen(&cg);
	return r == -ENOENT || r == -ENODEV ? 0 : r < 0 ? err_sys(err, r, "reading the freezer's state of cgroup '%.200s'", path) : r;
}

int sandbox_pids(const char *path, unsigned flags, pid_t **ret, size_t *ret_n, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	*ret = NULL;
	*ret_n = 0;
	int r = open_it(&cg, path, err);
	if (r <= 0)
		return r;
	ssize_t n = cgroup_pids(&cg, ret);
	if (n < 0)
		return err_sys(err, (int) n, "listing the processes of '%.200s'", path);
	*ret_n = (size_t) n;
	return 0;
}

int sandbox_kill_all(const char *path, unsigned flags, int sig, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	int r = open_it(&cg, path, err);
	if (r <= 0)
		return r;
	/* v1 has no call for it: with everybody frozen nobody can fork away from the list, and who is thawed again finds the signal */
	bool kill9 = sig == SIGKILL && cg.v2 < 0, frozen = kill9 && cgroup_is_frozen(&cg) > 0;
	if (kill9 && !frozen)
		(void) cgroup_freeze(&cg, true, 500); /* one that cannot be frozen is signalled as it runs; cgroup_kill() at the end finds the rest */
	r = cgroup_signal(&cg, sig);
	if (kill9)
		(void) cgroup_freeze(&cg, false, 500);
	return r < 0 ? err_sys(err, r, "signalling the processes of '%.200s'", path) : 0;
}

int sandbox_stats(const char *path, unsigned flags, struct cgroup_stats *ret, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	*ret = (struct cgroup_stats) {0};
	int r = open_or_refuse(&cg, path, err);
	if (r < 0)
		return r;
	r = cgroup_stats_read(&cg, ret);
	return r < 0 ? err_sys(err, r, "reading the statistics of '%.200s'", path) : 0;
}

int sandbox_account(const char *path, struct err *err)
{
	static const enum cg_controller wanted[] = {CG_CPUACCT, CG_CPU, CG_BLKIO};
	_cleanup_(cgroup_done) struct cgroup cg;
	int r = open_or_refuse(&cg, path, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(wanted); i++)
		(void) cgroup_extend(&cg, wanted[i]); /* what cannot be had shows as 0 */
	return r;
}

int sandbox_oom_watch(const char *path, unsigned flags, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg;
	int r = open_or_refuse(&cg, path, err);
	if (r < 0)
		return r;
	r = cgroup_oom_watch(&cg);
	if (r == -EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, "this host has no memory cgroup that could tell of an OOM");
	return r < 0 ? err_sys(err, r, "watching for an OOM") : r;
}

int sandbox_oom_next(const char *path, unsigned flags, int fd, uint64_t *seen)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	while (read(fd, events, sizeof(events)) > 0)
		; /* an eventfd's counter or inotify's events: the count below tells what happened */
	struct cgroup cg;
	uint64_t now = 0;
	int r = cgroup_open(&cg, path);
	if (r == 0)
		r = cgroup_oom_count(&cg, &now);
	cgroup_done(&cg);
	if (r < 0)
		return r == -EOPNOTSUPP || r == -ENODEV ? -ENOENT : r;
	bool more = now > *seen;
	*seen = now;
	return more;
}

int sandbox_remove(const char *path, unsigned flags, struct err *err)
{
	struct err first;
	int stopped = 0;
	if (!*path)
		return 0;
	if (flags & SANDBOX_SYSTEMD_CGROUP) {
		struct cgroup cg;
		if (cgroup_open(&cg, path) == 0)
			(void) cgroup_kill(&cg, 2000); /* systemd would ask them kindly first */
		cgroup_done(&cg);
		stopped = systemd_scope_stop(path, &first);
	}
	int r = sandbox_cleanup(path, err); /* also when systemd does not answer: nothing of the container may go on */
	if (r < 0 || stopped == 0)
		return r;
	*err = first;
	return stopped;
}
