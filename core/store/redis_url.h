/* redis_url.h -- what a redis:// URL says.
 *
 *   redis://[[user]:password@]host[:port][/db][?wait=N]     rediss:// for TLS
 *   redis+sentinel://[:password@]host[:port],...[/master[/db]]
 *   redis+cluster://[:password@]host[:port],... */
#pragma once
#include "base/err.h"
#include <stdbool.h>

enum { REDIS_HOST = 254, REDIS_HOSTS = 16, REDIS_TEXT = 256 };

enum redis_kind { REDIS_ALONE, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_address {
    char host[REDIS_HOST];
    unsigned port;
};

struct redis_url {
    enum redis_kind kind;
    bool tls;
    char user[REDIS_TEXT], password[REDIS_TEXT]; /* "": none */
    struct redis_address hosts[REDIS_HOSTS];     /* the Sentinels', or seeds */
    unsigned count;
    char master[REDIS_TEXT]; /* the name that Sentinels know */
    unsigned db;
    unsigned wait; /* replicas that must have a commit, 0: none */
};

/* ERR_CONFIG: err_text() says what is wrong and shows nothing of the URL. */
enum err redis_url_parse(struct redis_url *url, const char *text);
