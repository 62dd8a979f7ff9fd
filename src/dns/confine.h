/* SPDX-License-Identifier: Apache-2.0 */
/* What the two processes of coffer-dns give up. */
#pragma once

#include "base/err.h"

/** dns_confine_keeper() - own uid and gid, no groups, no capability, no_new_privs, limits, a seccomp filter; as root, before anything is read. */
int dns_confine_keeper(struct err *err);
/** dns_confine_worker() - a second filter, without any way to a new socket, file, process or signal. Return: 0 or -errno. */
int dns_confine_worker(void);
