/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

static enum log_level level_max = LOG_LEVEL_WARN;

void log_set_level(enum log_level level)
{
	level_max = level;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	if (level > level_max)
		return;
	char line[2048];
	int n = snprintf(line, sizeof(line), "coffer: %s: ", names[level]);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - (size_t) n - 1, fmt, ap);
	va_end(ap);
	size_t len = MIN((size_t) (n + MAX(m, 0)), sizeof(line) - 2);
	line[len++] = '\n';
	(void) write_all(STDERR_FILENO, line, len); /* nowhere else to say it */
}
