/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New limits, or another restart policy, for a container that exists: merged into its request, checked as at create, written to its cgroups when it runs, then
 * stored. Those that the kernel refuses change nothing in the record.
 */
#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "sandbox/cgroup_ops.h"

#define REQ(member) offsetof(struct container_request, member)

static const size_t numbers[] = {REQ(memory),	 REQ(memory_swap), REQ(memory_reservation), REQ(nano_cpus),   REQ(cpu_shares),
				 REQ(cpu_quota), REQ(cpu_period),  REQ(pids_limit),	     REQ(blkio_weight),
				 REQ(cpu_rt_period), REQ(cpu_rt_runtime)};
static const size_t strings[] = {REQ(cpuset_cpus), REQ(cpuset_mems)};
static const size_t lists[] = {REQ(blkio_weight_devices), REQ(blkio_read_bps), REQ(blkio_write_bps), REQ(blkio_read_iops), REQ(blkio_write_iops)};

static int merge(struct container_request *r, const struct container_request *limits, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t v = *(const int64_t *) ((const char *) limits + numbers[i]);
		if (v != 0)
			*(int64_t *) ((char *) r + numbers[i]) = v;
	}
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		char *v = *(char *const *) ((const char *) limits + strings[i]), **at = (char **) ((char *) r + strings[i]);
		if (str_empty(v))
			continue;
		char *copy = strdup(v);
		if (!copy)
			return err_oom(err);
		free(*at);
		*at = copy;
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (blkio_limits_merge((struct blkio_limits *) ((char *) r + lists[i]), (const struct blkio_limits *) ((const char *) limits + lists[i])) < 0)
			return err_oom(err);
	if (limits->memory_swappiness >= 0)
		r->memory_swappiness = limits->memory_swappiness;
	/* a period or a quota takes the place of --cpus, and the other way round (docker's rule) */
	if (limits->nano_cpus && (limits->cpu_quota || limits->cpu_period))
		return err_set(err, ERR_INVALID, "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set");
	if (limits->nano_cpus)
		r->cpu_quota = r->cpu_period = 0;
	else if (limits->cpu_quota || limits->cpu_period)
		r->nano_cpus = 0;
	return 0;
}

/* The merged request passes the checks that a new one does: a memory limit above the swap limit, CPU sets, ... */
static int recheck(const struct container_request *r, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(REQUEST_MAX);
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_container_request_ struct container_request *again = NULL;
	int rc = container_request_write(r, &text);
	if (rc < 0)
		return err_sys(err, rc, "writing the request");
	rc = json_parse(text.s, text.len, REQUEST_MAX, "the updated request", &doc, err);
	return rc < 0 ? rc : container_request_parse(doc, &again, NULL, err);
}

/* Into the cgroups of a running container. Its devices are left alone. */
static int apply(const struct container *c, struct err *err)
{
	char path[MONITOR_PATH_MAX];
	_cleanup_runtime_spec_ struct runtime_spec *s = runtime_spec_new();
	struct bundle_plan b = {.c = c};
	if (!s)
		return err_oom(err);
	int rc = bundle_resources(&b, s, err);
	if (rc < 0)
		return rc;
	size_t n = s->resources.n_devices;
	s->resources.n_devices = 0;
	cgroup_path_of(c, path);
	rc = sandbox_update(path, 0, &s->resources, err);
	s->resources.n_devices = n; /* to be freed */
	return rc;
}

/* The limits of the record again, as far as it has any: what was refused in the middle must not stay half done. */
static void take_back(struct engine *e, const char *id)
{
	_cleanup_container_ struct container old = {0};
	struct err ignored;
	if (container_load(e, id, &old, &ignored) > 0)
		(void) apply(&old, &ignored); /* the error that is told is the first one */
}

static int merge_policy(struct container_request *r, const struct container_request *news, struct err *err)
{
	if (str_empty(news->restart_name))
		return 0;
	if (r->auto_remove && restart_is_wanted(news))
		return err_set(err, ERR_CONFLICT, "Restart policy cannot be updated because AutoRemove is enabled for the container");
	char *copy = strdup(news->restart_name);
	if (!copy)
		return err_oom(err);
	free(r->restart_name);
	r->restart_name = copy;
	r->restart_max = news->restart_max;
	return 0;
}

static int update_locked(struct engine *e, const struct caller *caller, struct container *c, const struct container_request *limits, char ***warnings, struct err *err)
{
	struct run_info info;
	struct container_request *own = NULL;
	int rc = state_read(e, c, /* locked= */ true, &info, err);
	rc = rc < 0 ? rc : container_own_request(c, &own, err);
	rc = rc < 0 ? rc : merge(own, limits, err);
	rc = rc < 0 ? rc : merge_policy(own, limits, err);
	rc = rc < 0 ? rc : recheck(c->req, err);
	rc = rc < 0 ? rc : policy_check(e, caller, c->req, NULL, err);
	rc = rc < 0 ? rc : limits_discard(c->tenant, own, warnings, err);
	bool live = rc >= 0 && info.state == RUN_RUNNING;
	if (live)
		rc = apply(c, err);
	rc = rc < 0 ? rc : fault_point("engine.update.applied", err);
	rc = rc < 0 ? rc : container_save_request(e, c, err);
	fault_mark("engine.update.saved");
	if (rc >= 0 && c->restart_due_ns && !restart_is_wanted(c->req))
		rc = restart_cancel_locked(e, c, err);
	if (rc < 0 && live)
		take_back(e, c->id);
	if (rc < 0)
		return err_wrap(err, "Cannot update container %s", c->id);
	event_container(e, c, "update", NULL);
	return 0;
}

int engine_update(struct engine *e, const struct caller *caller, const char *ref, const struct container_request *limits, char ***warnings, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_close_ int lock = container_lock(e, caller->tenant, ref, &c, err);
	return lock < 0 ? lock : update_locked(e, caller, &c, limits, warnings, err);
}
