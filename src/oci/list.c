/* SPDX-License-Identifier: Apache-2.0 */
/* list: what is below --root. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/term.h"
#include "oci/view.h"

#define OUTPUT_BYTES_MAX (64u << 20)

struct list_options {
	const char *format;
	bool quiet;
};

static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, offsetof(struct list_options, format), "table|json", "how to print (default table)"},
	{"quiet", 'q', FLAG_BOOL, offsetof(struct list_options, quiet), NULL, "print ids alone"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

static int add_row(struct table *t, const struct container *c)
{
	enum status status = container_status(c);
	char pid[16], owner[64], created[TIME_RFC3339_MAX];
	(void) snprintf(pid, sizeof(pid), "%d", status == STATUS_STOPPED ? 0 : (int) c->rec->pid);
	(void) time_format_rfc3339(created, c->rec->created_ns, false);
	const char *const cells[] = {c->id, pid, status_name(status), c->rec->bundle, created, view_owner(c->rec->owner, owner, sizeof(owner))};
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		if (table_add(t, cells[i]) < 0)
			return -1;
	return 0;
}

static int table_start(struct table *t)
{
	static const char *const heads[] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
	t->cols = ARRAY_LEN(heads);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		if (table_add(t, heads[i]) < 0)
			return -1;
	return 0;
}

static int run_list(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct list_options *opt = options;
	bool json = str_eq(opt->format, "json");
	if (opt->format && !json && !str_eq(opt->format, "table"))
		return err_set(err, ERR_INVALID, "list: --format: '%s' is not one of table, json", opt->format);
	_cleanup_strv_ char **ids = NULL;
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_BYTES_MAX);
	_cleanup_table_ struct table t = {};
	struct json_writer w;
	int r = container_ids(o, &ids, err);
	if (r < 0)
		return r;
	if (table_start(&t) < 0)
		return err_oom(err);
	jw_init(&w, &out);
	if (json && !opt->quiet)
		jw_arr(&w, NULL);
	STRV_FOREACH(id, ids) {
		_cleanup_container_ struct container c = CONTAINER_INIT;
		struct err why;
		r = container_open(o, id, &c, &why);
		if (r < 0 && why.kind != ERR_NOT_FOUND)
			oci_log(o, OCI_LOG_WARN, "list: %s", why.msg); /* the others are to be seen */
		if (r < 0)
			continue;
		if (opt->quiet)
			strbuf_addf(&out, "%s\n", c.id);
		else if (json)
			view_json(&w, &c);
		else if (add_row(&t, &c) < 0)
			return err_oom(err);
	}
	if (json && !opt->quiet) {
		jw_end(&w);
		strbuf_addc(&out, '\n');
	}
	if (!json && !opt->quiet) {
		unsigned height, width = 0;
		(void) term_size(STDOUT_FILENO, &height, &width);
		table_render(&t, width, &out);
	}
	return out.len || strbuf_err(&out) < 0 ? oci_print(&out, err) : 0;
}

const struct oci_command oci_list = {
	.name = "list", .usage = "[OPTIONS]", .summary = "List the containers below --root",
	.examples = "  coffer-oci list\n  coffer-oci --root /run/containerd/runc/k8s.io list --format json", .flags = &flags,
	.options_size = sizeof(struct list_options), .max_args = 0, .run = run_list,
};
