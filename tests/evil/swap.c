/* SPDX-License-Identifier: Apache-2.0 */
/* swap A B: exchange the two names as fast as the kernel can, until killed (renameat2(2) RENAME_EXCHANGE). The other side of every
 * time-of-check race. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
		perror("renameat2");
		return 1;
	}
	(void) write(STDOUT_FILENO, "up\n", 3);
	for (;;)
		(void) syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
}
