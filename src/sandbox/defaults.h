/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one coherent default set (DESIGN section 7) as data: what the engine asks for and what the posture measures against.
 * Sources: containers-common's capability list; moby oci/defaults.go, podman and threats.md section 2 for the paths.
 */
#pragma once

#include "base/macro.h"

/* NULL-terminated. A '*' stands for the rest of one component. */
extern const char *const default_masked_paths[];
extern const char *const default_readonly_paths[];

#define DEFAULT_CAPS                                                                                                     \
	(1ULL << 0 /* CHOWN */ | 1ULL << 1 /* DAC_OVERRIDE */ | 1ULL << 3 /* FOWNER */ | 1ULL << 4 /* FSETID */ | 1ULL << 5 /* KILL */ |             \
	 1ULL << 6 /* SETGID */ | 1ULL << 7 /* SETUID */ | 1ULL << 8 /* SETPCAP */ | 1ULL << 10 /* NET_BIND_SERVICE */ |                              \
	 1ULL << 18 /* SYS_CHROOT */ | 1ULL << 31 /* SETFCAP */)

#define DEFAULT_PIDS_MAX 2048
