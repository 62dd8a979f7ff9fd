/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HostConfig.VolumesFrom: the binds and volumes of other containers, running or not, become mounts of the new one when it is created (moby
 * daemon/volumes.go registerMountPoints()). What the request mounts itself goes before them, of two that are inherited the last.
 */
#include <errno.h>

#include "engine/internal.h"

static const struct mount_request *asked_for(const struct container_request *r, const char *target)
{
	for (size_t i = 0; i < r->n_mounts; i++)
		if (str_eq(r->mounts[i].target, target))
			return &r->mounts[i];
	return NULL;
}

static int inherit(struct container_request *own, const struct mount_request *m, bool read_only, struct err *err)
{
	struct mount_request copy = *m;
	copy.read_only |= read_only;
	int rc = container_request_inherit(own, &copy);
	return rc == -E2BIG ? err_set(err, ERR_INVALID, "HostConfig.VolumesFrom (--volumes-from): too many mounts") : rc < 0 ? err_oom(err) : 0;
}

/* Volumes by their rows, which know the names of anonymous ones. */
static int inherit_volumes(struct engine *e, struct container_request *own, const struct container *other, bool read_only, struct err *err)
{
	_cleanup_strv_ char **targets = NULL, **names = NULL;
	int rc = volumes_of(e, other->id, &targets, &names, err);
	for (size_t i = 0; rc >= 0 && targets && targets[i]; i++) {
		const struct mount_request *m = asked_for(other->req, targets[i]);
		struct mount_request volume = m ? *m : (struct mount_request) {0};
		volume.kind = MOUNT_VOLUME;
		volume.source = names[i];
		volume.target = targets[i];
		rc = inherit(own, &volume, read_only, err);
	}
	return rc;
}

static int inherit_from(struct engine *e, const struct container *c, struct container_request *own, const char *spec, struct err *err)
{
	_cleanup_container_ struct container other = {0};
	_cleanup_free_ char *ref = strndup(spec, strcspn(spec, ":"));
	struct err why = {0};
	bool read_only = str_eq(strchr(spec, ':'), ":ro");
	if (!ref)
		return err_oom(err);
	/* a 404 would make clients pull the image */
	if (container_find(e, c->tenant, ref, &other, &why) < 0)
		return err_set(err, why.kind == ERR_NOT_FOUND ? ERR_INVALID : (enum err_kind) why.kind, "HostConfig.VolumesFrom (--volumes-from): %s", why.msg);
	int rc = inherit_volumes(e, own, &other, read_only, err);
	for (size_t i = 0; rc >= 0 && i < other.req->n_mounts; i++)
		if (other.req->mounts[i].kind == MOUNT_BIND)
			rc = inherit(own, &other.req->mounts[i], read_only, err);
	return rc;
}

int volumes_from(struct engine *e, const struct container *c, struct container_request *own, struct err *err)
{
	int rc = 0;
	STRV_FOREACH(spec, own->volumes_from)
		rc = rc < 0 ? rc : inherit_from(e, c, own, spec, err);
	return rc < 0 ? rc : own->volumes_from != NULL;
}
