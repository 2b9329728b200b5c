// host.js -- `wx`, `tt` and their like, as far as the client uses them, with
// the sandbox behind them.
//
// They behave as the real ones are told to: every call ends in a callback,
// later; login may or does replace the session key; checkSession is about the
// newest login's key only; tt.login brings no code without a user, unless he
// is asked to log in (force); the popup's data is sealed before its callback.
"use strict";

const { ask } = require("./harness.js");

let users = 0;

class Phone {
  constructor(sandbox, platform, appid) {
    this.user = `user-${process.pid}-${++users}`;
    this.calls = []; // what the mini-program called, in order
    this.requests = []; // likewise, what it sent
    this.storage = new Map();
    this.events = {};
    this.atHome = true; // logged in to the app that hosts the mini-program
    this.lose = 0; // answers that get lost on the way
    this.act = (action, fields) => sandbox.call("POST",
      `/${platform}/${appid}/${action}`, { user: this.user, ...fields });
    this.host = this.makeHost(platform);
  }

  // A function of the platform's: run, then the caller's callbacks.
  answer(name, run) {
    return (args = {}) => {
      this.calls.push(name);
      run(args).then((result) => ({ ok: { errMsg: `${name}:ok`, ...result } }),
        (error) => ({ failed: { errMsg: `${name}:fail ${error.message}` } }))
        .then(({ ok, failed }) => {
          if (ok) args.success?.(ok);
          else args.fail?.(failed);
          args.complete?.(ok || failed);
        });
    };
  }

  makeHost(platform) {
    return {
      login: this.answer("login", (args) => platform === "douyin"
        ? this.douyinLogin(args) : this.act("login")),
      checkSession: this.answer("checkSession", async () => {
        const { ok } = await this.act("check");
        if (!ok) throw new Error("session time out, need relogin");
      }),
      request: this.answer("request", (args) => this.request(args)),
      getStorageSync: (key) => this.storage.get(key) ?? "",
      setStorageSync: (key, value) =>
        void this.storage.set(key, structuredClone(value)),
      removeStorageSync: (key) => void this.storage.delete(key),
      onAppShow: (f) => { this.events.show = f; },
      onAppHide: (f) => { this.events.hide = f; },
    };
  }

  async douyinLogin({ force = true }) {
    if (force) this.atHome = true; // he is asked, and agrees
    const got = await this.act("login", { anonymous: !this.atHome });
    return { ...got, isLogin: this.atHome };
  }

  async request({ url, method = "GET", data, header = {} }) {
    this.requests.push({ url, method, data, header });
    const { status, headers, body } = await ask(method, url, data, header);
    if (this.lose > 0) {
      this.lose--;
      throw new Error("the connection was lost");
    }
    return { statusCode: status, data: body, header: headers };
  }

  /** The phone button: the event of its callback.  Newer base libraries put
   *  a code beside the data. */
  async tap(newer = false) {
    const { encryptedData, iv, code } = await this.act("phone");
    return { type: "getphonenumber", detail: {
      errMsg: "getPhoneNumber:ok", encryptedData, iv, ...newer && { code } } };
  }

  count(name) {
    return this.calls.filter((call) => call === name).length;
  }
}

module.exports = { Phone };
