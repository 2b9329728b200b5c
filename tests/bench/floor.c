/* floor.c -- the least that an answer costs on libmicrohttpd: one constant
 * body, one thread, MHD's epoll descriptor under a poll loop, as core/net
 * drives it.
 *
 * floor PORT */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static struct MHD_Response *response;

static enum MHD_Result on_access(void *user, struct MHD_Connection *mhd,
                                 const char *url, const char *method,
                                 const char *version, const char *data,
                                 size_t *size, void **request)
{
    (void)user, (void)url, (void)method, (void)version, (void)data;
    if (!*request) {
        *request = response; /* the head; to answer now would close */
        return MHD_YES;
    }
    if (!*size)
        return MHD_queue_response(mhd, MHD_HTTP_OK, response);
    *size = 0; /* a body is read and thrown away */
    return MHD_YES;
}

static struct MHD_Daemon *start(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_access, NULL,
                            MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
}

static void serve(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd ready = { .fd = info->epoll_fd, .events = POLLIN };
    for (;;) {
        MHD_UNSIGNED_LONG_LONG msec;
        int timed = MHD_get_timeout(daemon, &msec) == MHD_YES;
        poll(&ready, 1, timed ? (int)msec : -1);
        MHD_run(daemon);
    }
}

int main(int argc, char **argv)
{
    static char body[] = "hello\n"; /* as latchkey.conf and nginx.conf say */
    if (argc != 2)
        return 2;
    response = MHD_create_response_from_buffer(sizeof body - 1, body,
                                               MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "text/plain");
    struct MHD_Daemon *daemon = start((uint16_t)atoi(argv[1]));
    if (!daemon) {
        fprintf(stderr, "floor: port %s: no daemon\n", argv[1]);
        return 1;
    }
    serve(daemon);
}
