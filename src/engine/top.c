/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /containers/ID/top. docker runs the host's ps with the caller's words and keeps the rows whose PID is the container's; no program is run
 * here, least of all with words that come from a client: the columns people ask for are a table, read from /proc.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "engine/events.h"
#include "engine/internal.h"
#include "kernel/proc_stat.h"
#include "sandbox/cgroup_ops.h"

#define COLUMNS_MAX 32
#define COMMAND_MAX 4096
#define ARGS_MAX 1024

/* One process, and what its figures are measured by. */
struct proc {
	struct proc_stat s;
	const struct top_clock *clock;
};

struct top_clock {
	double uptime;	      /* seconds */
	time_t now;
	unsigned long hz, page, mem_kb;
};

static double age(const struct proc *p)
{
	double a = p->clock->uptime - (double) p->s.start / (double) p->clock->hz;
	return a > 0 ? a : 0;
}

static unsigned long cpu_seconds(const struct proc *p)
{
	return (unsigned long) ((p->s.utime + p->s.stime) / p->clock->hz);
}

#define CELL(name) static void cell_##name(const struct proc *p, char *b, size_t n)
CELL(pid) { (void) snprintf(b, n, "%d", (int) p->s.pid); }
CELL(ppid) { (void) snprintf(b, n, "%ld", p->s.ppid); }
CELL(pgid) { (void) snprintf(b, n, "%ld", p->s.pgid); }
CELL(sid) { (void) snprintf(b, n, "%ld", p->s.sid); }
CELL(gid) { (void) snprintf(b, n, "%u", p->s.gid); }
CELL(ni) { (void) snprintf(b, n, "%ld", p->s.nice); }
CELL(pri) { (void) snprintf(b, n, "%ld", 39 - p->s.priority); }
CELL(nlwp) { (void) snprintf(b, n, "%ld", p->s.threads); }
CELL(vsz) { (void) snprintf(b, n, "%llu", p->s.vsize / 1024); }
CELL(rss) { (void) snprintf(b, n, "%lu", (unsigned long) p->s.rss_pages * (p->clock->page / 1024)); }
CELL(comm) { (void) snprintf(b, n, "%s", p->s.name); }
CELL(s) { (void) snprintf(b, n, "%c", p->s.state); }

/* Ids of a container have no name on the host; its root, with the host's map, has. */
CELL(user)
{
	if (p->s.uid == 0)
		(void) str_copy(b, n, "root");
	else
		(void) snprintf(b, n, "%u", p->s.uid);
}

CELL(uid) { (void) snprintf(b, n, "%u", p->s.uid); }

CELL(stat)
{
	(void) snprintf(b, n, "%c%s%s%s", p->s.state, p->s.nice < 0 ? "<" : p->s.nice > 0 ? "N" : "", p->s.sid == p->s.pid ? "s" : "", p->s.threads > 1 ? "l" : "");
}

CELL(tty) { proc_tty(&p->s, b, n); }
CELL(c) { (void) snprintf(b, n, "%u", age(p) > 0 ? (unsigned) MIN(100.0 * (double) cpu_seconds(p) / age(p), 99.0) : 0); }
CELL(pcpu) { (void) snprintf(b, n, "%.1f", age(p) > 0 ? 100.0 * (double) cpu_seconds(p) / age(p) : 0); }
CELL(pmem) { (void) snprintf(b, n, "%.1f", p->clock->mem_kb ? 100.0 * (double) p->s.rss_pages * (double) (p->clock->page / 1024) / (double) p->clock->mem_kb : 0); }

CELL(stime)
{
	struct tm tm;
	time_t start = p->clock->now - (time_t) age(p);
	(void) strftime(b, n, age(p) < 86400 ? "%H:%M" : "%b%d", gmtime_r(&start, &tm));
}

CELL(time)
{
	unsigned long t = cpu_seconds(p);
	(void) snprintf(b, n, "%02lu:%02lu:%02lu", t / 3600, t / 60 % 60, t % 60);
}

/* BSD's: minutes and seconds */
CELL(bsdtime) { (void) snprintf(b, n, "%lu:%02lu", cpu_seconds(p) / 60, cpu_seconds(p) % 60); }

CELL(etime)
{
	unsigned long t = (unsigned long) age(p);
	if (t >= 86400)
		(void) snprintf(b, n, "%lu-%02lu:%02lu:%02lu", t / 86400, t / 3600 % 24, t / 60 % 60, t % 60);
	else if (t >= 3600)
		(void) snprintf(b, n, "%02lu:%02lu:%02lu", t / 3600, t / 60 % 60, t % 60);
	else
		(void) snprintf(b, n, "%02lu:%02lu", t / 60, t % 60);
}

CELL(etimes) { (void) snprintf(b, n, "%lu", (unsigned long) age(p)); }

CELL(cmd) { proc_command(&p->s, b, n); }
#undef CELL

static const struct column {
	const char *words; /* ps's names of it, each with a space behind */
	const char *title;
	void (*cell)(const struct proc *p, char *b, size_t n);
} columns[] = {
	{"pid tgid ", "PID", cell_pid},
	{"ppid ", "PPID", cell_ppid},
	{"pgid pgrp ", "PGID", cell_pgid},
	{"sid sess session ", "SID", cell_sid},
	{"user euser uname ", "USER", cell_user},
	{"uid euid ", "UID", cell_uid},
	{"gid egid ", "GID", cell_gid},
	{"ni nice ", "NI", cell_ni},
	{"pri ", "PRI", cell_pri},
	{"nlwp thcount ", "NLWP", cell_nlwp},
	{"vsz vsize ", "VSZ", cell_vsz},
	{"rss rssize rsz ", "RSS", cell_rss},
	{"c ", "C", cell_c},
	{"pcpu %cpu ", "%CPU", cell_pcpu},
	{"pmem %mem ", "%MEM", cell_pmem},
	{"tty tt tname ", "TTY", cell_tty},
	{"s state ", "S", cell_s},
	{"stat ", "STAT", cell_stat},
	{"stime start_time start ", "STIME", cell_stime},
	{"time cputime ", "TIME", cell_time},
	{"bsdtime ", "TIME", cell_bsdtime},
	{"etime ", "ELAPSED", cell_etime},
	{"etimes ", "ELAPSED", cell_etimes},
	{"comm ucmd ucomm ", "COMMAND", cell_comm},
	{"cmd ", "CMD", cell_cmd},
	{"args command ", "COMMAND", cell_cmd},
};

struct chosen {
	const struct column *v[COLUMNS_MAX];
	char titles[COLUMNS_MAX][32];
	size_t n;
};

static const struct column *find_column(const char *word, size_t n)
{
	char spaced[40];
	if (n == 0 || str_format(spaced, sizeof(spaced), "%.*s ", (int) n, word) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		const char *at = strstr(columns[i].words, spaced);
		if (at && (at == columns[i].words || at[-1] == ' '))
			return &columns[i];
	}
	return NULL;
}

/* "pid,ppid,cmd=COMMAND LINE": a title of one's own ends the list. */
static int choose_list(struct chosen *c, const char *list, struct err *err)
{
	while (*list) {
		size_t n = strcspn(list, ",= ");
		const struct column *col = find_column(list, n);
		if (n == 0 && *list != '=') {
			list++;
			continue;
		}
		if (!col)
			return err_set(err, ERR_INVALID, "ps_args: the column '%.*s' is not known here", (int) MIN(n, (size_t) 40), list);
		if (c->n == COLUMNS_MAX)
			return err_set(err, ERR_INVALID, "ps_args: more than %d columns", COLUMNS_MAX);
		bool own = list[n] == '=';
		(void) snprintf(c->titles[c->n], sizeof(c->titles[0]), "%s", own ? list + n + 1 : col->title);
		c->v[c->n++] = col;
		list += own ? strlen(list) : n;
	}
	return 0;
}

#define FULL "user,pid,ppid,c,stime,tty,time,cmd"
#define BSD "user,pid,%cpu,%mem,vsz,rss,tty,stat,stime,bsdtime,args"
#define PLAIN "pid,tty,time,cmd"

/* What people say to ps, and the columns of it. */
static const struct {
	const char *args, *list;
} known[] = {
	{"-ef", FULL}, {"-f", FULL}, {"-fe", FULL}, {"-eF", FULL}, {"aux", BSD}, {"-aux", BSD}, {"auxw", BSD}, {"auxww", BSD}, {"axu", BSD}, {"u", BSD}, {"-e", PLAIN}, {"-A", PLAIN}, {"ax", PLAIN},
	{"a", PLAIN}, {"x", PLAIN}, {"-w", PLAIN}, {"-ww", PLAIN}, {"w", PLAIN},
};

static const char *known_list(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(known[i].args, word))
			return known[i].list;
	return NULL;
}

/* "-o pid,cmd", "-opid", "-eo pid -o cmd", "o pid": what is behind the o. Return: NULL when @word is no such flag. */
static const char *list_flag(const char *word)
{
	static const char *const flags[] = {"-eo", "-Ao", "-axo", "axo", "-o", "o", "--format"};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		const char *rest = str_after(word, flags[i]);
		if (rest && (*rest == '\0' || *rest == '=' || *flags[i] == '-'))
			return rest + (*rest == '=');
	}
	return NULL;
}

static int choose(struct chosen *c, const char *args, struct err *err)
{
	char text[ARGS_MAX], *save = NULL;
	const char *list = NULL;
	if (str_copy(text, sizeof(text), str_empty(args) ? "-ef" : args) < 0)
		return err_set(err, ERR_INVALID, "ps_args: longer than %d bytes", ARGS_MAX - 1);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		const char *own = list_flag(word);
		if (own && *own == '\0')
			own = strtok_r(NULL, " ", &save);
		int r = own ? choose_list(c, own, err) : 0;
		if (r < 0)
			return r;
		if (!own && !known_list(word))
			return err_set(err, ERR_INVALID, "ps_args: '%.60s' is not known here: use -ef, aux, or -o with a list of columns", word);
		if (!own && (!list || str_eq(list, PLAIN)))
			list = known_list(word);
	}
	if (c->n == 0)
		return choose_list(c, list ?: FULL, err);
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->cell == cell_pid)
			return 0;
	return err_set(err, ERR_INVALID, "Couldn't find PID field in ps output");
}

static struct top_clock read_clock(void)
{
	struct timespec t;
	(void) clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail */
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), hz = sysconf(_SC_CLK_TCK);
	return (struct top_clock){.uptime = (double) t.tv_sec + (double) t.tv_nsec / 1e9, .now = time(NULL), .hz = (unsigned long) hz, .page = (unsigned long) page,
				  .mem_kb = (unsigned long) pages * (unsigned long) (page / 1024)};
}

static void write_table(struct json_writer *w, const struct chosen *c, const pid_t *pids, size_t n)
{
	struct top_clock clock = read_clock();
	jw_obj(w, NULL);
	jw_arr(w, "Titles");
	for (size_t i = 0; i < c->n; i++)
		jw_str(w, NULL, c->titles[i]);
	jw_end(w);
	jw_arr(w, "Processes");
	for (size_t k = 0; k < n; k++) {
		struct proc p = {.clock = &clock};
		char cell[COMMAND_MAX];
		if (proc_stat_read(pids[k], &p.s) < 0)
			continue; /* it has ended since */
		jw_arr(w, NULL);
		for (size_t i = 0; i < c->n; i++) {
			c->v[i]->cell(&p, cell, sizeof(cell));
			jw_str(w, NULL, cell);
		}
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

int engine_top(struct engine *e, const struct caller *caller, const char *ref, const char *ps_args, struct json_writer *w, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	_cleanup_free_ pid_t *pids = NULL;
	char path[MONITOR_PATH_MAX];
	struct chosen chosen = {.n = 0};
	size_t n = 0;
	int rc = running_find(e, caller, ref, &c, err);
	if (rc == 0)
		return err_set(err, ERR_CONFLICT, "container %s is not running", c.id);
	rc = rc < 0 ? rc : choose(&chosen, ps_args, err);
	cgroup_path_of(&c, path);
	rc = rc < 0 ? rc : sandbox_pids(path, 0, &pids, &n, err);
	if (rc < 0)
		return rc;
	write_table(w, &chosen, pids, n);
	event_container(e, &c, "top", NULL);
	return 0;
}
