/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of the command line as a row of data, and the state that one invocation carries from command to command.
 */
#pragma once

#include "cli/cli.h"
#include "base/flag.h"

struct http_conn;

struct cli {
	const struct cli_embedded *embedded; /* borrowed; NULL: none */
	const char *host;         /* --host or COFFER_HOST; NULL: choose */
	int control_fd;           /* owned; the embedded engine's, -EBADF until started */
	struct err engine_died;   /* why the embedded engine left, once it said so; kind ERR_NONE before */
	struct http_conn *conn;   /* owned; idle connection for the next call, NULL: none */
	const struct command *command; /* the one that runs, for usage errors */
};

enum command_group { GROUP_RUN, GROUP_CONTAINERS, GROUP_IMAGES, GROUP_OTHER, GROUP_SUB, GROUP_MAX_ };

enum command_flags {
	COMMAND_STRICT_ORDER = 1, /* flags stop at the first positional argument */
};

#define ARGS_ANY SIZE_MAX

struct command {
	const char *name;    /* "run", "image ls" */
	enum command_group group;
	const char *usage;   /* "[OPTIONS] IMAGE [COMMAND] [ARG...]" */
	const char *summary; /* one line */
	const char *examples; /* lines, each indented by two */
	const struct flag_table *flags[FLAG_TABLES_MAX + 1]; /* ended by NULL */
	size_t min_args, max_args;
	unsigned mode;       /* enum command_flags */
	int (*run)(struct cli *cli, int argc, char **argv); /* argv: behind the command's name. Return: exit code */
};

struct args {
	const char **v; /* owned array of borrowed strings */
	size_t n;
};
void args_done(struct args *a);
#define _cleanup_args_ _cleanup_(args_done)

#define CLI_PARSED (-1)
#define CLI_EXIT_ENGINE 125
#define CLI_EXIT_TEMPLATE 64 /* docker's code for a --format that cannot be read */

/** cli_parse() - flags and positional arguments of @cli->command. Prints help or the usage error itself. Return: CLI_PARSED, or the exit
 *  code to leave with. */
int cli_parse(struct cli *cli, int argc, char **argv, void *options, struct args *ret_args);
/** cli_error() - "coffer: message." on stderr. Return: 1. */
int cli_error(const char *fmt, ...) _printf_(1, 2);
/** cli_fail() - print @err. Return: @code. */
int cli_fail(int code, const struct err *err);
/** cli_usage_error() - cli_error(), how the command is used, and where the help is. Return: 1. */
int cli_usage_error(struct cli *cli, const char *fmt, ...) _printf_(2, 3);

/** command_find() - by any of its names ("ps", "container ls"); NULL when there is none. *@ret_words: words of argv used. */
const struct command *command_find(int argc, char **argv, int *ret_words);
/** command_list() - every command. */
const struct command *const *command_list(size_t *ret_n);
#define COMMAND_PATH_MAX 64
/** command_path() - the @i-th name of @c into @buf: its own, then as a member of docker's groups. Return: false past the last. */
bool command_path(const struct command *c, size_t i, char *buf, size_t size);

/* "container", "image", ...: docker's management commands, under which commands have a second name or their only one. */
struct command_family {
	const char *name, *summary;
};
const struct command_family *command_families(size_t *ret_n);
/** command_family_find() - NULL when there is none. */
const struct command_family *command_family_find(const char *name);
/** family_member() - the name of @c in @family ("ls" of "container ls"), or NULL. @buf: COMMAND_PATH_MAX bytes, where it lies. */
const char *family_member(const struct command_family *family, const struct command *c, char *buf);

extern const struct flag_table *const top_flags[]; /* the flags before the command */

/** help_command() / help_top() / help_family() - print to stdout. */
void help_command(const struct command *c);
void help_top(void);
void help_family(const struct command_family *family);
/** flag_label() - "  -m, --memory bytes" into @buf. Return: its length. */
size_t flag_label(const struct flag *f, char *buf, size_t size);
/** flag_is_shown() - not a second name, and not one that is refused. */
bool flag_is_shown(const struct flag *f);
/** flag_is_refused() - docker's, and not there yet. */
bool flag_is_refused(const struct flag *f);

/* One row a command, each in the file of its noun. */
extern const struct command command_run, command_create, command_start, command_stop, command_kill, command_rm, command_ps, command_logs,
	command_attach, command_exec, command_wait, command_inspect, command_restart, command_load, command_save, command_pull, command_push, command_login, command_logout, command_search, command_manifest_inspect, command_import, command_images, command_rmi,
	command_tag, command_history, command_image_inspect, command_container_inspect, command_volume_create, command_volume_ls, command_volume_inspect,
	command_network_create, command_network_connect, command_network_disconnect, command_network_ls, command_network_inspect, command_network_rm, command_network_prune,
	command_volume_rm, command_posture, command_version, command_info, command_pause, command_unpause, command_rename, command_top, command_update,
	command_container_prune, command_image_prune, command_volume_prune, command_events, command_port, command_system_check, command_system_df, command_system_prune,
	command_completion, command_system_restore, command_system_down, command_stats, command_cp, command_diff, command_export,
	command_commit;
