/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as the body of a request while the answer is already coming: neither side ever waits for the other to read.
 */
#pragma once

#include "cli/call.h"

/** upload() - POST @target with the bytes of @fd (a file, a pipe, an OCI layout directory: chunked unless its size is known), the answer's JSON lines
 *  shown as progress. @bar: the answer says nothing of how far it is; on a terminal show how much was sent. Return: 0; ERR_*. */
int upload(struct cli *cli, const struct strbuf *target, int fd, bool bar, struct err *err);
