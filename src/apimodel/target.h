/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where inside a container something may be mounted. One rule for Binds, Mounts, Tmpfs, Config.Volumes and an image's
 * VOLUME lines (CVE-2015-3631, CVE-2019-16884: a volume over /proc faked the write of the LSM label).
 */
#pragma once

#include "base/err.h"

/** mount_target_clean() - check and clean @target: absolute, no "..", no control characters, not "/", not /proc or /sys nor
 *  below; doubled and trailing slashes and "." go away. @field: names it in the error. *@ret: owned. Return: 0; ERR_INVALID. */
int mount_target_clean(const char *field, const char *target, char **ret, struct err *err);
