/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/features.h"

#include "spec/runtime_fields.h"

static void write_list(struct json_writer *w, const char *key, features_list *list)
{
	jw_arr(w, key);
	for (size_t i = 0; list(i); i++)
		jw_str(w, NULL, list(i));
	jw_end(w);
}

static void write_words(struct json_writer *w, const char *key, const char *const *words)
{
	jw_arr(w, key);
	for (; words && *words; words++)
		jw_str(w, NULL, *words);
	jw_end(w);
}

static void write_enabled(struct json_writer *w, const char *key, bool enabled)
{
	jw_obj(w, key);
	jw_bool(w, "enabled", enabled);
	jw_end(w);
}

static const char *cap_at(size_t i)
{
	return i <= CAP_LAST_KNOWN ? cap_name((int) i) : NULL;
}

static const char *hook_at(size_t i)
{
	return i < HOOK_POINT_MAX_ ? hook_point_name((enum hook_point) i) : NULL;
}

static void write_cgroup(struct json_writer *w, const struct features_facts *f)
{
	jw_obj(w, "cgroup");
	jw_bool(w, "v1", f->cgroup_v1);
	jw_bool(w, "v2", f->cgroup_v2);
	jw_bool(w, "systemd", f->systemd);
	jw_bool(w, "systemdUser", f->systemd_user);
	jw_bool(w, "rdma", f->rdma);
	jw_end(w);
}

static void write_seccomp(struct json_writer *w, const struct features_facts *f)
{
	jw_obj(w, "seccomp");
	jw_bool(w, "enabled", f->seccomp_actions != NULL);
	if (f->seccomp_actions) {
		write_list(w, "actions", f->seccomp_actions);
		write_list(w, "operators", f->seccomp_operators);
		write_list(w, "archs", f->seccomp_archs);
		write_list(w, "knownFlags", f->seccomp_flags);
		jw_arr(w, "supportedFlags");
		for (size_t i = 0; f->seccomp_flags(i); i++)
			if (f->seccomp_flag_supported(i))
				jw_str(w, NULL, f->seccomp_flags(i));
		jw_end(w);
	}
	jw_end(w);
}

static void write_rdt(struct json_writer *w, const struct features_facts *f)
{
	jw_obj(w, "intelRdt");
	jw_bool(w, "enabled", f->rdt);
	jw_bool(w, "schemata", f->rdt_schemata);
	jw_bool(w, "monitoring", f->rdt_monitoring);
	jw_end(w);
}

static void write_linux(struct json_writer *w, const struct features_facts *f)
{
	jw_obj(w, "linux");
	write_words(w, "namespaces", spec_ns_names);
	write_list(w, "capabilities", cap_at);
	write_cgroup(w, f);
	write_seccomp(w, f);
	write_enabled(w, "apparmor", f->apparmor);
	write_enabled(w, "selinux", f->selinux);
	write_rdt(w, f);
	if (f->memory_policy) {
		jw_obj(w, "memoryPolicy");
		write_words(w, "modes", spec_mempolicy_modes);
		write_words(w, "flags", spec_mempolicy_flags);
		jw_end(w);
	}
	jw_obj(w, "mountExtensions");
	write_enabled(w, "idmap", f->idmap);
	jw_end(w);
	write_enabled(w, "netDevices", f->net_devices);
	jw_end(w);
}

int features_write(const struct features_facts *f, struct strbuf *out, struct err *err)
{
	struct json_writer w;
	jw_init(&w, out);
	jw_obj(&w, NULL);
	jw_str(&w, "ociVersionMin", FEATURES_VERSION_MIN);
	jw_str(&w, "ociVersionMax", FEATURES_VERSION_MAX);
	write_list(&w, "hooks", hook_at);
	write_list(&w, "mountOptions", f->mount_options);
	write_linux(&w, f);
	if (f->annotations) {
		jw_obj(&w, "annotations");
		for (size_t i = 0; f->annotations[i][0]; i++)
			jw_str(&w, f->annotations[i][0], f->annotations[i][1]);
		jw_end(&w);
	}
	write_words(&w, "potentiallyUnsafeConfigAnnotations", f->unsafe_annotations);
	jw_end(&w);
	int r = strbuf_err(out);
	return r < 0 ? err_sys(err, r, "writing the features document") : 0;
}
