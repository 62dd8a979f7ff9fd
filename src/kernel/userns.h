/* SPDX-License-Identifier: Apache-2.0 */
/* A user namespace that exists for its id maps only: what an idmapped mount is shifted by (mount_setattr(2) "ID-mapped mounts"). */
#pragma once

#include "base/macro.h"

/** userns_for_maps() - make a user namespace with these maps, in the form of /proc/PID/uid_map. A short-lived child of the caller's holds it until
 *  its descriptor is open. Return: fd; -EPERM where the caller may not write such maps. Context: single-threaded. Linux >= 3.8. */
int userns_for_maps(const char *uid_map, const char *gid_map);
