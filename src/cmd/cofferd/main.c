/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cofferd: the Engine API on unix sockets, until SIGTERM or SIGINT. Containers outlive it: their monitors go on, and what they leave is
 * recorded by whoever looks next. It holds no state that a kill could lose but the newest events and the execs' exit codes.
 *   main thread       accepts; a thread for each connection (api/server.c)
 *   tidier            empties the trash behind removals, whoever put something there
 *   restarter         carries out restart policies
 * Nothing here forks: monitors are spawned by the engine (posix_spawn).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/server.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "base/str.h"
#include "cmd/coffer/settings.h"
#include "cmd/cofferd/listen.h"
#include "cmd/cofferd/options.h"

#define EXIT_USAGE 125

static int fail(const struct err *err)
{
	(void) fprintf(stderr, "cofferd: %s\n", err->msg);
	return 1;
}

/* As docker has it: what is said twice is not guessed at. */
static int check_twice(const struct options *o, const struct daemon_config *d, struct err *err)
{
	const struct {
		const char *key;
		bool twice;
	} both[] = {
		{"hosts", o->hosts && d->hosts},          {"group", o->group && d->group},         {"log-level", o->log_level && d->log_level},
		{"data-root", o->data_root && d->data_root}, {"exec-root", o->exec_root && d->exec_root}, {"pidfile", o->pidfile && d->pidfile},
		{"userns-remap", o->userns_remap && d->userns_remap},
	};
	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		if (both[i].twice)
			return err_set(err, ERR_INVALID, "the following directives are specified both as a flag and in the configuration file: %s", both[i].key);
	return 0;
}

static int check_path(const char *flag, const char *path, struct err *err)
{
	return path && *path != '/' ? err_set(err, ERR_INVALID, "--%s: '%.200s' is not an absolute path", flag, path) : 0;
}

/* Flags into the settings: the one place where both meet. */
static int merge(struct options *o, struct settings *s, struct err *err)
{
	struct daemon_config *d = &s->daemon;
	int r = check_twice(o, d, err);
	STRV_FOREACH(host, o->hosts)
		r = r < 0 ? r : daemon_host_check("--host", host, err);
	if (r >= 0 && o->log_level)
		r = daemon_log_level_check("--log-level", o->log_level, err);
	r = r < 0 ? r : check_path("data-root", o->data_root, err);
	r = r < 0 ? r : check_path("exec-root", o->exec_root, err);
	r = r < 0 ? r : check_path("pidfile", o->pidfile, err);
	if (r < 0)
		return r;
	if (o->hosts) {
		d->hosts = o->hosts;
		o->hosts = NULL;
	}
	d->group = o->group ?: d->group;
	d->log_level = o->log_level ?: d->log_level;
	d->pidfile = o->pidfile ?: d->pidfile;
	d->debug |= o->debug;
	s->engine.state_dir = o->data_root ?: s->engine.state_dir;
	s->engine.run_dir = o->exec_root ?: s->engine.run_dir;
	s->engine.userns_remap = o->userns_remap ?: s->engine.userns_remap;
	if (d->group) {
		gid_t gid;
		uint32_t number;
		r = group_find(d->group, &gid, err);
		if (r == 0 && parse_u32(d->group, &number) < 0)
			r = err_set(err, ERR_INVALID, "group: '%.64s' is not in /etc/group", d->group);
	}
	return MIN(r, 0);
}

static void set_level(const struct daemon_config *d)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {{"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO}, {"warn", LOG_LEVEL_WARN}, {"error", LOG_LEVEL_ERROR}, {"fatal", LOG_LEVEL_ERROR}};
	log_set_level(d->debug || getenv("COFFER_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	for (size_t i = 0; d->log_level && !d->debug && i < ARRAY_LEN(levels); i++)
		if (str_eq(levels[i].name, d->log_level))
			log_set_level(levels[i].level);
}

/* Ending signals as a descriptor that stays readable: nobody reads it. */
static int open_signals(struct err *err)
{
	sigset_t set;
	(void) signal(SIGPIPE, SIG_IGN);
	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGTERM);
	(void) sigaddset(&set, SIGINT);
	int r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	int fd = r ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(err, r ? -r : -errno, "taking over the signals") : fd;
}

/* An arena for each of many short-lived threads would keep what they freed. */
static void few_arenas(void)
{
	(void) mallopt(M_ARENA_MAX, 2); /* more memory, then */
}

/* A descriptor or two for each connection, each container and each exec. */
static void raise_files(void)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void) setrlimit(RLIMIT_NOFILE, &l); /* fewer connections at once, then */
	}
}

/* systemd's Type=notify. */
static void notify(const char *text)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	if (str_empty(path) || str_copy(sa.sun_path, sizeof(sa.sun_path), path) < 0)
		return;
	size_t len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0';
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void) sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *) &sa, (socklen_t) len); /* the manager's timeout tells */
}

static int write_pidfile(const char *path, struct err *err)
{
	char text[16];
	int n = str_format(text, sizeof(text), "%d\n", (int) getpid());
	int r = path ? write_file_atomic(AT_FDCWD, path, text, (size_t) n, 0644) : 0;
	return r < 0 ? err_sys(err, r, "pidfile: writing '%s'", path) : 0;
}

struct helper {
	struct engine *engine; /* borrowed */
	int stop_fd;           /* borrowed */
	void (*run)(struct engine *e, int stop_fd);
	pthread_t thread;
	bool started;
};

static void *helper_main(void *arg)
{
	struct helper *h = arg;
	h->run(h->engine, h->stop_fd);
	return NULL;
}

static int helper_start(struct helper *h, struct err *err)
{
	int r = pthread_create(&h->thread, NULL, helper_main, h);
	h->started = r == 0;
	return r ? err_sys(err, -r, "starting a thread") : 0;
}

static void helper_end(struct helper *h)
{
	if (h->started)
		(void) pthread_join(h->thread, NULL); /* fails only for a thread that is none */
}

/* Serve until a signal. The helpers see the same signal. */
static int serve(struct engine *e, const struct listeners *l, int stop_fd, struct err *err)
{
	struct helper helpers[] = {{e, stop_fd, engine_tidier}, {e, stop_fd, engine_restarter}, {e, stop_fd, engine_network_watcher}, {e, stop_fd, engine_names_watcher}};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(helpers); i++)
		r = helper_start(&helpers[i], err);
	if (r >= 0) {
		notify("READY=1\n");
		r = api_serve_listeners(e, l->fds, l->n, stop_fd);
		if (r < 0)
			(void) err_sys(err, r, "accepting connections");
		notify("STOPPING=1\n");
	}
	if (r < 0)
		(void) kill(getpid(), SIGTERM); /* for the helpers: it only makes their descriptor readable */
	for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
		helper_end(&helpers[i]);
	return r;
}

static int run(const struct settings *s, struct err *err)
{
	struct listeners l = {.n = 0};
	struct engine *e = NULL;
	_cleanup_close_ int stop_fd = open_signals(err);
	if (stop_fd < 0)
		return stop_fd;
	raise_files();
	few_arenas();
	int r = engine_open(&s->engine, &e, err);
	r = r < 0 ? r : engine_events_keep(e, err);
	r = r < 0 ? r : listen_open(&l, s->daemon.hosts, s->daemon.group, s->engine.run_dir, err);
	r = r < 0 ? r : write_pidfile(s->daemon.pidfile, err);
	r = r < 0 ? r : serve(e, &l, stop_fd, err);
	listen_close(&l);
	if (s->daemon.pidfile && r >= 0)
		(void) unlink(s->daemon.pidfile); /* a stale one names no process of ours */
	(void) engine_close(e);
	return r;
}

static int parse(int argc, char **argv, struct options *o, int *ret_code)
{
	struct err err;
	const char **args = calloc((size_t) argc + 1, sizeof(*args));
	size_t n = 0;
	int r = args ? flag_parse(cofferd_flags, argc - 1, argv + 1, FLAG_INTERSPERSED, o, args, &n, &err) : err_oom(&err);
	if (r == 0 && n > 0)
		r = err_set(&err, ERR_INVALID, "'%.80s': cofferd takes no arguments", args[0]);
	free(args);
	*ret_code = 0;
	if (r == FLAG_HELP)
		cofferd_help();
	else if (r < 0)
		*ret_code = fail(&err) ? EXIT_USAGE : 0;
	else if (o->version)
		(void) printf("Coffer version %s\n", COFFER_VERSION);
	else
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {NULL};
	struct settings s;
	struct err err;
	int code;
	fault_init();
	if (argc == 2 && str_eq(argv[1], "--list-fault-points"))
		return fault_list() < 0;
	if (!parse(argc, argv, &o, &code)) {
		flag_release(cofferd_flags, &o);
		return code;
	}
	int r = settings_read(&s, o.config_file, &err);
	r = r < 0 ? r : merge(&o, &s, &err);
	if (r >= 0 && o.validate)
		(void) printf("configuration OK\n");
	else if (r >= 0) {
		set_level(&s.daemon);
		r = geteuid() == 0 ? run(&s, &err) : err_set(&err, ERR_DENIED, "cofferd needs to be started as root");
	}
	settings_done(&s);
	flag_release(cofferd_flags, &o);
	return r < 0 ? fail(&err) : 0;
}
