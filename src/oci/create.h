/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a bundle to a container that has a state: what create and run share. Nothing half-made stays behind: whatever fails from the
 * directory below --root on takes init, cgroups and the directory with it, and SIGINT, SIGTERM, SIGHUP and SIGQUIT wait until then.
 */
#pragma once

#include "oci/container.h"
#include "sandbox/sandbox.h"

struct create_options {
	const char *bundle, *config, *pid_file, *console_socket;
	int64_t preserve_fds;
	bool no_pivot, no_new_keyring, no_subreaper;
	bool detach, keep; /* run's */
};

/* Rows that create and run share. */
#define CREATE_FLAGS                                                                                                                                     \
	{"bundle", 'b', FLAG_STR, offsetof(struct create_options, bundle), "DIR", "the bundle (default: the current directory)"},                        \
	{"config", 'f', FLAG_STR, offsetof(struct create_options, config), "FILE", "read this document instead of the bundle's config.json"},            \
	{"pid-file", 0, FLAG_STR, offsetof(struct create_options, pid_file), "FILE", "write the pid of the container's first process there"},            \
	{"console-socket", 0, FLAG_STR, offsetof(struct create_options, console_socket), "PATH", "unix socket that gets the terminal's master side"},    \
	{"preserve-fds", 0, FLAG_INT, offsetof(struct create_options, preserve_fds), "N", "hand N more descriptors, from 3 on, to the command"},         \
	{"no-pivot", 0, FLAG_BOOL, offsetof(struct create_options, no_pivot), NULL, "change the root without pivot_root(2): for a root on rootfs"},      \
	{"no-new-keyring", 0, FLAG_BOOL, offsetof(struct create_options, no_new_keyring), NULL, "keep the caller's session keyring"},                    \
	{"no-subreaper", 0, FLAG_BOOL, offsetof(struct create_options, no_subreaper), NULL, "accepted: no subreaper is made in any case"}

struct created {
	struct container c;
	struct runtime_spec *spec; /* owned */
	struct sandbox_started started;
	int notify;      /* owned; of notify_listen() once the command may run, -EBADF: none */
	sigset_t before; /* signal mask of the caller */
	bool blocked;
};
#define CREATED_INIT {.c = CONTAINER_INIT, .started = {.init = PIDREF_NULL, .wait_fd = -EBADF, .console_fd = -EBADF}, .notify = -EBADF}

enum create_how {
	CREATE_WAITING, /* init waits for `start` */
	CREATE_DETACHED, /* the command runs; nobody stays with it */
	CREATE_FOREGROUND, /* the command runs; the caller takes its terminal and waits */
};

/** create_container() - *@ret: to be released with created_done() in any case. On success the container's lock is held and its state written; with a
 *  console socket the terminal is sent already. Return: 0; ERR_CMD_NOT_FOUND and ERR_CMD_DENIED for the command itself. */
int create_container(const struct oci *o, const char *id, const struct create_options *opt, enum create_how how, struct created *ret, struct err *err);
/** created_unblock() - signals do again what they did before. */
void created_unblock(struct created *c);
void created_done(struct created *c);
#define _cleanup_created_ _cleanup_(created_done)
/** pid_file_write() - appears by rename. Return: 0 or <0 with @err. */
int pid_file_write(const char *path, pid_t pid, struct err *err);
