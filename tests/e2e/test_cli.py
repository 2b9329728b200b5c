"""The command line, which is nginx's: flags, messages, exit statuses."""

import json
import os
import signal
import socket

import pytest

from harness import ROOT, command, until

VECTORS = json.loads((ROOT / "tests/data/vectors.json").read_text())
GOOD = """\
http {
    latchkey_store memory:;
    server {
        listen 127.0.0.1:1;
        location / { return 200; }
    }
}
"""


@pytest.fixture(name="run")
def fixture_run(tmp_path):
    """run(arguments…, conf=text): latchkey in a folder with that file."""
    def run(*args, conf=GOOD, **more):
        (tmp_path / "test.conf").write_text(conf)
        return command(tmp_path, "-p", tmp_path, "-c", "test.conf", *args,
                       **more)
    run.folder = tmp_path
    return run


def test_a_good_configuration_passes_its_test(run):
    status, out, err = run("-t")
    assert (status, out) == (0, "")
    path = run.folder / "test.conf"
    assert err == f"latchkey: the configuration file {path} syntax is ok\n" \
        f"latchkey: configuration file {path} test is successful\n"
    assert run("-t", "-q") == (0, "", "")


def test_the_shipped_configurations_pass_their_test(tmp_path):
    for conf in "scripts/latchkey.conf", "scripts/sandbox/sandbox.conf":
        status, _, err = command(tmp_path, "-p", ROOT, "-c", conf, "-t")
        assert status == 0, err


def test_dumping_shows_the_configuration(run):
    (run.folder / "part.conf").write_text("env PART;\n")
    status, out, _ = run("-T", conf="include part.conf;\n" + GOOD)
    assert status == 0
    assert GOOD in out and "env PART;" in out
    assert f"# configuration file {run.folder}/test.conf:" in out


BAD = {
    "an unknown directive": ("frobnicate on;\n", 1,
                             'unknown directive "frobnicate"'),
    "one in a block": ("http {\n  server {\n    frobnicate;\n}}\n", 3,
                       'unknown directive "frobnicate"'),
    "one in the wrong place": ("listen 80;\n", 1,
                               '"listen" directive is not allowed here'),
    "too many arguments": ("worker_processes 1 2;\n", 1,
                           "invalid number of arguments in "
                           '"worker_processes" directive'),
    "too few arguments": ("http { server { listen; } }\n", 1,
                          'invalid number of arguments in "listen" directive'),
    "no block": ("http;\n", 1, 'directive "http" has no opening "{"'),
    "no terminator": ("worker_processes 1\n", 2, "unexpected end of file"),
    "a brace too few": (GOOD + "events {\n", 9, "unexpected end of file"),
    "a brace too many": (GOOD + "}\n", 8, 'unexpected "}"'),
    "a twin": ("pid a;\npid b;\n", 2, '"pid" directive is duplicate'),
    "a bad value": ("worker_processes many;\n", 1, "worker_processes"),
    "a bad size": ("http {\n client_max_body_size 1x;\n}\n", 2, ""),
    "no included file": ("include nothing.conf;\n", 1, "nothing.conf"),
    "an unknown store": ("http { latchkey_store mongo:x; }\n", 1,
                         "latchkey_store"),
    "a bad port": ("http { server {\nlisten 127.0.0.1:99999; } }\n", 2, ""),
}


@pytest.mark.parametrize("conf, line, told", BAD.values(), ids=BAD)
def test_a_wrong_configuration_names_file_and_line(run, conf, line, told):
    status, out, err = run("-t", conf=conf, leaks=False)
    assert (status, out) == (1, "")
    assert "latchkey: [emerg] " in err and told in err, err
    assert f" in {run.folder}/test.conf:{line}\n" in err, err
    assert "test failed" in err
    assert run(conf=conf, leaks=False)[0] == 1, "it does not start with it"


def test_a_log_below_the_main_level_is_ignored_aloud(run):
    status, _, err = run("-t", conf="events {}\nhttp { error_log x info; }\n")
    assert status == 0 and '"error_log" is ignored in' in err
    assert f"{run.folder}/test.conf:2" in err


def test_a_fault_in_an_included_file_names_that_file(run):
    (run.folder / "part.conf").write_text("\nfrobnicate;\n")
    status, _, err = run("-t", conf="include part.conf;\n", leaks=False)
    assert status == 1 and f"in {run.folder}/part.conf:2" in err


def test_a_file_that_is_not_there_is_told(tmp_path):
    status, _, err = command(tmp_path, "-p", ".", "-c", "none.conf", "-t",
                             leaks=False)
    assert status == 1
    assert "latchkey: [emerg] open()" in err and "none.conf" in err
    assert "No such file or directory" in err


def test_global_directives_come_from_the_command_line_too(run):
    assert run("-t", "-g", "pid other.pid;")[0] == 0
    status, _, err = run("-t", "-g", "frobnicate on;", leaks=False)
    assert status == 1 and 'unknown directive "frobnicate"' in err
    assert "in command line" in err


def test_a_broken_policy_fails_the_test(run):
    (run.folder / "apps").mkdir()
    (run.folder / "apps/shop.lua").write_text("return {\n")
    conf = GOOD.replace("memory:;", "memory:; latchkey_apps apps;")
    status, _, err = run("-t", conf=conf, leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and "apps/shop.lua:" in err


def test_the_version_is_told(run):
    status, _, err = run("-v")
    assert status == 0 and err.startswith("latchkey version: latchkey/")
    status, _, err = run("-V")
    assert status == 0 and "OpenSSL" in err
    status, out, err = run("-h")
    assert status == 0 and "-s signal" in out + err


@pytest.mark.parametrize("args", [["-x"], ["-c"], ["frobnicate"], ["-s"],
                                  ["-s", "jump"]])
def test_a_wrong_argument_is_told(tmp_path, args):
    status, _, err = command(tmp_path, *args, leaks=False)
    assert status == 1 and err.startswith("latchkey: ")


def test_a_signal_to_nobody_is_told(run):
    for name in "stop", "quit", "reload", "reopen":
        status, _, err = run("-s", name, leaks=False)
        assert status == 1
        assert err.startswith("latchkey: ") and "latchkey.pid" in err


def test_a_port_that_is_taken_ends_the_start(server):
    shop = server(start=False)
    with socket.create_server(("127.0.0.1", shop.port)):
        status, _, err = command(shop.folder, "-p", ".", "-c",
                                 "latchkey.conf", leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and f"127.0.0.1:{shop.port}" in err
    assert "Address already in use" in err
    assert not shop.pid_file.exists()


def test_a_store_that_cannot_be_written_ends_the_start(server):
    shop = server(start=False)
    (shop.folder / "var").mkdir()
    (shop.folder / "var/store").write_text("not a folder")
    status, _, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                             leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and "var/store" in err


def test_two_processes_do_not_share_a_store(server):
    shop, other = server(), server(start=False)
    other.conf.write_text(other.conf.read_text().replace(
        "lmdb:var/store", f"lmdb:{shop.folder}/var/store"))
    status, _, err = command(other.folder, "-p", ".", "-c", "latchkey.conf",
                             leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and "var/store" in err
    assert shop.admin("/healthz", token=None).status == 200


def test_a_wrong_master_key_ends_the_start(server):
    shop = server(start=False)
    (shop.folder / "var").mkdir()
    (shop.folder / "var/master.key").write_text("not a key\n")
    status, _, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                             leaks=False)
    assert status == 1
    assert "latchkey: [emerg] " in err and "var/master.key" in err
    assert "not a key" not in err


def test_a_daemon_returns_when_it_serves(server):
    shop = server(main="daemon on;", log="var/error.log info", start=False)
    status, out, err = command(shop.folder, "-p", ".", "-c", "latchkey.conf")
    assert (status, out) == (0, ""), err
    pid = int(shop.pid_file.read_text())
    try:
        assert shop.admin("/healthz", token=None).status == 200
        assert os.getsid(pid) != os.getsid(0)
        assert command(shop.folder, "-p", ".", "-c", "latchkey.conf", "-s",
                       "quit")[0] == 0
        until(lambda: not shop.pid_file.exists(), "its end")
        until(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert "exit" in shop.log


def test_a_daemon_that_cannot_start_says_so(server):
    shop = server(main="daemon on;", start=False)
    with socket.create_server(("127.0.0.1", shop.port)):
        assert command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                       leaks=False)[0] == 1
    (shop.folder / "var").mkdir(exist_ok=True)
    (shop.folder / "var/store").write_text("not a folder")
    assert command(shop.folder, "-p", ".", "-c", "latchkey.conf",
                   leaks=False)[0] == 1


def script(folder, text, *args, **more):
    (folder / "script.lua").write_text(text)
    return command(folder, "run", "script.lua", *args, **more)


def test_run_gives_a_script_its_arguments_and_the_api(tmp_path):
    status, out, err = script(tmp_path, """
        local first, second = ...
        ngx.say(arg[0], " ", arg[1], " ", arg[2], " ", first, " ", second)
        ngx.sleep(0.01)
        ngx.say(ngx.md5("a"))
        local thread = ngx.thread.spawn(function() return "joined" end)
        ngx.say(select(2, ngx.thread.wait(thread)))
        ngx.print(require("cjson.safe").encode { a = 1 })
        print("printed")
        io.stderr:write("said\\n")
        """, "one", "two words")
    assert status == 0, err
    assert out == "script.lua one two words one two words\n" \
        "0cc175b9c0f1b6a831c399e269772661\njoined\n" '{"a":1}printed\n'
    assert err == "said\n"


@pytest.mark.parametrize("text, told", [
    ("error('no luck')", "script.lua:1: no luck"),
    ("local x = = 1", "script.lua:1: "),
    ("ngx.sleep(0.01) error({})", "script.lua:1:"),
    ("require 'nothing.there'", "module 'nothing.there' not found"),
])
def test_a_script_that_fails_says_where(tmp_path, text, told):
    status, _, err = script(tmp_path, text, leaks=False)
    assert status == 1 and err.startswith("latchkey: ") and told in err


@pytest.mark.parametrize("text, expected", [
    ("os.exit(7)", 7), ("ngx.exit(0)", 0), ("return", 0), ("", 0)])
def test_a_script_may_choose_its_exit_status(tmp_path, text, expected):
    assert script(tmp_path, text, leaks=False)[0] == expected


def test_run_takes_a_script_from_standard_input_or_the_command_line(tmp_path):
    text = "ngx.sleep(0.01) ngx.say(arg[1], ...)"
    for args in (["-", "one"], ["-e", text, "one"]):
        status, out, err = command(tmp_path, "run", *args, stdin=text)
        assert (status, out, err) == (0, "oneone\n", "")
    status, _, err = command(tmp_path, "run", "-e", "error 'oh'", leaks=False)
    assert status == 1 and "(command line):1: oh" in err


def test_run_wants_a_file(tmp_path):
    for args in (["run"], ["run", "nothing.lua"], ["run", "-e"],
                 ["run", "-I"], ["run", "-x", "y"], ["run", "-l", "cjson"]):
        status, _, err = command(tmp_path, *args, leaks=False)
        assert status == 1 and err.startswith("latchkey: ")


# latchkey decrypt


def decrypt(folder, vector, *more, **options):
    return command(folder, "decrypt", "--key", vector["key"], "--iv",
                   vector["iv"], "--appid", vector["appid"], *more, **options)


@pytest.mark.parametrize("vector", VECTORS["open_data"],
                         ids=lambda vector: vector["name"])
def test_decrypt_opens_every_vector_or_says_why_not(tmp_path, vector):
    status, out, err = decrypt(tmp_path, vector, vector["data"])
    if vector["want"] == "open":
        assert (status, err) == (0, "")
        assert out == vector["plain"] + "\n"
    else:
        assert (status, out) == (1, "")
        assert vector["says"] in err and err.startswith("latchkey: ")
        assert vector["key"] not in err or vector["key"] == "session_key"


def test_decrypt_reads_key_and_data_from_elsewhere(tmp_path):
    vector = VECTORS["open_data"][0]
    plain = vector["plain"] + "\n"
    assert decrypt(tmp_path, vector, "-", stdin=vector["data"])[:2] == \
        (0, plain)
    assert decrypt(tmp_path, vector, stdin=vector["data"] + "\n")[:2] == \
        (0, plain)
    both = f"{vector['key']}\n{vector['data']}\n"
    assert decrypt(tmp_path, {**vector, "key": "-"}, stdin=both)[:2] == \
        (0, plain)
    status, out, _ = command(tmp_path, "decrypt", "--iv", vector["iv"],
                             vector["data"], LATCHKEY_KEY=vector["key"])
    assert (status, out) == (0, plain)


def test_decrypt_tells_how_it_is_used(tmp_path):
    for args in ([], ["--key", "x"], ["--frob"], ["--key", "a", "--iv", "b",
                                                  "c", "d"]):
        status, out, err = command(tmp_path, "decrypt", *args)
        assert (status, out) == (1, "") and "usage: latchkey decrypt" in err


def test_run_takes_folders_modules_and_code_as_resty_does(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/own.lua").write_text("mark = 'own'")
    (tmp_path / "a.lua").write_text("print(mark, arg[0], ..., #arg)")
    for args, told in (
            (["-I", "lib", "-l", "own", "a.lua", "x"], "own\ta.lua\tx\t1\n"),
            (["-I", "lib", "-e", "require 'own'", "-e", "print(mark, ...)",
              "y"], "own\ty\n"),
            (["-e", "print(#arg, ...)", "-", "-e"], "2\t-\t-e\n")):
        status, out, err = command(tmp_path, "run", *args)
        assert (status, out) == (0, told), err
    status, out, _ = command(tmp_path, "run", "-l", "cjson", "-", "z",
                             stdin="print(arg[0], ...)")
    assert (status, out) == (0, "-\tz\n")
