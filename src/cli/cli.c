/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to a command: the flags before the command's name, the search for its row, and what every command shares.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "base/suggest.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/link.h"

struct top_options {
	const char *host; /* borrowed */
	bool debug, version;
};

#define O(field) offsetof(struct top_options, field)
static const struct flag top_rows[] = {
	{"context", 'c', FLAG_REFUSED, 0, NULL, "name the engine's socket with --host"},
	{"debug", 'D', FLAG_BOOL, O(debug), NULL, "Say more on stderr"},
	{"host", 'H', FLAG_STR, O(host), "unix:///path", "Socket of the engine, or 'embedded': one of the command's own"},
	{"tls", 0, FLAG_REFUSED_BOOL, 0, NULL, "the engine listens on unix sockets only"},
	{"tlsverify", 0, FLAG_REFUSED_BOOL, 0, NULL, "the engine listens on unix sockets only"},
	{"version", 'v', FLAG_BOOL, O(version), NULL, "Print the version"},
};
const struct flag_table *const top_flags[] = {FLAGS(top_rows), NULL};

static const struct command *const commands[] = {
	&command_run,	       &command_create,	       &command_start,	      &command_stop,	     &command_restart,
	&command_kill,	       &command_rm,	       &command_ps,	      &command_logs,	     &command_attach,
	&command_exec,	       &command_wait,	       &command_inspect,      &command_posture,	     &command_load, &command_save, &command_pull, &command_push, &command_login, &command_logout, &command_search, &command_manifest_inspect,
	&command_import,       &command_images,	       &command_rmi,	      &command_tag,	     &command_history,
	&command_image_inspect, &command_container_inspect, &command_volume_create, &command_volume_ls, &command_volume_inspect,
	&command_volume_rm,    &command_version,       &command_info,	      &command_pause,	     &command_unpause,
	&command_rename,       &command_top,	       &command_update,	      &command_container_prune, &command_image_prune,
	&command_network_create, &command_network_connect, &command_network_disconnect, &command_network_ls, &command_network_inspect, &command_network_rm, &command_network_prune,
	&command_volume_prune, &command_events,	       &command_port,	      &command_system_check, &command_system_df,    &command_system_prune,
	&command_completion,   &command_system_restore, &command_system_down, &command_stats,	&command_cp, &command_diff, &command_export, &command_commit,
};

/* docker's other names for the same rows; the first one in a group is the one that its help shows */
static const struct {
	const char *words, *name;
} aliases[] = {
	{"container ls", "ps"},	    {"container list", "ps"}, {"container ps", "ps"},	{"image ls", "images"}, {"image list", "images"},
	{"image rm", "rmi"},	    {"image remove", "rmi"},  {"volume list", "volume ls"}, {"volume remove", "volume rm"}, {"remove", "rm"},
	{"network list", "network ls"}, {"network remove", "network rm"},
	{"system info", "info"},     {"system events", "events"},    {"container remove", "rm"},
};

static const struct command_family families[] = {
	{"container", "Manage containers"},
	{"image", "Manage images"},
	{"manifest", "Look at manifests in registries"},
	{"network", "Manage networks"},
	{"system", "Look after the engine and its disk"},
	{"volume", "Manage volumes"},
};

const struct command *const *command_list(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(commands);
	return commands;
}

const struct command_family *command_families(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(families);
	return families;
}

const struct command_family *command_family_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (str_eq(name, families[i].name))
			return &families[i];
	return NULL;
}

/* "container start" is "start", "image load" is "load", unless docker calls it something else there. */
static const char *own_family(const struct command *c)
{
	static const char *const elsewhere[] = {"images", "rmi", "inspect", "ps", "login", "logout", "search"};
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (str_eq(c->name, elsewhere[i]))
			return NULL;
	if (strchr(c->name, ' '))
		return NULL;
	return c->group == GROUP_RUN || c->group == GROUP_CONTAINERS ? "container" : c->group == GROUP_IMAGES ? "image" : NULL;
}

bool command_path(const struct command *c, size_t i, char *buf, size_t size)
{
	const char *family = own_family(c);
	if (i == 0)
		return str_copy(buf, size, c->name) == 0;
	if (family && i-- == 1)
		return str_format(buf, size, "%s %s", family, c->name) > 0;
	for (size_t a = 0; a < ARRAY_LEN(aliases); a++)
		if (str_eq(aliases[a].name, c->name) && i-- == 1)
			return str_copy(buf, size, aliases[a].words) == 0;
	return false;
}

static const struct command *by_path(const char *words)
{
	char path[COMMAND_PATH_MAX];
	for (size_t n = 0; n < ARRAY_LEN(commands); n++)
		for (size_t i = 0; command_path(commands[n], i, path, sizeof(path)); i++)
			if (str_eq(path, words))
				return commands[n];
	return NULL;
}

const struct command *command_find(int argc, char **argv, int *ret_words)
{
	const struct command *c = NULL;
	char two[COMMAND_PATH_MAX];
	*ret_words = 2;
	if (argc >= 2 && str_format(two, sizeof(two), "%s %s", argv[0], argv[1]) > 0)
		c = by_path(two);
	if (c)
		return c;
	*ret_words = 1;
	return argc >= 1 && !strchr(argv[0], ' ') ? by_path(argv[0]) : NULL;
}

void args_done(struct args *a)
{
	free(a->v);
	*a = (struct args) {};
}

static void print_error(const char *msg)
{
	size_t n = strlen(msg);
	while (n > 0 && (msg[n - 1] == '\n' || msg[n - 1] == '.'))
		n--;
	(void) fflush(stdout);
	(void) fprintf(stderr, "coffer: %.*s\n", (int) n, msg);
}

int cli_error(const char *fmt, ...)
{
	char msg[2048];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	print_error(msg);
	return 1;
}

int cli_fail(int code, const struct err *err)
{
	print_error(err->msg);
	return code;
}

static void point_at_help(const struct cli *cli)
{
	if (cli->command)
		(void) fprintf(stderr, "\nUsage:  coffer %s %s\n\nSee 'coffer %s --help' for more information\n", cli->command->name, cli->command->usage, cli->command->name);
	else
		(void) fprintf(stderr, "\nSee 'coffer --help' for more information\n");
}

int cli_usage_error(struct cli *cli, const char *fmt, ...)
{
	char msg[1024];
	va_list ap;
	va_start(ap, fmt);
	(void) vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	print_error(msg);
	point_at_help(cli);
	return 1;
}

static int wrong_count(struct cli *cli, size_t n)
{
	const struct command *c = cli->command;
	bool few = n < c->min_args;
	size_t want = few ? c->min_args : c->max_args;
	if (c->max_args == 0)
		return cli_usage_error(cli, "'coffer %s' accepts no arguments", c->name);
	return cli_usage_error(cli, "'coffer %s' requires %s%zu argument%s", c->name, c->min_args == c->max_args ? "" : few ? "at least " : "at most ", want,
			       want == 1 ? "" : "s");
}

int cli_parse(struct cli *cli, int argc, char **argv, void *options, struct args *ret_args)
{
	const struct command *c = cli->command;
	struct err err;
	ret_args->v = calloc((size_t) argc + 1, sizeof(char *));
	if (!ret_args->v)
		return cli_error("out of memory");
	int r = flag_parse(c->flags, argc, argv, c->mode & COMMAND_STRICT_ORDER ? 0 : FLAG_INTERSPERSED, options, ret_args->v, &ret_args->n, &err);
	if (r == FLAG_HELP) {
		help_command(c);
		return 0;
	}
	if (r < 0 && err.kind == ERR_UNSUPPORTED) {
		(void) cli_error("%s, see coffer %s --help", err.msg, c->name);
		return CLI_EXIT_ENGINE;
	}
	if (r < 0) {
		(void) cli_usage_error(cli, "%s", err.msg);
		return CLI_EXIT_ENGINE;
	}
	if (ret_args->n < c->min_args || ret_args->n > c->max_args)
		return wrong_count(cli, ret_args->n);
	return CLI_PARSED;
}

/* docker's commands that have no row yet, and what to do instead. */
static const struct {
	const char *name, *why;
} refused_commands[] = {
	{"build", "build elsewhere, save, and load here"},
	{"builder", "build elsewhere, save, and load here"},
	{"buildx", "build elsewhere, save, and load here"},
	{"checkpoint", NULL},
	{"compose", NULL},
	{"config", NULL},
	{"context", "name the engine's socket with --host"},
	{"node", NULL},
	{"plugin", NULL},
	{"secret", NULL},
	{"service", NULL},
	{"stack", NULL},
	{"swarm", NULL},
	{"trust", NULL},
	{"prune", "use container prune, image prune or volume prune"},
};

/* The names that may have been meant, kept in *@names: all, or those in @family ("container "). */
static void offer_names(struct suggest *s, const char *family, char ***names)
{
	char path[COMMAND_PATH_MAX];
	for (size_t n = 0; n < ARRAY_LEN(commands); n++)
		for (size_t i = 0; command_path(commands[n], i, path, sizeof(path)); i++) {
			const char *word = family ? str_after(path, family) : strchr(path, ' ') ? NULL : path;
			if (word)
				(void) strv_push(names, word); /* without memory nothing is suggested */
		}
	for (size_t i = 0; !family && i < ARRAY_LEN(families); i++)
		(void) strv_push(names, families[i].name);
	STRV_FOREACH (name, *names)
		suggest_offer(s, name);
}

/* @family: NULL for a first word */
static int unknown_command(const struct command_family *family, const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(refused_commands); i++)
		if (str_eq(word, refused_commands[i].name))
			return refused_commands[i].why ? cli_error("'%s' is not there yet: %s", word, refused_commands[i].why) :
							 cli_error("'%s' is not there yet", word);
	_cleanup_strv_ char **names = NULL;
	char prefix[32] = "";
	if (family)
		(void) str_format(prefix, sizeof(prefix), "%s ", family->name);
	struct suggest s;
	suggest_init(&s, word, strlen(word));
	offer_names(&s, family ? prefix : NULL, &names);
	const char *near = suggest_best(&s);
	(void) cli_error("'%s%.80s' is not a coffer command%s%s%s%s", prefix, word, near ? ", did you mean '" : "", near ? prefix : "", near ? near : "", near ? "'?" : "");
	(void) fprintf(stderr, "\nSee 'coffer %s--help' for more information\n", prefix);
	return 1;
}

static bool is_help_word(const char *s)
{
	return str_eq(s, "--help") || str_eq(s, "-h");
}

static int help(int argc, char **argv)
{
	int words;
	const struct command *c = command_find(argc, argv, &words);
	const struct command_family *family = argc > 0 ? command_family_find(argv[0]) : NULL;
	if (argc == 0 || is_help_word(argv[0]))
		help_top();
	else if (c)
		help_command(c);
	else if (!family || argc > 1)
		return unknown_command(family, argv[family != NULL]);
	else
		help_family(family);
	return 0;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
	int words;
	if (argc == 0 || str_eq(argv[0], "help"))
		return help(argc > 0 ? argc - 1 : 0, argv + (argc > 0));
	if (str_eq(argv[0], COMPLETE_WORD))
		return complete(cli, argc - 1, argv + 1);
	cli->command = command_find(argc, argv, &words);
	if (cli->command)
		return cli->command->run(cli, argc - words, argv + words);
	const struct command_family *family = command_family_find(argv[0]);
	if (!family)
		return unknown_command(NULL, argv[0]);
	if (argc > 1 && !is_help_word(argv[1]))
		return unknown_command(family, argv[1]);
	help_family(family);
	return 0;
}

/* argv[1..]: flags, then the command. Return: index of the command's name, or -1 with *@ret_code. */
static int top_parse(struct cli *cli, int argc, char **argv, struct args *a, int *ret_code)
{
	struct top_options o = {};
	struct err err;
	int r = flag_parse(top_flags, argc, argv, 0, &o, a->v, &a->n, &err);
	if (r == FLAG_HELP || o.version) {
		if (o.version)
			(void) printf("Coffer version %s\n", COFFER_VERSION);
		else
			help_top();
		*ret_code = 0;
		return -1;
	}
	if (r < 0) {
		(void) cli_usage_error(cli, "%s", err.msg);
		*ret_code = CLI_EXIT_ENGINE;
		return -1;
	}
	const char *env = getenv("COFFER_HOST");
	cli->host = o.host ? o.host : str_empty(env) ? NULL : env;
	if (o.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	return argc - (int) a->n;
}

int cli_main(int argc, char **argv, const struct cli_embedded *embedded)
{
	struct cli cli = {.embedded = embedded, .control_fd = -EBADF};
	_cleanup_args_ struct args a = {.v = calloc((size_t) argc + 1, sizeof(char *))};
	if (!a.v)
		return cli_error("out of memory");
	(void) signal(SIGPIPE, SIG_IGN); /* a closed stdout is told by write(2) */
	int code = 0, at = top_parse(&cli, argc > 0 ? argc - 1 : 0, argv + (argc > 0), &a, &code);
	if (at < 0)
		return code;
	code = run_command(&cli, (int) a.n, argv + 1 + at);
	link_close(&cli);
	if (fflush(stdout) != 0 && code == 0)
		code = errno == EPIPE ? 128 + SIGPIPE : cli_error("writing to stdout: %s", strerrordesc_np(errno));
	return code;
}
