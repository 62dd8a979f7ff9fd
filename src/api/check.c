/* SPDX-License-Identifier: Apache-2.0 */
/* POST /system/check: docker's progress, and the report as the last object's "aux". */
#include <errno.h>

#include "api/progress.h"

static int send_report(struct call *c, const struct strbuf *report)
{
	jw_obj(&c->w, NULL);
	jw_raw(&c->w, "aux", report->s);
	jw_end(&c->w);
	return progress_send(c);
}

int check_handler(struct call *c, struct err *err)
{
	_cleanup_strbuf_ struct strbuf report = STRBUF_INIT(JSON_OUT_MAX);
	struct progress p = {.call = c, .quiet = call_flag(c, "quiet", false)};
	const struct image_progress progress = {.fn = progress_report, .ctx = &p};
	struct json_writer w;
	atomic_bool cancel = false;
	const struct check_request req = {.repair = call_flag(c, "repair", false), .cancel = &cancel, .progress = &progress};
	struct leave *leave = leave_watch(c, &cancel);
	jw_init(&w, &report);
	int r = engine_check(c->engine, c->caller, &req, &w, err);
	(void) leave_end(leave);
	if (r >= 0 && strbuf_err(&report) < 0)
		r = err_sys(err, strbuf_err(&report), "writing the report");
	if (r >= 0)
		(void) send_report(c, &report); /* the stream's end follows either way */
	return progress_finish(c, r, "status", NULL, err);
}
