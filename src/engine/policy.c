/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: one function over the canonical request, called at every sink that yields a configuration (R15). What is not there
 * yet is refused by name, what would loosen the host is refused or needs the operator's word; nothing is ignored in silence.
 */
#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/num.h"
#include "engine/etc.h"
#include "engine/internal.h"
#include "engine/networking.h"
#include "engine/share.h"

bool network_is_host(const struct container_request *req)
{
	return str_eq(req->network_mode, "host");
}

const char *network_mode_of(const struct container_request *r)
{
	if (network_is_host(r) || share_of(r, NS_NET, NULL) == SHARE_JOIN)
		return r->network_mode;
	if (!networking_has(r))
		return "none";
	return str_empty(r->network_mode) || str_eq(r->network_mode, "default") ? "bridge" : r->network_mode;
}

/* What is not there yet */

static int check_missing(const struct container_request *r, struct err *err)
{
	const struct {
		bool asked;
		const char *field;
	} rows[] = {
		{r->storage_opt.keys != NULL, "HostConfig.StorageOpt (--storage-opt): quotas of the writable layer: it"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].asked)
			return err_set(err, ERR_UNSUPPORTED, "%s is not there yet", rows[i].field);
	return 0;
}

/* Annotations are for whoever reads the document. Those that a runtime takes as orders (systemd's properties, hooks, CRIU, cgroup files) would go round every check
 * (CVE-2025-47291, CVE-2023-6476, CVE-2024-3154). */
static int check_annotations(const struct container_request *r, struct err *err)
{
	static const char *const orders[] = {"run.oci.", "org.systemd.property.", "org.criu.", "io.katacontainers.", "com.github.containers.", "io.podman.", "org.opencontainers.runc."};
	for (size_t i = 0; r->annotations.keys && r->annotations.keys[i]; i++) {
		const char *key = r->annotations.keys[i];
		bool order = strcasestr(key, "unifiedcgroup") != NULL;
		for (size_t k = 0; k < ARRAY_LEN(orders); k++)
			order |= strncasecmp(key, orders[k], strlen(orders[k])) == 0;
		if (order)
			return err_set(err, ERR_INVALID, "HostConfig.Annotations (--annotation): '%.100s' is an order to a runtime, not a note: it is not taken", key);
	}
	return 0;
}

const char *const engine_allow_names[ALLOW_MAX_] = {
	[ALLOW_USERNS] = "userns", [ALLOW_NETWORK] = "network", [ALLOW_PID] = "pid", [ALLOW_IPC] = "ipc", [ALLOW_UTS] = "uts", [ALLOW_CGROUPNS] = "cgroupns", [ALLOW_OOM_SCORE] = "oom-score",
};

int allow_check(const struct engine *e, enum engine_allow a, const char *what, struct err *err)
{
	if (e->allow[a])
		return 0;
	return err_set(err, ERR_DENIED, "%s: the operator of this host has not allowed it (allow-host-%s in /etc/coffer/daemon.json, or COFFER_ALLOW_HOST=%s)", what,
		       engine_allow_names[a], engine_allow_names[a]);
}

static int check_userns(const struct engine *e, const struct container_request *r, struct err *err)
{
	struct idrange_request q;
	int rc = idrange_parse(r->userns_mode, r->uid_maps, r->gid_maps, &q, err);
	if (rc < 0)
		return err_wrap(err, "HostConfig");
	if (q.mode == IDRANGE_HOST && (rc = allow_check(e, ALLOW_USERNS, "HostConfig.UsernsMode (--userns) 'host'", err)) < 0)
		return rc;
	if (q.mode == IDRANGE_HOST && (r->privileged || r->cap_add))
		return err_set(err, ERR_DENIED, "HostConfig.UsernsMode (--userns) 'host': not together with %s: capabilities are given inside a user namespace of the "
						"container's own, never on the host", r->privileged ? "--privileged" : "--cap-add");
	return 0;
}

/* Values */

static int check_env(const struct container_request *r, struct err *err)
{
	STRV_FOREACH(entry, r->env)
		if (entry[0] == '=' || entry[0] == '\0')
			return err_set(err, ERR_INVALID, "Config.Env (--env): '%.64s': invalid environment variable: the name is empty", entry);
	return 0;
}

static int check_hostname(const struct container_request *r, struct err *err)
{
	const char *const names[][2] = {{"Hostname (--hostname)", r->hostname}, {"Domainname (--domainname)", r->domainname}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *s = names[i][1];
		if (str_empty(s))
			continue;
		if (strlen(s) > 63 || s[0] == '-' || s[0] == '.' || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] != '\0')
			return err_set(err, ERR_INVALID, "Config.%s: '%.80s' is not a host name of at most 63 letters, digits, '-', '_' and '.'", names[i][0], s);
	}
	return 0;
}

static int check_process(const struct container_request *r, struct err *err)
{
	int rc = user_check("Config.User (--user)", r->user, err);
	STRV_FOREACH(g, r->group_add)
		rc = rc < 0 ? rc : group_check("HostConfig.GroupAdd (--group-add)", g, err);
	if (rc >= 0 && !str_empty(r->working_dir) && r->working_dir[0] != '/')
		rc = err_set(err, ERR_INVALID, "Config.WorkingDir (--workdir): the working directory '%.200s' is invalid, it needs to be an absolute path", r->working_dir);
	if (rc >= 0 && !str_empty(r->stop_signal)) {
		rc = signal_parse(r->stop_signal, err);
		rc = rc < 0 ? err_wrap(err, "Config.StopSignal (--stop-signal)") : 0;
	}
	return rc;
}

static int check_sysctls(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; r->sysctls.keys && r->sysctls.keys[i]; i++) {
		_cleanup_free_ char *key = NULL;
		int rc = sysctl_check(r->sysctls.keys[i], r->sysctls.values[i], share_is_own(r, NS_NET), share_is_own(r, NS_IPC), &key, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_mounts(const struct container_request *r, struct err *err)
{
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct mount_request *m = &r->mounts[i];
		struct stat st;
		if (m->kind == MOUNT_TMPFS) {
			_cleanup_strv_ char **options = NULL;
			int rc = tmpfs_options(m, &options, err);
			if (rc < 0)
				return rc;
		}
		if (m->kind == MOUNT_BIND && !m->create_source && stat(m->source, &st) < 0)
			return err_set(err, ERR_INVALID, "invalid mount config for type \"bind\": bind source path does not exist: %.200s", m->source);
	}
	return 0;
}

static int check_security(const struct container_request *r, struct err *err)
{
	struct security sec;
	uint64_t caps;
	int rc = security_parse(r, &sec, err);
	return rc < 0 ? rc : caps_resolve(r, &caps, err);
}

int policy_check(const struct engine *e, const struct caller *c, const struct container_request *req, char ***warnings, struct err *err)
{
	static int (*const checks[])(const struct container_request *, struct err *) = {
		check_missing, check_annotations, check_env, check_hostname, etc_check, check_process, check_sysctls, check_mounts, log_options_check, check_security,
	};
	int rc = shares_check(e, req, err);
	rc = rc < 0 ? rc : check_userns(e, req, err);
	rc = rc < 0 ? rc : networking_check(req, err);
	rc = rc < 0 ? rc : runtime_check(e, req, err);
	rc = rc < 0 ? rc : limits_check(e, req, err);
	for (size_t i = 0; rc >= 0 && i < ARRAY_LEN(checks); i++)
		rc = checks[i](req, err);
	(void) c; /* tenants' own limits come with tenants; every caller is the operator until then */
	return MIN(rc, 0);
}
