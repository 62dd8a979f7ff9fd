/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the process of coffer-dns that lasts. It hears what engines say, holds every socket and the whole state, keeps a worker going, and gives it
 * sockets that lead to a container's resolvers and nowhere else. It never reads a packet.
 */
#pragma once

/** keeper_run() - serve engines on DNS_FD_SOCKET until there has been no container for a while, and DNS_FD_LOCK says that nobody is about to bring one.
 *  Return: exit code. Context: confined already (dns/confine.h), single-threaded. */
int keeper_run(void);
