/* SPDX-License-Identifier: Apache-2.0 */
/* How far an address is from the open network. */
#pragma once

#include "fetch/proto.h"

struct sockaddr;
/** fetch_reach_of() - of an IPv4 or IPv6 address; v4-mapped, NAT64 and 6to4 forms count as the address inside. What is neither global nor known
 *  (multicast, "this network", documentation) is FETCH_REACH_LINK_LOCAL, the farthest. */
enum fetch_reach fetch_reach_of(const struct sockaddr *a);
