/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rlimits: raised by the creator, lowered by the process itself.
 */
#include <errno.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "sandbox/internal.h"

static const struct {
	const char *name;
	int resource;
} rlimits[] = {
	{"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},       {"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},     {"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},     {"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},   {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

static int rlimit_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rlimits); i++)
		if (str_eq(rlimits[i].name, name))
			return rlimits[i].resource;
	return -EINVAL;
}

/* Only host root may raise a hard limit, and init will not be that: raise here, lower in init (a low RLIMIT_NOFILE must not
 * stop the creator from opening layers). */
static int raise_one(const struct rlimit_spec *l, struct err *err)
{
	int res = rlimit_number(l->name);
	if (res < 0)
		return err_set(err, ERR_INVALID, "process.rlimits: unknown limit '%s'", l->name);
	struct rlimit cur;
	if (getrlimit(res, &cur) < 0)
		return err_sys(err, -errno, "reading %s", l->name);
	if (cur.rlim_max == RLIM_INFINITY || l->hard <= cur.rlim_max)
		return 0;
	cur.rlim_max = l->hard;
	if (setrlimit(res, &cur) < 0)
		return err_sys(err, -errno, "%s: the hard limit %llu is above the engine's own", l->name, (unsigned long long) l->hard);
	return 0;
}

int limits_raise(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		int r = raise_one(&p->rlimits[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int limits_apply(struct sandbox *s, struct err *err)
{
	const struct process_spec *p = s->process;
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct rlimit_spec *l = &p->rlimits[i];
		struct rlimit v = {.rlim_cur = l->soft, .rlim_max = l->hard};
		if (setrlimit(rlimit_number(l->name), &v) < 0)
			return err_sys(err, -errno, "%s %llu:%llu", l->name, (unsigned long long) l->soft, (unsigned long long) l->hard);
	}
	return 0;
}
