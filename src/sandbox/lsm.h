/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LSM layer of a process: process.apparmorProfile, process.selinuxLabel and linux.mountLabel, exactly as the document says them. The
 * creator looks whether the host can do what is asked, while it still sees the host's /sys; the new process opens its own attribute
 * files through the host's procfs before anything of the container is in its sight (R3), and writes them right before it gives its
 * privileges up. What cannot be applied ends the start (R10, P5).
 */
#pragma once

#include "base/err.h"
#include "kernel/lsm.h"

struct sandbox;

/* Part of struct sandbox. */
struct lsm_state {
	int proc;                     /* owned; root of the host's procfs until the attributes are open; -EBADF: nothing asked */
	int attr[LSM_MAX_];           /* owned; our own labels, or those for execve (lsm_open()); -EBADF: that one is not asked for */
	int selinux_exec;             /* owned; the label for execve beside the one of now, for a policy that has only that; -EBADF: none */
	char process[LSM_LABEL_MAX];  /* the SELinux label as the kernel writes it; "": none */
	char mount[LSM_LABEL_MAX];    /* the label of the container's mounts; "": none */
};
#define LSM_STATE_NULL ((struct lsm_state) {.proc = -EBADF, .attr = {-EBADF, -EBADF}, .selinux_exec = -EBADF})

/** lsm_prepare() - creator's step: is there what the document asks for? ERR_UNSUPPORTED naming the field when not; ERR_INVALID for a label
 *  that the policy does not know. Costs nothing when nothing is asked for. */
int lsm_prepare(struct sandbox *s, struct err *err);
/** lsm_open() - the new process, before its keyring and its mounts: opens the attributes, labels the keys to come, lets go of the procfs.
 *  A label that changes at execve takes the parent death signal with it, and a container of ours goes with its monitor (P8): it changes
 *  right before that. For a caller who looks after the container it changes at execve, as with every other runtime. */
int lsm_open(struct sandbox *s, struct err *err);
/** lsm_apply() - the new process, before no_new_privs, after which no label can be changed: both labels, read back. */
int lsm_apply(struct sandbox *s, struct err *err);
/** lsm_apply_late() - the same for a process that may gain privileges: after what needs them, which the new label may take away. */
int lsm_apply_late(struct sandbox *s, struct err *err);
/** lsm_no_more() - exec: what confines the container confines every process in it. ERR_DENIED. */
int lsm_no_more(const struct sandbox *s, struct err *err);

/** lsm_mount_option() - the value of context= for a new @fstype with @options ("key=value" strv), NULL: it takes none, has one already, or
 *  none is asked for. Borrowed. */
const char *lsm_mount_option(const struct sandbox *s, const char *fstype, char *const *options);
/** lsm_mount_label() - label the root of a fresh mount that takes no context= (mqueue). @mnt may be O_PATH. Does nothing for others. */
int lsm_mount_label(const struct sandbox *s, const char *fstype, int mnt, struct err *err);
