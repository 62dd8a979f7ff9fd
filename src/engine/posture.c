/* SPDX-License-Identifier: Apache-2.0 */
/* The posture of a container: the sandbox reads it from the kernel (P9); the engine says which process, and what was asked for. */
#include "engine/internal.h"
#include "engine/share.h"
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

/* Whose namespaces are joined, by the names of now; @names owns what @joined points to. */
static int joined_names(struct engine *e, const struct container *c, const char *joined[NS_KIND_MAX_], char ***names, struct err *err)
{
	static const enum ns_kind kinds[] = {NS_NET, NS_IPC, NS_PID};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_cleanup_container_ struct container other = {0};
		const char *ref;
		if (share_of(c->req, kinds[i], &ref) != SHARE_JOIN)
			continue;
		int r = container_load(e, ref, &other, err);
		if (r >= 0)
			r = strv_push(names, r > 0 ? other.name : ref) < 0 ? err_oom(err) : 0;
		if (r < 0)
			return r;
		joined[kinds[i]] = (*names)[strv_len(*names) - 1];
	}
	return 0;
}

int engine_posture(struct engine *e, const struct caller *caller, const char *ref, struct json_writer *w, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_runtime_spec_ struct runtime_spec *spec = NULL;
	_cleanup_strv_ char **names = NULL;
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
	const char *joined[NS_KIND_MAX_] = {NULL};
	r = joined_names(e, &c, joined, &names, err);
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
		.joined = {[NS_NET] = joined[NS_NET], [NS_IPC] = joined[NS_IPC], [NS_PID] = joined[NS_PID]},
	};
	return posture_read(&t, w, err);
}
