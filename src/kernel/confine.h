/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last steps of a confined process: no_new_privs, seccomp, Landlock, session keyring, descriptor hygiene. All act on the
 * calling thread, return 0 or -errno, and are async-signal-safe.
 */
#pragma once

#include "base/macro.h"

/** confine_no_new_privs() - PR_SET_NO_NEW_PRIVS. Source: prctl(2). */
int confine_no_new_privs(void);
/** confine_seccomp() - install @n instructions of classic BPF (struct sock_filter array) as a filter. @flags: SECCOMP_FILTER_FLAG_*. Return: 0, or
 *  with SECCOMP_FILTER_FLAG_NEW_LISTENER the listener (CLOEXEC), or -errno. Source: seccomp(2). */
int confine_seccomp(const void *filter, size_t n, unsigned flags);
/** confine_seccomp_takes() - whether the running kernel knows the SECCOMP_FILTER_FLAG_* bit @flag. Installs nothing. */
bool confine_seccomp_takes(unsigned flag);
/** confine_keyring() - a new anonymous session keyring. Source: keyctl(2) KEYCTL_JOIN_SESSION_KEYRING. -ENOSYS: kernel without keys. */
int confine_keyring(void);
/** landlock_abi() - the running kernel's Landlock ABI, 0: none. Source: landlock_create_ruleset(2). */
int landlock_abi(void);
/** confine_landlock() - our default ruleset: no device nodes are made, nothing is mounted or pivoted (a side effect of any handled file
 *  right, Documentation/userspace-api/landlock.rst "Filesystem topology modification"), processes outside the domain are not
 *  ptraced; with @scope_abstract (ABI >= 6) abstract unix sockets of outside are out of reach (CVE-2020-15257 on host networks).
 *  Needs no_new_privs or CAP_SYS_ADMIN. -EOPNOTSUPP: no Landlock here. */
int confine_landlock(bool scope_abstract);
/** confine_landlock_readonly() - no file is written, made, removed or executed any more, abstract sockets of outside and signals to outside (ABI >= 6) are
 *  out of reach. For helpers. -EOPNOTSUPP: no Landlock here. */
int confine_landlock_readonly(void);
/** close_from() - close_range(@first, ~0). Linux >= 5.9. */
int close_from(unsigned first);
/** cloexec_from() - mark every descriptor from @first on close-on-exec. Linux >= 5.11. */
int cloexec_from(unsigned first);
