/* SPDX-License-Identifier: Apache-2.0 */
/* peak PROGRAM ARG...: run it, print the largest resident set in kB of it and its reaped descendants (getrusage(2)). A child of a small
 * process, because a resident set from before execve counts too. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage u;
	int status;
	pid_t pid = argc > 1 ? fork() : -1;
	if (pid == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &u) != pid || status != 0)
		return 1;
	printf("%ld\n", u.ru_maxrss);
	return 0;
}
