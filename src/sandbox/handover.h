/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the creator hands to init over their socketpair: the root mount and one descriptor per bind mount of the plan, in the plan's
 * order, in batches of at most HANDOVER_BATCH. Init blocks until its maps are written, then until its mounts are there; while it mounts them the creator
 * makes its interfaces, and says when it has done everything.
 */
#pragma once

#include "base/err.h"

struct sandbox;

#define HANDOVER_BATCH 128

/** handover_maps() - creator's side: the id maps are written, init may become somebody and do what needs no mounts. */
int handover_maps(struct sandbox *s, struct err *err);
/** handover_await_maps() - init's side. */
int handover_await_maps(struct sandbox *s, struct err *err);
/** handover_send() - creator's side. */
int handover_send(struct sandbox *s, struct err *err);
/** handover_receive() - init's side. When the creator failed, init leaves without a word: the creator has reported. */
int handover_receive(struct sandbox *s, struct err *err);
/** handover_done() - creator's side: all that it does is done, the interfaces are there. */
int handover_done(struct sandbox *s, struct err *err);
/** handover_await_done() - init's side: nothing that the creator still fails at may go unnoticed. */
int handover_await_done(struct sandbox *s, struct err *err);
