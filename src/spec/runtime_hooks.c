/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: programs of the bundle's owner at six points of the life cycle. Source: runtime-spec config.md "POSIX-platform Hooks". */
#include "spec/runtime_fields.h"

enum { HOOKS_MAX = 256 };

static int check_hook(void *base, const struct json *obj, struct err *err)
{
	(void) obj;
	return spec_need_absolute(((const struct hook_spec *) base)->path, "path", err);
}

static const struct field hook_rows[] = {
	FIELD(struct hook_spec, "path", FIELD_STR, path, .need = true),
	FIELD(struct hook_spec, "args", FIELD_STRV, args),
	FIELD(struct hook_spec, "env", FIELD_STRV, env),
	FIELD(struct hook_spec, "timeout", FIELD_U32, timeout, .lo = 1, .hi = INT32_MAX),
};
static const struct field_table hook_fields = TABLE(hook_rows, .check = check_hook);

#define HOOKS(key, point)                                                                                                                             \
	FIELD(struct runtime_spec, key, FIELD_LIST, hooks[point].v, COUNT(struct runtime_spec, hooks[point].n), .size = sizeof(struct hook_spec),      \
	      .max = HOOKS_MAX, .sub = &hook_fields)
static const struct field hooks_rows[] = {
	[HOOK_PRESTART] = HOOKS("prestart", HOOK_PRESTART),
	[HOOK_CREATE_RUNTIME] = HOOKS("createRuntime", HOOK_CREATE_RUNTIME),
	[HOOK_CREATE_CONTAINER] = HOOKS("createContainer", HOOK_CREATE_CONTAINER),
	[HOOK_START_CONTAINER] = HOOKS("startContainer", HOOK_START_CONTAINER),
	[HOOK_POSTSTART] = HOOKS("poststart", HOOK_POSTSTART),
	[HOOK_POSTSTOP] = HOOKS("poststop", HOOK_POSTSTOP),
};
static_assert(ARRAY_LEN(hooks_rows) == HOOK_POINT_MAX_, "every point has a row");
const struct field_table spec_hooks_fields = TABLE(hooks_rows);

const char *hook_point_name(enum hook_point p)
{
	return hooks_rows[p].key;
}
