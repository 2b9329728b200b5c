/* latchkey.js -- logs a mini-program in at latchkey, and keeps it so.
 *
 * For WeChat, Douyin, QQ, Kuaishou, uni-app and Taro.  One file, ES5, nothing
 * else needed:
 *
 *   var lk = require("./latchkey.js").create({
 *     base: "https://login.example.com", app: "shop" });
 *   lk.launch();                        // App.onLaunch
 *   lk.request({ url: "/cart" })        // the token is added
 *   lk.phone(event)                     // the phone button's callback
 */
"use strict";

/* global tt, ks, qq, wx, uni */

/**
 * What a platform's global offers: `wx`, `tt`, `uni`, `Taro`...
 * @typedef {Object<string, Function>} Host
 */

/**
 * @typedef {Object} Options
 * @property {string} base  where latchkey is: "https://login.example.com"
 * @property {string} app   the policy's name
 * @property {Host} [host]  found by what exists; give `Taro` or `uni` where
 *   requests should go through theirs
 * @property {"auto"|"code"|"data"} [via]  what of the phone popup is sent, as
 *   the policy's phone.via; auto: all of it
 * @property {number} [timeout]  of one request, in milliseconds; 10000
 * @property {{again?: string, later?: string}} [text]  messages for the user
 */

/**
 * @typedef {Object} Phone
 * @property {string} phoneNumber
 * @property {string} purePhoneNumber
 * @property {string} countryCode
 */

/**
 * What a login or a look at the session says.
 * @typedef {Object} Session
 * @property {string} user_id
 * @property {string} [openid]
 * @property {string} [unionid]
 * @property {string} [anonymous_openid]
 * @property {string} [token]      after a login
 * @property {boolean} [new_user]  likewise
 * @property {number} expires_in   seconds
 * @property {Phone} [phone]       a number that an earlier tap asked for
 * @property {Refusal} [refused]   why what a tap gave did not open
 */

/**
 * Why something failed: an Error with latchkey's words.
 * @typedef {Error & {reason: string, action: string, status: number,
 *   request_id?: string, again?: boolean}} Refusal
 * `message` can be shown; `again`: one more tap is needed, and will do.
 */

/**
 * What a request got, as wx.request says it.
 * @typedef {{statusCode: number, data: any, header: Object}} Response
 */

var LONGEST = 1e9; // milliseconds; a timer cannot wait much more
var PAUSE = 1000; // before the same is sent again
var TEXT = {
  again: "请再点一次，获取手机号",
  later: "网络繁忙，请稍后再试"
};

function nothing() {}

/** @returns {any} */
function mix(a, b) {
  var all = {}, name;
  for (name in a) all[name] = a[name];
  for (name in b) all[name] = b[name];
  return all;
}

/* Some of the others lend themselves the name `wx`: it comes after them. */
function findHost() {
  if (typeof tt === "object" && tt.login) return tt;
  if (typeof ks === "object" && ks.login) return ks;
  if (typeof qq === "object" && qq.login) return qq;
  if (typeof wx === "object" && wx.login) return wx;
  if (typeof uni === "object" && uni.login) return uni;
  throw new Error("latchkey: neither wx, tt, qq, ks nor uni is here");
}

/** @returns {Refusal} */
function refusal(reason, message, action, more) {
  var error = new Error(message), name;
  more = mix(more, { reason: reason, action: action });
  for (name in more) error[name] = more[name];
  return /** @type {Refusal} */ (error);
}

/**
 * The client of one app.  Make one, and share it.
 * @param {Options} options
 */
function create(options) {
  var host = options.host || findHost();
  var base = options.base.replace(/\/+$/, "");
  var text = mix(TEXT, options.text);
  var key = "latchkey." + options.app;
  var state = read(); // {token, expires, refresh, user_id, ...}
  var showing = true;
  var entering = null; // the login under way, shared by all who want one
  var launching = null;
  var timer;

  /** @returns {any} */
  function read() {
    try {
      return host.getStorageSync(key) || {};
    } catch (e) {
      return {};
    }
  }

  function write(next) {
    state = next;
    try {
      if (state.token) host.setStorageSync(key, state);
      else host.removeStorageSync(key);
    } catch (e) {} // full or forbidden: this run has it all the same
    arm();
  }

  /* A function of the platform's, as a promise. */
  function call(name, args) {
    return new Promise(function (resolve, reject) {
      var made = host[name](mix(args, {
        success: resolve,
        fail: function (e) {
          reject(refusal("network", text.later, "retry", {
            status: 0, detail: e && e.errMsg
          }));
        }
      }));
      if (made && made.catch) made.catch(nothing); // told by fail already
    });
  }

  function fetch(args, token) {
    var header = mix(args.header, token && { Authorization: "Bearer " + token });
    return call("request", mix({ timeout: options.timeout || 10000 },
      mix(args, { header: header })));
  }

  /* What latchkey's answer carries, or its refusal. */
  function open(response) {
    var body = response.data, status = response.statusCode;
    if (status === 200 && body && body.code === 0) return body.data;
    body = body && body.reason ? body : {};
    throw refusal(body.reason || "platform_error", body.msg || text.later,
      body.action || "retry", { status: status, request_id: body.request_id });
  }

  /* A call to latchkey.  It knows what it has had before, so an answer that
   * was lost may be asked for again, code and all. */
  function api(method, path, data, token) {
    var args = {
      url: base + "/v1/" + options.app + "/" + path, method: method,
      header: { "content-type": "application/json" }
    };
    if (data) args.data = data;
    function send() {
      return fetch(args, token).then(open);
    }
    return send().then(null, function (e) {
      if (e.status && e.status < 500 || e.action !== "retry") throw e;
      return new Promise(function (resolve) {
        setTimeout(resolve, PAUSE);
      }).then(send);
    });
  }

  function keep(data) {
    var now = Date.now();
    write({
      token: data.token,
      expires: now + data.expires_in * 1000,
      refresh: data.refresh_after ? now + data.refresh_after * 1000 : 0,
      user_id: data.user_id, openid: data.openid, unionid: data.unionid
    });
    return data;
  }

  function codeRefused(e) {
    return !e.status || e.reason === "code_invalid" || e.reason === "code_used";
  }

  /* The old token goes along: it tells whose login is under way.  popup: what
   * the popup gave, for the same call to open; where that is refused, the code
   * gives its session once more. */
  function enter(force, codes, popup) {
    return call("login", { force: force }).then(function (got) {
      var body = got.code ? { code: got.code }
        : { anonymous_code: got.anonymousCode };
      function post(more) {
        return api("POST", "login", mix(body, more), state.token);
      }
      return post(popup).then(null, function (e) {
        if (!popup || codeRefused(e)) throw e;
        return post().then(function (data) {
          return mix(data, { refused: e });
        });
      });
    }).then(keep, function (e) {
      if (e.action !== "login" || codes < 2) throw e;
      return enter(force, codes - 1, popup);
    });
  }

  function begin(how, popup) {
    function end() {
      entering = null;
    }
    if (!entering) {
      entering = enter(!!(how && how.force), 2, popup);
      entering.then(end, end);
    }
    return entering;
  }

  /**
   * Logs in, now; calls at the same time share one login.
   * @param {{force?: boolean}} [how]  force: Douyin asks a user who is not
   *   logged in there to do so; else such a user is an anonymous one
   * @returns {Promise<Session>}
   */
  function login(how) {
    return begin(how);
  }

  function fresh() {
    return state.token && Date.now() < state.expires;
  }

  function check() {
    if (!host.checkSession) return api("GET", "session", null, state.token);
    return call("checkSession", {}).then(function () {
      return "ok";
    }, function () {
      return "fail";
    }).then(function (said) {
      return api("POST", "session", { check: said }, state.token);
    });
  }

  /**
   * For App.onLaunch: asks the platform and latchkey whether all is well, and
   * logs in only where it is not.
   * @returns {Promise<Session>}
   */
  function launch() {
    function end() {
      launching = null;
    }
    if (entering) return entering;
    if (!fresh()) return login();
    if (!launching) {
      launching = check().then(function (data) {
        return data.action === "login" ? login() : data;
      }, function (e) {
        if (e.action !== "login") throw e;
        return login();
      });
      launching.then(end, end);
    }
    return launching;
  }

  /**
   * As wx.request, but a promise, and with the token; a url that begins with
   * "/" is below `base`.  A 401 leads to one login for all that wait, and the
   * request is made once more.  For your own back-ends only: whoever gets the
   * request gets the token.
   * @param {{url: string, method?: string, data?: any, header?: Object}} args
   * @returns {Promise<Response>}
   */
  function request(args) {
    args = mix(args, {
      url: (args.url.charAt(0) === "/" ? base : "") + args.url
    });
    function send(last) {
      var token = state.token;
      return fetch(args, token).then(function (response) {
        if (response.statusCode !== 401 || last) return response;
        return (state.token === token ? login() : Promise.resolve())
          .then(function () {
            return send(true);
          });
      });
    }
    return (fresh() ? Promise.resolve() : login()).then(function () {
      return send(false);
    });
  }

  /**
   * For the phone button's callback; give it the event.  What the popup gave
   * goes out first: a login before that would replace the key that it is
   * sealed with.  Only if latchkey then says so is there a login, and all of it
   * goes along: another account may have tapped than the one whose token this
   * is.  Rejects with `again` where one more tap is needed.
   * @param {Object} event
   * @returns {Promise<Phone>}
   */
  function phone(event) {
    var detail = event.detail || event, body = {};
    if (detail.encryptedData && options.via !== "code") {
      body.encryptedData = detail.encryptedData;
      body.iv = detail.iv;
    }
    if (detail.code && options.via !== "data") body.phone_code = detail.code;
    if (!body.iv && !body.phone_code) {
      return Promise.reject(refusal("cancelled", detail.errMsg || "cancelled",
        "none", { status: 0 }));
    }
    function send() {
      return api("POST", "phone", body, state.token);
    }
    function bring(e) {
      if (e.action !== "login") throw e;
      return begin({ force: true }, body).then(function (data) {
        if (data.phone) return data.phone;
        throw data.refused || e;
      });
    }
    /* A login that is under way already may bring the key. */
    function follow(e) {
      if (e.action !== "login" || !entering) return bring(e);
      return entering.then(send).then(null, bring);
    }
    return (fresh() ? Promise.resolve() : Promise.resolve(entering))
      .then(send).then(null, follow).then(null, function (e) {
        e.again = e.action === "login" || e.action === "retry";
        if (e.again) {
          e.message = e.status && e.status < 429 ? text.again : text.later;
        }
        throw e;
      });
  }

  /**
   * Ends the session, here and at latchkey; all: on every device.
   * @param {{all?: boolean}} [how]
   * @returns {Promise<{revoked: number}>}
   */
  function logout(how) {
    return Promise.resolve(entering).then(nothing, nothing).then(function () {
      var token = state.token;
      write({});
      if (!token) return { revoked: 0 };
      return api("DELETE", "session" + (how && how.all ? "?all=1" : ""), null,
        token).then(null, function (e) {
        if (e.status !== 401) throw e;
        return { revoked: 0 }; // it was over already
      });
    });
  }

  /* Logs in again when it is time, while the mini-program shows. */
  function arm() {
    clearTimeout(timer);
    if (!showing || !state.refresh) return;
    timer = setTimeout(function () {
      if (Date.now() < state.refresh) arm();
      else login().then(null, nothing); // the next show tries again
    }, Math.min(Math.max(state.refresh - Date.now(), 0), LONGEST));
  }

  /** For hosts without onAppShow: call it where the page shows. */
  function show() {
    showing = true;
    arm();
  }

  /** Likewise, where it hides. */
  function hide() {
    showing = false;
    clearTimeout(timer);
  }

  /**
   * Who is logged in, as far as this device knows.
   * @returns {{token?: string, user_id?: string, openid?: string,
   *   unionid?: string}}
   */
  function session() {
    return mix(state, {});
  }

  if (host.onAppShow) host.onAppShow(show);
  if (host.onAppHide) host.onAppHide(hide);
  arm();
  return {
    launch: launch, login: login, request: request, phone: phone,
    logout: logout, session: session, show: show, hide: hide
  };
}

if (typeof exports === "object") exports.create = create;
