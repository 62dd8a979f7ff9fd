/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SELinux labels of a container: a process context and a file context of configurable types with a pair of categories that no other
 * container has (MCS), and the relabelling of what is bound in on request. Only files of the kernel are used (kernel/lsm.h).
 */
#pragma once

#include "base/err.h"
#include "kernel/lsm.h"

struct engine;
struct security;

#define SELINUX_PROCESS_TYPE "container_t"
#define SELINUX_FILE_TYPE "container_file_t"
#define SELINUX_LAYER_TYPE "container_ro_file_t" /* for all containers to read; where the policy lacks it the file type stands in */
#define SELINUX_CATEGORIES 1024 /* as every policy with MCS has them */

/** selinux_word_check() - may @value stand for a context's @part ("user", "role", "type", "level")? ERR_INVALID. */
int selinux_word_check(const char *part, const char *value, struct err *err);
/** selinux_contexts() - the contexts of a container with categories @c1 < @c2. @process, @mount, @shared: LSM_LABEL_MAX bytes each; @shared is
 *  what every container may use (the plain level). Return: 0; ERR_INVALID when it gets too long. */
int selinux_contexts(const char *process_type, const char *file_type, const struct security *sec, int c1, int c2, char *process, char *mount, char *shared, struct err *err);
/** selinux_require() - the loaded policy knows @context. ERR_UNSUPPORTED with the way out. */
int selinux_require(const char *what, const char *context, struct err *err);

/** selinux_relabel() - set @context on @path and everything below it on the same mount, links themselves and not their targets; never
 *  out of the tree (openat2 BENEATH, NO_SYMLINKS). Where the filesystem keeps no labels nothing is done. Return: 0; ERR_DENIED for a
 *  directory of the system (relabel_is_refused()); ERR_QUOTA above a depth of 512. */
int selinux_relabel(const char *path, const char *context, struct err *err);
/** selinux_relabel_own() - the same for a directory of the engine's, by @dir; a top that has the type of @context already is taken as done. */
int selinux_relabel_own(int dir, const char *context, struct err *err);
/** selinux_relabel_is_refused() - @path (real, without links) is a place that a host cannot do without. */
bool selinux_relabel_is_refused(const char *path);
/** selinux_file_type_is() - whether the label of @path has the type of @context. Return: 1, 0, -errno. */
int selinux_file_type_is(const char *path, const char *context);
