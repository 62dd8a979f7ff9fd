/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities that a document asks for and nobody here can grant: "such capabilities MUST be logged as a warning by the runtime; runtimes
 * SHOULD NOT fail" (config.md "capabilities"). The sandbox leaves them out.
 */
#include "kernel/caps.h"
#include "oci/internal.h"

void oci_warn_ungranted(const struct oci *o, const struct process_spec *p, bool own_userns)
{
	struct cap_sets have;
	/* in a user namespace of its own the first process has them all, over what that namespace owns (user_namespaces(7)) */
	if (!p->has_caps || own_userns || caps_get(&have) < 0)
		return;
	uint64_t asked = p->caps.permitted | p->caps.effective | p->caps.inheritable, known = (2ULL << caps_last()) - 1;
	for (int cap = 0; cap < 64; cap++)
		if (asked & ~(have.permitted & known) & 1ULL << cap && cap_name(cap))
			oci_log(o, OCI_LOG_WARN, "process.capabilities: %s is not this host's to grant, ignoring", cap_name(cap));
}
