/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a container's log as the monitor wrote them (monitor/log_json.c, log_local.c), read back. Their bytes are the container's: bounded, and believed in nothing. */
#pragma once

#include "engine/engine.h"

#define LOG_RECORD_MAX (256u << 10) /* encoded; the monitor's largest is less than half of that */

struct log_kind {
	const char *name; /* of the file */
	/** frame() - the record that @p[@len] begins with. *@ret_len: its bytes, @ret_skip of them in front of it and the rest of the return behind it. Return: bytes to go on by; 0 there is not
	 *  a whole one yet; -EBADMSG what follows cannot be told apart. */
	ssize_t (*frame)(const char *p, size_t len, size_t *ret_skip, size_t *ret_len);
	/** parse() - @rec[@len]. *@ret points into it or into @scratch. Return: 0; -EINVAL no record. */
	int (*parse)(const char *rec, size_t len, struct strbuf *scratch, struct logs_record *ret);
};
/** log_kind_of() - of a log driver; NULL when it cannot be read. */
const struct log_kind *log_kind_of(const char *driver);
