/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sysctls of a container: only those that a namespace of its own carries, written through the private procfs (R3), with a value
 * that cannot smuggle a second one in (CVE-2022-0811).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/path.h"
#include "sandbox/internal.h"

/* Which namespace carries a name; a trailing '.' means everything below. Sources: ipc_namespaces(7), uts_namespaces(7), network_namespaces(7),
 * namespaces(7) "/proc/sys/user". */
static const struct {
	const char *name;
	enum ns_kind kind;
} carriers[] = {
	{"net.", NS_NET},           {"fs.mqueue.", NS_IPC},     {"kernel.msgmax", NS_IPC},  {"kernel.msgmnb", NS_IPC},
	{"kernel.msgmni", NS_IPC},  {"kernel.sem", NS_IPC},     {"kernel.shmall", NS_IPC},  {"kernel.shmmax", NS_IPC},
	{"kernel.shmmni", NS_IPC},  {"kernel.shm_rmid_forced", NS_IPC}, {"kernel.domainname", NS_UTS}, {"user.", NS_USER},
};
static const char *const ns_words[NS_KIND_MAX_] = {[NS_NET] = "network", [NS_IPC] = "ipc", [NS_UTS] = "uts", [NS_USER] = "user"};

/* "net/ipv4/ip_forward" and "net.ipv4.ip_forward" are one name (sysctl(8)): the first separator says which of the two the other stands for. */
static int path_of(const char *key, char *path, size_t size, struct err *err)
{
	char sep = '.', *p = path;
	size_t first = strcspn(key, "./");
	if (key[first] == '/')
		sep = '/';
	if (str_copy(path, size, key) < 0 || !*key || !str_is_plain(key))
		return err_set(err, ERR_INVALID, "linux.sysctl: '%.60s' is not a name like net.ipv4.ip_forward", key);
	for (; *p; p++)
		if (*p == sep)
			*p = '/';
		else if (*p == '/')
			*p = '.'; /* an interface's name with a dot: net.ipv4.conf.eth0/1.forwarding */
	for (p = path; (p = strchr(p, '/')); p++)
		if (p[1] == '/' || p[1] == '\0' || strncmp(p + 1, "../", 3) == 0 || strncmp(p + 1, "./", 2) == 0 || strcmp(p + 1, "..") == 0)
			return err_set(err, ERR_INVALID, "linux.sysctl: '%.60s' is not a name like net.ipv4.ip_forward", key);
	return 0;
}

static int check_carrier(const struct sandbox *s, const char *key, const char *path, struct err *err)
{
	char dotted[256];
	(void) str_copy(dotted, sizeof(dotted), path);
	for (char *p = dotted; *p; p++)
		if (*p == '/')
			*p = '.';
	for (size_t i = 0; i < ARRAY_LEN(carriers); i++) {
		size_t n = strlen(carriers[i].name);
		bool below = carriers[i].name[n - 1] == '.';
		if (below ? strncmp(dotted, carriers[i].name, n) != 0 : strcmp(dotted, carriers[i].name) != 0)
			continue;
		if (s->has_own[carriers[i].kind])
			return 0;
		return err_set(err, ERR_INVALID, "linux.sysctl: '%s' needs a %s namespace that is not the host's", key, ns_words[carriers[i].kind]);
	}
	if (str_eq(dotted, "kernel.hostname"))
		return err_set(err, ERR_INVALID, "linux.sysctl: '%s': set the hostname field instead", key);
	return err_set(err, ERR_INVALID, "linux.sysctl: '%s' belongs to the whole host, not to a namespace", key);
}

/* One line: the kernel takes what stands before a line's end and drops the rest, so a second line is not what its author thinks. */
static bool is_one_line(const char *value)
{
	for (; *value; value++)
		if ((unsigned char) *value < ' ' && *value != '\t' && !(value[0] == '\n' && value[1] == '\0'))
			return false;
	return true;
}

static int write_one(struct sandbox *s, const char *key, const char *value, struct err *err)
{
	char path[256] = "sys/";
	int r = path_of(key, path + 4, sizeof(path) - 4, err);
	if (r == 0)
		r = check_carrier(s, key, path + 4, err);
	if (r == 0 && !is_one_line(value))
		r = err_set(err, ERR_INVALID, "linux.sysctl: %s: a value is one line without control characters", key);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_xdev_none(s->proc_fd, path, O_WRONLY, 0);
	if (fd < 0)
		return err_sys(err, fd, "linux.sysctl: %s", key);
	return write(fd, value, strlen(value)) < 0 ? err_sys(err, -errno, "linux.sysctl: %s = '%s'", key, value) : 0;
}

/* ping without CAP_NET_RAW: ICMP sockets for every group that is mapped (icmp(7)) */
static int open_ping_group(struct sandbox *s, struct err *err)
{
	uint32_t last = 0, host;
	for (size_t i = 0; i < s->spec->gids.n; i++)
		last = MAX(last, s->spec->gids.v[i].ctr + (s->spec->gids.v[i].size - 1));
	char text[32];
	(void) snprintf(text, sizeof(text), "0 %u", s->spec->gids.n == 1 && id_map_to_host(&s->spec->gids, last, &host) ? last : 0);
	return write_one(s, "net.ipv4.ping_group_range", text, err);
}

int sysctl_apply(struct sandbox *s, struct err *err)
{
	int r = s->ext->ping_group && s->plan.own_netns ? open_ping_group(s, err) : 0;
	for (size_t i = 0; r == 0 && i < s->spec->n_sysctls; i++)
		r = write_one(s, s->spec->sysctls[i].key, s->spec->sysctls[i].value, err);
	return r;
}

int sysctl_lock_userns(struct sandbox *s, struct err *err)
{
	/* no user namespace inside even if seccomp fails (R7): then unshare -U gives ENOSPC */
	if (!s->ext->lock_userns || !s->plan.new_userns)
		return 0;
	return write_one(s, "user.max_user_namespaces", "0", err);
}
