/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container. */
#pragma once

#include "oci/container.h"

/** delete_locked() - of a stopped container whose lock we hold: its cgroups with whatever is left in them, its directory, then the poststop hooks (a failing one
 *  is logged, runtime.md "Lifecycle" 13). @spec: borrowed; NULL: read when hooks need it. Return: 0 or <0 with @err; then it can be tried again. */
int delete_locked(const struct oci *o, struct container *c, const struct runtime_spec *spec, struct err *err);
