/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int caps_last(void)
{
	int last = 40; /* CAP_CHECKPOINT_RESTORE, Linux 5.9: every kernel we run on has it */
	while (last < 62 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0)
		last++;
	return last;
}

int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	for (int i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct) {
			.effective = (uint32_t) (effective >> (32 * i)),
			.permitted = (uint32_t) (permitted >> (32 * i)),
			.inheritable = (uint32_t) (inheritable >> (32 * i)),
		};
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

int caps_get(struct cap_sets *ret)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	*ret = (struct cap_sets) {
		.effective = d[0].effective | (uint64_t) d[1].effective << 32,
		.permitted = d[0].permitted | (uint64_t) d[1].permitted << 32,
		.inheritable = d[0].inheritable | (uint64_t) d[1].inheritable << 32,
	};
	return 0;
}

int caps_drop_bounding(uint64_t keep)
{
	for (int c = 0; c <= 63; c++) {
		if (keep & (1ULL << c))
			continue;
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				return 0; /* above the kernel's last one */
			return -errno;
		}
	}
	return 0;
}

int caps_raise_ambient(uint64_t set)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	for (int c = 0; c <= 63; c++)
		if ((set & (1ULL << c)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
			return -errno;
	return 0;
}
