"""What the papers show works as they show it."""

import re

from harness import ROOT


def example(paper, heading, language):
    """The first block of code of that language below a heading."""
    text = (ROOT / paper).read_text().split(f"## {heading}\n")[1]
    return re.search(rf"```{language}\n(.*?)```", text, re.S)[1]


def test_the_endpoint_of_the_paper_tells_who_asks(server, phone):
    shop = server(server='location = /hello { content_by_lua_file hello.lua; }',
                  start=False)
    (shop.folder / "hello.lua").write_text(
        example("lua/README.md", "An endpoint of your own", "lua"))
    shop.start()
    user = phone(shop).logged_in()
    told = user.client.get("/hello", token=user.token)
    assert told.json == {"user": user.session().data["user_id"],
                         "app": user.app}
    assert user.client.get("/hello", token="lk_wrong").json == \
        {"reason": "token_invalid"}


def test_the_policy_of_the_front_page_loads(server, phone):
    text = example("README.md", "A policy", "lua")
    text = text.replace('app.env "SHOP_SECRET"', '"sandbox-secret"').replace(
        "  appid ", f'  api = "{server.sandbox.url}/wechat",\n  appid ')
    shop = server({"shop": text})
    answer = phone(shop, app="shop").login()
    assert answer.data["greeting"] == "welcome"
    assert answer.data["refresh_after"] == 12 * 3600
