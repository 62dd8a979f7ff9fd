/* SPDX-License-Identifier: Apache-2.0 */
#include "base/term.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

int term_raw(struct term *t, int fd)
{
	struct termios now;
	if (tcgetattr(fd, &now) < 0)
		return errno == ENOTTY || errno == EBADF ? 0 : -errno;
	t->before = now;
	cfmakeraw(&now);
	now.c_cc[VMIN] = 1;
	now.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSANOW, &now) < 0)
		return -errno;
	t->fd = fd;
	return 0;
}

void term_restore(struct term *t)
{
	if (t->fd < 0)
		return;
	/* from the background, tcsetattr() would stop us by SIGTTOU: a blocked one is as good as ignored (termios(3)) */
	sigset_t ttou, before;
	(void) sigemptyset(&ttou);
	(void) sigaddset(&ttou, SIGTTOU);
	(void) sigprocmask(SIG_BLOCK, &ttou, &before);
	(void) tcsetattr(t->fd, TCSANOW, &t->before); /* the terminal may be gone, then there is nothing to restore */
	(void) sigprocmask(SIG_SETMASK, &before, NULL);
	t->fd = -EBADF;
}

bool term_size(int fd, unsigned *ret_rows, unsigned *ret_cols)
{
	struct winsize w;
	if (ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
		return false;
	*ret_rows = w.ws_row;
	*ret_cols = w.ws_col;
	return true;
}
