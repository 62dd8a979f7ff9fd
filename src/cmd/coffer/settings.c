/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

#define DAEMON_JSON "/etc/coffer/daemon.json"
#define DAEMON_JSON_MAX (1 << 20)
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

static int find_self(struct settings *s, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);
	if (n < 0)
		return err_sys(err, -errno, "finding this program by /proc/self/exe");
	s->self[n] = '\0';
	return 0;
}

/* COFFER_ALLOW_HOST=userns,network */
static int read_allow(struct engine_config *c, const char *list, struct err *err)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");
		if (n == 6 && strncmp(p, "userns", n) == 0)
			c->allow_host_userns = true;
		else if (n == 7 && strncmp(p, "network", n) == 0)
			c->allow_host_network = true;
		else if (n > 0)
			return err_set(err, ERR_INVALID, "COFFER_ALLOW_HOST: '%.*s' is not known: use userns, network, or both with a comma",
				       (int) MIN(n, (size_t) 60), p);
		p += n + (p[n] == ',');
	}
	return 0;
}

static int check_keys(const struct json *doc, struct err *err)
{
	static const char *const known[] = {"allow-host-userns", "allow-host-network", "userns-remap", "selinux-process-type", "selinux-file-type", "runtimes"};
	JSON_FOREACH_MEMBER(key, value, doc) {
		bool ok = false;
		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			ok = ok || str_eq(key, known[i]);
		if (!ok)
			return err_set(err, ERR_INVALID, "%s: unknown key '%.80s' (%s): known are allow-host-userns, allow-host-network, userns-remap, selinux-process-type, "
						     "selinux-file-type, runtimes", DAEMON_JSON,
				       key, json_kind_name(json_kind(value)));
	}
	return 0;
}

static int read_daemon_json(struct settings *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(AT_FDCWD, DAEMON_JSON, DAEMON_JSON_MAX, &text);
	if (n == -ENOENT || n == -ENOTDIR)
		return 0;
	if (n < 0)
		return err_sys(err, (int) n, "reading %s", DAEMON_JSON);
	int r = json_parse(text, (size_t) n, DAEMON_JSON_MAX, DAEMON_JSON, &s->daemon, err);
	if (r < 0)
		return r;
	if (json_kind(s->daemon) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "%s: expected an object, got %s", DAEMON_JSON, json_kind_name(json_kind(s->daemon)));
	if ((r = check_keys(s->daemon, err)) < 0 || (r = json_read_bool(s->daemon, "allow-host-userns", &s->engine.allow_host_userns, err)) < 0 ||
	    (r = json_read_bool(s->daemon, "allow-host-network", &s->engine.allow_host_network, err)) < 0 ||
	    (r = json_read_str(s->daemon, "userns-remap", &s->engine.userns_remap, err)) < 0 ||
	    (r = json_read_obj(s->daemon, "runtimes", &s->engine.runtimes, err)) < 0 ||
	    (r = json_read_str(s->daemon, "selinux-process-type", &s->engine.selinux_process_type, err)) < 0 ||
	    (r = json_read_str(s->daemon, "selinux-file-type", &s->engine.selinux_file_type, err)) < 0)
		return r;
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

int settings_read(struct settings *s, struct err *err)
{
	int r;
	const char *allow = getenv("COFFER_ALLOW_HOST");
	memset(&s->engine, 0, sizeof(s->engine));
	s->daemon = NULL;
	if ((r = find_self(s, err)) < 0 || (r = find_libexec(s, err)) < 0 || (r = read_daemon_json(s, err)) < 0 ||
	    (r = read_dir("COFFER_ROOT", "/var/lib/coffer", &s->engine.state_dir, err)) < 0 ||
	    (r = read_dir("COFFER_RUN", "/run/coffer", &s->engine.run_dir, err)) < 0 || (r = read_allow(&s->engine, allow ? allow : "", err)) < 0)
		return r;
	s->engine.self_path = s->self;
	s->engine.libexec_dir = s->libexec;
	return 0;
}

void settings_done(struct settings *s)
{
	s->daemon = json_free(s->daemon);
}
