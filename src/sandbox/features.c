/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/features.h"

#include "kernel/confine.h"
#include "kernel/mount_option.h"
#include "seccomp/profile.h"

static const char *mount_option_at(size_t i)
{
	const struct mnt_option *o = mnt_option_at(i);
	return o ? o->name : NULL;
}

static const char *operator_at(size_t i)
{
	return i < SECCOMP_OP_MAX_ ? seccomp_op_name((enum seccomp_op) i) : NULL; /* ours alone, which JSON has no word for, is the last */
}

static const char *flag_at(size_t i)
{
	uint32_t bit;
	return seccomp_flag_name(i, &bit);
}

static bool flag_supported(size_t i)
{
	uint32_t bit = 0;
	return seccomp_flag_name(i, &bit) && confine_seccomp_takes(bit);
}

void sandbox_features(struct features_facts *ret)
{
	static const char *const unsafe[] = {"org.systemd.property.", NULL}; /* with --systemd-cgroup: any property of the scope */
	*ret = (struct features_facts){
		.mount_options = mount_option_at,
		.seccomp_actions = seccomp_action_at,
		.seccomp_operators = operator_at,
		.seccomp_archs = seccomp_arch_at,
		.seccomp_flags = flag_at,
		.seccomp_flag_supported = flag_supported,
		.cgroup_v1 = true,
		.cgroup_v2 = true,
		.systemd = true,      /* SANDBOX_SYSTEMD_CGROUP */
		.systemd_user = true, /* the same over the user's bus */
		.rdma = true,
		.apparmor = true,
		.selinux = true,
		.rdt = true,
		.rdt_schemata = true,
		.rdt_monitoring = false,
		.idmap = true,
		.net_devices = true,
		.memory_policy = true,
		.unsafe_annotations = unsafe,
	};
}
