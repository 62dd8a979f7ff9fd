/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of coffer-files: once the view of the container stands and everything is dropped, do the one job. Single-threaded.
 */
#pragma once

#include "files/proto.h"

/* What a job may look at. */
struct files_view {
	int root;         /* borrowed; the container's root directory, which is this process's too, except for FILES_EXPORT */
	int upper, lower; /* borrowed; layer jobs: the container's own layer, and what lies below it (-EBADF: nothing) */
	/** FILES_AS_USER: ids of @user from the passwd and group files of @root */
	int (*lookup)(int root, const char *user, uint32_t *ret_uid, uint32_t *ret_gid, struct err *err);
};

/** files_confine() - the last of the privileges: limits, all capabilities but those that @req's job needs inside the user namespace, no_new_privs,
 *  every descriptor but the socket, the stream and @view's, seccomp. */
int files_confine(const struct files_request *req, struct files_view *view, struct err *err);
/** files_serve() - Return: 0 with @done filled; <0. */
int files_serve(const struct files_request *req, const struct files_view *view, struct files_msg *done, struct err *err);
