"""A fault that a script causes through FFI ends the process; the log says whose
request it was."""

import contextlib
import signal

import pytest

from harness import GONE, until

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
