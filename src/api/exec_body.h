/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bodies of POST /containers/ID/exec and POST /exec/ID/start: foreign bytes, read by tables.
 */
#pragma once

#include "codec/json.h"
#include "engine/engine.h"

struct exec_start {
	bool detach, tty;
	unsigned rows, cols;
};

/** exec_create_body() - @body (NULL: there was none) into the struct exec_request @ret, which the caller releases in every case.
 *  *@unknown: keys that nobody knows, appended. Return: 0; ERR_INVALID. */
int exec_create_body(const struct json *body, void *ret, char ***unknown, struct err *err);
/** exec_start_body() - the same into the struct exec_start @ret. */
int exec_start_body(const struct json *body, void *ret, char ***unknown, struct err *err);
