/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/coffer-docs/pages.h"

#include <stdio.h>

#include "cmd/coffer/daemon_json.h"
#include "cmd/cofferd/options.h"

void page_name(char *buf, size_t size, const char *words)
{
	(void) snprintf(buf, size, "coffer-%s", words);
	for (char *c = buf; *c; c++)
		*c = *c == ' ' ? '-' : *c;
}

/* ---- coffer(1) ---- */

static const char *const environment[][2] = {
	{"COFFER_HOST", "The engine's socket, unix:///PATH, when --host is not given"},
	{"COFFER_ROOT", "Where the state is, in place of /var/lib/coffer: for the embedded engine and for cofferd"},
	{"COFFER_RUN", "Where the run-time state and the default socket are, in place of /run/coffer"},
	{"COFFER_LIBEXEC", "Where coffer-monitor, coffer-unpack and coffer-init are"},
	{"COFFER_ALLOW_HOST", "What of the host may be asked for, as the allow-host keys of daemon.json: userns,network,..."},
	{"COFFER_DEBUG", "When set, more is said on stderr"},
};

static const char *const files[][2] = {
	{"/run/coffer/coffer.sock", "The daemon's socket"},
	{"/etc/coffer/daemon.json", "The operator's settings, see coffer-daemon.json(5)"},
	{"/var/lib/coffer", "Images, containers and volumes"},
	{"/run/coffer", "What does not outlive the machine's next start"},
};

static void items(struct page *p, const char *title, const char *const (*rows)[2], size_t n)
{
	page_section(p, title);
	for (size_t i = 0; i < n; i++)
		page_item(p, rows[i][0], rows[i][1]);
}

static void command_items(struct page *p)
{
	size_t n;
	const struct command *const *v = command_list(&n);
	page_section(p, "COMMANDS");
	for (size_t i = 0; i < n; i++)
		page_item(p, v[i]->name, v[i]->summary);
}

static void family_items(struct page *p)
{
	size_t n;
	const struct command_family *f = command_families(&n);
	page_section(p, "GROUPS");
	page_text(p, "As in docker, commands have a second name in the group of what they are about: \"coffer container start\" is \"coffer start\".\n");
	for (size_t i = 0; i < n; i++)
		page_item(p, f[i].name, f[i].summary);
}

static void exit_status(struct page *p, bool runs_a_process)
{
	page_section(p, "EXIT STATUS");
	page_item(p, "0", "Done");
	page_item(p, "1", "Something failed, or the arguments are wrong");
	page_item(p, "64", "A template of --format cannot be read");
	page_item(p, "125", runs_a_process ? "The engine could not start it, or a flag is wrong" : "A flag is wrong");
	if (!runs_a_process)
		return;
	page_item(p, "126", "The command is there and cannot be executed");
	page_item(p, "127", "There is no such command");
	page_item(p, "128+N", "The process was ended by signal N");
	page_item(p, "other", "What the process left with");
}

void page_coffer(struct page *p)
{
	page_begin(p, "coffer", "1", "runs containers, each in a user namespace of its own");
	page_section(p, "SYNOPSIS");
	page_synopsis(p, "coffer", "[OPTIONS] COMMAND [ARG...]");
	page_section(p, "DESCRIPTION");
	page_text(p, prose_of(""));
	page_section(p, "OPTIONS");
	for (const struct flag_table *const *t = top_flags; *t; t++)
		page_flags(p, *t);
	page_item(p, "--help", "Show how coffer, or a command of it, is used");
	command_items(p);
	family_items(p);
	page_section(p, "FORMATS");
	page_text(p, prose_of("--format"));
	items(p, "ENVIRONMENT", environment, ARRAY_LEN(environment));
	items(p, "FILES", files, ARRAY_LEN(files));
	exit_status(p, /* runs_a_process= */ true);
	page_see(p, "coffer-run(1) coffer-exec(1) coffer-ps(1) coffer-posture(1) cofferd(8) coffer-oci(8) coffer-daemon.json(5)");
}

/* ---- coffer-COMMAND(1) ---- */

static void refused(struct page *p, const struct flag_table *const *tables)
{
	_cleanup_strbuf_ struct strbuf names = STRBUF_INIT(1 << 16);
	for (const struct flag_table *const *t = tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (flag_is_refused(&(*t)->rows[i]))
				strbuf_addf(&names, "%s--%s", names.len ? ", " : "", (*t)->rows[i].name);
	if (!names.len)
		return;
	strbuf_addc(&names, '\n');
	page_section(p, "NOT THERE YET");
	page_text(p, "Options of docker's that are refused by name, and never ignored:\n");
	page_text(p, names.s ? names.s : "");
}

static void aliases(struct page *p, const struct command *c)
{
	char path[COMMAND_PATH_MAX];
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(4096);
	for (size_t i = 1; command_path(c, i, path, sizeof(path)); i++)
		strbuf_addf(&text, "%scoffer %s", i == 1 ? "\nAlso " : ", ", path);
	if (!text.len)
		return;
	strbuf_adds(&text, ".\n");
	page_text(p, text.s ? text.s : "");
}

static bool runs_a_process(const struct command *c)
{
	static const char *const names[] = {"run", "exec", "start", "attach"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], c->name))
			return true;
	return false;
}

void page_command(struct page *p, const struct command *c, char *name)
{
	_cleanup_free_ char *words = str_printf("coffer %s", c->name), *sentence = str_printf("%s.\n", c->summary);
	const char *prose = prose_of(c->name);
	page_begin(p, name, "1", c->summary);
	page_section(p, "SYNOPSIS");
	page_synopsis(p, words ? words : "", c->usage);
	page_section(p, "DESCRIPTION");
	page_text(p, sentence ? sentence : "");
	if (prose) {
		page_text(p, "\n");
		strbuf_adds(&p->out, ".PP\n");
		page_text(p, prose);
	}
	if (command_path(c, 1, (char[COMMAND_PATH_MAX]) {0}, COMMAND_PATH_MAX))
		strbuf_adds(&p->out, ".PP\n");
	aliases(p, c);
	page_section(p, "OPTIONS");
	for (const struct flag_table *const *t = c->flags; *t; t++)
		page_flags(p, *t);
	page_item(p, "--help", "Show how the command is used");
	refused(p, c->flags);
	page_section(p, "EXAMPLES");
	page_verbatim(p, c->examples ? c->examples : "");
	exit_status(p, runs_a_process(c));
	page_see(p, "coffer(1)");
}

void page_family(struct page *p, const struct command_family *f, char *name)
{
	size_t n;
	char path[COMMAND_PATH_MAX];
	_cleanup_free_ char *words = str_printf("coffer %s", f->name);
	const struct command *const *v = command_list(&n);
	page_begin(p, name, "1", f->summary);
	page_section(p, "SYNOPSIS");
	page_synopsis(p, words ? words : "", "COMMAND [ARG...]");
	page_section(p, "COMMANDS");
	for (size_t i = 0; i < n; i++) {
		const char *member = family_member(f, v[i], path);
		if (member)
			page_item(p, member, v[i]->summary);
	}
	page_see(p, "coffer(1)");
}

/* ---- the other programs ---- */

void page_cofferd(struct page *p)
{
	page_begin(p, "cofferd", "8", "the Engine API on unix sockets");
	page_section(p, "SYNOPSIS");
	page_synopsis(p, "cofferd", "[OPTIONS]");
	page_section(p, "DESCRIPTION");
	page_text(p, prose_of("cofferd"));
	page_section(p, "OPTIONS");
	for (const struct flag_table *const *t = cofferd_flags; *t; t++)
		page_flags(p, *t);
	page_item(p, "--help", "Show how cofferd is used");
	page_section(p, "EXAMPLES");
	page_verbatim(p, cofferd_examples);
	page_section(p, "SIGNALS");
	page_item(p, "TERM, INT", "No new connections; those that wait for a container are ended, the rest is answered. Containers go on");
	items(p, "ENVIRONMENT", environment + 1, ARRAY_LEN(environment) - 1);
	items(p, "FILES", files, ARRAY_LEN(files));
	page_section(p, "EXIT STATUS");
	page_item(p, "0", "Ended by a signal, or nothing was wrong with the configuration");
	page_item(p, "1", "It could not start, or the configuration is wrong");
	page_item(p, "125", "A flag is wrong");
	page_see(p, "coffer(1) coffer-daemon.json(5)");
}

void page_daemon_json(struct page *p)
{
	struct daemon_key k;
	page_begin(p, "coffer-daemon.json", "5", "the settings of cofferd and coffer");
	page_section(p, "SYNOPSIS");
	page_synopsis(p, DAEMON_JSON, "");
	page_section(p, "DESCRIPTION");
	page_text(p, prose_of("daemon.json"));
	page_section(p, "KEYS");
	for (size_t i = 0; daemon_key(i, &k); i++) {
		_cleanup_free_ char *tag = str_printf("%s: %s", k.name, k.kind);
		page_item(p, tag ? tag : "", k.help);
	}
	page_section(p, "EXAMPLES");
	page_verbatim(p, "  {\n    \"hosts\": [\"unix:///run/coffer/coffer.sock\"],\n    \"group\": \"coffer\",\n    \"log-level\": \"warn\",\n    \"runtimes\": {\"crun\": {\"path\": \"/usr/bin/crun\"}}\n  }\n");
	page_see(p, "cofferd(8) coffer(1)");
}
