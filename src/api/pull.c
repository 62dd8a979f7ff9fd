/* SPDX-License-Identifier: Apache-2.0 */
/* POST /images/create?fromImage=: pull. A client that leaves ends it; what came by then is kept for the next attempt. */
#include "api/progress.h"
#include "registry/registry.h"

int image_pull(struct call *c, struct err *err)
{
	struct registry_auth auth = {NULL};
	struct progress p = {.call = c};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	atomic_bool cancel = false;
	int r = registry_auth_parse(c->req.registry_auth, &auth, err);
	if (r < 0)
		return r;
	const struct pull_request req = {.name = call_query(c, "fromImage"), .tag = call_query(c, "tag"), .platform = call_query(c, "platform"), .auth = &auth,
		.cancel = &cancel, .progress = &progress};
	struct leave *leave = leave_watch(c, &cancel);
	r = engine_pull(c->engine, c->caller, &req, err);
	(void) leave_end(leave);
	registry_auth_done(&auth);
	return progress_finish(c, r, "status", NULL, err);
}
