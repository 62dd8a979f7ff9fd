/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec: a config.json to start from. It is text, not a struct written out: people read and edit it. "rootfs" beside it has to hold the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pretty.h"
#include "oci/internal.h"

struct spec_options {
	const char *bundle, *file;
	bool rootless;
};

static const struct flag rows[] = {
	{"bundle", 'b', FLAG_STR, offsetof(struct spec_options, bundle), "DIR", "where to write config.json (default: here)"},
	{"file", 'f', FLAG_STR, offsetof(struct spec_options, file), "FILE", "write to this file instead"},
	{"rootless", 0, FLAG_BOOL, offsetof(struct spec_options, rootless), NULL, "for a caller that is not root: a user namespace with the caller's own id"},
};
static const struct flag_table flags = FLAG_TABLE(rows);

#define CAPS "[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]"

static const char process[] =
	"{\"ociVersion\":\"1.3.0\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
	"\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
	"\"capabilities\":{\"bounding\":" CAPS ",\"effective\":" CAPS ",\"permitted\":" CAPS "},"
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},"
	"\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"coffer\",\"mounts\":["
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},";

static const char mounts_root[] =
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
	"\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}],";

/* one id is mapped, so gid 5 cannot own terminals; sysfs belongs to the host's network namespace, so it can only be bound */
static const char mounts_rootless[] =
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]},"
	"{\"destination\":\"/sys\",\"type\":\"none\",\"source\":\"/sys\",\"options\":[\"rbind\",\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}],"
	"\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":1}],\"gidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":1}],"
	"\"namespaces\":[{\"type\":\"user\"},{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}],";

static const char paths[] =
	"\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\","
	"\"/proc/sched_debug\",\"/sys/firmware\",\"/sys/devices/virtual/powercap\",\"/proc/scsi\"],"
	"\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

static int run_spec(struct oci *o, void *options, const char **args, size_t n, struct err *err)
{
	const struct spec_options *opt = options;
	_cleanup_strbuf_ struct strbuf doc = STRBUF_INIT(64u << 10), out = STRBUF_INIT(64u << 10);
	strbuf_adds(&doc, process);
	if (opt->rootless)
		strbuf_addf(&doc, mounts_rootless, geteuid(), getegid());
	else
		strbuf_adds(&doc, mounts_root);
	strbuf_adds(&doc, paths);
	if (strbuf_err(&doc) == 0)
		json_pretty(doc.s, 0, &out);
	strbuf_addc(&out, '\n');
	if (strbuf_err(&out) < 0)
		return err_oom(err);
	_cleanup_close_ int dir = open(opt->bundle ?: ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, -errno, "spec: --bundle '%s'", opt->bundle ?: ".");
	const char *name = opt->file ?: "config.json";
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_CONFLICT, "spec: file '%s' exists: remove it first", name);
	int r = fd < 0 ? -errno : write_all(fd, out.s, out.len);
	return r < 0 ? err_sys(err, r, "spec: writing '%s'", name) : 0;
}

const struct oci_command oci_spec = {
	.name = "spec", .usage = "[OPTIONS]", .summary = "Write a config.json to start from",
	.examples = "  mkdir -p box/rootfs && coffer-oci spec --bundle box\n  coffer-oci spec --rootless", .flags = &flags,
	.options_size = sizeof(struct spec_options), .max_args = 0, .run = run_spec,
};
