/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as the api room sees it: plain structs in and out (DESIGN section 12). Every call takes the caller; objects of
 * another tenant do not exist. Calls are thread-safe and block; long ones (wait) run on their connection's thread.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "apimodel/container.h"
#include "base/err.h"
#include "codec/json.h"
#include "image/image.h"

struct engine;
struct network_words; /* network/network.h */

struct caller {
	const char *tenant; /* "local" */
	uid_t uid;          /* peer credentials; 0 for the embedded engine */
	gid_t gid;
	pid_t pid;
};

/* What of the host a container may be given when it is asked for: the operator's word, daemon.json's "allow-host-NAME" or COFFER_ALLOW_HOST=NAME,... */
enum engine_allow { ALLOW_USERNS, ALLOW_NETWORK, ALLOW_PID, ALLOW_IPC, ALLOW_UTS, ALLOW_CGROUPNS, ALLOW_OOM_SCORE, ALLOW_MAX_ };
extern const char *const engine_allow_names[ALLOW_MAX_]; /* "userns", ... */

struct engine_config {
	const char *state_dir;   /* /var/lib/coffer */
	const char *run_dir;     /* /run/coffer */
	const char *libexec_dir; /* where coffer-monitor, coffer-unpack, coffer-init are */
	const char *self_path;   /* absolute path of coffer, for the monitor's reaper */
	const char *userns_remap; /* phase 1 for every container: "" or NULL off, "user[:group]" or "uid[:gid]" */
	bool allow[ALLOW_MAX_];
	const char *log_driver;       /* NULL: json-file */
	const struct json *log_opts;  /* borrowed for engine_open(); {"max-size": "10m"}; NULL: none */
	const struct json *runtimes; /* borrowed for engine_open(); {"NAME": {"path": "/..."}} of other runtimes that --runtime may name; NULL: the known ones alone */
	const char *selinux_process_type, *selinux_file_type; /* NULL: container_t and container_file_t */
	char *const *insecure_registries; /* "host[:port]", "net/bits" */
	char *const *registry_mirrors;    /* base addresses, of docker.io */
	const char *http_proxy, *https_proxy, *no_proxy; /* for registries; NULL: none */
	const char *signature_policy; /* which images may come in; NULL: /etc/containers/policy.json, if there is one */
	const struct network_words *networks; /* borrowed for engine_open(); NULL: nothing is said of them */
};
/** engine_network_words_check() - whether networks could be so. Return: 0; ERR_INVALID "KEY: ...". */
int engine_network_words_check(const struct network_words *w, struct err *err);
/** engine_log_defaults_check() - whether containers could be given this log driver and its options. */
int engine_log_defaults_check(const char *driver, const struct json *opts, struct err *err);
/** engine_open() - open or create the state (0700), migrate the database, reap what died while nobody looked. */
int engine_open(const struct engine_config *cfg, struct engine **ret, struct err *err);
/** engine_settle() - wait for what is under way (reaping): after it nothing that a command did is still to be seen. engine_close() implies it. */
void engine_settle(struct engine *e);
/** engine_expect_start() - a start is about to be asked for: spawn a monitor for it beside what comes before. Blocks for the spawn. */
void engine_expect_start(struct engine *e);
/** engine_tidy() - delete what removals put aside (trash.c). When nobody waits; engine_close() does it, too. */
void engine_tidy(struct engine *e);
/** engine_tidier() - engine_tidy() whenever something was put aside, by this process or another one on the same state, until @stop_fd is readable. For a
 *  thread of a daemon. */
void engine_tidier(struct engine *e, int stop_fd);
/** engine_close() - release everything; may take some milliseconds for the database's log. Takes NULL. Return: NULL. */
struct engine *engine_close(struct engine *e);
/** engine_archive_check() - does the signature policy let an archive of @kind ("docker-archive", "oci-archive", "tarball") in? ERR_DENIED. */
int engine_archive_check(struct engine *e, const char *kind, struct err *err);
/** engine_images() - the image store, for the image routes. */
struct image_store *engine_images(struct engine *e);

/* Containers. @ref: name, id or unique id prefix everywhere; ERR_NOT_FOUND "No such container: X". */
struct create_result {
	char id[65];
	char **warnings; /* owned */
};
/** engine_platform_check() - whether a container could run as "os/arch[/variant]" here. */
int engine_platform_check(const char *platform, struct err *err);
/** engine_create() - reserve name, id range and row. Consumes nothing of @req. @name: NULL = generated. */
int engine_create(struct engine *e, const struct caller *c, const char *name, const struct container_request *req, struct create_result *ret,
		  struct err *err);
/** engine_start() - ERR_NOT_MODIFIED when running; ERR_CMD_NOT_FOUND / ERR_CMD_DENIED when the command cannot be executed. */
int engine_start(struct engine *e, const struct caller *c, const char *ref, struct err *err);
/** engine_stop() - stop signal, then SIGKILL after @timeout_s (-1: the container's own, then 10; -2: forever). ERR_NOT_MODIFIED when stopped.
 *  @signal: NULL = the container's. */
int engine_stop(struct engine *e, const struct caller *c, const char *ref, int timeout_s, const char *signal, struct err *err);
int engine_kill(struct engine *e, const struct caller *c, const char *ref, const char *signal, struct err *err);
int engine_restart(struct engine *e, const struct caller *c, const char *ref, int timeout_s, const char *signal, struct err *err);
/** engine_pause() / engine_unpause() - the freezer. ERR_CONFLICT when it does not run, or is so already. */
int engine_pause(struct engine *e, const struct caller *c, const char *ref, struct err *err);
int engine_unpause(struct engine *e, const struct caller *c, const char *ref, struct err *err);
/** engine_rename() - ERR_CONFLICT when @name is taken. The rest of the container is as it was, its host name too. */
int engine_rename(struct engine *e, const struct caller *c, const char *ref, const char *name, struct err *err);
/** engine_update() - new limits from the HostConfig part of @limits: what is 0 or unset there stays. In force at once when it runs. *@warnings: owned strv, appended to. */
int engine_update(struct engine *e, const struct caller *c, const char *ref, const struct container_request *limits, char ***warnings, struct err *err);
/** engine_top() - {"Titles","Processes"}. @ps_args: "-ef" (NULL), "aux", "-o pid,cmd": the table is ours, no ps is run. */
int engine_top(struct engine *e, const struct caller *c, const char *ref, const char *ps_args, struct json_writer *w, struct err *err);
/** engine_container_prune() - remove what does not run. @filters: until, label, label!. Writes {"ContainersDeleted","SpaceReclaimed"}. */
int engine_container_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err);
int engine_remove(struct engine *e, const struct caller *c, const char *ref, bool force, bool volumes, struct err *err);
int engine_resize(struct engine *e, const struct caller *c, const char *ref, unsigned rows, unsigned cols, struct err *err);

enum wait_condition { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
struct wait;
/** engine_wait_begin() - register before the answer's headers are flushed, so that no exit is missed (api.md fact 5). */
int engine_wait_begin(struct engine *e, const struct caller *c, const char *ref, enum wait_condition cond, struct wait **ret, struct err *err);
/** engine_wait_end() - block until it happens or @cancel_fd is readable or hangs up (-ECANCELED). Frees @w. *@ret_code: exit code. */
int engine_wait_end(struct engine *e, struct wait *w, int cancel_fd, int *ret_code, struct err *err);

struct attach_request {
	bool stream, stdin, stdout, stderr, logs;
	const char *detach_keys; /* "ctrl-p,ctrl-q"; NULL: default */
};
/** engine_attach_check() - may this attach go ahead? *@ret_tty tells the content type to answer with. Before the container's start it is
 *  a promise, too: a start that comes now waits for the stream, so that no output is lost between the answer and engine_attach().
 *  The caller must go on to engine_attach() or engine_attach_cancel(). */
int engine_attach_check(struct engine *e, const struct caller *c, const char *ref, const struct attach_request *a, bool *ret_tty, char ret_id[65],
			struct err *err);
/** engine_attach() - hand a hijacked stream over (head already answered, @early: bytes read behind it). In state created it is
 *  kept until start. @fd: owned by the engine in every case. */
int engine_attach(struct engine *e, const struct caller *c, const char *id, const struct attach_request *a, int fd_consume, const void *early, size_t early_len,
		  struct err *err);

/** engine_attach_cancel() - the promise of engine_attach_check() is not kept: the client went away. */
void engine_attach_cancel(struct engine *e, const char *id);

struct logs_request {
	bool follow, stdout, stderr, timestamps, details;
	bool restarts; /* a follow goes on over restarts of a policy; docker's ends with the run */
	int64_t since_ns, until_ns; /* 0: none */
	int64_t tail;               /* -1: all */
};
struct logs_record {
	int stream;       /* 1 stdout, 2 stderr */
	const char *text; /* with or without its newline, as logged */
	size_t len;
	int64_t time_ns;
	const char *attrs; /* "k=v,k2=v2", escaped as in a URL; "": none */
};
struct logs_sink {
	/** one whole record. Return < 0 to stop. */
	int (*fn)(void *ctx, const struct logs_record *r);
	void *ctx;
	int cancel_fd; /* hang-up ends a follow */
};
/** engine_logs() - ERR_UNSUPPORTED with log driver none. *@ret_tty: set before the first record. */
int engine_logs(struct engine *e, const struct caller *c, const char *ref, const struct logs_request *r, const struct logs_sink *sink, struct err *err);
int engine_logs_check(struct engine *e, const struct caller *c, const char *ref, bool *ret_tty, struct err *err);

struct exec_request {
	char **cmd, **env;   /* owned */
	char *user, *working_dir, *detach_keys; /* owned; NULL: the container's */
	bool attach_stdin, attach_stdout, attach_stderr, tty, privileged;
	unsigned rows, cols;
};
void exec_request_done(struct exec_request *r);
int engine_exec_create(struct engine *e, const struct caller *c, const char *ref, const struct exec_request *r, char ret_id[65], struct err *err);
int engine_exec_check(struct engine *e, const struct caller *c, const char *exec_id, bool *ret_tty, struct err *err);
/** engine_exec_start() - @fd: hijacked stream or -EBADF when detached; owned by the engine. */
int engine_exec_start(struct engine *e, const struct caller *c, const char *exec_id, int fd_consume, const void *early, size_t early_len, struct err *err);
int engine_exec_resize(struct engine *e, const struct caller *c, const char *exec_id, unsigned rows, unsigned cols, struct err *err);
/** engine_exec_inspect() - writes the answer of GET /exec/ID/json. */
int engine_exec_inspect(struct engine *e, const struct caller *c, const char *exec_id, struct json_writer *w, struct err *err);

/* Answers are written as Engine API JSON, since inspect is what the record is. */
int engine_container_inspect(struct engine *e, const struct caller *c, const char *ref, bool size, struct json_writer *w, struct err *err);

struct list_request {
	bool all, size;
	int64_t limit;             /* -1: none; implies all */
	const struct json *filters; /* map or list form, NULL: none; unknown keys are ERR_INVALID "invalid filter 'x'" */
};
int engine_container_list(struct engine *e, const struct caller *c, const struct list_request *r, struct json_writer *w, struct err *err);

/* GET /containers/ID/stats. */
struct stats_reader;
/** engine_stats_begin() - of a container that runs or not. Release with engine_stats_end(). */
int engine_stats_begin(struct engine *e, const struct caller *c, const char *ref, struct stats_reader **ret, struct err *err);
/** engine_stats_next() - wait @wait_ms, take a sample, and write it with the one before it (zeros at first). @w: NULL takes it only. Return: 1; 0 the container does
 *  not run: docker's zeros; -ECANCELED when @cancel_fd is readable or hangs up; ERR_NOT_FOUND when it is gone. */
int engine_stats_next(struct engine *e, struct stats_reader *rd, int wait_ms, int cancel_fd, struct json_writer *w, struct err *err);
void engine_stats_end(struct stats_reader *rd);

/** engine_posture() - what confines a running container, read back from the kernel (P9), as JSON; see docs/posture.md. */
int engine_posture(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err);

/* Files of a container, whether it runs or not; read and written by a confined helper alone (docs/files.md). */
struct path_status {
	const char *name, *target; /* borrowed; last part of the path; of a link where it leads to, "" else */
	uint64_t size;
	uint32_t mode; /* Go's FileMode */
	int64_t mtime_ns;
};
struct archive_sink {
	/** before the first byte of an archive; @s NULL: of an export. */
	int (*status)(void *ctx, const struct path_status *s);
	int (*data)(void *ctx, const void *p, size_t n);
	void *ctx;
	int cancel_fd; /* hang-up ends it: -ECANCELED */
};
/** engine_archive_stat() - what lies at @path. ERR_NOT_FOUND in docker's words. Only @sink->status is called. */
int engine_archive_stat(struct engine *e, const struct caller *c, const char *ref, const char *path, const struct archive_sink *sink, struct err *err);
/** engine_archive_get() - the object at @path as a tar. */
int engine_archive_get(struct engine *e, const struct caller *c, const char *ref, const char *path, const struct archive_sink *sink, struct err *err);
enum archive_put_flags {
	ARCHIVE_NO_OVERWRITE = 1 << 0, /* no directory for a non-directory, nor the other way round */
	ARCHIVE_AS_USER = 1 << 1,      /* everything belongs to Config.User */
};
/** engine_archive_put() - a tar (plain, gzip, zstd) from @fd into the directory at @path. @cancel_fd: as above. */
int engine_archive_put(struct engine *e, const struct caller *c, const char *ref, const char *path, unsigned flags, int fd, int cancel_fd, struct err *err);
/** engine_export() - the root file system as a tar, without what is mounted in it. */
int engine_export(struct engine *e, const struct caller *c, const char *ref, const struct archive_sink *sink, struct err *err);
/** engine_changes() - [{"Path","Kind"}], or null. */
int engine_changes(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err);

struct commit_request {
	const char *ref, *author, *comment;       /* borrowed; NULL: none; @ref: "name[:tag]" */
	char *const *changes;                     /* borrowed; Dockerfile-like lines */
	const struct container_request *config;   /* borrowed; Config of the new image where it says something; NULL: the container's alone */
	bool pause;                               /* freeze a running container meanwhile */
};
/** engine_commit() - an image of @ref's image and what the container changed. *@ret_id: owned "sha256:...". */
int engine_commit(struct engine *e, const struct caller *c, const char *ref, const struct commit_request *r, char **ret_id, struct err *err);

/** engine_reap() - after an exit nobody waited for: record it, remove the cgroups and the bundle, --rm. Idempotent. */
int engine_reap(struct engine *e, const char *id, struct err *err);

/* Restart policies. */
/** engine_restarter() - carry them out until @stop_fd is readable: first what the policies want up after a boot, then ends as they come. For a thread of a
 *  daemon. */
void engine_restarter(struct engine *e, int stop_fd);
/** engine_restore() - what a daemon does at its start, for a host without one: starts what the policies want up. Writes {"Restarted":[ids]}. */
int engine_restore(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err);
/** engine_down() - for a machine that goes down: stop whatever runs, each with its own signal and time (@timeout_s as for engine_stop()); its policy is
 *  carried out at the next boot, and until then nothing is started. engine_restore() and a daemon's start take that back. Writes {"Stopped":[ids]}. One that
 *  cannot be stopped is an error once all others are. */
int engine_down(struct engine *e, const struct caller *c, int timeout_s, struct json_writer *w, struct err *err);
/** engine_restart_wait() - `coffer restart-wait ID`: sleep until @id is due. The caller's process goes on as a child of itself, and has no other thread.
 *  Return: 1 it is due: open an engine and call engine_restart_due(); 0 there is nothing to do; -errno. */
int engine_restart_wait(const char *run_dir, const char *id);
/** engine_restart_due() - start @id if it is due. */
int engine_restart_due(struct engine *e, const char *id, struct err *err);

/* Images, with the container table consulted. */
int engine_image_remove(struct engine *e, const struct caller *c, const char *ref, bool force, struct json_writer *w, struct err *err);

struct check_request {
	bool repair;
	const atomic_bool *cancel;             /* borrowed; true: give up */
	const struct image_progress *progress;
};
/** engine_check() - prove blobs, layers, rows and containers' directories (image/check.h); for the local tenant alone. Writes one object. */
int engine_check(struct engine *e, const struct caller *c, const struct check_request *req, struct json_writer *w, struct err *err);
/** engine_image_prune() - images without a name (filter dangling=false: all) that no container uses. Writes {"ImagesDeleted","SpaceReclaimed"}. */
int engine_image_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err);

/* Volumes. */
/** engine_volume_list() - @filters: dangling, driver, label, name. */
int engine_volume_list(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err);
/** engine_volume_prune() - anonymous volumes (@all: every one) that no container uses. @filters: label, label!, all. Writes {"VolumesDeleted","SpaceReclaimed"}. */
int engine_volume_prune(struct engine *e, const struct caller *c, const struct json *filters, bool all, struct json_writer *w, struct err *err);
/** engine_volume_usage() - every volume with its UsageData, as an array. */
int engine_volume_usage(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err);
/* Registries. */
struct registry_auth;
struct pull_request {
	const char *name, *tag;   /* as docker's query parameters: the name may hold a tag or digest; @tag "" or NULL with a bare name: every tag */
	const char *platform;     /* "os/arch[/variant]", NULL or "": the host's */
	const struct registry_auth *auth;
	atomic_bool *cancel; /* borrowed; true: give up (what came is kept for the next attempt); set as well when a part has failed */
	const struct image_progress *progress; /* docker's words; called from several threads, one at a time */
};
/** engine_pull() - ERR_NOT_FOUND "manifest for X not found: ...", ERR_UNAUTHORIZED, ERR_DENIED by policy.json, -ECANCELED. */
int engine_pull(struct engine *e, const struct caller *c, const struct pull_request *req, struct err *err);

struct push_request {
	const char *name, *tag;   /* @tag "" or NULL with a bare name: every tag of the repository */
	const char *platform;     /* docker's JSON {"os","architecture","variant"}; the image must be of it; NULL: whatever it is of */
	const struct registry_auth *auth;
	atomic_bool *cancel;      /* borrowed; true ends it; set when it fails */
	const struct image_progress *progress;
	void (*pushed)(void *ctx, const char *tag, const char *digest, uint64_t size); /* with @progress's ctx: one is done */
};
/** engine_push() - blobs that the registry lacks, then the manifest. ERR_NOT_FOUND when there is no such image here; as engine_pull(). */
int engine_push(struct engine *e, const struct caller *c, const struct push_request *req, struct err *err);
/** engine_login() - POST /auth. ERR_UNAUTHORIZED. Writes {"Status","IdentityToken"}. */
int engine_login(struct engine *e, const struct caller *c, const struct registry_auth *auth, struct json_writer *w, struct err *err);
/** engine_distribution() - what a registry has under @name, without fetching it. Writes {"Descriptor","Platforms"}. */
int engine_distribution(struct engine *e, const struct caller *c, const char *name, const struct registry_auth *auth, struct json_writer *w, struct err *err);
/** engine_manifests() - the manifest or index itself. Writes {"Descriptor","Raw"}, and with @each "Manifests": of an index every manifest, else the one. */
int engine_manifests(struct engine *e, const struct caller *c, const char *name, bool each, const struct registry_auth *auth, struct json_writer *w, struct err *err);

struct search_request {
	const char *term;
	unsigned limit;             /* 0: docker's default */
	const struct json *filters; /* NULL: none */
	const struct registry_auth *auth;
};
/** engine_search() - GET /images/search: an array of what a registry's index knows. */
int engine_search(struct engine *e, const struct caller *c, const struct search_request *q, struct json_writer *w, struct err *err);

/** engine_image_containers() - how many containers were made of @image_id. */
int engine_image_containers(struct engine *e, const struct caller *c, const char *image_id, int64_t *ret, struct err *err);
int engine_volume_create(struct engine *e, const struct caller *c, const char *name, const struct json *labels, struct json_writer *w, struct err *err);
int engine_volume_inspect(struct engine *e, const struct caller *c, const char *name, struct json_writer *w, struct err *err);
int engine_volume_remove(struct engine *e, const struct caller *c, const char *name, bool force, struct err *err);

/* Networks. @ref: name, id or unique id prefix; ERR_NOT_FOUND "network X not found". */
struct network_request;
struct endpoint_request;
int engine_network_create(struct engine *e, const struct caller *c, const struct network_request *q, char ret_id[65], struct err *err);
int engine_network_inspect(struct engine *e, const struct caller *c, const char *ref, struct json_writer *w, struct err *err);
/** engine_network_list() - @filters: dangling, driver, id, label, name, scope, type. */
int engine_network_list(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err);
/** engine_network_remove() - ERR_DENIED when it is a default one, or somebody runs on it. */
int engine_network_remove(struct engine *e, const struct caller *c, const char *ref, struct err *err);
/** engine_network_prune() - networks that no container is on. @filters: until, label, label!. Writes {"NetworksDeleted"}. */
int engine_network_prune(struct engine *e, const struct caller *c, const struct json *filters, struct json_writer *w, struct err *err);
/** engine_network_connect() / _disconnect() - in force at once when the container runs. ERR_DENIED when it cannot be, or is not. */
int engine_network_connect(struct engine *e, const struct caller *c, const char *ref, const char *container, const struct endpoint_request *q, struct err *err);
int engine_network_disconnect(struct engine *e, const struct caller *c, const char *ref, const char *container, bool force, struct err *err);
/** engine_network_watcher() - the packet filter is mended when somebody takes parts of it away, until @stop_fd is readable. For a thread of a daemon. */
void engine_network_watcher(struct engine *e, int stop_fd);
/** engine_names_watcher() - a name server that is killed is started again, until @stop_fd is readable. For a thread of a daemon. */
void engine_names_watcher(struct engine *e, int stop_fd);

/* Events. */
struct events_request {
	int64_t since_ns, until_ns; /* 0: none; without either only what happens from now on */
	const struct json *filters; /* map or list form, NULL: none; unknown keys are ERR_INVALID */
};
struct events_reader;
/** engine_events_begin() - from here on no event is missed; before the answer's headers are flushed. */
int engine_events_begin(struct engine *e, const struct caller *c, const struct events_request *r, struct events_reader **ret, struct err *err);
/** engine_events_next() - wait for the next one. *@ret: owned, one JSON object. Return: 1; 0 the time of `until` has come; -ECANCELED @cancel_fd is readable
 *  or hangs up; -errno. */
int engine_events_next(struct engine *e, struct events_reader *rd, int cancel_fd, char **ret);
void engine_events_end(struct engine *e, struct events_reader *rd);
/** engine_events_keep() - remember events from now on, other engines' on the same state among them: for a daemon, which is asked for past ones. */
int engine_events_keep(struct engine *e, struct err *err);
/** engine_image_event() - tell that @action ("load", "tag") was done to image @ref. */
void engine_image_event(struct engine *e, const struct caller *c, const char *action, const char *ref);

/** engine_info() - the members of GET /info, in an object that the caller has begun. */
int engine_info(struct engine *e, const struct caller *c, struct json_writer *w, struct err *err);
