/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of --mount: one CSV record of key=value fields, checked as far as docker's client does, written as an entry of
 * HostConfig.Mounts.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

/** csv_split() - one record: fields at commas, a field may be "quoted, with \"\" for a quote". *@ret: owned strv. Return: 0; ERR_INVALID. */
int csv_split(const char *text, char ***ret, struct err *err);
/** mount_arg_write() - append the mount that @text describes to the open array of @w. Return: 0; ERR_INVALID naming the field. */
int mount_arg_write(struct json_writer *w, const char *text, struct err *err);
