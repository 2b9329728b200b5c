"""Fixtures of the end-to-end tests: sandbox, servers and phones."""

import contextlib
import itertools
import os
import re

import pytest

from harness import ROOT, Sandbox, Server, free_port
from phone import APPIDS, Phone

CONF = """\
worker_processes 2;
error_log {log};
{main}
http {{
    lua_package_path "{root}/lua/?.lua;{root}/lua/?/init.lua;;";
    lua_shared_dict limits 16m;
    latchkey_store {store};
    latchkey_apps apps;
    {http}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 64k;
        location /v1/ {{
            content_by_lua_block {{ require("latchkey.api").serve() }}
        }}
        {server}
    }}
    server {{
        listen 127.0.0.1:{admin_port};
        location / {{
            content_by_lua_block {{ require("latchkey.admin").serve() }}
        }}
    }}
}}
"""
POLICY = """\
local app = require "latchkey.app"
return app {{
  platform = "{platform}",
  appid = "{appid}",
  secret = "sandbox-secret",
  api = "{url}/{platform}",
  limit = {{ login = 0, phone = 0, failed = 0, address = 0 }},
{fields}
}}
"""
names = itertools.count(1)


@pytest.fixture(scope="session", name="sandbox")
def the_sandbox(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the servers of the test said last."""
    report = (yield).get_result()
    if report.failed:
        for used in item.funcargs.values():
            for server in getattr(used, "made", [used]):
                if isinstance(server, Server):
                    report.sections.append((f"log of {server.folder.name}",
                                            server.log[-4000:]))


@pytest.fixture(autouse=True)
def restored(request):
    """Each test finds the sandbox's settings as they were."""
    yield
    if "sandbox" in request.fixturenames:
        request.getfixturevalue("sandbox").restore()


class Makers:
    """Makes servers and stops them at the end, last first."""

    def __init__(self, sandbox, folders, store="lmdb:var/store"):
        self.sandbox, self.folders, self.made = sandbox, folders, []
        self.store = store

    def policy(self, fields="", platform="wechat", appid=None):
        """A policy's text: no limits, and these fields in Lua."""
        return POLICY.format(platform=platform, fields=fields,
                             appid=appid or APPIDS[platform],
                             url=self.sandbox.url)

    def demos(self):
        """The shipped policies, pointed at this sandbox."""
        return {path.stem: re.sub(r"http://127\.0\.0\.1:9091",
                                  self.sandbox.url, path.read_text())
                for path in sorted((ROOT / "scripts/apps").glob("demo-*.lua"))}

    def __call__(self, apps=None, start=True, **blocks):
        """A server with the demo apps and these (name=text; None leaves one
        out); blocks are text for log, main, store, http and server."""
        folder = self.folders.mktemp("server")
        port, admin_port = free_port(), free_port()
        blocks = {"log": "stderr debug", "main": "", "http": "", "server": "",
                  "store": self.store, **blocks}
        conf = CONF.format(root=ROOT, port=port, admin_port=admin_port,
                           **blocks)
        server = Server(folder, conf, port, admin_port)
        server.apps.mkdir()
        for name, text in {**self.demos(), **(apps or {})}.items():
            if text is not None:
                (server.apps / f"{name}.lua").write_text(text)
        server.secrets.add("sandbox-secret")
        self.made.append(server)
        return server.start() if start else server

    def stop(self):
        faults = []
        for server in reversed(self.made):
            try:
                server.stop()
            except Exception as fault:  # the others must stop all the same
                faults.append(fault)
        if faults:
            raise faults[0]


@pytest.fixture(scope="module")
def store():
    """The URL of the servers' store; a file may have another."""
    return "lmdb:var/store"


@pytest.fixture(scope="module")
def servers(sandbox, tmp_path_factory, store):
    """Makes servers for all tests of a file."""
    makers = Makers(sandbox, tmp_path_factory, store)
    yield makers
    makers.stop()


@pytest.fixture
def server(sandbox, tmp_path_factory, store):
    """Makes servers for one test: server(apps={…}, http="…") -> Server."""
    makers = Makers(sandbox, tmp_path_factory, store)
    yield makers
    makers.stop()


@pytest.fixture(scope="module")
def shop(servers):
    """One running server with the demo apps for all tests of a file."""
    unlimited = {name: re.sub(
        r"\n}\s*$", "\n  limit = { login = 0, phone = 0, failed = 0, "
        "address = 0 },\n}\n", text) for name, text in servers.demos().items()}
    shop = servers(apps=unlimited, start=False,
                   http="latchkey_service_key file:service.key;")
    (shop.folder / "service.key").write_text("service-key-of-the-tests\n")
    shop.secrets.add("service-key-of-the-tests")
    return shop.start()


@pytest.fixture(name="web", scope="module")
def the_web(servers, request):
    """One running server with the file's BLOCKS."""
    return servers(server=request.module.BLOCKS)


@pytest.fixture(name="client")
def the_client(web):
    """A connection to it."""
    with contextlib.closing(web.client()) as client:
        yield client


@pytest.fixture
def phone(sandbox, request):
    """Makes phones, each of a user of its own: phone(server) -> Phone."""
    made = []

    def make(server, platform="wechat", user=None, **more):
        user = user or f"{request.node.name[:60]}-{os.getpid()}-{next(names)}"
        made.append(Phone(sandbox, server, user, platform, **more))
        return made[-1]
    yield make
    for one in made:
        one.client.close()


@pytest.fixture(params=["wechat", "douyin"])
def platform(request):
    return request.param


@pytest.fixture
def user(phone, shop, platform):
    """A new user of the demo app, once for each platform."""
    return phone(shop, platform)
