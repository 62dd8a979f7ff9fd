/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime document as JSON text: what runtime_parse.c reads back as an equal struct and what a foreign runtime accepts.
 * Absent parts are left out.
 */
#include <errno.h>
#include <sys/resource.h>

#include "spec/runtime_fields.h"

static void write_caps(struct json_writer *w, const struct caps_spec *c)
{
	jw_obj(w, "capabilities");
	for (size_t i = 0; i < ARRAY_LEN(spec_cap_set_fields); i++) {
		uint64_t mask = *(const uint64_t *) ((const char *) c + spec_cap_set_fields[i].off);
		jw_arr(w, spec_cap_set_fields[i].key);
		for (int cap = 0; cap <= CAP_LAST_KNOWN; cap++)
			if (mask & (UINT64_C(1) << cap))
				jw_str(w, NULL, cap_name(cap));
		jw_end(w);
	}
	jw_end(w);
}

static void write_user(struct json_writer *w, const struct process_spec *p)
{
	jw_obj(w, "user");
	jw_uint(w, "uid", p->uid);
	jw_uint(w, "gid", p->gid);
	if (p->has_umask)
		jw_uint(w, "umask", p->umask);
	if (p->n_groups) {
		jw_arr(w, "additionalGids");
		for (size_t i = 0; i < p->n_groups; i++)
			jw_uint(w, NULL, p->groups[i]);
		jw_end(w);
	}
	jw_end(w);
}

static void write_process(struct json_writer *w, const struct process_spec *p)
{
	jw_obj(w, "process");
	spec_fields_write(&spec_process_fields, w, p);
	if (p->rows || p->cols) {
		jw_obj(w, "consoleSize");
		jw_uint(w, "height", p->rows);
		jw_uint(w, "width", p->cols);
		jw_end(w);
	}
	write_user(w, p);
	if (p->has_caps)
		write_caps(w, &p->caps);
	if (p->n_rlimits) {
		jw_arr(w, "rlimits");
		for (size_t i = 0; i < p->n_rlimits; i++) {
			jw_obj(w, NULL);
			jw_str(w, "type", p->rlimits[i].name);
			jw_uint(w, "soft", p->rlimits[i].soft);
			jw_uint(w, "hard", p->rlimits[i].hard);
			jw_end(w);
		}
		jw_end(w);
	}
	jw_end(w);
}

static void write_id_map(struct json_writer *w, const char *key, const struct id_map *m)
{
	if (!m->n)
		return;
	jw_arr(w, key);
	for (size_t i = 0; i < m->n; i++) {
		jw_obj(w, NULL);
		jw_uint(w, "containerID", m->v[i].ctr);
		jw_uint(w, "hostID", m->v[i].host);
		jw_uint(w, "size", m->v[i].size);
		jw_end(w);
	}
	jw_end(w);
}

static void write_mounts(struct json_writer *w, const struct runtime_spec *s)
{
	if (!s->n_mounts)
		return;
	jw_arr(w, "mounts");
	for (size_t i = 0; i < s->n_mounts; i++) {
		jw_obj(w, NULL);
		spec_fields_write(&spec_mount_fields, w, &s->mounts[i]);
		write_id_map(w, "uidMappings", &s->mounts[i].uids);
		write_id_map(w, "gidMappings", &s->mounts[i].gids);
		jw_end(w);
	}
	jw_end(w);
}

static void write_namespaces(struct json_writer *w, const struct runtime_spec *s)
{
	jw_arr(w, "namespaces");
	for (int i = 0; i < NS_KIND_MAX_; i++) {
		if (s->ns[i].mode == NS_MODE_HOST)
			continue;
		jw_obj(w, NULL);
		jw_str(w, "type", spec_ns_names[i]);
		if (s->ns[i].mode == NS_MODE_PATH)
			jw_str(w, "path", s->ns[i].path);
		jw_end(w);
	}
	jw_end(w);
}

static void write_devices(struct json_writer *w, const struct runtime_spec *s)
{
	if (!s->n_devices)
		return;
	jw_arr(w, "devices");
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct device_spec *d = &s->devices[i];
		jw_obj(w, NULL);
		jw_strn(w, "type", &d->type, 1);
		spec_fields_write(&spec_device_fields, w, d);
		jw_end(w);
	}
	jw_end(w);
}

static void write_device_rules(struct json_writer *w, const struct resources_spec *r)
{
	if (!r->n_devices)
		return;
	jw_arr(w, "devices");
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_rule *d = &r->devices[i];
		jw_obj(w, NULL);
		jw_bool(w, "allow", d->allow);
		jw_strn(w, "type", &d->type, 1);
		if (d->major >= 0)
			jw_int(w, "major", d->major);
		if (d->minor >= 0)
			jw_int(w, "minor", d->minor);
		jw_str(w, "access", d->access);
		jw_end(w);
	}
	jw_end(w);
}

static void write_keyvals(struct json_writer *w, const char *key, const struct keyval *v, size_t n)
{
	if (!n)
		return;
	jw_obj(w, key);
	for (size_t i = 0; i < n; i++)
		jw_str(w, v[i].key, v[i].value);
	jw_end(w);
}

static void write_part(struct json_writer *w, const char *key, const struct field_table *t, const void *base)
{
	if (!spec_fields_any(t, base))
		return;
	jw_obj(w, key);
	spec_fields_write(t, w, base);
	jw_end(w);
}

static void write_resources(struct json_writer *w, const struct resources_spec *r)
{
	jw_obj(w, "resources");
	write_device_rules(w, r);
	write_part(w, "memory", &spec_memory_fields, r);
	write_part(w, "cpu", &spec_cpu_fields, r);
	write_part(w, "pids", &spec_pids_fields, r);
	write_keyvals(w, "unified", r->unified, r->n_unified);
	jw_end(w);
}

static void write_linux(struct json_writer *w, const struct runtime_spec *s)
{
	jw_obj(w, "linux");
	write_id_map(w, "uidMappings", &s->uids);
	write_id_map(w, "gidMappings", &s->gids);
	write_namespaces(w, s);
	write_devices(w, s);
	spec_fields_write(&spec_linux_fields, w, s);
	write_resources(w, &s->resources);
	write_keyvals(w, "sysctl", s->sysctls, s->n_sysctls);
	if (s->seccomp_json)
		jw_raw(w, "seccomp", s->seccomp_json);
	jw_end(w);
}

int runtime_spec_write(const struct runtime_spec *s, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	spec_fields_write(&spec_top_fields, &w, s);
	if (s->process.args)
		write_process(&w, &s->process);
	if (s->root_path) {
		jw_obj(&w, "root");
		jw_str(&w, "path", s->root_path);
		jw_bool(&w, "readonly", s->root_readonly);
		jw_end(&w);
	}
	write_mounts(&w, s);
	write_linux(&w, s);
	write_keyvals(&w, "annotations", s->annotations, s->n_annotations);
	if (s->coffer.present) {
		jw_obj(&w, "coffer");
		spec_fields_write(&spec_coffer_fields, &w, &s->coffer);
		jw_end(&w);
	}
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the runtime document") : 0;
}

int exec_spec_write(const struct process_spec *p, const struct coffer_ext *ext, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	write_process(&w, p);
	if (ext && ext->present) {
		jw_obj(&w, "coffer");
		spec_fields_write(&spec_coffer_fields, &w, ext);
		jw_end(&w);
	}
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the exec document") : 0;
}
