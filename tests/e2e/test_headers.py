"""Headers of requests and answers, as scripts read and set them."""

import pytest

BLOCKS = r"""
location /single { content_by_lua_block {
    ngx.header.content_type = { "text/a", "text/b" }
    ngx.header["X-Many"] = { 1, true }
    ngx.header.empty = ""
    require("ngx.resp").add_header("X-Many", "three")
    ngx.say(table.concat(ngx.header.x_many, " "))
} }
location /unsafe { content_by_lua_block {
    ngx.header["X-A: 1\r\nX-B"] = "one\r\nX-C: two"
    ngx.say("safe")
} }
location /typeless { content_by_lua_block {
    ngx.header.content_type = nil
    ngx.say(ngx.header.content_type)
} }
location /typed { default_type text/mark; content_by_lua_block {
    local before = ngx.header.content_type
    ngx.print(before, " ")
    ngx.say(ngx.header.content_type)
} }
location /underscores {
    lua_transform_underscores_in_response_headers off;
    content_by_lua_block { ngx.header.foo_bar = "kept" ngx.say("ok") }
}
location /late { content_by_lua_block {
    ngx.say("sent")
    ngx.header.x_late = "1"
} }
location /length { content_by_lua_block {
    ngx.header.content_length = "many"
} }
location /all { content_by_lua_block {
    ngx.header["X-One"] = "1"
    local all = ngx.resp.get_headers()
    local few, why = ngx.resp.get_headers(1, true)
    ngx.say(all.x_one, all["x-one"], " ", all.connection, " ", why, " ",
        few["X-One"])
} }
location /changed { content_by_lua_block {
    ngx.header.last_modified = "Thu, 10 May 2012 07:50:59 GMT"
    ngx.header.etag = '"v1"'
    local ok, err = ngx.say("whole")
    if not ok then ngx.log(ngx.WARN, "say: ", err) end
} }
location /req { content_by_lua_block {
    local req = ngx.req
    req.set_header("X-List", { "a", 2 })
    req.set_header("X-Bad", "a\r\nb")
    require("ngx.req").add_header("X-List", "c")
    req.clear_header("X-Gone")
    local all = req.get_headers()
    local raw = req.get_headers(0, true)
    local few, why = req.get_headers(1)
    ngx.say(table.concat(all.x_list, ","), " ", all["x-bad"], " ", all.x_gone,
        " ", raw["X-Kept"], " ", why, " ", pcall(req.set_header))
} }
location /args { content_by_lua_block {
    local mine = { old = 1 }
    local args, why = ngx.req.get_uri_args(2, mine)
    ngx.say(args == mine, args.old, args.a, args.b, args.c, why, " ",
        (pcall(ngx.req.get_post_args)))
} }
"""


def test_some_headers_come_once_and_others_often(client):
    answer = client.get("/single")
    assert answer.headers.get_all("Content-Type") == ["text/b"]
    assert answer.headers.get_all("X-Many") == ["1", "true", "three"]
    assert "Empty" not in answer.headers
    assert answer.text == "1 true three\n"


def test_a_line_break_makes_no_header(client):
    answer = client.get("/unsafe")
    assert answer.headers["X-A%3A%201%0D%0AX-B"] == "one%0D%0AX-C: two"
    assert "X-C" not in answer.headers and answer.text == "safe\n"


def test_a_cleared_type_is_not_replaced_by_the_default(client):
    answer = client.get("/typeless")
    assert answer.text == "nil\n" and "Content-Type" not in answer.headers


def test_the_default_type_is_seen_once_the_answer_has_begun(client):
    answer = client.get("/typed")
    assert answer.text == "nil text/mark\n"
    assert answer.headers["Content-Type"] == "text/mark"


def test_underscores_stay_where_a_location_wants_them(client):
    assert client.get("/underscores").headers["foo_bar"] == "kept"


def test_a_header_that_comes_too_late_is_logged(web, client):
    assert "X-Late" not in client.get("/late").headers
    web.logged("attempt to set ngx.header.HEADER after sending out response")


def test_a_length_is_a_number(client):
    assert client.get("/length").status == 500


def test_all_headers_of_an_answer_are_told(client):
    assert client.get("/all").text == "11 keep-alive truncated 1\n"


@pytest.mark.parametrize("name, value, status", [
    ("If-Modified-Since", "Thu, 10 May 2012 07:50:59 GMT", 304),
    ("If-Modified-Since", "Thu, 10 May 2012 07:50:58 GMT", 200),
    ("If-Unmodified-Since", "Thu, 10 May 2012 07:50:58 GMT", 412),
    ("If-Unmodified-Since", "Thu, 10 May 2012 07:50:59 GMT", 200),
    ("If-None-Match", '"v0", W/"v1"', 304),
    ("If-None-Match", '"v0"', 200),
    ("If-Match", '"v0"', 412),
    ("If-Match", "*", 200),
])
def test_a_condition_decides_what_is_sent(client, name, value, status):
    answer = client.request("GET", "/changed",
                            **{name.replace("-", "_"): value})
    assert answer.status == status
    assert answer.text == "whole\n" if status == 200 else \
        "whole" not in answer.text


def test_a_script_changes_the_headers_of_its_request(client):
    answer = client.request("GET", "/req", X_Gone="1", X_Kept="k")
    assert answer.text == ("a,2,c a%0D%0Ab nil k truncated falsebad 'name' "
                           "argument: string expected, got nil\n")


def test_arguments_are_limited_and_a_table_serves_again(client):
    assert client.get("/args?a=1&b=2&c=3").text == "truenil12niltruncated false\n"
