/* SPDX-License-Identifier: Apache-2.0 */
/* GET /system/df: what is used on disk. Everything is measured when it is asked for, by walking: nothing keeps count on the way. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/internal.h"

uint64_t engine_layers_bytes(struct engine *e)
{
	_cleanup_close_ int dir = openat(e->state_fd, "layers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir < 0 ? 0 : disk_bytes(take_fd(&dir)); /* no image was ever loaded */
}

int engine_image_containers(struct engine *e, const struct caller *caller, const char *image_id, int64_t *ret, struct err *err)
{
	_cleanup_stmt_ struct db_stmt *st = NULL;
	int rc = db_query(e->db, &st, err, "SELECT count(*) FROM container WHERE tenant=?1 AND image_id=?2", "ss", caller->tenant, image_id);
	rc = rc < 0 ? rc : db_step(st, err);
	if (rc > 0)
		*ret = db_int(st, 0);
	return MIN(rc, 0);
}
