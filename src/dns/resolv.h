/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/resolv.conf as text: what is in one, read as resolv.conf(5) says. */
#pragma once

#include "base/str.h"

#define RESOLV_MAX (64u << 10)
#define RESOLV_SERVERS_MAX 16
#define RESOLV_WORDS_MAX 64

struct resolv {
	char **servers; /* addresses as written, "fe80::1%eth0" too; strv, owned */
	char **search;  /* of the last "search" or "domain" */
	char **options;
};

void resolv_done(struct resolv *r);
#define _cleanup_resolv_ _cleanup_(resolv_done)
/** resolv_parse() - @text of @len bytes. What is not understood is passed over, as libc does. Return: 0, -ENOMEM. */
int resolv_parse(const char *text, size_t len, struct resolv *ret);
/** resolv_is_loopback() - whether @address (text) is the asking host's own: 127/8, ::1, 0.0.0.0, ::. */
bool resolv_is_loopback(const char *address);
