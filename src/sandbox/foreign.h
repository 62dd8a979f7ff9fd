/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that another OCI runtime makes (coffer.runtime in the document: runc, crun, coffer-oci), under our monitor. The creator does what no
 * other runtime does for us, writes a plain document and calls the runtime (docs/adr/0010-foreign-runtimes.md):
 *
 *   monitor (subreaper)         creator                                 RUNTIME
 *     fork ------------------>  plan; clones of binds, volumes, layers
 *                               private mount namespace, stage:
 *                               overlay, binds, console socket; fill volumes
 *                               plain document in BUNDLE/oci
 *                               RUNTIME create -------------------->   init, stopped before its command
 *     <- init is our child now                                          leaves
 *     <- REPORT_PID, REPORT_CONSOLE + fd
 *                               RUNTIME start --------------------->   init execs
 *     (reap creator)            _exit(0)
 *
 * What is staged is attached in the creator's own mount namespace alone, which ends with it (P4); the container has its copies by then.
 */
#pragma once

#include "sandbox/sandbox.h"

/** foreign_create() - be the creator, as sandbox_create(): never returns, reports alike. Context: forked child of a subreaper, host root. */
_Noreturn void foreign_create(const struct sandbox_args *args);
/** foreign_exec() - be the creator of one more process, by the runtime's exec. */
_Noreturn void foreign_exec(const struct sandbox_exec_args *args);
