/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor and SELinux through the files that the kernel shows: no libapparmor, no libselinux (ADR 0013). What the host has and in which
 * mode is below /sys, given as @sys so that a test can show another tree; a process's labels are below /proc/PID/attr, reached from a
 * procfs descriptor and never across a mount or a link (R3). All return >= 0 or -errno, none logs or allocates unless it says so.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

enum lsm { LSM_APPARMOR, LSM_SELINUX, LSM_MAX_ };
enum lsm_attr { LSM_ATTR_CURRENT, LSM_ATTR_EXEC, LSM_ATTR_KEYCREATE, LSM_ATTR_MAX_ };

#define LSM_LABEL_MAX 512 /* bytes with the NUL; longer labels are refused */
#define LSM_XATTR_SELINUX "security.selinux"

/** lsm_enabled() - whether the running kernel enforces or could enforce by @which. @sys: "/sys". SELinux counts once selinuxfs is mounted
 *  (which every init system does that knows it). Source: module/apparmor/parameters/enabled, fs/selinux/enforce. */
bool lsm_enabled(const char *sys, enum lsm which);

/* Labels of processes */

/** lsm_attr_open() - the calling process's own @attr of @which for writing. @proc_fd: root of a procfs; its pid namespace may be an outer
 *  one. Return: fd, for a write by this same process later (the kernel refuses another's); -EOPNOTSUPP: the kernel has no such
 *  attribute. Source: Documentation/admin-guide/LSM, fs/proc/base.c proc_pid_attr_write(), Linux >= 5.8 for attr/apparmor. */
int lsm_attr_open(int proc_fd, enum lsm which, enum lsm_attr attr, int flags);
/** lsm_attr_read() - @attr of the process whose directory is @pid_fd (/proc/PID), trimmed. Return: length, 0 when unset, -errno
 *  (-ENOENT, -EINVAL: not this LSM's kernel). @buf: at least LSM_LABEL_MAX. */
int lsm_attr_read(int pid_fd, enum lsm which, enum lsm_attr attr, char *buf, size_t size);
/** lsm_exec_set() - ask for @label at the next execve through @fd of lsm_attr_open(..., LSM_ATTR_EXEC, O_RDWR), and read back what the
 *  kernel noted. Return: 0; -ENOENT: no such AppArmor profile; -EINVAL: no such SELinux context; -EKEYREJECTED: the kernel noted another. */
int lsm_exec_set(int fd, enum lsm which, const char *label);
/** lsm_current_set() - take @label at once, through @fd of lsm_attr_open(..., LSM_ATTR_CURRENT, O_RDWR), and read AppArmor's back. Unlike a label that
 *  changes at execve it leaves the parent death signal alone. Errors as above; -EACCES: the policy has this transition at execve only.
 *  Source: apparmor_bprm_committing_creds(), selinux_bprm_committing_creds(): "pdeath_signal = 0". */
int lsm_current_set(int fd, enum lsm which, const char *label);

/* AppArmor */

/** lsm_apparmor_mode() - how @profile is loaded. @mode: at least 32 bytes, "enforce", "complain", "kill", ... Return: 1 loaded, 0 not,
 *  -errno (-ENOENT: securityfs is not mounted). Allocates. Source: kernel/security/apparmor/profiles. */
int lsm_apparmor_mode(const char *sys, const char *profile, char mode[32]);
/** lsm_apparmor_load() - add or replace the compiled profiles in @data. Source: kernel/security/apparmor/.replace. */
int lsm_apparmor_load(const char *sys, const void *data, size_t len);
/** lsm_apparmor_split() - "name (mode)" in place: cuts the mode off. Return: the mode, "" when there was none. */
const char *lsm_apparmor_split(char *label, char mode[32]);

/* SELinux */

/** lsm_selinux_enforcing() - Return: 1, 0 permissive, -errno. */
int lsm_selinux_enforcing(const char *sys);
/** lsm_selinux_check() - whether the loaded policy knows @context. @canon: LSM_LABEL_MAX bytes, as the kernel writes it. Return: 0,
 *  -EINVAL unknown, -errno. Source: fs/selinux/context. */
int lsm_selinux_check(const char *sys, const char *context, char *canon);
/** lsm_selinux_label_fd() - set the file label of the object behind @fd, which may be O_PATH (then through /proc/self/fd). */
int lsm_selinux_label_fd(int fd, const char *context);
/** lsm_selinux_file_label() - the label of the object behind @fd (may be O_PATH). Return: length; -ENODATA: none; -EOPNOTSUPP. */
int lsm_selinux_file_label(int fd, char *buf, size_t size);
