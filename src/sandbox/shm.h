/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the room: the /dev/shm of another container. */
#pragma once

#include "base/err.h"

/** shm_clone() - a detached mount of the tmpfs at /dev/shm in the mount namespace @ns_fd. Forks. Return: mount fd; ERR_CONFLICT when there is none.
 *  Context: the creator, as host root. Linux >= 5.2. */
int shm_clone(int ns_fd, struct err *err);
