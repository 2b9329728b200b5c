/* redis_greeting.c -- what a connection to Redis says before its first
 * command. */
#include "store/redis_greeting.h"
#include <hiredis/hiredis.h>
#include <stdio.h>

enum { AUTH, SELECT, ROLE, LOAD };

static struct redis_link *link_of(struct redis_call *call, unsigned index)
{
    return (struct redis_link *)((char *)call -
                                 offsetof(struct redis_link, greetings) -
                                 index * sizeof *call);
}

static void refuse(struct redis_link *link)
{
    link->refused = true;
    redis_link_fail(link);
}

static void greeted(struct redis_link *link)
{
    if (++link->greeted == link->greeting_count)
        redis_link_ready(link);
}

static bool is_error(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR;
}

static void on_auth(struct redis_call *call, struct redisReply *reply)
{
    struct redis_link *link = link_of(call, AUTH);
    if (!reply)
        return; /* the link has failed and says why */
    if (is_error(reply) && !link->settings->lenient) {
        err_set(ERR_REFUSED, "it refuses the password: %s", reply->str);
        refuse(link);
    } else {
        greeted(link);
    }
}

static void on_select(struct redis_call *call, struct redisReply *reply)
{
    struct redis_link *link = link_of(call, SELECT);
    if (!reply)
        return;
    if (!is_error(reply)) {
        greeted(link);
        return;
    }
    if (!strncmp(reply->str, "NOAUTH", 6))
        err_set(ERR_REFUSED, "it wants a password");
    else
        err_set(ERR_REFUSED, "it refuses database %u: %s", link->settings->db,
                reply->str);
    refuse(link);
}

static void on_role(struct redis_call *call, struct redisReply *reply)
{
    struct redis_link *link = link_of(call, ROLE);
    if (!reply)
        return;
    bool told = reply->type == REDIS_REPLY_ARRAY && reply->elements &&
                reply->element[0]->type == REDIS_REPLY_STRING;
    if (told && strcmp(reply->element[0]->str, "master")) {
        err_set(ERR_CONNECT, "it is a replica");
        redis_link_fail(link);
    } else {
        greeted(link); /* who may not ask will see at the first write */
    }
}

static void on_load(struct redis_call *call, struct redisReply *reply)
{
    struct redis_link *link = link_of(call, LOAD);
    if (!reply)
        return;
    if (!is_error(reply)) {
        greeted(link);
        return;
    }
    err_set(ERR_CONNECT, "%s", reply->str); /* LOADING, for one */
    redis_link_fail(link);
}

static void say(struct redis_link *link, unsigned index,
                void (*on_reply)(struct redis_call *, struct redisReply *),
                const struct slice *words, unsigned count)
{
    struct redis_call *call = &link->greetings[index];
    *call = (struct redis_call){ .on_reply = on_reply };
    redis_link_say(link, call, words, count);
    link->greeting_count++;
}

bool redis_greeting_start(struct redis_link *link)
{
    const struct redis_link_settings *s = link->settings;
    char db[16];
    link->greeted = link->greeting_count = 0;
    struct slice auth[] = { SLICE("AUTH"), slice_str(s->user),
                            slice_str(s->password) };
    if (*s->password && !*s->user)
        auth[1] = auth[2];
    if (*s->password)
        say(link, AUTH, on_auth, auth, *s->user ? 3 : 2);
    snprintf(db, sizeof db, "%u", s->db);
    struct slice select[] = { SLICE("SELECT"), slice_str(db) };
    if (!s->lenient)
        say(link, SELECT, on_select, select, 2);
    if (s->master)
        say(link, ROLE, on_role, &SLICE("ROLE"), 1);
    struct slice load[] = { SLICE("SCRIPT"), SLICE("LOAD"),
                            slice_str(s->script) };
    if (s->script)
        say(link, LOAD, on_load, load, 3);
    return link->greeting_count > 0;
}
