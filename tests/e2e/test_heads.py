"""Heads that two readers could take differently are refused, with the
envelope, and the connection ends; what RFC 9112 allows is served."""

import json
import socket

import pytest

from harness import DEADLINE

LINE, HOST = b"GET /v1/demo-wechat/session HTTP/1.1\r\n", b"Host: a\r\n"


def exchange(shop, head):
    """All that is answered to these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", shop.port), DEADLINE) as raw:
        raw.sendall(head)
        raw.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: raw.recv(65536), b""))


def line(text):
    return text + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def field(text, host=HOST):
    return LINE + host + text + b"\r\n\r\n"


BAD = [
    *(line(b"G%cT /v1/demo-wechat/session" % c) for c in b'(),/:;<=>?@[\\]{}"\x01\x7f\x80'),
    *(line(b"GET /a%cb" % c) for c in b"#\x01\x0b\x1f\x7f\x80\xff"),
    line(b"GET *"), line(b"GET a:80"), line(b"CONNECT a:80"),
    line(b"GET readyz"), line(b"GET ftp://a/"),
    *(field(b"X%cY: 1" % c) for c in b'(),/;<=>?@[\\]{}"\x01\x7f\x80\xff'),
    *(field(b"X: a%cb" % c) for c in b"\x01\x08\x0b\x0c\x1b\x1f\x7f"),
    *(field(b"X: 1", b"Host: a%cb\r\n" % c) for c in b'/@?#"<>\\^`{|} \x80'),
    field(b"Host: a"), field(b"Host: b"), field(b"X: 1", b""),
    field(b"Content-Length: 0\r\nTransfer-Encoding: chunked"),
    field(b"Content-Length: 0\r\nContent-Length: 0"),
]

GOOD = [
    line(b"GET /v1/demo-wechat/session"), line(b"GET /v1/demo-wechat/session?a=%23&b='\"<>[]{}|\\^`"),
    line(b"GET http://a/v1/demo-wechat/session"), field(b"X: \xe4\xbd\xa0\ta\xff"),
    field(b"X!#$%&'*+-.^_`|~9: 1"), field(b"X:"), field(b"X:1"),
    field(b"Content-Length: 0"), field(b"X: 1", b"Host: [::1]:80\r\n"),
    field(b"X: 1", b"Host: a_b.c-d:8080\r\n"), field(b"X: 1", b"Host:\r\n"),
    b"GET /v1/demo-wechat/session HTTP/1.0\r\n\r\n",
]


@pytest.mark.parametrize("head", BAD, ids=repr)
def test_an_odd_head_is_refused_with_the_envelope(shop, head):
    answer = exchange(shop, head + LINE + HOST + b"\r\n")
    top, body = answer.split(b"\r\n\r\n", 1)
    assert top.startswith(b"HTTP/1.1 400 "), answer
    assert json.loads(body)["reason"] == "bad_request", "and nothing behind"


@pytest.mark.parametrize("head", GOOD, ids=repr)
def test_a_head_that_the_rfc_allows_is_served(shop, head):
    assert exchange(shop, head).split()[1] == b"401"
