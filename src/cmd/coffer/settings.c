/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define BUILD_TREE "/src/cmd/coffer/coffer" /* what this program's path ends in when it runs where it was built */

static bool holds_monitor(const char *dir)
{
	char path[PATH_MAX];
	return str_format(path, sizeof(path), "%s/coffer-monitor", dir) > 0 && access(path, X_OK) == 0;
}

/* If this program's path ends in @tail, the helpers may be in what precedes it with @dir behind. */
static bool beside(struct settings *s, const char *tail, const char *dir)
{
	size_t len = strlen(s->self), n = strlen(tail);
	return len > n && strcmp(s->self + len - n, tail) == 0 && str_format(s->libexec, sizeof(s->libexec), "%.*s%s", (int) (len - n), s->self, dir) >= 0 &&
	       holds_monitor(s->libexec);
}

/* The helpers: where the environment says, beside this program, in the build tree's or an installation's layout, or where the build
 * was told that they would be. */
static int find_libexec(struct settings *s, struct err *err)
{
	const char *env = getenv("COFFER_LIBEXEC");
	if (!str_empty(env) && *env != '/')
		return err_set(err, ERR_INVALID, "COFFER_LIBEXEC '%.200s' is not an absolute path", env);
	if (!str_empty(env))
		return str_copy(s->libexec, sizeof(s->libexec), env) < 0 ? err_set(err, ERR_INVALID, "COFFER_LIBEXEC is too long") : 0;
	if (beside(s, "/coffer", "") || beside(s, BUILD_TREE, "/libexec") || beside(s, "/bin/coffer", "/libexec/coffer"))
		return 0;
	return str_copy(s->libexec, sizeof(s->libexec), COFFER_LIBEXEC_DIR) < 0 ? err_set(err, ERR_INVALID, "the helpers' path is too long") : 0;
}

static bool is_daemon(const char *self)
{
	const char *name = strrchr(self, '/');
	return name && str_eq(name + 1, "cofferd");
}

/* The daemon's monitors call `coffer` when it has gone: beside it, or in the build tree's layout. */
static int find_coffer(struct settings *s, struct err *err)
{
	static const char *const places[] = {"coffer", "../coffer/coffer"};
	char dir[PATH_MAX], path[PATH_MAX];
	(void) str_format(dir, sizeof(dir), "%.*s", (int) (strrchr(s->self, '/') - s->self), s->self); /* fits: it is shorter */
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (str_format(path, sizeof(path), "%s/%s", dir, places[i]) < 0 || access(path, X_OK) < 0)
			continue;
		if (!realpath(path, s->self))
			return err_sys(err, -errno, "finding coffer by '%s'", path);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no coffer beside cofferd in '%s': install both", dir);
}

static int find_self(struct settings *s, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);
	if (n < 0)
		return err_sys(err, -errno, "finding this program by /proc/self/exe");
	s->self[n] = '\0';
	return is_daemon(s->self) ? find_coffer(s, err) : 0;
}

static int unknown_allow(const char *word, size_t n, struct err *err)
{
	char known[256] = "";
	for (size_t i = 0, k = 0; i < ALLOW_MAX_ && k < sizeof(known); i++)
		k += (size_t) snprintf(known + k, sizeof(known) - k, "%s%s", i ? ", " : "", engine_allow_names[i]);
	return err_set(err, ERR_INVALID, "COFFER_ALLOW_HOST: '%.*s' is not known: use one or several of %s, with commas", (int) MIN(n, (size_t) 60), word, known);
}

/* COFFER_ALLOW_HOST=userns,network,... */
static int read_allow(struct engine_config *c, const char *list, struct err *err)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ","), i = 0;
		while (i < ALLOW_MAX_ && !(strlen(engine_allow_names[i]) == n && strncmp(p, engine_allow_names[i], n) == 0))
			i++;
		if (i < ALLOW_MAX_)
			c->allow[i] = true;
		else if (n > 0)
			return unknown_allow(p, n, err);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* The file's word, else the environment's in either spelling. */
static const char *proxy(const char *configured, const char *name, const char *lower)
{
	const char *v = configured ?: getenv(name);
	return v ?: getenv(lower);
}

static int read_daemon_json(struct settings *s, const char *config_file, struct err *err)
{
	struct daemon_config *d = &s->daemon;
	int r = daemon_config_read(config_file ? config_file : DAEMON_JSON, /* must= */ config_file != NULL, d, err);
	if (r < 0)
		return r;
	if (engine_log_defaults_check(d->log_driver, d->log_opts, err) < 0) {
		daemon_config_done(d);
		return err_wrap(err, "%s", config_file ? config_file : DAEMON_JSON);
	}
	if (engine_network_words_check(&d->networks, err) < 0) {
		daemon_config_done(d);
		return err_wrap(err, "%s", config_file ? config_file : DAEMON_JSON);
	}
	s->engine.networks = &d->networks;
	memcpy(s->engine.allow, d->allow, sizeof(s->engine.allow));
	s->engine.userns_remap = d->userns_remap;
	s->engine.runtimes = d->runtimes;
	s->engine.log_driver = d->log_driver;
	s->engine.log_opts = d->log_opts;
	s->engine.selinux_process_type = d->selinux_process_type;
	s->engine.selinux_file_type = d->selinux_file_type;
	s->engine.insecure_registries = d->insecure_registries;
	s->engine.registry_mirrors = d->registry_mirrors;
	s->engine.signature_policy = d->signature_policy;
	s->engine.http_proxy = proxy(d->http_proxy, "HTTP_PROXY", "http_proxy");
	s->engine.https_proxy = proxy(d->https_proxy, "HTTPS_PROXY", "https_proxy");
	s->engine.no_proxy = proxy(d->no_proxy, "NO_PROXY", "no_proxy");
	return 0;
}

static int read_dir(const char *name, const char *fallback, const char **ret, struct err *err)
{
	const char *v = getenv(name);
	if (str_empty(v))
		v = fallback;
	if (*v != '/')
		return err_set(err, ERR_INVALID, "%s '%.200s' is not an absolute path", name, v);
	*ret = v;
	return 0;
}

int settings_read(struct settings *s, const char *config_file, struct err *err)
{
	int r;
	const char *allow = getenv("COFFER_ALLOW_HOST");
	memset(&s->engine, 0, sizeof(s->engine));
	s->daemon = (struct daemon_config) {NULL};
	if ((r = find_self(s, err)) < 0 || (r = find_libexec(s, err)) < 0 || (r = read_daemon_json(s, config_file, err)) < 0 ||
	    (r = read_dir("COFFER_ROOT", s->daemon.data_root ?: "/var/lib/coffer", &s->engine.state_dir, err)) < 0 ||
	    (r = read_dir("COFFER_RUN", s->daemon.exec_root ?: "/run/coffer", &s->engine.run_dir, err)) < 0 || (r = read_allow(&s->engine, allow ? allow : "", err)) < 0)
		return r;
	s->engine.self_path = s->self;
	s->engine.libexec_dir = s->libexec;
	return 0;
}

void settings_done(struct settings *s)
{
	daemon_config_done(&s->daemon);
}
