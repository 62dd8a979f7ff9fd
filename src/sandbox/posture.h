/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The posture report: what confines a running process, layer by layer, as the kernel tells it (P9): /proc/PID, the cgroup's files,
 * the mounts seen through /proc/PID/root, and the seccomp filter itself read back by ptrace(2). Nothing is answered from our own
 * configuration; what was asked for only serves to name the flag behind a weakened layer and the profile behind a hash.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "codec/json.h"
#include "spec/runtime.h"

enum posture_state {
	POSTURE_OK,         /* the layer is on */
	POSTURE_WEAKENED,   /* it is on in part or off: `By` names the flag */
	POSTURE_ABSENT,     /* this host does not have it: `Why` */
	POSTURE_UNVERIFIED, /* the kernel has no way to show it: `Why` */
	POSTURE_STATE_MAX_,
};

struct posture_target {
	pid_t pid;                 /* the container's init, alive */
	const char *id, *name;     /* for the heading */
	const char *cgroup_path;   /* "coffer/local/ID" */
	const char *seccomp_name;  /* profile that was asked for: "default", a name, "unconfined" */
	const char *seccomp_hash;  /* sha256 hex of the filter's bytes as compiled; NULL: none */
	const char *runtime;       /* another runtime started it: its name; NULL: the sandbox */
	const char *joined[NS_KIND_MAX_]; /* NS_NET, NS_IPC, NS_PID: whose namespace was asked for, by name; NULL: none */
	bool privileged;           /* --privileged was given: names the flag */
	bool landlock;             /* Landlock was asked for */
};

/** posture_read() - write the report as one JSON object. Stops the process for an instant to read its filter. Return: 0;
 *  ERR_NOT_FOUND when it is gone. Context: host root. */
int posture_read(const struct posture_target *t, struct json_writer *w, struct err *err);
