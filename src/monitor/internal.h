/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of the monitor and who drives them. All of them live in one zeroed mapping with fixed tables: nothing is allocated
 * while a container runs, and a table entry costs memory only once it was used.
 *
 *   monitor.c  life cycle: setup, exit, linger, reaper; the tick
 *   conn.c     control connections: requests in, replies out, who waits for what
 *   process.c  the container or one exec: fork the creator, collect its reports, reap
 *   stdio.c    a process's pipes or terminal: output to log and clients, input from clients
 *   client.c   an attached stream: queue, frames, detach, leaving
 *   health.c   the health check: when it is due, what it said
 *   record.c   files in the bundle
 *   squeeze.c  the child that compresses rotated logs
 *   guard.c    the second process of a container that another runtime made
 *
 * Invariants
 *  E1 A client belongs to exactly one process while its state is not CLIENT_FREE, and its descriptor is a socket.
 *  E2 A process's output is read only while none of its clients that still takes part is full (proto.h, "slow readers").
 *  E3 A process is PROCESS_FLUSHED only when its outputs are closed, the log has its last record, and every client that takes part has
 *     an empty queue; only then its exit is recorded, and only then WAITs are answered.
 *  E4 A client's socket is closed only when it holds no unread input (api fact: the peer would get ECONNRESET).
 *  E5 Input is read from clients only while the process's input queue is empty, so one read always fits.
 */
#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/report.h"
#include "monitor/keys.h"
#include "monitor/log.h"
#include "monitor/monitor.h"
#include "monitor/proto.h"
#include "monitor/queue.h"

#define MONITOR_CONNS_MAX 256
#define MONITOR_WAITERS_MAX 512
#define MONITOR_EXECS_MAX 64    /* at once */
#define MONITOR_ATTACHED_MAX 32 /* clients of the container itself */
#define MONITOR_CLIENTS_MAX (MONITOR_ATTACHED_MAX + MONITOR_EXECS_MAX)

#define SCRATCH_SIZE (64 * 1024)     /* one read of output: a whole pipe */
#define INPUT_READ_MAX (16 * 1024)   /* one read of a client's input */
#define INPUT_QUEUE_MAX (32 * 1024)  /* input that waits for the process: one read, or what came before the start */

#define CLIENT_FULL (1024 * 1024)                    /* waiting bytes above which the process has to wait */
#define CLIENT_QUEUE_MAX (CLIENT_FULL + 256 * 1024)  /* room for what was read while the queue was just below that */
#define CLIENT_WINDOW_USEC (10 * USEC_PER_SEC)       /* in which a full client has to take ... */
#define CLIENT_WINDOW_BYTES (64 * 1024)              /* ... this much, or goes on without further output */
#define CLIENT_STALL_USEC (600 * USEC_PER_SEC)       /* without a byte taken: cut off */
#define CLIENT_DRAIN_USEC (2 * USEC_PER_SEC)         /* for a client to hang up after our end of file */
#define STDIO_DRAIN_USEC (2 * USEC_PER_SEC)          /* for output of background processes after the exit (as dockerd) */
#define TICK_MSEC 250

struct monitor;
struct process;

enum client_state {
	CLIENT_FREE,
	CLIENT_OPEN,     /* takes part */
	CLIENT_FLUSHING, /* no further output; what waits is delivered */
	CLIENT_DRAINING, /* we sent end of file; waiting for the peer to hang up */
};

struct client {
	struct loop_source src; /* src.fd owned */
	struct process *p;      /* whose stream it is */
	uint8_t state;          /* enum client_state */
	bool raw;               /* no frames */
	bool in_eof;            /* the peer will send no more */
	bool hup;               /* the peer is gone; only its unread input is left */
	bool full;              /* its queue is over CLIENT_FULL and the window runs */
	bool late;              /* flushing too slowly to be waited for */
	uint32_t streams;       /* 1 stdin, 2 stdout, 4 stderr */
	uint32_t window_taken;  /* bytes taken in this window */
	usec_t window_start;
	usec_t moved;           /* when it last took a byte; while draining: when that began */
	struct keys keys;
	struct queue out;
};

struct stdio {
	struct loop_source in;     /* in.fd owned: write end of stdin, or a dup of the terminal */
	struct loop_source out[2]; /* out[i].fd owned: read ends; out[0] alone is the terminal's master */
	int peer_fd;               /* owned; the terminal's other side, held so that it never hangs up before the exit; -EBADF */
	bool tty;
	bool takes_input;          /* opened with stdin */
	bool input_once;           /* close it when the first client that had it leaves */
	bool input_over;           /* no more input; in.fd is closed when the queue is empty */
	uint16_t rows, cols;       /* wanted size; 0: none asked for */
	struct queue input;
	usec_t drain_until;        /* after the exit */
};

enum process_state {
	PROCESS_FREE,
	PROCESS_READY,    /* not started yet */
	PROCESS_STARTING, /* creator forked; reports awaited */
	PROCESS_RUNNING,
	PROCESS_EXITED,   /* reaped; outputs are being drained */
	PROCESS_CLOSED,   /* outputs are closed; clients are being flushed */
	PROCESS_FLUSHED,  /* recorded and announced */
};

struct conn;

struct process {
	struct monitor *m;
	uint8_t state; /* enum process_state */
	bool creator_done, report_eof; /* what is awaited while starting */
	bool failed;                   /* it never ran; err says why */
	bool probe;                    /* an exec that is the health check's */
	char id[ID_LEN + 1]; /* of the exec; "": the container */
	struct loop_source creator; /* creator.fd owned: pidfd */
	struct loop_source report;  /* report.fd owned */
	struct loop_source init;    /* init.fd owned: pidfd of the process itself */
	int mounts_fd; /* owned; init's mount namespace, so that init need not take it apart before its end is seen; -EBADF */
	pid_t creator_pid, pid;
	struct conn *start_conn; /* who awaits the reply to START or EXEC; NULL: gone */
	uint32_t start_seq;
	uint16_t n_clients;  /* not CLIENT_FREE */
	struct stdio io;
	struct monitor_exit exit;
	struct err err;      /* why it failed */
};

struct conn {
	struct loop_source src; /* src.fd owned; fn NULL: free */
	struct monitor *m;
};

struct waiter {
	struct conn *conn; /* NULL: free */
	struct process *p;
	uint32_t seq;
};

struct health {
	bool on;
	bool timed_out, cut, probe_in_period; /* of the probe */
	struct monitor_health cfg;
	struct loop_source timer; /* timer.fd owned; nothing of this without @on */
	struct process *probe;    /* the one that runs; NULL: none */
	int64_t probe_start_ns;
	uint32_t status;          /* enum monitor_health_status */
	uint32_t streak;
	usec_t started;           /* the container */
	struct queue out;         /* of the probe */
};

/* The child that compresses a rotated log. */
struct squeeze {
	struct loop_source src; /* src.fd owned: pidfd */
	struct monitor *m;
	pid_t pid; /* 0: none */
};

struct monitor {
	struct loop loop;
	const struct monitor_ops *ops;
	int bundle_fd;                /* owned; -EBADF before SETUP */
	int log_dir_fd;               /* owned; -EBADF */
	int lock_fd;                  /* owned; the container's lock, lent for the start; -EBADF */
	int guard_fd;                 /* owned; its end tells the guard that we are gone; -EBADF: none */
	struct loop_source listener;  /* listener.fd owned */
	bool engine_gone;             /* the setup connection is closed */
	bool leaving;                 /* WAITs are answered: only slow clients are left */
	bool trimmed;                 /* memory has been given back since the last activity */
	bool reaped;                  /* a reaper has been started */
	bool quit;
	uint16_t n_conns, n_waiters, n_clients, n_execs;
	usec_t next_tick;             /* 0: none needed */
	usec_t last_activity;
	struct monitor_setup setup;
	struct process container;
	struct health health;
	uint8_t *scratch;             /* owned mapping of SCRATCH_SIZE, for one callback at a time */
	struct conn conns[MONITOR_CONNS_MAX]; /* [0]: the setup connection */
	struct waiter waiters[MONITOR_WAITERS_MAX];
	struct client clients[MONITOR_CLIENTS_MAX];
	struct process execs[MONITOR_EXECS_MAX];
	struct squeeze squeeze;
	struct log log;
};

/* monitor.c */
/** monitor_tick_soon() - have the tick look at deadlines. */
void monitor_tick_soon(struct monitor *m);
/** monitor_failed() - the container did not start: answer, clean up, leave. */
void monitor_failed(struct monitor *m);
/** monitor_engine_gone() - the setup connection has closed. */
void monitor_engine_gone(struct monitor *m);

/* conn.c */
int conn_listen(struct monitor *m, struct err *err);
/** conn_add() - serve @fd (owned in every case). Return: the connection, or NULL at the ceiling. */
struct conn *conn_add(struct monitor *m, int fd);
void conn_close(struct conn *c);
/** conn_reply() - @c may be NULL (nobody is there any more). */
void conn_reply(struct conn *c, uint32_t seq, const void *body, uint32_t len);
void conn_reply_err(struct conn *c, uint32_t seq, const struct err *err);
/** conn_announce() - answer everybody who waits for @p. */
void conn_announce(struct monitor *m, struct process *p);
/** conn_engine_asks() - whether a request on the setup connection has not been read yet. */
bool conn_engine_asks(struct monitor *m);
/** conn_part() - the setup connection's last word: nothing will be answered on it any more. Return: whether somebody is still there to see that, who then reaps. In
 *  that order, since an engine that leaves does it the other way round (watch.c, let_go()): one of us two sees the other go. */
bool conn_part(struct monitor *m);
/** conn_engine_there() - whether somebody still holds the setup connection, events not dispatched yet included. */
bool conn_engine_there(struct monitor *m);

/* process.c */
void process_init(struct process *p, struct monitor *m, const char *id, uint32_t flags);
/** process_start() - make its stdio and fork its creator. @output: whether anybody reads it, else /dev/null. What fails later is answered
 *  to start_conn. */
int process_start(struct process *p, bool output, struct err *err);
void process_kill_init(struct process *p);
/** process_settle() - take it from exited to closed to flushed as far as E3 allows. */
void process_settle(struct process *p);
/** process_reap_strays() - reap children that nobody knows: those of a creator that died before it could report them. */
void process_reap_strays(struct monitor *m);
/** process_keep_only() - in a fresh child: close every descriptor above 2 but @keep, which is sorted on the way. */
void process_keep_only(int *keep, size_t n);

/* health.c */
/** health_setup() - there is a health check. Return: 0 or -errno. */
int health_setup(struct monitor *m, const struct monitor_health *cfg);
/** health_started() / health_stopped() - the container runs, or has ended. */
void health_started(struct monitor *m);
void health_stopped(struct monitor *m);
/** health_probe_runs() / health_probe_over() - of a process with .probe: it is running; it is flushed, and about to be freed. */
void health_probe_runs(struct process *p);
void health_probe_over(struct process *p);
/** health_output() - @len bytes of the probe's output in the scratch page. */
void health_output(struct monitor *m, size_t len);

/* guard.c */
/** guard_start() - fork the process that kills the container when the monitor is killed. Return: 0 or -errno. */
int guard_start(struct monitor *m);

/* stdio.c */
/** stdio_open() - make the pipes. @ret: the process's ends, owned by the caller; -EBADF with a terminal. */
int stdio_open(struct process *p, bool output, int ret[3]);
/** stdio_console() - the terminal has arrived. */
int stdio_console(struct process *p, int master_consume);
int stdio_resize(struct process *p, uint16_t rows, uint16_t cols);
/** stdio_feed() - input from a client. What the process no longer wants is dropped. Return: 0; -ENOBUFS (only before the start). */
int stdio_feed(struct process *p, const uint8_t *buf, size_t len);
/** stdio_input_over() - close the process's stdin behind what waits. */
void stdio_input_over(struct process *p);
/** stdio_drain() - the process is gone: read what is left, then close. */
void stdio_drain(struct process *p);
/** stdio_tick() - enforce the deadline of stdio_drain(). */
void stdio_tick(struct process *p, usec_t now);
/** stdio_update() - read output exactly while E2 holds. */
void stdio_update(struct process *p);
void stdio_close(struct process *p);

/* client.c */
/** client_add() - attach @fd (owned in every case) to @p. @early: input that had been read already. */
int client_add(struct process *p, int fd, const struct monitor_attach *a, const uint8_t *early, struct err *err);
/** client_push() - output of @stream (1 stdout, 2 stderr, 3 a message of ours for everybody) to client @c. */
void client_push(struct client *c, int stream, const uint8_t *buf, size_t len);
/** client_finish() - no more output: flush, send end of file, drain, close. */
void client_finish(struct client *c);
/** client_update() - watch what its state asks for. */
void client_update(struct client *c);
/** client_tick() - deadlines. */
void client_tick(struct client *c, usec_t now);
/** client_is_full() - must its process wait for it? */
static inline bool client_is_full(const struct client *c)
{
	return c->state == CLIENT_OPEN && !c->hup && c->out.used >= CLIENT_FULL;
}
/** client_is_awaited() - must the exit wait for it? */
static inline bool client_is_awaited(const struct client *c)
{
	return c->state == CLIENT_OPEN || (c->state == CLIENT_FLUSHING && !c->late);
}
#define CLIENT_FOREACH(c, p_)                                                                                                              \
	for (struct client *c = (p_)->m->clients, *c##_end = c + ((p_)->n_clients ? MONITOR_CLIENTS_MAX : 0); c < c##_end; c++)                \
		if (c->state != CLIENT_FREE && c->p == (p_))

/* record.c */
/** record_write() - put @name into the bundle whole, by a temporary name. Return: 0 or -errno. */
int record_write(int dir_fd, const char *name, const void *buf, size_t len);
/** record_exec_name() - "exec-<id><suffix>". */
#define RECORD_NAME_MAX (ID_LEN + 16)
const char *record_exec_name(char buf[RECORD_NAME_MAX], const char *id, const char *suffix);
/** record_read_exit() - the exit of an exec that is over. Return: 0 or -errno. */
int record_read_exit(int dir_fd, const char *exec_id, struct monitor_exit *ret);
/** reaper_exec() - become `REAPER reap ID` with nothing of the environment but COFFER_*. Return: -errno. */
int reaper_exec(const struct monitor_setup *setup);

/* squeeze.c */
/** squeeze_next() - have a rotated log compressed, if there is one and nobody is at it. */
void squeeze_next(struct monitor *m);

/* trim.c */
/** trim_init() - once, at the start. */
void trim_init(void);
/** trim_and_wait() - give back text and dead stack, then wait until @epfd has something, without taking it. Returns on signals, too. */
void trim_and_wait(int epfd);
