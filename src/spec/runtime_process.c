/* SPDX-License-Identifier: Apache-2.0 */
/* The process object: what runs, as whom, with which limits. Source: runtime-spec config.md "Process". */
#include <errno.h>

#include "spec/runtime_fields.h"

enum { RLIMITS_MAX = 64 };
#define NO_ID_ABOVE .lo = 0, .hi = (int64_t) UINT32_MAX - 1 /* 4294967295 is (uid_t) -1 */

static const char *const policies[] = {"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE", NULL};
static const char *const sched_flags[] = {"SCHED_FLAG_RESET_ON_FORK",	"SCHED_FLAG_RECLAIM",	     "SCHED_FLAG_DL_OVERRUN",	"SCHED_FLAG_KEEP_POLICY",
					  "SCHED_FLAG_KEEP_PARAMS",	"SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX", NULL};
static const char *const io_classes[] = {"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", NULL};

/* sched(7), sched_setattr(2): a property that the policy does not have would be dropped silently by the kernel, or is EINVAL there. */
static int check_scheduler(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct scheduler_spec *s = base;
	bool realtime = str_eq(s->policy, "SCHED_FIFO") || str_eq(s->policy, "SCHED_RR");
	if (s->nice && !str_eq(s->policy, "SCHED_OTHER") && !str_eq(s->policy, "SCHED_BATCH"))
		return err_set(err, ERR_INVALID, "nice: %s has none, only SCHED_OTHER and SCHED_BATCH", s->policy);
	if (realtime ? s->priority < 1 : s->priority != 0)
		return err_set(err, ERR_INVALID, "priority: %d does not go with %s", s->priority, s->policy);
	if ((s->runtime || s->deadline || s->period) && !str_eq(s->policy, "SCHED_DEADLINE"))
		return err_set(err, ERR_INVALID, "%s: %s has none, only SCHED_DEADLINE", s->runtime ? "runtime" : s->deadline ? "deadline" : "period", s->policy);
	return 0;
}

static const struct field scheduler_rows[] = {
	FIELD(struct scheduler_spec, "policy", FIELD_STR, policy, .need = true, .words = policies),
	FIELD(struct scheduler_spec, "flags", FIELD_STRV, flags, .words = sched_flags),
	FIELD(struct scheduler_spec, "nice", FIELD_INT, nice, .lo = -20, .hi = 19),
	FIELD(struct scheduler_spec, "priority", FIELD_INT, priority, .lo = 0, .hi = 99),
	FIELD(struct scheduler_spec, "runtime", FIELD_U64, runtime),
	FIELD(struct scheduler_spec, "deadline", FIELD_U64, deadline),
	FIELD(struct scheduler_spec, "period", FIELD_U64, period),
};
static const struct field_table scheduler_fields = TABLE(scheduler_rows, .check = check_scheduler);

static const struct field io_rows[] = {
	FIELD(struct process_spec, "class", FIELD_STR, io_class, .need = true, .words = io_classes),
	FIELD(struct process_spec, "priority", FIELD_INT, io_priority, .lo = 0, .hi = 7),
};
static const struct field_table io_fields = TABLE(io_rows);

/* "0-3,7": digits, commas, dashes and blanks; what they mean is said by whoever applies them. */
static int check_cpu_list(const char *s, const char *what, struct err *err)
{
	return !s || s[strspn(s, "0123456789, -")] == '\0' ? 0 : err_set(err, ERR_INVALID, "%s: '%s' is not a list of cpus", what, s);
}

static int check_affinity(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct process_spec *p = base;
	int r = check_cpu_list(p->affinity_initial, "initial", err);
	return r < 0 ? r : check_cpu_list(p->affinity_final, "final", err);
}

static const struct field affinity_rows[] = {
	FIELD(struct process_spec, "initial", FIELD_STR, affinity_initial),
	FIELD(struct process_spec, "final", FIELD_STR, affinity_final),
};
static const struct field_table affinity_fields = TABLE(affinity_rows, .check = check_affinity);

static const struct field console_rows[] = {
	FIELD(struct process_spec, "height", FIELD_U16, rows),
	FIELD(struct process_spec, "width", FIELD_U16, cols),
};
static const struct field_table console_fields = TABLE(console_rows);

/* user.username is for Windows: ignored. */
static const struct field user_rows[] = {
	FIELD(struct process_spec, "uid", FIELD_U32, uid, .always = true, NO_ID_ABOVE),
	FIELD(struct process_spec, "gid", FIELD_U32, gid, .always = true, NO_ID_ABOVE),
	FIELD(struct process_spec, "umask", FIELD_U32, umask, HAS(struct process_spec, has_umask), .lo = 0, .hi = 0777),
	FIELD(struct process_spec, "additionalGids", FIELD_U32V, groups, COUNT(struct process_spec, n_groups), NO_ID_ABOVE),
};
static const struct field_table user_fields = TABLE(user_rows);

static const struct field caps_rows[] = {
	FIELD(struct caps_spec, "bounding", FIELD_CAPS, bounding, .always = true),
	FIELD(struct caps_spec, "effective", FIELD_CAPS, effective, .always = true),
	FIELD(struct caps_spec, "inheritable", FIELD_CAPS, inheritable, .always = true),
	FIELD(struct caps_spec, "permitted", FIELD_CAPS, permitted, .always = true),
	FIELD(struct caps_spec, "ambient", FIELD_CAPS, ambient, .always = true),
};
static const struct field_table caps_fields = TABLE(caps_rows);

static int check_rlimit(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	const struct rlimit_spec *l = base;
	const char *name = str_after(l->name, "RLIMIT_");
	if (!name || !*name || name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
		return err_set(err, ERR_INVALID, "type: '%s' is not the name of a limit, as RLIMIT_NOFILE is", l->name);
	return 0;
}

static const struct field rlimit_rows[] = {
	FIELD(struct rlimit_spec, "type", FIELD_STR, name, .need = true),
	FIELD(struct rlimit_spec, "soft", FIELD_U64, soft, .need = true, .always = true),
	FIELD(struct rlimit_spec, "hard", FIELD_U64, hard, .need = true, .always = true),
};
static const struct field_table rlimit_fields = TABLE(rlimit_rows, .check = check_rlimit);

/* config.md: a capability that cannot be mapped is a warning, not an error. */
static int process_warnings(struct process_spec *p, const struct json *obj, struct err *err)
{
	const struct json *caps = json_get_fold(obj, "capabilities");
	for (size_t i = 0; i < ARRAY_LEN(caps_rows); i++)
		JSON_FOREACH(v, k, json_get_fold(caps, caps_rows[i].key)) {
			const char *name = json_str(v, "");
			if (cap_from_name(name) >= 0)
				continue;
			_cleanup_free_ char *text = str_printf("process.capabilities.%s[%zu]: '%.60s' is not a capability that is known here, ignoring", caps_rows[i].key, k,
							       str_is_plain(name) ? name : "?");
			if (!text || strv_push(&p->warnings, text) < 0)
				return err_oom(err);
		}
	return 0;
}

static int check_process(void *base, const struct json *obj, struct err *err)
{
	struct process_spec *p = base;
	if (!p->args)
		return err_set(err, ERR_INVALID, "args: nothing to run");
	for (size_t i = 0; i < p->n_rlimits; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(p->rlimits[k].name, p->rlimits[i].name))
				return err_set(err, ERR_INVALID, "rlimits[%zu].type: '%s' is there twice", i, p->rlimits[i].name);
	int r = spec_need_absolute(p->cwd, "cwd", err);
	return r < 0 ? r : process_warnings(p, obj, err);
}

/* commandLine is for Windows: ignored. */
static const struct field process_rows[] = {
	FIELD(struct process_spec, "terminal", FIELD_BOOL, terminal),
	FIELD(struct process_spec, "consoleSize", FIELD_OBJ, terminal, .sub = &console_fields),
	FIELD(struct process_spec, "user", FIELD_OBJ, terminal, .sub = &user_fields, .always = true),
	FIELD(struct process_spec, "args", FIELD_STRV, args),
	FIELD(struct process_spec, "env", FIELD_STRV, env),
	FIELD(struct process_spec, "cwd", FIELD_STR, cwd, .need = true),
	FIELD(struct process_spec, "capabilities", FIELD_OBJ, caps, HAS(struct process_spec, has_caps), .sub = &caps_fields),
	FIELD(struct process_spec, "rlimits", FIELD_LIST, rlimits, LIST_OF(struct process_spec, rlimits, n_rlimits, rlimit_fields, RLIMITS_MAX)),
	FIELD(struct process_spec, "noNewPrivileges", FIELD_BOOL, no_new_privileges),
	FIELD(struct process_spec, "apparmorProfile", FIELD_STR, apparmor_profile),
	FIELD(struct process_spec, "selinuxLabel", FIELD_STR, selinux_label),
	FIELD(struct process_spec, "oomScoreAdj", FIELD_INT, oom_score_adj, HAS(struct process_spec, has_oom_score_adj), .lo = -1000, .hi = 1000),
	FIELD(struct process_spec, "scheduler", FIELD_OBJ, scheduler, .sub = &scheduler_fields),
	FIELD(struct process_spec, "ioPriority", FIELD_OBJ, terminal, .sub = &io_fields),
	FIELD(struct process_spec, "execCPUAffinity", FIELD_OBJ, terminal, .sub = &affinity_fields),
};
static_assert(offsetof(struct process_spec, terminal) == 0, "objects whose members lie in struct process_spec itself start with it");
const struct field_table spec_process_fields = TABLE(process_rows, .check = check_process);
