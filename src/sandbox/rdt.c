/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.intelRdt: the container's class of service in the resctrl filesystem (Documentation/arch/x86/resctrl.rst). A host without
 * one refuses the document. The group is named closID and stays: it may be shared. A group of the container's own (no closID) would have to go
 * with it, and so would a monitoring group: both are refused by name.
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

static bool has_schema(const struct rdt_spec *r)
{
	return !str_empty(r->l3_schema) || !str_empty(r->mem_schema) || r->schemata;
}

static int check(const struct rdt_spec *r, struct err *err)
{
	if (r->enable_monitoring)
		return err_set(err, ERR_UNSUPPORTED, "linux.intelRdt.enableMonitoring: monitoring groups are not made by this version");
	if (str_empty(r->clos_id))
		return err_set(err, ERR_UNSUPPORTED, "linux.intelRdt.closID: is missing, and a class of the container's own is not made by this version: name one");
	return 0;
}

/* closID "/" is the default class, resctrl's root; without a schema to give it, a class must be there. */
static int open_group(const struct rdt_spec *r, int top, bool *ret_new, struct err *err)
{
	*ret_new = false;
	if (str_eq(r->clos_id, "/"))
		return fcntl(top, F_DUPFD_CLOEXEC, 3);
	*ret_new = has_schema(r) && mkdirat(top, r->clos_id, 0755) == 0;
	int fd = open_beneath_nosymlink(top, r->clos_id, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, fd, "linux.intelRdt.closID: '%s'", r->clos_id) : fd;
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
	const char *name = rdt->clos_id;
	bool is_new;
	_cleanup_close_ int group = open_group(rdt, top, &is_new, err);
	if (group < 0)
		return group;
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
	int r = check(&s->spec->rdt, err);
	if (r < 0)
		return r;
	_cleanup_close_ int top = open(RESCTRL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || fd_is_on(top, RDTGROUP_SUPER_MAGIC_) != 1)
		return err_set(err, ERR_UNSUPPORTED, "linux.intelRdt: this host has no resctrl filesystem at " RESCTRL " (a processor with RDT, and mount -t resctrl)");
	return apply_in(s, top, err);
}
