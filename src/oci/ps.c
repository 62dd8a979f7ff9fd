/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ps: the processes of a container, as host pids. The table has the columns of `ps -ef`, read from /proc by ourselves: no program is run, least
 * of all with options that come from a user.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/table.h"
#include "kernel/proc_stat.h"
#include "oci/view.h"
#include "sandbox/cgroup_ops.h"

#define OUTPUT_BYTES_MAX (16u << 20)
#define PIDS_MAX 65536

struct ps_options {
	const char *format;
};

static const struct flag rows[] = {
	{"format", 'f', FLAG_STR, offsetof(struct ps_options, format), "table|json", "how to print (default table); json is a list of pids"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

struct pids {
	pid_t *v; /* owned */
	size_t n;
};

static ino_t pid_namespace(pid_t pid)
{
	char path[40];
	struct stat st;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int) pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* Without a cgroup: whoever is in init's pid namespace. */
static int pids_by_namespace(const struct container *c, struct pids *ret, struct err *err)
{
	ino_t ns = pid_namespace(c->rec->pid);
	DIR *d = c->rec->private_pids && ns ? opendir("/proc") : NULL;
	ret->v = calloc(PIDS_MAX, sizeof(*ret->v));
	if (!ret->v) {
		if (d)
			(void) closedir(d);
		return err_oom(err);
	}
	if (!d) {
		ret->v[ret->n++] = c->rec->pid;
		return 0;
	}
	uint32_t pid;
	for (struct dirent *e; ret->n < PIDS_MAX && (e = readdir(d));)
		if (parse_u32(e->d_name, &pid) == 0 && pid_namespace((pid_t) pid) == ns)
			ret->v[ret->n++] = (pid_t) pid;
	(void) closedir(d);
	return 0;
}

static int pids_find(const struct container *c, struct pids *ret, struct err *err)
{
	if (*c->rec->cgroup_path)
		return sandbox_pids(c->rec->cgroup_path, container_flags(c), &ret->v, &ret->n, err);
	return container_status(c) == STATUS_STOPPED ? 0 : pids_by_namespace(c, ret, err);
}

static double uptime(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_BOOTTIME, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static int add_row(struct table *t, pid_t pid)
{
	struct proc_stat p;
	if (proc_stat_read(pid, &p) < 0)
		return 0; /* it has ended since */
	unsigned long hz = (unsigned long) sysconf(_SC_CLK_TCK);
	double age = uptime() - (double) p.start / (double) hz;
	time_t start = time(NULL) - (time_t) age;
	struct tm tm;
	char cells[8][512];
	unsigned long seconds = (unsigned long) ((p.utime + p.stime) / hz);
	unsigned load = age > 0 ? (unsigned) (100.0 * (double) seconds / age) : 0;
	(void) view_owner(p.uid, cells[0], sizeof(cells[0]));
	(void) snprintf(cells[1], sizeof(cells[1]), "%d", (int) pid);
	(void) snprintf(cells[2], sizeof(cells[2]), "%ld", p.ppid);
	(void) snprintf(cells[3], sizeof(cells[3]), "%u", MIN(load, 99u));
	(void) strftime(cells[4], sizeof(cells[4]), age < 86400 ? "%H:%M" : "%b%d", gmtime_r(&start, &tm));
	proc_tty(&p, cells[5], sizeof(cells[5]));
	(void) snprintf(cells[6], sizeof(cells[6]), "%02lu:%02lu:%02lu", seconds / 3600, seconds / 60 % 60, seconds % 60);
	proc_command(&p, cells[7], sizeof(cells[7]));
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		if (table_add(t, cells[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int print_table(const struct pids *p, struct err *err)
{
	static const char *const heads[] = {"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"};
	_cleanup_table_ struct table t = {.cols = ARRAY_LEN(heads)};
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_BYTES_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(heads); i++)
		r = table_add(&t, heads[i]);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		r = add_row(&t, p->v[i]);
	if (r < 0)
		return err_oom(err);
	table_render(&t, 0, &out);
	return oci_print(&out, err);
}

static int print_json(const struct pids *p, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(OUTPUT_BYTES_MAX);
	strbuf_addc(&out, '[');
	for (size_t i = 0; i < p->n; i++)
		strbuf_addf(&out, "%s%d", i ? "," : "", (int) p->v[i]);
	strbuf_adds(&out, "]\n");
	return oci_print(&out, err);
}

static int run_ps(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct ps_options *opt = options;
	bool json = str_eq(opt->format, "json");
	if (opt->format && !json && !str_eq(opt->format, "table"))
		return err_set(err, ERR_INVALID, "ps: --format: '%s' is not one of table, json", opt->format);
	/* callers that know runc pass on what ps(1) takes; `-ef` and nothing are the table we have */
	for (size_t i = 1; i < n && !json; i++)
		if (*args[i] && !str_eq(args[i], "-ef"))
			return err_set(err, ERR_UNSUPPORTED, "ps: '%s': the table has the columns of ps -ef; for others use --format json and ps -p", args[i]);
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct pids p = {};
	int r = container_open(o, args[0], &c, err);
	r = r < 0 ? r : pids_find(&c, &p, err);
	r = r < 0 ? r : json ? print_json(&p, err) : print_table(&p, err);
	free(p.v);
	return r;
}

const struct oci_command oci_ps = {
	.name = "ps", .usage = "[OPTIONS] CONTAINER [-ef]", .summary = "Show the processes in a container",
	.examples = "  coffer-oci ps web\n  coffer-oci ps --format json web", .flags = &flags, .options_size = sizeof(struct ps_options),
	.mode = OCI_STRICT_ORDER, .min_args = 1, .max_args = OCI_ARGS_ANY, .run = run_ps,
};
