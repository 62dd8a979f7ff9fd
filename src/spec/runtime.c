/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime document's structs: birth, death, builders and id maps. What is in them stands in the tables of runtime_*.c. */
#include "spec/runtime_fields.h"

#include <errno.h>

struct runtime_spec *runtime_spec_new(void)
{
	return calloc(1, sizeof(struct runtime_spec));
}

void id_map_done(struct id_map *m)
{
	free(m->v);
	*m = (struct id_map){0};
}

void process_spec_done(struct process_spec *p)
{
	spec_fields_done(&spec_process_fields, p);
	strv_free(p->warnings);
	*p = (struct process_spec){0};
}

void coffer_ext_done(struct coffer_ext *e)
{
	spec_fields_done(&spec_coffer_fields, e);
	*e = (struct coffer_ext){0};
}

struct runtime_spec *runtime_spec_free(struct runtime_spec *s)
{
	if (!s)
		return NULL;
	spec_fields_done(&spec_document_fields, s);
	process_spec_done(&s->process);
	for (int i = 0; i < NS_KIND_MAX_; i++)
		free(s->ns[i].path);
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
		spec_fields_done(&spec_mount_fields, m);
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

void keyvals_free(struct keyval *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].key);
		free(v[i].value);
	}
	free(v);
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
