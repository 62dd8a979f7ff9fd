/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's cgroup as a transient scope of systemd (SANDBOX_SYSTEMD_CGROUP; cgroupsPath "SLICE:PREFIX:NAME"): systemd makes it, keeps its limits and ends it; we
 * write what systemd has no property for. A process of ours holds the scope's place until the container's first process is born into it. The manager is the
 * host's, or the caller's own for who is not root. docs/adr/0011. Private to the room.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "spec/runtime.h"

struct sandbox;

struct systemd_names {
	char unit[256], slice[192]; /* "coffer-oci-web.scope", "system.slice" */
};

/** systemd_scope_names() - from cgroupsPath and the container's id. @guest: not host root. Return: 0; ERR_INVALID. */
int systemd_scope_names(const char *cgroups_path, const char *id, bool guest, struct systemd_names *ret, struct err *err);
/** systemd_scope_request() - the body of StartTransientUnit, "ssa(sv)a(sa(sv))". @version: of cgroups. */
int systemd_scope_request(const struct runtime_spec *spec, const struct systemd_names *names, const char *id, pid_t holder, int version, bool guest, struct strbuf *body,
			  struct err *err);

/** systemd_scope_start() - have the scope made for @s->spec (no name: PREFIX "coffer-oci", NAME the container's id). *@path: its cgroup, CGROUP_PATH_MAX bytes. Return: 0; <0 with
 *  @err, and no scope is left. */
int systemd_scope_start(struct sandbox *s, char *path, struct err *err);
/** systemd_scope_placed() - the container's first process is in the scope: the holder goes. Idempotent. */
void systemd_scope_placed(struct sandbox *s);
/** systemd_scope_update() - the properties that @r's limits mean, for the scope at @cgroup_path, for as long as the scope lives. */
int systemd_scope_update(const char *cgroup_path, const struct resources_spec *r, struct err *err);
/** systemd_scope_stop() - stop the scope at @cgroup_path and forget a failed state of it; one that is gone is fine. */
int systemd_scope_stop(const char *cgroup_path, struct err *err);
