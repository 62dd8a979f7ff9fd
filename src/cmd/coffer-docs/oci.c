/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-oci-docs DIR STAMP: the manual page of coffer-oci. A program of its own, because no other links the oci room beside the cli's.
 */
#include <errno.h>

#include "cmd/coffer-docs/prose.h"
#include "cmd/coffer-docs/put.h"
#include "oci/command.h"

static void oci_command_item(struct page *p, const struct oci_command *c)
{
	_cleanup_free_ char *title = str_printf("coffer-oci %s %s", c->name, c->usage), *sentence = str_printf("%s.\n", c->summary);
	strbuf_adds(&p->out, ".SS ");
	strbuf_addf(&p->out, "%s\n", c->name);
	page_synopsis(p, title ? title : "", "");
	strbuf_adds(&p->out, ".PP\n");
	page_text(p, sentence ? sentence : "");
	if (c->flags)
		page_flags(p, c->flags);
	if (c->examples) {
		strbuf_adds(&p->out, ".PP\nExamples:\n");
		page_verbatim(p, c->examples);
	}
}

static void page_oci(struct page *p)
{
	size_t n;
	const struct oci_command *const *v = oci_commands(&n);
	page_begin(p, "coffer-oci", "8", "an OCI runtime, in the place of runc or crun");
	page_section(p, "SYNOPSIS");
	page_synopsis(p, "coffer-oci", "[OPTIONS] COMMAND [ARG...]");
	page_section(p, "DESCRIPTION");
	page_text(p, prose_of("coffer-oci"));
	page_section(p, "OPTIONS");
	page_flags(p, &oci_global_flags);
	page_section(p, "COMMANDS");
	for (size_t i = 0; i < n; i++)
		oci_command_item(p, v[i]);
	page_see(p, "coffer(1) runc(8) crun(1)");
}

static int put_all(int dfd)
{
	struct page p;
	page_oci(&p);
	return put_page(dfd, &p);
}

int main(int argc, char **argv)
{
	return put_main(argc, argv, put_all);
}
