/* SPDX-License-Identifier: Apache-2.0 */
/* What this runtime can do, for `coffer-oci features`: names from the tables that the code really uses, one line a capability of the sandbox. */
#pragma once

#include "spec/features.h"

/** sandbox_features() - fill @ret; everything in it is static. The caller may add annotations. Asks the kernel which seccomp flags it takes. */
void sandbox_features(struct features_facts *ret);
