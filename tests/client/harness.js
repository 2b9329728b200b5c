// harness.js -- a server and a sandbox of the tests' own, on loopback.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "../..");
const BINARY = process.env.LATCHKEY_BINARY
  || path.join(ROOT, "build/debug/latchkey");
const DEADLINE = 20000; // milliseconds, for whatever must happen at all
const WECHAT = "wx4f4bc4dec97d474b", DOUYIN = "tt07e3715e98c9aac0";

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls check() and returns its first true value. */
async function until(check, what) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within the deadline`);
    await sleep(20);
  }
}

// Below the ports that the system gives to outgoing connections.
async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 22000);
    const free = await new Promise((done) => {
      const probe = net.createServer().once("error", () => done(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => done(true)));
    });
    if (free) return port;
  }
}

/** One HTTP request: {status, headers, body}; body is JSON's value or text. */
function ask(method, url, data, headers = {}, timeout = DEADLINE) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, timeout, agent: false },
      (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          let body = Buffer.concat(parts).toString();
          try {
            body = JSON.parse(body);
          } catch { /* a text, then */ }
          resolve({ status: response.statusCode, headers: response.headers,
            body });
        });
      });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", reject);
    request.end(data === undefined ? undefined : JSON.stringify(data));
  });
}

class Process {
  constructor(conf, port, pid) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "latchkey-client-"));
    fs.writeFileSync(path.join(this.folder, "latchkey.conf"), conf);
    this.url = `http://127.0.0.1:${port}`;
    this.pid = path.join(this.folder, pid);
  }

  async start() {
    const log = fs.openSync(path.join(this.folder, "stderr"), "a");
    this.process = spawn(BINARY, ["-p", this.folder, "-c", "latchkey.conf"],
      { stdio: ["ignore", log, log] });
    this.ended = new Promise((done) => {
      this.process.once("exit", (code, signal) => done(code ?? signal));
      this.process.once("error", (error) => done(error.message));
    });
    await until(() => fs.existsSync(this.pid) || this.process.exitCode !== null,
      "a start");
    if (this.process.exitCode !== null) throw new Error(this.log);
    return this;
  }

  get log() {
    return fs.readFileSync(path.join(this.folder, "stderr"), "utf8");
  }

  async stop() {
    this.process.kill("SIGTERM");
    const status = await this.ended;
    if (status !== 0) throw new Error(`ended with ${status}\n${this.log}`);
    fs.rmSync(this.folder, { recursive: true });
  }
}

async function startSandbox() {
  const port = await freePort();
  const conf = fs.readFileSync(
    path.join(ROOT, "scripts/sandbox/sandbox.conf"), "utf8")
    .replaceAll("127.0.0.1:9091", `127.0.0.1:${port}`)
    .replaceAll("$prefix/", ROOT + "/");
  const sandbox = new Process(conf, port, "var/sandbox.pid");
  sandbox.call = async (method, where, data) => {
    const { status, body } = await ask(method, sandbox.url + "/sandbox" + where,
      data);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body;
  };
  sandbox.set = (changes) => sandbox.call("PUT", "/settings", changes);
  return sandbox.start();
}

/** apps: name -> [platform, appid, the policy's other fields in Lua]. */
async function startServer(sandbox, apps) {
  const port = await freePort();
  const server = new Process(`
    worker_processes 2;
    error_log stderr info;
    http {
      lua_package_path "${ROOT}/lua/?.lua;${ROOT}/lua/?/init.lua;;";
      lua_shared_dict limits 1m;
      latchkey_store lmdb:var/store;
      latchkey_apps apps;
      server {
        listen 127.0.0.1:${port};
        location /v1/ {
          content_by_lua_block { require("latchkey.api").serve() }
        }
      }
    }`, port, "var/latchkey.pid");
  fs.mkdirSync(path.join(server.folder, "apps"));
  for (const [name, [platform, appid, fields]] of Object.entries(apps)) {
    fs.writeFileSync(path.join(server.folder, `apps/${name}.lua`), `
      local app = require "latchkey.app"
      return app {
        platform = "${platform}", appid = "${appid}",
        secret = "sandbox-secret", api = "${sandbox.url}/${platform}",
        limit = { login = 0, phone = 0, failed = 0, address = 0 },
        ${fields || ""}
      }`);
  }
  return server.start();
}

module.exports = { ROOT, WECHAT, DOUYIN, ask, sleep, until, startSandbox,
  startServer };
