/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.intelRdt: the container's class of service in the resctrl filesystem (Documentation/arch/x86/resctrl.rst). A host without
 * one refuses the document. The group is named closID, or after the container, which stays: it may be shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/path.h"
#include "sandbox/internal.h"

#define RESCTRL "/sys/fs/resctrl"
#define RDTGROUP_SUPER_MAGIC_ 0x7655821 /* linux/magic.h */

static const char *group_name(const struct sandbox *s)
{
	return str_empty(s->spec->rdt.clos_id) ? s->id : s->spec->rdt.clos_id;
}

/* An existing group must have what is asked for already; a new one gets it. */
static int write_schema(int group, const char *line, bool is_new, struct err *err)
{
	if (str_empty(line))
		return 0;
	if (is_new) {
		_cleanup_free_ char *text = str_printf("%s\n", line);
		int r = text ? write_file(group, "schemata", text) : -ENOMEM;
		return r < 0 ? err_sys(err, r, "linux.intelRdt: schema '%s'", line) : 0;
	}
	_cleanup_free_ char *have = NULL;
	ssize_t n = read_file(group, "schemata", 64u << 10, &have);
	if (n < 0)
		return err_sys(err, (int) n, "linux.intelRdt: reading the schemata");
	return strstr(have, line) ? 0 : err_set(err, ERR_CONFLICT, "linux.intelRdt: the group exists with other schemata than '%s'", line);
}

static int apply_in(struct sandbox *s, int top, struct err *err)
{
	const struct rdt_spec *rdt = &s->spec->rdt;
	const char *name = group_name(s);
	if (str_eq(name, ".") || str_eq(name, "..") || strchr(name, '/') || str_empty(name))
		return err_set(err, ERR_INVALID, "linux.intelRdt.closID: '%s' is not a name", name ? name : "");
	bool is_new = mkdirat(top, name, 0755) == 0;
	_cleanup_close_ int group = open_beneath_nosymlink(top, name, O_RDONLY | O_DIRECTORY, 0);
	if (group < 0)
		return err_sys(err, group, "linux.intelRdt.closID: '%s'", name);
	int r = write_schema(group, rdt->l3_schema, is_new, err);
	r = r < 0 ? r : write_schema(group, rdt->mem_schema, is_new, err);
	STRV_FOREACH(line, rdt->schemata)
		r = r < 0 ? r : write_schema(group, line, is_new, err);
	char pid[16];
	(void) snprintf(pid, sizeof(pid), "%d", (int) s->child.pid);
	if (r == 0 && (r = write_file(group, "tasks", pid)) < 0)
		r = err_sys(err, r, "linux.intelRdt: joining '%s'", name);
	if (r < 0 && is_new)
		(void) unlinkat(top, name, AT_REMOVEDIR); /* best effort: the error above is the one to tell */
	return r;
}

int rdt_apply(struct sandbox *s, struct err *err)
{
	if (!s->spec->rdt.present)
		return 0;
	_cleanup_close_ int top = open(RESCTRL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || fd_is_on(top, RDTGROUP_SUPER_MAGIC_) != 1)
		return err_set(err, ERR_UNSUPPORTED, "linux.intelRdt: this host has no resctrl filesystem at " RESCTRL " (a processor with RDT, and mount -t resctrl)");
	return apply_in(s, top, err);
}
