/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's files for a confined helper (threats.md R4). A running container is entered, by the pidfd of its first process; of one that does not run
 * the root is built as at a start, detached, in namespaces of the helper's own with the container's id range: nothing of it is in the host's
 * mount table, and it goes with the helper.
 *
 *	first stage (host root)                 child (the container's ids, mount namespace; a pid namespace of its own)
 *	clone3                          ->      running: setns(pidfd), all namespaces but the pid one
 *	else: id maps, layers, volumes  ->      attaches what it is handed, pivots into it
 *	minds the child                         root of the user namespace, with its capabilities: the caller drops them next
 *
 * The child joins no pid namespace of the container: nobody inside sees it, so nobody inside can trace or stop it.
 */
#pragma once

#include "base/err.h"
#include "kernel/process.h"

enum view_kind {
	VIEW_ROOT,   /* the root with its volumes, binds and tmpfs; no kernel file systems, where it is built */
	VIEW_BARE,   /* the root file system alone */
	VIEW_LAYERS, /* the container's own layer and what lies below it, apart and read-only */
};
struct view_args {
	enum view_kind kind;
	bool running;
	int pidfd;     /* borrowed; running: the container's first process */
	pid_t pid;     /* of it; verified by the caller against @pidfd */
	int config_fd; /* borrowed; else: the container's document */
	int bundle_fd; /* borrowed; where relative paths of the document start */
	const char *fail_step; /* borrowed; fault injection; NULL: none */
};
struct view {
	int root;         /* owned; the process's root directory too, but not with VIEW_BARE of a running one */
	int upper, lower; /* owned; VIEW_LAYERS; -EBADF */
};
/** view_open() - Context: single-threaded, host root, not dumpable afterwards. Return: 1 in the first stage with *@ret_child, to be minded; 0 in the child with *@ret;
 *  <0 in either (the first stage has killed and reaped the child then); ERR_CONFLICT when a running container has ended. */
int view_open(const struct view_args *a, struct view *ret, struct pidref *ret_child, struct err *err);

/** user_lookup() - ids of "name", "uid", "name:group" by /etc/passwd and /etc/group below @root_fd. */
int user_lookup(int root_fd, const char *text, uint32_t *ret_uid, uint32_t *ret_gid, struct err *err);
