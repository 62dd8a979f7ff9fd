/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/utsname.h>

#include "api/internal.h"

#define VERSION_NO_BRIDGE_NF 50

int ping_handler(struct call *c, struct err *err)
{
	c->headers = "Builder-Version: 1\r\nSwarm: inactive\r\nCache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\n";
	c->content_type = "text/plain; charset=utf-8";
	strbuf_adds(&c->out, "OK");
	return 0;
}

/* Go's name for the machine */
static const char *go_arch(const char *machine)
{
	static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i][0], machine))
			return names[i][1];
	return machine;
}

/* The same facts twice: old clients read them at the top, new ones in Components. */
static void write_facts(struct json_writer *w, const struct utsname *u)
{
	jw_str(w, "ApiVersion", "1.50");
	jw_str(w, "MinAPIVersion", "1.24");
	jw_str(w, "Os", "linux");
	jw_str(w, "Arch", go_arch(u->machine));
	jw_str(w, "KernelVersion", u->release);
	jw_str(w, "GitCommit", "");
	jw_str(w, "GoVersion", "");
	jw_str(w, "BuildTime", "");
}

int version_handler(struct call *c, struct err *err)
{
	struct utsname u;
	if (uname(&u) < 0)
		return err_sys(err, -errno, "uname");
	jw_obj(&c->w, NULL);
	jw_obj(&c->w, "Platform");
	jw_str(&c->w, "Name", "Coffer");
	jw_end(&c->w);
	jw_arr(&c->w, "Components");
	jw_obj(&c->w, NULL);
	jw_str(&c->w, "Name", "Engine");
	jw_str(&c->w, "Version", COFFER_VERSION_TEXT);
	jw_obj(&c->w, "Details");
	write_facts(&c->w, &u);
	jw_str(&c->w, "Experimental", "false");
	jw_end(&c->w);
	jw_end(&c->w);
	jw_end(&c->w);
	jw_str(&c->w, "Version", COFFER_VERSION_TEXT);
	write_facts(&c->w, &u);
	jw_end(&c->w);
	return 0;
}

int info_handler(struct call *c, struct err *err)
{
	jw_obj(&c->w, NULL);
	int r = engine_info(c->engine, c->caller, &c->w, err);
	if (c->minor < VERSION_NO_BRIDGE_NF) { /* nobody here filters what crosses a bridge by iptables' own hook */
		jw_bool(&c->w, "BridgeNfIptables", false);
		jw_bool(&c->w, "BridgeNfIp6tables", false);
	}
	jw_end(&c->w);
	return r;
}

/* There is nothing of either kind to be pruned; `docker system prune` asks for all of them and stops at the first that fails. */
static int prune_nothing(struct call *c, const char *key, bool bytes, struct err *err)
{
	_cleanup_json_ struct json *filters = NULL;
	int r = call_filters(c, &filters, err);
	if (r < 0)
		return r;
	jw_obj(&c->w, NULL);
	jw_null(&c->w, key);
	if (bytes)
		jw_uint(&c->w, "SpaceReclaimed", 0);
	jw_end(&c->w);
	return 0;
}

int build_prune_handler(struct call *c, struct err *err)
{
	return prune_nothing(c, "CachesDeleted", /* bytes= */ true, err);
}

int restore_handler(struct call *c, struct err *err)
{
	return engine_restore(c->engine, c->caller, &c->w, err);
}

/* There are none, and clients ask. */
int plugin_list_handler(struct call *c, struct err *err)
{
	jw_arr(&c->w, NULL);
	jw_end(&c->w);
	return 0;
}
