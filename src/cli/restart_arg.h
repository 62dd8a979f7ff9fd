/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --restart POLICY[:N] of run, create and update.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

/** restart_arg_check() - is @text of docker's form? Which policies there are is the engine's. Return: 0; ERR_INVALID with the reason alone. */
int restart_arg_check(const char *text, struct err *err);
/** restart_arg_put() - "RestartPolicy" of a checked @text; nothing for NULL and "". */
void restart_arg_put(struct json_writer *w, const char *text);
/** restart_arg_is_set() - whether it names another policy than "no". */
bool restart_arg_is_set(const char *text);
