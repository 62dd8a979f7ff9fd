/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's side of coffer-files: start it, answer it, carry its bytes on, and end it when somebody is gone. Thread-safe: each run has a
 * helper of its own. All that comes from it is foreign: texts are made plain, numbers are only shown or compared.
 */
#pragma once

#include "files/proto.h"

struct files_run {
	const char *helper;               /* borrowed; path of coffer-files */
	struct files_request *req;        /* borrowed */
	int container, bundle;            /* borrowed; FILES_FD_CONTAINER, FILES_FD_BUNDLE */
	int stream;                       /* borrowed; FILES_FD_STREAM; -EBADF: a pipe whose bytes go to @data */
	int cancel;                       /* borrowed; a socket whose hang-up ends the run; -EBADF */
	/** what lies at the path; once, before the first byte. May be NULL. */
	int (*status)(void *ctx, const struct files_status *s, struct err *err);
	/** bytes out. < 0 ends the run. */
	int (*data)(void *ctx, const void *p, size_t n);
	void *ctx;
};
#define FILES_IDLE_S 600 /* so long nothing may come out of an archive that is being read */

/** files_run() - Return: 0 with *@ret_done; <0: what the helper says, -ECANCELED when somebody left. */
int files_run(const struct files_run *run, struct files_msg *ret_done, struct err *err);
