/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-dns: the name server of containers (docs/adr/0014). Started by an engine with two descriptors (dns/proto.h) and /dev/null or a log as the
 * others; of no use to anybody else. The first process confines itself, leaves the keeper behind and exits 0; 1: it said on stderr why not.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "dns/confine.h"
#include "dns/keeper.h"
#include "dns/proto.h"

int main(void)
{
	struct err err = {0};
	int type = 0;
	socklen_t len = sizeof(type);
	if (getsockopt(DNS_FD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_DGRAM) {
		fprintf(stderr, "coffer-dns is a part of coffer, not a command\n");
		return 2;
	}
	if (chdir("/") < 0 || dns_confine_keeper(&err) < 0) {
		log_error("%s", err.msg[0] ? err.msg : "name server: no root directory");
		return 1;
	}
	pid_t pid = fork();
	if (pid < 0) {
		log_error("name server: starting: %s", strerror(errno));
		return 1;
	}
	if (pid > 0)
		_exit(0);
	(void) setsid(); /* not a group leader: does not fail */
	return keeper_run();
}
