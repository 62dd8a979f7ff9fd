/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "masked" and "read-only" mean, said once: init checks its own work by it, the posture what it finds. Descriptors may be O_PATH.
 */
#pragma once

#include "base/macro.h"

/** mask_is_null() - the null device, char 1:3 (CVE-2025-31133). */
bool mask_is_null(int fd);
/** mask_covers() - the null device, or a directory on a tmpfs: what a mask puts over a path. */
bool mask_covers(int fd);
/** mask_readonly() - on a read-only mount, or masked by the null device. */
bool mask_readonly(int fd);
