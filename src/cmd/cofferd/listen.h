/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's sockets: made here (0660, root and a group), or handed over by a service manager (LISTEN_FDS).
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

#define LISTEN_MAX 16
#define LISTEN_FDS_START 3

struct listeners {
	int fds[LISTEN_MAX];    /* owned */
	char *paths[LISTEN_MAX]; /* owned; NULL: handed over */
	size_t n;
};

/** listen_open() - a socket for each of @hosts ("unix:///PATH", "fd://"); none at all: what was handed over, else @run_dir/coffer.sock.
 *  A socket that nobody listens on any more is replaced; one that somebody does is ERR_CONFLICT. @group: NULL: "coffer" where there is such a group.
 *  Members of the group may pass @run_dir (0710), not list it. Nothing half-made stays behind. */
int listen_open(struct listeners *l, char *const *hosts, const char *group, const char *run_dir, struct err *err);
/** listen_close() - close them, and remove what was made here. */
void listen_close(struct listeners *l);
/** group_find() - from /etc/group. *@ret untouched when there is none. Return: 1 found, 0 not, <0. */
int group_find(const char *name, gid_t *ret, struct err *err);
