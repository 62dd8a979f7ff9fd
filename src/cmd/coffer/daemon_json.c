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

enum key_kind { KEY_STR, KEY_PATH, KEY_BOOL, KEY_HOSTS, KEY_LEVEL, KEY_OBJECT, KEY_STRV, KEY_PROXIES, KEY_ARRAY, KEY_NUMBER };

#define AT(member) offsetof(struct daemon_config, member)
static const struct key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	const char *help; /* one line for the manual page */
} keys[] = {
	{"hosts", KEY_HOSTS, AT(hosts), "Where cofferd listens: unix:///PATH, or fd:// for the sockets of a service manager. The default is unix:///run/coffer/coffer.sock"},
	{"group", KEY_STR, AT(group), "Who may use the sockets besides root: a group's name or number. The default is coffer, if there is such a group"},
	{"pidfile", KEY_PATH, AT(pidfile), "Where cofferd writes its process id"},
	{"debug", KEY_BOOL, AT(debug), "Whether cofferd says more on stderr"},
	{"log-level", KEY_LEVEL, AT(log_level), "What cofferd says on stderr: debug, info (the default), warn, error or fatal"},
	{"data-root", KEY_PATH, AT(data_root), "Where the state is kept. The default is /var/lib/coffer; the environment's COFFER_ROOT goes first"},
	{"exec-root", KEY_PATH, AT(exec_root), "Where the run-time state is kept. The default is /run/coffer; the environment's COFFER_RUN goes first"},
	{"userns-remap", KEY_STR, AT(userns_remap), "One shared user namespace map for every container, docker's way: user[:group] or uid[:gid], with ranges in /etc/subuid and /etc/subgid"},
	{"runtimes", KEY_OBJECT, AT(runtimes), "Other OCI runtimes for --runtime, by name: {\"NAME\": {\"path\": \"/usr/bin/crun\"}}"},
	{"insecure-registries", KEY_STRV, AT(insecure_registries), "Registries whose certificates are not verified and that may speak plain HTTP: host[:port], or addresses as NET/BITS"},
	{"registry-mirrors", KEY_STRV, AT(registry_mirrors), "Base addresses that are asked before docker.io, without credentials"},
	{"proxies", KEY_PROXIES, AT(http_proxy), "Proxies for registries: {\"http-proxy\": ..., \"https-proxy\": ..., \"no-proxy\": ...}. The default is the environment's HTTP_PROXY and its like"},
	{"signature-policy", KEY_PATH, AT(signature_policy), "Which images may come in, as containers-policy.json(5). The default is /etc/containers/policy.json; without a file every image may"},
	{"log-driver", KEY_STR, AT(log_driver), "Log driver of containers that name none: json-file (default), local, none"},
	{"log-opts", KEY_OBJECT, AT(log_opts), "Options for that driver: {\"max-size\": \"10m\", \"max-file\": \"3\"}"},
	{"default-address-pools", KEY_ARRAY, AT(networks.pools), "Where networks that give no subnet get one: [{\"base\": \"10.64.0.0/12\", \"size\": 24}, ...], IPv4 and IPv6. The default is docker's"},
	{"bip", KEY_STR, AT(networks.bip), "The default network's gateway and subnet: 10.200.0.1/24"},
	{"fixed-cidr", KEY_STR, AT(networks.fixed_cidr), "The part of bip's subnet that containers get addresses of"},
	{"ipv6", KEY_BOOL, AT(networks.ipv6), "Whether the default network has IPv6, too"},
	{"fixed-cidr-v6", KEY_STR, AT(networks.fixed_cidr6), "The default network's IPv6 subnet. The default is one of default-address-pools, or a random one of fd00::/8"},
	{"ip", KEY_STR, AT(networks.ip), "The address on which containers of the default network publish ports that name none. The default is every address"},
	{"mtu", KEY_NUMBER, AT(networks.mtu), "The MTU of the default network"},
	{"icc", KEY_BOOL, AT(networks.icc), "Whether containers of the default network reach each other. The default is true"},
	{"allow-host-userns", KEY_BOOL, AT(allow[ALLOW_USERNS]), "Whether --userns host may be asked for"},
	{"allow-host-network", KEY_BOOL, AT(allow[ALLOW_NETWORK]), "Whether --network host may be asked for"},
	{"allow-host-pid", KEY_BOOL, AT(allow[ALLOW_PID]), "Whether --pid host may be asked for"},
	{"allow-host-ipc", KEY_BOOL, AT(allow[ALLOW_IPC]), "Whether --ipc host may be asked for"},
	{"allow-host-uts", KEY_BOOL, AT(allow[ALLOW_UTS]), "Whether --uts host may be asked for"},
	{"allow-host-cgroupns", KEY_BOOL, AT(allow[ALLOW_CGROUPNS]), "Whether --cgroupns host may be asked for"},
	{"allow-host-oom-score", KEY_BOOL, AT(allow[ALLOW_OOM_SCORE]), "Whether --oom-score-adj may be below 0"},
	{"selinux-process-type", KEY_STR, AT(selinux_process_type), "The SELinux type of containers' processes"},
	{"selinux-file-type", KEY_STR, AT(selinux_file_type), "The SELinux type of containers' files"},
};
#undef AT

/* docker's keys that have no meaning here yet: a file that says them asks for something that it would not get. */
static const char *const refused[] = {
	"allow-nondistributable-artifacts", "api-cors-header", "authorization-plugins", "bridge", "bridge-accept-fwmark", "builder", "cgroup-parent", "containerd",
	"containerd-namespace", "containerd-plugins-namespace", "cpu-rt-period", "cpu-rt-runtime", "data-root-size", "default-cgroupns-mode",
	"default-gateway", "default-gateway-v6", "default-ipc-mode", "default-network-opts", "default-runtime", "default-shm-size", "default-ulimits", "dns", "dns-opts",
	"dns-search", "exec-opts", "experimental", "features", "firewall-backend", "host-gateway-ip", "http-proxy", "https-proxy",
	"init", "init-path", "ip-forward", "ip-masq", "ip6tables", "iptables", "labels", "live-restore", "log-format",
	"max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "metrics-addr", "no-new-privileges", "no-proxy", "node-generic-resources",
	"oom-score-adjust", "raw-logs", "rootless", "seccomp-profile", "selinux-enabled", "shutdown-timeout", "storage-driver", "storage-opts",
	"swarm-default-advertise-addr", "tls", "tlscacert", "tlscert", "tlskey", "tlsverify", "userland-proxy", "userland-proxy-path", "validate",
};

bool daemon_key(size_t i, struct daemon_key *ret)
{
	static const char *const kinds[] = {
		[KEY_STR] = "text", [KEY_PATH] = "absolute path", [KEY_BOOL] = "true or false", [KEY_HOSTS] = "list", [KEY_LEVEL] = "text", [KEY_OBJECT] = "object",
		[KEY_STRV] = "list", [KEY_PROXIES] = "object", [KEY_ARRAY] = "list", [KEY_NUMBER] = "number",
	};
	if (i >= ARRAY_LEN(keys))
		return false;
	*ret = (struct daemon_key) {keys[i].name, (size_t) keys[i].kind < ARRAY_LEN(kinds) ? kinds[keys[i].kind] : NULL, keys[i].help};
	return true;
}

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

/* {"http-proxy": "...", "https-proxy": "...", "no-proxy": "..."} */
static int read_proxies(const char *what, const struct json *doc, struct daemon_config *c, struct err *err)
{
	const struct json *v = NULL;
	int r = json_read_obj(doc, "proxies", &v, err);
	if (r < 0 || !v)
		return r;
	JSON_FOREACH_MEMBER(key, value, v)
		if (!str_eq(key, "http-proxy") && !str_eq(key, "https-proxy") && !str_eq(key, "no-proxy"))
			return err_set(err, ERR_INVALID, "%s: %.60s: unknown key; known are http-proxy, https-proxy, no-proxy", what, key);
	r = json_read_str(v, "http-proxy", &c->http_proxy, err);
	if (r >= 0)
		r = json_read_str(v, "https-proxy", &c->https_proxy, err);
	return r < 0 ? r : json_read_str(v, "no-proxy", &c->no_proxy, err);
}

static int read_strv(const char *what, const struct json *doc, const char *name, char ***ret, struct err *err)
{
	int r = json_read_strv(doc, name, ret, err);
	STRV_FOREACH(s, *ret)
		if (r >= 0 && (!*s || !str_is_plain(s) || strlen(s) > 1000))
			r = err_set(err, ERR_INVALID, "%s: an empty or unreadable entry", what);
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
	case KEY_ARRAY:
		return json_read_arr(doc, k->name, at, err);
	case KEY_NUMBER:
		return json_read_u32(doc, k->name, at, err);
	case KEY_HOSTS:
		return read_hosts(what, doc, at, err);
	case KEY_STRV:
		return read_strv(what, doc, k->name, at, err);
	case KEY_PROXIES:
		return read_proxies(what, doc, c, err);
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
	*ret = (struct daemon_config) {.networks = {.icc = true}};
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
	c->insecure_registries = strv_free(c->insecure_registries);
	c->registry_mirrors = strv_free(c->registry_mirrors);
	c->doc = json_free(c->doc);
}
