/* SPDX-License-Identifier: Apache-2.0 */
/* What `state` and `list` show of a container. */
#pragma once

#include "codec/json.h"
#include "oci/container.h"

/** view_json() - the state of runtime.md, with runc's additions (rootfs, created, owner), as one object into @w. */
void view_json(struct json_writer *w, const struct container *c);
/** view_owner() - name of uid @uid from /etc/passwd, or its number. @buf: at least 64 bytes. Return: @buf. */
char *view_owner(uint32_t uid, char *buf, size_t size);
/** view_print() - JSON @text, indented, and a line's end to stdout. */
int view_print(const struct strbuf *text, struct err *err);
