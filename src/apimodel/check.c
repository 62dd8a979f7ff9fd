/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single field of a container request can tell: sums and contradictions, as a list of named checks.
 * Policy (who may ask for what) is the engine's.
 */
#include "apimodel/internal.h"

#define ENV_TOTAL_MAX (1 << 20)
#define ARGS_TOTAL_MAX (1 << 20)
#define LABELS_TOTAL_MAX (1 << 20)

static size_t total(char *const *v)
{
	size_t n = 0;
	STRV_FOREACH(s, v)
		n += strlen(s) + 1;
	return n;
}

static int check_sums(const struct container_request *r, struct err *err)
{
	const struct {
		const char *name;
		size_t sum, max;
	} rows[] = {
		{"Env", total(r->env), ENV_TOTAL_MAX},
		{"Entrypoint and Cmd", total(r->entrypoint) + total(r->cmd), ARGS_TOTAL_MAX},
		{"Labels", total(r->labels.keys) + total(r->labels.values), LABELS_TOTAL_MAX},
		{"HostConfig.Annotations", total(r->annotations.keys) + total(r->annotations.values), LABELS_TOTAL_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].sum > rows[i].max)
			return err_set(err, ERR_INVALID, "%s: %zu bytes in all, at most %zu are taken", rows[i].name, rows[i].sum, rows[i].max);
	return 0;
}

static int check_memory(const struct container_request *r, struct err *err)
{
	if (r->memory_swap > 0 && r->memory == 0)
		return err_set(err, ERR_INVALID, "HostConfig.MemorySwap: you should always set the Memory limit when using MemorySwap limit");
	if (r->memory_swap > 0 && r->memory_swap < r->memory)
		return err_set(err, ERR_INVALID, "HostConfig.MemorySwap: %lld: minimum memoryswap limit should be larger than memory limit %lld",
			       (long long) r->memory_swap, (long long) r->memory);
	if (r->memory > 0 && r->memory_reservation > r->memory)
		return err_set(err, ERR_INVALID, "HostConfig.MemoryReservation: %lld: minimum memory limit can not be less than memory "
			       "reservation limit", (long long) r->memory_reservation);
	return 0;
}

static int check_cpus(const struct container_request *r, struct err *err)
{
	if (r->nano_cpus > 0 && r->cpu_period > 0)
		return err_set(err, ERR_INVALID, "HostConfig.NanoCpus: conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (r->nano_cpus > 0 && r->cpu_quota > 0)
		return err_set(err, ERR_INVALID, "HostConfig.NanoCpus: conflicting options: Nano CPUs and CPU Quota cannot both be set");
	return 0;
}

static int check_removal(const struct container_request *r, struct err *err)
{
	if (r->auto_remove && r->restart_name && !str_eq(r->restart_name, "no"))
		return err_set(err, ERR_INVALID, "HostConfig.AutoRemove: can't create 'AutoRemove' container with restart policy '%s'", r->restart_name);
	return 0;
}

int container_request_check(const struct container_request *r, struct err *err)
{
	static int (*const checks[])(const struct container_request *, struct err *) = {check_sums, check_memory, check_cpus, check_removal};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int res = checks[i](r, err);
		if (res < 0)
			return res;
	}
	return 0;
}
