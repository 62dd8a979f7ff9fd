/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of src/engine share. Locks, in the order in which they are taken:
 *   L1 a container's lock (lock.h: an OFD lock, across processes) around everything that changes its state
 *   L2 the database's transaction
 *   L3 struct engine.lock around the lists in memory; nothing blocks under it
 */
#pragma once

#include <pthread.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/signo.h"
#include "base/str.h"
#include "db/db.h"
#include "engine/engine.h"
#include "engine/labels.h"
#include "engine/stored.h"
#include "idrange/idrange.h"
#include "monitor/proto.h"
#include "sandbox/defaults.h"
#include "spec/runtime.h"

#define SHM_DEFAULT (64u << 20)
#define STOP_TIMEOUT_DEFAULT_S 10
#define REQUEST_MAX (4u << 20)

struct watcher;
struct events;
struct mailbox;
struct exec;
struct pending;
struct naming;
struct network_plan;
struct network_room;
struct network_view;
struct spare;
struct registry_config;
struct registry_conn;
struct image_ref;

struct engine {
	struct db *db;
	struct idrange *ids;
	struct image_store *images;
	struct network_room *networks;
	struct network_defaults *network_defaults; /* owned; the room borrows it; NULL: none */
	struct stored_cache *stored; /* owned */
	char *state_dir, *run_dir, *libexec_dir, *self_path, *userns_remap; /* owned */
	char *signature_policy; /* owned; "": the usual place */
	bool allow[ALLOW_MAX_];
	char *log_type;		 /* owned; default of LogConfig.Type; NULL: json-file */
	struct kv_list log_opts; /* and its options */
	char *selinux_process_type, *selinux_file_type; /* owned */
	struct registry_config *registries; /* owned, with its strings */
	struct keyval *runtimes; /* owned; name and path, of daemon.json */
	size_t n_runtimes;
	bool lsm[LSM_MAX_]; /* what the host had when the engine was opened */
	int state_fd, run_fd; /* owned */
	struct events *events; /* owned; has a lock of its own */

	pthread_mutex_t lock; /* L3; guards what follows */
	struct wait *waits;
	struct pending *pendings;
	pthread_cond_t attached; /* a promised attach came or was called off */
	struct exec *execs;
	struct spare *spare; /* NULL: none */
	struct watcher *watcher; /* NULL until the first start */
	struct mailbox *mailbox; /* NULL: nobody reads events here */
	char *layers_of; /* owned; image id of the cached @layers */
	char **layers;	 /* owned; topmost first */
};

/* Containers: rows */

enum row_state {
	ROW_CREATED,  /* never ended: created, or in its first run */
	ROW_EXITED,
	ROW_REMOVING, /* no longer written */
	ROW_STARTED,  /* started again after an exit; without a bundle the machine went down under it */
	ROW_CUT,      /* ended, by the machine's going down */
};

struct container {
	char id[ID_LEN + 1];
	char *tenant, *name, *image_id, *error; /* owned */
	enum row_state state;
	int64_t idmap; /* 0: the host's ids */
	int64_t created_ns, started_ns, finished_ns;
	int exit_code;
	bool oom;
	const struct container_request *req; /* as it was checked at create; borrowed from one of the next two */
	struct stored_request *stored;	     /* a reference; NULL: the row was not read */
	struct container_request *own;	     /* owned; NULL: nobody means to change it */
	/* restart.c */
	int64_t restart_count;	  /* automatic starts since the last one by hand */
	int64_t restart_delay_ms; /* the backoff's last step; 0: at its beginning */
	int64_t restart_due_ns;	  /* when it is started again; 0: it is not */
	bool by_hand;		  /* its end was, or is to be, a stop or kill */
};
void container_done(struct container *c);
#define _cleanup_container_ _cleanup_(container_done)

/** container_find() - by full id, name, or unique id prefix within @tenant. Return: 0; ERR_NOT_FOUND; ERR_INVALID when ambiguous. */
int container_find(struct engine *e, const char *tenant, const char *ref, struct container *ret, struct err *err);
/** container_resolve() - the id alone. Return as container_find(). */
int container_resolve(struct engine *e, const char *tenant, const char *ref, char ret[ID_LEN + 1], struct err *err);
/** container_ids() - of @tenant's containers, NULL: of all; @due: those alone whose restart is due at some time. *@ret: owned strv, appended to. */
int container_ids(struct engine *e, const char *tenant, bool due, char ***ret, struct err *err);
/** container_load() - by full id, any tenant. Return: 1, 0 gone, <0. */
int container_load(struct engine *e, const char *id, struct container *ret, struct err *err);
/** container_lock() - container_resolve(), its lock, and what it is now that nobody else changes it. Return: the lock's fd, owned; ERR_NOT_FOUND; <0. @ret: to be
 *  released, whatever comes of it. */
int container_lock(struct engine *e, const char *tenant, const char *ref, struct container *ret, struct err *err);
/** containers_load() - every row of @tenant, newest first. *@ret: for containers_free(), *@ret_n of them. */
int containers_load(struct engine *e, const char *tenant, struct container **ret, size_t *ret_n, struct err *err);
void containers_free(struct container *list, size_t n);
/** container_each() - @fn for every row of @tenant (NULL: of all) as they were at the call, newest first, until it returns non-zero. Return: that, or 0. */
int container_each(struct engine *e, const char *tenant, int (*fn)(void *ctx, struct container *c, struct err *err), void *ctx, struct err *err);
/** container_own_request() - a copy of @c's request that may be changed; c->req is that one from now on. *@ret: borrowed. */
int container_own_request(struct container *c, struct container_request **ret, struct err *err);
int container_insert(struct engine *e, const struct container *c, struct err *err);
int container_save_exit(struct engine *e, const struct container *c, struct err *err);
int container_delete(struct engine *e, const struct container *c, struct err *err);
/** container_name_new() - a free generated name. Inside the transaction of the insert. */
int container_name_new(struct engine *e, const char *tenant, char *buf, size_t size, struct err *err);
extern const char *const engine_migrations[];
extern const size_t engine_n_migrations;

/** name_generate() - "adjective_surname", a number behind it from the @attempt-th try on. */
void name_generate(unsigned attempt, char *buf, size_t size);

/* State at run time: derived from the bundle, the processes and the row (state.c) */

enum run_state { RUN_CREATED, RUN_RUNNING, RUN_EXITED, RUN_DEAD, RUN_RESTARTING };

struct run_info {
	enum run_state state;
	bool starting;		   /* RUN_DEAD, unless its lock is held: then somebody is starting it */
	struct monitor_state live; /* with RUN_RUNNING */
};
/** state_read() - what @c is now. A container whose processes ended is reaped on the way (without its lock: pass @locked when it is held).
 *  Return: 0; ERR_NOT_FOUND when it was removed by that. @c is brought up to date. */
int state_read(struct engine *e, struct container *c, bool locked, struct run_info *ret, struct err *err);
const char *state_name(enum run_state s);
/** state_peek() - the same without reaping: RUN_DEAD when the bundle waits for it. */
int state_peek(struct engine *e, const struct container *c, struct run_info *ret, struct err *err);
/** reap_locked() - record the exit, remove cgroups and bundle, and the container itself when auto-removed. With the lock held. Return: 1 when removed. */
int reap_locked(struct engine *e, struct container *c, struct err *err);
/** row_run_state() - what @c is without a bundle, by its row alone. */
enum run_state row_run_state(const struct container *c);
/** keep_mark() - the end of a running container's process that follows does not remove it (--rm): it is being restarted. */
int keep_mark(struct engine *e, const char *id, struct err *err);
/** remove_locked() - everything of a container that does not run. With the lock held. */
int remove_locked(struct engine *e, struct container *c, bool volumes, struct err *err);

/** start_again() - engine_start() by a restart policy: no count starts anew, and a failure is judged like an exit. With the @lock held. */
int start_again(struct engine *e, struct container *c, int lock, struct err *err);

/** stop_container() - engine_stop(); without @event nobody is told of a "stop": it is part of a removal. */
int stop_container(struct engine *e, const struct caller *caller, const char *ref, int timeout_s, const char *signal, bool event, struct err *err);

/** run_find() - @ref and what it is now, a start under way awaited. Return: 0; ERR_NOT_FOUND. @c: to be released. */
int run_find(struct engine *e, const struct caller *caller, const char *ref, struct container *c, struct run_info *info, struct err *err);
/** running_find() - Return: 1 it runs, 0 it does not, <0; ERR_NOT_FOUND; ERR_CONFLICT between two runs of a restart policy. @c: to be released. */
int running_find(struct engine *e, const struct caller *caller, const char *ref, struct container *c, struct err *err);
/** container_is_paused() - of a running one, asked of the kernel; false when that cannot be told. */
bool container_is_paused(const struct container *c);
/** pause_set() - freeze or thaw, and tell. */
int pause_set(struct engine *e, const struct container *c, bool on, struct err *err);
/** pause_refuse() - ERR_CONFLICT in docker's words when @c is paused, else 0. */
int pause_refuse(const struct container *c, const char *what, struct err *err);
/** container_save_request() - after an update or a rename. */
int container_save_request(struct engine *e, const struct container *c, struct err *err);
/** container_disk_bytes() - what @c has written to its own layer. */
uint64_t container_disk_bytes(struct engine *e, const struct container *c);

/** lock_take() - L1. Return: fd to close for unlocking, or <0. */
int lock_take(struct engine *e, const char *id, struct err *err);
/** lock_lend() - a descriptor for those who do the start of @id, whose container's @lock is held: nobody else has the lock before they closed it.
 *  Return: fd, owned, or <0. */
int lock_lend(struct engine *e, const char *id, int lock, struct err *err);
/** lock_whole() - wait until nobody has what was lent of @lock, which is held. */
void lock_whole(int lock);
/** lock_try() - Return: fd, -EAGAIN when somebody else has it, <0. */
int lock_try(struct engine *e, const char *id);
/** lock_forget() - remove the lock file; with the lock held, when the container goes. */
void lock_forget(struct engine *e, const char *id);

int bundle_open(struct engine *e, const char *id); /* directory fd or -errno */
/** bundle_remove() - out of sight at once, so that nobody reads half a bundle, then off the disk. A missing one is fine. */
int bundle_remove(struct engine *e, const char *id);
/** trash_put() - move @name below @dfd into @base_fd's trash; missing is fine. Return: 0 or -errno. */
int trash_put(int base_fd, int dfd, const char *name);
int container_dir_open(struct engine *e, const char *id, bool make); /* STATE/containers/ID */
/** engine_sweep() - what a kill -9 left that no row names: directories, bundles, locks, volumes (sweep.c). */
void engine_sweep(struct engine *e);

/* Restart policies (restart.c: what is to happen; restarter.c: who does it) */

#define RESTART_DELAY_MAX_MS 60000

/** restart_is_wanted() - whether the policy is another one than "no". */
bool restart_is_wanted(const struct container_request *r);
/** restart_judge() - the end that has just been taken into @c: counts it, and sets when it is started again, if it is. */
void restart_judge(struct container *c);
/** restart_mark() - a signal by hand: the end that follows is not followed by a start. @ending: the signal is one that ends, whenever it does; else only an
 *  end at once counts. Before the signal is sent. */
int restart_mark(struct engine *e, const struct container *c, bool ending, struct err *err);
/** restart_marked() - whether the run whose bundle is @dir was ended at @finished_ns by such a signal. */
bool restart_marked(int dir, int64_t finished_ns);
/** restart_open() - before a row says that @c is due: the file by which whoever restarts is told when it is closed. Return: fd; <0. */
int restart_open(struct engine *e, const struct container *c, struct err *err);
/** restart_hand_over() - the row is written: let @fd (owned, -EBADF: nothing to do) go, and see to it that somebody does the restart. With the lock held. */
void restart_hand_over(struct engine *e, const struct container *c, int fd_consume);
/** restart_forget() - @id is not due any more; with the lock held. */
void restart_forget(struct engine *e, const char *id);
/** restart_look() - @c is said to be restarting: is somebody at it? Carries on where that one was killed; a restart that the machine's going down cut off
 *  is off until the daemon starts. Return: 0, *@ret brought up to date. */
int restart_look(struct engine *e, struct container *c, bool locked, struct run_info *ret, struct err *err);
/** restart_cancel() - call the restart of @id off: by hand, or @cut off by the machine's going down. Return: 1 done, 0 there was none, <0. */
int restart_cancel(struct engine *e, const char *id, bool cut, struct err *err);
/** restart_cancel_locked() - the same with the lock held. */
int restart_cancel_locked(struct engine *e, struct container *c, struct err *err);
/** restart_row_started() - @c is being started: no restart is due, and its next end is judged anew. Writes the row only when that changes it. */
int restart_row_started(struct engine *e, struct container *c, bool again, struct err *err);
/** restart_refuse() - ERR_CONFLICT in docker's words for what needs a process between two runs. */
int restart_refuse(const struct container *c, struct err *err);

/** restarter_is_there() - whether a daemon on this state carries restarts out. */
bool restarter_is_there(struct engine *e);
/** restarter_spawn() - a process that waits for @id to be due. */
void restarter_spawn(struct engine *e, const char *id);
/** restarts_open() - RUN/restarts. Return: directory fd or -errno. */
int restarts_open(struct engine *e, bool make);
/** restart_now() - start @id if it is due. Takes its lock. Return: 0, also when it is not; <0. */
int restart_now(struct engine *e, const char *id, struct err *err);
/** restart_plan() - what a daemon's start means for @c: due now if the policy says so. Return: 1 due, 0 not, <0. */
int restart_plan(struct engine *e, const char *id, struct err *err);

/* The machine's going down in good order (down.c) */

bool down_is_under_way(struct engine *e);
/** down_refuse() - ERR_CONFLICT for a start while it is under way. */
int down_refuse(struct engine *e, struct err *err);
/** down_take_back() - Return: whether it was under way. */
bool down_take_back(struct engine *e);
/** stop_for_down() - end @id's run, or call its restart off, such that its policy counts again at the next boot. Return: 1 done, 0 it was not up, <0. */
int stop_for_down(struct engine *e, const char *id, int timeout_s, struct err *err);

/* Talking to a monitor (link.c) */

/** link_env() - for what may have to find this state again: *@env, owned strv, appended to. Return: 0 or -ENOMEM. */
int link_env(struct engine *e, char ***env);

/** link_spawn() - start a monitor. @ret_pid: to be reaped. Return: its socket or <0. */
int link_spawn(struct engine *e, const char *id, pid_t *ret_pid, struct err *err);
/** spare_make() - spawn @id's monitor in advance unless there is one already. Blocks for the spawn: call it behind the client's answer. */
void spare_make(struct engine *e, const char *id);
/** spare_take() - the monitor that was made for @id or for anybody, as link_spawn() returns one. Return: socket, -ENOENT: there is none. */
int spare_take(struct engine *e, const char *id, pid_t *ret_pid);
/** spare_drop() - @id's (any: NULL) is not needed. */
void spare_drop(struct engine *e, const char *id);
/** link_connect() - to a running container's monitor. Return: socket; ERR_CONFLICT-free -errno in err. */
int link_connect(struct engine *e, const char *id, struct err *err);
/** link_send() - one request. @fds: SCM_RIGHTS. */
int link_send(int fd, enum monitor_verb verb, uint32_t seq, const void *payload, size_t len, const void *more, size_t more_len, const int *fds, size_t n_fds, struct err *err);
/** link_recv() - one reply into @buf. Return: payload bytes; <0: the monitor's error or the connection's, filled in. */
int link_recv(int fd, uint32_t seq, void *buf, size_t size, struct err *err);
/** link_call() - link_send() and link_recv(). */
int link_call(int fd, enum monitor_verb verb, const void *payload, size_t len, void *reply, size_t reply_size, struct err *err);

/* Watching monitors whose first connection is ours, and execs (watch.c) */

/** watch_container() - hand over the SETUP connection of a started container (@fd, @pid owned): it is reaped here when it exits. */
int watch_container(struct engine *e, const char *id, int fd_take, pid_t pid, struct err *err);
/** watch_adopt() - be told of the end of a container that another process started. Best effort: its monitor tells somebody in any case. */
void watch_adopt(struct engine *e, const char *id);
/** watch_exec() - hand over a connection on which MONITOR_EXEC was answered. */
int watch_exec(struct engine *e, const char *exec_id, int fd_take, struct err *err);
/** watch_leaving() - a monitor whose start has failed flushes its clients first: reap it when it goes. @link_consume: kept open until then. */
void watch_leaving(struct engine *e, const char *id, int link_consume, pid_t pid);
/** watch_has() - whether this process will reap @id. */
bool watch_has(struct engine *e, const char *id);
/** watch_settle() - wait until no exit is being reaped; a monitor that is only leaving is not waited for. */
void watch_settle(struct engine *e);
void watch_stop(struct engine *e);

/* What waits are told (wait.c) */
/** wait_keep_code() - the exit code, before the record is written: whoever reaps and removes first, it is not lost. Wakes nobody. */
void wait_keep_code(struct engine *e, const char *id, int code);
void wait_notify_exit(struct engine *e, const char *id, int code);
void wait_notify_removed(struct engine *e, const char *id);
void wait_notify_started(struct engine *e, const char *id);

/** attach_flush() - send what was attached before the start. */
int attach_flush(struct engine *e, const struct container *c, int link, struct err *err);
/** attach_late() - after a start: whoever came while it was under way is attached to the running container. */
void attach_late(struct engine *e, const char *id);
/** attach_waits() - whether a stream waits for @id's start. With the engine's lock held. */
bool attach_waits(struct engine *e, const char *id);
void attach_drop(struct engine *e, const char *id);
void attach_drop_all(struct engine *e);
/** detach_keys_parse() - "ctrl-p,ctrl-q"; NULL and "": the default. */
int detach_keys_parse(const char *s, struct monitor_attach *a, struct err *err);

/** exec_document() - what the monitor's exec reads: the container's own process with what @r changes, and never more than that (R8). */
int exec_document(struct engine *e, const struct container *c, const struct exec_request *r, struct strbuf *out, struct err *err);
/** exec_event_text() - docker's form of an exec's event: the action carries the command. */
void exec_event_text(struct strbuf *b, const char *action, char *const *cmd);
void exec_ended(struct engine *e, const char *exec_id, const struct monitor_exit *x);
void execs_free(struct engine *e);

/* Policy and its parts: pure functions of the request */

struct security {
	bool no_new_privileges, seccomp_unconfined, system_paths_unconfined, landlock_unconfined;
	const char *seccomp_json; /* borrowed from the request; NULL: the default profile */
	const char *apparmor;     /* borrowed; "unconfined" or the name of a loaded profile; NULL: ours */
	bool label_disable;       /* no SELinux label */
	const char *label_user, *label_role, *label_type, *label_level, *label_filetype; /* borrowed; NULL: the default */
};
int security_parse(const struct container_request *r, struct security *ret, struct err *err);
int caps_resolve(const struct container_request *r, uint64_t *ret, struct err *err);
/** user_check() - Config.User as text: digits are an id and must be in range, names start with a letter or '_'. */
int user_check(const char *field, const char *user, struct err *err);
int group_check(const char *field, const char *group, struct err *err);
/** user_numeric() - "uid:gid" wholly in digits. */
bool user_numeric(const char *user, uint32_t *ret_uid, uint32_t *ret_gid);
/** sysctl_check() - against the allow-list. @own_net, @own_ipc: the container has such a namespace of its own. @ret_key: owned, dotted. */
int sysctl_check(const char *key, const char *value, bool own_net, bool own_ipc, char **ret_key, struct err *err);
/** rlimit_name() - "nofile" to "RLIMIT_NOFILE"; NULL when there is none. */
const char *rlimit_name(const char *ulimit);
/** tmpfs_options() - HostConfig.Tmpfs text as mount options. */
int tmpfs_options(const struct mount_request *m, char ***ret, struct err *err);
/** policy_check() - may @c have what @req asks for? At create and again at start. @warnings: owned strv, appended to; NULL: none wanted. */
int policy_check(const struct engine *e, const struct caller *c, const struct container_request *req, char ***warnings, struct err *err);
/** allow_check() - has the operator allowed @a? ERR_DENIED naming @what ("HostConfig.PidMode (--pid) 'host'") and the way out. */
int allow_check(const struct engine *e, enum engine_allow a, const char *what, struct err *err);
/** limits_check() - the ranges of what @r limits; devices and block devices exist. Part of policy_check(). */
int limits_check(const struct engine *e, const struct container_request *r, struct err *err);
/** limits_discard() - leave out of @r what this host's kernel cannot limit, with docker's warning for each (@warnings as below); ERR_UNSUPPORTED for what docker
 *  refuses, too. At create and update: a record that was made under another kernel fails at the start. */
int limits_discard(const char *tenant, struct container_request *r, char ***warnings, struct err *err);
/** log_options_check() - driver and options of LogConfig. Part of policy_check(). */
int log_options_check(const struct container_request *r, struct err *err);
/** log_defaults_read() / log_defaults_apply() - daemon.json's log-driver and log-opts; what a request leaves open. */
int log_defaults_read(struct engine *e, const char *driver, const struct json *opts, struct err *err);
int log_defaults_apply(const struct engine *e, struct container_request *r);
/** log_attrs() - the JSON object that every record of its log carries, appended to @out; nothing when there is none. ERR_INVALID when it is too long. */
int log_attrs(const struct container *c, struct strbuf *out, struct err *err);
/** log_setup() - flags and limits of its log. */
void log_setup(const struct container_request *r, struct monitor_setup *s);
/** network_is_host() - after policy_check(). */
bool network_is_host(const struct container_request *req);

/** request_merge_image() - docker's rules for what the image says when the request does not. */
int request_merge_image(struct container_request *r, const struct image_config *img, struct err *err);

/* Other runtimes (runtime.c) */

/** runtime_is_foreign() - whether another runtime than the sandbox starts it. */
bool runtime_is_foreign(const struct container_request *r);
/** runtimes_read() - the operator's table. */
int runtimes_read(struct engine *e, const struct json *map, struct err *err);
/** runtime_path() - the program behind @name: root's alone to change. @buf: PATH_MAX bytes. ERR_INVALID for a name that nobody allowed, ERR_UNSUPPORTED for
 *  one that is not installed. */
int runtime_path(const struct engine *e, const char *name, char *buf, struct err *err);
/** runtime_check() - the same for a request; 0 for our own. */
int runtime_check(const struct engine *e, const struct container_request *r, struct err *err);
/** runtimes_write() - "Runtimes" of GET /info. */
void runtimes_write(const struct engine *e, struct json_writer *w);
/** runtime_seccomp() - the profile as a linux.seccomp object. *@ret: owned; untouched when unconfined. */
int runtime_seccomp(const struct container_request *r, char **ret, struct err *err);

/* Bundle */

struct shares;

struct bundle_plan {
	const struct container *c;
	const struct network_plan *networks; /* NULL: none */
	const struct naming *naming;   /* NULL: nobody is to be asked for names */
	const struct shares *shares;   /* namespaces of others; NULL: none */
	const struct idrange_map *map; /* NULL: the host's user namespace */
	char *const *layers;	       /* topmost first */
	const struct labels *labels;   /* of the LSM; NULL: none */
	const char *state_dir, *run_dir, *bundle_dir, *libexec_dir; /* absolute */
	const char *runtime; /* absolute path of a foreign one; NULL: the sandbox */
	const char *seccomp_path, *seccomp_name, *seccomp_hash; /* NULL path: none */
	uint32_t seccomp_flags;
	char *const *volume_targets, *const *volume_paths;	/* parallel: _data directories by target */
};
/** bundle_spec() - the whole document as data. Touches nothing but getrlimit() and a look at which host paths exist. */
int bundle_spec(const struct bundle_plan *b, struct runtime_spec **ret, struct err *err);
int bundle_mounts(const struct bundle_plan *b, struct runtime_spec *s, struct err *err);
int bundle_resources(const struct bundle_plan *b, struct runtime_spec *s, struct err *err);
int bundle_process(const struct bundle_plan *b, struct runtime_spec *s, struct err *err);
/** bundle_begin() - the directory alone, empty. */
int bundle_begin(struct engine *e, const char *id, struct err *err);
/** bundle_write() - the directory with config.json and generated files. Nothing stays on failure. */
int bundle_write(struct engine *e, const struct container *c, const struct network_plan *networks, const struct naming *naming, struct err *err);
/** bundle_document() - the same document for a view of @c's files (sandbox/view.h), as text; of one that does not run (@running: nothing is touched) its
 *  directories are made. With the lock held unless @running. */
int bundle_document(struct engine *e, const struct container *c, bool running, struct strbuf *out, struct err *err);
/** hostname_of() - Config.Hostname or the short id. @buf: 65 bytes. */
void hostname_of(const struct container *c, char *buf);
/** cgroup_path_of() - "coffer/TENANT/ID", with HostConfig.CgroupParent before the id. @buf: MONITOR_PATH_MAX bytes. */
void cgroup_path_of(const struct container *c, char *buf);
/** seccomp_prepare() - the compiled filter for @req. @path: MONITOR_PATH_MAX bytes; "" when unconfined. */
int seccomp_prepare(struct engine *e, const struct container_request *req, char *path, char *name, size_t name_size, char hash[65], uint32_t *ret_flags, struct err *err);

/** image_untag() - engine_image_remove() into an array that the caller opened. */
int image_untag(struct engine *e, const struct caller *caller, const char *ref, bool force, struct json_writer *w, struct err *err);

/* Filters (filter.c) */

/** filter_values() - the values of one filter, in either form, appended to *@ret (owned strv). */
int filter_values(const char *key, const struct json *v, char ***ret, struct err *err);
/** filters_check() - @f has no other keys than @known (ends with NULL), each in one of the two forms. */
int filters_check(const struct json *f, const char *const *known, struct err *err);
/** filter_get() - the values of @key of checked filters; owned strv, NULL: none. */
char **filter_get(const struct json *f, const char *key);
/** filter_bool() - Return: 0, 1, @fallback when absent; ERR_INVALID. */
int filter_bool(const struct json *f, const char *key, int fallback, struct err *err);
/** filter_labels() - every `label`, and no `label!`. */
bool filter_labels(const struct json *f, const struct kv_list *labels);
/** filter_until() - `until` as a time; untouched when absent. */
int filter_until(const struct json *f, int64_t *ret, struct err *err);
/** disk_bytes() - bytes of regular files below @dfd, consumed; links are not followed. */
uint64_t disk_bytes(int dfd_consume);

/* Volumes */

/** volumes_attach() - rows (and directories) for every volume of a new container. Inside its transaction. */
int volumes_attach(struct engine *e, const struct container *c, struct err *err);
/** volumes_from() - @own's mounts grow by those of the containers in its VolumesFrom. Inside the transaction of create. Return: 1 when it has any, 0, <0. */
int volumes_from(struct engine *e, const struct container *c, struct container_request *own, struct err *err);
int volumes_detach(struct engine *e, const struct container *c, char ***ret_anonymous, struct err *err);
/** volumes_of() - targets and names, parallel owned strvs. */
int volumes_of(struct engine *e, const char *id, char ***ret_targets, char ***ret_names, struct err *err);
/** struct volume_uses - which volume each container of a tenant has where, from one look; volume_uses_find() borrows from it. */
struct volume_use {
	char container[ID_LEN + 1];
	char *target, *name; /* owned */
};
struct volume_uses {
	struct volume_use *list; /* owned; by container, then target */
	size_t n;
};
int volume_uses_load(struct engine *e, const char *tenant, struct volume_uses *ret, struct err *err);
void volume_uses_done(struct volume_uses *u);
/** volume_uses_find() - as volumes_of(): strvs whose arrays are the caller's to free() and whose words are @u's. */
int volume_uses_find(const struct volume_uses *u, const char *id, char ***ret_targets, char ***ret_names);
/* Directories of volumes (volume_dir.c); all but the last three inside a write transaction. */
/** volume_dir_make() - @is_new: its row is; else one that a removal which was cut off had put aside comes back. */
int volume_dir_make(struct engine *e, const char *name, bool is_new, struct err *err);
/** volume_dir_doom() - out of sight, before the commit that deletes its row. */
int volume_dir_doom(struct engine *e, const char *name, struct err *err);
/** volume_dir_spare() - that commit failed. */
void volume_dir_spare(struct engine *e, const char *name);
/** volume_dir_remove() - behind that commit: into the trash. */
void volume_dir_remove(struct engine *e, const char *name);
/** volume_dir_check() - of a volume with a row, before a mount: made when it is missing. */
int volume_dir_check(struct engine *e, const char *name, struct err *err);
/** volumes_sweep() - finish what was cut off. */
void volumes_sweep(struct engine *e);
char *volume_path(struct engine *e, const char *name); /* owned; NULL out of memory */
/** volume_delete_unused() - in a transaction: row and directory of @name unless a container uses it; after the commit volume_dir_remove(), else
 *  volume_dir_spare(). Return: 1 deleted, 0 in use or absent, <0. */
int volume_delete_unused(struct engine *e, const char *tenant, const char *name, struct err *err);

/* Files (files.c) */
struct files_run;
struct files_msg;
struct files_access {
	struct container c;
	bool running, reached;   /* @reached: the helper was asked, so that what is not found is a path */
	int lock;                /* owned; L1 while a container that does not run is looked at, so that it does not start meanwhile; -EBADF */
	int container_fd;        /* owned; what the helper gets */
	struct live_proc {
		int pid;
		uint64_t ticks;
	} live;
};
/** files_session() - run the helper for @run's job on @ref; what it gets and @run's helper are filled in. A container that ends under the hand is looked at again as
 *  one that has. Return: 0 with *@a, to be closed; <0, nothing is open. ERR_NOT_FOUND. */
int files_session(struct engine *e, const struct caller *caller, const char *ref, struct files_run *run, struct files_access *a, struct files_msg *ret_done, struct err *err);
void files_close(struct files_access *a);

/* Inspect parts */
/** write_sizes() - SizeRw and SizeRootFs: reads the whole of the container's own layer. */
void write_sizes(struct engine *e, struct json_writer *w, const struct container *c);
void write_mount_points(struct engine *e, struct json_writer *w, const struct container *c, char *const *targets, char *const *names);
const char *network_mode_of(const struct container_request *r);

/* Registries (registries.c) */
/** registries_open() - what the operator says about registries. *@ret: owned. */
int registries_open(const struct engine_config *cfg, struct registry_config **ret, struct err *err);
struct registry_config *registries_free(struct registry_config *r);
/** registries_write() - the same for GET /info: RegistryConfig, and the proxies without their passwords. */
void registries_write(const struct engine *e, struct json_writer *w);

/* Signatures (trust.c) */
/** trust_check_pull() - may the image @ref come in? @digest: of what it named; @manifest: of what was taken out of it when that is an index, else NULL. Its signatures are
 *  fetched by @conn if the policy wants some. ERR_DENIED. */
int trust_check_pull(struct engine *e, struct registry_conn *conn, const struct image_ref *ref, const char *digest, const char *manifest, struct err *err);
