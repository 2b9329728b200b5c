"""What a policy's hook may take: its `timeout`, of the wall and of the
processor, and the memory of a worker."""

import time

import pytest

from harness import Client

POLICY_ERROR = (500, "policy_error", "none")

LOOPS = {
    "plain": "while true do end",
    "swallowed": "while true do pcall(function() while true do end end) end",
    "coroutine": "coroutine.wrap(function() while true do end end)()",
    "thread": "assert(ngx.thread.wait(ngx.thread.spawn(function() "
              "while true do end end)))",
    "metamethod": "local t = setmetatable({}, {__index = function() "
                  "while true do end end}) local x = t.x",
    "work": "local n = 0 while true do n = n + #tostring(n) end",
    "sort": "local t = {} for i = 1, 50 do t[i] = i end "
            "table.sort(t, function() while true do end end)",
}


@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS)
def test_a_loop_in_a_hook_is_cut_at_the_policy_s_timeout(server, phone, body):
    fields = f"timeout = 1, on_login = function(ctx)\n {body}\n end,"
    user = phone(server({"shop": server.policy(fields)}), app="shop")
    begun = time.monotonic()
    assert user.login().refusal == POLICY_ERROR
    assert time.monotonic() - begun < 15, "lua_run_timeout is 30 s"
    line = user.server.logged(r"on_login failed: .*")[0]
    assert "shop.lua:" in line and "timeout" in line
    other = Client(user.server.port)
    assert other.get("/v1/shop/session").status == 401, "others are served"
    other.close()


def test_a_hook_that_takes_all_memory_ends_alone(server, phone):
    fields = """on_login = function(ctx)
      local all = {}
      for i = 1, 1e9 do all[i] = ("x"):rep(1e6) .. i end
    end, timeout = 20,"""
    user = phone(server({"shop": server.policy(fields)},
                        http="lua_memory_limit 64m;"), app="shop")
    assert user.login().refusal == POLICY_ERROR
    line = user.server.logged(r"on_login failed: .*")[0]
    assert "memory" in line
    assert user.session().status == 401
