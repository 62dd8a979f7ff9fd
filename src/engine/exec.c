/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More processes in a running container. An exec lives in memory: created, started once, and kept for its exit code until the engine
 * closes or EXECS_MAX newer ones ended. Its document carries never more than the container's own (R8), except for a privileged exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/num.h"
#include "engine/events.h"
#include "engine/internal.h"
#include "kernel/process.h"

#define EXECS_MAX 2048
#define DOCUMENT_MAX (4u << 20)
#define SETTLE_MS 2000

enum exec_state { EXEC_CREATED, EXEC_STARTING, EXEC_RUNNING, EXEC_ENDED };

struct exec {
	struct exec *next;
	char id[ID_LEN + 1], container[ID_LEN + 1];
	char *tenant;		 /* owned */
	struct exec_request req; /* strings owned */
	enum exec_state state;
	int exit_code, pid;
	uint64_t ticks; /* names the process together with @pid */
};

void exec_request_done(struct exec_request *r)
{
	strv_free(r->cmd);
	strv_free(r->env);
	free(r->user);
	free(r->working_dir);
	free(r->detach_keys);
	*r = (struct exec_request){0};
}

static void exec_free(struct exec *x)
{
	exec_request_done(&x->req);
	free(x->tenant);
	free(x);
}

void execs_free(struct engine *e)
{
	while (e->execs) {
		struct exec *x = e->execs;
		e->execs = x->next;
		exec_free(x);
	}
}

static int dup_str(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static int dup_request(const struct exec_request *r, struct exec_request *ret)
{
	*ret = *r;
	ret->cmd = ret->env = NULL;
	ret->user = ret->working_dir = ret->detach_keys = NULL;
	if (strv_dup(r->cmd, &ret->cmd) < 0 || strv_dup(r->env, &ret->env) < 0 || dup_str(r->user, &ret->user) < 0 ||
	    dup_str(r->working_dir, &ret->working_dir) < 0 || dup_str(r->detach_keys, &ret->detach_keys) < 0) {
		exec_request_done(ret);
		return -ENOMEM;
	}
	return 0;
}

/* With engine.lock held. */
static struct exec *find(struct engine *e, const char *tenant, const char *id)
{
	struct exec *x = e->execs;
	while (x && !(str_eq(x->id, id) && (!tenant || str_eq(x->tenant, tenant))))
		x = x->next;
	return x;
}

static int not_found(const char *id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "No such exec instance: %.64s", id);
}

/* With engine.lock held: the oldest that ended makes room. */
static int make_room(struct engine *e, struct err *err)
{
	size_t n = 0;
	struct exec **oldest = NULL;
	for (struct exec **p = &e->execs; *p; p = &(*p)->next, n++)
		if ((*p)->state == EXEC_ENDED)
			oldest = p;
	if (n < EXECS_MAX)
		return 0;
	if (!oldest)
		return err_set(err, ERR_QUOTA, "%d execs are there already", EXECS_MAX);
	struct exec *x = *oldest;
	*oldest = x->next;
	exec_free(x);
	return 0;
}

static int check_request(const struct exec_request *r, struct err *err)
{
	struct monitor_attach ignored;
	if (!r->cmd || !r->cmd[0])
		return err_set(err, ERR_INVALID, "No exec command specified");
	int rc = user_check("User (--user)", r->user, err);
	if (rc >= 0 && !str_empty(r->working_dir) && r->working_dir[0] != '/')
		rc = err_set(err, ERR_INVALID, "WorkingDir (--workdir): '%.200s' is not an absolute path", r->working_dir);
	return rc < 0 ? rc : detach_keys_parse(r->detach_keys, &ignored, err);
}

void exec_event_text(struct strbuf *b, const char *action, char *const *cmd)
{
	strbuf_addf(b, "%s:", action);
	STRV_FOREACH(s, cmd)
		strbuf_addf(b, " %s", s);
}

static void tell_exec(struct engine *e, const struct container *c, const char *action, const char *exec_id, char *const *cmd)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT(8192);
	exec_event_text(&b, action, cmd);
	event_container(e, c, strbuf_err(&b) < 0 ? action : b.s, "execID", exec_id, NULL);
}

int engine_exec_create(struct engine *e, const struct caller *caller, const char *ref, const struct exec_request *r, char ret_id[65], struct err *err)
{
	_cleanup_container_ struct container c = {0};
	int rc = running_find(e, caller, ref, &c, err);
	if (rc == 0)
		return err_set(err, ERR_CONFLICT, "container %s is not running", c.id);
	if (rc < 0)
		return rc;
	rc = pause_refuse(&c, "exec", err);
	rc = rc < 0 ? rc : check_request(r, err);
	if (rc < 0)
		return rc;
	struct exec *x = calloc(1, sizeof(*x));
	if (!x || dup_request(r, &x->req) < 0 || dup_str(caller->tenant, &x->tenant) < 0 || id_new(x->id) < 0) {
		if (x)
			exec_free(x);
		return err_oom(err);
	}
	memcpy(x->container, c.id, sizeof(x->container));
	memcpy(ret_id, x->id, sizeof(x->id));
	(void) pthread_mutex_lock(&e->lock);
	rc = make_room(e, err);
	if (rc >= 0) {
		x->next = e->execs;
		e->execs = x;
	}
	(void) pthread_mutex_unlock(&e->lock);
	if (rc < 0)
		exec_free(x);
	else
		tell_exec(e, &c, "exec_create", ret_id, r->cmd);
	return rc;
}

static int already_run(const struct exec *x, struct err *err)
{
	return x->state == EXEC_CREATED ? 0 : err_set(err, ERR_CONFLICT, "exec command %s has already run", x->id);
}

int engine_exec_check(struct engine *e, const struct caller *caller, const char *exec_id, bool *ret_tty, struct err *err)
{
	(void) pthread_mutex_lock(&e->lock);
	struct exec *x = find(e, caller->tenant, exec_id);
	int rc = x ? already_run(x, err) : not_found(exec_id, err);
	if (rc >= 0)
		*ret_tty = x->req.tty;
	(void) pthread_mutex_unlock(&e->lock);
	return rc;
}

/* The document */

/* The container's variables, then the exec's own; one of the same name replaces. */
static int merge_env(struct process_spec *p, char *const *env)
{
	STRV_FOREACH(mine, env) {
		size_t n = strcspn(mine, "=");
		bool done = false;
		if (!mine[n])
			continue; /* a bare name says nothing here: the client resolves its own */
		for (char **have = p->env; have && *have; have++)
			if (strncmp(*have, mine, n) == 0 && (*have)[n] == '=') {
				char *c = strdup(mine);
				if (!c)
					return -ENOMEM;
				free(*have);
				*have = c;
				done = true;
			}
		if (!done && strv_push(&p->env, mine) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int replace(char **p, const char *s)
{
	char *c = strdup(s);
	if (!c)
		return -ENOMEM;
	free(*p);
	*p = c;
	return 0;
}

static int override(struct runtime_spec *s, const struct exec_request *r)
{
	struct process_spec *p = &s->process;
	p->args = strv_free(p->args);
	p->terminal = r->tty;
	p->rows = (uint16_t) MIN(r->rows, 65535u);
	p->cols = (uint16_t) MIN(r->cols, 65535u);
	if (strv_dup(r->cmd, &p->args) < 0 || merge_env(p, r->env) < 0 || (!str_empty(r->working_dir) && replace(&p->cwd, r->working_dir) < 0))
		return -ENOMEM;
	if (r->tty && !strv_find_key(p->env, "TERM") && strv_push(&p->env, "TERM=xterm") < 0)
		return -ENOMEM;
	if (!str_empty(r->user)) {
		p->uid = p->gid = 0;
		if (!user_numeric(r->user, &p->uid, &p->gid))
			(void) parse_u32(r->user, &p->uid); /* a name: the sandbox resolves it */
		if (replace(&s->coffer.user, r->user) < 0)
			return -ENOMEM;
	}
	return 0;
}

int exec_document(struct engine *e, const struct container *c, const struct exec_request *r, struct strbuf *out, struct err *err)
{
	char seccomp[MONITOR_PATH_MAX], profile[32], hash[65];
	_cleanup_runtime_spec_ struct runtime_spec *s = runtime_spec_new();
	struct labels labels;
	struct bundle_plan b = {.c = c, .labels = &labels};
	if (!s)
		return err_oom(err);
	int rc = labels_of(e, c, &labels, err);
	rc = rc < 0 ? rc : bundle_process(&b, s, err);
	rc = rc < 0 ? rc : bundle_resources(&b, s, err); /* for the rlimits */
	rc = rc < 0 ? rc : seccomp_prepare(e, c->req, seccomp, profile, sizeof(profile), hash, &s->coffer.seccomp_flags, err);
	if (rc < 0)
		return rc;
	s->coffer.present = true;
	if (override(s, r) < 0 || (seccomp[0] && replace(&s->coffer.seccomp_filter, seccomp) < 0) || replace(&s->coffer.seccomp_name, profile) < 0)
		return err_oom(err);
	s->coffer.landlock = false; /* inherited from nobody: the sandbox decides by the container's own document */
	if (r->privileged) {
		uint64_t all;
		rc = caps_resolve(&(struct container_request){.privileged = true}, &all, err);
		if (rc < 0)
			return rc;
		s->process.caps = (struct caps_spec){.bounding = all, .effective = all, .permitted = all};
		s->process.no_new_privileges = false;
	}
	return exec_spec_write(&s->process, &s->coffer, out, err);
}

static void document_name(char buf[ID_LEN + 16], const char *id)
{
	(void) str_format(buf, ID_LEN + 16, "exec-%s.json", id); /* fits */
}

static int write_document(struct engine *e, const struct container *c, const struct exec_request *r, const char *exec_id, struct err *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT(DOCUMENT_MAX);
	char name[ID_LEN + 16];
	int rc = exec_document(e, c, r, &text, err);
	if (rc < 0)
		return rc;
	document_name(name, exec_id);
	_cleanup_close_ int dir = bundle_open(e, c->id);
	_cleanup_close_ int fd = dir < 0 ? dir : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dir >= 0 && fd < 0)
		fd = -errno;
	rc = fd < 0 ? fd : write_all(fd, text.s, text.len);
	return rc < 0 ? err_sys(err, rc, "writing the exec document") : 0;
}

static void remove_document(struct engine *e, const char *container, const char *exec_id)
{
	char name[ID_LEN + 16];
	_cleanup_close_ int dir = bundle_open(e, container);
	document_name(name, exec_id);
	if (dir >= 0)
		(void) unlinkat(dir, name, 0); /* goes with the bundle otherwise */
}

/* Start */

static void mark_running(struct engine *e, const char *exec_id, const struct monitor_started *started)
{
	(void) pthread_mutex_lock(&e->lock);
	struct exec *x = find(e, NULL, exec_id);
	if (x && x->state == EXEC_STARTING) { /* it may have ended already */
		x->state = EXEC_RUNNING;
		x->pid = started->pid;
		x->ticks = started->start_ticks;
	}
	(void) pthread_mutex_unlock(&e->lock);
}

static int send_exec(struct engine *e, const struct container *c, const struct exec_request *r, const char *exec_id, int fd, const void *early, size_t early_len,
		     struct monitor_started *ret, bool *ret_handed, struct err *err)
{
	struct monitor_exec m = {.flags = (r->tty ? MONITOR_TTY : 0) | (r->attach_stdin ? MONITOR_OPEN_STDIN : 0)};
	memcpy(m.exec_id, exec_id, sizeof(m.exec_id));
	m.attach = (struct monitor_attach){.raw = r->tty, .streams = (r->attach_stdin ? 1u : 0) | (r->attach_stdout ? 2u : 0) | (r->attach_stderr ? 4u : 0),
					   .early_len = (uint32_t) early_len};
	int rc = r->tty ? detach_keys_parse(r->detach_keys, &m.attach, err) : 0;
	_cleanup_close_ int link = rc < 0 ? rc : link_connect(e, c->id, err);
	if (link < 0)
		return link;
	bool with_fd = fd >= 0 && m.attach.streams;
	rc = link_send(link, MONITOR_EXEC, 1, &m, sizeof(m), early, with_fd ? early_len : 0, &fd, with_fd ? 1 : 0, err);
	*ret_handed = rc >= 0 && with_fd;
	fault_mark("engine.exec.sent");
	rc = rc < 0 ? rc : link_recv(link, 1, ret, sizeof(*ret), err);
	rc = rc < 0 ? rc : fault_point("engine.exec.started", err);
	if (rc < 0)
		return rc;
	mark_running(e, exec_id, ret);
	rc = watch_exec(e, exec_id, link, err);
	if (rc >= 0)
		(void) take_fd(&link);
	return rc;
}

static void end(struct engine *e, const char *exec_id, int code)
{
	_cleanup_container_ struct container c = {0};
	char container[ID_LEN + 1] = "", text[16];
	(void) pthread_mutex_lock(&e->lock);
	struct exec *x = find(e, NULL, exec_id);
	if (x) {
		memcpy(container, x->container, sizeof(container));
		x->state = EXEC_ENDED;
		x->exit_code = code;
		x->pid = 0;
	}
	(void) pthread_mutex_unlock(&e->lock);
	(void) str_format(text, sizeof(text), "%d", code); /* fits */
	if (container[0] && container_load(e, container, &c, NULL) > 0)
		event_container(e, &c, "exec_die", "execID", exec_id, "exitCode", text, NULL);
}

void exec_ended(struct engine *e, const char *exec_id, const struct monitor_exit *x)
{
	end(e, exec_id, x ? x->code : 137); /* without a word: it died with its container */
}

/* The stream is the only place where the client of a hijacked exec still listens. */
static void tell_stream(int fd, bool tty, const struct err *why)
{
	uint8_t buf[8 + sizeof(why->msg) + 2];
	int n = str_format((char *) buf + 8, sizeof(buf) - 8, "%s\r\n", why->msg);
	if (n < 0)
		return;
	const uint8_t head[8] = {2, 0, 0, 0, 0, 0, (uint8_t) (n >> 8), (uint8_t) n};
	memcpy(buf, head, sizeof(head));
	(void) write_all(fd, tty ? buf + 8 : buf, (size_t) n + (tty ? 0 : 8)); /* whoever left does not want to know */
}

/* The exec, marked as starting: only one caller gets here. *@r: a copy. */
static int claim(struct engine *e, const struct caller *caller, const char *exec_id, char container[ID_LEN + 1], struct exec_request *r, struct err *err)
{
	(void) pthread_mutex_lock(&e->lock);
	struct exec *x = find(e, caller->tenant, exec_id);
	int rc = x ? already_run(x, err) : not_found(exec_id, err);
	if (rc >= 0 && dup_request(&x->req, r) < 0)
		rc = err_oom(err);
	if (rc >= 0) {
		memcpy(container, x->container, sizeof(x->container));
		x->state = EXEC_STARTING;
	}
	(void) pthread_mutex_unlock(&e->lock);
	return rc;
}

static int start_claimed(struct engine *e, const char *container, const struct exec_request *r, const char *exec_id, int fd, const void *early, size_t early_len,
			 bool *ret_handed, struct err *err)
{
	_cleanup_container_ struct container c = {0};
	struct monitor_started started = {0};
	int rc = container_load(e, container, &c, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "No such container: %s", container);
	rc = rc < 0 ? rc : write_document(e, &c, r, exec_id, err);
	rc = rc < 0 ? rc : fault_point("engine.exec.document", err);
	if (rc >= 0)
		tell_exec(e, &c, "exec_start", exec_id, r->cmd); /* before it: its end is told by another thread */
	rc = rc < 0 ? rc : send_exec(e, &c, r, exec_id, fd, early, early_len, &started, ret_handed, err);
	remove_document(e, container, exec_id); /* read by then, or of no use */
	return rc;
}

int engine_exec_start(struct engine *e, const struct caller *caller, const char *exec_id, int fd_consume, const void *early, size_t early_len, struct err *err)
{
	_cleanup_close_ int fd = fd_consume;
	struct exec_request r = {0};
	char container[ID_LEN + 1];
	bool handed = false; /* from then on the monitor speaks to the client */
	struct err own = {0};
	err = err ?: &own;
	int rc = claim(e, caller, exec_id, container, &r, err);
	if (rc < 0)
		return rc;
	if (early_len > MONITOR_PAYLOAD_MAX - sizeof(struct monitor_exec))
		rc = err_set(err, ERR_INVALID, "%zu bytes of input behind the request are too many", early_len);
	rc = rc < 0 ? rc : start_claimed(e, container, &r, exec_id, fd, early, early_len, &handed, err);
	if (rc < 0) {
		end(e, exec_id, err->kind == ERR_CMD_NOT_FOUND ? 127 : 126);
		if (fd >= 0 && !handed)
			tell_stream(fd, r.tty, err);
		if (fd >= 0)
			rc = 0; /* told */
	}
	exec_request_done(&r);
	return MIN(rc, 0);
}

/* Wait until a start that is under way has been decided: the first resize races it. */
static int settled(struct engine *e, const struct caller *caller, const char *exec_id, struct exec *ret, struct err *err)
{
	for (int ms = 0;; ms += 5) {
		(void) pthread_mutex_lock(&e->lock);
		struct exec *x = find(e, caller->tenant, exec_id);
		if (x)
			*ret = *x; /* plain fields only are looked at */
		(void) pthread_mutex_unlock(&e->lock);
		if (!x)
			return not_found(exec_id, err);
		if (ret->state != EXEC_STARTING || ms >= SETTLE_MS)
			return 0;
		(void) poll(NULL, 0, 5);
	}
}

int engine_exec_resize(struct engine *e, const struct caller *caller, const char *exec_id, unsigned rows, unsigned cols, struct err *err)
{
	struct exec x;
	int rc = settled(e, caller, exec_id, &x, err);
	if (rc < 0)
		return rc;
	if (x.state != EXEC_RUNNING)
		return err_set(err, ERR_CONFLICT, "exec %.64s is not running", exec_id);
	struct monitor_resize z = {.rows = (uint16_t) MIN(rows, 65535u), .cols = (uint16_t) MIN(cols, 65535u)};
	memcpy(z.exec_id, x.id, sizeof(z.exec_id));
	_cleanup_close_ int link = link_connect(e, x.container, err);
	return link < 0 ? link : MIN(link_call(link, MONITOR_RESIZE, &z, sizeof(z), NULL, 0, err), 0);
}

/* The stream's end comes a moment before the exit record: a process that has gone is "running" only until its record is there. */
static void await_record(struct engine *e, const struct caller *caller, struct exec *now)
{
	for (int ms = 0; now->state == EXEC_RUNNING && ms < SETTLE_MS && !proc_is(now->pid, now->ticks); ms++) {
		(void) poll(NULL, 0, 1);
		if (settled(e, caller, now->id, now, NULL) < 0)
			return;
	}
}

static void write_exec(struct json_writer *w, const struct exec *x)
{
	bool running = x->state == EXEC_RUNNING || x->state == EXEC_STARTING;
	jw_obj(w, NULL);
	jw_str(w, "ID", x->id);
	jw_bool(w, "Running", running);
	if (x->state == EXEC_ENDED)
		jw_int(w, "ExitCode", x->exit_code);
	else
		jw_null(w, "ExitCode");
	jw_obj(w, "ProcessConfig");
	jw_bool(w, "tty", x->req.tty);
	jw_str(w, "entrypoint", x->req.cmd[0]);
	jw_strv(w, "arguments", x->req.cmd + 1);
	jw_bool(w, "privileged", x->req.privileged);
	if (!str_empty(x->req.user))
		jw_str(w, "user", x->req.user);
	jw_end(w);
	jw_bool(w, "OpenStdin", x->req.attach_stdin);
	jw_bool(w, "OpenStderr", x->req.attach_stderr);
	jw_bool(w, "OpenStdout", x->req.attach_stdout);
	jw_bool(w, "CanRemove", !running && x->state == EXEC_ENDED);
	jw_str(w, "ContainerID", x->container);
	jw_str(w, "DetachKeys", x->req.detach_keys ?: "");
	jw_int(w, "Pid", x->pid);
	jw_end(w);
}

int engine_exec_inspect(struct engine *e, const struct caller *caller, const char *exec_id, struct json_writer *w, struct err *err)
{
	struct exec now;
	int rc = settled(e, caller, exec_id, &now, err);
	if (rc < 0)
		return rc;
	await_record(e, caller, &now);
	(void) pthread_mutex_lock(&e->lock);
	struct exec *x = find(e, caller->tenant, exec_id);
	if (x)
		write_exec(w, x);
	(void) pthread_mutex_unlock(&e->lock);
	return x ? 0 : not_found(exec_id, err);
}
