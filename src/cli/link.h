/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the engine is: a daemon's unix socket (--host, COFFER_HOST, COFFER_RUN/coffer.sock) or, for root without a daemon, the
 * embedded engine, started at the first connection. Both give a stream socket that speaks HTTP.
 */
#pragma once

#include "cli/command.h"
#include "http/client.h"

/** link_open() - a fresh connection. *@ret: owned. Return: 0; ERR_SYSTEM/ERR_DENIED/ERR_INVALID saying what to do. */
int link_open(struct cli *cli, struct http_conn **ret, struct err *err);
/** link_lost() - why a connection broke: the embedded engine's own last words if it left some, else "lost the connection ...".
 *  @r: what the http call returned. Return: negative errno with @err filled. */
int link_lost(struct cli *cli, int r, struct err *err);
/** link_close() - let the embedded engine go (its parent waits for it). */
void link_close(struct cli *cli);
