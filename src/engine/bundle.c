/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a container's row to the OCI document: process, namespaces, ids, paths. Mounts are in bundle_mounts.c, limits in bundle_resources.c, the
 * directory itself in bundle_write.c. A document is data: nothing here touches the machine.
 */
#include "engine/internal.h"

#include <errno.h>
#include <glob.h>

#include "base/num.h"
#include "engine/naming.h"
#include "engine/networking.h"
#include "engine/share.h"
#include "sandbox/defaults.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void hostname_of(const struct container *c, char *buf)
{
	if (str_empty(c->req->hostname)) {
		memcpy(buf, c->id, ID_SHORT_LEN);
		buf[ID_SHORT_LEN] = '\0';
	} else
		(void) str_copy(buf, 65, c->req->hostname); /* at most 63 by policy */
}

void cgroup_path_of(const struct container *c, char *buf)
{
	const char *parent = c->req && c->req->cgroup_parent ? c->req->cgroup_parent : "";
	parent += strspn(parent, "/");
	(void) str_format(buf, MONITOR_PATH_MAX, "coffer/%.80s%s%.80s/%s", c->tenant, *parent ? "/" : "", parent, c->id); /* fits */
}

static int dup_into(char **p, const char *s)
{
	*p = strdup(s);
	return *p ? 0 : -ENOMEM;
}

/* Process */

static int process_args(const struct container_request *r, struct process_spec *p)
{
	STRV_FOREACH(s, r->entrypoint)
		if (strv_push(&p->args, s) < 0)
			return -ENOMEM;
	STRV_FOREACH(s, r->cmd)
		if (strv_push(&p->args, s) < 0)
			return -ENOMEM;
	return 0;
}

/* PATH, HOSTNAME and TERM unless the request says them; HOME is the sandbox's, since it depends on the user. */
static int process_env(const struct container *c, struct process_spec *p)
{
	const struct container_request *r = c->req;
	char host[65], buf[80];
	int rc = 0;
	hostname_of(c, host);
	(void) str_format(buf, sizeof(buf), "HOSTNAME=%s", host);
	if (!strv_find_key(r->env, "PATH"))
		rc = strv_push(&p->env, PATH_DEFAULT);
	if (rc >= 0 && !strv_find_key(r->env, "HOSTNAME"))
		rc = strv_push(&p->env, buf);
	if (rc >= 0 && r->tty && !strv_find_key(r->env, "TERM"))
		rc = strv_push(&p->env, "TERM=xterm");
	STRV_FOREACH(s, r->env)
		if (rc >= 0 && strchr(s, '='))
			rc = strv_push(&p->env, s);
	return rc;
}

static int process_caps(const struct container_request *r, struct process_spec *p, struct err *err)
{
	uint64_t caps;
	int rc = caps_resolve(r, &caps, err);
	if (rc < 0)
		return rc;
	p->has_caps = true;
	p->caps = (struct caps_spec){.bounding = caps, .effective = caps, .permitted = caps}; /* inheritable and ambient stay empty (R8) */
	return 0;
}

/* The user text goes to the sandbox, which knows the rootfs; ids that need no look-up are in the document too, for other runtimes. */
static int process_user(const struct container_request *r, struct runtime_spec *s)
{
	int rc = 0;
	if (!str_empty(r->user)) {
		if (!user_numeric(r->user, &s->process.uid, &s->process.gid))
			(void) parse_u32(r->user, &s->process.uid); /* a name: 0 until the sandbox has looked */
		rc = dup_into(&s->coffer.user, r->user);
	}
	STRV_FOREACH(g, r->group_add)
		rc = rc < 0 ? rc : strv_push(&s->coffer.group_names, g);
	return rc;
}

int bundle_process(const struct bundle_plan *b, struct runtime_spec *s, struct err *err)
{
	const struct container_request *r = b->c->req;
	struct process_spec *p = &s->process;
	struct security sec;
	int rc = security_parse(r, &sec, err);
	rc = rc < 0 ? rc : process_caps(r, p, err);
	if (rc < 0)
		return rc;
	p->terminal = r->tty;
	p->rows = (uint16_t) MIN(r->console_rows, 65535);
	p->cols = (uint16_t) MIN(r->console_cols, 65535);
	p->has_umask = true;
	p->umask = 022;
	p->no_new_privileges = sec.no_new_privileges;
	p->has_oom_score_adj = true;
	p->oom_score_adj = (int) r->oom_score_adj;
	if (b->labels && ((b->labels->profile[0] && dup_into(&p->apparmor_profile, b->labels->profile) < 0) || (b->labels->process[0] && dup_into(&p->selinux_label, b->labels->process) < 0)))
		return err_oom(err);
	if (process_args(r, p) < 0 || process_env(b->c, p) < 0 || process_user(r, s) < 0 || dup_into(&p->cwd, str_empty(r->working_dir) ? "/" : r->working_dir) < 0)
		return err_oom(err);
	return 0;
}

/* Namespaces and ids */

static int add_extents(struct id_map *m, const struct idrange_extent *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (id_map_add(m, v[i].ctr, v[i].host, v[i].size) < 0)
			return -ENOMEM;
	return 0;
}

/* One that is another container's, by its process. */
static int join_namespace(const struct share_target *t, const char *file, struct ns_spec *ns)
{
	ns->mode = NS_MODE_PATH;
	ns->path = str_printf("/proc/%u/ns/%s", t->who.pid, file);
	return ns->path ? 0 : -ENOMEM;
}

/* The processes that are joined, for the check behind the paths; and the /dev/shm that comes with an IPC namespace. */
static int bundle_joins(const struct shares *sh, struct coffer_ext *x)
{
	x->joins = calloc(NS_KIND_MAX_, sizeof(*x->joins));
	if (!x->joins)
		return -ENOMEM;
	for (int k = 0; k < NS_KIND_MAX_; k++) {
		const struct share_target *t = &sh->v[k];
		if (!t->joined)
			continue;
		struct join_spec *j = &x->joins[x->n_joins++];
		*j = (struct join_spec) {.pid = t->who.pid, .start_ticks = t->who.start_ticks, .name = strdup(t->who.name)};
		if (!j->name)
			return -ENOMEM;
	}
	if (sh->v[NS_IPC].joined)
		x->shm_from = str_printf("/proc/%u/ns/mnt", sh->v[NS_IPC].who.pid);
	return sh->v[NS_IPC].joined && !x->shm_from ? -ENOMEM : 0;
}

static int bundle_namespaces(const struct bundle_plan *b, struct runtime_spec *s)
{
	static const struct {
		enum ns_kind kind;
		const char *file;
	} shared[] = {{NS_NET, "net"}, {NS_IPC, "ipc"}, {NS_PID, "pid"}, {NS_UTS, "uts"}, {NS_CGROUP, "cgroup"}};
	s->ns[NS_MOUNT].mode = NS_MODE_NEW;
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		const struct share_target *t = b->shares ? &b->shares->v[shared[i].kind] : NULL;
		struct ns_spec *ns = &s->ns[shared[i].kind];
		enum share share = share_of(b->c->req, shared[i].kind, NULL);
		ns->mode = share == SHARE_HOST || (t && t->host) ? NS_MODE_HOST : NS_MODE_NEW;
		if (t && t->joined && join_namespace(t, shared[i].file, ns) < 0)
			return -ENOMEM;
	}
	if (share_joins(b->c->req) && b->shares && bundle_joins(b->shares, &s->coffer) < 0)
		return -ENOMEM;
	if (!b->map)
		return 0;
	s->ns[NS_USER].mode = NS_MODE_NEW;
	if (b->shares && b->shares->v[NS_USER].joined && join_namespace(&b->shares->v[NS_USER], "user", &s->ns[NS_USER]) < 0)
		return -ENOMEM;
	if (add_extents(&s->uids, b->map->uid, b->map->n_uid) < 0)
		return -ENOMEM;
	return add_extents(&s->gids, b->map->gid, b->map->n_gid);
}

/* Paths */

/* The default set's entries; a '*' in one is looked up on the host (GHSA-6fw5-f8r9-fgfm: one directory a cpu). */
static int push_defaults(char ***out, const char *const *v)
{
	for (; *v; v++) {
		if (!strchr(*v, '*')) {
			if (strv_push(out, *v) < 0)
				return -ENOMEM;
			continue;
		}
		glob_t g = {0};
		int rc = glob(*v, GLOB_NOSORT, NULL, &g) == 0 ? 0 : -ENOENT; /* nothing there: nothing to hide */
		for (size_t i = 0; rc >= 0 && i < g.gl_pathc; i++)
			rc = strv_push(out, g.gl_pathv[i]);
		globfree(&g);
		if (rc == -ENOMEM)
			return rc;
	}
	return 0;
}

static int bundle_paths(const struct container_request *r, const struct security *sec, struct runtime_spec *s)
{
	int rc = 0;
	if (r->masked_paths_set)
		rc = strv_dup(r->masked_paths, &s->masked_paths);
	else if (!sec->system_paths_unconfined)
		rc = push_defaults(&s->masked_paths, default_masked_paths);
	if (rc < 0)
		return rc;
	if (r->readonly_paths_set)
		return strv_dup(r->readonly_paths, &s->readonly_paths);
	return sec->system_paths_unconfined ? 0 : push_defaults(&s->readonly_paths, default_readonly_paths);
}

static int bundle_sysctls(const struct container_request *r, struct runtime_spec *s, struct err *err)
{
	for (size_t i = 0; r->sysctls.keys && r->sysctls.keys[i]; i++) {
		_cleanup_free_ char *key = NULL;
		int rc = sysctl_check(r->sysctls.keys[i], r->sysctls.values[i], share_is_own(r, NS_NET), share_is_own(r, NS_IPC), &key, err);
		if (rc < 0)
			return rc;
		if (keyval_add(&s->sysctls, &s->n_sysctls, key, r->sysctls.values[i]) < 0)
			return err_oom(err);
	}
	return 0;
}

/* The extension */

static int bundle_ext(const struct bundle_plan *b, const struct security *sec, struct coffer_ext *x)
{
	const struct container *c = b->c;
	char cgroup[MONITOR_PATH_MAX];
	x->present = true;
	cgroup_path_of(c, cgroup);
	if (strv_dup(b->layers, &x->layers) < 0 || dup_into(&x->cgroup_path, cgroup) < 0)
		return -ENOMEM;
	x->upper = str_printf("%s/containers/%s/upper", b->state_dir, c->id);
	x->work = str_printf("%s/containers/%s/work", b->state_dir, c->id);
	if (!x->upper || !x->work)
		return -ENOMEM;
	if (b->seccomp_path && dup_into(&x->seccomp_filter, b->seccomp_path) < 0)
		return -ENOMEM;
	x->seccomp_flags = b->seccomp_flags;
	if (dup_into(&x->seccomp_name, b->seccomp_name ?: "unconfined") < 0 || (b->seccomp_hash && dup_into(&x->seccomp_hash, b->seccomp_hash) < 0))
		return -ENOMEM;
	if (c->req->init == 1) {
		x->init_path = b->labels && b->labels->mount[0] ? str_printf("%s/containers/%s/" LABELS_INIT, b->state_dir, c->id) : str_printf("%s/coffer-init", b->libexec_dir);
		if (!x->init_path)
			return -ENOMEM;
	}
	if (b->runtime && dup_into(&x->runtime, b->runtime) < 0)
		return -ENOMEM;
	x->ping_group = share_is_own(c->req, NS_NET);
	x->landlock = !sec->landlock_unconfined && !b->runtime; /* the sandbox alone has it */
	x->lock_userns = !c->req->privileged && b->map;
	x->create_cwd = true;
	if (networking_spec(b->networks, x) < 0)
		return -ENOMEM;
	if (b->naming && b->naming->served && (dup_into(&x->dns_run, b->run_dir) < 0 || dup_into(&x->dns_id, c->id) < 0))
		return -ENOMEM;
	x->ephemeral = b->c->req->auto_remove;
	return 0;
}

static int fill(const struct bundle_plan *b, const struct security *sec, struct runtime_spec *s)
{
	const struct container_request *r = b->c->req;
	char host[65], cgroup[MONITOR_PATH_MAX];
	hostname_of(b->c, host);
	cgroup_path_of(b->c, cgroup);
	s->root_readonly = r->readonly_rootfs;
	if (dup_into(&s->version, "1.2.0") < 0 || dup_into(&s->hostname, host) < 0 || dup_into(&s->root_path, "rootfs") < 0 || dup_into(&s->cgroups_path, cgroup) < 0)
		return -ENOMEM;
	if (!str_empty(r->domainname) && dup_into(&s->domainname, r->domainname) < 0)
		return -ENOMEM;
	if (b->labels && b->labels->mount[0] && dup_into(&s->mount_label, b->labels->mount) < 0)
		return -ENOMEM;
	for (size_t i = 0; r->annotations.keys && r->annotations.keys[i]; i++)
		if (keyval_add(&s->annotations, &s->n_annotations, r->annotations.keys[i], r->annotations.values[i]) < 0)
			return -ENOMEM;
	int rc = bundle_namespaces(b, s);
	rc = rc < 0 ? rc : bundle_ext(b, sec, &s->coffer);
	return rc < 0 ? rc : bundle_paths(r, sec, s);
}

int bundle_spec(const struct bundle_plan *b, struct runtime_spec **ret, struct err *err)
{
	struct security sec;
	_cleanup_runtime_spec_ struct runtime_spec *s = runtime_spec_new();
	if (!s)
		return err_oom(err);
	int rc = security_parse(b->c->req, &sec, err);
	if (rc < 0)
		return rc;
	if (fill(b, &sec, s) < 0)
		return err_oom(err);
	rc = bundle_process(b, s, err);
	rc = rc < 0 ? rc : bundle_mounts(b, s, err);
	rc = rc < 0 ? rc : bundle_resources(b, s, err);
	rc = rc < 0 ? rc : bundle_sysctls(b->c->req, s, err);
	rc = rc < 0 || !b->runtime ? rc : runtime_seccomp(b->c->req, &s->seccomp_json, err);
	if (rc < 0)
		return rc;
	*ret = take_ptr(s);
	return 0;
}
