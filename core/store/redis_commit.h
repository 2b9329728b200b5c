/* redis_commit.h -- a commit as one script that Redis runs as a whole. */
#pragma once
#include "store/redis_conn.h"
#include "store/store.h"

/* The script, to be loaded where a connection begins. */
extern const char redis_commit_script[];

/* Sends the commit, sealed already.  PENDING, then on_settled with OK,
 * ERR_CONFLICT or ERR_STORE and its err_text(); or ERR_STORE at once. */
enum err redis_commit_start(struct redis_conn *conn, struct store_commit *c,
                            void (*on_settled)(struct store_commit *c,
                                               enum err e));
