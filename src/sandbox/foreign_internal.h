/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/sandbox/foreign*.c. */
#pragma once

#include <limits.h>

#include "sandbox/foreign.h"
#include "sandbox/mounts.h"

#define FOREIGN_STATE "oci" /* in the bundle: the runtime's state (--root) and the document's directory (--bundle) */

struct foreign {
	struct sandbox s;      /* first: steps of the sandbox take it */
	struct coffer_ext ext; /* owned; our extension, taken out of the document */
	struct process_spec process; /* owned; foreign_exec(): the process to run */
	char bundle[PATH_MAX]; /* the bundle's path on the host */
	char id[128];          /* its last part: the container's id */
	char dir[32];          /* where the stage is attached: a tmpfs that this process and the runtime alone see */
	int stage;             /* owned; its root, -EBADF before */
	int console;           /* owned; listening socket for the terminal, -EBADF: none asked */
	pid_t pid;             /* what the runtime made */
};

/* foreign_stage.c */
/** stage_make() - enter a private mount namespace and attach the stage, with a null device in it. */
int stage_make(struct foreign *f, struct err *err);
/** stage_path() - "DIR/NAME". @buf: 64 bytes. Return: @buf. */
char *stage_path(const struct foreign *f, char *buf, const char *name);
/** stage_attach() - attach the detached mount @mnt as NAME, made as a directory or a file after its root. */
int stage_attach(struct foreign *f, int mnt, const char *name, struct err *err);

/* foreign_document.c */
/** document_mounts() - take the binds out of the host's paths: @f's plan with its clones, sources in the document name the stage. */
int document_mounts(struct foreign *f, struct err *err);
/** document_write() - BUNDLE/oci/config.json. */
int document_write(struct foreign *f, struct err *err);
/** document_process() - ids and home of the user that the extension names, in @p. */
int document_process(struct foreign *f, struct process_spec *p, struct err *err);

/* foreign_run.c */
/** runtime_run() - RUNTIME --root ... ARGV with the container's descriptors as its 0, 1, 2 (or null devices). Return: 0; <0 what the runtime's log says, sorted
 *  into kinds as the sandbox sorts its own. */
int runtime_run(struct foreign *f, const char *const *argv, bool with_stdio, struct err *err);
/** runtime_console() - open the socket that the runtime sends the terminal to. */
int runtime_console(struct foreign *f, struct err *err);
/** runtime_report() - what runtime_run() left: the pid in the stage's file, the terminal on the socket, told to the monitor. */
int runtime_report(struct foreign *f, struct err *err);
