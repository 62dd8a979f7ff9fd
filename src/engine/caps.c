/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets as docker computes them, from Podman's eleven; and ulimits and sysctls by name. */
#include <errno.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/num.h"
#include "engine/internal.h"

#define CAPS_ALL ((UINT64_C(1) << (CAP_LAST_KNOWN + 1)) - 1)

/* @mask: of the named capabilities; "ALL" sets *@all instead. */
static int read_list(const char *field, char *const *names, uint64_t *mask, bool *all, struct err *err)
{
	*mask = 0;
	*all = false;
	STRV_FOREACH(name, names) {
		if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0) {
			*all = true;
			continue;
		}
		int cap = cap_from_name(name);
		if (cap < 0)
			return err_set(err, ERR_INVALID, "HostConfig.%s: unknown capability '%.64s'", field, name);
		*mask |= UINT64_C(1) << cap;
	}
	return 0;
}

int caps_resolve(const struct container_request *r, uint64_t *ret, struct err *err)
{
	uint64_t add, drop;
	bool add_all, drop_all;
	int rc = read_list("CapAdd (--cap-add)", r->cap_add, &add, &add_all, err);
	rc = rc < 0 ? rc : read_list("CapDrop (--cap-drop)", r->cap_drop, &drop, &drop_all, err);
	if (rc < 0)
		return rc;
	/* docker: privileged is everything; CapAdd ALL is everything but the drops; CapDrop ALL is the adds alone */
	if (r->privileged)
		*ret = CAPS_ALL;
	else if (add_all)
		*ret = (drop_all ? add : CAPS_ALL) & ~drop;
	else if (drop_all)
		*ret = add;
	else
		*ret = (DEFAULT_CAPS & ~drop) | add;
	return 0;
}

static const char *const ulimits[][2] = {
	{"as", "RLIMIT_AS"},		 {"core", "RLIMIT_CORE"},	{"cpu", "RLIMIT_CPU"},	   {"data", "RLIMIT_DATA"},	  {"fsize", "RLIMIT_FSIZE"},   {"locks", "RLIMIT_LOCKS"},
	{"memlock", "RLIMIT_MEMLOCK"},	 {"msgqueue", "RLIMIT_MSGQUEUE"}, {"nice", "RLIMIT_NICE"}, {"nofile", "RLIMIT_NOFILE"}, {"nproc", "RLIMIT_NPROC"},   {"rss", "RLIMIT_RSS"},
	{"rtprio", "RLIMIT_RTPRIO"},	 {"rttime", "RLIMIT_RTTIME"},	{"sigpending", "RLIMIT_SIGPENDING"}, {"stack", "RLIMIT_STACK"},
};

const char *rlimit_name(const char *ulimit)
{
	for (size_t i = 0; i < ARRAY_LEN(ulimits); i++)
		if (str_eq(ulimits[i][0], ulimit))
			return ulimits[i][1];
	return NULL;
}

/* Which namespace holds a key (threats.md section 2). */
static const struct {
	const char *key; /* with a final '.': everything below it */
	bool net;
} sysctls[] = {
	{"kernel.msgmax", false}, {"kernel.msgmnb", false}, {"kernel.msgmni", false}, {"kernel.sem", false},	       {"kernel.shmall", false},
	{"kernel.shmmax", false}, {"kernel.shmmni", false}, {"kernel.shm_rmid_forced", false}, {"fs.mqueue.", false}, {"net.", true},
};

static bool key_is_plain(const char *key)
{
	if (key[0] == '.' || key[0] == '\0' || key[strlen(key) - 1] == '.' || strstr(key, ".."))
		return false;
	return key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

int sysctl_check(const char *key, const char *value, bool own_net, bool own_ipc, char **ret_key, struct err *err)
{
	_cleanup_free_ char *k = strdup(key);
	if (!k)
		return err_oom(err);
	for (char *p = k; *p; p++)
		if (*p == '/')
			*p = '.';
	if (!key_is_plain(k) || strlen(k) > 128)
		return err_set(err, ERR_INVALID, "HostConfig.Sysctls (--sysctl): '%.128s' is not a sysctl name", key);
	if (!*value || strlen(value) > 128 || value[strspn(value, "0123456789 \t-")] != '\0')
		return err_set(err, ERR_INVALID, "HostConfig.Sysctls (--sysctl): %s='%.64s': expected numbers", k, value);
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
		size_t n = strlen(sysctls[i].key);
		bool below = sysctls[i].key[n - 1] == '.';
		if (below ? strncmp(k, sysctls[i].key, n) != 0 : !str_eq(k, sysctls[i].key))
			continue;
		if (sysctls[i].net ? !own_net : !own_ipc)
			return err_set(err, ERR_INVALID, "HostConfig.Sysctls (--sysctl): '%s' is the host's or another container's with this %s", k, sysctls[i].net ? "--network" : "--ipc");
		*ret_key = take_ptr(k);
		return 0;
	}
	return err_set(err, ERR_INVALID, "HostConfig.Sysctls (--sysctl): '%s' belongs to the host, not to a namespace of the container", k);
}
