/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cofferd/options.h"

#include <stdio.h>

#include "cmd/coffer/daemon_json.h"

#define O(field) offsetof(struct options, field)
static const struct flag rows[] = {
	{"config-file", 0, FLAG_STR, O(config_file), "file", "The operator's file (default " DAEMON_JSON ", if there is one)"},
	{"data-root", 0, FLAG_STR, O(data_root), "dir", "Where the state is (default /var/lib/coffer)"},
	{"debug", 'D', FLAG_BOOL, O(debug), NULL, "Say more on stderr"},
	{"exec-root", 0, FLAG_STR, O(exec_root), "dir", "Where the run-time state is (default /run/coffer)"},
	{"group", 'G', FLAG_STR, O(group), "group", "Who may use the socket besides root (default coffer, if there is such a group)"},
	{"host", 'H', FLAG_LIST, O(hosts), "unix://path", "Where to listen, once or more; fd:// takes over the service manager's sockets (default unix:///run/coffer/coffer.sock)"},
	{"log-level", 'l', FLAG_STR, O(log_level), "level", "debug, info, warn, error or fatal (default info)"},
	{"pidfile", 'p', FLAG_STR, O(pidfile), "file", "Write the process id there"},
	{"userns-remap", 0, FLAG_STR, O(userns_remap), "user[:group]", "One shared user namespace map for every container, docker's way"},
	{"validate", 0, FLAG_BOOL, O(validate), NULL, "Check the configuration and leave"},
	{"version", 'v', FLAG_BOOL, O(version), NULL, "Print the version"},
};
#undef O
const struct flag_table *const cofferd_flags[] = {FLAGS(rows), NULL};

const char *const cofferd_examples = "  cofferd\n  cofferd -H unix:///run/team-a.sock -G team-a\n  cofferd --validate --config-file ./daemon.json\n";

void cofferd_help(void)
{
	(void) printf("Usage:  cofferd [OPTIONS]\n\nServes the Engine API on unix sockets.\n\nOptions:\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char label[64], abbr[8] = "    ";
		if (rows[i].abbr)
			(void) snprintf(abbr, sizeof(abbr), "-%c, ", rows[i].abbr);
		(void) snprintf(label, sizeof(label), "  %s--%s %s", abbr, rows[i].name, rows[i].arg ? rows[i].arg : "");
		(void) printf("%-38s%s\n", label, rows[i].help);
	}
	(void) printf("\nExamples:\n%s", cofferd_examples);
}
