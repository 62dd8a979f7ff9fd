/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/step.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/str.h"

static void trace(int fd, const char *name, usec_t took)
{
	char line[96];
	int n = str_format(line, sizeof(line), "%s %llu\n", name, (unsigned long long) took);
	if (n > 0)
		(void) write_all(fd, line, (size_t) n); /* a trace that cannot be written is no reason to fail */
}

int steps_run(const struct step *steps, size_t n, void *ctx, const char *fail, int trace_fd, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		usec_t t0 = trace_fd >= 0 ? now_usec() : 0;
		int r;
		if (fail && str_eq(fail, steps[i].name))
			r = err_set(err, ERR_SYSTEM, "made to fail by a test");
		else if (fault_on && fault_hit_err(steps[i].name, err) < 0)
			r = err->sys;
		else
			r = steps[i].fn(ctx, err);
		if (trace_fd >= 0)
			trace(trace_fd, steps[i].name, now_usec() - t0);
		if (r < 0) {
			/* what the command itself did wrong is told in its own words */
			if (err->kind == ERR_CMD_NOT_FOUND || err->kind == ERR_CMD_DENIED)
				return r;
			return err_wrap(err, "%s", steps[i].what);
		}
	}
	return 0;
}
