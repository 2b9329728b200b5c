// latchkey.test.js -- the mini-program's client against server and sandbox.
"use strict";

const assert = require("node:assert/strict");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { after, afterEach, before, test } = require("node:test");
const { ROOT, WECHAT, DOUYIN, ask, sleep, until, startSandbox, startServer }
  = require("./harness.js");
const { Phone } = require("./host.js");

const FILE = path.join(ROOT, "scripts/client/latchkey.js");
const { create } = require(FILE);

const demo = fs.readFileSync(path.join(ROOT, "scripts/apps/demo-douyin.lua"),
  "utf8");

let sandbox, server;
const clients = [];

before(async () => {
  sandbox = await startSandbox();
  server = await startServer(sandbox, {
    shop: ["wechat", WECHAT],
    video: ["douyin", DOUYIN],
    brisk: ["wechat", WECHAT, 'refresh = { every = "1s", min = "1s" }'],
    coded: ["wechat", WECHAT, 'phone = { via = "code" }'],
    sealed: ["douyin", DOUYIN, "private_key = "
      + demo.match(/\[\[[^\]]*\]\]/)[0]],
    qq: ["qq", "1108164955"],
    kuaishou: ["kuaishou", "ks691057985404321"],
  });
});

after(async () => {
  await server.stop();
  await sandbox.stop();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.hide(); // no timer stays
  const known = Object.keys(await sandbox.call("GET", "/settings"));
  await sandbox.set(Object.fromEntries(known.map((name) => [name, null])));
});

/** A phone and its mini-program: what a start of it makes. */
function open(app = "shop", phone, options = {}) {
  phone ??= app === "video" ? new Phone(sandbox, "douyin", DOUYIN)
    : new Phone(sandbox, "wechat", WECHAT);
  const lk = create({ base: server.url + "/", app, host: phone.host,
    ...options });
  clients.push(lk);
  return { phone, lk };
}

const whoami = { url: "/v1/shop/session" }; // stands for a back-end's page

async function revoke(lk, query = "") {
  const { status } = await ask("DELETE",
    `${server.url}/v1/shop/session${query}`, undefined,
    { authorization: "Bearer " + lk.session().token });
  assert.equal(status, 200);
}

/** What a promise is rejected with. */
async function fault(promise) {
  return promise.then((value) => assert.fail(JSON.stringify(value)), (e) => e);
}

// ---- launch -----------------------------------------------------------------

test("the first launch logs in and stores under one key", async () => {
  const { phone, lk } = open();
  const session = await lk.launch();
  assert.equal(session.new_user, true);
  assert.deepEqual(phone.calls, ["login", "request"]);
  assert.deepEqual([...phone.storage.keys()], ["latchkey.shop"]);
  assert.equal(lk.session().token, session.token);
  assert.equal(lk.session().user_id, session.user_id);
});

test("a later launch asks and does not log in", async () => {
  const { phone, lk } = open();
  const { token } = await lk.launch();
  phone.calls.length = 0;
  const again = open("shop", phone).lk;
  const session = await again.launch();
  assert.equal(session.key.verdict, "good");
  assert.deepEqual(phone.calls, ["checkSession", "request"]);
  assert.equal(again.session().token, token);
});

test("launches at the same time are one", async () => {
  const { phone, lk } = open();
  await Promise.all([lk.launch(), lk.launch(), lk.launch()]);
  assert.equal(phone.count("login"), 1);
  await Promise.all([lk.launch(), lk.launch()]);
  assert.equal(phone.count("checkSession"), 1);
});

test("a launch logs in where the platform's key has died", async () => {
  const { phone, lk } = open();
  await lk.launch();
  await sandbox.set({ key_life: 0 });
  await lk.launch();
  assert.equal(phone.count("login"), 2);
});

test("a launch logs in where the session has been ended", async () => {
  const { phone, lk } = open();
  const first = await lk.launch();
  await revoke(lk);
  const second = await lk.launch();
  assert.equal(phone.count("login"), 2);
  assert.notEqual(second.token, first.token);
  assert.equal(second.user_id, first.user_id);
});

test("a launch without a network says so and forgets nothing", async () => {
  const { phone, lk } = open();
  const { token } = await lk.launch();
  phone.lose = 2;
  const e = await fault(lk.launch());
  assert.deepEqual([e.reason, e.action], ["network", "retry"]);
  assert.equal(lk.session().token, token);
  assert.equal(phone.storage.get("latchkey.shop").token, token);
});

test("a login whose answer is lost is asked for again with its code",
  async () => {
    const { phone, lk } = open();
    phone.lose = 1;
    await lk.launch();
    const [one, two] = phone.requests;
    assert.deepEqual(one.data, two.data);
    assert.equal(phone.count("login"), 1);
  });

test("a code that the platform refuses leads to one more, and no more",
  async () => {
    await sandbox.set({ faults:
      { code2session: { kind: "errcode", errcode: 40029, count: 1 } } });
    const { phone, lk } = open();
    await lk.launch();
    assert.equal(phone.count("login"), 2);
    await sandbox.set({ faults:
      { code2session: { kind: "errcode", errcode: 40029 } } });
    const other = open();
    const e = await fault(other.lk.launch());
    assert.deepEqual([e.status, e.reason], [409, "code_invalid"]);
    assert.equal(other.phone.count("login"), 2);
  });

test("an app that there is not is told by its reason", async () => {
  const e = await fault(open("nothing").lk.launch());
  assert.ok(e instanceof Error && e.request_id);
  assert.deepEqual([e.status, e.reason, e.action], [404, "app_unknown", "fix"]);
});

// ---- request ----------------------------------------------------------------

test("a request carries the token, and logs in first where there is none",
  async () => {
    const { phone, lk } = open();
    const response = await lk.request(whoami);
    assert.equal(response.statusCode, 200);
    assert.equal(phone.requests.at(-1).header.Authorization,
      "Bearer " + lk.session().token);
  });

test("many requests that hear 401 wait for one login", async () => {
  const { phone, lk } = open();
  await lk.launch();
  await revoke(lk);
  const all = await Promise.all(Array.from({ length: 8 },
    () => lk.request(whoami)));
  assert.deepEqual(all.map((one) => one.statusCode), Array(8).fill(200));
  assert.equal(phone.count("login"), 2);
});

test("a request that hears 401 again is not made a third time", async () => {
  let heard = 0;
  const backend = http.createServer((request, response) => {
    heard++;
    response.writeHead(401).end("no");
  });
  await new Promise((done) => backend.listen(0, "127.0.0.1", done));
  const { phone, lk } = open();
  const url = `http://127.0.0.1:${backend.address().port}/cart`;
  const response = await lk.request({ url, method: "POST", data: { a: 1 },
    header: { "X-Mine": "1" } });
  backend.close();
  assert.deepEqual([response.statusCode, heard], [401, 2]);
  assert.equal(phone.count("login"), 2);
  assert.deepEqual(phone.requests.at(-1).data, { a: 1 });
  assert.equal(phone.requests.at(-1).header["X-Mine"], "1");
});

// ---- phone ------------------------------------------------------------------

test("a tap is answered with the number, without a login", async () => {
  const { phone, lk } = open();
  await lk.launch();
  const number = await lk.phone(await phone.tap());
  assert.match(number.purePhoneNumber, /^138\d{8}$/);
  assert.equal(number.countryCode, "86");
  assert.equal(phone.count("login"), 1);
});

test("data goes out before a login, which then brings its key", async () => {
  const { phone, lk } = open();
  await lk.launch();
  await sandbox.set({ rotate_min: 0 });
  await phone.act("login"); // a code that never came to the server
  await sandbox.set({ rotate_min: 60 });
  const event = await phone.tap();
  phone.calls.length = 0;
  const number = await lk.phone(event);
  assert.match(number.purePhoneNumber, /^138/);
  assert.deepEqual(phone.calls, ["request", "login", "request"]);
});

test("data that nobody can open takes one more tap, and says so", async () => {
  const { phone, lk } = open();
  await lk.launch();
  await sandbox.set({ rotate_min: 0 });
  await phone.act("login");
  const e = await fault(lk.phone(await phone.tap()));
  assert.equal(e.reason, "open_data_rejected");
  assert.equal(e.again, true);
  assert.equal(e.message, "请再点一次，获取手机号");
  const before = phone.count("login");
  assert.match((await lk.phone(await phone.tap())).phoneNumber, /^138/);
  assert.equal(phone.count("login"), before);
});

test("a tap with a session that has ended needs no other tap", async () => {
  const { phone, lk } = open();
  await lk.launch();
  const event = await phone.tap();
  await revoke(lk);
  phone.calls.length = 0;
  assert.match((await lk.phone(event)).phoneNumber, /^138/);
  assert.deepEqual(phone.calls, ["request", "login", "request"]);
});

for (const [app, platform] of [["shop", "wechat"], ["sealed", "douyin"]]) {
  for (const along of [true, false]) {
    test(`on ${platform} an account that taps with another's token ${along
      ? "gets its own number" : "taps once more at most"}`, async () => {
      const phone = new Phone(sandbox, platform,
        platform === "douyin" ? DOUYIN : WECHAT);
      const { lk } = open(app, phone);
      const alice = await lk.launch();
      phone.user += "-other"; // an account switch; the storage stays
      await phone.act("login"); // its key never came to the server
      if (platform === "douyin" && !along) { // that key is lost
        const e = await fault(lk.phone(await phone.tap()));
        assert.deepEqual([e.reason, e.again], ["open_data_rejected", true]);
      }
      const number = await lk.phone(await phone.tap(along));
      assert.notEqual(lk.session().user_id, alice.user_id);
      const truth = await phone.act("truth");
      assert.equal(number.purePhoneNumber, truth.purePhoneNumber);
      assert.equal(phone.count("login"), 2);
    });
  }
}

test("a tap during the first login waits for it", async () => {
  const { phone, lk } = open();
  await phone.act("login");
  const event = await phone.tap();
  const launch = lk.launch();
  assert.match((await lk.phone(event)).phoneNumber, /^138/);
  await launch;
  assert.equal(phone.count("login"), 1);
});

test("two taps at once are both answered", async () => {
  const { phone, lk } = open();
  await lk.launch();
  const numbers = await Promise.all([lk.phone(await phone.tap()),
    lk.phone(await phone.tap())]);
  assert.deepEqual(numbers[0], numbers[1]);
});

test("a user who closes the popup is left alone", async () => {
  const { phone, lk } = open();
  await lk.launch();
  phone.calls.length = 0;
  const e = await fault(lk.phone(
    { detail: { errMsg: "getPhoneNumber:fail user deny" } }));
  assert.deepEqual([e.reason, e.action], ["cancelled", "none"]);
  assert.ok(!e.again);
  assert.deepEqual(phone.calls, []);
});

test("what of the popup is sent is said by via", async () => {
  const event = { detail: { encryptedData: "E", iv: "I", code: "C" } };
  for (const [via, sent] of [
    ["auto", { encryptedData: "E", iv: "I", phone_code: "C" }],
    ["data", { encryptedData: "E", iv: "I" }],
    ["code", { phone_code: "C" }],
  ]) {
    const phone = new Phone(sandbox, "wechat", WECHAT);
    phone.storage.set("latchkey.shop", { token: "lk_x", expires: Infinity });
    phone.host.request = ({ data, success }) => {
      assert.deepEqual(data, sent);
      success({ statusCode: 200, data: { code: 0, data: { countryCode: "86" } } });
    };
    const { lk } = open("shop", phone, { via });
    assert.deepEqual(await lk.phone(event), { countryCode: "86" });
  }
});

test("where the popup gives a code too, no tap is in vain", async () => {
  const { phone, lk } = open();
  await lk.launch();
  await sandbox.set({ rotate_min: 0 });
  await phone.act("login");
  assert.match((await lk.phone(await phone.tap(true))).phoneNumber, /^138/);
  assert.equal(phone.count("login"), 1);
});

test("where a policy wants the popup's code, that is what it gets", async () => {
  const { phone, lk } = open("coded", undefined, { via: "code" });
  await lk.launch();
  const event = await phone.tap(true);
  assert.match((await lk.phone(event)).phoneNumber, /^138/);
  event.detail.code = event.detail.code.replace(/./g, "0");
  const e = await fault(lk.phone(event));
  assert.deepEqual([e.reason, e.again], ["phone_code_invalid", true]);
});

test("a phone code that is no good takes one more tap", async () => {
  const { phone } = open();
  phone.storage.set("latchkey.shop", { token: "lk_x", expires: Infinity });
  phone.host.request = ({ success }) => success({ statusCode: 409, data: {
    code: 409, reason: "phone_code_invalid", action: "retry", msg: "no" } });
  const { lk } = open("shop", phone, { text: { again: "Tap again" } });
  const e = await fault(lk.phone({ detail: { code: "C" } }));
  assert.deepEqual([e.again, e.message], [true, "Tap again"]);
});

// ---- Douyin -----------------------------------------------------------------

test("Douyin's users without an account are anonymous until they tap",
  async () => {
    const { phone, lk } = open("video");
    phone.atHome = false;
    const session = await lk.launch();
    assert.ok(session.anonymous_openid && !session.openid);
    assert.ok(phone.requests[0].data.anonymous_code);
    await lk.launch(); // its checkSession always fails then; that is no news
    assert.equal(phone.count("login"), 1);
    const user = await lk.login({ force: true });
    assert.ok(user.openid);
    assert.match((await lk.phone(await phone.tap())).phoneNumber, /^138/);
  });

test("on Douyin data sealed before another login opens all the same",
  async () => {
    const { phone, lk } = open("video");
    await lk.launch();
    const event = await phone.tap();
    await lk.login(); // replaces the key
    assert.match((await lk.phone(event)).phoneNumber, /^138/);
  });

for (const [platform, appid] of [["qq", "1108164955"],
  ["kuaishou", "ks691057985404321"]]) {
  test(`on ${platform} all is as on WeChat`, async () => {
    const phone = new Phone(sandbox, platform, appid);
    const { lk } = open(platform, phone);
    await lk.launch();
    assert.match((await lk.phone(await phone.tap())).phoneNumber, /^138/);
    await lk.launch();
    assert.equal(phone.count("login"), 1);
  });
}

// ---- refresh and logout -----------------------------------------------------

test("it logs in again when it is time, and only while it shows", async () => {
  const { phone, lk } = open("brisk");
  await lk.launch();
  await until(() => phone.count("login") >= 3, "two more logins");
  phone.events.hide();
  await sleep(100); // one may be under way
  const before = phone.count("login");
  await sleep(1500);
  assert.equal(phone.count("login"), before);
  phone.events.show(); // it is overdue now
  await until(() => phone.count("login") > before, "a login at the show");
});

test("a logout ends the session on both sides", async () => {
  const { phone, lk } = open();
  await lk.launch();
  const { token } = lk.session();
  assert.deepEqual(await lk.logout(), { revoked: 1 });
  assert.equal(phone.storage.size, 0);
  assert.equal(lk.session().token, undefined);
  const { body } = await ask("GET", server.url + "/v1/shop/session", undefined,
    { authorization: "Bearer " + token });
  assert.equal(body.reason, "token_revoked");
  assert.deepEqual(await lk.logout(), { revoked: 0 });
});

test("a logout everywhere ends the other devices' sessions too", async () => {
  const { phone, lk } = open();
  await lk.launch();
  phone.storage = new Map(); // another device
  const other = open("shop", phone).lk;
  await other.launch();
  assert.deepEqual(await other.logout({ all: true }), { revoked: 2 });
  assert.equal((await ask("GET", server.url + "/v1/shop/session", undefined,
    { authorization: "Bearer " + lk.session().token })).status, 401);
});

test("a logout during a login leaves nobody logged in", async () => {
  const { phone, lk } = open();
  const launch = lk.launch();
  assert.deepEqual(await lk.logout(), { revoked: 1 });
  await launch;
  assert.equal(lk.session().token, undefined);
  assert.equal(phone.storage.size, 0);
});

test("a storage that is full costs a login at each start, not the session",
  async () => {
    const { phone, lk } = open();
    phone.host.setStorageSync = () => { throw new Error("exceed storage"); };
    await lk.launch();
    assert.equal((await lk.request(whoami)).statusCode, 200);
    assert.equal(phone.count("login"), 1);
  });

// ---- the file ---------------------------------------------------------------

test("the host is found by what exists", async (t) => {
  const names = ["tt", "ks", "qq", "wx", "uni"]; // the first that is there
  t.after(() => names.forEach((name) => delete globalThis[name]));
  assert.throws(() => create({ base: server.url, app: "shop" }), /latchkey/);
  for (const name of names.reverse()) {
    const phone = new Phone(sandbox, "wechat", WECHAT);
    globalThis[name] = phone.host;
    const lk = create({ base: server.url, app: "shop" });
    clients.push(lk);
    assert.ok((await lk.launch()).token);
    assert.equal(phone.count("login"), 1, name);
  }
});

test("a host whose functions give promises too, as Taro's, does well",
  async () => {
    const phone = new Phone(sandbox, "wechat", WECHAT);
    const { login, request } = phone.host;
    const promised = (f) => (args) => new Promise((resolve, reject) => f({
      ...args,
      success: (x) => { args.success(x); resolve(x); },
      fail: (x) => { args.fail(x); reject(x); },
    }));
    Object.assign(phone.host, { login: promised(login),
      request: promised(request) });
    const { lk } = open("shop", phone);
    phone.lose = 3;
    assert.equal((await fault(lk.launch())).reason, "network");
    assert.ok((await lk.launch()).token);
  });

// Where Debian keeps what its own Node finds by itself.
function tool(...command) {
  const done = spawnSync(command[0], command.slice(1), { encoding: "utf8",
    env: { ...process.env, NODE_PATH: "/usr/share/nodejs" } });
  assert.equal(done.status, 0, done.stderr || String(done.error));
  return done.stdout;
}

test("it is at most 5 KB, minified", () => {
  const small = tool("terser", FILE, "--compress", "--mangle");
  assert.ok(Buffer.byteLength(small) <= 5000, String(Buffer.byteLength(small)));
});

test("its syntax is ES5, and the native page's", () => {
  for (const name of ["latchkey.js", "native/index.js"])
    tool("acorn", "--ecma5", "--silent",
      path.join(ROOT, "scripts/client", name));
});

test("a module of the new kind can import it", async () => {
  const module = await import(FILE);
  assert.equal(module.create, create);
});

test("with an export at its end it is an ES module", async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "latchkey-client-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const copy = path.join(folder, "latchkey.mjs");
  fs.writeFileSync(copy, fs.readFileSync(FILE) + "export { create };\n");
  const module = await import(copy);
  assert.deepEqual(Object.keys(module), ["create"]);
  assert.ok(module.create({ base: server.url, app: "shop",
    host: new Phone(sandbox, "wechat", WECHAT).host }).launch);
});

// ---- the example pages ------------------------------------------------------

// A page's code, as a builder would hand it to the platform.
function load(name, globals) {
  const text = fs.readFileSync(path.join(ROOT, "scripts/client", name), "utf8")
    .replace(/[^]*<script>|<\/script>[^]*/g, "")
    .replace("https://login.example.com", server.url)
    .replace(/import (.*) from (".*");/, "const $1 = require($2);")
    .replace("export default", "module.exports =");
  const module = { exports: {} };
  const names = ["module", "require", ...Object.keys(globals)];
  new Function(...names, text)(module, () => ({ create: (options) => {
    const lk = create(options);
    clients.push(lk);
    return lk;
  } }), ...Object.values(globals));
  return module.exports;
}

// Two taps, of which the first is in vain; then the user leaves.
async function visit(phone, page, load, tap, leave) {
  await load();
  await sandbox.set({ rotate_min: 0 });
  await phone.act("login"); // its code never came to the server
  await tap({ detail: { errMsg: "getPhoneNumber:fail user deny" } });
  assert.equal(page().message, "");
  await tap(await phone.tap());
  assert.equal(page().message, "请再点一次，获取手机号");
  await tap(await phone.tap());
  assert.match(page().phone, /^138/);
  assert.equal(page().message, "");
  await leave();
  assert.deepEqual({ ...page() }, { ready: false, phone: "", message: "" });
}

test("the native page shows the number after one more tap", async (t) => {
  const phone = new Phone(sandbox, "wechat", WECHAT);
  globalThis.wx = phone.host;
  t.after(() => delete globalThis.wx);
  let page;
  load("native/index.js", { Page: (made) => { page = made; } });
  page.setData = (data) => Object.assign(page.data, data);
  await visit(phone, () => page.data, () => page.onLoad(),
    (event) => page.onPhone(event), () => page.onLeave());
});

test("the uni-app page does, too", async (t) => {
  const phone = new Phone(sandbox, "wechat", WECHAT);
  globalThis.uni = phone.host;
  t.after(() => delete globalThis.uni);
  const options = load("uni/index.vue", {});
  const page = Object.defineProperty(options.data(), "$options",
    { value: options });
  await visit(phone, () => page, () => options.onLoad.call(page),
    (event) => options.methods.onPhone.call(page, event),
    () => options.methods.onLeave.call(page));
});
