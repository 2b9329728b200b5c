/* redis_greeting.h -- what a connection to Redis says before its first
 * command: password, database, whether it is the master, the script. */
#pragma once
#include "store/redis_link.h"

/* Writes it, in one go, as link->settings want it; false: there is nothing to
 * say.  When all is answered well comes redis_link_ready, otherwise
 * redis_link_fail, with link->refused where the server's word is final. */
bool redis_greeting_start(struct redis_link *link);
