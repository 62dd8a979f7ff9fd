/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags of `run` and `create`, one row each; and those of docker's that are refused by name until their room is there.
 */
#include "cli/options.h"

#include <errno.h>
#include <strings.h>

#include "base/num.h"
#include "base/str.h"
#include "cli/restart_arg.h"

#define O(field) offsetof(struct container_options, field)

void container_options_init(struct container_options *o)
{
	*o = (struct container_options) {.init = -1, .stop_timeout = INT64_MIN, .memory_swappiness = -1, .sig_proxy = true};
}

static int set_cpus(void *field, const char *value, struct err *err)
{
	uint64_t nano;
	if (parse_decimal(value, 1000000000, &nano) < 0 || nano > INT64_MAX)
		return err_set(err, ERR_INVALID, "use a number of CPUs such as 0.5 or 2");
	*(int64_t *) field = (int64_t) nano;
	return 0;
}

static int set_memory_swap(void *field, const char *value, struct err *err)
{
	uint64_t bytes;
	if (str_eq(value, "-1")) {
		*(int64_t *) field = -1;
		return 0;
	}
	if (parse_size(value, &bytes) < 0 || bytes > INT64_MAX)
		return err_set(err, ERR_INVALID, "use a size such as 512m (memory and swap together), or -1 for no limit on swap");
	*(int64_t *) field = (int64_t) bytes;
	return 0;
}

static int only(const char *value, const char *word, const char *why, struct err *err)
{
	return strcasecmp(value, word) == 0 || !*value ? 0 : err_set(err, ERR_UNSUPPORTED, "%s", why);
}

static int set_restart(void *field, const char *value, struct err *err)
{
	int r = restart_arg_check(value, err);
	if (r == 0)
		*(const char **) field = value;
	return r;
}

static int set_swappiness(void *field, const char *value, struct err *err)
{
	int64_t n;
	if (parse_i64(value, &n) < 0 || n < -1 || n > 100)
		return err_set(err, ERR_INVALID, "use a number from 0 to 100, or -1 for the host's");
	*(int64_t *) field = n;
	return 0;
}

static int set_isolation(void *field, const char *value, struct err *err)
{
	return only(value, "default", "other isolation than default exists on Windows only", err);
}

static int set_volume_driver(void *field, const char *value, struct err *err)
{
	return only(value, "local", "volumes are directories of this host: local is the one driver", err);
}

static int set_pull(void *field, const char *value, struct err *err)
{
	static const char *const names[] = {[PULL_MISSING] = "missing", [PULL_ALWAYS] = "always", [PULL_NEVER] = "never"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(value, names[i])) {
			*(enum pull_policy *) field = (enum pull_policy) i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "use missing, always or never");
}

static const struct flag common_rows[] = {
	{"add-host", 0, FLAG_LIST, O(add_host), "name:address", "Add a line to /etc/hosts (host-gateway: the host as it is seen from there)"},
	{"annotation", 0, FLAG_LIST, O(annotations), "key=value", "Add an annotation to the runtime document"},
	{"attach", 'a', FLAG_LIST, O(attach), "stream", "Attach to stdin, stdout or stderr"},
	{"blkio-weight", 0, FLAG_INT, O(blkio_weight), "n", "Block I/O weight relative to other containers (10 to 1000)"},
	{"blkio-weight-device", 0, FLAG_LIST, O(blkio_weight_device), "device:n", "Block I/O weight on one device"},
	{"cap-add", 0, FLAG_LIST, O(cap_add), "capability", "Add a capability, inside the container's user namespace"},
	{"cap-drop", 0, FLAG_LIST, O(cap_drop), "capability", "Drop a capability, or ALL"},
	{"cgroup-parent", 0, FLAG_STR, O(cgroup_parent), "path", "Parent of its cgroup, below the tenant's own"},
	{"cgroupns", 0, FLAG_STR, O(cgroupns), "mode", "Cgroup namespace: private (default), or host where the operator allows it"},
	{"cidfile", 0, FLAG_STR, O(cidfile), "file", "Write the container's id to a new file"},
	{"cpu-period", 0, FLAG_INT, O(cpu_period), "us", "Length of a CPU period in microseconds"},
	{"cpu-quota", 0, FLAG_INT, O(cpu_quota), "us", "CPU time per period in microseconds"},
	{"cpu-rt-period", 0, FLAG_INT, O(cpu_rt_period), "us", "Length of a realtime CPU period in microseconds"},
	{"cpu-rt-runtime", 0, FLAG_INT, O(cpu_rt_runtime), "us", "Realtime CPU time per period in microseconds"},
	{"cpu-shares", 'c', FLAG_INT, O(cpu_shares), "n", "CPU weight relative to other containers (1024 is one share)"},
	{"cpus", 0, FLAG_SET, O(nano_cpus), "n", "Number of CPUs, such as 1.5", set_cpus},
	{"cpuset-cpus", 0, FLAG_STR, O(cpuset_cpus), "list", "CPUs to run on (0-3, 0,1)"},
	{"cpuset-mems", 0, FLAG_STR, O(cpuset_mems), "list", "Memory nodes to use (0-3, 0,1)"},
	{"device", 0, FLAG_LIST, O(device), "host[:container[:rwm]]", "Add a host device"},
	{"device-cgroup-rule", 0, FLAG_LIST, O(device_cgroup_rules), "rule", "Add a rule to its list of devices, such as \"c 42:* rmw\""},
	{"device-read-bps", 0, FLAG_LIST, O(device_read_bps), "device:bytes", "Limit reading from a device, in bytes a second"},
	{"device-read-iops", 0, FLAG_LIST, O(device_read_iops), "device:n", "Limit reading from a device, in operations a second"},
	{"device-write-bps", 0, FLAG_LIST, O(device_write_bps), "device:bytes", "Limit writing to a device, in bytes a second"},
	{"device-write-iops", 0, FLAG_LIST, O(device_write_iops), "device:n", "Limit writing to a device, in operations a second"},
	{"dns", 0, FLAG_LIST, O(dns), "address", "Ask this name server instead of the host's"},
	{"dns-opt", 0, FLAG_LIST, O(dns_options), NULL, NULL},
	{"dns-option", 0, FLAG_LIST, O(dns_options), "option", "An option of resolv.conf, such as ndots:2, instead of the host's"},
	{"dns-search", 0, FLAG_LIST, O(dns_search), "domain", "Search names in this domain instead of the host's (.: in none)"},
	{"domainname", 0, FLAG_STR, O(domainname), "name", "NIS domain name"},
	{"entrypoint", 0, FLAG_STR, O(entrypoint), "command", "Replace the image's entrypoint (\"\" resets it)"},
	{"env", 'e', FLAG_LIST, O(env), "key[=value]", "Set an environment variable (without a value: the caller's)"},
	{"env-file", 0, FLAG_LIST, O(env_file), "file", "Read environment variables from a file"},
	{"gidmap", 0, FLAG_LIST, O(gidmap), "container:host:size", "Map group ids (up to 4 times)"},
	{"group-add", 0, FLAG_LIST, O(group_add), "group", "Join a further group, by name or id"},
	{"expose", 0, FLAG_LIST, O(expose), "port", "Say that it listens on a port, or on some (80, 8000-8010/udp)"},
	{"health-cmd", 0, FLAG_STR, O(health.cmd), "command", "Command that tells whether the container is healthy, run by its shell"},
	{"health-interval", 0, FLAG_SET, O(health.interval_ns), "duration", "Time between two checks (default 30s)", health_set_duration},
	{"health-retries", 0, FLAG_INT, O(health.retries), "n", "Failures in a row that make it unhealthy (default 3)"},
	{"health-start-interval", 0, FLAG_SET, O(health.start_interval_ns), "duration", "Time between two checks in the start period (default 5s)", health_set_duration},
	{"health-start-period", 0, FLAG_SET, O(health.start_period_ns), "duration", "Time in which failures do not count (default 0s)", health_set_duration},
	{"health-timeout", 0, FLAG_SET, O(health.timeout_ns), "duration", "Time that one check may take (default 30s)", health_set_duration},
	{"hostname", 'h', FLAG_STR, O(hostname), "name", "Host name inside the container"},
	{"init", 0, FLAG_TRISTATE, O(init), NULL, "Run a small init that forwards signals and reaps"},
	{"interactive", 'i', FLAG_BOOL, O(interactive), NULL, "Keep stdin open"},
	{"ip", 0, FLAG_STR, O(ip), "address", "IPv4 address, on a network of one's own"},
	{"ip6", 0, FLAG_STR, O(ip6), "address", "IPv6 address, on a network of one's own"},
	{"ipc", 0, FLAG_STR, O(ipc), "mode", "IPC: private (default), shareable, none, container:NAME, or host where the operator allows it"},
	{"isolation", 0, FLAG_SET, 0, "technology", "default, which is all there is on Linux", set_isolation},
	{"label", 'l', FLAG_LIST, O(labels), "key[=value]", "Set a label"},
	{"label-file", 0, FLAG_LIST, O(label_file), "file", "Read labels from a file"},
	{"link", 0, FLAG_LIST, O(links), "container[:alias]", "Another container, and what it is called in this one"},
	{"link-local-ip", 0, FLAG_LIST, O(link_local_ip), "address", "Link-local address"},
	{"log-driver", 0, FLAG_STR, O(log_driver), "driver", "json-file (default), local or none"},
	{"log-opt", 0, FLAG_LIST, O(log_opt), "key=value", "Option of the log: max-size=10m, max-file=3, compress=true, labels=..., env=..., tag=..."},
	{"mac-address", 0, FLAG_STR, O(mac), "address", "Hardware address, such as 02:42:ac:11:00:02"},
	{"memory", 'm', FLAG_SIZE, O(memory), "bytes", "Memory limit"},
	{"memory-reservation", 0, FLAG_SIZE, O(memory_reservation), "bytes", "Memory to keep under pressure"},
	{"memory-swap", 0, FLAG_SET, O(memory_swap), "bytes", "Memory and swap together; -1: unlimited swap", set_memory_swap},
	{"memory-swappiness", 0, FLAG_SET, O(memory_swappiness), "n", "How readily its memory is swapped, 0 to 100 (cgroup v1)", set_swappiness},
	{"mount", 0, FLAG_LIST, O(mounts), "key=value,...", "Mount: type=bind|volume|tmpfs,source=...,target=...[,readonly,idmap,...]"},
	{"name", 0, FLAG_STR, O(name), "name", "Name of the container"},
	{"net", 0, FLAG_LIST, O(networks), NULL, NULL},
	{"net-alias", 0, FLAG_LIST, O(network_alias), NULL, NULL},
	{"network", 0, FLAG_LIST, O(networks), "network", "A network by name, none, container:NAME, or host where the operator allows it; again for more, and name=NAME,alias=A,ip=ADDRESS,... for what goes with it"},
	{"network-alias", 0, FLAG_LIST, O(network_alias), "name", "One more name on the network"},
	{"no-healthcheck", 0, FLAG_BOOL, O(health.off), NULL, "Ignore the image's health check"},
	{"oom-kill-disable", 0, FLAG_BOOL, O(oom_kill_disable), NULL, "Wait for memory instead of being killed (cgroup v1, with --memory)"},
	{"oom-score-adj", 0, FLAG_INT, O(oom_score_adj), "n", "Preference of the OOM killer (-1000 to 1000)"},
	{"pid", 0, FLAG_STR, O(pid), "mode", "Processes: private (default), container:NAME, or host where the operator allows it"},
	{"pids-limit", 0, FLAG_INT, O(pids_limit), "n", "Limit of processes (default 2048; -1: none)"},
	{"platform", 0, FLAG_STR, O(platform), "os/arch", "Of an image for several platforms, pull this one"},
	{"privileged", 0, FLAG_BOOL, O(privileged), NULL, "All capabilities inside the container's own user namespace"},
	{"publish", 'p', FLAG_LIST, O(publish), "[[ip:]host:]port[/tcp|udp|sctp]", "Let the host's port (any, when none is given) lead to the container's"},
	{"publish-all", 'P', FLAG_BOOL, O(publish_all), NULL, "Publish every exposed port on a free one"},
	{"pull", 0, FLAG_SET, O(pull), "policy", "Pull the image: missing (default), always, never", set_pull},
	{"quiet", 'q', FLAG_BOOL, O(quiet), NULL, "Suppress the output of pulling"},
	{"read-only", 0, FLAG_BOOL, O(read_only), NULL, "Make the root file system read-only"},
	{"restart", 0, FLAG_SET, O(restart), "policy", "When it is started again by itself: no, on-failure[:N], always, unless-stopped", set_restart},
	{"rm", 0, FLAG_BOOL, O(rm), NULL, "Remove the container when it ends"},
	{"runtime", 0, FLAG_STR, O(runtime), "name", "Let another runtime start it: runc, crun, coffer-oci, or one of daemon.json"},
	{"security-opt", 0, FLAG_LIST, O(security_opt), "option",
	 "no-new-privileges[=false], seccomp=FILE|unconfined, systempaths=unconfined, landlock=unconfined"},
	{"shm-size", 0, FLAG_SIZE, O(shm_size), "bytes", "Size of /dev/shm (default 64m)"},
	{"stop-signal", 0, FLAG_STR, O(stop_signal), "signal", "Signal that stops the container"},
	{"stop-timeout", 0, FLAG_INT, O(stop_timeout), "seconds", "Patience of stop before it kills"},
	{"storage-opt", 0, FLAG_LIST, O(storage_opt), "key=value", "Options of the writable layer"},
	{"sysctl", 0, FLAG_LIST, O(sysctl), "key=value", "Set a namespaced kernel parameter"},
	{"tmpfs", 0, FLAG_LIST, O(tmpfs), "path[:options]", "Mount a tmpfs"},
	{"tty", 't', FLAG_BOOL, O(tty), NULL, "Give the container a terminal"},
	{"uidmap", 0, FLAG_LIST, O(uidmap), "container:host:size", "Map user ids (up to 4 times)"},
	{"ulimit", 0, FLAG_LIST, O(ulimit), "name=soft[:hard]", "Set a resource limit"},
	{"user", 'u', FLAG_STR, O(user), "user[:group]", "User, by name or id as the image knows it"},
	{"userns", 0, FLAG_STR, O(userns), "mode", "auto (default), auto:size=N, remap[:USER], map, container:NAME, host"},
	{"uts", 0, FLAG_STR, O(uts), "mode", "Host name: private (default), or host where the operator allows it"},
	{"volume", 'v', FLAG_LIST, O(volumes), "source:target[:ro,idmap]", "Mount a volume or a host path"},
	{"volume-driver", 0, FLAG_SET, 0, "driver", "Driver of its volumes (local)", set_volume_driver},
	{"volumes-from", 0, FLAG_LIST, O(volumes_from), "container[:ro]", "Mount the volumes and binds of another container, too"},
	{"workdir", 'w', FLAG_STR, O(workdir), "directory", "Working directory inside the container"},
};
const struct flag_table container_flags = FLAG_TABLE(common_rows);

static const struct flag update_rows[] = {
	{"blkio-weight", 0, FLAG_INT, O(blkio_weight), "n", "Block I/O weight relative to other containers (10 to 1000)"},
	{"blkio-weight-device", 0, FLAG_LIST, O(blkio_weight_device), "device:n", "Block I/O weight on one device"},
	{"cpu-period", 0, FLAG_INT, O(cpu_period), "us", "Length of a CPU period in microseconds"},
	{"cpu-quota", 0, FLAG_INT, O(cpu_quota), "us", "CPU time per period in microseconds"},
	{"cpu-rt-period", 0, FLAG_INT, O(cpu_rt_period), "us", "Length of a realtime CPU period in microseconds"},
	{"cpu-rt-runtime", 0, FLAG_INT, O(cpu_rt_runtime), "us", "Realtime CPU time per period in microseconds"},
	{"cpu-shares", 'c', FLAG_INT, O(cpu_shares), "n", "CPU weight relative to other containers (1024 is one share)"},
	{"cpus", 0, FLAG_SET, O(nano_cpus), "n", "Number of CPUs, such as 1.5", set_cpus},
	{"cpuset-cpus", 0, FLAG_STR, O(cpuset_cpus), "list", "CPUs to run on (0-3, 0,1)"},
	{"cpuset-mems", 0, FLAG_STR, O(cpuset_mems), "list", "Memory nodes to use (0-3, 0,1)"},
	{"device-read-bps", 0, FLAG_LIST, O(device_read_bps), "device:bytes", "Limit reading from a device, in bytes a second (0: none)"},
	{"device-read-iops", 0, FLAG_LIST, O(device_read_iops), "device:n", "Limit reading from a device, in operations a second (0: none)"},
	{"device-write-bps", 0, FLAG_LIST, O(device_write_bps), "device:bytes", "Limit writing to a device, in bytes a second (0: none)"},
	{"device-write-iops", 0, FLAG_LIST, O(device_write_iops), "device:n", "Limit writing to a device, in operations a second (0: none)"},
	{"memory", 'm', FLAG_SIZE, O(memory), "bytes", "Memory limit"},
	{"memory-reservation", 0, FLAG_SIZE, O(memory_reservation), "bytes", "Memory to keep under pressure"},
	{"memory-swap", 0, FLAG_SET, O(memory_swap), "bytes", "Memory and swap together; -1: unlimited swap", set_memory_swap},
	{"memory-swappiness", 0, FLAG_SET, O(memory_swappiness), "n", "How readily its memory is swapped, 0 to 100 (cgroup v1)", set_swappiness},
	{"pids-limit", 0, FLAG_INT, O(pids_limit), "n", "Limit of processes (-1: none)"},
	{"kernel-memory", 0, FLAG_REFUSED, 0, NULL, "the kernel dropped it; --memory counts kernel memory too"},
	{"restart", 0, FLAG_SET, O(restart), "policy", "When they are started again by themselves: no, on-failure[:N], always, unless-stopped", set_restart},
};
const struct flag_table update_flags = FLAG_TABLE(update_rows);

static const struct flag run_rows[] = {
	{"detach", 'd', FLAG_BOOL, O(detach), NULL, "Run in the background and print the container's id"},
	{"detach-keys", 0, FLAG_STR, O(detach_keys), "keys", "Keys that detach (default ctrl-p,ctrl-q)"},
	{"sig-proxy", 0, FLAG_BOOL, O(sig_proxy), NULL, "Pass signals on to the process (default true)"},
};
const struct flag_table run_flags = FLAG_TABLE(run_rows);

#define NO_NAMES "networks have no names or addresses in this version, it has --network none and host"

#define REFUSED(name_, why_) {.name = (name_), .kind = FLAG_REFUSED, .help = (why_)}
#define REFUSED_BOOL(name_, why_) {.name = (name_), .kind = FLAG_REFUSED_BOOL, .help = (why_)}
static const struct flag refused_rows[] = {
	REFUSED("cpu-count", "it exists on Windows only"),
	REFUSED("cpu-percent", "it exists on Windows only"),
	REFUSED_BOOL("disable-content-trust", "signatures are not looked at: leave it out"),
	REFUSED("gpus", "device requests need a driver; add single devices with --device"),
	REFUSED("io-maxbandwidth", "it exists on Windows only"),
	REFUSED("io-maxiops", "it exists on Windows only"),
	REFUSED("kernel-memory", "the kernel dropped it; --memory counts kernel memory too"),
	REFUSED_BOOL("use-api-socket", "a tenant's socket has an issue of its own"),
};
const struct flag_table container_refused_flags = FLAG_TABLE(refused_rows);

int container_streams(const struct container_options *o, struct streams *ret, struct err *err)
{
	struct streams s = {};
	if (!o->attach && !o->detach)
		s = (struct streams) {.in = o->interactive, .out = true, .err = true};
	STRV_FOREACH (name, o->attach) {
		if (strcasecmp(name, "stdin") == 0)
			s.in = true;
		else if (strcasecmp(name, "stdout") == 0)
			s.out = true;
		else if (strcasecmp(name, "stderr") == 0)
			s.err = true;
		else
			return err_set(err, ERR_INVALID, "invalid argument \"%.60s\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR", name);
	}
	*ret = s;
	return 0;
}
