/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network interfaces by rtnetlink: where one is, its addresses, moving it to another network namespace. Blocking request and answer on a
 * socket of the caller's network namespace. Return: 0 or -errno. Source: rtnetlink(7), netlink(7).
 */
#pragma once

#include <net/if.h>
#include <sys/types.h>

#include "base/macro.h"

#define NETDEV_ADDRESSES_MAX 64

struct netdev_address {
	uint8_t family, prefix; /* AF_INET, AF_INET6 */
	uint8_t local[16], broadcast[4]; /* network order; broadcast all zero: none */
};

struct netdev_addresses {
	struct netdev_address v[NETDEV_ADDRESSES_MAX];
	size_t n;
};

/** netdev_open() - a route netlink socket. Return: fd. */
int netdev_open(void);
/** netdev_index() - Return: interface index > 0, -ENODEV. */
int netdev_index(int sock, const char *name);
/** netdev_addresses() - permanent addresses of global scope, as a move takes them away. -E2BIG above the ceiling. */
int netdev_addresses(int sock, int index, struct netdev_addresses *ret);
/** netdev_move() - put interface @index into the network namespace @netns_fd as @name ("%d" in it is filled in by the kernel). -EEXIST: the name is taken there. */
int netdev_move(int sock, int index, int netns_fd, const char *name);
/** netdev_up() - bring @index up. */
int netdev_up(int sock, int index);
/** netdev_add_address() - give @index an address. -EEXIST: it has it. */
int netdev_add_address(int sock, int index, const struct netdev_address *a);
