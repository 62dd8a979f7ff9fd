/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network's part of the floor: what the kernel has to do for one container on a bridge with one published port, with sockets that
 * are open already. A pair whose second end is born in the container's namespace, enslaved; two elements, the sender's addresses and
 * the port, in one commit; inside, IPv6 switched off, an address, up, a default route. Bridge and rules are there before: bench/network
 * makes them, "floor0" with 10.88.0.1/16 and tables "floor" of families bridge and inet.
 */
#pragma once

#include <sys/types.h>

/** net_open() - sockets for the host's side. @slot: of several at once; they share nothing. Dies when it fails, as do all of these. */
void net_open(unsigned slot);
/** net_join() - the pair, and the elements. @pid: of the container. */
void net_join(pid_t pid);
/** net_settle() - inside the container's namespace. @sock: any socket there. @proc_root: a descriptor below which proc/ is mounted. */
void net_settle(int sock, int proc_root);
/** net_leave() - the elements go; the pair goes with its namespace. Not timed. */
void net_leave(void);
