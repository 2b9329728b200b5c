"""The session key changes between the popup and its decryption, which is why
latchkey exists; and logins and data that arrive in any order."""

import concurrent.futures

import pytest

from harness import until

REJECTED = (409, "open_data_rejected", "login")


@pytest.fixture(name="rotating", autouse=True)
def fixture_rotating(sandbox):
    """Every login brings a new key, on WeChat too."""
    sandbox.set(rotate_min=0)


def opened(answer):
    return answer.data["purePhoneNumber"]


def test_data_of_key_a_opens_after_the_login_that_brought_key_b(user):
    user.logged_in()
    sealed, _ = user.tap()
    user.logged_in()
    assert opened(user.post("phone", sealed)).startswith("138")
    sealed, _ = user.tap()
    assert opened(user.post("phone", sealed)).startswith("138")


def test_the_ring_holds_the_last_four_keys(user):
    user.logged_in()
    taps = [user.tap()[0]]
    for _ in range(4):
        user.logged_in()
        taps.append(user.tap()[0])
    assert user.post("phone", taps[0]).refusal == REJECTED
    for sealed in taps[1:]:
        assert opened(user.post("phone", sealed))


def test_a_policy_may_keep_fewer_keys(phone, server, platform):
    shop = server({"few": server.policy("key = { keep = 1 }", platform)})
    user = phone(shop, platform, app="few").logged_in()
    old, _ = user.tap()
    user.logged_in()
    new, _ = user.tap()
    assert user.post("phone", old).refusal == REJECTED
    assert opened(user.post("phone", new))


def test_a_key_is_kept_no_longer_than_its_window(phone, server, platform):
    shop = server({"brief": server.policy('key = { window = "1s" }', platform)})
    user = phone(shop, platform, app="brief").logged_in()
    sealed, _ = user.tap()
    assert opened(user.post("phone", sealed))
    until(lambda: user.post("phone", sealed).status == 409, "its end")
    shop.logged("cause=no_key")
    assert "phone" not in user.login().data, "that brought another key"


def test_a_session_tells_that_its_key_is_out_of_its_window(phone, server):
    shop = server({"brief": server.policy('key = { window = "1s" }')})
    user = phone(shop, app="brief").logged_in()
    until(lambda: not user.session().data["key"]["known"], "its end")
    data = user.session().data
    assert data["key"] == {"known": False, "verdict": "unknown", "age": None,
                           "verified_ago": None}
    assert data["action"] == "login"


def test_an_old_token_reads_with_the_new_key(user):
    """Two devices of one user: the ring is the user's, not the token's."""
    user.logged_in()
    other = user.elsewhere().logged_in()
    sealed, _ = other.tap()
    assert opened(user.post("phone", sealed))


def test_nobody_reads_with_the_key_of_another(phone, shop, platform):
    user, other = (phone(shop, platform).logged_in() for _ in range(2))
    sealed, _ = other.tap()
    assert user.post("phone", sealed).refusal == REJECTED


def test_codes_exchanged_in_the_wrong_order_both_count(user):
    user.logged_in()
    early = user.code()
    first, _ = user.tap()
    late = user.code()
    second, _ = user.tap()
    user.login(late)
    user.login(early)
    for sealed in first, second:
        assert opened(user.post("phone", sealed))


def test_a_phone_request_spends_its_code_where_the_keys_fail(user, sandbox):
    user.logged_in()
    token = user.token
    code = user.code()
    sealed, _ = user.tap()
    before = len(sandbox.calls())
    assert opened(user.post("phone", {**sealed, "code": code}))
    assert len(sandbox.calls()) == before + 1
    assert user.token == token and user.session().status == 200


def test_the_code_of_another_user_opens_nothing(phone, shop, platform):
    user, other = (phone(shop, platform).logged_in() for _ in range(2))
    code = other.code()
    sealed, _ = other.tap()
    answer = user.post("phone", {**sealed, "code": code},
                       X_Request_Id=f"theirs-{platform}")
    assert answer.refusal == REJECTED
    assert "cause=wrong_user" in \
        shop.logged(rf".*request_id=theirs-{platform} .*reason=.*")[0]
    # the key went to that user's ring
    assert opened(other.post("phone", sealed))


def test_data_before_its_login_is_rescued_by_the_login(user):
    user.logged_in()
    code = user.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).refusal == REJECTED
    data = user.login(code).data
    assert data["phone"]["purePhoneNumber"].startswith("138")


def test_rescue_can_be_switched_off(phone, server, platform):
    shop = server({"strict": server.policy("phone = { rescue = 0 }", platform)})
    user = phone(shop, platform, app="strict").logged_in()
    code = user.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).refusal == REJECTED
    assert "phone" not in user.login(code).data


@pytest.fixture(name="under_way")
def fixture_under_way(sandbox):
    """under_way(login) -> its answer to come; the platform has its code."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        def start(login, *args, **fields):
            sandbox.set(latency=500)
            calls = len(sandbox.calls())
            answer = pool.submit(login, *args, **fields)
            until(lambda: len(sandbox.calls()) > calls, "the login's call")
            return answer
        yield start


def test_a_phone_request_waits_for_the_login_under_way(user, under_way):
    user.logged_in()
    code = user.code()
    sealed, _ = user.tap()
    login = under_way(user.elsewhere().login, code)
    assert opened(user.post("phone", sealed))
    assert login.result().status == 200


def test_a_login_of_the_same_device_is_waited_for_without_a_token(user,
                                                                  under_way):
    user.login(device="my phone")
    code = user.code()
    sealed, _ = user.tap()
    afresh = user.elsewhere()
    afresh.token = None
    login = under_way(afresh.login, code, device="my phone")
    assert opened(user.post("phone", sealed))
    assert login.result().status == 200


def test_the_second_of_two_logins_is_waited_for_too(user, sandbox, under_way):
    user.logged_in()
    first, second = user.code(), user.code()
    sealed, _ = user.tap()
    logins = [under_way(user.elsewhere().login, first)]
    sandbox.set(latency=700)
    logins.append(under_way(user.elsewhere().login, second))
    assert opened(user.post("phone", sealed))
    assert [login.result().status for login in logins] == [200, 200]


def test_a_policy_may_wait_for_no_login(phone, server, platform, under_way):
    shop = server({"hasty": server.policy("phone = { wait = 0 }", platform)})
    user = phone(shop, platform, app="hasty").logged_in()
    code = user.code()
    sealed, _ = user.tap()
    login = under_way(user.elsewhere().login, code)
    assert user.post("phone", sealed).refusal == REJECTED
    assert login.result().status == 200


def test_two_devices_both_get_the_rescued_phone(user):
    user.logged_in()
    other = user.elsewhere()
    codes = user.code(), other.code()
    sealed, _ = user.tap()
    assert user.post("phone", sealed).refusal == REJECTED
    assert "phone" not in user.login(codes[0]).data, "not yet its key"
    for device in user, other:
        number = device.login(codes[1] if device is user else None)
        assert number.data["phone"]["purePhoneNumber"].startswith("138")


def test_keys_survive_a_restart(phone, server, platform):
    shop = server()
    user = phone(shop, platform).logged_in()
    sealed, _ = user.tap()
    user.logged_in()
    shop.stop()
    user.client.close()
    shop.start()
    assert opened(user.post("phone", sealed))
