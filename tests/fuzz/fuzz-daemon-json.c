/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.json: any file is read, or refused with its name in the reason; what is read is within the rules. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/coffer/daemon_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("daemon.json", MFD_CLOEXEC);
	struct daemon_config c;
	struct err err = {0};
	char path[64];
	if (fd < 0 || write_all(fd, data, size) < 0)
		return 0;
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (daemon_config_read(path, /* must= */ true, &c, &err) < 0) {
		if (!err.msg[0] || !strstr(err.msg, path))
			abort();
		return 0;
	}
	struct network_defaults d;
	if (network_defaults_read(&c.networks, &d, &err) >= 0)
		network_defaults_done(&d);
	else if (!err.msg[0])
		abort();
	STRV_FOREACH(host, c.hosts)
		if (!str_eq(host, "fd://") && !str_after(host, "unix:///"))
			abort();
	if ((c.data_root && *c.data_root != '/') || (c.exec_root && *c.exec_root != '/') || (c.pidfile && *c.pidfile != '/'))
		abort();
	daemon_config_done(&c);
	return 0;
}
