"""A request's phases, and the ways from one location to another."""

import contextlib

import pytest

from harness import until

HTTP = """
header_filter_by_lua_block { ngx.header["X-From"] = "http" }
"""
BLOCKS = r"""
rewrite ^/old/(.*)$ /show/$1?old=1 last;
location /all {
    set $trace "";
    set_by_lua_block $trace { return "set " }
    set_by_lua $sum 'return ngx.arg[1] + ngx.arg[2]' 40 $arg_n;
    rewrite_by_lua_block { ngx.var.trace = ngx.var.trace .. "rewrite " }
    access_by_lua_block {
        ngx.sleep(0.001)
        ngx.var.trace = ngx.var.trace .. "access "
    }
    content_by_lua_block {
        ngx.say(ngx.var.trace, ngx.get_phase(), " ", ngx.var.sum)
    }
    header_filter_by_lua_block { ngx.header["X-From"] = ngx.get_phase() }
    body_filter_by_lua_block {
        ngx.arg[1] = ngx.arg[1]:upper()
        if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. "end\n" end
    }
    log_by_lua_block { ngx.shared.limits:set("logged", ngx.get_phase()) }
}
location /logged { content_by_lua_block {
    ngx.say(ngx.shared.limits:get("logged"))
} }
location /disabled {
    content_by_lua_block { ngx.say("fine") }
    header_filter_by_lua_block {
        local ok, why = pcall(ngx[ngx.var.arg_call], 1)
        ngx.header["X-Why"] = why
    }
}
location /broken-set {
    set_by_lua_block $x { error("no luck") }
    return 200 "unreached";
}
location /broken-filter {
    content_by_lua_block { ngx.say("fine") }
    body_filter_by_lua_block { error("no luck") }
}
location /refused {
    access_by_lua_block { ngx.exit(403) }
    content_by_lua_block { ngx.say("unreached") }
}
location /early {
    access_by_lua_block { ngx.say("from access") }
    content_by_lua_block { ngx.say("unreached") }
}
location /show { content_by_lua_block {
    ngx.say(ngx.var.uri, " ", ngx.var.args, " ", ngx.req.is_internal())
} }
location /exec { content_by_lua_block {
    ngx.exec("/show/exec?a=1", { b = "2 3" })
} }
location /exec-named { content_by_lua_block { ngx.exec("@named") } }
location @named { content_by_lua_block { ngx.say("named ", ngx.var.uri) } }
location /jump { rewrite_by_lua_block {
    ngx.req.set_uri("/show/jump", true)
} }
location /circle { rewrite_by_lua_block { ngx.req.set_uri("/circle", true) } }
location /if {
    set $kind none;
    if ($arg_a = 1) { set $kind one; }
    if ($arg_a ~ "^(2+)$") { set $kind "two $1"; }
    if ($request_method !~ GET) { return 405; }
    return 200 $kind;
}
location /page {
    error_page 404 @named;
    error_page 403 =200 /show/page;
    content_by_lua_block { ngx.exit(tonumber(ngx.var.arg_code)) }
}
location /inside { internal; return 200 "inside"; }
location /to-inside { rewrite ^ /inside last; }
location /capture { content_by_lua_block {
    local res = ngx.location.capture(ngx.var.arg_to, {
        args = { x = 1 }, method = ngx.HTTP_PUT, body = "body",
        vars = { kind = "given" }, ctx = { mark = "ctx" } })
    ngx.say(res.status, " ", res.header["Content-Type"], " ",
        res.truncated, " ", res.body)
} }
location /sub { content_by_lua_block {
    ngx.req.read_body()
    ngx.sleep(0.001)
    ngx.print(ngx.req.get_method(), " ", ngx.var.args, " ",
        ngx.req.get_body_data(), " ", ngx.var.kind, " ", ngx.ctx.mark, " ",
        ngx.is_subrequest)
} }
location /body {
    client_body_in_file_only clean;
    content_by_lua_block {
        ngx.req.read_body()
        local path, found = ngx.req.get_body_file(), {}
        for line in io.lines(path) do found[#found + 1] = line end
        ngx.say(ngx.req.get_body_data(), " ", table.concat(found), " ", path)
    }
}
location /new-body { content_by_lua_block {
    local ok, why = pcall(ngx.req.set_body_data, "x")
    ngx.req.read_body()
    ngx.req.init_body(4)
    ngx.req.append_body("new ")
    ngx.req.finish_body()
    local inside = ngx.req.get_body_data()
    ngx.req.init_body(4)
    ngx.req.append_body("too long")
    ngx.req.finish_body()
    ngx.say(why, "|", inside, ngx.var.http_content_length, " ",
        ngx.req.get_body_data(), " ", ngx.req.get_body_file() ~= nil)
} }
location /half { content_by_lua_block { ngx.say("half") error("way") } }
location /many { content_by_lua_block {
    local a, b, c = ngx.location.capture_multi {
        { "/inside" }, { "/sub?q" }, { "/nothing" } }
    ngx.say(a.body, "|", b.body, "|", c.status)
} }
location /deep { content_by_lua_block { ngx.location.capture("/deep") } }
"""


@pytest.fixture(name="web", scope="module")
def fixture_web(servers):
    return servers(server=BLOCKS, http=HTTP)


@pytest.fixture(name="post")
def fixture_post(web):
    with contextlib.closing(web.client()) as client:
        yield client.post


@pytest.fixture(name="get")
def fixture_get(web):
    with contextlib.closing(web.client()) as client:
        yield client.get


def test_every_phase_has_its_turn(get):
    answer = get("/all?n=2")
    assert answer.text == "SET REWRITE ACCESS CONTENT 42\nend\n"
    assert answer.headers["X-From"] == "header_filter"
    assert until(lambda: get("/logged").text) == "log\n"


def test_a_phase_is_inherited_where_a_location_has_none_of_its_own(get):
    assert get("/logged").headers["X-From"] == "http"


@pytest.mark.parametrize("call", ["say", "sleep", "exec", "redirect", "flush"])
def test_a_filter_may_not_output_or_wait(get, call):
    answer = get("/disabled?call=" + call)
    assert answer.text == "fine\n"
    assert "API disabled in the context of header_filter_by_lua*" in \
        answer.headers["X-Why"]


def test_a_variable_whose_code_fails_is_a_500(web, get):
    assert get("/broken-set").status == 500
    web.logged(r"failed to run set_by_lua\*: set_by_lua\(.*: no luck")


def test_a_filter_that_fails_breaks_the_answer_off(web, get):
    with pytest.raises(Exception):
        get("/broken-filter")
    web.logged(r"failed to run body_filter_by_lua\*: .*: no luck")


def test_access_decides_before_content(get):
    assert get("/refused").status == 403
    assert get("/early").text == "from access\n"


@pytest.mark.parametrize("path, text", [
    ("/old/x", "/show/x old=1 true"), ("/old/x?y=2", "/show/x old=1&y=2 true"),
    ("/exec", "/show/exec a=1&b=2%203 true"), ("/exec-named", "named "),
    ("/jump", "/show/jump nil true"), ("/if", "none"), ("/if?a=1", "one"),
    ("/if?a=22", "two 22"), ("/page?code=404", "named /page"),
    ("/page?code=403", "/show/page nil true")])
def test_one_location_leads_to_another(get, path, text):
    answer = get(path)
    assert answer.text.replace(" false", " true").startswith(text), answer


def test_error_pages_say_what_status_they_have(get):
    assert get("/page?code=404").status == 404
    assert get("/page?code=403").status == 200


def test_internal_locations_are_not_for_clients(get):
    assert get("/inside").status == 404
    assert get("/to-inside").text == "inside"


def test_rewriting_in_a_circle_ends(web, get):
    assert get("/circle").status == 500
    web.logged("rewrite or internal redirection cycle")


def test_a_subrequest_has_its_own_everything(get):
    assert get("/capture?to=/sub").text == \
        "200 text/plain false PUT x=1 body given ctx true\n"


def test_a_subrequest_that_fails_is_told(get):
    assert get("/capture?to=/refused").text.startswith("200")  # no access phase
    assert get("/capture?to=/if").text.startswith("405 nil false")
    assert " true " in get("/capture?to=/half").text


def test_subrequests_run_side_by_side(get):
    assert get("/many").text == "inside|GET q nil nil nil true|404\n"


def test_subrequests_of_subrequests_end(web, get):
    get("/deep")
    web.logged('lua subrequests cycle while processing "/deep"')


def test_a_body_may_be_in_a_file_for_as_long_as_its_request(web, post):
    data, inside, path = post("/body", b"clients").text.split()
    assert (data, inside) == ("nil", "clients")
    assert "client_body_temp/" in path
    folder = web.folder / "client_body_temp"
    until(lambda: not list(folder.iterdir()), "the files' end")


def test_a_script_may_make_another_body(post):
    assert post("/new-body", b"old").text == \
        "request body not read yet|new 8 nil true\n"
