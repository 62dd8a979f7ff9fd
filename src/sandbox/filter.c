/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp of a foreign document, compiled in the creator. The engine compiles its own ahead (engine/bundle_write.c) and
 * never comes here, so that the compiler stays out of the monitor.
 */
#include <errno.h>

#include "sandbox/internal.h"
#include "seccomp/compile.h"

int filter_compile(struct sandbox *s, struct err *err)
{
	_cleanup_seccomp_profile_ struct seccomp_profile *p = NULL;
	struct seccomp_program prog;
	struct seccomp_env env;
	const char *text = s->spec->seccomp_json;
	int r = seccomp_profile_parse_oci(text, strlen(text), "linux.seccomp", &p, err);
	if (r < 0)
		return r;
	s->filter_notify = seccomp_profile_notifies(p);
	if (s->filter_notify && str_empty(p->listener_path))
		return err_set(err, ERR_INVALID, "linux.seccomp: SCMP_ACT_NOTIFY without listenerPath: nobody would answer");
	if (str_empty(p->listener_path) && !str_empty(p->listener_metadata))
		return err_set(err, ERR_INVALID, "linux.seccomp.listenerMetadata: goes with listenerPath, which is missing");
	seccomp_env_init(&env);
	env.caps = s->process->caps.bounding;
	env.flags = SECCOMP_ENV_SYS_ADMIN_UNLOCKS | SECCOMP_ENV_ALLOW_SUBARCHES | SECCOMP_ENV_ALLOW_NOTIFY; /* the document's own gates and entries hold */
	r = seccomp_compile(p, &env, &prog, err);
	if (r < 0)
		return r;
	s->filter = prog.insn;
	s->filter_len = prog.n;
	s->filter_flags = prog.flags;
	if (s->filter_notify) { /* without SCMP_ACT_NOTIFY the path says nothing (config-linux.md "Seccomp") */
		s->listener_path = take_ptr(p->listener_path);
		s->listener_metadata = take_ptr(p->listener_metadata);
	}
	return 0;
}
