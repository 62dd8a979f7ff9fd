/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Engine API 1.50 over sockets: a thread per connection (256 KiB of stack, at most API_CONNECTIONS_MAX of them), blocking
 * calls into the engine. Attach and exec streams leave the room: their descriptor goes to the engine and the thread moves on.
 */
#pragma once

#include "base/macro.h"

struct engine;

#define API_VERSION_MAJOR 1
#define API_VERSION_MAX 50
#define API_VERSION_MIN 24
#define API_CONNECTIONS_MAX 2048
#define API_LISTENERS_MAX 32

/** api_serve_embedded() - serve one connection for each descriptor that comes over the SOCK_SEQPACKET @control_fd (borrowed; one
 *  descriptor a message). Returns when the other end has closed it and every request is answered. The caller is root, tenant "local".
 *  @starts: a container will be. Return: 0, or -errno when the control socket breaks. */
int api_serve_embedded(struct engine *e, int control_fd, bool starts);
/** api_serve_listeners() - accept from @listen_fds (borrowed, at most API_LISTENERS_MAX) until @stop_fd is readable or hangs up, then end idle connections and
 *  wait for the busy ones; for a peer that does not read its answer only some seconds. Callers are told apart by SO_PEERCRED. Return: 0 or -errno. */
int api_serve_listeners(struct engine *e, const int *listen_fds, size_t n, int stop_fd);
