/* SPDX-License-Identifier: Apache-2.0 */
/* GET /system/df: who uses what. */
#include "engine/internal.h"

int engine_image_containers(struct engine *e, const struct caller *caller, const char *image_id, int64_t *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT count(*) FROM container WHERE tenant=?1 AND image_id=?2", "ss", caller->tenant, image_id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		*ret = db_int(st, 0);
	return MIN(rc, 0);
}
