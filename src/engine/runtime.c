/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes: ours, the sandbox ("coffer"), and those of other projects that the operator allows by name. A client says a name, never a path
 * (HostConfig.Runtime): names and paths are daemon.json's "runtimes", and three names are known by themselves when the program is installed.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "seccomp/compile.h"

#define SECCOMP_MAX (1u << 20)

static const char *const known_names[] = {"runc", "crun", "coffer-oci"};
static const char *const known_dirs[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};

bool runtime_is_foreign(const struct container_request *r)
{
	return !str_empty(r->runtime) && !str_eq(r->runtime, "coffer");
}

int runtimes_read(struct engine *e, const struct json *map, struct err *err)
{
	JSON_FOREACH_MEMBER(name, v, map) {
		const char *path = NULL;
		if (json_kind(v) != JSON_KIND_OBJECT)
			return err_set(err, ERR_INVALID, "runtimes: '%.60s': expected an object with a path, got %s", name, json_kind_name(json_kind(v)));
		int rc = json_read_str(v, "path", &path, err);
		if (rc < 0)
			return err_wrap(err, "runtimes: '%.60s'", name);
		if (str_eq(name, "coffer") || str_empty(name))
			return err_set(err, ERR_INVALID, "runtimes: '%.60s' cannot be given another path: it is the sandbox of this program", name);
		if (!path || path[0] != '/')
			return err_set(err, ERR_INVALID, "runtimes: '%.60s': path '%.200s' is not absolute", name, path ?: "");
		if (keyval_add(&e->runtimes, &e->n_runtimes, name, path) < 0)
			return err_oom(err);
	}
	return 0;
}

/* A program that runs as root must be nobody else's to change. */
static int check_program(const char *path, struct err *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "'%s'", path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return err_set(err, ERR_INVALID, "'%s' is not a program", path);
	if (st.st_uid != 0 || st.st_mode & 0022)
		return err_set(err, ERR_DENIED, "'%s' can be changed by others than root", path);
	return 0;
}

/* Beside this program, then where distributions put theirs. Return: 1 found, 0 not. */
static int find_known(const struct engine *e, const char *name, char *buf)
{
	const char *slash = e->self_path ? strrchr(e->self_path, '/') : NULL;
	struct err ignored;
	if (slash && str_format(buf, PATH_MAX, "%.*s/%s", (int) (slash - e->self_path), e->self_path, name) > 0 && check_program(buf, &ignored) == 0)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(known_dirs); i++)
		if (str_format(buf, PATH_MAX, "%s/%s", known_dirs[i], name) > 0 && check_program(buf, &ignored) == 0)
			return 1;
	return 0;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known_names); i++)
		if (str_eq(known_names[i], name))
			return true;
	return false;
}

int runtime_path(const struct engine *e, const char *name, char *buf, struct err *err)
{
	for (size_t i = 0; i < e->n_runtimes; i++)
		if (str_eq(e->runtimes[i].key, name)) {
			if (str_copy(buf, PATH_MAX, e->runtimes[i].value) < 0)
				return err_sys(err, -ENAMETOOLONG, "the path of runtime '%s'", name);
			int rc = check_program(buf, err);
			return rc < 0 ? err_wrap(err, "runtime '%s' of daemon.json", name) : 0;
		}
	if (!is_known(name))
		return err_set(err, ERR_INVALID, "HostConfig.Runtime (--runtime) '%.60s' is no runtime of this host: coffer, runc, crun and coffer-oci are known where "
						 "they are installed, others by \"runtimes\" in /etc/coffer/daemon.json", str_is_plain(name) ? name : "?");
	if (!find_known(e, name, buf))
		return err_set(err, ERR_UNSUPPORTED, "HostConfig.Runtime (--runtime) '%s': not installed in /usr/bin, /usr/sbin or /usr/local/bin", name);
	return 0;
}

int runtime_check(const struct engine *e, const struct container_request *r, struct err *err)
{
	char path[PATH_MAX];
	if (!runtime_is_foreign(r))
		return 0;
	if (!str_empty(r->domainname)) /* runc before 1.2 passes the property over without a word */
		return err_set(err, ERR_UNSUPPORTED, "Config.Domainname (--domainname) does not go with HostConfig.Runtime (--runtime): not every runtime sets it");
	return runtime_path(e, r->runtime, path, err);
}

void runtimes_write(const struct engine *e, struct json_writer *w)
{
	char path[PATH_MAX];
	struct err ignored;
	const char *extra[ARRAY_LEN(known_names)];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(known_names); i++) {
		bool own = false;
		for (size_t k = 0; k < e->n_runtimes; k++)
			own |= str_eq(e->runtimes[k].key, known_names[i]);
		if (!own)
			extra[n++] = known_names[i];
	}
	jw_obj(w, "Runtimes");
	jw_obj(w, "coffer");
	jw_str(w, "path", "coffer-monitor");
	jw_end(w);
	for (size_t i = 0; i < e->n_runtimes + n; i++) {
		const char *name = i < e->n_runtimes ? e->runtimes[i].key : extra[i - e->n_runtimes];
		if (runtime_path(e, name, path, &ignored) < 0)
			continue;
		jw_obj(w, name);
		jw_str(w, "path", path);
		jw_end(w);
	}
	jw_end(w);
}

/* linux.seccomp for a runtime that has a compiler of its own: the same profile, its gates resolved for this container. */
int runtime_seccomp(const struct container_request *r, char **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(SECCOMP_MAX);
	_cleanup_seccomp_profile_ struct seccomp_profile *own = NULL;
	struct seccomp_env env;
	struct security sec;
	uint64_t caps;
	int rc = security_parse(r, &sec, err);
	rc = rc < 0 ? rc : caps_resolve(r, &caps, err);
	if (rc < 0 || sec.seccomp_unconfined)
		return rc;
	if (sec.seccomp_json)
		rc = seccomp_profile_parse(sec.seccomp_json, strlen(sec.seccomp_json), "seccomp profile", &own, err);
	seccomp_env_init(&env);
	env.caps = caps;
	rc = rc < 0 ? rc : seccomp_profile_write_oci(own ?: seccomp_profile_default(), &env, &out, err);
	if (rc < 0)
		return rc;
	*ret = strbuf_steal(&out);
	return 0;
}
