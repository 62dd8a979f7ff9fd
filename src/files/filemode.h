/* SPDX-License-Identifier: Apache-2.0 */
/* Go's os.FileMode, which the Engine API shows in JSON, and st_mode. */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

#define GO_MODE_DIR (1u << 31)
#define GO_MODE_SYMLINK (1u << 27)
/** filemode_to_go() - st_mode as Go has it. */
uint32_t filemode_to_go(mode_t mode);
