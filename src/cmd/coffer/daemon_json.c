/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer/daemon_json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/fd.h"

#define DAEMON_JSON_MAX (1 << 20)
#define HOSTS_MAX 16

enum key_kind { KEY_STR, KEY_PATH, KEY_BOOL, KEY_HOSTS, KEY_LEVEL, KEY_OBJECT };

#define AT(member) offsetof(struct daemon_config, member)
static const struct key {
	const char *name;
	enum key_kind kind;
	size_t offset;
} keys[] = {
	{"hosts", KEY_HOSTS, AT(hosts)},
	{"group", KEY_STR, AT(group)},
	{"pidfile", KEY_PATH, AT(pidfile)},
	{"debug", KEY_BOOL, AT(debug)},
	{"log-level", KEY_LEVEL, AT(log_level)},
	{"data-root", KEY_PATH, AT(data_root)},
	{"exec-root", KEY_PATH, AT(exec_root)},
	{"userns-remap", KEY_STR, AT(userns_remap)},
	{"runtimes", KEY_OBJECT, AT(runtimes)},
	{"allow-host-userns", KEY_BOOL, AT(allow[ALLOW_USERNS])},
	{"allow-host-network", KEY_BOOL, AT(allow[ALLOW_NETWORK])},
	{"allow-host-pid", KEY_BOOL, AT(allow[ALLOW_PID])},
	{"allow-host-ipc", KEY_BOOL, AT(allow[ALLOW_IPC])},
	{"allow-host-uts", KEY_BOOL, AT(allow[ALLOW_UTS])},
	{"allow-host-cgroupns", KEY_BOOL, AT(allow[ALLOW_CGROUPNS])},
	{"allow-host-oom-score", KEY_BOOL, AT(allow[ALLOW_OOM_SCORE])},
	{"selinux-process-type", KEY_STR, AT(selinux_process_type)},
	{"selinux-file-type", KEY_STR, AT(selinux_file_type)},
};
#undef AT

/* docker's keys that have no meaning here yet: a file that says them asks for something that it would not get. */
static const char *const refused[] = {
	"allow-nondistributable-artifacts", "api-cors-header", "authorization-plugins", "bip", "bridge", "bridge-accept-fwmark", "builder", "cgroup-parent", "containerd",
	"containerd-namespace", "containerd-plugins-namespace", "cpu-rt-period", "cpu-rt-runtime", "data-root-size", "default-address-pools", "default-cgroupns-mode",
	"default-gateway", "default-gateway-v6", "default-ipc-mode", "default-network-opts", "default-runtime", "default-shm-size", "default-ulimits", "dns", "dns-opts",
	"dns-search", "exec-opts", "experimental", "features", "firewall-backend", "fixed-cidr", "fixed-cidr-v6", "host-gateway-ip", "http-proxy", "https-proxy", "icc",
	"init", "init-path", "insecure-registries", "ip", "ip-forward", "ip-masq", "ip6tables", "iptables", "ipv6", "labels", "live-restore", "log-driver", "log-format",
	"log-opts", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "metrics-addr", "mtu", "no-new-privileges", "no-proxy", "node-generic-resources",
	"oom-score-adjust", "proxies", "raw-logs", "registry-mirrors", "rootless", "seccomp-profile", "selinux-enabled", "shutdown-timeout", "storage-driver", "storage-opts",
	"swarm-default-advertise-addr", "tls", "tlscacert", "tlscert", "tlskey", "tlsverify", "userland-proxy", "userland-proxy-path", "validate",
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (str_eq(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int unknown_key(const char *path, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (str_eq(refused[i], name))
			return err_set(err, ERR_UNSUPPORTED, "%s: %s: this key of docker's is not there yet: take it out", path, name);
	char known[512] = "";
	for (size_t i = 0, n = 0; i < ARRAY_LEN(keys) && n < sizeof(known); i++)
		n += (size_t) snprintf(known + n, sizeof(known) - n, "%s%s", i ? ", " : "", keys[i].name);
	return err_set(err, ERR_INVALID, "%s: %.80s: unknown key; known are %s", path, name, known);
}

int daemon_host_check(const char *what, const char *host, struct err *err)
{
	const char *path = str_after(host, "unix://");
	if (str_eq(host, "fd://"))
		return 0;
	if (!path)
		return err_set(err, ERR_INVALID, "%s: '%.200s': only unix:///PATH and fd:// are taken: an engine on the network would be root for everybody on it", what, host);
	if (*path != '/')
		return err_set(err, ERR_INVALID, "%s: '%.200s': the path behind unix:// is not absolute", what, host);
	if (strlen(path) >= sizeof(((struct sockaddr_un *) 0)->sun_path))
		return err_set(err, ERR_INVALID, "%s: '%.200s': a socket's path has at most %zu bytes", what, host, sizeof(((struct sockaddr_un *) 0)->sun_path) - 1);
	return 0;
}

int daemon_log_level_check(const char *what, const char *level, struct err *err)
{
	static const char *const names[] = {"debug", "info", "warn", "error", "fatal"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], level))
			return 0;
	return err_set(err, ERR_INVALID, "%s: '%.60s' is none of debug, info, warn, error, fatal", what, level);
}

static int read_hosts(const char *what, const struct json *doc, char ***ret, struct err *err)
{
	int r = json_read_strv(doc, "hosts", ret, err);
	if (r >= 0 && strv_len(*ret) > HOSTS_MAX)
		return err_set(err, ERR_INVALID, "%s: %zu hosts, at most %d are taken", what, strv_len(*ret), HOSTS_MAX);
	STRV_FOREACH(host, *ret)
		if (r >= 0)
			r = daemon_host_check(what, host, err);
	return r;
}

static int read_key(const char *what, const struct json *doc, const struct key *k, struct daemon_config *c, struct err *err)
{
	void *at = (char *) c + k->offset;
	const char *s = NULL;
	int r;
	switch (k->kind) {
	case KEY_BOOL:
		return json_read_bool(doc, k->name, at, err);
	case KEY_OBJECT:
		return json_read_obj(doc, k->name, at, err);
	case KEY_HOSTS:
		return read_hosts(what, doc, at, err);
	default:
		break;
	}
	r = json_read_str(doc, k->name, &s, err);
	if (r < 0 || str_empty(s))
		return r;
	if (k->kind == KEY_PATH && *s != '/')
		return err_set(err, ERR_INVALID, "%s: '%.200s' is not an absolute path", what, s);
	if (k->kind == KEY_LEVEL && (r = daemon_log_level_check(what, s, err)) < 0)
		return r;
	*(const char **) at = s;
	return 0;
}

static int read_doc(const char *path, struct daemon_config *c, struct err *err)
{
	char what[PATH_MAX + 64];
	if (json_kind(c->doc) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected an object, got %s", path, json_kind_name(json_kind(c->doc)));
	JSON_FOREACH_MEMBER(name, value, c->doc) {
		const struct key *k = find_key(name);
		if (!k)
			return unknown_key(path, name, err);
		(void) snprintf(what, sizeof(what), "%s: %s", path, k->name);
		struct err why = {0};
		int r = read_key(what, c->doc, k, c, &why);
		if (r < 0 && !strstr(why.msg, path)) /* a typed read's: it names the key alone */
			(void) err_wrap(&why, "%s", path);
		if (r < 0) {
			*err = why;
			return r;
		}
	}
	return 0;
}

int daemon_config_read(const char *path, bool must, struct daemon_config *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	*ret = (struct daemon_config) {NULL};
	ssize_t n = read_file(AT_FDCWD, path, DAEMON_JSON_MAX, &text);
	if (!must && (n == -ENOENT || n == -ENOTDIR))
		return 0;
	if (n < 0)
		return err_sys(err, (int) n, "reading %s", path);
	int r = json_parse(text, (size_t) n, DAEMON_JSON_MAX, path, &ret->doc, err);
	if (r >= 0)
		r = read_doc(path, ret, err);
	if (r < 0)
		daemon_config_done(ret);
	return r;
}

void daemon_config_done(struct daemon_config *c)
{
	c->hosts = strv_free(c->hosts);
	c->doc = json_free(c->doc);
}
