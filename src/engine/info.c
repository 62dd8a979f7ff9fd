/* SPDX-License-Identifier: Apache-2.0 */
/* GET /info: every field that clients look at, none of them null. */
#include <errno.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/internal.h"

struct counts {
	struct engine *e;
	int64_t all, running, paused;
};

static int count_one(void *ctx, struct container *c, struct err *err)
{
	struct counts *n = ctx;
	struct run_info info;
	int rc = state_peek(n->e, c, &info, err);
	if (rc < 0)
		return rc;
	n->all++;
	bool running = info.state == RUN_RUNNING, paused = running && container_is_paused(c);
	n->running += running && !paused;
	n->paused += paused;
	return 0;
}

static int count_images(struct engine *e, const char *tenant, int64_t *ret, struct err *err)
{
	struct image **v = NULL;
	int rc = image_list(e->images, tenant, &v, err);
	if (rc < 0)
		return rc;
	*ret = 0;
	for (size_t i = 0; v && v[i]; i++, ++*ret)
		image_free(v[i]);
	free(v);
	return 0;
}

static void write_plugins(struct json_writer *w)
{
	static const char *const volume[] = {"local", NULL}, *const network[] = {"bridge", "host", "null", NULL}, *const log[] = {"json-file", "local", "none", NULL};
	jw_obj(w, "Plugins");
	jw_strv(w, "Volume", (char *const *) volume);
	jw_strv(w, "Network", (char *const *) network);
	jw_null(w, "Authorization");
	jw_strv(w, "Log", (char *const *) log);
	jw_end(w);
}

static void write_security(const struct engine *e, struct json_writer *w)
{
	static const char *const always[] = {"name=seccomp,profile=builtin", "name=userns", "name=cgroupns"};
	jw_arr(w, "SecurityOptions");
	if (e->lsm[LSM_APPARMOR])
		jw_str(w, NULL, "name=apparmor");
	if (e->lsm[LSM_SELINUX])
		jw_str(w, NULL, "name=selinux");
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		jw_str(w, NULL, always[i]);
	jw_end(w);
}

static void write_runtime(const struct engine *e, struct json_writer *w)
{
	runtimes_write(e, w);
	jw_str(w, "DefaultRuntime", "coffer");
	jw_obj(w, "Swarm");
	jw_str(w, "NodeID", "");
	jw_str(w, "NodeAddr", "");
	jw_str(w, "LocalNodeState", "inactive");
	jw_bool(w, "ControlAvailable", false);
	jw_str(w, "Error", "");
	jw_null(w, "RemoteManagers");
	jw_end(w);
	write_security(e, w);
}

static void write_flags(struct json_writer *w)
{
	static const char *const on[] = {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit", "IPv4Forwarding"};
	static const char *const off[] = {"OomKillDisable", "Debug", "ExperimentalBuild", "LiveRestoreEnabled"};
	for (size_t i = 0; i < ARRAY_LEN(on); i++)
		jw_bool(w, on[i], true);
	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		jw_bool(w, off[i], false);
}

static void write_host(struct engine *e, struct json_writer *w)
{
	struct utsname u;
	struct sysinfo si;
	bool v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	(void) uname(&u); /* cannot fail with a valid pointer */
	jw_str(w, "KernelVersion", u.release);
	jw_str(w, "OperatingSystem", "Linux");
	jw_str(w, "OSType", "linux");
	jw_str(w, "OSVersion", "");
	jw_str(w, "Architecture", u.machine);
	jw_int(w, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	jw_uint(w, "MemTotal", sysinfo(&si) == 0 ? (uint64_t) si.totalram * si.mem_unit : 0);
	jw_str(w, "Name", u.nodename);
	jw_str(w, "DockerRootDir", e->state_dir);
	jw_str(w, "CgroupDriver", "cgroupfs");
	jw_str(w, "CgroupVersion", v2 ? "2" : "1");
}

int engine_info(struct engine *e, const struct caller *caller, struct json_writer *w, struct err *err)
{
	static const char *const empty[] = {"InitBinary", "ProductLicense"};
	static const char *const lists[] = {"Labels", "GenericResources", "Warnings", "CDISpecDirs"};
	struct counts n = {.e = e};
	int64_t images = 0;
	int rc = container_each(e, caller->tenant, count_one, &n, err);
	rc = rc < 0 ? rc : count_images(e, caller->tenant, &images, err);
	if (rc < 0)
		return rc;
	jw_str(w, "ID", "");
	jw_int(w, "Containers", n.all);
	jw_int(w, "ContainersRunning", n.running);
	jw_int(w, "ContainersPaused", n.paused);
	jw_int(w, "ContainersStopped", n.all - n.running - n.paused);
	jw_int(w, "Images", images);
	jw_str(w, "Driver", "overlay2");
	jw_arr(w, "DriverStatus");
	jw_end(w);
	write_plugins(w);
	write_flags(w);
	write_host(e, w);
	registries_write(e, w);
	write_runtime(e, w);
	jw_str(w, "LoggingDriver", e->log_type ?: "json-file");
	jw_str(w, "IndexServerAddress", "https://index.docker.io/v1/");
	jw_str(w, "ServerVersion", "28.2.2");
	for (size_t i = 0; i < ARRAY_LEN(empty); i++)
		jw_str(w, empty[i], "");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		jw_arr(w, lists[i]);
		jw_end(w);
	}
	return 0;
}
