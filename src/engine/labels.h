/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's LSM calls a container: the AppArmor profile and the SELinux contexts that its request, the operator's settings and the
 * numbers reserved for it make together. On a host that has neither nothing is reserved and nothing is asked.
 */
#pragma once

#include "base/err.h"
#include "kernel/lsm.h"

struct engine;
struct container;
struct container_request;

struct labels {
	char profile[LSM_LABEL_MAX];  /* AppArmor; "unconfined" when so asked; "": the host has none */
	bool own_profile;             /* @profile is ours, coffer-default-N */
	char process[LSM_LABEL_MAX], mount[LSM_LABEL_MAX], shared[LSM_LABEL_MAX]; /* SELinux; "": the host has none, or label=disable */
};

/** labels_check() - can this host do what @r asks for by name? Pure but for what engine_open() found. ERR_UNSUPPORTED. */
int labels_check(const struct engine *e, const struct container_request *r, struct err *err);
/** labels_reserve() - a profile number and a pair of categories for @c, where the host has use for them. Inside the transaction of its insert. */
int labels_reserve(struct engine *e, const struct container *c, struct err *err);
/** labels_release() - inside the transaction of its removal. */
int labels_release(struct engine *e, const struct container *c, struct err *err);
/** labels_of() - the labels of @c, nothing touched. What was never reserved (the host had no LSM then) is left out. */
int labels_of(struct engine *e, const struct container *c, struct labels *ret, struct err *err);
/** labels_prepare() - labels_of() for a start: reserved if they were not, the profile loaded, the contexts known to the policy (R10: or the start fails). */
int labels_prepare(struct engine *e, const struct container *c, struct labels *ret, struct err *err);

/** labels_store() - SELinux: layers, and what is being unpacked, have a type that containers may read. For a mapping that is made read-only (a
 *  program's relocations) SELinux asks about the file of the layer itself, whatever the overlay's label is. At open; nothing to do but once. */
int labels_store(struct engine *e, struct err *err);
/** labels_files() - SELinux: label those generated files that the container sees, below @dir. */
int labels_files(const struct labels *l, int dir, const char *const *names, size_t n, struct err *err);
/** labels_init_program() - SELinux: for --init a copy of the helper @src that the container may execute, in the container's directory @dir as
 *  LABELS_INIT; the installed one has the label of the host's programs. */
#define LABELS_INIT "init"
int labels_init_program(const struct labels *l, const char *src, int dir, struct err *err);
/** labels_mounts() - SELinux: relabel what the request marks (z, Z) and volumes that have no container's type yet. @paths: of volumes, parallel to @targets. */
int labels_mounts(const struct labels *l, const struct container *c, char *const *targets, char *const *paths, struct err *err);
