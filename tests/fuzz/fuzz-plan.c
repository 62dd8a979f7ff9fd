/* SPDX-License-Identifier: Apache-2.0 */
/* Any document that reads as one becomes a plan or an error, ours or a foreign one; every target of an obeyed plan is clean and inside. */
#include "sandbox/plan.h"
#include "sandbox/sandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_clean(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || path[strlen(path) - 1] == '/')
		return false;
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/");
		if (n == 0 || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
			return false;
	}
	return true;
}

static void try_plan(const struct runtime_spec *s, unsigned flags)
{
	struct plan p;
	struct err err = {0};
	if (plan_build(s, flags, &p, &err) < 0) {
		if (!err.msg[0])
			abort();
		return;
	}
	for (size_t i = 0; i < p.n_mounts; i++)
		if (flags & SANDBOX_OBEY && !is_clean(p.mounts[i].dst))
			abort();
	plan_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_runtime_spec_ struct runtime_spec *s = NULL;
	struct err err;
	if (runtime_spec_parse((const char *) data, size, &s, &err) < 0)
		return 0;
	try_plan(s, 0);
	try_plan(s, SANDBOX_OBEY);
	return 0;
}
