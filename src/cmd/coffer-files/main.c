/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-files: everything in which the engine touches bytes inside a container, confined. Started by the engine with its descriptors
 * (files/proto.h); of no use to anybody else. Exit: 0 done or failed and said so; 1 could not say.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "files/serve.h"
#include "kernel/helper.h"
#include "sandbox/view.h"

static int say(const struct files_msg *m)
{
	return send_fds(FILES_FD_SOCK, m, sizeof(*m), NULL, 0) < 0 ? 1 : 0;
}

static int say_failed(const struct err *err)
{
	struct files_msg m = {.kind = FILES_FAILED};
	m.err = *err;
	return say(&m);
}

static enum view_kind kind_of(uint32_t job)
{
	return job == FILES_EXPORT ? VIEW_BARE : job == FILES_CHANGES || job == FILES_LAYER ? VIEW_LAYERS : VIEW_ROOT;
}

static int mind(const struct pidref *child)
{
	/* hold nothing that the child works on */
	(void) close(FILES_FD_STREAM);
	(void) close(FILES_FD_CONTAINER);
	(void) close(FILES_FD_BUNDLE);
	return helper_mind(child, FILES_FD_SOCK);
}

static int serve(const struct files_request *req, const struct view *v, struct err *err)
{
	static struct files_msg done;
	struct files_view view = {.root = v->root, .upper = v->upper, .lower = v->lower, .lookup = user_lookup};
	int r = files_confine(req, &view, err);
	r = r < 0 ? r : files_serve(req, &view, &done, err);
	return r < 0 ? say_failed(err) : say(&done);
}

int main(void)
{
	static struct files_request req;
	struct err err = {0};
	struct view v = {-EBADF, -EBADF, -EBADF};
	struct pidref child = PIDREF_NULL;
	size_t n = 0;
	ssize_t len = recv_fds(FILES_FD_SOCK, &req, sizeof(req), NULL, &n);
	if (len != (ssize_t) sizeof(req) || req.magic != FILES_MAGIC || req.job == 0 || req.job >= FILES_JOB_MAX_) {
		fprintf(stderr, "coffer-files is a part of coffer, not a command\n");
		return 2;
	}
	req.path[sizeof(req.path) - 1] = req.user[sizeof(req.user) - 1] = req.fail_step[sizeof(req.fail_step) - 1] = '\0';
	(void) signal(SIGPIPE, SIG_IGN); /* cannot fail; a reader that left is an error like any other */
	const struct view_args a = {.kind = kind_of(req.job), .running = req.flags & FILES_RUNNING, .pidfd = FILES_FD_CONTAINER, .pid = req.pid, .config_fd = FILES_FD_CONTAINER,
		.bundle_fd = FILES_FD_BUNDLE, .fail_step = req.fail_step};
	int r = view_open(&a, &v, &child, &err);
	int code = r > 0 ? mind(&child) : r < 0 ? say_failed(&err) : serve(&req, &v, &err);
	_exit(code); /* no atexit handler has anything to do here */
}
