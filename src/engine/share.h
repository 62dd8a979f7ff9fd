/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces that are not the container's own: the host's (where the operator allows it), and another container's. Who joins a network, IPC or pid
 * namespace joins the user namespace that owns it, and with that the other's range of ids, for life; the other may stop, start again
 * and go meanwhile. Which process that is is looked up at every start.
 */
#pragma once

#include "engine/internal.h"
#include "spec/runtime.h"

enum share {
	SHARE_OWN,  /* a namespace of its own */
	SHARE_NONE, /* IPC: the same, and no /dev/shm */
	SHARE_HOST,
	SHARE_JOIN, /* container:X */
	SHARE_INVALID_,
};

/** share_of() - what @r says about @kind (NS_NET, NS_IPC, NS_PID, NS_UTS, NS_CGROUP). *@ret_ref: X of SHARE_JOIN, borrowed; may be NULL. */
enum share share_of(const struct container_request *r, enum ns_kind kind, const char **ret_ref);
/** share_is_own() - whether the namespace is the container's own. */
bool share_is_own(const struct container_request *r, enum ns_kind kind);
/** share_joins() - whether @r joins any namespace of another container. */
bool share_joins(const struct container_request *r);

/** shares_check() - modes that there are, the operator's word for the host's, and what cannot go together. Part of policy_check(). */
int shares_check(const struct engine *e, const struct container_request *r, struct err *err);
/** shares_conflicts() - what a client must not ask for together: checked once, at create, before defaults are filled in. */
int shares_conflicts(const struct container_request *r, struct err *err);
/** shares_adopt() - at create: the containers that @own names are found and written down by id, and c->idmap is theirs, with one more holder. Inside the transaction.
 *  Return: 1 adopted, 0 nothing is joined, <0. */
int shares_adopt(struct engine *e, struct container *c, struct container_request *own, struct err *err);

struct share_target {
	bool joined; /* by path; else the namespace is @host's or the container's own */
	bool host;
	struct join_spec who; /* name owned */
	char id[ID_LEN + 1];
};

struct shares {
	struct share_target v[NS_KIND_MAX_]; /* NS_NET, NS_IPC, NS_PID, and NS_USER when any of them is joined */
};
void shares_done(struct shares *s);
#define _cleanup_shares_ _cleanup_(shares_done)

/** shares_find() - at start: the processes whose namespaces are to be joined. ERR_CONFLICT in docker's words when one does not run. */
int shares_find(struct engine *e, const struct container *c, struct shares *ret, struct err *err);
