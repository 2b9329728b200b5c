"""A policy's limits: how often a user logs in, shows data, fails, and how
many codes an address brings."""

import itertools
import threading

import pytest

from harness import Client, command, until

OFF = "login = 0, phone = 0, failed = 0, address = 0"
GARBAGE = {"encryptedData": "A" * 64, "iv": "A" * 22 + "=="}
PROXIED = "set_real_ip_from 127.0.0.1; "


def limited(limits, more=""):
    """Fields of a policy; these limits, the others off."""
    names = [part.split("=")[0].strip() for part in limits.split(",")]
    others = [part for part in OFF.split(", ")
              if part.split(" ")[0] not in names]
    return f"limit = {{ {', '.join([limits, *others])} }}, {more}"


@pytest.fixture
def one(server, platform):
    """A server of one app with these limits."""
    def make(limits, more="", **blocks):
        text = server.policy(limited(limits, more), platform)
        return server(apps={"shop": text}, **blocks)
    return make


@pytest.fixture
def shopper(phone, platform):
    return lambda server: phone(server, platform, app="shop")


def refused(answer, most):
    assert answer.refusal == (429, "rate_limited", "retry"), answer
    assert 1 <= int(answer.headers["Retry-After"]) <= most
    return True


def test_a_user_s_logins_are_counted(one, shopper):
    server = one('login = "2/m"')
    user, other = shopper(server), shopper(server)
    assert user.login().status == user.login().status == 200
    code = user.code()
    refused(user.login(code), 60)
    assert user.session().status == 200, "what was there stays"
    assert other.login().status == 200
    assert user.login(code).refusal == (409, "code_invalid", "login"), \
        "it is spent"


def test_the_key_of_a_login_over_the_limit_is_kept(one, shopper):
    user = shopper(one('login = "1/m"'))
    user.logged_in().new_key()
    refused(user.login(), 60)
    sealed, _ = user.tap()
    assert user.post("phone", sealed).status == 200


def test_phone_requests_are_counted_by_user(one, shopper):
    server = one('phone = "2/m"')
    user, other = shopper(server).logged_in(), shopper(server).logged_in()
    sealed, _ = user.tap()
    for _ in range(2):
        assert user.post("phone", sealed).status == 200
    refused(user.post("phone", sealed), 60)
    assert other.post("phone", other.tap()[0]).status == 200
    assert user.session().status == 200


def test_a_window_ends(one, shopper):
    user = shopper(one('phone = "1/s"')).logged_in()
    sealed, _ = user.tap()

    def posts(status):
        return lambda: user.post("phone", sealed).status == status
    until(posts(429), "a refusal")
    until(posts(200), "a new window")


def test_whoever_failed_too_often_hears_the_same_of_any_data(one, shopper):
    """Good data too, or the answer would tell it from bad."""
    user = shopper(one('failed = "3/m"')).logged_in()
    good, _ = user.tap()
    assert user.post("phone", good).status == 200, "good data never counts"
    for path in "phone", "decrypt", "phone":
        assert user.post(path, GARBAGE).refusal == \
            (409, "open_data_rejected", "login")
    texts = set()
    for path in "phone", "decrypt":
        for sealed in GARBAGE, good:
            answer = user.post(path, sealed, X_Request_Id="same")
            refused(answer, 60)
            texts.add(answer.text)
    assert len(texts) == 1
    assert user.login().status == 200, "logging in is another thing"


def test_no_burst_gets_more_failures_than_are_allowed(one, shopper):
    user = shopper(one('failed = "5/h"')).logged_in()
    seen = []

    def post():
        mine = user.elsewhere()
        for _ in range(6):
            seen.append(mine.post("phone", GARBAGE).status)
        mine.client.close()
    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {409, 429}
    assert seen.count(409) <= 5 + 1, "workers of which one looked meanwhile"


def test_failures_are_counted_by_user_not_by_session(one, shopper):
    user = shopper(one('failed = "2/m"')).logged_in()
    for _ in range(2):
        user.post("phone", GARBAGE)
    second = user.elsewhere().logged_in()
    refused(second.post("phone", GARBAGE), 60)


def test_an_address_brings_so_many_codes(one, shopper, sandbox):
    server = one('address = "3/m"')
    users = [shopper(server) for _ in range(3)]
    assert [user.login().status for user in users] == [200] * 3
    calls = len(sandbox.calls())
    refused(shopper(server).login(), 60)
    assert len(sandbox.calls()) == calls, "the platform is not asked"


def test_each_app_counts_addresses_for_itself(server, phone, platform):
    shop = server({name: server.policy(limited(f'address = "{most}/m"'),
                                       platform)
                   for name, most in (("one", 2), ("two", 1))})
    one, two = (phone(shop, platform, app=name) for name in ("one", "two"))
    assert one.login().status == 200 and one.login().status == 200
    assert two.login().status == 200
    assert refused(two.login(), 60) and refused(one.login(), 60)


def test_a_code_refused_by_address_is_not_spent(one, shopper):
    user = shopper(one('address = "1/s"'))
    user.login("made-up")
    code = user.code()

    def let_in():
        answer = user.login(code)
        return answer.status == 200 or not refused(answer, 1)
    until(let_in, "a new window")


def test_posts_of_a_known_code_do_not_count(one, shopper):
    user = shopper(one('address = "2/m", login = "2/m"'))
    code = user.code()
    tokens = {user.login(code).data["token"] for _ in range(6)}
    assert len(tokens) == 1
    assert user.login().status == 200
    refused(user.login(), 60)


def test_posts_of_a_code_under_way_do_not_count(one, shopper, sandbox):
    user = shopper(one('address = "1/m", login = "1/m"'))
    sandbox.set(latency=300)
    code, seen = user.code(), []

    def post():
        seen.append(user.elsewhere().login(code).status)
    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 5


def test_addresses_are_those_that_a_proxy_tells(one, shopper):
    server = one('address = "1/m"', http=PROXIED)

    def login(address):
        return shopper(server).post(
            "login", {"code": f"made-up-{address}"}, X_Real_IP=address)
    assert login("192.0.2.1").status == 409
    assert login("192.0.2.2").status == 409
    client = Client(server.port)
    answer = client.post("/v1/shop/login", {"code": "another"},
                         X_Real_IP="192.0.2.1")
    refused(answer, 60)
    client.close()


def test_nobody_is_believed_who_is_not_listed(one, shopper):
    server = one('address = "1/m"')
    for number in range(2):
        answer = shopper(server).post("login", {"code": f"made-up-{number}"},
                                      X_Forwarded_For=f"192.0.2.{number}",
                                      X_Real_IP=f"192.0.2.{number}")
    refused(answer, 60)


def test_a_million_addresses_fit_into_the_dictionary(server):
    """Its size is what is taken; the oldest counters go."""
    one = server(server="""
        location /flood { content_by_lua_block {
            local limit, policy =
              require "latchkey.limit", { limit = { address = { 5, 60 } } }
            for i = 1, 300000 do
              limit.take(policy, "address", ngx.var.arg_from .. i)
            end
            local seen = 0
            for _ = 1, 6 do
              if limit.take(policy, "address", "one") then seen = seen + 1 end
            end
            ngx.say(seen, " ", #ngx.shared.limits:get_keys(0))
        } }""")
    kept = []
    for wave in range(4):
        client = Client(one.port, timeout=120)
        seen, keys = client.get(f"/flood?from={wave}-").text.split()
        client.close()
        assert seen == "1", "who comes now is counted all the same"
        kept.append(int(keys))
    assert 50000 < max(kept) < 300000, kept
    assert min(kept) > 0.9 * max(kept), kept


def test_without_the_dictionary_there_are_no_limits_and_one_warning(
        server, phone):
    text = server.policy(limited('login = "1/m"'))
    one = server(apps={"shop": text}, start=False)
    one.conf.write_text(one.conf.read_text().replace(
        "lua_shared_dict limits 16m;", ""))
    one.start()
    user = phone(one, app="shop")
    assert [user.login().status for _ in range(3)] == [200] * 3
    assert one.log.count('no "lua_shared_dict limits"') == 1


@pytest.mark.parametrize("kind", ["rate", "quota"])
def test_the_platform_s_limits_say_when_to_come_again(user, sandbox, kind):
    sandbox.fault(kind)
    refused(user.login(), 86400)


def test_an_app_has_a_budget_of_codes(one, shopper, sandbox):
    server = one('app = "3/m"')
    assert [shopper(server).login().status for _ in range(3)] == [200] * 3
    calls = len(sandbox.calls())
    refused(shopper(server).login(), 60)
    assert len(sandbox.calls()) == calls, "the platform is not asked"


def test_ipv6_addresses_are_counted_by_their_network(one, shopper):
    server = one('address = "2/m"', http=PROXIED)

    codes = itertools.count()

    def login(address):
        return shopper(server).post(
            "login", {"code": f"made-up-{next(codes)}"}, X_Real_IP=address)
    assert login("2001:db8:1:2::1").status == 409
    assert login("2001:db8:1:2:ffff::9").status == 409
    refused(login("2001:db8:1:2:3:4:5:6"), 60)
    assert login("2001:db8:1:3::1").status == 409
    assert login("::ffff:192.0.2.9").status == 409
    assert login("192.0.2.9").status == 409
    refused(login("192.0.2.9"), 60)


@pytest.mark.parametrize("field, most", [
    ('code = { replay = "2h" }', '"1h"'), ("code = { replay = 3601 }", '"1h"'),
    ('session = { ttl = "4000d" }', '"3650d"'), ('timeout = "2m"', '"60s"'),
    ('phone = { wait = "5m" }', '"30s"'), ('phone = { rescue = "1d" }', '"1h"'),
    ('key = { window = "9999d" }', '"365d"')])
def test_a_duration_has_an_upper_bound(server, field, most):
    one = server({"shop": server.policy(field + ",")}, start=False)
    status, _, errors = command(one.folder, "-p", ".", "-c", one.conf.name,
                                "-t", leaks=False)
    assert status == 1
    assert f"must be a duration of at most {most}" in errors
    assert "shop.lua:" in errors
