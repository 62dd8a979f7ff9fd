/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/systemd_scope.h"

int systemd_scope_start(struct sandbox *s, char *path, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "linux.cgroupsPath: the systemd driver is not there yet");
}

void systemd_scope_placed(struct sandbox *s)
{
}

int systemd_scope_update(const char *cgroup_path, const struct resources_spec *r, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "linux.cgroupsPath: the systemd driver is not there yet");
}

int systemd_scope_stop(const char *cgroup_path, struct err *err)
{
	return 0;
}
