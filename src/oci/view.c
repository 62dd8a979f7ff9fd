/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/pretty.h"

#define PASSWD_BYTES_MAX (4u << 20)
#define OUTPUT_BYTES_MAX (64u << 20)

int oci_print(const struct strbuf *b, struct err *err)
{
	int r = strbuf_err(b);
	r = r < 0 ? r : write_all(STDOUT_FILENO, b->s, b->len);
	return r < 0 ? err_sys(err, r, "writing to stdout") : 0;
}

int view_print(const struct strbuf *text, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_BYTES_MAX);
	if (strbuf_err(text) < 0)
		return err_sys(err, strbuf_err(text), "writing to stdout");
	json_pretty(text->s, 0, &out);
	strbuf_addc(&out, '\n');
	return oci_print(&out, err);
}

char *view_owner(uint32_t uid, char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL;
	(void) snprintf(buf, size, uid == 0 ? "root" : "%u", uid);
	if (uid == 0 || read_file(AT_FDCWD, "/etc/passwd", PASSWD_BYTES_MAX, &text) < 0)
		return buf;
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = strsep(&line, ":");
		uint32_t n;
		if (!line || !strsep(&line, ":") || !line || parse_u32(strsep(&line, ":"), &n) < 0 || n != uid || !str_is_plain(name))
			continue;
		if (str_copy(buf, size, name) == 0)
			break;
		(void) snprintf(buf, size, "%u", uid);
	}
	return buf;
}

void view_json(struct json_writer *w, const struct container *c)
{
	const struct record *rec = c->rec;
	enum status status = container_status(c);
	char text[64];
	jw_obj(w, NULL);
	jw_str(w, "ociVersion", rec->oci_version);
	jw_str(w, "id", rec->id);
	jw_int(w, "pid", status == STATUS_STOPPED ? 0 : rec->pid);
	jw_str(w, "status", status_name(status));
	jw_str(w, "bundle", rec->bundle);
	jw_str(w, "rootfs", rec->rootfs);
	jw_str(w, "created", time_format_rfc3339(text, rec->created_ns, false));
	if (rec->n_annotations) {
		jw_obj(w, "annotations");
		for (size_t i = 0; i < rec->n_annotations; i++)
			jw_str(w, rec->annotations[i].key, rec->annotations[i].value);
		jw_end(w);
	}
	jw_str(w, "owner", view_owner(rec->owner, text, sizeof(text)));
	jw_end(w);
}

static int run_state(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(OUTPUT_BYTES_MAX);
	struct json_writer w;
	int r = container_open(o, args[0], &c, err);
	if (r < 0)
		return r;
	jw_init(&w, &b);
	view_json(&w, &c);
	return view_print(&b, err);
}

const struct oci_command oci_state = {
	.name = "state", .usage = "CONTAINER", .summary = "Print a container's state as JSON",
	.examples = "  coffer-oci state web\n  coffer-oci state web | grep status",
	.min_args = 1, .max_args = 1, .run = run_state,
};
