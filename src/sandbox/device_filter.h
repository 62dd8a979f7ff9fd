/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.devices: which device nodes the container's processes may open and make. The list starts from "everything is refused", each rule counts from where it
 * stands, the last one that fits decides. On v1 the rules are written to devices.allow and devices.deny; on v2 they become an eBPF program. A foreign
 * document always gets the nodes that every container has (config-linux.md "Default Devices"), as with runc. Private to the room.
 */
#pragma once

#include "base/err.h"
#include "kernel/bpf.h"
#include "kernel/cgroup.h"
#include "spec/runtime.h"

/** device_filter_apply() - put @r's rules in force for @cg; none: nothing is done. @foreign: SANDBOX_OBEY. Return: 0; ERR_UNSUPPORTED where neither version can, or
 *  v1 cannot say what the list means. */
int device_filter_apply(const struct cgroup *cg, const struct resources_spec *r, bool foreign, struct err *err);

/** device_filter_rules() - the list as it will be: "refuse all" in front and the default nodes behind where they are needed. *@ret: caller frees. Return: 0, <0. */
int device_filter_rules(const struct resources_spec *r, bool foreign, struct bpf_device_rule **ret, size_t *ret_n, struct err *err);
/** device_filter_fits_v1() - whether v1, whose list is a set of exceptions to one default, can say what the rules up to @n mean: an exception can only be
 *  taken back exactly. Return: -1, or the index of the first rule that it cannot. */
int device_filter_fits_v1(const struct bpf_device_rule *rules, size_t n);
