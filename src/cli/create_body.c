/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the options of `run` and `create` to the body of POST /containers/create. Only what was asked for is written: an absent key
 * means "unset" to every engine.
 */
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "cli/envfile.h"
#include "cli/mount_arg.h"
#include "cli/network_arg.h"
#include "cli/restart_arg.h"
#include "codec/json.h"

#define BODY_MAX (4 << 20)
#define PROFILE_MAX (1 << 20)

static void put_str(struct json_writer *w, const char *key, const char *s)
{
	if (s && *s)
		jw_str(w, key, s);
}

static void put_int(struct json_writer *w, const char *key, int64_t v)
{
	if (v)
		jw_int(w, key, v);
}

static void put_bool(struct json_writer *w, const char *key, bool v)
{
	if (v)
		jw_bool(w, key, true);
}

static void put_strv(struct json_writer *w, const char *key, char *const *v)
{
	if (v)
		jw_strv(w, key, v);
}

/* As docker's client sends them: "name=address" and "name:[v6]" become "name:address". */
static void put_extra_hosts(struct json_writer *w, char *const *v)
{
	if (v)
		jw_arr(w, "ExtraHosts");
	STRV_FOREACH (entry, v) {
		size_t n = strcspn(entry, ":=");
		size_t len = entry[n] ? strlen(entry + n + 1) : 0, brackets = len > 2 && entry[n + 1] == '[' && entry[n + len] == ']';
		char text[512];
		if (len && str_format(text, sizeof(text), "%.*s:%.*s", (int) n, entry, (int) (len - 2 * brackets), entry + n + 1 + brackets) >= 0)
			jw_str(w, NULL, text);
		else
			jw_str(w, NULL, entry); /* the engine says what is wrong with it */
	}
	if (v)
		jw_end(w);
}

/* "key=value" entries as an object; the last one of a key wins, as in docker. */
static int put_map(struct json_writer *w, const char *key, char *const *v, const char *flag, struct err *err)
{
	if (!v)
		return 0;
	jw_obj(w, key);
	for (char *const *p = v; *p; p++) {
		size_t n = strcspn(*p, "=");
		bool again = false;
		for (char *const *q = p + 1; *q && !again; q++)
			again = strncmp(*p, *q, n) == 0 && ((*q)[n] == '=' || !(*q)[n]);
		if (n == 0)
			return err_set(err, ERR_INVALID, "invalid argument \"%.80s\" for \"--%s\" flag: use key=value", *p, flag);
		if (again)
			continue;
		char name[256];
		if (str_format(name, sizeof(name), "%.*s", (int) n, *p) < 0)
			return err_set(err, ERR_INVALID, "--%s: the key '%.40s...' is longer than 255 bytes", flag, *p);
		jw_str(w, name, (*p)[n] ? *p + n + 1 : "");
	}
	jw_end(w);
	return 0;
}

static int put_env(struct json_writer *w, const struct container_options *o, struct err *err)
{
	_cleanup_strv_ char **env = NULL;
	STRV_FOREACH (path, o->env_file) {
		int r = envfile_read(path, ENVFILE_LOOKUP, &env, err);
		if (r < 0)
			return r;
	}
	STRV_FOREACH (entry, o->env) {
		int r = env_resolve(entry, &env, err);
		if (r < 0)
			return r;
	}
	put_strv(w, "Env", env);
	return 0;
}

static int put_labels(struct json_writer *w, const struct container_options *o, struct err *err)
{
	_cleanup_strv_ char **labels = NULL;
	STRV_FOREACH (path, o->label_file) {
		int r = envfile_read(path, 0, &labels, err);
		if (r < 0)
			return r;
	}
	STRV_FOREACH (entry, o->labels)
		if (strv_push(&labels, entry) < 0)
			return err_oom(err);
	return put_map(w, "Labels", labels, "label", err);
}

/* -v with one part is an anonymous volume, which is Config's business */
static void put_anonymous_volumes(struct json_writer *w, const struct container_options *o)
{
	bool open = false;
	STRV_FOREACH (v, o->volumes) {
		if (strchr(v, ':'))
			continue;
		if (!open)
			jw_obj(w, "Volumes");
		open = true;
		jw_obj(w, v);
		jw_end(w);
	}
	if (open)
		jw_end(w);
}

static int put_config(struct json_writer *w, const struct container_options *o, const char *image, const char *const *cmd, size_t n_cmd,
		      struct err *err)
{
	struct streams s;
	int r = container_streams(o, &s, err);
	if (r < 0)
		return r;
	jw_str(w, "Image", image);
	if (n_cmd > 0) {
		jw_arr(w, "Cmd");
		for (size_t i = 0; i < n_cmd; i++)
			jw_str(w, NULL, cmd[i]);
		jw_end(w);
	}
	if (o->entrypoint) {
		jw_arr(w, "Entrypoint");
		jw_str(w, NULL, o->entrypoint); /* "" resets the image's, as in docker */
		jw_end(w);
	}
	put_str(w, "Hostname", o->hostname);
	put_str(w, "Domainname", o->domainname);
	put_str(w, "User", o->user);
	put_str(w, "WorkingDir", o->workdir);
	put_bool(w, "AttachStdin", s.in);
	put_bool(w, "AttachStdout", s.out);
	put_bool(w, "AttachStderr", s.err);
	put_bool(w, "Tty", o->tty);
	put_bool(w, "OpenStdin", o->interactive);
	put_bool(w, "StdinOnce", o->interactive && s.in);
	put_str(w, "StopSignal", o->stop_signal);
	if (o->stop_timeout != INT64_MIN)
		jw_int(w, "StopTimeout", o->stop_timeout);
	r = health_arg_put(w, &o->health, err);
	if (r < 0)
		return r;
	put_anonymous_volumes(w, o);
	r = put_exposed_ports(w, o, err);
	r = r < 0 ? r : put_env(w, o, err);
	return r < 0 ? r : put_labels(w, o, err);
}

/* Append the parts of @s[@n] to an absolute path, "." and ".." resolved by their letters as Go's filepath.Abs does. */
static void add_clean(struct strbuf *path, const char *s, size_t n)
{
	for (const char *end = s + n; s < end;) {
		const char *slash = memchr(s, '/', (size_t) (end - s));
		size_t len = (size_t) ((slash ? slash : end) - s);
		if (len == 2 && s[0] == '.' && s[1] == '.') {
			while (path->len > 0 && path->s[--path->len] != '/')
				;
			if (path->s)
				path->s[path->len] = '\0';
		} else if (len > 0 && !(len == 1 && *s == '.')) {
			strbuf_addc(path, '/');
			strbuf_add(path, s, len);
		}
		s += len + (slash != NULL);
	}
}

/* A host path that starts with a dot is relative to the caller's directory, which the engine does not know. */
static int put_bind(struct json_writer *w, const char *bind, struct err *err)
{
	if (*bind != '.') {
		jw_str(w, NULL, bind);
		return 0;
	}
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT(8192);
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	if (!cwd)
		return err_sys(err, -errno, "finding the current directory for --volume %.100s", bind);
	size_t n = strcspn(bind, ":");
	add_clean(&path, cwd, strlen(cwd));
	add_clean(&path, bind, n);
	if (path.len == 0)
		strbuf_addc(&path, '/');
	strbuf_adds(&path, bind + n);
	if (strbuf_err(&path) < 0)
		return err_set(err, ERR_INVALID, "--volume %.100s: the path is too long", bind);
	jw_str(w, NULL, path.s);
	return 0;
}

static int put_binds(struct json_writer *w, const struct container_options *o, struct err *err)
{
	bool open = false;
	STRV_FOREACH (v, o->volumes) {
		if (!strchr(v, ':'))
			continue;
		if (!open)
			jw_arr(w, "Binds");
		open = true;
		int r = put_bind(w, v, err);
		if (r < 0)
			return r;
	}
	if (open)
		jw_end(w);
	return 0;
}

static int put_mounts(struct json_writer *w, const struct container_options *o, struct err *err)
{
	if (!o->mounts)
		return 0;
	jw_arr(w, "Mounts");
	STRV_FOREACH (m, o->mounts) {
		int r = mount_arg_write(w, m, err);
		if (r < 0)
			return r;
	}
	jw_end(w);
	return 0;
}

static int put_tmpfs(struct json_writer *w, const struct container_options *o, struct err *err)
{
	if (!o->tmpfs)
		return 0;
	jw_obj(w, "Tmpfs");
	STRV_FOREACH (t, o->tmpfs) {
		char path[4096];
		size_t n = strcspn(t, ":");
		if (str_format(path, sizeof(path), "%.*s", (int) n, t) < 0)
			return err_set(err, ERR_INVALID, "--tmpfs: the path is longer than 4095 bytes");
		jw_str(w, path, t[n] ? t + n + 1 : "");
	}
	jw_end(w);
	return 0;
}

static int bad_ulimit(const char *text, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "invalid argument \"%.80s\" for \"--ulimit\" flag: %s", text, why);
}

static int put_ulimit(struct json_writer *w, const char *text, struct err *err)
{
	char name[32], soft_text[24];
	size_t n = strcspn(text, "="), m = text[n] ? strcspn(text + n + 1, ":") : 0;
	const char *soft_at = text + n + 1;
	if (!text[n] || n == 0 || str_format(name, sizeof(name), "%.*s", (int) n, text) < 0)
		return bad_ulimit(text, "use name=soft[:hard], such as nofile=1024:2048", err);
	int64_t soft, hard;
	if (str_format(soft_text, sizeof(soft_text), "%.*s", (int) m, soft_at) < 0 || parse_i64(soft_text, &soft) < 0)
		return bad_ulimit(text, "the soft limit is not a number (-1: unlimited)", err);
	hard = soft;
	if (soft_at[m] && parse_i64(soft_at + m + 1, &hard) < 0)
		return bad_ulimit(text, "the hard limit is not a number (-1: unlimited)", err);
	if (hard != -1 && (soft == -1 || soft > hard))
		return bad_ulimit(text, "the soft limit is above the hard limit", err);
	jw_obj(w, NULL);
	jw_str(w, "Name", name);
	jw_int(w, "Hard", hard);
	jw_int(w, "Soft", soft);
	jw_end(w);
	return 0;
}

static int put_device(struct json_writer *w, const char *text, struct err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return err_oom(err);
	char *part[3] = {copy, NULL, NULL};
	size_t n = 1;
	for (char *p = copy; *p; p++)
		if (*p == ':') {
			if (n == ARRAY_LEN(part))
				return err_set(err, ERR_INVALID, "invalid argument \"%.80s\" for \"--device\" flag: use HOST[:CONTAINER[:rwm]]", text);
			*p = '\0';
			part[n++] = p + 1;
		}
	const char *perms = part[2];
	if (n == 2 && part[1][0] != '/') { /* "/dev/x:rw" */
		perms = part[1];
		part[1] = NULL;
	}
	if (perms && (!*perms || strspn(perms, "rwm") != strlen(perms)))
		return err_set(err, ERR_INVALID, "invalid argument \"%.80s\" for \"--device\" flag: permissions are made of r, w and m", text);
	jw_obj(w, NULL);
	jw_str(w, "PathOnHost", part[0]);
	jw_str(w, "PathInContainer", part[1] ? part[1] : part[0]);
	jw_str(w, "CgroupPermissions", perms ? perms : "rwm");
	jw_end(w);
	return 0;
}

/* an array of objects, one a use of the flag */
static int put_each(struct json_writer *w, const char *key, char *const *v, int (*put)(struct json_writer *, const char *, struct err *),
		    struct err *err)
{
	if (!v)
		return 0;
	jw_arr(w, key);
	STRV_FOREACH (text, v) {
		int r = put(w, text, err);
		if (r < 0)
			return r;
	}
	jw_end(w);
	return 0;
}

/* The engine may run elsewhere: the profile travels as text. */
static int put_seccomp(struct json_writer *w, const char *value, struct err *err)
{
	_cleanup_free_ char *text = NULL, *compact = NULL, *opt = NULL;
	_cleanup_json_ struct json *doc = NULL;
	if (str_eq(value, "unconfined") || str_eq(value, "builtin") || str_eq(value, "default")) {
		opt = str_printf("seccomp=%s", value);
	} else {
		ssize_t n = read_file(AT_FDCWD, value, PROFILE_MAX, &text);
		if (n < 0)
			return err_sys(err, (int) n, "opening seccomp profile '%.200s'", value);
		int r = json_parse(text, (size_t) n, PROFILE_MAX, value, &doc, err);
		if (r < 0)
			return err_wrap(err, "seccomp profile");
		compact = json_dump(doc);
		opt = compact ? str_printf("seccomp=%s", compact) : NULL;
	}
	if (!opt)
		return err_oom(err);
	jw_str(w, NULL, opt);
	return 0;
}

/* One --security-opt; "systempaths=unconfined" becomes empty path lists, as docker's client does it. */
static int put_security_opt(struct json_writer *w, const char *text, bool *systempaths, struct err *err)
{
	size_t n = strcspn(text, "=");
	if (!text[n])
		n = strcspn(text, ":"); /* docker's older form */
	const char *value = text[n] ? text + n + 1 : NULL;
	char name[32];
	if (str_format(name, sizeof(name), "%.*s", (int) n, text) < 0 || (!value && !str_eq(name, "no-new-privileges")))
		return err_set(err, ERR_INVALID, "invalid --security-opt: \"%.80s\": use key=value", text);
	if (str_eq(name, "seccomp"))
		return put_seccomp(w, value, err);
	if (str_eq(name, "systempaths")) {
		if (!str_eq(value, "unconfined"))
			return err_set(err, ERR_INVALID, "invalid --security-opt: \"%.80s\": systempaths takes unconfined only", text);
		*systempaths = true;
		return 0;
	}
	_cleanup_free_ char *opt = value ? str_printf("%s=%s", name, value) : strdup(name);
	if (!opt)
		return err_oom(err);
	jw_str(w, NULL, opt);
	return 0;
}

static int put_security(struct json_writer *w, const struct container_options *o, struct err *err)
{
	bool systempaths = false;
	if (!o->security_opt)
		return 0;
	jw_arr(w, "SecurityOpt");
	STRV_FOREACH (text, o->security_opt) {
		int r = put_security_opt(w, text, &systempaths, err);
		if (r < 0)
			return r;
	}
	jw_end(w);
	if (systempaths) {
		jw_strv(w, "MaskedPaths", NULL);
		jw_strv(w, "ReadonlyPaths", NULL);
	}
	return 0;
}

static int put_log(struct json_writer *w, const struct container_options *o, struct err *err)
{
	if (!o->log_driver && !o->log_opt)
		return 0;
	jw_obj(w, "LogConfig");
	jw_str(w, "Type", o->log_driver ? o->log_driver : ""); /* the engine's default */
	int r = put_map(w, "Config", o->log_opt, "log-opt", err);
	jw_end(w);
	return r;
}

static int bad_device_limit(const char *text, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "invalid argument \"%.80s\": use /dev/DEVICE:NUMBER: %s", text, why);
}

/* "/dev/vda:NUMBER"; the number by @parse */
static int put_device_limit(struct json_writer *w, const char *text, const char *key, int (*parse)(const char *, uint64_t *), struct err *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t n;
	if (!colon || colon == text || text[0] != '/')
		return bad_device_limit(text, "the device is an absolute path", err);
	if (parse(colon + 1, &n) < 0 || n > INT64_MAX)
		return bad_device_limit(text, "the number is a whole one, a rate in bytes may have a unit such as kb, mb or gb", err);
	_cleanup_free_ char *path = strndup(text, (size_t) (colon - text));
	if (!path)
		return err_oom(err);
	jw_obj(w, NULL);
	jw_str(w, "Path", path);
	jw_uint(w, key, n);
	jw_end(w);
	return 0;
}

static int put_device_weight(struct json_writer *w, const char *text, struct err *err)
{
	return put_device_limit(w, text, "Weight", parse_u64, err);
}

static int put_device_bps(struct json_writer *w, const char *text, struct err *err)
{
	return put_device_limit(w, text, "Rate", parse_size, err);
}

static int put_device_iops(struct json_writer *w, const char *text, struct err *err)
{
	return put_device_limit(w, text, "Rate", parse_u64, err);
}

static int put_blkio(struct json_writer *w, const struct container_options *o, struct err *err)
{
	const struct {
		const char *key, *flag;
		char *const *v;
		int (*put)(struct json_writer *w, const char *text, struct err *err);
	} rows[] = {
		{"BlkioWeightDevice", "blkio-weight-device", o->blkio_weight_device, put_device_weight}, {"BlkioDeviceReadBps", "device-read-bps", o->device_read_bps, put_device_bps},
		{"BlkioDeviceWriteBps", "device-write-bps", o->device_write_bps, put_device_bps},	 {"BlkioDeviceReadIOps", "device-read-iops", o->device_read_iops, put_device_iops},
		{"BlkioDeviceWriteIOps", "device-write-iops", o->device_write_iops, put_device_iops},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (put_each(w, rows[i].key, rows[i].v, rows[i].put, err) < 0) {
			enum err_kind kind = err->kind;
			int r = err_wrap(err, "--%s", rows[i].flag);
			err->kind = (uint16_t) kind;
			return r;
		}
	return 0;
}

static int put_limits(struct json_writer *w, const struct container_options *o, struct err *err)
{
	put_int(w, "BlkioWeight", o->blkio_weight);
	put_int(w, "CpuRealtimePeriod", o->cpu_rt_period);
	put_int(w, "CpuRealtimeRuntime", o->cpu_rt_runtime);
	if (o->memory_swappiness >= 0)
		jw_int(w, "MemorySwappiness", o->memory_swappiness);
	put_int(w, "PidsLimit", o->pids_limit);
	put_int(w, "Memory", o->memory);
	put_int(w, "MemorySwap", o->memory_swap);
	put_int(w, "MemoryReservation", o->memory_reservation);
	put_int(w, "NanoCpus", o->nano_cpus);
	put_int(w, "CpuShares", o->cpu_shares);
	put_int(w, "CpuQuota", o->cpu_quota);
	put_int(w, "CpuPeriod", o->cpu_period);
	put_str(w, "CpusetCpus", o->cpuset_cpus);
	put_str(w, "CpusetMems", o->cpuset_mems);
	put_int(w, "OomScoreAdj", o->oom_score_adj);
	put_int(w, "ShmSize", o->shm_size);
	return put_blkio(w, o, err);
}

static void put_identity(struct json_writer *w, const struct container_options *o)
{
	bool maps = o->uidmap || o->gidmap;
	put_str(w, "UsernsMode", o->userns ? o->userns : maps ? "map" : NULL);
	put_strv(w, "UidMaps", o->uidmap);
	put_strv(w, "GidMaps", o->gidmap);
	put_strv(w, "GroupAdd", o->group_add);
	put_strv(w, "Dns", o->dns);
	put_strv(w, "DnsSearch", o->dns_search);
	put_strv(w, "DnsOptions", o->dns_options);
	put_extra_hosts(w, o->add_host);
	put_strv(w, "CapAdd", o->cap_add);
	put_strv(w, "CapDrop", o->cap_drop);
	put_bool(w, "Privileged", o->privileged);
	char network[256];
	put_str(w, "NetworkMode", network_mode_arg(o, network));
	if (!o->networks || !network_is_user_defined(network))
		put_strv(w, "Links", o->links); /* on a network of its own they are said with that */
	put_str(w, "IpcMode", o->ipc);
	put_str(w, "PidMode", o->pid);
	put_str(w, "UTSMode", o->uts);
	put_str(w, "CgroupnsMode", o->cgroupns);
	put_str(w, "CgroupParent", o->cgroup_parent);
	put_bool(w, "OomKillDisable", o->oom_kill_disable);
	put_strv(w, "DeviceCgroupRules", o->device_cgroup_rules);
	put_str(w, "Runtime", o->runtime);
	put_strv(w, "VolumesFrom", o->volumes_from);
}

static int put_host_config(struct json_writer *w, const struct container_options *o, unsigned rows, unsigned cols, struct err *err)
{
	int r;
	if (o->rm && restart_arg_is_set(o->restart))
		return err_set(err, ERR_INVALID, "conflicting options: cannot specify both --restart and --rm");
	restart_arg_put(w, o->restart);
	put_bool(w, "AutoRemove", o->rm);
	put_bool(w, "ReadonlyRootfs", o->read_only);
	if (o->init >= 0)
		jw_bool(w, "Init", o->init);
	if (o->tty && rows && cols) {
		jw_arr(w, "ConsoleSize");
		jw_int(w, NULL, rows);
		jw_int(w, NULL, cols);
		jw_end(w);
	}
	put_identity(w, o);
	if ((r = put_limits(w, o, err)) < 0 || (r = put_binds(w, o, err)) < 0 || (r = put_mounts(w, o, err)) < 0 || (r = put_tmpfs(w, o, err)) < 0 || (r = put_security(w, o, err)) < 0 ||
	    (r = put_each(w, "Ulimits", o->ulimit, put_ulimit, err)) < 0 || (r = put_each(w, "Devices", o->device, put_device, err)) < 0 ||
	    (r = put_map(w, "Sysctls", o->sysctl, "sysctl", err)) < 0 || (r = put_map(w, "Annotations", o->annotations, "annotation", err)) < 0 ||
	    (r = put_map(w, "StorageOpt", o->storage_opt, "storage-opt", err)) < 0 || (r = put_port_bindings(w, o, err)) < 0)
		return r;
	return put_log(w, o, err);
}

int update_body(const struct container_options *o, char **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(BODY_MAX);
	struct json_writer w;
	jw_init(&w, &out);
	jw_obj(&w, NULL);
	int r = put_limits(&w, o, err);
	if (r < 0)
		return r;
	restart_arg_put(&w, o->restart);
	jw_end(&w);
	*ret = strbuf_steal(&out);
	return *ret ? 0 : err_oom(err);
}

int create_body(const struct container_options *o, const char *image, const char *const *cmd, size_t n_cmd, unsigned rows, unsigned cols,
		char **ret, struct err *err)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT(BODY_MAX);
	struct json_writer w;
	jw_init(&w, &out);
	jw_obj(&w, NULL);
	int r = put_config(&w, o, image, cmd, n_cmd, err);
	if (r < 0)
		return r;
	jw_obj(&w, "HostConfig");
	r = put_host_config(&w, o, rows, cols, err);
	if (r < 0)
		return r;
	jw_end(&w);
	r = put_networking(&w, o, err);
	if (r < 0)
		return r;
	jw_end(&w);
	if (strbuf_err(&out) == -EFBIG)
		return err_set(err, ERR_INVALID, "the request is larger than %d MiB", BODY_MAX >> 20);
	char *s = strbuf_steal(&out);
	if (!s)
		return err_oom(err);
	*ret = s;
	return 0;
}
