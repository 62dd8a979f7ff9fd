/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int sys;
} kinds[] = {
	[ERR_NONE] = {"none", 0},
	[ERR_INVALID] = {"invalid", EINVAL},
	[ERR_NOT_FOUND] = {"not found", ENOENT},
	[ERR_CONFLICT] = {"conflict", EEXIST},
	[ERR_DENIED] = {"denied", EPERM},
	[ERR_QUOTA] = {"quota", EDQUOT},
	[ERR_UNSUPPORTED] = {"unsupported", EOPNOTSUPP},
	[ERR_CORRUPT] = {"corrupt", EBADMSG},
	[ERR_SYSTEM] = {"system", EIO},
	[ERR_CMD_NOT_FOUND] = {"command not found", ENOENT},
	[ERR_CMD_DENIED] = {"command denied", EACCES},
	[ERR_NOT_MODIFIED] = {"not modified", EALREADY},
	[ERR_UNAUTHORIZED] = {"unauthorized", EACCES},
};
static_assert(ARRAY_LEN(kinds) == ERR_KIND_MAX_, "every kind has a row");

const char *err_kind_name(enum err_kind kind)
{
	return (unsigned) kind < ERR_KIND_MAX_ ? kinds[kind].name : "unknown";
}

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	assert(kind > ERR_NONE && kind < ERR_KIND_MAX_);
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		err->kind = (uint16_t) kind;
		err->pad = 0;
		err->sys = -kinds[kind].sys;
		(void) vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	return -kinds[kind].sys;
}

int err_sys(struct err *err, int r, const char *fmt, ...)
{
	assert(r < 0);
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		err->kind = ERR_SYSTEM;
		err->pad = 0;
		err->sys = r;
		int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t) n < sizeof(err->msg))
			(void) snprintf(err->msg + n, sizeof(err->msg) - (size_t) n, ": %s", strerrordesc_np(-r) ?: "unknown error");
	}
	return r;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	if (!err)
		return -EIO;
	char old[sizeof(err->msg)];
	memcpy(old, err->msg, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t) n < sizeof(err->msg))
		(void) snprintf(err->msg + n, sizeof(err->msg) - (size_t) n, ": %.*s", (int) (sizeof(old) - 1), old);
	return err->sys ? err->sys : -EIO;
}

int err_oom(struct err *err)
{
	(void) err_set(err, ERR_SYSTEM, "out of memory");
	if (err)
		err->sys = -ENOMEM;
	return -ENOMEM;
}
