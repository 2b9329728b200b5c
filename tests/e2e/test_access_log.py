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
