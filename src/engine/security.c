/* SPDX-License-Identifier: Apache-2.0 */
/* HostConfig.SecurityOpt, tmpfs options, and what an image contributes to a request. */
#include <errno.h>

#include "apimodel/target.h"
#include "base/num.h"
#include "engine/apparmor.h"
#include "engine/health.h"
#include "engine/internal.h"
#include "engine/selinux.h"

static int parse_bool(const char *opt, const char *v, bool *ret, struct err *err)
{
	if (str_eq(v, "true") || str_eq(v, "1"))
		*ret = true;
	else if (str_eq(v, "false") || str_eq(v, "0"))
		*ret = false;
	else
		return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): %s: '%.32s' is neither true nor false", opt, v);
	return 0;
}

static int parse_seccomp(const char *v, struct security *s, struct err *err)
{
	s->seccomp_unconfined = str_eq(v, "unconfined");
	s->seccomp_json = NULL;
	if (s->seccomp_unconfined || str_eq(v, "builtin") || str_eq(v, "default"))
		return 0;
	if (*v != '{' && *v != '[' && *v != ' ' && *v != '\n')
		return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): seccomp: expected unconfined, builtin or the text of a profile, got '%.64s'", v);
	s->seccomp_json = v;
	return 0;
}

/* "disable", "type:svirt_t", "level:s0:c1,c2", ... */
static int parse_label(const char *v, struct security *s, struct err *err)
{
	const struct {
		const char *part;
		const char **ret;
	} rows[] = {{"user", &s->label_user}, {"role", &s->label_role}, {"type", &s->label_type}, {"level", &s->label_level}, {"filetype", &s->label_filetype}};
	s->label_disable = str_eq(v, "disable");
	if (s->label_disable)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *value = str_after(v, rows[i].part);
		if (!value || *value != ':')
			continue;
		*rows[i].ret = value + 1;
		return selinux_word_check(rows[i].part, value + 1, err);
	}
	return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): label: '%.64s' is not disable, user:U, role:R, type:T, level:L or filetype:T", v);
}

static int parse_apparmor(const char *v, struct security *s, struct err *err)
{
	s->apparmor = str_eq(v, APPARMOR_DEFAULT) ? NULL : v;
	return s->apparmor ? apparmor_name_check(v, err) : 0;
}

/* "key=value" or docker's old "key:value". */
static int parse_one(const char *opt, struct security *s, struct err *err)
{
	char key[32];
	size_t n = strcspn(opt, "=:");
	const char *v = opt[n] ? opt + n + 1 : "";
	if (n >= sizeof(key))
		return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): unknown option '%.64s'", opt);
	memcpy(key, opt, n);
	key[n] = '\0';
	if (str_eq(key, "no-new-privileges"))
		return opt[n] ? parse_bool(key, v, &s->no_new_privileges, err) : 0;
	if (str_eq(key, "seccomp"))
		return parse_seccomp(v, s, err);
	if (str_eq(key, "systempaths") && str_eq(v, "unconfined")) {
		s->system_paths_unconfined = true;
		return 0;
	}
	if (str_eq(key, "landlock") && str_eq(v, "unconfined")) {
		s->landlock_unconfined = true;
		return 0;
	}
	if (str_eq(key, "apparmor"))
		return parse_apparmor(v, s, err);
	if (str_eq(key, "label"))
		return parse_label(v, s, err);
	return err_set(err, ERR_INVALID, "HostConfig.SecurityOpt (--security-opt): unknown option '%.64s'", opt);
}

int security_parse(const struct container_request *r, struct security *ret, struct err *err)
{
	struct security s = {.no_new_privileges = !r->privileged};
	if (r->privileged)
		s = (struct security){.seccomp_unconfined = true, .system_paths_unconfined = true, .landlock_unconfined = true, .label_disable = true, .apparmor = APPARMOR_UNCONFINED};
	STRV_FOREACH(opt, r->security_opt) {
		int rc = parse_one(opt, &s, err);
		if (rc < 0)
			return rc;
	}
	*ret = s;
	return 0;
}

/* Tmpfs */

static const char *const tmpfs_flags[] = {"ro", "rw", "nosuid", "nodev", "noexec", "exec", "noatime", "relatime", "strictatime", "nodiratime", "sync", "dirsync"};
static const char *const tmpfs_keys[] = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"};

static bool listed(const char *const *v, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i], s))
			return true;
	return false;
}

/* "size=64m", "mode=700", "exec": into @out. Sizes are passed on in bytes, since the kernel knows fewer suffixes than people. */
static int tmpfs_option(const struct mount_request *m, const char *opt, char ***out, struct err *err)
{
	if (listed(tmpfs_flags, ARRAY_LEN(tmpfs_flags), opt))
		return strv_push(out, opt) < 0 ? err_oom(err) : 0;
	char key[16], buf[64];
	const char *eq = strchr(opt, '=');
	uint64_t n = 0;
	uint32_t mode;
	if (!eq || (size_t) (eq - opt) >= sizeof(key))
		return err_set(err, ERR_INVALID, "HostConfig.Tmpfs (--tmpfs) '%.200s': unknown option '%.64s'", m->target, opt);
	memcpy(key, opt, (size_t) (eq - opt));
	key[eq - opt] = '\0';
	if (!listed(tmpfs_keys, ARRAY_LEN(tmpfs_keys), key))
		return err_set(err, ERR_INVALID, "HostConfig.Tmpfs (--tmpfs) '%.200s': unknown option '%.64s'", m->target, opt);
	bool bad = str_eq(key, "mode") ? parse_oct(eq + 1, &mode) < 0 || mode > 07777 : parse_size(eq + 1, &n) < 0;
	if (bad)
		return err_set(err, ERR_INVALID, "HostConfig.Tmpfs (--tmpfs) '%.200s': '%.64s' is not a number", m->target, opt);
	if (str_eq(key, "mode"))
		(void) str_format(buf, sizeof(buf), "mode=%o", mode);
	else
		(void) str_format(buf, sizeof(buf), "%s=%llu", key, (unsigned long long) n);
	return strv_push(out, buf) < 0 ? err_oom(err) : 0;
}

static int push_default(char ***out, const char *opt, const char *opposite)
{
	return strv_has(*out, opt) || (opposite && strv_has(*out, opposite)) ? 0 : strv_push(out, opt);
}

int tmpfs_options(const struct mount_request *m, char ***ret, struct err *err)
{
	_cleanup_strv_ char **out = NULL;
	_cleanup_free_ char *text = strdup(m->tmpfs_options ?: "");
	char buf[48];
	if (!text)
		return err_oom(err);
	for (char *p = text, *next; p && *p; p = next) {
		next = strchr(p, ',');
		if (next)
			*next++ = '\0';
		int rc = tmpfs_option(m, p, &out, err);
		if (rc < 0)
			return rc;
	}
	int rc = 0;
	if (m->tmpfs_size) {
		(void) str_format(buf, sizeof(buf), "size=%llu", (unsigned long long) m->tmpfs_size);
		rc = strv_push(&out, buf);
	}
	if (rc >= 0 && m->tmpfs_mode) {
		(void) str_format(buf, sizeof(buf), "mode=%o", m->tmpfs_mode & 07777);
		rc = strv_push(&out, buf);
	}
	rc = rc < 0 ? rc : push_default(&out, "nosuid", NULL);
	rc = rc < 0 ? rc : push_default(&out, "nodev", NULL);
	rc = rc < 0 ? rc : push_default(&out, "noexec", "exec");
	if (rc >= 0 && m->read_only)
		rc = push_default(&out, "ro", NULL);
	if (rc < 0)
		return err_oom(err);
	*ret = take_ptr(out);
	return 0;
}

/* Image */

static bool env_same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0') && n == strcspn(b, "=");
}

/* The image's variables in their order, replaced or (by a bare name) taken away by the request's; then the request's new ones. */
static int merge_env(struct container_request *r, const struct image_config *img)
{
	_cleanup_strv_ char **out = NULL;
	STRV_FOREACH(have, img->env) {
		const char *use = have;
		STRV_FOREACH(mine, r->env)
			if (env_same_key(mine, have))
				use = mine;
		if (strchr(use, '=') && strv_push(&out, use) < 0)
			return -ENOMEM;
	}
	STRV_FOREACH(mine, r->env) {
		bool there = !strchr(mine, '=');
		STRV_FOREACH(have, out)
			there |= env_same_key(mine, have);
		if (there)
			continue;
		if (strv_push(&out, mine) < 0)
			return -ENOMEM;
	}
	/* a later duplicate of the request wins, as in a shell */
	for (char **p = out; p && *p; p++)
		STRV_FOREACH(mine, r->env)
			if (strchr(mine, '=') && env_same_key(mine, *p) && !str_eq(mine, *p)) {
				char *c = strdup(mine);
				if (!c)
					return -ENOMEM;
				free(*p);
				*p = c;
			}
	strv_free(r->env);
	r->env = take_ptr(out);
	return 0;
}

static int merge_labels(struct container_request *r, const struct image_config *img)
{
	struct kv_list all = {0};
	int rc = 0;
	for (size_t i = 0; rc >= 0 && img->label_keys && img->label_keys[i]; i++)
		rc = kv_list_set(&all, img->label_keys[i], img->label_values[i]);
	for (size_t i = 0; rc >= 0 && r->labels.keys && r->labels.keys[i]; i++)
		rc = kv_list_set(&all, r->labels.keys[i], r->labels.values[i]);
	if (rc < 0) {
		kv_list_done(&all);
		return rc;
	}
	kv_list_done(&r->labels);
	r->labels = all;
	return 0;
}

static int merge_str(char **mine, const char *theirs)
{
	if (!str_empty(*mine) || str_empty(theirs))
		return 0;
	free(*mine);
	*mine = strdup(theirs);
	return *mine ? 0 : -ENOMEM;
}

static int merge_list(char ***mine, char *const *theirs)
{
	STRV_FOREACH(s, theirs)
		if (!strv_has(*mine, s) && strv_push(mine, s) < 0)
			return -ENOMEM;
	return 0;
}

static int merge_command(struct container_request *r, const struct image_config *img)
{
	bool own_entrypoint = r->entrypoint_set || (r->entrypoint && r->entrypoint[0]);
	if (own_entrypoint && r->entrypoint && r->entrypoint[0] && !*r->entrypoint[0] && !r->entrypoint[1])
		r->entrypoint = strv_free(r->entrypoint); /* [""] */
	if (!own_entrypoint && strv_dup(img->entrypoint, &r->entrypoint) < 0)
		return -ENOMEM;
	if (!own_entrypoint && !r->cmd && strv_dup(img->cmd, &r->cmd) < 0)
		return -ENOMEM;
	return 0;
}

/* VOLUME lines: R14 says data, so the same rule for targets as for a request. */
static int merge_volumes(struct container_request *r, const struct image_config *img, struct err *err)
{
	STRV_FOREACH(v, img->volumes) {
		_cleanup_free_ char *target = NULL;
		int rc = mount_target_clean("the image's Volumes", v, &target, err);
		if (rc < 0)
			return rc;
		if (!strv_has(r->volumes, target) && strv_push(&r->volumes, target) < 0)
			return err_oom(err);
	}
	return 0;
}

int request_merge_image(struct container_request *r, const struct image_config *img, struct err *err)
{
	int rc = merge_command(r, img);
	rc = rc < 0 ? rc : merge_env(r, img);
	rc = rc < 0 ? rc : merge_labels(r, img);
	rc = rc < 0 ? rc : merge_str(&r->user, img->user);
	rc = rc < 0 ? rc : merge_str(&r->working_dir, img->working_dir);
	rc = rc < 0 ? rc : merge_str(&r->stop_signal, img->stop_signal);
	rc = rc < 0 ? rc : merge_list(&r->exposed_ports, img->exposed_ports);
	if (rc < 0)
		return err_oom(err);
	rc = merge_volumes(r, img, err);
	rc = rc < 0 ? rc : health_merge_image(r, img, err);
	if (rc < 0)
		return rc;
	if (!(r->entrypoint && r->entrypoint[0]) && !(r->cmd && r->cmd[0]))
		return err_set(err, ERR_INVALID, "no command specified");
	return 0;
}
