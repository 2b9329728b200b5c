/* conf.h -- nginx.conf, read into structs.
 *
 * conf_load gives a whole configuration or an error with file and line;
 * after that nothing in it changes, so every thread may read it.  Slices and
 * texts are NUL-terminated and live as long as the conf.
 *
 * Inheritance is done: a location's fields hold what is in force there,
 * whatever level it was written at.  A server's own settings are those of
 * its implicit location, server->root. */
#pragma once
#include "base/arena.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/regex.h"
#include "base/table.h"
#include <stdint.h>
#include <stdio.h>

struct certificate;
struct conf_server;

/* ---- texts with variables ---------------------------------------------- */

enum conf_part_kind {
    CONF_LITERAL,
    CONF_VARIABLE, /* $name, ${name}: text is the name, in lower case */
    CONF_CAPTURE   /* $1 to $9: index is the group */
};

struct conf_part {
    enum conf_part_kind kind;
    struct slice text;
    int index; /* CONF_VARIABLE: its place (conf->variables), or -1 where no
                * `set` or named group makes it: a built-in one */
};

/* See template.h.  A constant has one literal part, an empty text none. */
struct conf_template {
    struct slice source;
    struct conf_part *parts;
    unsigned count;
};

/* A variable that `set` or a named group makes.  A request keeps
 * conf->nvariables values and finds them by index. */
struct conf_variable {
    struct slice name;
    int index;
};

/* A regex of a location or a server name, and which group sets which
 * variable. */
struct conf_pattern {
    struct regex *regex;
    struct slice text;
    struct conf_group {
        unsigned group;
        const struct conf_variable *variable;
    } * named;
    unsigned nnamed;
};

/* ---- Lua code ---------------------------------------------------------- */

/* In the order that a request goes through them; a server's rewriting comes
 * before its locations are searched. */
enum conf_phase {
    CONF_SERVER_REWRITE,
    CONF_REWRITE,
    CONF_ACCESS,
    CONF_CONTENT,
    CONF_HEADER_FILTER,
    CONF_BODY_FILTER,
    CONF_LOG,
    CONF_PHASES,
    CONF_SET_LUA_PHASE = CONF_PHASES /* set_by_lua: an operation of rewriting */
};

struct conf_code {
    const char *directive; /* "content_by_lua", whichever form was written */
    bool is_file;
    struct slice text;  /* the source, or the path: absolute, unless it
                         * begins with a variable */
    struct slice chunk; /* "=content_by_lua(nginx.conf:12)", or "@PATH" */
    struct conf_template path; /* is_file: text with its variables; a
                                * relative result counts from the prefix */
    const char *file;          /* where it was written */
    unsigned line;
};

/* ---- locations --------------------------------------------------------- */

enum conf_location_kind {
    CONF_IMPLICIT,      /* a server's own settings */
    CONF_PREFIX,        /* location /x */
    CONF_PREFIX_ALWAYS, /* location ^~ /x: no regex is tried after it */
    CONF_EXACT,         /* location = /x */
    CONF_REGEX,         /* location ~ or ~* */
    CONF_NAMED,         /* location @x */
    CONF_WITHIN_IF
};

struct conf_header { /* add_header */
    struct slice name;
    struct conf_template value;
    bool always;
};

/* nginx's rewriting, in the order of writing. */
enum conf_op_kind {
    CONF_SET,
    CONF_SET_LUA,
    CONF_RETURN,
    CONF_IF,
    CONF_REWRITE_URI,
    CONF_BREAK
};

enum conf_test { /* of CONF_IF */
                 CONF_TEST_TRUE,
                 CONF_TEST_EQUAL,
                 CONF_TEST_MATCH,
                 CONF_TEST_FILE,
                 CONF_TEST_FOLDER,
                 CONF_TEST_EXISTS,
                 CONF_TEST_EXECUTABLE
};

enum conf_rewrite {
    CONF_REWRITE_ON, /* the operations that follow go on */
    CONF_REWRITE_LAST,
    CONF_REWRITE_BREAK,
    CONF_REWRITE_REDIRECT
};

struct conf_op {
    enum conf_op_kind kind;
    struct slice name;         /* set: the variable, lower case, no $ */
    int variable;              /* set: its index, or -1 for a built-in */
    unsigned status;           /* return, or a rewrite that redirects */
    bool has_text;             /* CONF_RETURN: `return 204;` has none */
    struct conf_template text; /* the value, body or URL; of CONF_IF what is
                                * tested */
    struct conf_code *code;    /* CONF_SET_LUA, with its arguments */
    struct conf_template *args;
    unsigned nargs;
    enum conf_test test; /* CONF_IF */
    bool negated;
    struct conf_template other;  /* CONF_TEST_EQUAL: with this */
    struct conf_pattern pattern; /* CONF_TEST_MATCH, CONF_REWRITE_URI */
    enum conf_rewrite flag;
    bool drop_args;             /* the replacement ended with '?' */
    struct conf_location *then; /* CONF_IF: what holds within */
    const void *node;           /* the loader's */
    struct conf_op *next;
};

enum conf_body_file { /* client_body_in_file_only */
                      CONF_BODY_MEMORY,
                      CONF_BODY_FILE,
                      CONF_BODY_FILE_CLEAN /* removed with its request */
};

struct conf_error_page {
    int status;              /* that of the refusal */
    int answer;              /* the answer's: 0: as it was; -1: as the page's */
    struct conf_template to; /* a path, "@name" or a URL */
    struct conf_error_page *next;
};

enum conf_escape { CONF_ESCAPE_DEFAULT, CONF_ESCAPE_JSON, CONF_ESCAPE_NONE };

struct conf_log_format {
    struct slice name;
    struct conf_template text;
    enum conf_escape escape;
    struct conf_log_format *next;
};

struct conf_access_log {
    const char *path; /* absolute */
    const struct conf_log_format *format;
    struct conf_access_log *next;
    struct conf_access_log *also; /* of conf->access_logs */
};

struct conf_type { /* of types{}: sorted by extension, lower case */
    struct slice extension, mime;
};

enum conf_tokens { CONF_TOKENS_OFF, CONF_TOKENS_ON, CONF_TOKENS_BUILD };

struct conf_resolver {
    struct slice servers; /* "192.0.2.1:53,[::1]:53" */
    bool ipv6;
};

enum conf_tls_protocol { /* the bits of stream_tls.h */
                         CONF_TLS_1_0 = 1,
                         CONF_TLS_1_1 = 2,
                         CONF_TLS_1_2 = 4,
                         CONF_TLS_1_3 = 8,
                         CONF_SSL_3 = 16
};

/* What scripts' sockets go by (ngx.socket); times in ms. */
struct conf_sockets {
    uint64_t connect_timeout, send_timeout, read_timeout, keepalive_timeout;
    uint64_t buffer_size;
    unsigned pool_size;
    bool log_errors;
    const struct conf_resolver *resolver; /* NULL: no names, only addresses */
    uint64_t resolver_timeout;
    /* TLS; paths are absolute, NULL: none. */
    const char *trusted, *crl, *certificate, *certificate_key;
    struct slice ciphers;
    unsigned protocols, verify_depth;
};

/* Who is believed about where a request comes from. */
struct conf_realip {
    struct ip_block *from;
    unsigned count;
    struct slice header;
    bool recursive;
};

struct conf_location {
    enum conf_location_kind kind;
    struct slice name; /* as written, without the modifier; "@x" */
    struct conf_pattern pattern;
    struct conf_server *server;
    const char *file;
    unsigned line;

    struct conf_location **exacts, **prefixes; /* sorted by name */
    struct conf_location **regexes;            /* in the order of writing */
    unsigned nexacts, nprefixes, nregexes;
    struct conf_location *shorter; /* the longest other prefix beside it that
                                    * its own name begins with */
    struct conf_location *children, *next; /* all, in the order of writing */

    struct conf_op *ops;                 /* not inherited */
    struct conf_code *code[CONF_PHASES]; /* content is not inherited */
    bool lua_code_cache, lua_need_request_body, lua_http10_buffering;
    bool lua_transform_underscores_in_response_headers;
    bool lua_check_client_abort, lua_use_default_type, log_subrequest;
    struct conf_error_page *error_pages;
    uint64_t postpone_output; /* less than this waits for more, or a flush */

    struct conf_template root; /* absolute, unless it begins with a
                                * variable; no slash at the end */
    bool alias;                /* root replaces the location's name */
    bool internal;
    struct conf_template *index;
    unsigned nindex;
    struct slice default_type;
    struct conf_type *types;
    unsigned ntypes;
    struct conf_header *headers;
    unsigned nheaders;
    struct conf_access_log *access_log; /* NULL: off, the default */

    uint64_t client_max_body_size; /* 0: no limit */
    uint64_t client_body_buffer_size;
    enum conf_body_file client_body_in_file_only;
    uint64_t client_body_timeout; /* this and those below: ms */
    uint64_t send_timeout;
    uint64_t keepalive_timeout; /* 0: connections are not kept */
    uint64_t keepalive_header;  /* for `Keep-Alive: timeout=`; 0: none */
    unsigned keepalive_requests;
    enum conf_tokens server_tokens;
    struct conf_sockets sockets;
    struct conf_realip realip;
};

/* ---- servers ----------------------------------------------------------- */

enum conf_name_kind {
    CONF_NAME_EXACT,
    CONF_NAME_SUFFIX, /* *.example.com: text is ".example.com" */
    CONF_NAME_PREFIX, /* www.example.*: text is "www.example." */
    CONF_NAME_REGEX   /* ~^www\d+\.example\.com$ */
};

struct conf_pem {     /* ssl_certificate, ssl_certificate_key */
    const char *path; /* absolute; NULL: none */
    const char *file; /* where that was written */
    unsigned line;
};

struct conf_certificate {
    const char *chain, *key;
    struct certificate *loaded;
    struct conf_certificate *next;
};

struct conf_server_name {
    enum conf_name_kind kind;
    struct slice text; /* lower case; "" is a request without a Host */
    struct conf_pattern pattern;
    struct conf_server *server;
    struct conf_server_name *next;
};

/* One address that is listened on, and the servers behind it. */
struct conf_listen {
    const char *address; /* "127.0.0.1:80", "[::]:80", "unix:/path" */
    const char *host;    /* "127.0.0.1", "0.0.0.0" for all, "::1", a name;
                          * NULL: unix */
    const char *path;    /* unix only */
    uint16_t port;
    bool is_default, reuseport, ipv6only, has_options;
    bool tls;
    const char *file; /* where it was first written */
    unsigned line;
    int backlog; /* -1: the system's default */
    struct conf_server *default_server;
    struct conf_server **servers;
    unsigned nservers;
    struct conf_server_name **exacts; /* sorted by text */
    unsigned nexacts;
    struct conf_server_name **wildcards; /* suffixes before prefixes, the
                                          * longest first */
    unsigned nwildcards;
    struct conf_server_name **regexes;
    unsigned nregexes;
    struct conf_listen *next;
};

struct conf_server {
    struct slice name; /* the first server_name as written, or "": what
                        * $server_name and the error log show */
    struct conf_server_name *names;
    struct conf_location *root; /* implicit: its own settings, the locations
                                 * as its children */
    struct conf_location **named;
    unsigned nnamed;
    uint64_t client_header_timeout; /* ms */
    uint64_t client_header_buffer_size;
    uint64_t large_header_buffers, large_header_buffer_size;
    bool underscores_in_headers;
    struct conf_pem certificate, certificate_key;
    unsigned tls_protocols;  /* of conf_tls_protocol */
    struct certificate *tls; /* behind `listen ... ssl`; NULL: the default
                              * server's */
    const char *file;
    unsigned line;
    struct conf_server *next;
};

/* ---- the whole --------------------------------------------------------- */

struct conf_shared_dict {
    struct slice name;
    uint64_t size;
    struct conf_shared_dict *next;
};

struct conf_thread_pool { /* for ngx.run_worker_thread; of each worker */
    struct slice name;
    unsigned threads, max_queue;
    struct conf_thread_pool *next;
};

struct conf_env {
    struct slice name;
    struct slice value; /* data is NULL: keep the one of the environment */
    struct conf_env *next;
};

struct conf_regex {
    struct regex *regex;
    struct conf_regex *next;
};

enum conf_secret_kind { CONF_SECRET_NONE, CONF_SECRET_FILE, CONF_SECRET_ENV };

struct conf_secret { /* file:PATH (absolute) or env:NAME */
    enum conf_secret_kind kind;
    const char *name;
};

struct conf_file { /* a file that was read, in that order; for -T */
    const char *path;
    struct slice text;
    struct conf_file *next;
};

/* How a save of a policy is noticed. */
enum conf_watch { CONF_WATCH_OFF, CONF_WATCH_ON, CONF_WATCH_POLL };

struct conf {
    struct arena arena;
    const char *prefix; /* absolute, ends with a slash */
    const char *path;   /* of the first file, absolute */
    struct conf_file *files;

    unsigned worker_processes;
    unsigned worker_connections;   /* 0: as descriptors allow */
    unsigned worker_rlimit_nofile; /* 0: leave it */
    struct conf_thread_pool *thread_pools;
    bool daemon, master_process;
    const char *error_log; /* absolute path, or "stderr" */
    enum log_level log_level;
    const char *pid;
    const char *user, *group; /* NULL: stay who we are */
    struct conf_env *env;

    struct slice lua_package_path;  /* data is NULL: LuaJIT's own */
    struct slice lua_package_cpath; /* $prefix is already replaced */
    struct conf_shared_dict *shared_dicts;
    bool uncached; /* lua_code_cache is off somewhere */
    unsigned lua_regex_cache_max_entries;
    unsigned lua_regex_match_limit;             /* 0: PCRE2's own */
    uint64_t lua_capture_error_log;             /* bytes; 0: off */
    uint64_t lua_run_timeout, lua_memory_limit; /* ms, bytes; 0: none */
    unsigned lua_max_pending_timers, lua_max_running_timers;
    unsigned lua_worker_thread_vm_pool_size;
    struct conf_code *init, *init_worker, *exit_worker;

    bool latchkey;      /* a directive of our own is in it; without one there
                         * is no store and no secret: just scripts */
    struct slice store; /* URL; the path of lmdb: is absolute */
    const char *apps;   /* absolute */
    enum conf_watch apps_watch;
    struct conf_secret master_key, service_key, admin_token;
    unsigned connections_per_address; /* 0: any number */
    const char *node;                 /* NULL: the host name */
    const char *event_log;            /* NULL: none */

    const struct conf_sockets *sockets; /* of http; NULL: there is none */
    struct conf_server *servers;
    struct conf_listen *listens; /* one for each address */
    struct conf_log_format *log_formats;
    struct conf_access_log *access_logs; /* all there are, by `also` */
    struct table variables;              /* name to struct conf_variable */
    unsigned nvariables;
    struct conf_regex *regexes; /* to be freed, as are these: */
    struct conf_certificate *certificates;
};

/* What a name means that no `set` makes: told by the code that has the
 * variables.  CONF_WRITABLE ones may be `set`. */
enum conf_builtin { CONF_UNKNOWN, CONF_READ_ONLY, CONF_WRITABLE };

struct conf_options {
    const char *prefix;    /* -p; NULL: the current directory */
    const char *file;      /* -c, relative to the prefix; NULL:
                            * scripts/latchkey.conf */
    const char *globals;   /* -g 'directives;', or NULL */
    const char *error_log; /* -e: the log where the file names none */
    /* NULL: any variable is taken to exist. */
    enum conf_builtin (*builtin)(struct slice name);
};

/* Reads the file and all that it includes.  ERR_CONFIG: err_text() is
 * nginx's sentence, as in `unknown directive "x" in /etc/x.conf:3`.  Free
 * with conf_free. */
enum err conf_load(struct conf **out, const struct conf_options *options);

/* Drops all; nobody may read it any more.  NULL is fine. */
void conf_free(struct conf *conf);

/* Every file that was read, as `nginx -T` prints them. */
void conf_dump(const struct conf *conf, FILE *out);

/* The variable that `set` or a named group makes, or NULL.  name is in lower
 * case. */
const struct conf_variable *conf_variable(const struct conf *conf,
                                          struct slice name);

/* What holds where nothing is configured. */
extern const struct conf_sockets conf_sockets_default;

/* The MIME type for a path by its extension, or the default type. */
struct slice conf_mime(const struct conf_location *at, struct slice path);
