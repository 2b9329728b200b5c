/* test_conf.c -- whole configurations: defaults, inheritance, includes, paths
 * and what is refused. */
#include "conf_fixture.h"

/* A path below the prefix. */
static void assert_path(const struct fixture *f, const char *got,
                        const char *want)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", f->prefix, want);
    assert_string_equal(got, whole);
}

/* ---- what is not said -------------------------------------------------- */

static void an_empty_file_gives_the_defaults(void **state)
{
    struct fixture *f = *state;
    struct conf *c = fixture_load(f, "");
    assert_int_equal(c->worker_processes, 1);
    assert_int_equal(c->worker_connections, 0); /* by descriptors */
    assert_int_equal(c->connections_per_address, 256);
    assert_false(c->daemon);
    assert_true(c->master_process);
    assert_string_equal(c->error_log, "stderr");
    assert_int_equal(c->log_level, LOG_ERR);
    assert_path(f, c->prefix, "");
    assert_path(f, c->pid, "var/latchkey.pid");
    assert_path(f, c->apps, "scripts/apps");
    assert_true(c->apps_watch);
    assert_true(slice_starts(c->store, SLICE("lmdb:/tmp/test-conf-")));
    assert_non_null(strstr(c->store.data, "/var/store"));
    assert_int_equal(c->master_key.kind, CONF_SECRET_FILE);
    assert_path(f, c->master_key.name, "var/master.key");
    assert_path(f, c->admin_token.name, "var/admin.token");
    assert_int_equal(c->service_key.kind, CONF_SECRET_NONE);
    assert_null(c->node);
    assert_null(c->user);
    assert_null(c->servers);
    assert_null(c->lua_package_path.data);
}

static void a_server_starts_from_nginx_s_defaults(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { } }");
    const struct conf_location *at = fixture_server(f);
    assert_int_equal(at->kind, CONF_IMPLICIT);
    assert_path(f, at->root.source.data, "html");
    assert_slice(at->index[0].source, "index.html");
    assert_slice(at->default_type, "text/plain");
    assert_int_equal(at->client_max_body_size, 1 << 20);
    assert_int_equal(at->keepalive_timeout, 75000);
    assert_int_equal(at->keepalive_requests, 1000);
    assert_int_equal(at->client_body_timeout, 60000);
    assert_int_equal(at->send_timeout, 60000);
    assert_int_equal(at->server_tokens, CONF_TOKENS_ON);
    assert_true(at->lua_code_cache);
    assert_null(at->access_log);
    assert_int_equal(f->conf->servers->client_header_timeout, 60000);
    assert_int_equal(f->conf->servers->client_header_buffer_size, 1024);
    assert_int_equal(f->conf->servers->large_header_buffers, 4);
    assert_int_equal(f->conf->servers->large_header_buffer_size, 8192);
    assert_false(f->conf->servers->underscores_in_headers);
    assert_slice(conf_mime(at, SLICE("/a/b.HTML")), "text/html");
    assert_slice(conf_mime(at, SLICE("/a.jpg/b")), "text/plain");
    assert_slice(conf_mime(at, SLICE("/")), "text/plain");
}

/* ---- the samples ------------------------------------------------------- */

static void the_contract_s_sample_loads(void **state)
{
    struct fixture *f = *state;
    struct conf *c =
        fixture_load(f, "worker_processes auto;\n"
                        "error_log stderr info;\n"
                        "http {\n"
                        "    lua_package_path "
                        "\"$prefix/lua/?.lua;${prefix}/lua/?/init.lua;;\";\n"
                        "    lua_shared_dict limits 16m;\n"
                        "    latchkey_store lmdb:var/store;\n"
                        "    latchkey_apps scripts/apps;\n"
                        "    server {\n"
                        "        listen 127.0.0.1:8080;\n"
                        "        location /v1/ { content_by_lua_block { "
                        "require(\"latchkey.api\").serve() } }\n"
                        "        location /legacy/ { content_by_lua_file "
                        "scripts/routes/legacy.lua; }\n"
                        "    }\n"
                        "    server {\n"
                        "        listen 127.0.0.1:9090;\n"
                        "        location / { content_by_lua_block { "
                        "require(\"latchkey.admin\").serve() } }\n"
                        "    }\n"
                        "}\n");
    char want[256];
    snprintf(want, sizeof want, "%s/lua/?.lua;%s/lua/?/init.lua;;", f->prefix,
             f->prefix);
    assert_slice(c->lua_package_path, want);
    assert_true(c->worker_processes >= 1);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_slice(c->shared_dicts->name, "limits");
    assert_int_equal(c->shared_dicts->size, 16 << 20);
    assert_string_equal(c->listens->address, "127.0.0.1:8080");
    assert_string_equal(c->listens->next->address, "127.0.0.1:9090");
    const struct conf_location *v1 = fixture_location(f);
    const struct conf_code *code = v1->code[CONF_CONTENT];
    assert_slice(code->text, " require(\"latchkey.api\").serve() ");
    assert_slice(code->chunk, "=content_by_lua(nginx.conf:10)");
    code = v1->next->code[CONF_CONTENT];
    assert_true(code->is_file);
    assert_path(f, code->text.data, "scripts/routes/legacy.lua");
    assert_int_equal(code->chunk.data[0], '@');
    assert_path(f, code->chunk.data + 1, "scripts/routes/legacy.lua");
}

static void what_test_nginx_writes_loads(void **state)
{
    struct fixture *f = *state;
    struct conf *c = fixture_load(
        f, "worker_processes  1;\ndaemon on;\nmaster_process off;\n"
           "error_log logs/error.log debug;\npid       logs/nginx.pid;\n"
           "user nobody;\n"
           "http {\n"
           "    access_log logs/access.log;\n"
           "    client_body_temp_path t/client_temp;\n"
           "    proxy_temp_path t/proxy_temp;\n"
           "    fastcgi_temp_path t/fastcgi_temp;\n"
           "    scgi_temp_path t/scgi_temp;\n"
           "    uwsgi_temp_path t/uwsgi_temp;\n"
           "    default_type text/plain;\n"
           "    keepalive_timeout 68000ms;\n"
           "    server {\n"
           "        listen          1984;\n"
           "        server_name     'localhost';\n"
           "        client_max_body_size 30M;\n"
           "        location = /t { content_by_lua 'ngx.say(1)\n'\n; }\n"
           "        location / { root html; index index.html index.htm; }\n"
           "    }\n"
           "}\n"
           "events { accept_mutex off; worker_connections 64; }\n"
           "env PATH;\nenv A=b=c;\n");
    assert_true(c->daemon);
    assert_false(c->master_process);
    assert_path(f, c->error_log, "logs/error.log");
    assert_path(f, c->pid, "logs/nginx.pid");
    assert_string_equal(c->user, "nobody");
    assert_int_equal(c->worker_connections, 64);
    assert_slice(c->env->name, "PATH");
    assert_null(c->env->value.data);
    assert_slice(c->env->next->name, "A");
    assert_slice(c->env->next->value, "b=c");
    const struct conf_location *at = fixture_location(f);
    assert_int_equal(at->keepalive_timeout, 68000);
    assert_int_equal(at->client_max_body_size, 30 << 20);
    assert_path(f, at->access_log->path, "logs/access.log");
    assert_slice(at->access_log->format->name, "combined");
    assert_slice(at->code[CONF_CONTENT]->text, "ngx.say(1)\n");
    assert_slice(at->code[CONF_CONTENT]->chunk,
                 "=content_by_lua(nginx.conf:22)"); /* where the ; is */
    assert_int_equal(at->next->nindex, 2);
    assert_int_equal(c->listens->port, 1984);
    assert_slice(c->servers->name, "localhost");
}

/* ---- inheritance ------------------------------------------------------- */

static void settings_reach_blocks_written_before_them(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { location /a { location /a/b { "
                    "send_timeout 3; } } send_timeout 2; root r; } "
                    "client_body_timeout 7; lua_code_cache off; }");
    const struct conf_location *a = fixture_location(f), *b = a->children;
    assert_int_equal(a->send_timeout, 2000);
    assert_int_equal(b->send_timeout, 3000);
    assert_int_equal(b->client_body_timeout, 7000);
    assert_false(b->lua_code_cache);
    assert_path(f, b->root.source.data, "r");
}

static void a_list_is_inherited_until_a_block_has_its_own(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { add_header a 1; add_header b 2; index x y;"
                    " types { text/x x; }"
                    " server { location /in { }"
                    " location /own { add_header c 3 always; index z;"
                    "  types { text/y y yy; } types { text/z z; } } } }");
    const struct conf_location *in = fixture_location(f), *own = in->next;
    assert_int_equal(in->nheaders, 2);
    assert_slice(in->headers[1].name, "b");
    assert_false(in->headers[0].always);
    assert_int_equal(in->nindex, 2);
    assert_slice(conf_mime(in, SLICE("a.x")), "text/x");
    assert_slice(conf_mime(in, SLICE("a.html")), "text/plain");
    assert_int_equal(own->nheaders, 1);
    assert_true(own->headers[0].always);
    assert_slice(own->index[0].source, "z");
    assert_slice(conf_mime(own, SLICE("a.x")), "text/plain");
    assert_slice(conf_mime(own, SLICE("a.yy")), "text/y");
    assert_slice(conf_mime(own, SLICE("a.Z")), "text/z");
}

static void access_code_is_inherited_and_content_is_not(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { access_by_lua_block { a() } server { "
                    "location /x { content_by_lua_block { c() } return 204; "
                    "location /x/y { } } } }");
    const struct conf_location *x = fixture_location(f), *y = x->children;
    assert_slice(x->code[CONF_ACCESS]->text, " a() ");
    assert_ptr_equal(x->code[CONF_ACCESS], y->code[CONF_ACCESS]);
    assert_non_null(x->code[CONF_CONTENT]);
    assert_null(y->code[CONF_CONTENT]);
    assert_null(y->ops);
    assert_int_equal(x->ops->status, 204);
}

static void access_logs_add_up_in_a_block_and_off_ends_them(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { log_format m escape=json '$a' ' $b'; "
                    "access_log one; access_log two m; server { "
                    "location /a { } location /b { access_log off; } "
                    "location /c { access_log three; } } }");
    const struct conf_location *a = fixture_location(f);
    assert_path(f, a->access_log->path, "two");
    assert_slice(a->access_log->format->text.source, "$a $b");
    assert_int_equal(a->access_log->format->escape, CONF_ESCAPE_JSON);
    assert_path(f, a->access_log->next->path, "one");
    assert_null(a->next->access_log);
    assert_path(f, a->next->next->access_log->path, "three");
    assert_null(a->next->next->access_log->next);
}

/* ---- directives -------------------------------------------------------- */

static void values_are_read_with_their_units(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "worker_rlimit_nofile 9; worker_processes 3; http { "
                    "server { keepalive_timeout 1m 20s; keepalive_requests 7;"
                    " client_max_body_size 0; client_body_buffer_size 2k; "
                    "large_client_header_buffers 2 4k; server_tokens build; "
                    "client_header_timeout 1500ms; "
                    "client_header_buffer_size 3k; "
                    "underscores_in_headers ON; } }");
    const struct conf_location *at = fixture_server(f);
    assert_int_equal(f->conf->worker_rlimit_nofile, 9);
    assert_int_equal(f->conf->worker_processes, 3);
    assert_int_equal(at->keepalive_timeout, 60000);
    assert_int_equal(at->keepalive_header, 20000);
    assert_int_equal(at->keepalive_requests, 7);
    assert_int_equal(at->client_max_body_size, 0);
    assert_int_equal(at->client_body_buffer_size, 2048);
    assert_int_equal(at->server_tokens, CONF_TOKENS_BUILD);
    assert_int_equal(at->server->large_header_buffers, 2);
    assert_int_equal(at->server->large_header_buffer_size, 4096);
    assert_int_equal(at->server->client_header_timeout, 1500);
    assert_int_equal(at->server->client_header_buffer_size, 3072);
    assert_true(at->server->underscores_in_headers);
}

static void roots_and_aliases_are_made_absolute(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { location /a { root www/; } "
                    "location /b { alias www/; location /b/c { } } "
                    "location /d { root /; } "
                    "location /e { root $document_uri/x; } } }");
    const struct conf_location *at = fixture_location(f);
    assert_path(f, at->root.source.data, "www");
    assert_false(at->alias);
    at = at->next;
    assert_path(f, at->root.source.data, "www/");
    assert_true(at->alias);
    assert_true(at->children->alias);
    at = at->next;
    assert_slice(at->root.source, "");
    assert_int_equal(at->root.count, 0);
    assert_slice(at->next->root.source, "$document_uri/x");
}

static void set_and_return_keep_their_order(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { set $A x$host; set $b $a; return 200 $b; "
                    "location / { return 204; } "
                    "location /u { return $scheme://x; } "
                    "location /r { return 301 /y; } } }");
    const struct conf_op *op = fixture_server(f)->ops;
    assert_int_equal(op->kind, CONF_SET);
    assert_slice(op->name, "a");
    assert_int_equal(op->variable, 0);
    assert_int_equal(op->text.count, 2);
    assert_int_equal(op->text.parts[1].index, -1); /* $host */
    op = op->next;
    assert_int_equal(op->variable, 1);
    assert_int_equal(op->text.parts[0].index, 0);
    op = op->next;
    assert_int_equal(op->kind, CONF_RETURN);
    assert_int_equal(op->status, 200);
    assert_true(op->has_text);
    assert_null(op->next);
    const struct conf_location *at = fixture_location(f);
    assert_false(at->ops->has_text);
    assert_int_equal(at->next->ops->status, 302);
    assert_slice(at->next->ops->text.source, "$scheme://x");
    assert_int_equal(at->next->next->ops->status, 301);
    assert_int_equal(f->conf->nvariables, 2);
    assert_int_equal(conf_variable(f->conf, SLICE("b"))->index, 1);
    assert_null(conf_variable(f->conf, SLICE("host")));
}

static enum conf_builtin builtin(struct slice name)
{
    if (slice_eq(name, SLICE("args")))
        return CONF_WRITABLE;
    if (slice_eq(name, SLICE("b")) || slice_eq(name, SLICE("late")) ||
        slice_eq(name, SLICE("group")))
        return CONF_UNKNOWN;
    return CONF_READ_ONLY; /* all that log formats name */
}

static void rewriting_keeps_its_order_around_blocks_of_if(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { server { location / {\n"
                    "    set_by_lua $a 'return ngx.arg[1]' x $uri;\n"
                    "    if ($a !~* ^b) { set $c 1; break; }\n"
                    "    rewrite ^/x/(.*) /y/$1? last;\n"
                    "    content_by_lua_block { ngx.say(1) }\n"
                    "} } }");
    const struct conf_location *at = fixture_server(f)->children;
    const struct conf_op *op = at->ops;
    assert_int_equal(op->kind, CONF_SET_LUA);
    assert_int_equal(op->nargs, 2);
    assert_non_null(strstr(op->code->chunk.data, "set_by_lua(nginx.conf:2)"));
    op = op->next;
    assert_int_equal(op->kind, CONF_IF);
    assert_int_equal(op->test, CONF_TEST_MATCH);
    assert_true(op->negated);
    assert_int_equal(op->then->ops->kind, CONF_SET);
    assert_int_equal(op->then->ops->next->kind, CONF_BREAK);
    /* what the block around says after the `if` holds in it too */
    assert_ptr_equal(op->then->code[CONF_CONTENT], at->code[CONF_CONTENT]);
    op = op->next;
    assert_int_equal(op->kind, CONF_REWRITE_URI);
    assert_int_equal(op->flag, CONF_REWRITE_LAST);
    assert_true(op->drop_args);
    assert_null(op->next);
}

static void error_pages_are_inherited_until_a_block_has_its_own(void **state)
{
    struct fixture *f = *state;
    fixture_load(f, "http { error_page 404 403 =200 @a; server {\n"
                    "    location /own { error_page 500 = /b; }\n"
                    "    location @a { }\n"
                    "} }");
    const struct conf_location *root = fixture_server(f);
    assert_int_equal(root->error_pages->answer, 200);
    assert_non_null(root->error_pages->next);
    const struct conf_error_page *own = root->children->error_pages;
    assert_int_equal(own->status, 500);
    assert_int_equal(own->answer, -1);
    assert_null(own->next);
}

static void variables_must_exist_somewhere(void **state)
{
    struct fixture *f = *state;
    f->options.builtin = builtin;
    fixture_fault(f, "http {\n server { location / { return 200 a$b; } } }",
                  "unknown \"b\" variable in nginx.conf:2");
    fixture_fault(f, "http { server { set $host 1; } }",
                  "the duplicate \"host\" variable in nginx.conf:1");
    fixture_load(f, "http { server { set $args $host$late$group; "
                    "location ~ (?<Group>x) { set $late 1; } "
                    "location ~ (?<args>x) { } } }");
    const struct conf_op *op = fixture_server(f)->ops;
    assert_int_equal(op->variable, -1);
    assert_int_equal(op->text.parts[0].index, -1);
    assert_true(op->text.parts[1].index >= 0);
    assert_true(op->text.parts[2].index >= 0);
    const struct conf_location *at = fixture_location(f);
    assert_int_equal(at->pattern.nnamed, 1);
    assert_int_equal(at->pattern.named[0].group, 1);
    assert_int_equal(at->pattern.named[0].variable->index,
                     op->text.parts[2].index);
    assert_int_equal(at->next->pattern.nnamed, 0);
}

static void lua_hooks_come_in_three_forms(void **state)
{
    struct fixture *f = *state;
    struct conf *c = fixture_load(
        f, "http {\ninit_by_lua 'a\n\\'b\\'';\ninit_worker_by_lua_file w.lua;"
           "\nexit_worker_by_lua_block\n{ x }\nserver { location / {"
           "content_by_lua_file $document_root/x.lua;"
           "access_by_lua_file /a/$x.lua; } } }");
    assert_slice(c->init->text, "a\n'b'");
    assert_slice(c->init->chunk, "=init_by_lua(nginx.conf:3)");
    assert_string_equal(c->init->directive, "init_by_lua");
    assert_int_equal(c->init->line, 3);
    assert_string_equal(c->init->file, f->path);
    assert_true(c->init_worker->is_file);
    assert_string_equal(c->init_worker->directive, "init_worker_by_lua");
    assert_int_equal(c->init_worker->path.count, 1);
    assert_slice(c->exit_worker->chunk, "=exit_worker_by_lua(nginx.conf:6)");
    const struct conf_location *at = fixture_location(f);
    assert_slice(at->code[CONF_CONTENT]->text, "$document_root/x.lua");
    assert_int_equal(at->code[CONF_CONTENT]->path.count, 2);
    assert_int_equal(at->code[CONF_ACCESS]->path.count, 3);
}

static void our_own_directives_are_read(void **state)
{
    struct fixture *f = *state;
    struct conf *c = fixture_load(
        f, "http { latchkey_store redis://:pw@h:1/2; "
           "latchkey_apps a watch=off; latchkey_master_key env:KEY; "
           "latchkey_service_key file:/k; latchkey_admin_token file:t; "
           "latchkey_node n1; }");
    assert_slice(c->store, "redis://:pw@h:1/2");
    assert_path(f, c->apps, "a");
    assert_false(c->apps_watch);
    assert_int_equal(c->master_key.kind, CONF_SECRET_ENV);
    assert_string_equal(c->master_key.name, "KEY");
    assert_int_equal(c->service_key.kind, CONF_SECRET_FILE);
    assert_string_equal(c->service_key.name, "/k");
    assert_path(f, c->admin_token.name, "t");
    assert_string_equal(c->node, "n1");
    c = fixture_load(f, "http { latchkey_store lmdb:/abs; }");
    assert_slice(c->store, "lmdb:/abs");
}

static void a_secret_written_in_a_wrong_place_is_not_shown(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "http { latchkey_service_key c2VjcmV0; }",
                  "invalid value in \"latchkey_service_key\" directive, it "
                  "must be \"file:PATH\" or \"env:NAME\" in nginx.conf:1");
    fixture_fault(f, "http { latchkey_store reddis://:secret@host/; }",
                  "invalid value in \"latchkey_store\" directive, it must be "
                  "\"lmdb:DIR\", \"redis://...\", \"redis+sentinel://...\", "
                  "\"redis+cluster://...\" or \"memory:\" in nginx.conf:1");
}

/* ---- what is refused --------------------------------------------------- */

static const char *const faults[][2] = {
    { "bogus;", "unknown directive \"bogus\"" },
    { "bogus { }", "unknown directive \"bogus\"" },
    { "http { balancer_by_lua_block { } }",
      "unknown directive \"balancer_by_lua_block\"" },
    { "http { server { if $a { } } }", "invalid condition \"$a\"" },
    { "http { server { set $a 1; if ($a ! b) { } } }",
      "unexpected \"!\" in condition" },
    { "http { server { if (-q /x) { } } }", "invalid condition \"-q\"" },
    { "http { server { rewrite ^ /x first; } }",
      "invalid parameter \"first\"" },
    { "http { server { error_page 200 /x; } }",
      "value \"200\" must be between 300 and 599" },
    { "http { server { error_page 404 =2x /x; } }", "invalid value \"=2x\"" },
    { "listen 80;", "\"listen\" directive is not allowed here" },
    { "http { worker_processes 1; }",
      "\"worker_processes\" directive is not allowed here" },
    { "http { server { content_by_lua ''; } }",
      "\"content_by_lua\" directive is not allowed here" },
    { "worker_processes;",
      "invalid number of arguments in \"worker_processes\" directive" },
    { "http { root a b; }",
      "invalid number of arguments in \"root\" directive" },
    { "http { server 80 { } }",
      "invalid number of arguments in \"server\" directive" },
    { "daemon on; daemon on;", "\"daemon\" directive is duplicate" },
    { "http { } http { }", "\"http\" directive is duplicate" },
    { "http { server { location / { root a; alias b; } } }",
      "\"alias\" directive is duplicate" },
    { "http { access_by_lua 'a'; access_by_lua_file b; }",
      "\"access_by_lua_file\" directive is duplicate" },
    { "http { init_by_lua ''; }", "\"init_by_lua\" directive has no Lua code" },
    { "daemon maybe;", "invalid value \"maybe\" in \"daemon\" directive, it "
                       "must be \"on\" or \"off\"" },
    { "thread_pool x max_queue=1;",
      "\"thread_pool\" must have \"threads\" parameter" },
    { "thread_pool x threads=0;", "invalid threads value \"threads=0\"" },
    { "thread_pool x threads=1025;", "\"threads\" must not exceed 1024" },
    { "thread_pool x threads=1 max_queue=y;",
      "invalid max_queue value \"max_queue=y\"" },
    { "thread_pool x threads=1 more=1;", "invalid parameter \"more=1\"" },
    { "thread_pool x threads=1; thread_pool x threads=2;",
      "duplicate thread pool \"x\"" },
    { "events { worker_connections x; }",
      "\"worker_connections\" directive invalid number" },
    { "events { worker_connections 4294967296; }",
      "\"worker_connections\" directive invalid number" },
    { "events { use kqueue; }", "invalid event type \"kqueue\"" },
    { "worker_processes 0;", "\"worker_processes\" directive invalid value" },
    { "worker_processes 9999;", "\"worker_processes\" must not exceed 1024" },
    { "error_log a loud;", "invalid log level \"loud\"" },
    { "error_log a stderr;", "invalid log level \"stderr\"" },
    { "error_log syslog:server=x;",
      "\"syslog:server=x\" is not supported as an error log" },
    { "http { send_timeout 5x; }", "\"send_timeout\" directive invalid value" },
    { "http { client_max_body_size -1; }",
      "\"client_max_body_size\" directive invalid value" },
    { "http { keepalive_timeout 1 x; }",
      "\"keepalive_timeout\" directive invalid value" },
    { "http { large_client_header_buffers 0 8k; }",
      "\"large_client_header_buffers\" directive invalid value" },
    { "http { server_tokens maybe; }", "invalid value \"maybe\"" },
    { "http { add_header a b c; }", "invalid parameter \"c\"" },
    { "http { add_header a ${b; }",
      "the closing bracket in \"b\" variable is missing" },
    { "http { add_header a b$; }", "invalid variable name" },
    { "http { index ''; }", "index \"\" in \"index\" directive is invalid" },
    { "http { types { text/x { } } }", "unexpected \"{\"" },
    { "http { access_log off x; }", "invalid parameter \"x\"" },
    { "http { access_log a b; }", "unknown log format \"b\"" },
    { "http { access_log $x; }", "\"$x\" is not supported as an access log" },
    { "http { log_format combined x; }",
      "duplicate \"log_format\" name \"combined\"" },
    { "http { log_format a escape=x b; }",
      "unknown log format escaping \"x\"" },
    { "http { lua_shared_dict d 1k; }", "invalid lua shared dict size \"1k\"" },
    { "http { lua_shared_dict '' 1m; }", "invalid lua shared dict name \"\"" },
    { "http { lua_shared_dict d 1m; lua_shared_dict d 1m; }",
      "lua_shared_dict \"d\" is already defined" },
    { "http { latchkey_apps a watch; }", "invalid parameter \"watch\"" },
    { "http { latchkey_node ''; }",
      "\"latchkey_node\" directive invalid value" },
    { "http { server { set x y; } }", "invalid variable name \"x\"" },
    { "http { server { set $ y; } }", "invalid variable name \"$\"" },
    { "http { server { return x; } }", "invalid return code \"x\"" },
    { "http { server { return 1000; } }", "invalid return code \"1000\"" },
    { "http { server { return http://x y; } }",
      "invalid return code \"http://x\"" },
};

static void what_is_wrong_is_refused_in_nginx_s_words(void **state)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        char want[256];
        snprintf(want, sizeof want, "%s in nginx.conf:1", faults[i][1]);
        fixture_fault(*state, faults[i][0], want);
    }
}

static void a_fault_is_where_its_statement_ends(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "# one\nhttp {\n  send_timeout\n  5x\n  ;\n}",
                  "\"send_timeout\" directive invalid value in nginx.conf:5");
    fixture_fault(f, "http {\n server {\n  location /\n  {\n\n  bogus 1;\n",
                  "unexpected end of file, expecting \"}\" in nginx.conf:7");
    fixture_fault(f, "http {\n server {\n  location /\n  { }\n  bogus 1; } }",
                  "unknown directive \"bogus\" in nginx.conf:5");
}

/* ---- files ------------------------------------------------------------- */

static void includes_are_taken_from_the_file_s_folder(void **state)
{
    struct fixture *f = *state;
    fixture_write(f, "d/2.conf", "add_header b 2;");
    fixture_write(f, "d/10.conf", "add_header a 1;\n");
    fixture_write(f, "mime", "types {\n text/x x;\n}\n");
    fixture_load(f, "http { include d/*.conf; include none*.conf;\n"
                    "include mime; server { } }");
    assert_int_equal(fixture_server(f)->nheaders, 2);
    assert_slice(fixture_server(f)->headers[0].name, "a"); /* sorted */
    assert_slice(conf_mime(fixture_server(f), SLICE("a.x")), "text/x");
}

static void faults_in_an_included_file_name_it(void **state)
{
    struct fixture *f = *state;
    fixture_write(f, "d/a.conf", "\nbogus;");
    fixture_fault(f, "http { include d/a.conf; }",
                  "unknown directive \"bogus\" in d/a.conf:2");
    fixture_write(f, "d/a.conf", "server {\n");
    fixture_fault(f, "http { include d/a.conf; }\n}",
                  "unexpected end of file, expecting \"}\" in d/a.conf:2");
    fixture_write(f, "d/a.conf", "root a;\n}\n");
    fixture_fault(f, "http { include d/a.conf;\n",
                  "unexpected \"}\" in d/a.conf:2");
    fixture_write(f, "d/a.conf", "init_by_lua_block { x }");
    fixture_load(f, "http { include d/a.conf; }");
    assert_slice(f->conf->init->chunk, "=init_by_lua(d/a.conf:1)");
}

static void a_file_that_is_not_there_is_a_fault(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "http {\n include none; }",
                  "open() \"none\" failed (2: No such file or directory) in "
                  "nginx.conf:2");
    fixture_fault(f, "include d;",
                  "read() \"d\" failed (21: Is a directory) "
                  "in nginx.conf:1");
    fixture_fault(f, "include;",
                  "invalid number of arguments in \"include\" "
                  "directive in nginx.conf:1");
    f->options.file = "conf/other";
    fixture_fault(f, "",
                  "open() \"other\" failed (2: No such file or "
                  "directory)");
}

static void an_include_of_itself_ends(void **state)
{
    struct fixture *f = *state;
    fixture_fault(f, "include nginx.conf;",
                  "includes are nested too deeply in nginx.conf:1");
    fixture_fault(f, "include nginx.con*;",
                  "includes are nested too deeply in nginx.conf:1");
}

static void the_dump_has_every_file_once(void **state)
{
    struct fixture *f = *state;
    fixture_write(f, "d/a.conf", "server { }");
    fixture_load(f, "http { include d/a.conf; include d/a.conf; }\n");
    char text[1024] = "", want[1024];
    FILE *out = fmemopen(text, sizeof text, "w");
    conf_dump(f->conf, out);
    fclose(out);
    snprintf(want, sizeof want,
             "# configuration file %s:\n"
             "http { include d/a.conf; include d/a.conf; }\n\n"
             "# configuration file %s/conf/d/a.conf:\nserver { }\n",
             f->path, f->prefix);
    assert_string_equal(text, want);
}

/* ---- the command line -------------------------------------------------- */

static void globals_come_before_the_file(void **state)
{
    struct fixture *f = *state;
    f->options.globals = "daemon on; env A; pid /x;";
    fixture_load(f, "env B;");
    assert_true(f->conf->daemon);
    assert_string_equal(f->conf->pid, "/x");
    assert_slice(f->conf->env->name, "A");
    assert_slice(f->conf->env->next->name, "B");
    fixture_fault(f, "\ndaemon off;",
                  "\"daemon\" directive is duplicate in nginx.conf:2");
    f->options.globals = "daemon on";
    fixture_fault(f, "",
                  "unexpected end of parameter, expecting \";\" in "
                  "command line");
    f->options.globals = "bogus on;";
    fixture_fault(f, "", "unknown directive \"bogus\" in command line");
    f->options.globals = "http { }";
    fixture_fault(f, "",
                  "block directives are not supported in -g option in "
                  "command line");
}

static void the_file_s_error_log_wins_over_the_option(void **state)
{
    struct fixture *f = *state;
    f->options.error_log = "e.log";
    fixture_load(f, "");
    assert_path(f, f->conf->error_log, "e.log");
    fixture_load(f, "error_log /f.log crit;");
    assert_string_equal(f->conf->error_log, "/f.log");
    assert_int_equal(f->conf->log_level, LOG_CRIT);
}

static void a_relative_prefix_is_made_absolute(void **state)
{
    struct fixture *f = *state;
    char here[256];
    assert_non_null(getcwd(here, sizeof here));
    fixture_write(f, "nginx.conf", "");
    assert_int_equal(chdir(f->prefix), 0);
    static const char *const prefixes[] = { NULL,  "",     ".",      "./",
                                            ".//", "conf", "./conf/" };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        f->options.prefix = prefixes[i];
        f->options.file = i < 5 ? "conf/nginx.conf" : "nginx.conf";
        assert_int_equal(fixture_reload(f), OK);
        assert_path(f, f->conf->prefix, i < 5 ? "" : "conf/");
        assert_path(f, f->conf->path, "conf/nginx.conf");
    }
    assert_int_equal(chdir(here), 0);
    f->options.prefix = "/";
    f->options.file = f->path;
    assert_int_equal(fixture_reload(f), OK);
    assert_string_equal(f->conf->prefix, "/");
    assert_string_equal(f->conf->pid, "/var/latchkey.pid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(an_empty_file_gives_the_defaults),
        fixture_test(a_server_starts_from_nginx_s_defaults),
        fixture_test(the_contract_s_sample_loads),
        fixture_test(what_test_nginx_writes_loads),
        fixture_test(settings_reach_blocks_written_before_them),
        fixture_test(a_list_is_inherited_until_a_block_has_its_own),
        fixture_test(access_code_is_inherited_and_content_is_not),
        fixture_test(access_logs_add_up_in_a_block_and_off_ends_them),
        fixture_test(values_are_read_with_their_units),
        fixture_test(roots_and_aliases_are_made_absolute),
        fixture_test(set_and_return_keep_their_order),
        fixture_test(rewriting_keeps_its_order_around_blocks_of_if),
        fixture_test(error_pages_are_inherited_until_a_block_has_its_own),
        fixture_test(variables_must_exist_somewhere),
        fixture_test(lua_hooks_come_in_three_forms),
        fixture_test(our_own_directives_are_read),
        fixture_test(a_secret_written_in_a_wrong_place_is_not_shown),
        fixture_test(what_is_wrong_is_refused_in_nginx_s_words),
        fixture_test(a_fault_is_where_its_statement_ends),
        fixture_test(includes_are_taken_from_the_file_s_folder),
        fixture_test(faults_in_an_included_file_name_it),
        fixture_test(a_file_that_is_not_there_is_a_fault),
        fixture_test(an_include_of_itself_ends),
        fixture_test(the_dump_has_every_file_once),
        fixture_test(globals_come_before_the_file),
        fixture_test(the_file_s_error_log_wins_over_the_option),
        fixture_test(a_relative_prefix_is_made_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
