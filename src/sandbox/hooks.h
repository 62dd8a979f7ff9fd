/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of a foreign bundle: operator's programs at six points of a container's life (config.md "POSIX-platform Hooks"). Each gets the
 * container's state as JSON on stdin, only the environment that the document gives it, "/" as working directory, and no
 * descriptor of ours (NVIDIA's CVE-2024-0132 class: nothing from an image or a rootfs selects or feeds a hook).
 */
#pragma once

#include "base/err.h"
#include "spec/runtime.h"

struct oci_state {
	const char *id, *status, *bundle; /* borrowed; status "created" (all that follows step 2 of runtime.md "Lifecycle"), "running", "stopped" */
	pid_t pid; /* 0: not written */
	const struct runtime_spec *spec; /* borrowed; version and annotations */
};

/** oci_state_json() - the state document (runtime.md "State"). Return: malloc'ed text, NULL when out of memory. */
char *oci_state_json(const struct oci_state *s);

/** hooks_run() - run @spec's hooks of @point in order, each to its end or its timeout (then SIGKILL). @state: borrowed. Hooks run in the calling process's
 *  namespaces. Return: 0; ERR_SYSTEM naming point, index, path and exit code or signal of the first that failed.
 *  Context: single-threaded. For poststart and poststop the remaining hooks run all the same, and the caller logs and goes on (runtime.md "Lifecycle"). */
int hooks_run(const struct runtime_spec *spec, enum hook_point point, const struct oci_state *state, struct err *err);
