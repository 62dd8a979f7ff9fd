/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime document's structs: birth, death, builders and id maps. Reading is in runtime_parse.c, writing in runtime_write.c. */
#include "spec/runtime.h"

#include <errno.h>

struct runtime_spec *runtime_spec_new(void)
{
	return calloc(1, sizeof(struct runtime_spec));
}

static void keyvals_done(struct keyval *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].key);
		free(v[i].value);
	}
	free(v);
}

void id_map_done(struct id_map *m)
{
	free(m->v);
	*m = (struct id_map){0};
}

void process_spec_done(struct process_spec *p)
{
	strv_free(p->args);
	strv_free(p->env);
	free(p->cwd);
	free(p->groups);
	for (size_t i = 0; i < p->n_rlimits; i++)
		free(p->rlimits[i].name);
	free(p->rlimits);
	free(p->apparmor_profile);
	free(p->selinux_label);
	*p = (struct process_spec){0};
}

void coffer_ext_done(struct coffer_ext *e)
{
	strv_free(e->layers);
	free(e->upper);
	free(e->work);
	free(e->seccomp_filter);
	free(e->seccomp_name);
	free(e->seccomp_hash);
	free(e->cgroup_path);
	free(e->init_path);
	free(e->user);
	strv_free(e->group_names);
	*e = (struct coffer_ext){0};
}

static void mount_spec_done(struct mount_spec *m)
{
	free(m->destination);
	free(m->type);
	free(m->source);
	strv_free(m->options);
	id_map_done(&m->uids);
	id_map_done(&m->gids);
}

static void resources_done(struct resources_spec *r)
{
	free(r->cpus);
	free(r->mems);
	free(r->devices);
	keyvals_done(r->unified, r->n_unified);
}

struct runtime_spec *runtime_spec_free(struct runtime_spec *s)
{
	if (!s)
		return NULL;
	free(s->version);
	free(s->hostname);
	free(s->domainname);
	free(s->root_path);
	process_spec_done(&s->process);
	for (size_t i = 0; i < s->n_mounts; i++)
		mount_spec_done(&s->mounts[i]);
	free(s->mounts);
	for (int i = 0; i < NS_KIND_MAX_; i++)
		free(s->ns[i].path);
	id_map_done(&s->uids);
	id_map_done(&s->gids);
	for (size_t i = 0; i < s->n_devices; i++)
		free(s->devices[i].path);
	free(s->devices);
	free(s->cgroups_path);
	resources_done(&s->resources);
	keyvals_done(s->sysctls, s->n_sysctls);
	strv_free(s->masked_paths);
	strv_free(s->readonly_paths);
	free(s->rootfs_propagation);
	free(s->seccomp_json);
	keyvals_done(s->annotations, s->n_annotations);
	coffer_ext_done(&s->coffer);
	free(s);
	return NULL;
}

void runtime_spec_freep(struct runtime_spec **s)
{
	*s = runtime_spec_free(*s);
}

/* Grow an owned array by one zeroed element; NULL when out of memory, the array is then as before. */
static void *grow(void *array, size_t n, size_t size)
{
	char *p = reallocarray(array, n + 1, size);
	if (p)
		memset(p + n * size, 0, size);
	return p;
}

static int dup_opt(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

int runtime_spec_add_mount(struct runtime_spec *s, const char *dst, const char *type, const char *src, char *const *options,
			   struct mount_spec **ret)
{
	struct mount_spec *v = grow(s->mounts, s->n_mounts, sizeof(*v));
	if (!v)
		return -ENOMEM;
	s->mounts = v;
	struct mount_spec *m = &v[s->n_mounts];
	if (dup_opt(dst, &m->destination) < 0 || dup_opt(type, &m->type) < 0 || dup_opt(src, &m->source) < 0 ||
	    strv_dup(options, &m->options) < 0) {
		mount_spec_done(m);
		return -ENOMEM;
	}
	s->n_mounts++;
	if (ret)
		*ret = m;
	return 0;
}

int runtime_spec_add_rlimit(struct process_spec *p, const char *name, uint64_t soft, uint64_t hard)
{
	struct rlimit_spec *v = grow(p->rlimits, p->n_rlimits, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->rlimits = v;
	struct rlimit_spec *l = &v[p->n_rlimits];
	if (dup_opt(name, &l->name) < 0)
		return -ENOMEM;
	l->soft = soft;
	l->hard = hard;
	p->n_rlimits++;
	return 0;
}

int keyval_add(struct keyval **v, size_t *n, const char *key, const char *value)
{
	struct keyval *p = grow(*v, *n, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*v = p;
	struct keyval *kv = &p[*n];
	if (dup_opt(key, &kv->key) < 0 || dup_opt(value, &kv->value) < 0) {
		free(kv->key);
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

int id_map_add(struct id_map *m, uint32_t ctr, uint32_t host, uint32_t size)
{
	struct id_extent *v = grow(m->v, m->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	m->v = v;
	v[m->n++] = (struct id_extent){.ctr = ctr, .host = host, .size = size};
	return 0;
}

int id_map_dup(const struct id_map *m, struct id_map *ret)
{
	struct id_map c = {0};
	if (m->n) {
		c.v = reallocarray(NULL, m->n, sizeof(*c.v));
		if (!c.v)
			return -ENOMEM;
		memcpy(c.v, m->v, m->n * sizeof(*c.v));
		c.n = m->n;
	}
	*ret = c;
	return 0;
}

bool id_map_to_host(const struct id_map *m, uint32_t ctr, uint32_t *ret)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct id_extent *e = &m->v[i];
		if (ctr >= e->ctr && ctr - e->ctr < e->size) {
			*ret = e->host + (ctr - e->ctr);
			return true;
		}
	}
	return false;
}
