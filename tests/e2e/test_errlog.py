"""lua_capture_error_log, and ngx.errlog that reads what it kept."""

import pytest

from harness import command

SERVER = r"""
location = /log { content_by_lua_block {
    local n = tonumber(ngx.var.arg_n)
    for i = 1, n do ngx.log(ngx.WARN, "line ", i) end
    ngx.log(ngx.INFO, "quiet") ngx.say("logged") } }
location = /get { content_by_lua_block {
    local old = { 1, 2, 3, 4 }
    local got, err = require "ngx.errlog".get_logs(tonumber(ngx.var.arg_max),
        ngx.var.arg_into and old)
    if not got then return ngx.say(err) end
    for i = 1, #got, 3 do
        if not got[i] then break end
        ngx.say(got[i], " ", math.abs(got[i + 1] - ngx.now()) < 60, " ",
            got[i + 2]:match("%[lua%] %S+ (.*), client:"))
    end
    ngx.print(got == old, " ", #got / 3) } }
location = /filter { content_by_lua_block {
    ngx.say(require "ngx.errlog".set_filter_level(ngx.WARN)) } }
location = /wrong { content_by_lua_block {
    require "ngx.errlog".set_filter_level() } }
"""


@pytest.fixture(name="web")
def the_server(servers):
    return servers(http="lua_capture_error_log 4k;", server=SERVER)


@pytest.fixture(name="ask")
def the_client(web):
    client = web.client()
    yield lambda path: client.get(path).text
    client.close()


def test_lines_are_kept_and_read_once(ask):
    ask("/get")
    ask("/log?n=2")
    assert ask("/get?max=1") == "5 true line 1\nfalse 1"
    assert ask("/get") == "5 true line 2\n7 true quiet\nfalse 2"
    assert ask("/get") == "false 0"
    ask("/log?n=1")
    assert ask("/get?into=1&max=1") == "5 true line 1\ntrue 1"


def test_a_filter_lets_lesser_lines_go(ask):
    assert ask("/filter") == "true\n"
    ask("/get")
    ask("/log?n=1")
    assert ask("/get") == "5 true line 1\nfalse 1"


def test_the_latest_lines_fit(ask):
    ask("/log?n=100")
    lines = ask("/get").splitlines()
    assert lines[-2] == "7 true quiet" and lines[-3] == "5 true line 100"
    assert 10 < len(lines) < 40


def test_a_level_is_asked_for(web, ask):
    ask("/wrong")
    web.logged('missing "level" argument')


def test_less_than_a_page_is_refused(tmp_path):
    (tmp_path / "a.conf").write_text(
        "events {} http { lua_capture_error_log 3k; }")
    _, _, text = command(tmp_path, "-p", ".", "-c", "a.conf", "-t",
                         leaks=False)
    assert 'invalid capture error log size "3k", minimum size is 4096 in ' \
        in text
