/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features document (runtime-spec features.md, features-linux.md, 1.1 to 1.3): what a runtime can do, told to its callers. What this room
 * knows by itself (versions, hooks, namespaces, capabilities, memory policies) comes from the tables that read config.json; the rest is
 * told by the caller: see sandbox_features() in sandbox/features.h. Whether this host has a feature is beside the point, says the
 * specification, but for seccomp.supportedFlags.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define FEATURES_VERSION_MIN "1.0.0"
#define FEATURES_VERSION_MAX "1.3.0"

/* Name @i of a list, NULL past its last. */
typedef const char *features_list(size_t i);

struct features_facts {
	features_list *mount_options;
	features_list *seccomp_actions, *seccomp_operators, *seccomp_archs, *seccomp_flags; /* NULL: no seccomp at all */
	bool (*seccomp_flag_supported)(size_t i); /* whether the running kernel takes flag @i of seccomp_flags */
	bool cgroup_v1, cgroup_v2, systemd, systemd_user, rdma;
	bool apparmor, selinux;
	bool rdt, rdt_schemata, rdt_monitoring; /* linux.intelRdt */
	bool idmap;       /* mounts[].uidMappings and gidMappings */
	bool net_devices; /* linux.netDevices */
	bool memory_policy;
	const char *const (*annotations)[2]; /* borrowed; key and value, ends with a NULL key; NULL: none */
	const char *const *unsafe_annotations; /* borrowed; annotations of config.json that loosen something, NULL-terminated; a last "." makes a prefix */
};

/** features_write() - the document as JSON text into @out. Return: 0 or -errno with @err. */
int features_write(const struct features_facts *f, struct strbuf *out, struct err *err);
