/* listen.h -- addresses, and the servers behind each.  Loader only. */
#pragma once
#include "conf/scope.h"

/* A server block without `listen`: port 80 for root, else 8000. */
enum err listen_default(struct scope *s, const struct node *n);

/* When all servers are read: builds what server_find searches. */
enum err listen_index(struct conf *conf);
