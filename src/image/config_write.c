/* SPDX-License-Identifier: Apache-2.0 */
#include "image/config_write.h"

static void write_keys(struct json_writer *w, const char *key, char *const *v)
{
	if (!v)
		return;
	jw_obj(w, key);
	STRV_FOREACH(s, v) {
		jw_obj(w, s);
		jw_end(w);
	}
	jw_end(w);
}

void config_write_run(struct json_writer *w, const struct image_config *c)
{
	jw_obj(w, "config");
	if (c->user)
		jw_str(w, "User", c->user);
	write_keys(w, "ExposedPorts", c->exposed_ports);
	if (c->env)
		jw_strv(w, "Env", c->env);
	if (c->entrypoint)
		jw_strv(w, "Entrypoint", c->entrypoint);
	if (c->cmd)
		jw_strv(w, "Cmd", c->cmd);
	write_keys(w, "Volumes", c->volumes);
	if (c->working_dir)
		jw_str(w, "WorkingDir", c->working_dir);
	if (c->label_keys) {
		jw_obj(w, "Labels");
		for (size_t i = 0; i < strv_len(c->label_keys); i++)
			jw_str(w, c->label_keys[i], c->label_values[i]);
		jw_end(w);
	}
	if (c->stop_signal)
		jw_str(w, "StopSignal", c->stop_signal);
	if (c->healthcheck_json)
		jw_raw(w, "Healthcheck", c->healthcheck_json);
	jw_end(w);
}

int name_for_new(const char *ref, const char *what, char ***names, struct err *err)
{
	struct image_ref parsed = {0};
	if (str_empty(ref))
		return 0;
	int r = image_ref_parse(ref, &parsed, err);
	if (r < 0)
		return r;
	if (parsed.digest)
		r = err_set(err, ERR_INVALID, "an image cannot be %s under a digest: '%.200s'", what, ref);
	else if (strv_push_take(names, image_ref_full(&parsed)) < 0)
		r = err_oom(err);
	image_ref_done(&parsed);
	return r;
}
