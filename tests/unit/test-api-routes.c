/* SPDX-License-Identifier: Apache-2.0 */
/* The api room over real sockets, with a double in the engine's place: what goes in, and the bytes that come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/server.h"
#include "apimodel/network.h"
#include "base/clock.h"
#include "base/fd.h"
#include "engine/engine.h"
#include "registry/registry.h"

#define CID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* ---- the double: notes its calls in `calls`, answers by the name it is asked for ---- */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char calls[65536];
static int wait_pipe[2] = {-EBADF, -EBADF};

static void __attribute__((format(printf, 1, 2))) note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	pthread_mutex_lock(&lock);
	size_t n = strlen(calls);
	(void) vsnprintf(calls + n, sizeof(calls) - n, fmt, ap);
	pthread_mutex_unlock(&lock);
	va_end(ap);
}

static void clear_notes(void)
{
	pthread_mutex_lock(&lock);
	calls[0] = '\0';
	pthread_mutex_unlock(&lock);
}

static bool noted(const char *text)
{
	pthread_mutex_lock(&lock);
	bool hit = strstr(calls, text);
	pthread_mutex_unlock(&lock);
	return hit;
}

/* The names tell the double how to fail. */
static int verdict(const char *ref, struct err *err)
{
	static const struct {
		const char *name;
		enum err_kind kind;
	} rows[] = {{"nosuch", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT}, {"denied", ERR_DENIED}, {"quota", ERR_QUOTA}, {"unsupported", ERR_UNSUPPORTED},
		    {"invalid", ERR_INVALID}, {"corrupt", ERR_CORRUPT}, {"system", ERR_SYSTEM}, {"cmdmissing", ERR_CMD_NOT_FOUND}, {"cmddenied", ERR_CMD_DENIED},
		    {"same", ERR_NOT_MODIFIED}};
	for (size_t i = 0; ref && i < ARRAY_LEN(rows); i++)
		if (str_eq(rows[i].name, ref))
			return err_set(err, rows[i].kind, "No such container: %s <&>", ref);
	return 0;
}

struct image_store *engine_images(struct engine *e)
{
	return NULL;
}

void engine_expect_start(struct engine *e)
{
	fail_msg("nothing was said of a start");
}

int engine_platform_check(const char *platform, struct err *err)
{
	return str_eq(platform, "linux/other") ? err_set(err, ERR_UNSUPPORTED, "platform") : 0;
}

int engine_create(struct engine *e, const struct caller *c, const char *name, const struct container_request *req, struct create_result *ret, struct err *err)
{
	note("create(%s,%s,%s,%u)", c->tenant, name ? name : "-", req->image ? req->image : "-", (unsigned) c->uid);
	(void) str_copy(ret->id, sizeof(ret->id), CID);
	return verdict(name, err);
}

int engine_start(struct engine *e, const struct caller *c, const char *ref, struct err *err)
{
	note("start(%s)", ref);
	return verdict(ref, err);
}

int engine_stop(struct engine *e, const struct caller *c, const char *ref, int timeout_s, const char *signal, struct err *err)
{
	note("stop(%s,%d,%s)", ref, timeout_s, signal ? signal : "-");
	return verdict(ref, err);
}

int engine_kill(struct engine *e, const struct caller *c, const char *ref, const char *signal, struct err *err)
{
	note("kill(%s,%s)", ref, signal ? signal : "-");
	return verdict(ref, err);
}

int engine_restart(struct engine *e, const struct caller *c, const char *ref, int timeout_s, const char *signal, struct err *err)
{
	note("restart(%s,%d)", ref, timeout_s);
	return verdict(ref, err);
}

int engine_pause(struct engine *e, const struct caller *c, const char *ref, struct err *err)
{
	note("pause(%s)", ref);
	return verdict(ref, err);
}

int engine_unpause(struct engine *e, const struct caller *c, const char *ref, struct err *err)
{
	note("unpause(%s)", ref);
	return verdict(ref, err);
}

/* An archive of one piece, or a failure before it; "cut": one behind it. */
static int give_archive(const char *ref, const struct path_status *st, bool body, const struct archive_sink *sink, struct err *err)
{
	int r = verdict(ref, err);
	r = r < 0 ? r : sink->status(sink->ctx, st);
	r = r < 0 || !body ? r : sink->data(sink->ctx, "TAR", 3);
	return r >= 0 && strcmp(ref, "cut") == 0 ? err_set(err, ERR_SYSTEM, "cut short") : r;
}
static const struct path_status path_status = {.name = "x", .target = "/y", .size = 3, .mode = 2147484141u, .mtime_ns = 1500000000};

int engine_archive_stat(struct engine *e, const struct caller *c, const char *ref, const char *path, const struct archive_sink *sink, struct err *err)
{
	note("archive_stat(%s,%s)", ref, path ? path : "-");
	return give_archive(ref, &path_status, false, sink, err);
}

int engine_archive_get(struct engine *e, const struct caller *c, const char *ref, const char *path, const struct archive_sink *sink, struct err *err)
{
	note("archive_get(%s,%s)", ref, path ? path : "-");
	return give_archive(ref, &path_status, true, sink, err);
}

int engine_export(struct engine *e, const struct caller *c, const char *ref, const struct archive_sink *sink, struct err *err)
{
	note("export(%s)", ref);
	return give_archive(ref, NULL, true, sink, err);
}

int engine_archive_put(struct engine *e, const struct caller *c, const char *ref, const char *path, unsigned flags, int fd, int cancel_fd, struct err *err)
{
	char text[64];
	ssize_t n = read_full(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	note("archive_put(%s,%s,%u,%s)", ref, path ? path : "-", flags, text);
	return verdict(ref, err);
}

int engine_changes(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err)
{
	note("changes(%s)", ref);
	jw_null(w, NULL);
	return verdict(ref, err);
}

int engine_commit(struct engine *e, const struct caller *c, const char *ref, const struct commit_request *r, char **ret_id, struct err *err)
{
	note("commit(%s,%s,%s,%s,%d,%s,%s)", ref, r->ref ? r->ref : "-", r->author ? r->author : "-", r->comment ? r->comment : "-", r->pause, r->changes ? r->changes[0] : "-",
	     r->config && r->config->user ? r->config->user : "-");
	*ret_id = strdup("sha256:c0");
	return verdict(ref, err);
}

int engine_rename(struct engine *e, const struct caller *c, const char *ref, const char *name, struct err *err)
{
	note("rename(%s,%s)", ref, name ? name : "-");
	return verdict(ref, err);
}

int engine_update(struct engine *e, const struct caller *c, const char *ref, const struct container_request *limits, char ***warnings, struct err *err)
{
	note("update(%s,%lld,%lld)", ref, (long long) limits->memory, (long long) limits->pids_limit);
	return verdict(ref, err);
}

int engine_top(struct engine *e, const struct caller *c, const char *ref, const char *ps_args, struct json_writer *w, struct err *err)
{
	note("top(%s,%s)", ref, ps_args ? ps_args : "-");
	jw_raw(w, NULL, "{}");
	return verdict(ref, err);
}

static int prune(const char *what, const struct json *filters, struct json_writer *w)
{
	note("prune(%s,%zu)", what, json_len(filters));
	jw_raw(w, NULL, "{}");
	return 0;
}

int engine_container_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err)
{
	return prune("containers", filters, w);
}

int engine_image_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err)
{
	return prune("images", filters, w);
}

int engine_volume_prune(struct engine *e, const struct caller *c, const struct json *filters, bool all, struct json_writer *w, struct err *err)
{
	return prune(all ? "all volumes" : "volumes", filters, w);
}

/* Two events, then the end of time. */
static int events_left;

int engine_events_begin(struct engine *e, const struct caller *c, const struct events_request *r, struct events_reader **ret, struct err *err)
{
	note("events(%lld,%lld,%zu)", (long long) r->since_ns, (long long) r->until_ns, json_len(r->filters));
	events_left = 2;
	return 0;
}

int engine_events_next(struct engine *e, struct events_reader *rd, int cancel_fd, char **ret)
{
	*ret = events_left ? str_printf("{\"n\":%d}", events_left) : NULL;
	return events_left-- > 0;
}

int engine_stats_begin(struct engine *e, const struct caller *c, const char *ref, struct stats_reader **ret, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no");
}

int engine_stats_next(struct engine *e, struct stats_reader *rd, int wait_ms, int cancel_fd, struct json_writer *w, struct err *err)
{
	return -ECANCELED;
}

void engine_stats_end(struct stats_reader *rd)
{
}

void engine_events_end(struct engine *e, struct events_reader *rd)
{
	note("end");
}

void engine_image_event(struct engine *e, const struct caller *c, const char *action, const char *ref)
{
}

int engine_remove(struct engine *e, const struct caller *c, const char *ref, bool force, bool volumes, struct err *err)
{
	note("remove(%s,%d,%d)", ref, force, volumes);
	return verdict(ref, err);
}

int engine_resize(struct engine *e, const struct caller *c, const char *ref, unsigned rows, unsigned cols, struct err *err)
{
	note("resize(%s,%u,%u)", ref, rows, cols);
	return verdict(ref, err);
}

int engine_wait_begin(struct engine *e, const struct caller *c, const char *ref, enum wait_condition cond, struct wait **ret, struct err *err)
{
	note("wait(%s,%d)", ref, cond);
	*ret = (struct wait *) (uintptr_t) 1;
	return verdict(ref, err);
}

/* Ends when the test writes the exit code into wait_pipe. */
int engine_wait_end(struct engine *e, struct wait *w, int cancel_fd, int *ret_code, struct err *err)
{
	struct pollfd fds[] = {{.fd = wait_pipe[0], .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
	unsigned char code;
	assert_true(poll(fds, 2, -1) > 0);
	if (!(fds[0].revents & POLLIN)) {
		note("cancelled");
		return -ECANCELED;
	}
	assert_int_equal(read(wait_pipe[0], &code, 1), 1);
	*ret_code = code;
	return 0;
}

int engine_attach_check(struct engine *e, const struct caller *c, const char *ref, const struct attach_request *a, bool *ret_tty, char ret_id[65], struct err *err)
{
	note("attach_check(%s,%d%d%d%d%d,%s)", ref, a->stream, a->stdin, a->stdout, a->stderr, a->logs, a->detach_keys ? a->detach_keys : "-");
	*ret_tty = str_eq(ref, "tty");
	(void) str_copy(ret_id, 65, CID);
	return verdict(ref, err);
}

static int hijacked(const char *what, const char *id, int fd, const void *early, size_t n)
{
	note("%s(%.4s,%.*s)", what, id, (int) n, (const char *) early);
	int r = write_all(fd, "stream!", 7);
	safe_close(fd);
	return r;
}

void engine_attach_cancel(struct engine *e, const char *id)
{
}

int engine_attach(struct engine *e, const struct caller *c, const char *id, const struct attach_request *a, int fd_consume, const void *early, size_t early_len, struct err *err)
{
	return hijacked("attach", id, fd_consume, early, early_len);
}

int engine_logs_check(struct engine *e, const struct caller *c, const char *ref, bool *ret_tty, struct err *err)
{
	*ret_tty = str_eq(ref, "tty");
	return verdict(ref, err);
}

int engine_logs(struct engine *e, const struct caller *c, const char *ref, const struct logs_request *r, const struct logs_sink *sink, struct err *err)
{
	note("logs(%d%d%d,%lld,%lld,%lld)", r->follow, r->stdout, r->stderr, (long long) r->since_ns, (long long) r->until_ns, (long long) r->tail);
	int res = sink->fn(sink->ctx, &(const struct logs_record) {1, "out\n", 4, 1000000000000000000, ""});
	return res < 0 ? res : sink->fn(sink->ctx, &(const struct logs_record) {2, "err", 3, 1000000000500000000, ""});
}

void exec_request_done(struct exec_request *r)
{
	strv_free(r->cmd);
	strv_free(r->env);
	free(r->user);
	free(r->working_dir);
	free(r->detach_keys);
}

int engine_exec_create(struct engine *e, const struct caller *c, const char *ref, const struct exec_request *r, char ret_id[65], struct err *err)
{
	note("exec_create(%s,%s,%s,%d%d%d%d%d,%u,%u)", ref, r->cmd[0], r->user ? r->user : "-", r->attach_stdin, r->attach_stdout, r->attach_stderr, r->tty, r->privileged,
	     r->rows, r->cols);
	(void) str_copy(ret_id, 65, CID);
	return verdict(ref, err);
}

int engine_exec_check(struct engine *e, const struct caller *c, const char *exec_id, bool *ret_tty, struct err *err)
{
	*ret_tty = str_eq(exec_id, "tty");
	return verdict(exec_id, err);
}

int engine_exec_start(struct engine *e, const struct caller *c, const char *exec_id, int fd_consume, const void *early, size_t early_len, struct err *err)
{
	if (fd_consume < 0) {
		note("exec_detached(%s)", exec_id);
		return 0;
	}
	return hijacked("exec_start", exec_id, fd_consume, early, early_len);
}

int engine_exec_resize(struct engine *e, const struct caller *c, const char *exec_id, unsigned rows, unsigned cols, struct err *err)
{
	note("exec_resize(%s,%u,%u)", exec_id, rows, cols);
	return verdict(exec_id, err);
}

static int answer(struct json_writer *w, const char *ref, struct err *err)
{
	jw_obj(w, NULL);
	jw_str(w, "Ref", ref);
	jw_end(w);
	return verdict(ref, err);
}

int engine_exec_inspect(struct engine *e, const struct caller *c, const char *exec_id, struct json_writer *w, struct err *err)
{
	return answer(w, exec_id, err);
}

int engine_container_inspect(struct engine *e, const struct caller *c, const char *ref, bool size, struct json_writer *w, struct err *err)
{
	note("inspect(%s,%d)", ref, size);
	return answer(w, ref, err);
}

int engine_container_list(struct engine *e, const struct caller *c, const struct list_request *r, struct json_writer *w, struct err *err)
{
	_cleanup_free_ char *f = r->filters ? json_dump(r->filters) : NULL;
	note("list(%d,%d,%lld,%s)", r->all, r->size, (long long) r->limit, f ? f : "-");
	jw_raw(w, NULL, "[]");
	return 0;
}

int engine_posture(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err)
{
	return answer(w, ref, err);
}

int engine_image_remove(struct engine *e, const struct caller *c, const char *ref, bool force, struct json_writer *w, struct err *err)
{
	note("rmi(%s,%d)", ref, force);
	jw_raw(w, NULL, "[]");
	return verdict(ref, err);
}

int engine_volume_list(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err)
{
	jw_raw(w, NULL, "{\"Volumes\":[],\"Warnings\":null}");
	return 0;
}

int engine_check(struct engine *e, const struct caller *c, const struct check_request *req, struct json_writer *w, struct err *err)
{
	note("check(%d)", req->repair);
	jw_raw(w, NULL, "{\"Flaws\":[]}");
	return 0;
}

int engine_down(struct engine *e, const struct caller *c, int timeout_s, struct json_writer *w, struct err *err)
{
	jw_obj(w, NULL);
	jw_end(w);
	return 0;
}

int engine_restore(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err)
{
	jw_obj(w, NULL);
	jw_end(w);
	return 0;
}

int engine_volume_usage(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err)
{
	jw_raw(w, NULL, "[]");
	return 0;
}

int registry_auth_parse(const char *header, struct registry_auth *ret, struct err *err)
{
	*ret = (struct registry_auth) {.username = header ? strdup(header) : NULL};
	return 0;
}

void registry_auth_done(struct registry_auth *a)
{
	free(a->username);
	free(a->password);
	free(a->identity_token);
	free(a->registry_token);
	free(a->server);
}

/* Says "late" things before it fails; "nosuch" is a failure at once. */
int engine_pull(struct engine *e, const struct caller *c, const struct pull_request *req, struct err *err)
{
	note("pull(%s,%s,%s,%s)", req->name, req->tag ? req->tag : "-", req->platform ? req->platform : "-", req->auth->username ? req->auth->username : "-");
	int r = verdict(req->name, err);
	if (r < 0)
		return r;
	req->progress->fn(req->progress->ctx, "1", "Pulling from library/busybox", 0, 0);
	req->progress->fn(req->progress->ctx, "0123456789ab", "Downloading", 5, 10);
	return str_eq(req->name, "late") ? err_set(err, ERR_CORRUPT, "blob: wrong digest") : 0;
}

int engine_push(struct engine *e, const struct caller *c, const struct push_request *req, struct err *err)
{
	note("push(%s,%s)", req->name, req->tag ? req->tag : "-");
	int r = verdict(req->name, err);
	if (r >= 0)
		req->pushed(req->progress->ctx, "1", "sha256:d", 5);
	return r;
}

int engine_login(struct engine *e, const struct caller *c, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	note("login(%s,%s)", auth->username, auth->server);
	jw_raw(w, NULL, "{}");
	return verdict(auth->username, err);
}

int engine_distribution(struct engine *e, const struct caller *c, const char *name, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	note("distribution(%s)", name);
	return answer(w, name, err);
}

int engine_manifests(struct engine *e, const struct caller *c, const char *name, bool each, const struct registry_auth *auth, struct json_writer *w, struct err *err)
{
	note("manifests(%s,%d)", name, each);
	return answer(w, name, err);
}

int engine_search(struct engine *e, const struct caller *c, const struct search_request *q, struct json_writer *w, struct err *err)
{
	note("search(%s,%u)", q->term, q->limit);
	return answer(w, q->term, err);
}

int image_usage(struct image_store *s, const char *tenant, const char *id, struct image_usage *ret, struct err *err)
{
	*ret = (struct image_usage) {.bytes = 4242, .shared_bytes = 42, .shared_layer_bytes = 7};
	return 0;
}

int image_usage_total(struct image_store *s, const char *tenant, uint64_t *ret, struct err *err)
{
	*ret = 4242;
	return 0;
}

/* Fails in the middle for "late". */
int image_save(struct image_store *s, const char *tenant, char *const *refs, const struct image_sink *sink, struct err *err)
{
	note("save(%zu,%s)", strv_len(refs), refs[0]);
	int r = verdict(refs[0], err);
	if (r >= 0)
		r = sink->write(sink->ctx, "archive", 7);
	return r >= 0 && str_eq(refs[0], "late") ? err_set(err, ERR_CORRUPT, "blob: changed on disk") : r;
}

int engine_image_containers(struct engine *e, const struct caller *c, const char *image_id, int64_t *ret, struct err *err)
{
	*ret = 2;
	return 0;
}

int engine_network_create(struct engine *e, const struct caller *c, const struct network_request *q, char ret_id[65], struct err *err)
{
	memcpy(ret_id, CID, sizeof(CID));
	return str_eq(q->name, "taken") ? err_set(err, ERR_CONFLICT, "network with name taken already exists") : 0;
}

int engine_network_inspect(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "network %s not found", ref);
}

int engine_network_list(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err)
{
	jw_arr(w, NULL);
	jw_end(w);
	return 0;
}

int engine_network_remove(struct engine *e, const struct caller *c, const char *ref, struct err *err)
{
	return 0;
}

int engine_network_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err)
{
	jw_obj(w, NULL);
	jw_null(w, "NetworksDeleted");
	jw_end(w);
	return 0;
}

int engine_network_connect(struct engine *e, const struct caller *c, const char *ref, const char *container, const struct endpoint_request *q, struct err *err)
{
	return strv_has(q->aliases, "db") ? 0 : err_set(err, ERR_DENIED, "%s is to be called db on %s", container, ref);
}

int engine_network_disconnect(struct engine *e, const struct caller *c, const char *ref, const char *container, bool force, struct err *err)
{
	return force ? 0 : err_set(err, ERR_DENIED, "container %s is not connected to network %s", container, ref);
}

int engine_volume_create(struct engine *e, const struct caller *c, const char *name, const struct json *labels, struct json_writer *w, struct err *err)
{
	note("volume_create(%s,%zu)", name ? name : "-", json_len(labels));
	return answer(w, name ? name : "anon", err);
}

int engine_volume_inspect(struct engine *e, const struct caller *c, const char *name, struct json_writer *w, struct err *err)
{
	return answer(w, name, err);
}

int engine_volume_remove(struct engine *e, const struct caller *c, const char *name, bool force, struct err *err)
{
	note("volume_remove(%s,%d)", name, force);
	return verdict(name, err);
}

int engine_info(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err)
{
	jw_raw(w, NULL, "{\"Swarm\":{\"LocalNodeState\":\"inactive\"}}");
	return 0;
}

struct image *image_free(struct image *i)
{
	if (i) {
		strv_free(i->refs);
		free(i->id);
		free(i);
	}
	return NULL;
}

void image_freep(struct image **i)
{
	*i = image_free(*i);
}

static char *labels_k[] = {(char *) "k", NULL}, *labels_v[] = {(char *) "v", NULL};
static char *diff_ids[] = {(char *) "sha256:d1", (char *) "sha256:d2", NULL};
static char *cmd[] = {(char *) "sh", NULL};
static struct history_entry history[] = {{.created_by = (char *) "ADD", .created_ns = 5000000000}, {.created_by = (char *) "CMD", .empty_layer = true}};
static struct image_config config = {.os = (char *) "linux", .architecture = (char *) "amd64", .cmd = cmd, .label_keys = labels_k, .label_values = labels_v,
				     .diff_ids = diff_ids, .history = history, .n_history = 2};

static struct image *image_new(const char *ref)
{
	struct image *i = calloc(1, sizeof(*i));
	i->id = strdup("sha256:1234");
	if (ref)
		assert_int_equal(strv_push(&i->refs, ref), 0);
	i->created_ns = 1000000000000000000;
	i->size_bytes = 4242;
	i->config = &config;
	return i;
}

int image_find(struct image_store *s, const char *tenant, const char *ref, struct image **ret, struct err *err)
{
	note("find(%s)", ref);
	if (str_eq(ref, "nosuch"))
		return 0;
	*ret = image_new("busybox:latest");
	return 1;
}

int image_list(struct image_store *s, const char *tenant, struct image ***ret, struct err *err)
{
	*ret = calloc(3, sizeof(**ret));
	(*ret)[0] = image_new("busybox:latest");
	(*ret)[1] = image_new(NULL);
	return 0;
}

int image_tag(struct image_store *s, const char *tenant, const char *source, const char *repo, const char *tag, struct err *err)
{
	note("tag(%s,%s,%s)", source, repo, tag ? tag : "-");
	return verdict(source, err);
}

int engine_archive_check(struct engine *e, const char *kind, struct err *err)
{
	note("archive(%s)", kind);
	return 0;
}

/* Fails for an archive that starts with "bad" without reading on, after progress for one with "late". */
int image_load(struct image_store *s, const char *tenant, int fd, const struct image_permit *permit, const struct image_progress *p, char ***ret_refs, struct err *err)
{
	if (permit->fn(permit->ctx, "docker-archive", err) < 0)
		return err->sys;
	char buf[8192];
	size_t sum = 0;
	ssize_t n = read_full(fd, buf, 4);
	if (n == 4 && memcmp(buf, "bad!", 4) == 0)
		return err_set(err, ERR_CORRUPT, "manifest.json: missing");
	p->fn(p->ctx, "abc", "Loading layer", 1, 2);
	if (n == 4 && memcmp(buf, "late", 4) == 0)
		return err_set(err, ERR_CORRUPT, "layer 2: wrong digest");
	for (sum = (size_t) n; (n = read(fd, buf, sizeof(buf))) > 0;)
		sum += (size_t) n;
	note("load(%zu)", sum);
	assert_int_equal(strv_push(ret_refs, "busybox:latest"), 0);
	return strv_push(ret_refs, "sha256:77");
}

int image_import(struct image_store *s, const char *tenant, int fd, const char *ref, const char *message, char *const *changes, const struct image_progress *p, char **ret_id,
		 struct err *err)
{
	char buf[64] = "";
	assert_true(read_full(fd, buf, sizeof(buf) - 1) >= 0);
	note("import(%s,%s,%s,%zu,%s)", buf, ref ? ref : "-", message ? message : "-", strv_len(changes), changes ? changes[0] : "-");
	*ret_id = strdup("sha256:99");
	return 0;
}

/* ---- the client's side ---- */
struct rig {
	int control;
	int theirs;
	pthread_t thread;
	int result;
};

static void *serve_main(void *arg)
{
	struct rig *g = arg;
	g->result = api_serve_embedded(NULL, g->theirs, /* starts= */ false);
	return NULL;
}

static int setup(void **state)
{
	static struct rig g;
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	g = (struct rig) {.control = sv[0], .theirs = sv[1]};
	clear_notes();
	*state = &g;
	return pthread_create(&g.thread, NULL, serve_main, &g);
}

/* Ends by itself once the control socket is closed: no thread is left behind. */
static int teardown(void **state)
{
	struct rig *g = *state;
	g->control = safe_close(g->control);
	int r = pthread_join(g->thread, NULL);
	safe_close(g->theirs);
	return r || g->result;
}

static int connect_rig(struct rig *g)
{
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(send_fds(g->control, "c", 1, &sv[1], 1), 0);
	safe_close(sv[1]);
	return sv[0];
}

/* Send @text, say that there is no more, read to the end. */
static char *talk(struct rig *g, const char *text, size_t len)
{
	_cleanup_close_ int fd = connect_rig(g);
	struct strbuf b = STRBUF_INIT(1 << 20);
	char buf[4096];
	ssize_t n;
	assert_int_equal(write_all(fd, text, len), 0);
	(void) shutdown(fd, SHUT_WR);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		strbuf_add(&b, buf, (size_t) n);
	assert_int_equal(n, 0); /* and not ECONNRESET */
	strbuf_addc(&b, '\0');
	return strbuf_steal(&b);
}

static char *request(struct rig *g, const char *line, const char *body)
{
	struct strbuf b = STRBUF_INIT(1 << 20);
	strbuf_addf(&b, "%s HTTP/1.1\r\nHost: d\r\nConnection: close\r\n", line);
	if (body)
		strbuf_addf(&b, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		strbuf_adds(&b, "\r\n");
	char *out = talk(g, b.s, b.len);
	strbuf_done(&b);
	return out;
}

static void expect(struct rig *g, const char *line, const char *body, int status, const char *answer_text, const char *call)
{
	_cleanup_free_ char *got = request(g, line, body);
	char head[32];
	(void) snprintf(head, sizeof(head), "HTTP/1.1 %d ", status);
	if (!str_after(got, head) || (answer_text && !strstr(got, answer_text)))
		fail_msg("%s: expected %d with '%s', got:\n%s", line, status, answer_text ? answer_text : "", got);
	if (call && !noted(call))
		fail_msg("%s: no call %s in %s", line, call, calls);
}

static void test_table(void **state)
{
	static const struct {
		const char *line, *body;
		int status;
		const char *answer, *call;
	} rows[] = {
		{"GET /_ping", NULL, 200, "\r\n\r\nOK", NULL},
		{"GET /v1.50/_ping", NULL, 200, "Builder-Version: 1\r\nSwarm: inactive\r\nCache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\n", NULL},
		{"GET /version", NULL, 200, "\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.24\"", NULL},
		{"GET /v1.24/info", NULL, 200, "inactive", NULL},
		{"POST /v1.50/containers/create?name=web", "{\"Image\":\"busybox\"}", 201, "{\"Id\":\"" CID "\",\"Warnings\":[]}\n", "create(local,web,busybox,0)"},
		{"POST /containers/create?name=%2Fweb2", "{\"Image\":\"x\",\"Foo\":1}", 201, "\"Warnings\":[\"'Foo' is not supported and was ignored\"]", "create(local,web2,x,0)"},
		{"POST /containers/create", "{\"Image\":\"x\",\"HostConfig\":{\"Binds\":[\"/a:/proc\"]}}", 400, "{\"message\":\"HostConfig.Binds[0]: invalid mount target", NULL},
		{"POST /containers/create", NULL, 400, "config cannot be empty", NULL},
		{"POST /containers/create", "{\"Image\":\"x\"} trailing", 400, "not valid JSON", NULL},
		{"POST /containers/create?name=nosuch", "{\"Image\":\"x\"}", 404, "{\"message\":\"No such container: nosuch <&>\"}\n", NULL},
		{"GET /containers/json?all=1&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D", NULL, 200, "[]", "list(1,0,-1,{\"label\":[\"a=b\"]})"},
		{"GET /containers/json?limit=3&size=True", NULL, 200, "[]", "list(1,1,3,-)"},
		{"GET /containers/json?limit=-1&all=0", NULL, 200, "[]", "list(0,0,-1,-)"},
		{"GET /containers/json?filters=nope", NULL, 400, "invalid filter", NULL},
		{"GET /containers/json?filters=%5B%5D", NULL, 400, "invalid filter", NULL},
		{"GET /containers/json?all=1&all=0", NULL, 400, "'all' given twice", NULL},
		{"GET /containers/web/json?size=1", NULL, 200, "{\"Ref\":\"web\"}\n", "inspect(web,1)"},
		{"GET /containers/nosuch/json", NULL, 404, "No such container: nosuch", NULL},
		{"HEAD /containers/web/archive?path=%2Fx", NULL, 200,
		 "X-Docker-Container-Path-Stat: eyJuYW1lIjoieCIsInNpemUiOjMsIm1vZGUiOjIxNDc0ODQxNDEsIm10aW1lIjoiMTk3MC0wMS0wMVQwMDowMDowMS41WiIsImxpbmtUYXJnZXQiOiIveSJ9\r\n", "archive_stat(web,/x)"},
		{"HEAD /containers/nosuch/archive?path=%2Fx", NULL, 404, "Content-Type: application/json\r\n", NULL},
		{"GET /containers/web/archive?path=%2Fx", NULL, 200, "Content-Type: application/x-tar\r\n", "archive_get(web,/x)"},
		{"GET /containers/web/archive?path=%2Fx", NULL, 200, "\r\n3\r\nTAR\r\n0\r\n\r\n", NULL},
		{"GET /containers/cut/archive?path=%2Fx", NULL, 200, "\r\n3\r\nTAR\r\n", NULL},
		{"GET /containers/nosuch/archive?path=%2Fx", NULL, 404, "{\"message\":", NULL},
		{"PUT /containers/web/archive?path=%2Fx&noOverwriteDirNonDir=true&copyUIDGID=1", "{}", 200, "Content-Length: 0", "archive_put(web,/x,3,{})"},
		{"PUT /containers/conflict/archive?path=%2Fx", "{}", 409, "{\"message\":", "archive_put(conflict,/x,0,{})"},
		{"GET /containers/web/export", NULL, 200, "Content-Type: application/octet-stream\r\n", "export(web)"},
		{"GET /containers/web/changes", NULL, 200, "null\n", "changes(web)"},
		{"POST /commit?container=web&repo=r&tag=t&author=a&comment=c&pause=0&changes=CMD+x&changes=ENV+y", NULL, 201, "{\"Id\":\"sha256:c0\"}\n", "commit(web,r:t,a,c,0,CMD x,-)"},
		{"POST /commit?container=web2", "{\"User\":\"alice\"}", 201, NULL, "commit(web2,-,-,-,1,-,alice)"},
		{"POST /commit", NULL, 400, "'container': missing", NULL},
		{"POST /containers/web/start", NULL, 204, NULL, "start(web)"},
		{"POST /containers/web/start", "{}", 204, NULL, "start(web)"},
		{"POST /containers/web/start", "{\"Binds\":[]}", 400, "non-empty request body", NULL},
		{"POST /containers/same/start", NULL, 304, "HTTP/1.1 304 Not Modified\r\n", NULL},
		{"POST /containers/conflict/start", NULL, 409, NULL, NULL},
		{"POST /containers/denied/start", NULL, 403, NULL, NULL},
		{"POST /containers/quota/start", NULL, 403, NULL, NULL},
		{"POST /containers/unsupported/start", NULL, 501, NULL, NULL},
		{"POST /containers/invalid/start", NULL, 400, NULL, NULL},
		{"POST /containers/corrupt/start", NULL, 400, NULL, NULL},
		{"POST /containers/system/start", NULL, 500, NULL, NULL},
		{"POST /containers/cmdmissing/start", NULL, 400, NULL, NULL},
		{"POST /containers/cmddenied/start", NULL, 400, NULL, NULL},
		{"POST /containers/web/stop?t=5&signal=SIGINT", NULL, 204, NULL, "stop(web,5,SIGINT)"},
		{"POST /containers/web/stop", NULL, 204, NULL, "stop(web,-1,-)"},
		{"POST /containers/web/stop?t=-1", NULL, 204, NULL, "stop(web,-2,-)"},
		{"POST /containers/web/stop?t=x", NULL, 400, "'t'", NULL},
		{"POST /containers/web/restart?t=0", NULL, 204, NULL, "restart(web,0)"},
		{"POST /containers/web/kill?signal=HUP", NULL, 204, NULL, "kill(web,HUP)"},
		{"POST /containers/web/resize?h=40&w=100", NULL, 200, "Content-Length: 0\r\n", "resize(web,40,100)"},
		{"POST /containers/web/resize?h=a&w=1", NULL, 400, "'h'", NULL},
		{"DELETE /containers/web?force=1&v=true", NULL, 204, NULL, "remove(web,1,1)"},
		{"POST /containers/web/pause", NULL, 204, NULL, "pause(web)"},
		{"POST /containers/web/unpause", NULL, 204, NULL, "unpause(web)"},
		{"POST /containers/web/rename?name=w2", NULL, 204, NULL, "rename(web,w2)"},
		{"POST /containers/web/rename", NULL, 204, NULL, "rename(web,-)"},
		{"GET /containers/web/top?ps_args=aux", NULL, 200, "{}", "top(web,aux)"},
		{"GET /containers/nosuch/top", NULL, 404, "nosuch", NULL},
		{"POST /containers/web/update", "{\"Memory\":8388608,\"PidsLimit\":-1,\"RestartPolicy\":{\"Name\":\"no\"}}", 200, "{\"Warnings\":[]}\n", "update(web,8388608,-1)"},
		{"POST /containers/web/update", "{\"Memory\":\"x\"}", 400, "Memory", NULL},
		{"POST /containers/web/update", NULL, 400, "object", NULL},
		{"GET /events?since=5&until=6.5&filters=%7B%22type%22%3A%5B%22image%22%5D%7D", NULL, 200, "8\r\n{\"n\":2}\n\r\n8\r\n{\"n\":1}\n\r\n0\r\n\r\n", "events(5000000000,6500000000,1)end"},
		{"GET /events?since=7&until=6", NULL, 400, "cannot be after", NULL},
		{"GET /events?filters=%5B%5D", NULL, 400, "invalid filter", NULL},
		{"GET /containers/web/posture", NULL, 200, "{\"Ref\":\"web\"}", NULL},
		{"POST /containers/web/exec", "{\"Cmd\":[\"ls\"],\"User\":\"5\",\"AttachStdout\":true,\"ConsoleSize\":[4,5],\"Detach\":true}", 201, "{\"Id\":\"" CID "\"}", "exec_create(web,ls,5,01000,4,5)"},
		{"POST /containers/web/exec", "{\"AttachStdout\":true}", 400, "No exec command specified", NULL},
		{"POST /containers/web/exec", "{\"Cmd\":[\"ls\"],\"cmd\":[\"rm\"]}", 400, "Cmd: given twice", NULL},
		{"POST /containers/web/exec", "{\"Cmd\":5}", 400, "Cmd: expected an array, got a whole number", NULL},
		{"POST /exec/e1/start", "{\"Detach\":true}", 200, "Content-Length: 0\r\n", "exec_detached(e1)"},
		{"POST /exec/nosuch/start", "{}", 404, "nosuch", NULL},
		{"GET /exec/e1/json", NULL, 200, "{\"Ref\":\"e1\"}", NULL},
		{"POST /exec/e1/resize?h=1&w=2", NULL, 200, NULL, "exec_resize(e1,1,2)"},
		{"GET /images/json", NULL, 200, "\"RepoTags\":[\"busybox:latest\"],\"RepoDigests\":[],\"Created\":1000000000,\"Size\":4242,\"SharedSize\":-1,\"Labels\":{\"k\":\"v\"},\"Containers\":-1},{", NULL},
		{"GET /v1.40/images/json", NULL, 200, "\"RepoTags\":[\"<none>:<none>\"]", NULL},
		{"GET /v1.40/images/json", NULL, 200, "\"VirtualSize\":4242", NULL},
		{"GET /images/json?filters=%7B%22dangling%22%3A%7B%22true%22%3Atrue%7D%7D", NULL, 200, "\r\n\r\n[{\"Id\":\"sha256:1234\",\"ParentId\":\"\",\"RepoTags\":[],", NULL},
		{"GET /images/json?filters=%7B%22reference%22%3A%5B%22nope*%22%5D%7D", NULL, 200, "\r\n\r\n[]\n", NULL},
		{"GET /images/json?filters=%7B%22reference%22%3A%5B%22busy*%22%5D%7D", NULL, 200, "[{\"Id\":\"sha256:1234\",\"ParentId\":\"\",\"RepoTags\":[\"busybox:latest\"]", NULL},
		{"GET /images/json?filters=%7B%22label%22%3A%5B%22k%3Dw%22%5D%7D", NULL, 200, "\r\n\r\n[]\n", NULL},
		{"GET /images/json?filters=%7B%22x%22%3A%5B%22k%22%5D%7D", NULL, 400, "invalid filter 'x'", NULL},
		{"GET /images/localhost:5000/a/b:1/json", NULL, 200, "\"RootFS\":{\"Type\":\"layers\",\"Layers\":[\"sha256:d1\",\"sha256:d2\"]}", "find(localhost:5000/a/b:1)"},
		{"GET /images/testcontainers%2Fryuk:0.3.3/json", NULL, 200, "\"Created\":\"2001-09-09T01:46:40Z\"", "find(testcontainers/ryuk:0.3.3)"},
		{"GET /v1.44/images/x/json", NULL, 200, "\"Container\":\"\",\"ContainerConfig\":{", NULL},
		{"GET /images/json/json", NULL, 200, "\"Cmd\":[\"sh\"]", "find(json)"},
		{"GET /images/nosuch/json", NULL, 404, "{\"message\":\"No such image: nosuch\"}\n", NULL},
		{"GET /images/a/b/history", NULL, 200, "[{\"Id\":\"sha256:1234\",\"Created\":0,\"CreatedBy\":\"CMD\",\"Tags\":[\"busybox:latest\"],\"Size\":0,\"Comment\":\"\"},{\"Id\":\"<missing>\",\"Created\":5,", NULL},
		{"POST /images/a/b/tag?repo=docker.io/library/x&tag=1", NULL, 201, NULL, "tag(a/b,docker.io/library/x,1)"},
		{"POST /images/a/tag", NULL, 400, "'repo'", NULL},
		{"DELETE /images/a/b:1?force=1", NULL, 200, "[]", "rmi(a/b:1,1)"},
		{"POST /images/create?fromImage=busybox&tag=1", NULL, 200, "{\"status\":\"Pulling from library/busybox\",\"id\":\"1\"}\r\n\r\n", "pull(busybox,1,-,-)"},
		{"POST /images/create?fromImage=busybox&tag=1", NULL, 200, "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":10},\"progress\":\"[=========================>                         ]       5B/10B\",\"id\":\"0123456789ab\"}\r\n", NULL},
		{"POST /images/create?fromImage=late", NULL, 200, "{\"errorDetail\":{\"message\":\"blob: wrong digest\"},\"error\":\"blob: wrong digest\"}\r\n\r\n0\r\n\r\n", NULL},
		{"POST /images/create?fromImage=nosuch", NULL, 404, "nosuch", NULL},
		{"POST /images/localhost:5/a/push?tag=1", NULL, 200, "{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\",\"Digest\":\"sha256:d\",\"Size\":5}}\r\n", "push(localhost:5/a,1)"},
		{"POST /images/nosuch/push", NULL, 404, "nosuch", NULL},
		{"POST /auth", "{\"username\":\"a\",\"password\":\"b\",\"serveraddress\":\"s\"}", 200, "{}", "login(a,s)"},
		{"POST /auth", NULL, 400, "object", NULL},
		{"GET /distribution/a/b/json", NULL, 200, "{\"Ref\":\"a/b\"}", "distribution(a/b)"},
		{"GET /distribution/a/b/manifests?each=1", NULL, 200, "{\"Ref\":\"a/b\"}", "manifests(a/b,1)"},
		{"GET /images/search?term=x&limit=7", NULL, 200, "{\"Ref\":\"x\"}", "search(x,7)"},
		{"GET /images/search?term=x&limit=-1", NULL, 400, "limit", ""},
		{"POST /images/create?fromSrc=http://x/y", NULL, 400, "fromSrc", NULL},
		{"POST /images/load", NULL, 400, "archive", NULL},
		{"GET /images/json?shared-size=1", NULL, 200, "\"SharedSize\":7", NULL},
		{"GET /images/get?names=a&names=b", NULL, 200, "application/x-tar\r\n", "save(2,a)"},
		{"GET /images/localhost:5/a/get", NULL, 200, "7\r\narchive\r\n0\r\n\r\n", "save(1,localhost:5/a)"},
		{"GET /images/nosuch/get", NULL, 404, "nosuch", NULL},
		{"GET /images/get", NULL, 400, "'names'", NULL},
		{"GET /volumes", NULL, 200, "{\"Volumes\":[],\"Warnings\":null}", NULL},
		{"GET /volumes?filters=%7B%22name%22%3A%5B%22k%22%5D%7D", NULL, 200, "Volumes", NULL},
		{"POST /volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D", NULL, 200, "{}", "prune(volumes,1)"},
		{"POST /v1.41/volumes/prune", NULL, 200, "{}", "prune(all volumes,0)"},
		{"POST /images/prune", NULL, 200, "{}", "prune(images,0)"},
		{"POST /containers/prune?filters=%7B%22label%22%3A%7B%22a%22%3Atrue%7D%7D", NULL, 200, "{}", "prune(containers,1)"},
		{"POST /containers/prune?filters=x", NULL, 400, "invalid filter", NULL},
		{"GET /system/df?type=volume&type=image", NULL, 200, "{\"LayersSize\":4242,\"Images\":[{", NULL},
		{"GET /system/df?type=volume&type=image", NULL, 200, "\"SharedSize\":42,\"Labels\":{\"k\":\"v\"},\"Containers\":2}", NULL},
		{"GET /system/df?type=volume", NULL, 200, "{\"LayersSize\":0,\"Images\":null,\"Containers\":null,\"Volumes\":[],\"BuildCache\":[]}\n", NULL},
		{"GET /system/df?type=x", NULL, 400, "unknown object type: x", NULL},
		{"POST /networks/prune", NULL, 200, "{\"NetworksDeleted\":null}\n", NULL},
		{"GET /networks", NULL, 200, "[]\n", NULL},
		{"POST /networks/create", "{\"Name\":\"n\",\"CheckDuplicate\":true}", 201, "{\"Id\":\"" CID "\",\"Warning\":\"\"}\n", NULL},
		{"POST /networks/create", "{\"Name\":\"taken\"}", 409, "network with name taken already exists", NULL},
		{"POST /networks/create", "{\"Name\":7}", 400, "Name", NULL},
		{"POST /networks/n/connect", "{\"Container\":\"c\",\"EndpointConfig\":{\"Aliases\":[\"db\"],\"IPAddress\":\"1.2.3.4\"}}", 200, "Content-Length: 0\r\n", NULL},
		{"POST /networks/n/connect", "{\"Container\":\"c\"}", 403, "called db on n", NULL},
		{"POST /networks/n/connect", "{\"EndpointConfig\":{}}", 400, "Container", NULL},
		{"POST /networks/n/disconnect", "{\"Container\":\"c\",\"Force\":true}", 200, "Content-Length: 0\r\n", NULL},
		{"POST /networks/n/disconnect", "{\"Container\":\"c\"}", 403, "not connected", NULL},
		{"DELETE /networks/n", NULL, 204, NULL, NULL},
		{"POST /build/prune", NULL, 200, "{\"CachesDeleted\":null,\"SpaceReclaimed\":0}\n", NULL},
		{"POST /volumes/create", "{\"Name\":\"v1\",\"Driver\":\"local\",\"DriverOpts\":{},\"Labels\":{\"a\":\"b\"}}", 201, "{\"Ref\":\"v1\"}", "volume_create(v1,1)"},
		{"POST /volumes/create", "{\"DriverOpts\":{\"device\":\"/etc\"}}", 400, "DriverOpts: 'device'", NULL},
		{"POST /volumes/create", "{\"Driver\":\"nfs\"}", 400, "Driver: 'nfs'", NULL},
		{"GET /volumes/v1", NULL, 200, "{\"Ref\":\"v1\"}", NULL},
		{"DELETE /volumes/v1?force=1", NULL, 204, NULL, "volume_remove(v1,1)"},
		/* refusals of the router itself */
		{"GET /nosuch", NULL, 404, "{\"message\":\"page not found\"}\n", NULL},
		{"PATCH /containers/json", NULL, 404, "page not found", NULL},
		{"GET /containers/a/b/json", NULL, 404, "page not found", NULL},
		{"GET /containers/a%2Fb/json", NULL, 404, "page not found", NULL},
		{"GET /v1.51/_ping", NULL, 400, "client version 1.51 is too new. Maximum supported API version is 1.50", NULL},
		{"GET /v2.0/_ping", NULL, 400, "client version 2.0 is too new", NULL},
		{"GET /v1.23/_ping", NULL, 400, "Content-Type: text/plain", NULL},
		{"GET /v1.23/_ping", NULL, 400, "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version", NULL},
		{"GET /v1/_ping", NULL, 404, "page not found", NULL},
		{"GET /v1.50", NULL, 404, "page not found", NULL},
		{"GET /vx/_ping", NULL, 404, "page not found", NULL},
		{"POST /build?t=x", NULL, 501, "POST /build", NULL},
		{"GET /swarm", NULL, 503, "not a swarm manager", NULL},
		{"GET /networks/br0", NULL, 404, "network br0 not found", NULL},
		{"GET /plugins/x/json", NULL, 404, "plugin \\\"x\\\" not found", NULL},
		{"POST /session", NULL, 404, "page not found", NULL},
		{"POST /containers/web/wait?condition=soon", NULL, 400, "invalid condition", NULL},
		{"GET /containers/web/logs", NULL, 400, "you must choose at least one stream", NULL},
		{"GET /containers/web/logs?stdout=1&since=bogus", NULL, 400, "'since'", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(*state, rows[i].line, rows[i].body, rows[i].status, rows[i].answer, rows[i].call);
	/* a name in a tenant's path never reaches the engine when a rule before it says no */
	assert_false(noted("start()"));
}

static void test_headers(void **state)
{
	_cleanup_free_ char *got = request(*state, "GET /containers/web/json", NULL), *missing = request(*state, "GET /containers/nosuch/json", NULL),
			    *ping = request(*state, "HEAD /_ping", NULL), *same = request(*state, "POST /containers/same/start", NULL);
	assert_string_equal(got, "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Coffer/0.1.0 (linux)\r\n"
				 "Content-Type: application/json\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"Ref\":\"web\"}\n");
	assert_non_null(strstr(missing, "\r\nContent-Type: application/json\r\n")); /* exactly: Go compares the string */
	assert_non_null(strstr(ping, "\r\nApi-Version: 1.50\r\n"));
	assert_string_equal(ping + strlen(ping) - 4, "\r\n\r\n");
	assert_string_equal(same + strlen(same) - 4, "\r\n\r\n");
	assert_null(strstr(same, "Content-"));
}

static void test_content_type(void **state)
{
	static const char text[] = "POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
	_cleanup_free_ char *got = talk(*state, text, sizeof(text) - 1);
	assert_non_null(strstr(got, "400 Bad Request"));
	assert_non_null(strstr(got, "unsupported Content-Type header (text/plain): must be 'application/json'"));
	static const char charset[] = "POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
	_cleanup_free_ char *ok = talk(*state, charset, sizeof(charset) - 1);
	assert_non_null(strstr(ok, "201 Created"));
}

/* Length 0 with data behind it: the data is the next request, not a body (CVE-2024-41110). */
static void test_smuggling(void **state)
{
	static const char text[] = "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n{\"Image\":\"evil\"}";
	_cleanup_free_ char *got = talk(*state, text, sizeof(text) - 1);
	assert_non_null(strstr(got, "400 Bad Request"));
	assert_false(noted("create("));
	static const char both[] = "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}";
	_cleanup_free_ char *two = talk(*state, both, sizeof(both) - 1);
	assert_non_null(str_after(two, "HTTP/1.1 400 "));
	assert_non_null(strstr(two, "{\"message\":\"Content-Length given twice, or beside Transfer-Encoding\"}\n"));
	assert_false(noted("create("));
	struct strbuf b = STRBUF_INIT(8 << 20);
	strbuf_adds(&b, "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 5242880\r\n\r\n{\"pad\":\"");
	for (size_t i = 0; i < 5242880 - 8; i++)
		strbuf_addc(&b, 'x');
	_cleanup_free_ char *big = talk(*state, b.s, b.len);
	strbuf_done(&b);
	assert_non_null(strstr(big, "400 Bad Request"));
	assert_non_null(strstr(big, "more than 4194304 bytes"));
	assert_false(noted("create("));
}

static void read_until(int fd, const char *want)
{
	char buf[4096] = "";
	size_t n = 0, len = strlen(want);
	while (n < len) {
		ssize_t got = read(fd, buf + n, len - n);
		assert_true(got > 0);
		n += (size_t) got;
	}
	assert_string_equal(buf, want);
}

#define COMMON "Api-Version: 1.50\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Coffer/0.1.0 (linux)\r\n"

static void test_keep_alive(void **state)
{
	_cleanup_close_ int fd = connect_rig(*state);
	static const char text[] = "POST /containers/web/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n";
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write_all(fd, text, sizeof(text) - 1), 0);
		read_until(fd, "HTTP/1.1 204 No Content\r\n" COMMON "\r\n");
	}
}

/* The head is there before anything has exited; the code follows. */
static void test_wait(void **state)
{
	_cleanup_close_ int fd = connect_rig(*state);
	static const char text[] = "POST /v1.50/containers/web/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
	assert_int_equal(pipe(wait_pipe), 0);
	assert_int_equal(write_all(fd, text, sizeof(text) - 1), 0);
	read_until(fd, "HTTP/1.1 200 OK\r\n" COMMON "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_true(noted("wait(web,1)"));
	assert_int_equal(write(wait_pipe[1], "\x89", 1), 1);
	read_until(fd, "13\r\n{\"StatusCode\":137}\n\r\n0\r\n\r\n");
	/* the connection lives on */
	assert_int_equal(write_all(fd, text, sizeof(text) - 1), 0);
	read_until(fd, "HTTP/1.1 200 OK\r\n" COMMON "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
	/* and a hang-up ends the wait, which the teardown would otherwise never survive */
	fd = safe_close(fd);
	for (int i = 0; i < 1000 && !noted("cancelled"); i++)
		(void) usleep(1000);
	assert_true(noted("cancelled"));
	safe_close(wait_pipe[0]);
	safe_close(wait_pipe[1]);
}

static void test_attach(void **state)
{
	static const struct {
		const char *request, *answer, *call1, *call2;
	} rows[] = {
		{"POST /v1.50/containers/web/attach?stderr=1&stdin=1&stdout=1&stream=1&detachKeys=ctrl-a HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
		 "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly",
		 "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nstream!",
		 "attach_check(web,11110,ctrl-a)", "attach(aaaa,early)"},
		{"POST /containers/tty/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		 "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nstream!", "attach_check(tty,10100,-)", "attach(aaaa,)"},
		{"POST /v1.41/containers/web/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		 "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nstream!", "attach_check(web,10100,-)", "attach(aaaa,)"},
		{"POST /containers/web/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nstream!", "attach_check(web,10100,-)", "attach(aaaa,)"},
		{"POST /containers/nosuch/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
		 "HTTP/1.1 404 Not Found\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nNo such container: nosuch <&>\r\n", "attach_check(nosuch,10000,-)", NULL},
		{"POST /exec/e1/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 28\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
		 "{\"Detach\":false,\"Tty\":false}in",
		 "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" COMMON "\r\nstream!", "exec_start(e1,in)", NULL},
		{"POST /exec/tty/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 57\r\n\r\n{\"hijack\":true,\"stdin\":true,\"Tty\":true,\"ConsoleSize\":[3,4]}",
		 "HTTP/1.1 400 ", NULL, NULL},
		{"POST /exec/tty/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{\"hijack\":true,\"stdin\":true,\"Tty\":true,\"ConsoleSize\":[3,4] }",
		 "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n" COMMON "\r\nstream!", "exec_start(tty,)", "exec_resize(tty,3,4)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		clear_notes();
		_cleanup_free_ char *got = talk(*state, rows[i].request, strlen(rows[i].request));
		if (i == 6 ? !str_after(got, rows[i].answer) : !str_eq(got, rows[i].answer))
			fail_msg("%zu: expected\n%s\ngot\n%s", i, rows[i].answer, got);
		for (int k = 0; k < 1000 && ((rows[i].call1 && !noted(rows[i].call1)) || (rows[i].call2 && !noted(rows[i].call2))); k++)
			(void) usleep(1000);
		if ((rows[i].call1 && !noted(rows[i].call1)) || (rows[i].call2 && !noted(rows[i].call2)))
			fail_msg("%zu: calls were %s", i, calls);
	}
}

static char *body_of(struct rig *g, const char *line)
{
	struct strbuf b = STRBUF_INIT(4096);
	strbuf_addf(&b, "%s HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", line);
	_cleanup_close_ int fd = connect_rig(g);
	assert_int_equal(write_all(fd, b.s, b.len), 0);
	strbuf_reset(&b);
	char buf[4096];
	for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
		for (ssize_t i = 0; i < n; i++)
			strbuf_addc(&b, buf[i] ? buf[i] : '@'); /* NULs made visible */
	return strbuf_steal(&b);
}

static void test_logs(void **state)
{
	_cleanup_free_ char *muxed = body_of(*state, "GET /containers/web/logs?stdout=1&stderr=1&tail=10&since=5&until=0"),
			    *tty = body_of(*state, "GET /containers/tty/logs?stdout=1&timestamps=1&tail=all&details=1"),
			    *follow = body_of(*state, "GET /v1.41/containers/web/logs?stdout=1&follow=1&tail=x");
	assert_non_null(strstr(muxed, "Content-Type: application/vnd.docker.multiplexed-stream\r\nTransfer-Encoding: chunked\r\n"));
	assert_non_null(strstr(muxed, "\r\n\r\n17\r\n\x01@@@@@@\x04out\n\x02@@@@@@\x03" "err\r\n0\r\n\r\n"));
	assert_true(noted("logs(011,5000000000,0,10)"));
	assert_non_null(strstr(tty, "Content-Type: application/vnd.docker.raw-stream\r\n"));
	assert_non_null(strstr(tty, "2001-09-09T01:46:40.000000000Z  out\n2001-09-09T01:46:40.500000000Z  err"));
	assert_true(noted("logs(010,0,0,-1)"));
	assert_non_null(strstr(follow, "raw-stream"));
	assert_non_null(strstr(follow, "\r\n\r\nc\r\n\x01@@@@@@\x04out\n\r\nb\r\n\x02@@@@@@\x03" "err\r\n0\r\n\r\n"));
	assert_true(noted("logs(110,0,0,-1)"));
}

static char *load(struct rig *g, const char *query, const char *start, size_t size, bool chunked)
{
	struct strbuf b = STRBUF_INIT(8 << 20);
	strbuf_addf(&b, "POST /images/load?%s HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/x-tar\r\n", query);
	if (chunked)
		strbuf_addf(&b, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", size);
	else
		strbuf_addf(&b, "Content-Length: %zu\r\n\r\n", size);
	strbuf_adds(&b, start);
	for (size_t i = 4; i < size; i++)
		strbuf_addc(&b, (char) i);
	if (chunked)
		strbuf_adds(&b, "\r\n0\r\n\r\n");
	char *got = talk(g, b.s, b.len);
	strbuf_done(&b);
	return got;
}

static void test_load(void **state)
{
	static const size_t size = 3000000;
	for (int chunked = 0; chunked < 2; chunked++) {
		clear_notes();
		_cleanup_free_ char *got = load(*state, "quiet=0", "good", size, chunked), *quiet = load(*state, "quiet=1", "good", size, chunked),
				    *bad = load(*state, "quiet=1", "bad!", size, chunked), *late = load(*state, "quiet=0", "late", size, chunked);
		assert_non_null(strstr(got, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"));
		assert_non_null(strstr(got, "{\"status\":\"Loading layer\",\"progressDetail\":{\"current\":1,\"total\":2},\"progress\":\"[=========================>"));
		assert_non_null(strstr(got, "{\"stream\":\"Loaded image: busybox:latest\\n\"}\r\n"));
		assert_non_null(strstr(got, "{\"stream\":\"Loaded image ID: sha256:77\\n\"}\r\n"));
		assert_non_null(strstr(got, "\r\n0\r\n\r\n"));
		assert_true(noted("archive(docker-archive)load(3000000)archive(docker-archive)load(3000000)archive(docker-archive)archive(docker-archive)"));
		assert_null(strstr(quiet, "Loading layer"));
		assert_non_null(strstr(quiet, "Loaded image: busybox"));
		assert_non_null(str_after(bad, "HTTP/1.1 400 Bad Request\r\n"));
		assert_non_null(strstr(bad, "{\"message\":\"manifest.json: missing\"}\n"));
		assert_non_null(str_after(late, "HTTP/1.1 200 OK\r\n"));
		assert_non_null(strstr(late, "{\"errorDetail\":{\"message\":\"layer 2: wrong digest\"},\"error\":\"layer 2: wrong digest\"}\r\n"));
		assert_non_null(strstr(late, "\r\n0\r\n\r\n"));
	}
}

static void test_import(void **state)
{
	static const char text[] = "POST /images/create?fromSrc=-&repo=x&tag=1&message=m&changes=CMD+sh&changes=ENV+A%3Db HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n3\r\ntar\r\n0\r\n\r\n";
	_cleanup_free_ char *got = talk(*state, text, sizeof(text) - 1);
	assert_non_null(strstr(got, "{\"status\":\"sha256:99\"}\r\n"));
	assert_true(noted("archive(tarball)import(tar,x:1,m,2,CMD sh)"));
}

/* ---- the listener: the same routes, peer credentials, the settled hijack, and a clean stop ---- */
struct listener {
	int fd, stop[2], result;
	pthread_t thread;
};

static void *listen_main(void *arg)
{
	struct listener *l = arg;
	l->result = api_serve_listeners(NULL, &l->fd, 1, l->stop[0]);
	return NULL;
}

static void test_listener(void **state)
{
	struct listener l;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/coffer-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	(void) str_format(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	l.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l.fd, (struct sockaddr *) &addr, sizeof(addr)), 0);
	assert_int_equal(listen(l.fd, 10), 0);
	assert_int_equal(pipe(l.stop), 0);
	assert_int_equal(pthread_create(&l.thread, NULL, listen_main, &l), 0);

	int fds[3];
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *) &addr, sizeof(addr)), 0);
	}
	static const char start[] = "POST /containers/web/start HTTP/1.1\r\nHost: d\r\n\r\n";
	assert_int_equal(write_all(fds[0], start, sizeof(start) - 1), 0);
	read_until(fds[0], "HTTP/1.1 204 No Content\r\n" COMMON "\r\n");

	/* the stream does not follow its head before the head has been read, but does follow at last when nobody reads */
	static const char attach[] = "POST /containers/web/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
	static const char head[] = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
	assert_int_equal(write_all(fds[1], attach, sizeof(attach) - 1), 0);
	struct pollfd p = {.fd = fds[1], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	(void) usleep(20000);
	char buf[1024] = "";
	assert_int_equal(recv(fds[1], buf, sizeof(buf), 0), sizeof(head) - 1);
	read_until(fds[1], "stream!");

	/* a busy one (waiting) and idle ones: stopping ends them all */
	static const char wait[] = "POST /containers/web/wait HTTP/1.1\r\nHost: d\r\n\r\n";
	assert_int_equal(pipe(wait_pipe), 0);
	assert_int_equal(write_all(fds[2], wait, sizeof(wait) - 1), 0);
	assert_true(read(fds[2], buf, sizeof(buf)) > 0);
	assert_int_equal(write(l.stop[1], "x", 1), 1);
	assert_int_equal(pthread_join(l.thread, NULL), 0);
	assert_int_equal(l.result, 0);
	assert_true(noted("cancelled"));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		safe_close(fds[i]);
	(void) unlink(addr.sun_path);
	(void) rmdir(dir);
	int rest[] = {l.fd, l.stop[0], l.stop[1], wait_pipe[0], wait_pipe[1]};
	for (size_t i = 0; i < ARRAY_LEN(rest); i++)
		safe_close(rest[i]);
}

/* Abrupt goodbyes leave nothing: the teardown waits for every thread (CVE-2022-1708 and its kin). */
static void test_abrupt(void **state)
{
	static const char *const texts[] = {
		"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"GET /containers/web/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n",
		"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\ngood",
		"POST /containers/web/attach?stream=1 HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
		"GET /con",
		"",
	};
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
			int fd = connect_rig(*state);
			assert_int_equal(write_all(fd, texts[i], strlen(texts[i])), 0);
			safe_close(fd);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, setup, teardown),      cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_content_type, setup, teardown), cmocka_unit_test_setup_teardown(test_smuggling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown), cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),     cmocka_unit_test_setup_teardown(test_logs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),       cmocka_unit_test_setup_teardown(test_import, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abrupt, setup, teardown),     cmocka_unit_test(test_listener),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
