/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the trust room only. */
#pragma once

#include "trust/policy.h"

/** scope_canonical() - one registry has one name here: in @name ("host[:port]/a/b", or a part of it) the host becomes lower case, a port loses zeros before it, and :443 is
 *  what no port means. Else a scope that rejects could be walked around. */
void scope_canonical(char *name);
/** scope_find() - the first scope @name of @transport, or NULL. */
const struct policy_scope *scope_find(const struct trust_policy *p, const char *transport, const char *name);
