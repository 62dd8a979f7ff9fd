/* SPDX-License-Identifier: Apache-2.0 */
#include "apimodel/container.h"

#include <errno.h>
#include <strings.h>

#include "apimodel/internal.h"

int kv_list_append(struct kv_list *l, const char *key, const char *value)
{
	int r = strv_push(&l->keys, key);
	if (r < 0)
		return r;
	r = strv_push(&l->values, value);
	if (r < 0) {
		size_t n = strv_len(l->keys);
		free(l->keys[n - 1]);
		l->keys[n - 1] = NULL;
	}
	return r;
}

int kv_list_set(struct kv_list *l, const char *key, const char *value)
{
	for (size_t i = 0; l->keys && l->keys[i]; i++)
		if (str_eq(l->keys[i], key)) {
			char *c = strdup(value);
			if (!c)
				return -ENOMEM;
			free(l->values[i]);
			l->values[i] = c;
			return 0;
		}
	return kv_list_append(l, key, value);
}

const char *kv_list_get(const struct kv_list *l, const char *key)
{
	for (size_t i = 0; l->keys && l->keys[i]; i++)
		if (str_eq(l->keys[i], key))
			return l->values[i];
	return NULL;
}

void kv_list_done(struct kv_list *l)
{
	strv_free(l->keys);
	strv_free(l->values);
	*l = (struct kv_list) {NULL, NULL};
}

struct container_request *container_request_new(void)
{
	struct container_request *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->stop_timeout = -1;
	r->init = -1;
	r->memory_swappiness = -1;
	return r;
}

static void free_strings(struct container_request *r)
{
	char *const strings[] = {
		r->hostname,     r->domainname,  r->user,     r->image,    r->working_dir, r->stop_signal,     r->network_mode, r->mac_address,
		r->userns_mode,  r->ipc_mode,    r->pid_mode, r->uts_mode, r->cgroupns_mode, r->cgroup_parent, r->runtime,
		r->log_type,     r->restart_name, r->cpuset_cpus, r->cpuset_mems, r->networking_json, r->port_bindings_json,
	};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	char **const vectors[] = {
		r->env,      r->cmd,         r->entrypoint, r->volumes,     r->exposed_ports, r->uid_maps,     r->gid_maps,
		r->cap_add,  r->cap_drop,    r->security_opt, r->group_add, r->dns,           r->dns_search,   r->dns_options,
		r->extra_hosts, r->volumes_from, r->links, r->device_cgroup_rules, r->masked_paths, r->readonly_paths,
	};
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		strv_free(vectors[i]);
}

struct container_request *container_request_free(struct container_request *r)
{
	if (!r)
		return NULL;
	free_strings(r);
	struct kv_list *const maps[] = {&r->labels, &r->sysctls, &r->log_opts, &r->annotations, &r->storage_opt};
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		kv_list_done(maps[i]);
	if (r->health)
		strv_free(r->health->test);
	free(r->health);
	for (size_t i = 0; i < r->n_mounts; i++)
		mount_request_done(&r->mounts[i]);
	free(r->mounts);
	for (size_t i = 0; i < r->n_ulimits; i++)
		free(r->ulimits[i].name);
	free(r->ulimits);
	for (size_t i = 0; i < r->n_devices; i++) {
		free(r->devices[i].host);
		free(r->devices[i].container);
		free(r->devices[i].permissions);
	}
	free(r->devices);
	struct blkio_limits *const lists[] = {&r->blkio_weight_devices, &r->blkio_read_bps, &r->blkio_write_bps, &r->blkio_read_iops, &r->blkio_write_iops};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		blkio_limits_done(lists[i]);
	free(r);
	return NULL;
}

void container_request_freep(struct container_request **r)
{
	*r = container_request_free(*r);
}

static int host_config_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	size_t mark = reader_enter(rd, f->name);
	r = fields_read(rd, host_fields, v, obj);
	reader_leave(rd, mark);
	return r;
}

static void host_config_write(struct json_writer *w, const struct field *f, const void *obj)
{
	container_request_write_host_config(w, f->name, obj);
}

#define NETWORKING_MAX 65536

/* NetworkingConfig is kept as text: the engine's network room gives it its meaning. Only EndpointsConfig is a member. */
static int networking_read(struct reader *rd, const struct field *f, const struct json *v, void *obj)
{
	struct container_request *req = obj;
	_cleanup_free_ char *text = NULL;
	int r = reader_kind(rd, f->name, v, JSON_KIND_OBJECT);
	if (r <= 0)
		return r;
	size_t mark = reader_enter(rd, f->name);
	const struct json *endpoints = NULL;
	JSON_FOREACH_MEMBER(key, val, v) {
		if (strcasecmp(key, "EndpointsConfig") != 0)
			r = value_is_empty(val) ? r : reader_unknown(rd, key);
		else if (endpoints)
			r = reader_fail(rd, "EndpointsConfig", "given twice, in two spellings");
		else
			endpoints = val;
		if (r < 0)
			return r;
	}
	r = reader_kind(rd, "EndpointsConfig", endpoints, JSON_KIND_OBJECT);
	if (r <= 0 || json_len(endpoints) == 0)
		goto out;
	JSON_FOREACH_MEMBER(name, val, endpoints) {
		r = reader_kind(rd, "EndpointsConfig", val, JSON_KIND_OBJECT);
		if (r >= 0 && !str_is_plain(name))
			r = reader_fail(rd, "EndpointsConfig", "a network's name holds a control character");
		if (r < 0)
			goto out;
	}
	text = json_dump(endpoints);
	if (!text)
		r = err_oom(rd->err);
	else if (strlen(text) > NETWORKING_MAX)
		r = reader_fail(rd, "EndpointsConfig", "longer than %d bytes", NETWORKING_MAX);
	else if (!(req->networking_json = str_printf("{\"EndpointsConfig\":%s}", text)))
		r = err_oom(rd->err);
out:
	reader_leave(rd, mark);
	return MIN(r, 0);
}

static void networking_write(struct json_writer *w, const struct field *f, const void *obj)
{
	const struct container_request *r = obj;
	if (r->networking_json)
		jw_raw(w, f->name, r->networking_json);
}

static const struct field tail_fields[] = {
	{.name = "HostConfig", .kind = FIELD_CUSTOM, .read = host_config_read, .write = host_config_write},
	{.name = "NetworkingConfig", .kind = FIELD_CUSTOM, .read = networking_read, .write = networking_write},
	{NULL},
};

#define ROOT_FIELDS_MAX 48

/* The body of create is Config's fields with two more beside them. */
static void root_table(struct field out[ROOT_FIELDS_MAX])
{
	size_t n = 0;
	for (const struct field *f = config_fields; f->name; f++)
		out[n++] = *f;
	for (const struct field *f = tail_fields; f->name; f++)
		out[n++] = *f;
	assert(n < ROOT_FIELDS_MAX);
	out[n] = (struct field) {NULL};
}

int container_request_parse(const struct json *body, struct container_request **ret, char ***ret_unknown, struct err *err)
{
	_cleanup_container_request_ struct container_request *req = container_request_new();
	_cleanup_strv_ char **unknown = NULL;
	if (!req)
		return err_oom(err);
	if (json_kind(body) != JSON_KIND_OBJECT)
		return err_set(err, ERR_INVALID, "config cannot be empty in order to create a container");
	struct field table[ROOT_FIELDS_MAX];
	root_table(table);
	struct reader rd = {.unknown = &unknown, .err = err};
	int r = fields_read(&rd, table, body, req);
	if (r >= 0)
		r = container_request_check(req, err);
	if (r < 0)
		return r;
	*ret = take_ptr(req);
	if (ret_unknown)
		*ret_unknown = take_ptr(unknown);
	return 0;
}

void container_request_write_config(struct json_writer *w, const char *key, const struct container_request *r)
{
	jw_obj(w, key);
	fields_write(w, config_fields, r);
	jw_end(w);
}

void container_request_write_host_config(struct json_writer *w, const char *key, const struct container_request *r)
{
	jw_obj(w, key);
	fields_write(w, host_fields, r);
	jw_end(w);
}

int container_request_write(const struct container_request *r, struct strbuf *out)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	fields_write(&w, config_fields, r);
	fields_write(&w, tail_fields, r);
	jw_end(&w);
	return strbuf_err(out);
}
