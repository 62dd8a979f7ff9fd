/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --health-* and --no-healthcheck of run and create.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

struct health_options {
	const char *cmd; /* borrowed; for the image's shell */
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns, retries; /* 0: unset */
	bool off;
};

/** health_set_duration() - a flag's set(): an int64_t of nanoseconds from "1m30s". */
int health_set_duration(void *field, const char *value, struct err *err);
/** health_arg_put() - "Healthcheck", as far as anything was asked for. Return: 0; ERR_INVALID in docker's words. */
int health_arg_put(struct json_writer *w, const struct health_options *o, struct err *err);
