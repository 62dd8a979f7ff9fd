/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that make up kernel/cgroup.h; nobody else's. */
#pragma once

#include "kernel/cgroup.h"

/** cgroup_v2_name() - the controller's name in cgroup.controllers; "": v2 does its work without a controller. */
const char *cgroup_v2_name(enum cg_controller c);
/** cgroup_has_word() - whether @list has @word between @sep, blanks or line ends. */
bool cgroup_has_word(const char *list, const char *word, char sep);
/** cgroup_path_in() - the line of @paths that holds for hierarchy @name, checked and without needless slashes. @buf: CGROUP_PATH_MAX. Return: 0, -EINVAL. */
int cgroup_path_in(const char *paths, const char *name, char *buf);
#define CGROUP_V2 CG_CONTROLLER_MAX_ /* the v2 tree where an index of a v1 hierarchy could stand */
/** cgroup_hierarchy_name() - "memory", or "unified" for CGROUP_V2. */
const char *cgroup_hierarchy_name(int c);
/** cgroup_dir_make() - one more directory of an open @cg, in v1 hierarchy @c, with its parents. *@ret_made: its last part is new. Return: fd or -errno. */
int cgroup_dir_make(const struct cgroup *cg, int c, bool *ret_made);
