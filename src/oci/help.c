/* SPDX-License-Identifier: Apache-2.0 */
/* Help text, made from the rows of commands and options. */
#include <stdio.h>

#include "oci/internal.h"

static const char *value_name(const struct flag *f)
{
	static const char *const by_kind[] = {[FLAG_STR] = "STRING", [FLAG_LIST] = "STRING", [FLAG_INT] = "N", [FLAG_SIZE] = "BYTES", [FLAG_SET] = "VALUE"};
	if (!flag_takes_value(f))
		return "";
	return f->arg ? f->arg : (size_t) f->kind < ARRAY_LEN(by_kind) && by_kind[f->kind] ? by_kind[f->kind] : "";
}

static void print_flags(const struct flag_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct flag *f = &t->rows[i];
		char label[80], abbr[8] = "    ";
		if (!f->help)
			continue;
		if (f->abbr)
			(void) snprintf(abbr, sizeof(abbr), "-%c, ", f->abbr);
		(void) snprintf(label, sizeof(label), "%s--%s%s%s", abbr, f->name, flag_takes_value(f) ? " " : "", value_name(f));
		(void) printf("  %-34s %s\n", label, f->help);
	}
}

void oci_help_command(const struct oci_command *c)
{
	(void) printf("Usage: coffer-oci %s %s\n\n%s\n", c->name, c->usage, c->summary);
	if (c->flags) {
		(void) printf("\nOptions:\n");
		print_flags(c->flags);
	}
	if (c->examples)
		(void) printf("\nExamples:\n%s\n", c->examples);
	(void) fflush(stdout);
}

void oci_help(void)
{
	size_t n;
	const struct oci_command *const *v = oci_commands(&n);
	(void) printf("Usage: coffer-oci [OPTIONS] COMMAND [ARG...]\n\n"
		      "An OCI runtime: runs containers from bundles (a directory with config.json and a root filesystem).\n"
		      "Takes the place of runc and crun under containerd, Kubernetes, Podman and Docker.\n\nCommands:\n");
	for (size_t i = 0; i < n; i++)
		(void) printf("  %-10s %s\n", v[i]->name, v[i]->summary);
	(void) printf("\nOptions:\n");
	print_flags(&oci_global_flags);
	(void) printf("\nExamples:\n"
		      "  mkdir -p box/rootfs && cp -a /bin/busybox box/rootfs/ && coffer-oci spec -b box\n"
		      "  coffer-oci run -b box web          run it in the foreground\n"
		      "  coffer-oci exec -t web sh          one more process in it\n"
		      "  coffer-oci kill web TERM && coffer-oci delete web\n\n"
		      "Run 'coffer-oci COMMAND --help' for a command's options.\n");
	(void) fflush(stdout);
}
