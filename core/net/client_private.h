/* client_private.h -- what client.c and client_loop.c share. */
#pragma once
#include "net/client.h"
#include <curl/curl.h>

struct client {
    uv_loop_t *loop;
    CURLM *multi;
    CURLSH *share; /* TLS sessions, so that a new connection resumes one */
    uv_timer_t timer;
    struct client_watch *watches;
    struct client_request *requests;
    unsigned handles; /* of the loop's, not yet closed */
    bool closing;
    bool stalled; /* some request is */
    const char *ca_file;
    void (*on_closed)(void *user);
    void *user;
};

/* client.c: hands over the requests that curl is through with. */
void client_collect(struct client *c);

/* client_loop.c: puts multi and timer onto the loop; false: no memory. */
bool client_loop_open(struct client *c);

/* Closes the handles; the last one frees c and calls on_closed. */
void client_loop_close(struct client *c);

/* A CURLOPT_OPENSOCKETFUNCTION. */
curl_socket_t client_open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *to);
