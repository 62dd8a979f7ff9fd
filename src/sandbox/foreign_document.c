/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our document as one that any runtime takes: the extension gone, the root and every bind named where they are staged, the user as ids. Options that
 * only we know (idmap by the container's own maps, copyup) are carried out on the stage and left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/foreign_internal.h"

#define DOCUMENT_MAX (4u << 20)
#define PLAIN_VERSION "1.0.2" /* what is in the document is as old; crun before 1.9 takes no newer one */
#define PING_GROUP "net.ipv4.ping_group_range"

static int replace(char **p, const char *s, struct err *err)
{
	char *c = strdup(s);
	if (!c)
		return err_oom(err);
	free(*p);
	*p = c;
	return 0;
}

static int drop_own_words(struct mount_spec *m, struct err *err)
{
	static const char *const own[] = {"idmap", "tryidmap", "copyup", NULL};
	_cleanup_strv_ char **kept = NULL;
	STRV_FOREACH(o, m->options)
		if (!strv_has((char *const *) own, o) && strv_push(&kept, o) < 0)
			return err_oom(err);
	strv_free(m->options);
	m->options = take_ptr(kept);
	return 0;
}

/* Cgroup mounts that are seen twice confuse other runtimes, which look for them in their own mount table: what is in /sys is bound from there. */
static bool is_system(const char *src)
{
	const char *rest = str_after(src, "/sys");
	return rest && (*rest == '\0' || *rest == '/');
}

/* /sys of the host's network, which the plan turned into a bind: a recursive one, read-only all through. */
static int as_bind(struct mount_spec *m, struct err *err)
{
	static const char *const options[] = {"rbind", "rprivate", "nosuid", "noexec", "nodev", "rro", NULL};
	strv_free(m->options);
	m->options = NULL;
	return strv_dup((char *const *) options, &m->options) < 0 ? err_oom(err) : 0;
}

int document_mounts(struct foreign *f, struct err *err)
{
	char name[24], path[64];
	for (size_t i = 0; i < f->s.plan.n_mounts; i++) {
		struct plan_mount *p = &f->s.plan.mounts[i];
		struct mount_spec *m = &f->s.spec->mounts[i];
		if (p->kind != PLAN_BIND)
			continue;
		(void) snprintf(name, sizeof(name), "m%zu", i);
		bool system = is_system(p->src);
		int r = system ? 0 : stage_attach(f, p->fd, name, err);
		if (r == 0 && str_eq(m->type, "sysfs"))
			r = as_bind(m, err);
		r = r < 0 ? r : replace(&m->type, "bind", err);
		r = r < 0 ? r : replace(&m->source, system ? p->src : stage_path(f, path, name), err);
		r = r < 0 ? r : drop_own_words(m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int document_process(struct foreign *f, struct process_spec *p, struct err *err)
{
	struct sandbox *s = &f->s;
	char home[300];
	s->process = p;
	int r = user_resolve(s, err);
	if (r < 0)
		return r;
	p->uid = s->user.uid;
	p->gid = s->user.gid;
	free(p->groups);
	p->n_groups = s->user.n_groups;
	p->groups = calloc(MAX(p->n_groups, (size_t) 1), sizeof(*p->groups));
	if (!p->groups)
		return err_oom(err);
	memcpy(p->groups, s->user.groups, p->n_groups * sizeof(*p->groups));
	(void) snprintf(home, sizeof(home), "HOME=%s", s->user.home);
	return strv_find_key(p->env, "HOME") || strv_push(&p->env, home) == 0 ? 0 : err_oom(err);
}

/* ping without CAP_NET_RAW, as the sandbox sets it: for every group that is mapped */
static int ping_group(struct foreign *f, struct err *err)
{
	struct runtime_spec *d = f->s.spec;
	char text[32];
	if (!f->ext.ping_group || !f->s.plan.own_netns || d->gids.n != 1 || d->gids.v[0].ctr != 0)
		return 0;
	(void) snprintf(text, sizeof(text), "0 %u", MIN(d->gids.v[0].size - 1, (uint32_t) INT32_MAX));
	return keyval_add(&d->sysctls, &d->n_sysctls, PING_GROUP, text) < 0 ? err_oom(err) : 0;
}

static int write_text(struct foreign *f, const char *name, const struct strbuf *b, struct err *err)
{
	_cleanup_close_ int dir = mkdir_open_at(f->s.bundle_fd, FOREIGN_STATE, 0700);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = dir < 0 ? dir : fd < 0 ? -errno : write_all(fd, b->s, b->len);
	return r < 0 ? err_sys(err, r, "writing '%s' for the runtime", name) : 0;
}

int document_write(struct foreign *f, struct err *err)
{
	struct runtime_spec *d = f->s.spec;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(DOCUMENT_MAX);
	char path[64], cgroup[512];
	/* an absolute path, or other runtimes would take it as one below their own cgroup */
	(void) snprintf(cgroup, sizeof(cgroup), "/%s", f->ext.cgroup_path ?: "");
	int r = replace(&d->version, PLAIN_VERSION, err);
	r = r < 0 ? r : replace(&d->root_path, stage_path(f, path, "rootfs"), err);
	r = r < 0 ? r : replace(&d->cgroups_path, cgroup, err);
	r = r < 0 ? r : ping_group(f, err);
	r = r < 0 ? r : runtime_spec_write(d, &out, err);
	return r < 0 ? r : write_text(f, "config.json", &out, err);
}
