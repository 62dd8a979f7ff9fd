/* SPDX-License-Identifier: Apache-2.0 */
/* Any body of exec's create and start is refused with a reason or read into something within the limits. */
#include <stdio.h>

#include "api/exec_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void release(struct exec_request *r)
{
	strv_free(r->cmd);
	strv_free(r->env);
	free(r->user);
	free(r->working_dir);
	free(r->detach_keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_strv_ char **unknown = NULL;
	struct exec_request req = {NULL};
	struct exec_start start = {false};
	struct err err = {0};
	if (json_parse((const char *) data, size, 4 << 20, "body", &doc, &err) < 0)
		return 0;
	int r = exec_create_body(doc, &req, &unknown, &err);
	if ((r < 0) != (err.kind != ERR_NONE) || (r < 0 && !err.msg[0]))
		abort();
	if (r == 0 && (!req.cmd || !req.cmd[0] || !*req.cmd[0] || req.rows > UINT16_MAX || req.cols > UINT16_MAX))
		abort();
	STRV_FOREACH(e, r == 0 ? req.env : NULL)
		if (*e == '\0' || *e == '=')
			abort();
	release(&req);
	err = (struct err) {0};
	r = exec_start_body(doc, &start, &unknown, &err);
	if ((r < 0 && !err.msg[0]) || (r == 0 && (start.rows > UINT16_MAX || start.cols > UINT16_MAX)))
		abort();
	return 0;
}
