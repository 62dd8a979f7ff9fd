/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the runtime's state below --root has it: one directory a container, named by its id, 0700.
 *
 *   ROOT/ID/config.json   a copy of the document: exec, kill and delete do not trust a bundle that may have changed
 *   ROOT/ID/state.json    struct record; a directory without it is of a create that has not ended, or was killed
 *   ROOT/ID/notify/       where the command says that it is ready (notify.h)
 *   ROOT/ID/start         the socket on which init waits; renamed to "started" when `start` has taken it
 *
 * E1 state.json appears by rename, after init exists, and is never written again: status is asked of the kernel each time.
 * E2 whoever creates, starts or deletes holds the lock (flock on the directory) while doing it; readers take none.
 * E3 a lock holder looks again at what it knew before it got the lock.
 * E4 the lock is given back before the holder waits for a container, and init closes its copy of the descriptor first of all: it would hold the lock, too.
 * E5 a signal goes through a pidfd that was opened before the start ticks were compared.
 */
#pragma once

#include <errno.h>

#include "kernel/process.h"
#include "oci/internal.h"
#include "oci/record.h"

#define CONTAINER_CONFIG "config.json"
#define CONTAINER_STATE "state.json"
#define CONTAINER_START "start"
#define CONTAINER_STARTED "started"

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED, STATUS_MAX_ };

struct container {
	int root, dir; /* owned; --root and the container's directory; -EBADF */
	bool locked;
	char id[NAME_MAX + 1]; /* a longer id has no directory */
	struct record *rec; /* owned; NULL until read */
};
#define CONTAINER_INIT {.root = -EBADF, .dir = -EBADF}

void container_done(struct container *c);
#define _cleanup_container_ _cleanup_(container_done)

/** container_open() - find @id and read its record. Return: 0; ERR_NOT_FOUND "container 'x' does not exist". */
int container_open(const struct oci *o, const char *id, struct container *ret, struct err *err);
/** container_open_any() - the same, also what a killed create has left: then @ret->rec is NULL. */
int container_open_any(const struct oci *o, const char *id, struct container *ret, struct err *err);
/** container_create() - make the directory, locked. Takes over what a killed create has left. Return: 0; ERR_CONFLICT when @id is in use. */
int container_create(const struct oci *o, const char *id, struct container *ret, struct err *err);
/** container_lock() - wait for the lock, then look again (E3). Return: 0; ERR_NOT_FOUND when it was deleted meanwhile. */
int container_lock(struct container *c, struct err *err);
void container_unlock(struct container *c);
/** container_save() - write @c->rec (E1). */
int container_save(struct container *c, struct err *err);
/** container_config() - parse the copy of the document. */
int container_config(const struct container *c, struct runtime_spec **ret, struct err *err);
/** container_clear() - remove what a killed create has left of the locked @c, which has no record: cgroups that nobody is in, and the directory. */
int container_clear(const struct oci *o, struct container *c, struct err *err);
/** container_forget() - remove the directory; the lock goes with it. Return: 0 or <0 with @err. */
int container_forget(struct container *c, struct err *err);

/** container_status() - from the kernel. A freezer that cannot be read counts as not frozen. */
enum status container_status(const struct container *c);
/** status_name() - "creating", "created", "running", "paused", "stopped". */
const char *status_name(enum status s);
/** container_pidfd() - of init, while it lives (E5). Return: fd; -ESRCH: it does not. */
int container_pidfd(const struct container *c);
/** container_flags() - enum sandbox_flags for calls on this container's cgroups. */
unsigned container_flags(const struct container *c);
/** container_ids() - what is below --root, sorted; directories of unfinished creates included. *@ret: owned strv. A root that is not there holds none. */
int container_ids(const struct oci *o, char ***ret, struct err *err);
/** container_hooks() - run the document's hooks of @point with this state. Return: 0 or <0 with @err. */
int container_hooks(const struct container *c, const struct runtime_spec *spec, enum hook_point point, enum status status, struct err *err);
/** container_poststart() - run the poststart hooks, if there are any; a failing one is logged (runtime.md "Lifecycle" 9). They "MUST be called after the
 *  user-specified process is executed" and want to see what it does: it gets its first 20 ms, or its whole life when that is shorter. @spec: borrowed; NULL: read
 *  when it is needed. */
void container_poststart(const struct oci *o, const struct container *c, const struct runtime_spec *spec);
