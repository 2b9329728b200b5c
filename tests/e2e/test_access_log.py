"""Access logs: nginx's formats, and nothing in a value that ends a field."""

import json

from harness import until

FORMATS = """
    log_format plain '$status "$http_user_agent" "$http_referer" $request';
    log_format object escape=json '{"agent":"$http_user_agent","to":"$uri"}';
    server_tokens off;
"""
SERVER = """
    location /plain { access_log plain.log plain; return 200 "x"; }
    location /json { access_log json.log object; return 200 "x"; }
"""


def lines(shop, name, count):
    path = shop.folder / name
    return until(lambda: path.exists()
                 and len(found := path.read_text().splitlines()) >= count
                 and found, f"{count} lines in {name}")


def test_what_a_client_sends_ends_no_field(server):
    shop = server(http=FORMATS, server=SERVER)
    shop.client().get("/plain?code=hidden", User_Agent='a" 200 "b\\')
    shop.client().get("/plain", User_Agent="plain")
    assert lines(shop, "plain.log", 2) == [
        '200 "a\\x22 200 \\x22b\\x5C" "-" GET /plain HTTP/1.1',
        '200 "plain" "-" GET /plain HTTP/1.1']


def test_a_json_format_is_json(server):
    shop = server(http=FORMATS, server=SERVER)
    shop.client().get("/json", User_Agent='a"\tb')
    assert json.loads(lines(shop, "json.log", 1)[0]) == {
        "agent": 'a"\tb', "to": "/json"}


TRACED = """
    log_format traced escape=json
        '{"request_id":"$request_id","trace_id":"$trace_id"}';
    access_log traced.log traced;
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_request_id_and_trace_are_in_the_line(server):
    shop = server(http=TRACED)
    answer = shop.client().get("/v1/demo-wechat/session",
                               traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    told = json.loads(lines(shop, "traced.log", 1)[0])
    assert told == {"request_id": answer.headers["X-Request-Id"],
                    "trace_id": TRACE}


def test_a_traceparent_that_is_none_is_left_out(server):
    shop = server(http=TRACED)
    bad = ["", "00", f"00-{TRACE}", f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
           f"00-{'0' * 32}-00f067aa0ba902b7-01", "-" * 60, "x" * 60]
    for text in bad:
        shop.client().get("/v1/demo-wechat/session", traceparent=text)
    told = [json.loads(line) for line in lines(shop, "traced.log", len(bad))]
    assert [one["trace_id"] for one in told] == [""] * len(bad)


def test_events_go_to_a_file_of_their_own(server, phone, platform):
    shop = server(http="latchkey_event_log events.log;")
    user = phone(shop, platform)
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    user.token = user.post("login", {"code": user.code()}, **trace).data["token"]
    sealed, _ = user.tap()
    user.post("phone", sealed, **trace)
    refused = user.post("phone", {**sealed, "encryptedData": "A" * 64}, **trace)
    told = [json.loads(line) for line in lines(shop, "events.log", 3)]
    assert [one["event"] for one in told] == ["login", "phone", "failure"]
    assert told[2]["cause"] == "key_stale"
    assert told[2]["request_id"] == refused.json["request_id"]
    assert len({one["user_id"] for one in told}) == 1
    assert {one["trace_id"] for one in told} == {TRACE}


def test_without_such_a_file_there_is_none(server, phone):
    shop = server()
    phone(shop).logged_in()
    assert not (shop.folder / "events.log").exists()
