/* redis_sentinel.c -- asks Sentinels who the master is. */
#include "store/redis_sentinel.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

enum { ASKERS = 2 }; /* a node has two links */

/* A round: one Sentinel after the other, until one knows.  Each is asked over
 * a connection of its own, which is closed after the answer. */
struct redis_sentinel {
    uv_loop_t *loop;
    const struct redis_conn_settings *settings;
    struct redis_link_settings link;
    unsigned at, asked;      /* the Sentinel in turn; how many were asked */
    struct redis_link *line; /* to it */
    struct redis_call call;
    struct redis_link *askers[ASKERS];
};

static void begin(struct redis_sentinel *s);

static void hang_up(struct redis_sentinel *s)
{
    struct redis_link *line = s->line;
    s->line = NULL;
    if (line)
        redis_link_close(line);
}

/* master NULL: nobody knows. */
static void tell(struct redis_sentinel *s, const struct redis_address *master)
{
    for (unsigned i = 0; i < ASKERS; i++) {
        struct redis_link *link = s->askers[i];
        s->askers[i] = NULL;
        if (link && master)
            redis_link_connect(link, master);
        if (link && !master) {
            err_set(ERR_CONNECT, "no Sentinel knows a master \"%s\"",
                    s->settings->url.master);
            redis_link_fail(link);
        }
    }
}

static void try_next(struct redis_sentinel *s)
{
    hang_up(s);
    s->at = (s->at + 1) % s->settings->url.count;
    if (s->asked == s->settings->url.count)
        tell(s, NULL);
    else
        begin(s);
}

static void on_master(struct redis_call *call, struct redisReply *reply)
{
    struct redis_sentinel *s =
        (struct redis_sentinel *)((char *)call -
                                  offsetof(struct redis_sentinel, call));
    struct redis_address master = { 0 };
    if (!reply)
        return; /* on_failure has gone on */
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !reply->element[0]->str || !reply->element[1]->str) {
        try_next(s);
        return;
    }
    snprintf(master.host, sizeof master.host, "%s", reply->element[0]->str);
    master.port = (unsigned)atoi(reply->element[1]->str);
    hang_up(s);
    tell(s, &master);
}

static void locate(struct redis_link *line)
{
    struct redis_sentinel *s = line->settings->owner;
    redis_link_connect(line, &s->settings->url.hosts[s->at]);
}

/* Of the line; it has its own way to try again, which is not wanted. */
static void on_failure(struct redis_link *line)
{
    struct redis_sentinel *s = line->settings->owner;
    if (line == s->line)
        try_next(s);
}

static void begin(struct redis_sentinel *s)
{
    struct slice words[] = { SLICE("SENTINEL"),
                             SLICE("get-master-addr-by-name"),
                             slice_str(s->settings->url.master) };
    struct redis_link *line = malloc(sizeof *line);
    s->asked++;
    if (!line) {
        tell(s, NULL);
        return;
    }
    s->line = line;
    s->call = (struct redis_call){ .on_reply = on_master };
    redis_link_start(line, s->loop, &s->link);
    if (s->line == line)
        redis_link_call(line, &s->call, words, 3);
}

void redis_sentinel_ask(struct redis_sentinel *s, struct redis_link *link)
{
    bool idle = !s->askers[0] && !s->askers[1];
    s->askers[s->askers[0] && s->askers[0] != link] = link;
    if (!idle)
        return;
    s->asked = 0;
    begin(s);
}

enum err redis_sentinel_new(struct redis_sentinel **out, uv_loop_t *loop,
                            const struct redis_conn_settings *settings)
{
    struct redis_sentinel *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(ERR_NOMEM, "no memory");
    s->loop = loop;
    s->settings = settings;
    s->link = (struct redis_link_settings){ .tls = settings->tls,
                                            .user = settings->url.user,
                                            .password = settings->url.password,
                                            .lenient = true,
                                            .locate = locate,
                                            .on_failure = on_failure,
                                            .owner = s };
    *out = s;
    return OK;
}

void redis_sentinel_free(struct redis_sentinel *s)
{
    if (!s)
        return;
    hang_up(s);
    free(s);
}
