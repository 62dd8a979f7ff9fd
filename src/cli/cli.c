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
#include "cli/command.h"
#include "cli/link.h"
#include "base/suggest.h"

struct top_options {
	const char *host; /* borrowed */
	bool debug, version;
};

#define O(field) offsetof(struct top_options, field)
static const struct flag top_rows[] = {
	{"context", 'c', FLAG_REFUSED, 0, NULL, "name the engine's socket with --host"},
	{"debug", 'D', FLAG_BOOL, O(debug), NULL, "Say more on stderr"},
	{"host", 'H', FLAG_STR, O(host), "unix:///path", "Socket of the engine"},
	{"tls", 0, FLAG_REFUSED_BOOL, 0, NULL, "the engine listens on unix sockets only"},
	{"tlsverify", 0, FLAG_REFUSED_BOOL, 0, NULL, "the engine listens on unix sockets only"},
	{"version", 'v', FLAG_BOOL, O(version), NULL, "Print the version"},
};
static const struct flag_table *const top_flags[] = {FLAGS(top_rows), NULL};

static const struct command *const commands[] = {
	&command_run,	       &command_create,	       &command_start,	      &command_stop,	     &command_restart,
	&command_kill,	       &command_rm,	       &command_ps,	      &command_logs,	     &command_attach,
	&command_exec,	       &command_wait,	       &command_inspect,      &command_posture,	     &command_load, &command_save,
	&command_import,       &command_images,	       &command_rmi,	      &command_tag,	     &command_history,
	&command_image_inspect, &command_container_inspect, &command_volume_create, &command_volume_ls, &command_volume_inspect,
	&command_volume_rm,    &command_version,       &command_info,	      &command_pause,	     &command_unpause,
	&command_rename,       &command_top,	       &command_update,	      &command_container_prune, &command_image_prune,
	&command_volume_prune, &command_events,
};

/* docker's long names for the same rows */
static const struct {
	const char *words, *name;
} aliases[] = {
	{"container ls", "ps"},	    {"container list", "ps"}, {"container ps", "ps"},	{"image ls", "images"}, {"image list", "images"},
	{"image rm", "rmi"},	    {"image remove", "rmi"},  {"volume list", "volume ls"}, {"volume remove", "volume rm"}, {"remove", "rm"},
	{"system info", "info"},     {"system events", "events"},    {"container remove", "rm"},
};

const struct command *const *command_list(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(commands);
	return commands;
}

static const struct command *by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (str_eq(name, aliases[i].words))
			name = aliases[i].name;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(name, commands[i]->name))
			return commands[i];
	return NULL;
}

/* "container start" is "start", "image load" is "load"; the groups have no other members. */
static const struct command *in_group(const char *group, const char *name)
{
	const struct command *c = by_name(name);
	if (!c)
		return NULL;
	bool container = c->group == GROUP_RUN || c->group == GROUP_CONTAINERS, image = c->group == GROUP_IMAGES;
	if (str_eq(name, "images") || str_eq(name, "rmi") || str_eq(name, "inspect"))
		return NULL;
	return (container && str_eq(group, "container")) || (image && str_eq(group, "image")) ? c : NULL;
}

const struct command *command_find(int argc, char **argv, int *ret_words)
{
	const struct command *c = NULL;
	char two[64];
	*ret_words = 2;
	if (argc >= 2 && str_format(two, sizeof(two), "%s %s", argv[0], argv[1]) > 0)
		c = by_name(two);
	if (!c && argc >= 2)
		c = in_group(argv[0], argv[1]);
	if (c)
		return c;
	*ret_words = 1;
	return argc >= 1 && !strchr(argv[0], ' ') ? by_name(argv[0]) : NULL;
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

static int usage_code(const struct cli *cli)
{
	return cli->command && cli->command->mode & COMMAND_USAGE_125 ? CLI_EXIT_ENGINE : 1;
}

static void point_at_help(const struct cli *cli)
{
	if (cli->command)
		(void) fprintf(stderr, "\nRun 'coffer %s --help' for more information\n", cli->command->name);
	else
		(void) fprintf(stderr, "\nRun 'coffer --help' for more information\n");
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
	return usage_code(cli);
}

static int wrong_count(struct cli *cli, size_t n)
{
	const struct command *c = cli->command;
	const char *many = c->min_args == 1 ? "" : "s";
	if (c->max_args == 0)
		return cli_usage_error(cli, "'coffer %s' accepts no arguments", c->name);
	if (c->min_args == c->max_args)
		return cli_usage_error(cli, "'coffer %s' requires %zu argument%s\n\nUsage:  coffer %s %s", c->name, c->min_args, many, c->name, c->usage);
	if (n < c->min_args)
		return cli_usage_error(cli, "'coffer %s' requires at least %zu argument%s\n\nUsage:  coffer %s %s", c->name, c->min_args, many, c->name,
				       c->usage);
	return cli_usage_error(cli, "'coffer %s' requires at most %zu arguments\n\nUsage:  coffer %s %s", c->name, c->max_args, c->name, c->usage);
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
	{"commit", NULL},
	{"compose", NULL},
	{"config", NULL},
	{"context", "name the engine's socket with --host"},
	{"cp", "use a volume"},
	{"diff", NULL},
	{"export", NULL},
	{"login", "there are no registries yet"},
	{"logout", "there are no registries yet"},
	{"manifest", NULL},
	{"network", "this version has --network none and host"},
	{"node", NULL},
	{"plugin", NULL},
	{"port", "networks have no ports in this version"},
	{"pull", "load an image with coffer load -i FILE"},
	{"push", "there are no registries yet"},
	{"save", NULL},
	{"search", "there are no registries yet"},
	{"secret", NULL},
	{"service", NULL},
	{"stack", NULL},
	{"stats", NULL},
	{"swarm", NULL},
	{"system", NULL},
	{"trust", NULL},
	{"prune", "use container prune, image prune or volume prune"},
};

static int unknown_command(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(refused_commands); i++)
		if (str_eq(word, refused_commands[i].name))
			return refused_commands[i].why ? cli_error("'%s' is not there yet: %s", word, refused_commands[i].why) :
							 cli_error("'%s' is not there yet", word);
	struct suggest s;
	suggest_init(&s, word, strlen(word));
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		suggest_offer(&s, commands[i]->name);
	const char *near = suggest_best(&s);
	(void) cli_error("'%.80s' is not a coffer command%s%s%s", word, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	point_at_help(&(struct cli) {});
	return 1;
}

static int help(int argc, char **argv)
{
	int words;
	const struct command *c = command_find(argc, argv, &words);
	if (argc == 0)
		help_top();
	else if (c)
		help_command(c);
	else if (!help_group(argv[0]))
		return unknown_command(argv[0]);
	return 0;
}

static bool is_help_word(const char *s)
{
	return str_eq(s, "--help") || str_eq(s, "-h");
}

static int run_command(struct cli *cli, int argc, char **argv)
{
	int words;
	if (argc == 0 || str_eq(argv[0], "help"))
		return help(argc > 0 ? argc - 1 : 0, argv + (argc > 0));
	cli->command = command_find(argc, argv, &words);
	if (cli->command)
		return cli->command->run(cli, argc - words, argv + words);
	if ((argc == 1 || is_help_word(argv[1])) && help_group(argv[0]))
		return 0;
	static const char *const groups[] = {"container", "image", "volume"};
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		if (argc > 1 && str_eq(argv[0], groups[i]))
			return unknown_command(argv[1]);
	return unknown_command(argv[0]);
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
