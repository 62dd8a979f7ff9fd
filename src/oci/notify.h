/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager that waits for READY=1 (sd_notify(3)) reaches into the container, as under runc and crun: the container gets a socket of ours, and
 * its word is passed on together with the pid that the manager shall watch. Its own socket is never shown inside: who can write there can claim
 * anything of the service. Only with NOTIFY_SOCKET in the caller's environment.
 *
 *   create, run   ROOT/ID/notify is bound over /run/notify, NOTIFY_SOCKET=/run/notify/notify.sock is in the command's environment
 *   start, run    binds the socket there before the command runs; start and run --detach stay until READY=1 or the container's end
 */
#pragma once

#include <unistd.h>

#include "oci/container.h"

/** notify_wanted() - whether the caller's environment names a socket. */
bool notify_wanted(void);
/** notify_prepare() - make the directory in @c, and add mount and variable to @spec. @o: says where @c's directory is. Return: 0 or <0 with @err. */
int notify_prepare(const struct oci *o, const struct container *c, struct runtime_spec *spec, struct err *err);
/** notify_listen() - bind the socket. Return: fd, non-blocking; -EBADF when @c was made without notify_prepare(); other <0 with @err. */
int notify_listen(const struct container *c, struct err *err);
/** notify_take() - read what came on @sock; when READY=1 is in it, pass it on with MAINPID=@pid and wait until the manager has read it (5 s at most).
 *  Return: 1 it was passed on, nothing more is to be done; 0 not yet; <0 with @err. */
int notify_take(int sock, pid_t pid, struct err *err);
/** notify_wait() - notify_take() until it is done or the process behind @pidfd has ended. Return: 0 or <0 with @err. */
int notify_wait(int sock, int pidfd, pid_t pid, struct err *err);
