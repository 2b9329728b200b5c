/* setters.h -- every function that the directive table names, by file. */
#pragma once
#include "conf/directive.h"

/* setting.c: a field of that type. */
setter setting_flag;    /* bool */
setter setting_number;  /* unsigned */
setter setting_size;    /* uint64_t, bytes */
setter setting_msec;    /* uint64_t, ms */
setter setting_text;    /* struct slice */
setter setting_path;    /* const char *, from the prefix */
setter setting_present; /* bool, by being there */
setter setting_nothing; /* accepted, without effect */

/* process.c: how the process runs. */
setter process_workers;
setter process_error_log;
setter process_user;
setter process_env;
setter process_use;
setter process_thread_pool;

/* block.c */
setter block_events;
setter block_http;
setter block_server;
setter block_location;

/* What holds within an `if` of the block at hand, which is already whole. */
enum err block_if(struct scope *s, const struct node *n,
                  struct conf_location **out);

/* code.c: by_lua directives of all three forms. */
setter code_set;

/* Code that is not alone in its statement: arg is the one that has it. */
enum err code_make(struct scope *s, const struct directive *d,
                   const struct node *n, unsigned arg, struct conf_code **out);

/* scripting.c: the state that scripts run in. */
setter scripting_path;
setter scripting_dict;
setter scripting_capture;
setter scripting_cache;
setter scripting_core;

/* sockets.c: what scripts connect to. */
setter sockets_resolver;
setter sockets_certificate;
setter sockets_protocols;

/* realip.c */
setter realip_from;
setter realip_header;

/* latchkey.c: our own. */
setter latchkey_store;
setter latchkey_apps;
setter latchkey_secret;
setter latchkey_node;

/* content.c: how files and headers are answered. */
setter content_root;
setter content_index;
setter content_types;
setter content_header;
setter content_error_page;
setter content_tokens;
setter content_body_file;
setter content_keepalive;
setter content_large_buffers;

/* logging.c */
setter logging_format;
setter logging_access;

/* rewrite.c */
setter rewrite_set;
setter rewrite_set_lua;
setter rewrite_return;
setter rewrite_uri;
setter rewrite_break;
setter rewrite_if; /* twice: among the settings, and among the blocks */

/* tls.c: of listeners */
setter tls_file;

/* listen.c, server.c */
setter listen_set;
setter server_names;
