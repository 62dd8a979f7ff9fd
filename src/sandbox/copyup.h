/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fill an empty volume from what the image has at its mount point, as docker does on first use. Runs in init: in the container's
 * own namespaces, as its mapped root, before anything of the image runs (R4); ids come out 0-based through the idmapped volume (P3).
 */
#pragma once

#include "base/err.h"

/** copyup() - copy directory @src_fd (O_PATH, inside the root) into @dst_fd (the volume's root, maybe detached) when that is empty: modes,
 *  owners, times, symlinks, user.* and security.capability xattrs; sockets and devices are skipped. A volume
 *  that holds anything is left alone. Return: 0; <0 with @err. */
int copyup(int src_fd, int dst_fd, struct err *err);
