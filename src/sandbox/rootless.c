/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id maps of an ordinary user's container: a single id, their own, may be written by themselves; anything more only by newuidmap(1)
 * and newgidmap(1), which check /etc/subuid and /etc/subgid. The two are run from their fixed place with numbers alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/confine.h"
#include "sandbox/internal.h"

static bool is_own_id(const struct id_map *m, uint32_t id)
{
	return m->n == 1 && m->v[0].size == 1 && m->v[0].host == id;
}

static int write_own(const struct sandbox *s, const char *file, const char *text, struct err *err)
{
	char path[64];
	(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) s->child.pid, file);
	int r = write_file(AT_FDCWD, path, text);
	return r < 0 ? err_sys(err, r, "writing %s", file) : 0;
}

static int write_single(const struct sandbox *s, const char *file, const struct id_map *m, struct err *err)
{
	char text[48];
	(void) snprintf(text, sizeof(text), "%u %u 1\n", m->v[0].ctr, m->v[0].host);
	return write_own(s, file, text, err);
}

static int run_helper(const struct sandbox *s, const char *program, const char *field, const struct id_map *m, struct err *err)
{
	static char *const no_env[] = {NULL};
	_cleanup_strv_ char **argv = NULL;
	char number[16];
	int r = strv_push(&argv, program);
	(void) snprintf(number, sizeof(number), "%d", (int) s->child.pid);
	r = r < 0 ? r : strv_push(&argv, number);
	for (size_t i = 0; r == 0 && i < m->n; i++) {
		const uint32_t v[] = {m->v[i].ctr, m->v[i].host, m->v[i].size};
		for (size_t k = 0; r == 0 && k < ARRAY_LEN(v); k++) {
			(void) snprintf(number, sizeof(number), "%u", v[k]);
			r = strv_push(&argv, number);
		}
	}
	if (r < 0)
		return err_oom(err);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "fork");
	if (pid == 0) {
		signals_reset();
		if (close_from(3) == 0)
			execve(program, argv, no_env);
		_exit(127);
	}
	int status = 0;
	r = process_wait(pid, &status);
	if (r < 0)
		return err_sys(err, r, "waiting for %s", program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, ERR_DENIED, "linux.%s: %s refused it (exit code %d): is the range yours in /etc/%s, and is the package uidmap installed?", field, program,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), field[0] == 'u' ? "subuid" : "subgid");
}

int rootless_maps(struct sandbox *s, struct err *err)
{
	const struct runtime_spec *spec = s->spec;
	int r;
	if (is_own_id(&spec->uids, geteuid()))
		r = write_single(s, "uid_map", &spec->uids, err);
	else
		r = run_helper(s, "/usr/bin/newuidmap", "uidMappings", &spec->uids, err);
	if (r < 0)
		return r;
	if (!is_own_id(&spec->gids, getegid()))
		return run_helper(s, "/usr/bin/newgidmap", "gidMappings", &spec->gids, err);
	r = write_own(s, "setgroups", "deny", err); /* user_namespaces(7): before a gid_map of one's own */
	return r < 0 ? r : write_single(s, "gid_map", &spec->gids, err);
}
