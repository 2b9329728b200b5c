"""A fault that a script causes through FFI ends the process; the log says whose
request it was."""

import contextlib
import signal
import threading

import pytest

from harness import DEADLINE, GONE, until

FAULTS = {
    "SEGV": 'require("ffi").cast("int *", 8)[0] = 1',
    "ABRT": 'require("ffi").cdef "void abort(void)" require("ffi").C.abort()',
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_the_requests_under_way(server, phone, monkeypatch, name):
    for sanitizer in "ASAN_OPTIONS", "UBSAN_OPTIONS":  # they would catch it
        monkeypatch.setenv(sanitizer, "handle_segv=0:handle_abort=0:"
                           "handle_sigbus=0:handle_sigfpe=0:handle_sigill=0")
    one = server({"shop": server.policy(
        f"on_login = function(ctx) {FAULTS[name]} end,")})
    user = phone(one, app="shop")
    with contextlib.suppress(*GONE, OSError):
        user.post("login", {"code": user.code()}, X_Request_Id="the-culprit")
    until(lambda: one.process.poll() is not None, "the end")
    assert one.process.returncode == -getattr(signal, "SIG" + name)
    assert f"(SIG{name})" in one.log and "the-culprit" in one.log
    one.process = None


def test_a_worker_in_a_c_function_is_told_of_and_does_not_stop_the_end(server,
                                                                       phone):
    body = 'string.find(("a"):rep(60), ("a?"):rep(60) .. ("a"):rep(60))'
    one = server({"shop": server.policy(
        f"on_login = function(ctx) while true do {body} end end,"
        " timeout = 60,")}, http="lua_run_timeout 0;")
    user = phone(one, app="shop")
    waiting = threading.Thread(target=post, args=(user,), daemon=True)
    waiting.start()
    one.logged("a worker has been in one piece of code .* the-busy-one")
    one.send(signal.SIGTERM)
    until(lambda: one.process.poll() is not None, "the end", deadline=40)
    assert "do not come back" in one.log
    one.process = None
    waiting.join(DEADLINE)


def post(user):
    with contextlib.suppress(*GONE, OSError):
        user.post("login", {"code": user.code()}, X_Request_Id="the-busy-one")
