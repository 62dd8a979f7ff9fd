/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/restart_arg.h"

#include "base/num.h"
#include "base/str.h"

#define NAME_MAX_ 64

/* @name: NAME_MAX_ bytes. */
static int split(const char *text, char *name, int64_t *ret_count, struct err *err)
{
	size_t n = strcspn(text, ":");
	*ret_count = 0;
	if (text[n] && n == 0)
		return err_set(err, ERR_INVALID, "invalid restart policy format: no policy provided before colon");
	if (str_format(name, NAME_MAX_, "%.*s", (int) n, text) < 0)
		return err_set(err, ERR_INVALID, "use no, always, unless-stopped or on-failure[:COUNT]");
	if (text[n] && parse_i64(text + n + 1, ret_count) < 0)
		return err_set(err, ERR_INVALID, "invalid restart policy format: maximum retry count must be an integer");
	return 0;
}

int restart_arg_check(const char *text, struct err *err)
{
	char name[NAME_MAX_];
	int64_t count;
	return split(text, name, &count, err);
}

void restart_arg_put(struct json_writer *w, const char *text)
{
	char name[NAME_MAX_];
	int64_t count;
	if (str_empty(text) || split(text, name, &count, NULL) < 0)
		return;
	jw_obj(w, "RestartPolicy");
	jw_str(w, "Name", name);
	if (count)
		jw_int(w, "MaximumRetryCount", count);
	jw_end(w);
}

bool restart_arg_is_set(const char *text)
{
	return !str_empty(text) && !str_eq(text, "no");
}
