/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts to report: one judge per layer, in a table. A judge fills value, state, the flag behind a weakness and the reason behind an absence.
 */
#include "sandbox/posture.h"

#include <errno.h>
#include <stdio.h>

#include "base/num.h"
#include "sandbox/defaults.h"
#include "sandbox/posture_facts.h"

struct row {
	enum posture_state state;
	char value[400], by[96], why[200];
};

static const char *const state_names[] = {"ok", "weakened", "absent", "unverified"};
static_assert(ARRAY_LEN(state_names) == POSTURE_STATE_MAX_, "every state has a name");

#define SAY(field, ...) ((void) snprintf(field, sizeof(field), __VA_ARGS__))

static const char *privileged_or(const struct posture_target *t, const char *flag)
{
	return t->privileged ? "--privileged" : flag;
}

static void describe_map(char *buf, size_t size, const struct id_map *m)
{
	size_t used = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < m->n && used < size; i++)
		used += (size_t) snprintf(buf + used, size - used, "%s%u->%u+%u", i ? "," : "", m->v[i].ctr, m->v[i].host, m->v[i].size);
}

static bool maps_host_root(const struct id_map *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].host == 0)
			return true;
	return false;
}

static void judge_userns(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	char uids[160], gids[160];
	describe_map(uids, sizeof(uids), &f->uids);
	describe_map(gids, sizeof(gids), &f->gids);
	SAY(r->value, "uid %s gid %s", uids, gids);
	if (f->ns[NS_USER] == f->host_ns[NS_USER] || maps_host_root(&f->uids) || maps_host_root(&f->gids)) {
		r->state = POSTURE_WEAKENED;
		SAY(r->by, "%s", f->ns[NS_USER] == f->host_ns[NS_USER] ? "--userns=host" : "--uidmap/--gidmap");
		SAY(r->why, "root inside is root on the host");
	}
}

static void judge_namespaces(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	static const struct {
		enum ns_kind kind;
		const char *name, *flag;
	} all[] = {{NS_MOUNT, "mount", NULL}, {NS_PID, "pid", "--pid=host"}, {NS_NET, "net", "--network=host"},
		   {NS_IPC, "ipc", "--ipc=host"}, {NS_UTS, "uts", "--uts=host"}, {NS_CGROUP, "cgroup", "--cgroupns=host"}};
	char own[100] = "own:", shared[100] = "", joined[100] = "";
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		bool is_host = f->ns[all[i].kind] == f->host_ns[all[i].kind];
		const char *whose = is_host ? NULL : t->joined[all[i].kind];
		char *to = is_host ? shared : whose ? joined : own;
		size_t n = strlen(to);
		(void) snprintf(to + n, 100 - n, " %s", all[i].name);
		if (!is_host && !whose)
			continue;
		r->state = POSTURE_WEAKENED;
		size_t b = strlen(r->by);
		if (whose)
			(void) snprintf(r->by + b, sizeof(r->by) - b, "%s--%s container:%.20s", b ? " " : "", all[i].kind == NS_NET ? "network" : all[i].name, whose);
		else
			(void) snprintf(r->by + b, sizeof(r->by) - b, "%s%s", b ? " " : "", all[i].flag ? all[i].flag : "?");
	}
	SAY(r->value, "%s%s%s%s%s", own, *joined ? "; another container's:" : "", joined, *shared ? "; the host's:" : "", shared);
}

static void judge_caps(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	uint64_t extra = f->cap_bnd & ~(uint64_t) DEFAULT_CAPS;
	int n = __builtin_popcountll(f->cap_bnd);
	SAY(r->value, "%d bounding, %d effective, %d inheritable, %d ambient", n, __builtin_popcountll(f->cap_eff),
	    __builtin_popcountll(f->cap_inh), __builtin_popcountll(f->cap_amb));
	if (!extra && !f->cap_inh && !f->cap_amb)
		return;
	r->state = POSTURE_WEAKENED;
	if (t->privileged)
		SAY(r->by, "--privileged");
	else
		for (int c = 0; c <= CAP_LAST_KNOWN; c++)
			if (extra & (1ULL << c)) {
				size_t b = strlen(r->by);
				(void) snprintf(r->by + b, sizeof(r->by) - b, "%s%s", b ? "," : "--cap-add ", cap_name(c) + 4);
			}
	SAY(r->why, "beyond the default 11%s", f->ns[NS_USER] != f->host_ns[NS_USER] ? ", inside its own user namespace only" : "");
}

static void judge_nnp(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	SAY(r->value, "%s", f->no_new_privs > 0 ? "set" : "not set");
	if (f->no_new_privs > 0)
		return;
	r->state = POSTURE_WEAKENED;
	SAY(r->by, "%s", privileged_or(t, "--security-opt no-new-privileges=false"));
}

static void judge_seccomp(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	const char *name = t->seccomp_name ? t->seccomp_name : "?";
	if (f->seccomp_mode < 0) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "this kernel has no seccomp");
		return;
	}
	if (f->seccomp_mode != 2) {
		r->state = POSTURE_WEAKENED;
		SAY(r->value, "mode %d, no filter", f->seccomp_mode);
		SAY(r->by, "%s", privileged_or(t, "--security-opt seccomp=unconfined"));
		return;
	}
	bool same = t->seccomp_hash && *f->filter_hash && str_eq(t->seccomp_hash, f->filter_hash);
	SAY(r->value, "mode 2, %d filter%s, profile %s, %zu instructions, sha256 %.12s", f->seccomp_filters, f->seccomp_filters == 1 ? "" : "s",
	    same ? name : "unknown", f->filter_len, *f->filter_hash ? f->filter_hash : "?");
	if (f->filter_err < 0) {
		r->state = POSTURE_UNVERIFIED;
		SAY(r->value, "mode 2, %d filter(s), profile %s by our record", f->seccomp_filters, name);
		SAY(r->why, "this kernel does not give filters back (%s)", strerrordesc_np(-f->filter_err));
	} else if (t->runtime) {
		r->state = POSTURE_UNVERIFIED;
		SAY(r->by, "--runtime %s", t->runtime);
		SAY(r->why, "%s compiled profile %s itself", t->runtime, name);
	} else if (!same) {
		r->state = POSTURE_WEAKENED;
		SAY(r->why, "the loaded filter is not the one compiled from profile %s", name);
	} else if (!str_eq(name, "default"))
		SAY(r->by, "--security-opt seccomp=%s", name);
}

static void judge_cgroup(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	char mem[32] = "none", swap[32] = "none";
	uint64_t v;
	/* v1 says "no limit" as a number of pages below 2^63 */
	if (parse_u64(f->memory_max, &v) == 0 && v < 1ULL << 62)
		(void) snprintf(mem, sizeof(mem), "%llu", (unsigned long long) v);
	if (parse_u64(f->memory_swap_max, &v) == 0 && v < 1ULL << 62)
		(void) snprintf(swap, sizeof(swap), "%llu", (unsigned long long) v);
	const char *quota = !*f->cpu_quota || str_eq(f->cpu_quota, "-1") || str_after(f->cpu_quota, "max") ? "none" : f->cpu_quota;
	SAY(r->value, "pids %s (now %s), memory %s, memory+swap %s, cpu quota %s, shares %s%s%s", *f->pids_max ? f->pids_max : "?",
	    *f->pids_current ? f->pids_current : "?", mem, swap, quota, *f->cpu_shares ? f->cpu_shares : "?", *f->cpuset ? ", cpus " : "", f->cpuset);
	if (!f->has_pids) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "this host has no pids cgroup");
	} else if (str_eq(f->pids_max, "max") || !*f->pids_max) {
		r->state = POSTURE_WEAKENED;
		SAY(r->by, "--pids-limit=-1");
	}
}

/* A line of devices.list ("c 1:3 rwm"): null, zero, full, random, urandom, tty, console, ptmx, pts. */
static bool is_default_rule(const char *line)
{
	static const char *const defaults[] = {"c 1:3 ", "c 1:5 ", "c 1:7 ", "c 1:8 ", "c 1:9 ", "c 5:0 ", "c 5:1 ", "c 5:2 ", "c 136:* "};
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (strncmp(line, defaults[i], strlen(defaults[i])) == 0)
			return true;
	return *line == '\n' || !*line;
}

static void judge_devices(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	size_t rules = 0;
	bool more = false;
	for (const char *p = f->devices; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		rules++;
		more |= !is_default_rule(p);
	}
	bool open = (f->devices && f->devices[0] == 'a') || f->device_filters == 0;
	bool own_userns = f->ns[NS_USER] != f->host_ns[NS_USER];
	if (f->devices)
		SAY(r->value, "%zu nodes in /dev, allow-list of %zu rules%s", f->n_dev_nodes, rules, own_userns ? ", none can be made" : "");
	else if (f->device_filters > 0)
		SAY(r->value, "%zu nodes in /dev, a device filter in the kernel%s", f->n_dev_nodes, own_userns ? ", none can be made" : "");
	else
		SAY(r->value, "%zu nodes in /dev%s", f->n_dev_nodes, own_userns ? ", none can be made in a user namespace" : "");
	if (open || more || *f->dev_extra) {
		r->state = POSTURE_WEAKENED;
		SAY(r->by, "%s", privileged_or(t, open || *f->dev_extra ? "--device" : "--device-cgroup-rule"));
		if (*f->dev_extra)
			SAY(r->why, "/dev/%s is in reach", f->dev_extra);
		else if (more)
			SAY(r->why, "the list allows more than the harmless nodes");
	} else if (!f->devices && f->device_filters < 0 && !own_userns) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "this host has no devices cgroup");
	}
}

static void judge_paths(struct row *r, size_t n, size_t seen, const char *first, const char *what, const char *flag)
{
	SAY(r->value, "%zu of %zu %s", n, seen, what);
	if (n == seen)
		return;
	r->state = POSTURE_WEAKENED;
	SAY(r->by, "%s", flag);
	SAY(r->why, "%s is open", first);
}

static void judge_masked(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	judge_paths(r, f->n_masked, f->n_masked_seen, f->first_open, "covered", privileged_or(t, "--security-opt systempaths=unconfined"));
}

static void judge_readonly(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	judge_paths(r, f->n_readonly, f->n_readonly_seen, f->first_open, "read-only", privileged_or(t, "--security-opt systempaths=unconfined"));
}

static void judge_rootfs(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	SAY(r->value, "%s, nodev", f->root_readonly ? "read-only" : "writable layer of its own");
}

static void judge_apparmor(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	if (!f->has_apparmor) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "absent on this host");
		return;
	}
	SAY(r->value, "%.256s%s%s%s", *f->profile ? f->profile : "?", *f->profile_mode ? " (" : "", f->profile_mode, *f->profile_mode ? ")" : "");
	if (str_eq(f->profile_mode, "enforce") || str_eq(f->profile_mode, "kill"))
		return;
	r->state = *f->profile ? POSTURE_WEAKENED : POSTURE_UNVERIFIED;
	if (str_eq(f->profile, "unconfined"))
		SAY(r->by, "%s", privileged_or(t, "--security-opt apparmor=unconfined"));
	else if (str_eq(f->profile_mode, "complain"))
		SAY(r->why, "complain mode: what the profile denies is logged and allowed");
	else
		SAY(r->why, "%s", *f->profile ? "the profile is not in enforce mode" : "the kernel does not show the label");
}

/* A label of its own is another than ours, with a level that not everybody has. */
static void judge_selinux(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	if (!f->has_selinux) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "absent on this host");
		return;
	}
	const char *mode = f->selinux_enforcing == 1 ? "enforcing" : f->selinux_enforcing == 0 ? "permissive" : "mode unknown";
	SAY(r->value, "%.256s (%s)", *f->label ? f->label : "?", mode);
	if (*f->label && !str_eq(f->label, f->own_label) && f->selinux_enforcing == 1)
		return;
	r->state = *f->label ? POSTURE_WEAKENED : POSTURE_UNVERIFIED;
	if (!*f->label)
		SAY(r->why, "the kernel does not show the label");
	else if (str_eq(f->label, f->own_label))
		SAY(r->by, "%s", privileged_or(t, "--security-opt label=disable"));
	else
		SAY(r->why, "%s", f->selinux_enforcing == 0 ? "the host is permissive: what the policy denies is logged and allowed" : "the host's mode cannot be read");
}

static void judge_yama(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	static const char *const scopes[] = {"", "a process may trace only what it started", "only CAP_SYS_PTRACE may trace", "nobody may trace"};
	if (f->yama > 0) {
		SAY(r->value, "ptrace_scope %d: %s", f->yama, scopes[f->yama]);
		return;
	}
	r->state = POSTURE_ABSENT;
	SAY(r->why, "%s", f->yama < 0 ? "this kernel has no Yama" : "this host's kernel.yama.ptrace_scope is 0: inside, a process may trace any other of its user's");
}

static void judge_landlock(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	if (f->landlock_abi == 0) {
		r->state = POSTURE_ABSENT;
		SAY(r->why, "this kernel has no Landlock");
	} else if (!t->landlock) {
		r->state = POSTURE_WEAKENED;
		SAY(r->value, "no domain");
		if (t->runtime)
			SAY(r->by, "--runtime %s", t->runtime);
		else
			SAY(r->by, "%s", privileged_or(t, "--security-opt landlock=unconfined"));
	} else {
		/* the start would have failed otherwise (P5), but no file of the kernel shows a domain of another process */
		r->state = POSTURE_UNVERIFIED;
		SAY(r->value, "ABI %d: no mounts, no device nodes, no ptrace outwards", f->landlock_abi);
		SAY(r->why, "applied at start; the kernel shows no process's domain");
	}
}

static void judge_rlimits(const struct posture_target *t, const struct posture_facts *f, struct row *r)
{
	char core[32] = "?", files[64] = "?";
	for (size_t i = 0; i < f->n_rlimits; i++) {
		if (str_eq(f->rlimits[i].name, "Max core file size"))
			(void) snprintf(core, sizeof(core), "%s", f->rlimits[i].hard);
		if (str_eq(f->rlimits[i].name, "Max open files"))
			(void) snprintf(files, sizeof(files), "%s:%s", f->rlimits[i].soft, f->rlimits[i].hard);
	}
	SAY(r->value, "core %s, nofile %s", core, files);
	/* exactly 1 keeps a piped core_pattern from running a root helper on the container's data (threats.md section 2) */
	if (!str_eq(core, "1")) {
		r->state = POSTURE_WEAKENED;
		SAY(r->by, "--ulimit core");
	}
}

static const struct {
	const char *name;
	void (*judge)(const struct posture_target *t, const struct posture_facts *f, struct row *r);
} layers[] = {
	{"user namespace", judge_userns}, {"namespaces", judge_namespaces}, {"capabilities", judge_caps}, {"no_new_privs", judge_nnp},
	{"seccomp", judge_seccomp},       {"cgroup limits", judge_cgroup},  {"devices", judge_devices},   {"masked paths", judge_masked},
	{"read-only paths", judge_readonly}, {"root filesystem", judge_rootfs}, {"AppArmor", judge_apparmor}, {"SELinux", judge_selinux},
	{"Landlock", judge_landlock},     {"Yama", judge_yama},
	{"rlimits", judge_rlimits},
};

static void write_map(struct json_writer *w, const char *key, const struct id_map *m)
{
	jw_arr(w, key);
	for (size_t i = 0; i < m->n; i++) {
		jw_obj(w, NULL);
		jw_uint(w, "ContainerID", m->v[i].ctr);
		jw_uint(w, "HostID", m->v[i].host);
		jw_uint(w, "Size", m->v[i].size);
		jw_end(w);
	}
	jw_end(w);
}

static void write_caps(struct json_writer *w, const char *key, uint64_t set)
{
	jw_arr(w, key);
	for (int c = 0; c <= CAP_LAST_KNOWN; c++)
		if (set & (1ULL << c))
			jw_str(w, NULL, cap_name(c));
	jw_end(w);
}

static void write_facts(struct json_writer *w, const struct posture_target *t, const struct posture_facts *f)
{
	static const char *const ns_names[NS_KIND_MAX_] = {
		[NS_USER] = "user", [NS_MOUNT] = "mount", [NS_PID] = "pid",       [NS_NET] = "net",
		[NS_IPC] = "ipc",   [NS_UTS] = "uts",     [NS_CGROUP] = "cgroup", [NS_TIME] = "time",
	};
	jw_obj(w, "Facts");
	jw_int(w, "Pid", t->pid);
	jw_uint(w, "HostUid", f->uid);
	jw_uint(w, "HostGid", f->gid);
	write_map(w, "UidMap", &f->uids);
	write_map(w, "GidMap", &f->gids);
	jw_obj(w, "Namespaces");
	for (int k = 0; k < NS_KIND_MAX_; k++) {
		jw_obj(w, ns_names[k]);
		jw_uint(w, "Inode", f->ns[k]);
		jw_bool(w, "Own", f->ns[k] != f->host_ns[k]);
		jw_end(w);
	}
	jw_end(w);
	jw_obj(w, "Capabilities");
	write_caps(w, "Bounding", f->cap_bnd);
	write_caps(w, "Effective", f->cap_eff);
	write_caps(w, "Permitted", f->cap_prm);
	write_caps(w, "Inheritable", f->cap_inh);
	write_caps(w, "Ambient", f->cap_amb);
	jw_end(w);
	jw_int(w, "NoNewPrivs", f->no_new_privs);
	jw_obj(w, "Seccomp");
	jw_int(w, "Mode", f->seccomp_mode);
	jw_int(w, "Filters", f->seccomp_filters);
	jw_str(w, "Profile", t->seccomp_name);
	jw_str(w, "Hash", f->filter_hash);
	jw_uint(w, "Instructions", f->filter_len);
	jw_end(w);
	jw_obj(w, "Cgroup");
	jw_str(w, "Path", f->cgroup);
	jw_str(w, "PidsMax", f->pids_max);
	jw_str(w, "PidsCurrent", f->pids_current);
	jw_str(w, "MemoryMax", f->memory_max);
	jw_str(w, "MemorySwapMax", f->memory_swap_max);
	jw_str(w, "CpuQuota", f->cpu_quota);
	jw_str(w, "CpuShares", f->cpu_shares);
	jw_str(w, "Cpuset", f->cpuset);
	jw_str(w, "Devices", f->devices);
	jw_end(w);
	jw_uint(w, "MaskedPaths", f->n_masked);
	jw_uint(w, "ReadonlyPaths", f->n_readonly);
	jw_bool(w, "ReadonlyRootfs", f->root_readonly);
	jw_obj(w, "AppArmor");
	jw_bool(w, "Present", f->has_apparmor);
	jw_str(w, "Profile", f->profile);
	jw_str(w, "Mode", f->profile_mode);
	jw_end(w);
	jw_obj(w, "SELinux");
	jw_bool(w, "Present", f->has_selinux);
	jw_bool(w, "Enforcing", f->has_selinux && f->selinux_enforcing == 1);
	jw_str(w, "Label", f->label);
	jw_end(w);
	jw_int(w, "LandlockABI", f->landlock_abi);
	jw_int(w, "YamaPtraceScope", f->yama);
	jw_obj(w, "Rlimits");
	for (size_t i = 0; i < f->n_rlimits; i++) {
		jw_arr(w, f->rlimits[i].name);
		jw_str(w, NULL, f->rlimits[i].soft);
		jw_str(w, NULL, f->rlimits[i].hard);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

int posture_read(const struct posture_target *t, struct json_writer *w, struct err *err)
{
	struct posture_facts f;
	int r = facts_read(t, &f, err);
	if (r < 0)
		return r;
	jw_obj(w, NULL);
	jw_str(w, "Container", t->id);
	jw_str(w, "Name", t->name);
	jw_arr(w, "Layers");
	for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
		struct row row = {.state = POSTURE_OK};
		layers[i].judge(t, &f, &row);
		jw_obj(w, NULL);
		jw_str(w, "Layer", layers[i].name);
		jw_str(w, "State", state_names[row.state]);
		jw_str(w, "Value", row.value);
		jw_str(w, "By", row.by);
		jw_str(w, "Why", row.why);
		jw_end(w);
	}
	jw_end(w);
	write_facts(w, t, &f);
	jw_end(w);
	facts_done(&f);
	return 0;
}
