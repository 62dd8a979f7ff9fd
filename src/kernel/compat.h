/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that the build host's headers (Debian 12: Linux 6.1) may lack. The one place for build-time #if; whether the
 * running kernel has a facility is asked with kernel_has() (kernel/feature.h), never by version.
 */
#pragma once

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <sys/syscall.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET /* ABI 6, Linux 6.12 */
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif
#ifndef KEYCTL_JOIN_SESSION_KEYRING
#define KEYCTL_JOIN_SESSION_KEYRING 1
#endif
#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif
#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0
#endif

/* gcc and clang tell each in its own way that AddressSanitizer is built in (it needs terabytes of address space). */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILD_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(BUILD_SANITIZED)
#define BUILD_SANITIZED 1
#endif
