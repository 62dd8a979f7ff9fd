/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a container: policy, image, then name, host ids, row and volumes in one transaction. Nothing runs and no directory is made yet. */
#include <errno.h>
#include <unistd.h>

#include "base/fault.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "engine/networking.h"
#include "engine/share.h"

static int set_str(char **p, const char *s)
{
	char *copy = strdup(s); /* @s may be *@p */
	if (!copy)
		return -ENOMEM;
	free(*p);
	*p = copy;
	return 0;
}

/* With the host's names or network the host's name, with another container's network that one's, as in docker. */
static int adopt_hostname(struct engine *e, const struct container *c, struct container_request *r)
{
	_cleanup_container_ struct container other = {0};
	const char *ref;
	char host[65] = "";
	if (!str_empty(r->hostname))
		return 0;
	if (share_of(r, NS_NET, &ref) == SHARE_JOIN) {
		if (container_find(e, c->tenant, ref, &other, NULL) < 0)
			return 0; /* told when it is adopted */
		int rc = str_empty(other.req->hostname) ? 0 : set_str(&r->hostname, other.req->hostname);
		return rc < 0 || str_empty(other.req->domainname) ? rc : set_str(&r->domainname, other.req->domainname);
	}
	if (share_of(r, NS_UTS, NULL) != SHARE_HOST && share_of(r, NS_NET, NULL) != SHARE_HOST)
		return 0;
	bool good = gethostname(host, sizeof(host) - 1) == 0 && *host && strlen(host) <= 63 && host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
	return good ? set_str(&r->hostname, host) : 0; /* a name that no container may have: its id, as else */
}

/* What the engine decides where the request leaves it open: recorded, so that a later start and inspect say the same. */
static int apply_defaults(struct engine *e, struct container *c, struct err *err)
{
	struct container_request *r = c->own;
	char host[65], userns[160];
	int rc = set_str(&r->network_mode, network_mode_of(r));
	rc = rc < 0 ? rc : adopt_hostname(e, c, r);
	hostname_of(c, host);
	if (rc >= 0 && str_empty(r->hostname))
		rc = set_str(&r->hostname, host);
	if (rc >= 0 && str_empty(r->userns_mode) && !share_joins(r) && !r->uid_maps && !r->gid_maps && !str_empty(e->userns_remap)) {
		rc = str_eq(e->userns_remap, "default") ? str_format(userns, sizeof(userns), "remap") : str_format(userns, sizeof(userns), "remap:%s", e->userns_remap);
		rc = rc < 0 ? rc : set_str(&r->userns_mode, userns);
	}
	rc = rc < 0 ? rc : log_defaults_apply(e, r);
	if (rc >= 0 && str_empty(r->cgroupns_mode))
		rc = set_str(&r->cgroupns_mode, "private");
	if (rc >= 0 && str_empty(r->ipc_mode))
		rc = set_str(&r->ipc_mode, "private");
	if (r->shm_size == 0)
		r->shm_size = SHM_DEFAULT;
	return rc < 0 ? err_sys(err, rc, "applying defaults") : 0;
}

static int no_such_image(const char *ref, struct err *err)
{
	struct image_ref parsed;
	if (image_ref_parse(ref, &parsed, NULL) < 0)
		return err_set(err, ERR_NOT_FOUND, "No such image: %.256s", ref);
	_cleanup_free_ char *familiar = image_ref_familiar(&parsed);
	image_ref_done(&parsed);
	return err_set(err, ERR_NOT_FOUND, "No such image: %.256s", familiar ?: ref);
}

/* The layers are wanted again by the start that most often follows. */
static int remember_layers(struct engine *e, const struct image *img, struct err *err)
{
	_cleanup_strv_ char **layers = NULL;
	char *id = strdup(img->id);
	int rc = id ? image_layer_paths(e->images, img, &layers, err) : err_oom(err);
	if (rc < 0) {
		free(id);
		return rc;
	}
	(void) pthread_mutex_lock(&e->lock);
	free(e->layers_of);
	strv_free(e->layers);
	e->layers_of = id;
	e->layers = take_ptr(layers);
	(void) pthread_mutex_unlock(&e->lock);
	return 0;
}

static int merge_image(struct engine *e, struct container *c, struct err *err)
{
	_cleanup_image_ struct image *img = NULL;
	if (str_empty(c->req->image))
		return err_set(err, ERR_INVALID, "Config.Image: no image was given");
	int rc = image_find(e->images, c->tenant, c->req->image, &img, err);
	if (rc == 0)
		return no_such_image(c->req->image, err);
	if (rc > 0 && img->damage)
		rc = err_set(err, ERR_CORRUPT, "%s: pull or load the image again", img->damage);
	rc = rc < 0 ? rc : request_merge_image(c->own, img->config, err);
	rc = rc < 0 ? rc : remember_layers(e, img, err);
	if (rc < 0)
		return rc;
	c->image_id = strdup(img->id);
	return c->image_id ? 0 : err_oom(err);
}

/* Name */

static int check_name(const char *name, struct err *err)
{
	if (name_is_valid(name))
		return 0;
	return err_set(err, ERR_INVALID, "Invalid container name (%.128s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
}

/* Return: 0 free; ERR_CONFLICT in docker's words. What ended unseen and is to be removed gives its name up here. */
static int name_is_free(struct engine *e, const struct container *c, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT id FROM container WHERE tenant=?1 AND name=?2", "ss", c->tenant, c->name);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc <= 0)
		return rc;
	return err_set(err, ERR_CONFLICT,
		       "Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.",
		       c->name, db_text(st, 0));
}

static int free_stale_name(struct engine *e, const struct caller *caller, const char *name)
{
	_cleanup_container_ struct container old = {0};
	struct run_info info;
	int rc = container_find(e, caller->tenant, name, &old, NULL);
	return rc < 0 ? 0 : state_read(e, &old, /* locked= */ false, &info, NULL);
}

static int take_name(struct engine *e, struct container *c, const char *name, struct err *err)
{
	char generated[128];
	if (!name) {
		int rc = container_name_new(e, c->tenant, generated, sizeof(generated), err);
		if (rc < 0)
			return rc;
	}
	c->name = strdup(name ?: generated);
	return c->name ? name_is_free(e, c, err) : err_oom(err);
}

/* Host ids */

static int share_ids(struct engine *e, struct container *c, const char *ref, struct err *err)
{
	_cleanup_container_ struct container other = {0};
	int rc = container_find(e, c->tenant, ref, &other, err);
	if (rc == -ENOENT)
		return err_set(err, ERR_INVALID, "HostConfig.UsernsMode (--userns): No such container: %.128s", ref); /* a 404 would make clients pull the image */
	if (rc < 0)
		return err_wrap(err, "HostConfig.UsernsMode (--userns)");
	c->idmap = other.idmap;
	return c->idmap ? idrange_share(e->ids, c->idmap, err) : 0;
}

static int take_ids(struct engine *e, struct container *c, struct err *err)
{
	struct idrange_request q;
	struct idrange_map map;
	char owner[200];
	int rc = shares_adopt(e, c, c->own, err);
	if (rc != 0)
		return MIN(rc, 0);
	rc = idrange_parse(c->req->userns_mode, c->req->uid_maps, c->req->gid_maps, &q, err);
	if (rc < 0 || q.mode == IDRANGE_HOST)
		return rc;
	if (q.mode == IDRANGE_CONTAINER)
		return share_ids(e, c, q.container, err);
	(void) str_format(owner, sizeof(owner), "container '%.128s'", c->name); /* fits */
	return idrange_reserve(e->ids, c->tenant, owner, &q, &c->idmap, &map, err);
}

static int store(struct engine *e, const struct caller *caller, struct container *c, const char *name, struct endpoints *networks, struct err *err)
{
	_cleanup_strbuf_ struct strbuf attrs = STRBUF_INIT(65536);
	int rc = db_begin(e->db, err);
	if (rc < 0)
		return rc;
	rc = take_name(e, c, name, err);
	rc = rc < 0 ? rc : log_attrs(c, &attrs, err); /* too many are told now; written at every start */
	rc = rc < 0 ? rc : take_ids(e, c, err);
	rc = rc < 0 ? rc : volumes_from(e, c, c->own, err);
	if (rc > 0 || (rc == 0 && share_joins(c->req)))
		rc = policy_check(e, caller, c->req, NULL, err); /* what others gave is checked like the rest */
	rc = rc < 0 ? rc : container_insert(e, c, err);
	rc = rc < 0 ? rc : labels_reserve(e, c, err);
	rc = rc < 0 ? rc : networking_attach(e, c, networks, err);
	rc = rc < 0 ? rc : volumes_attach(e, c, err);
	rc = rc < 0 ? rc : fault_point("engine.create.inserted", err);
	if (rc < 0) {
		db_rollback(e->db);
		return rc;
	}
	return db_commit(e->db, err);
}

static int prepare(struct engine *e, const struct caller *caller, const struct container_request *req, struct container *c, char ***warnings, struct err *err)
{
	char path[MONITOR_PATH_MAX], profile[32], hash[65];
	struct container_request *own;
	uint32_t flags;
	int rc = id_new(c->id);
	if (rc < 0)
		return err_sys(err, rc, "making an id");
	c->tenant = strdup(caller->tenant);
	c->created_ns = now_ns();
	if (!c->tenant)
		return err_oom(err);
	c->req = req;
	rc = container_own_request(c, &own, err);
	rc = rc < 0 ? rc : merge_image(e, c, err);
	rc = rc < 0 ? rc : apply_defaults(e, c, err);
	rc = rc < 0 ? rc : limits_discard(c->tenant, own, warnings, err);
	rc = rc < 0 ? rc : policy_check(e, caller, c->req, NULL, err); /* what the image said is checked like the rest (R14) */
	rc = rc < 0 ? rc : labels_check(e, c->req, err);
	return rc < 0 ? rc : seccomp_prepare(e, c->req, path, profile, sizeof(profile), hash, &flags, err); /* a profile that is none is told now */
}

int engine_create(struct engine *e, const struct caller *caller, const char *name, const struct container_request *req, struct create_result *ret, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_strv_ char **warnings = NULL;
	_cleanup_endpoints_ struct endpoints networks = {0};
	if (name && name[0] == '/')
		name++;
	int rc = name ? check_name(name, err) : 0;
	rc = rc < 0 ? rc : policy_check(e, caller, req, &warnings, err);
	rc = rc < 0 ? rc : shares_conflicts(req, err);
	rc = rc < 0 ? rc : prepare(e, caller, req, &c, &warnings, err);
	rc = rc < 0 ? rc : networking_plan(e, &c, &networks, err);
	if (rc < 0)
		return rc;
	if (name)
		(void) free_stale_name(e, caller, name); /* only clears the way; a conflict is told below */
	rc = fault_point("engine.create.prepared", err);
	rc = rc < 0 ? rc : store(e, caller, &c, name, &networks, err);
	if (rc < 0)
		return rc;
	fault_mark("engine.create.stored");
	event_container(e, &c, "create", NULL);
	memcpy(ret->id, c.id, sizeof(ret->id));
	ret->warnings = take_ptr(warnings);
	return 0;
}
