/* platform.c -- WeChat's login call in constant time: each code is good, and
 * has a user and a session_key of its own.
 *
 * platform PORT MSEC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { REQUEST_MAX = 4096, CODE_MAX = 128 };

/* One connection; it waits while an answer is due (nobody pipelines). */
struct peer {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    int handles; /* not yet closed */
    size_t len;
    char request[REQUEST_MAX + 1], answer[512];
};

static uint64_t latency;

static void on_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    if (!--p->handles)
        free(p);
}

static void drop(struct peer *p)
{
    if (uv_is_closing((uv_handle_t *)&p->tcp))
        return;
    uv_close((uv_handle_t *)&p->tcp, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    if (status)
        drop(write->data);
}

/* 16 bytes in base64 that differ from code to code (FNV-1a). */
static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3;
    return h;
}

static void on_due(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    char code[CODE_MAX + 1] = "", body[256];
    const char *given = strstr(p->request, "js_code=");
    if (given)
        sscanf(given, "js_code=%128[A-Za-z0-9_-]", code);
    int len = snprintf(body, sizeof body,
                       "{\"session_key\":\"%016llxAAAAAA==\","
                       "\"openid\":\"o-%s\"}",
                       (unsigned long long)hash(code), code);
    int n = snprintf(p->answer, sizeof p->answer,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     len, body);
    uv_buf_t out = uv_buf_init(p->answer, (unsigned)n);
    p->len = 0;
    uv_write(&p->write, (uv_stream_t *)&p->tcp, &out, 1, on_written);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    (void)size;
    struct peer *p = handle->data;
    *out = uv_buf_init(p->request + p->len, (unsigned)(REQUEST_MAX - p->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
    (void)in;
    struct peer *p = stream->data;
    if (n < 0) { /* gone, or more than a request ever is */
        drop(p);
        return;
    }
    p->len += (size_t)n;
    p->request[p->len] = '\0';
    if (!strstr(p->request, "\r\n\r\n"))
        return;
    uv_update_time(stream->loop);
    uv_timer_start(&p->timer, on_due, latency, 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peer *p = status ? NULL : calloc(1, sizeof *p);
    if (!p)
        return;
    uv_tcp_init(listener->loop, &p->tcp);
    uv_timer_init(listener->loop, &p->timer);
    p->handles = 2;
    p->tcp.data = p->timer.data = p->write.data = p;
    uv_accept(listener, (uv_stream_t *)&p->tcp);
    uv_tcp_nodelay(&p->tcp, 1);
    uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    uv_tcp_t listener;
    if (argc != 3)
        return 2;
    latency = strtoull(argv[2], NULL, 10);
    uv_tcp_init(uv_default_loop(), &listener);
    uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
    uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    int rc = uv_listen((uv_stream_t *)&listener, 512, on_connection);
    if (rc) {
        fprintf(stderr, "platform: port %s: %s\n", argv[1], uv_strerror(rc));
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
