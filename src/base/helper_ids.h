/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host ids that confined helpers (coffer-unpack and its like) run under, in a user namespace of their own. The range lies at the
 * top of the container pool's space and is never handed out to a container (idrange leaves it out): a helper that was taken over
 * can neither signal a container's processes nor touch files that belong to one.
 */
#pragma once

#define HELPER_ID_FIRST 4294836224u
#define HELPER_ID_COUNT 65536u /* ends below 4294901760 */
#define HELPER_ID_DNS (HELPER_ID_FIRST + 53u) /* coffer-dns, in the host's user namespace */
