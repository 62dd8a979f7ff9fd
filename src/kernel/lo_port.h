/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of a loopback address that leads to another port, without NAT and its connection tracking: two stateless nftables rules on the ingress
 * of lo in the caller's network namespace. Only packets over lo pay for it. A program there may bind the shown port on the wildcard
 * address as if nobody had it.
 */
#pragma once

#include <netinet/in.h>

#include "base/macro.h"

/** lo_port_show() - TCP and UDP to @address:@shown arrive at @address:@real, and answers come back from @shown. Replaces what an earlier call set up.
 *  Needs CAP_NET_ADMIN over the network namespace. Return: 0 or -errno. Async-signal-safe. Source: nft(8) "netdev", Linux >= 4.2 (ingress), 4.5 (payload set). */
int lo_port_show(struct in_addr address, uint16_t shown, uint16_t real);
