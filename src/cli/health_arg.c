/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/health_arg.h"

#include "base/clock.h"
#include "base/str.h"

int health_set_duration(void *field, const char *value, struct err *err)
{
	int64_t ns = 0;
	bool negative = *value == '-'; /* refused below by its name */
	value += negative;
	if (!str_eq(value, "0") && time_parse_duration(value, &ns) < 0)
		return err_set(err, ERR_INVALID, "use a duration such as 30s, 1m30s or 500ms");
	*(int64_t *) field = negative ? -ns : ns;
	return 0;
}

int health_arg_put(struct json_writer *w, const struct health_options *o, struct err *err)
{
	const struct {
		const char *flag, *key;
		int64_t v;
	} rows[] = {
		{"interval", "Interval", o->interval_ns},		{"timeout", "Timeout", o->timeout_ns}, {"start-period", "StartPeriod", o->start_period_ns},
		{"start-interval", "StartInterval", o->start_interval_ns}, {"retries", "Retries", o->retries},
	};
	bool any = !str_empty(o->cmd);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		any |= rows[i].v != 0;
		if (rows[i].v < 0)
			return err_set(err, ERR_INVALID, "--health-%s cannot be negative", rows[i].flag);
	}
	if (any && o->off)
		return err_set(err, ERR_INVALID, "--no-healthcheck conflicts with --health-* options");
	if (!any && !o->off)
		return 0;
	jw_obj(w, "Healthcheck");
	if (o->off || !str_empty(o->cmd)) {
		jw_arr(w, "Test");
		jw_str(w, NULL, o->off ? "NONE" : "CMD-SHELL");
		if (!o->off)
			jw_str(w, NULL, o->cmd);
		jw_end(w);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].v)
			jw_int(w, rows[i].key, rows[i].v);
	jw_end(w);
	return 0;
}
