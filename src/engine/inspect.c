/* SPDX-License-Identifier: Apache-2.0 */
/* GET /containers/ID/json: the record as docker's clients read it; never null where docker gives [] or {}. */
#include <errno.h>
#include <strings.h>

#include "engine/health.h"
#include "engine/internal.h"
#include "engine/networking.h"

static void write_time(struct json_writer *w, const char *key, int64_t ns)
{
	char buf[TIME_RFC3339_MAX];
	jw_str(w, key, time_format_rfc3339(buf, ns, /* fixed= */ false));
}

static void write_state(struct engine *e, struct json_writer *w, const struct container *c, const struct run_info *info)
{
	bool restarting = info->state == RUN_RESTARTING, running = info->state == RUN_RUNNING, paused = running && container_is_paused(c);
	jw_obj(w, "State");
	jw_str(w, "Status", paused ? "paused" : state_name(info->state));
	jw_bool(w, "Running", running || restarting); /* docker's way of saying that it can be stopped */
	jw_bool(w, "Paused", paused);
	jw_bool(w, "Restarting", restarting);
	jw_bool(w, "OOMKilled", !running && c->oom);
	jw_bool(w, "Dead", false);
	jw_int(w, "Pid", running ? info->live.pid : 0);
	jw_int(w, "ExitCode", running ? 0 : c->exit_code);
	jw_str(w, "Error", running ? "" : c->error ?: "");
	write_time(w, "StartedAt", running ? info->live.started_ns : c->started_ns);
	write_time(w, "FinishedAt", c->finished_ns);
	health_write(e, w, c, info);
	jw_end(w);
}

/* Path and Args: what is run, cut after its first word. */
static void write_command(struct json_writer *w, const struct container_request *r)
{
	bool own = r->entrypoint && r->entrypoint[0];
	char *const *first = own ? r->entrypoint : r->cmd;
	jw_str(w, "Path", first && first[0] ? first[0] : "");
	jw_arr(w, "Args");
	STRV_FOREACH(a, first && first[0] ? first + 1 : NULL)
		jw_str(w, NULL, a);
	if (own)
		STRV_FOREACH(b, r->cmd)
			jw_str(w, NULL, b);
	jw_end(w);
}

static const struct mount_request *request_of(const struct container_request *r, const char *target)
{
	for (size_t i = 0; i < r->n_mounts; i++)
		if (str_eq(r->mounts[i].target, target))
			return &r->mounts[i];
	return NULL;
}

static void write_volume_point(struct engine *e, struct json_writer *w, const struct container *c, const char *target, const char *name)
{
	const struct mount_request *m = request_of(c->req, target);
	_cleanup_free_ char *path = volume_path(e, name);
	bool rw = !m || !m->read_only;
	jw_obj(w, NULL);
	jw_str(w, "Type", "volume");
	jw_str(w, "Name", name);
	jw_str(w, "Source", path ?: "");
	jw_str(w, "Destination", target);
	jw_str(w, "Driver", "local");
	jw_str(w, "Mode", rw ? "" : "ro");
	jw_bool(w, "RW", rw);
	jw_str(w, "Propagation", "");
	jw_end(w);
}

void write_mount_points(struct engine *e, struct json_writer *w, const struct container *c, char *const *targets, char *const *names)
{
	jw_arr(w, "Mounts");
	for (size_t i = 0; targets && targets[i]; i++)
		write_volume_point(e, w, c, targets[i], names[i]);
	for (size_t i = 0; i < c->req->n_mounts; i++) {
		const struct mount_request *m = &c->req->mounts[i];
		if (m->kind == MOUNT_VOLUME || (m->kind == MOUNT_TMPFS && !m->from_mounts))
			continue;
		jw_obj(w, NULL);
		jw_str(w, "Type", m->kind == MOUNT_BIND ? "bind" : "tmpfs");
		jw_str(w, "Source", m->kind == MOUNT_BIND ? m->source : "");
		jw_str(w, "Destination", m->target);
		jw_str(w, "Mode", m->read_only ? "ro" : "");
		jw_bool(w, "RW", !m->read_only);
		jw_str(w, "Propagation", m->kind == MOUNT_BIND ? m->propagation ?: "rprivate" : "");
		jw_end(w);
	}
	jw_end(w);
}

/* The map in force; ours, beside docker's fields. */
static void write_ids(struct json_writer *w, const struct idrange_map *m)
{
	const struct {
		const char *key;
		const struct idrange_extent *v;
		size_t n;
	} rows[] = {{"UidMap", m->uid, m->n_uid}, {"GidMap", m->gid, m->n_gid}};
	jw_obj(w, "IdMappings");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		jw_arr(w, rows[i].key);
		for (size_t k = 0; k < rows[i].n; k++) {
			char text[48];
			(void) str_format(text, sizeof(text), "%u:%u:%u", rows[i].v[k].ctr, rows[i].v[k].host, rows[i].v[k].size); /* fits */
			jw_str(w, NULL, text);
		}
		jw_end(w);
	}
	jw_end(w);
}

static void write_paths(struct engine *e, struct json_writer *w, const struct container *c)
{
	const struct {
		const char *key, *dir, *file;
	} rows[] = {{"ResolvConfPath", e->state_dir, "resolv.conf"}, {"HostnamePath", e->state_dir, "hostname"}, {"HostsPath", e->state_dir, "hosts"}, {"LogPath", e->state_dir, "log/json.log"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].key, "LogPath") && !str_eq(c->req->log_type, "json-file")) {
			jw_str(w, rows[i].key, ""); /* the others' files are nobody's to read, as docker has it */
			continue;
		}
		_cleanup_free_ char *path = str_printf("%s/containers/%s/%s", rows[i].dir, c->id, rows[i].file);
		jw_str(w, rows[i].key, path ?: "");
	}
}

static void write_driver(struct json_writer *w)
{
	jw_obj(w, "GraphDriver");
	jw_obj(w, "Data");
	jw_end(w);
	jw_str(w, "Name", "overlay2");
	jw_end(w);
}

void write_sizes(struct engine *e, struct json_writer *w, const struct container *c)
{
	_cleanup_image_ struct image *i = NULL;
	uint64_t own = container_disk_bytes(e, c), image = image_find(e->images, c->tenant, c->image_id, &i, NULL) > 0 ? i->size_bytes : 0;
	jw_uint(w, "SizeRw", own);
	jw_uint(w, "SizeRootFs", own + image);
}

/* Everything that is stored about @ref, in one look at the database. */
static int read_record(struct engine *e, const char *tenant, const char *ref, struct container *c, char ***targets, char ***names, struct labels *labels,
		       struct idrange_map *map, struct err *err)
{
	struct err end;
	int rc = db_begin_read(e->db, err);
	if (rc < 0)
		return rc;
	rc = container_find(e, tenant, ref, c, err);
	rc = rc < 0 ? rc : volumes_of(e, c->id, targets, names, err);
	rc = rc < 0 ? rc : labels_of(e, c, labels, err);
	rc = rc < 0 || !c->idmap ? rc : idrange_load(e->ids, c->idmap, map, err);
	(void) db_commit(e->db, &end); /* nothing was written */
	return rc;
}

int engine_container_inspect(struct engine *e, const struct caller *caller, const char *ref, bool size, struct json_writer *w, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_strv_ char **targets = NULL, **names = NULL;
	struct run_info info;
	struct labels labels;
	struct idrange_map map = {0};
	_cleanup_network_view_ struct network_view view = {0};
	int rc = read_record(e, caller->tenant, ref, &c, &targets, &names, &labels, &map, err);
	rc = rc < 0 ? rc : state_read(e, &c, /* locked= */ false, &info, err);
	rc = rc < 0 ? rc : network_view_load(e, c.id, &view, err); /* what ended unseen was reaped by now */
	if (rc < 0)
		return rc;
	_cleanup_free_ char *name = str_printf("/%s", c.name);
	jw_obj(w, NULL);
	jw_str(w, "Id", c.id);
	write_time(w, "Created", c.created_ns);
	write_command(w, c.req);
	write_state(e, w, &c, &info);
	jw_str(w, "Image", c.image_id);
	write_paths(e, w, &c);
	jw_str(w, "Name", name ?: "");
	jw_int(w, "RestartCount", c.restart_count);
	jw_str(w, "Driver", "overlay2");
	jw_str(w, "Platform", "linux");
	jw_str(w, "MountLabel", labels.mount);
	jw_str(w, "ProcessLabel", labels.process);
	jw_str(w, "AppArmorProfile", labels.profile);
	jw_null(w, "ExecIDs");
	container_request_write_host_config(w, "HostConfig", c.req);
	write_driver(w);
	if (size) {
		write_sizes(e, w, &c);
	}
	write_mount_points(e, w, &c, targets, names);
	container_request_write_config(w, "Config", c.req);
	network_view_write(&view, w, &c, /* full= */ true);
	write_ids(w, &map);
	jw_end(w);
	return 0;
}
