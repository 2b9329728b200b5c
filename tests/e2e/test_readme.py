"""What the papers show works as they show it."""

import itertools
import re

import pytest

from harness import ROOT

PAPERS = [path for top in (".", "core", "lua", "scripts")
          for path in sorted((ROOT / top).glob(
              "**/*.md" if top == "scripts" else "*.md"))]


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


def anchor(heading):
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(
    path.relative_to(ROOT)))
def test_no_link_of_a_paper_is_dead(paper):
    text = re.sub(r"```.*?```", "", paper.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http"):
            continue
        name, _, part = link.partition("#")
        target = paper.parent / name if name else paper
        assert target.exists(), link
        if part:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert part in map(anchor, headings), link


def code_of(paper):
    """Its blocks of code, but for pictures and what comments say."""
    text = (ROOT / paper).read_text()
    return [re.sub(r"  # .*", "", code) for code in
            re.findall(r"```\w+\n(.*?)```", text, re.S)]


def rows_of(paper, heading):
    """The figures of the first table below a heading, a list for each row."""
    text = (ROOT / paper).read_text().split(f"## {heading}\n")[1]
    rows = itertools.takewhile(
        lambda line: line.startswith("|"),
        itertools.dropwhile(lambda line: not line.startswith("|"),
                            text.splitlines()))
    return [[cell.strip() for cell in row.split("|")[2:-1]]
            for row in list(rows)[2:]]


def test_both_front_pages_show_the_same():
    assert code_of("README.md") == code_of("README.zh-CN.md")
    headings = [re.findall(r"^## ", (ROOT / paper).read_text(), re.M)
                for paper in ("README.md", "README.zh-CN.md")]
    assert len(headings[0]) == len(headings[1]) + 1  # speed and scale
    columns = 0, 1, 2, 5, 6
    assert [[row[i] for i in columns] for row in
            rows_of("README.md", "The storm")] == \
        rows_of("README.zh-CN.md", "风暴")
    assert len(rows_of("README.md", "Compared")) == \
        len(rows_of("README.zh-CN.md", "对比"))


def test_every_reason_and_platform_code_is_explained():
    errors = (ROOT / "scripts/errors.md").read_text()
    meanings = (ROOT / "scripts/console/meaning.js").read_text()
    reply = (ROOT / "lua/latchkey/reply.lua").read_text()
    reasons = re.findall(r"^  (\w+) = \{ \d", reply, re.M)
    assert len(reasons) > 20
    for reason in reasons:
        assert f"`{reason}`" in errors, reason
    for platform in "wechat", "douyin":
        text = (ROOT / f"core/platform/{platform}.c").read_text()
        codes = set(re.findall(r"^    \{ (\d{5,}), PLATFORM", text, re.M))
        assert len(codes) > 15
        part = errors.split(f"## {platform.title()}\n".replace(
            "Wechat", "WeChat"))[1].split("\n## ")[0]
        for code in codes:
            assert re.search(rf"^\|[^|]*\b{code}\b", part, re.M), code
            assert re.search(rf"^  {code}: ", meanings, re.M), code
