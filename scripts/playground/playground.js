// playground.js -- the page: a phone for each platform with the server's
// answers beside it, and the recipes.

import { play, recipes } from "./recipes.js";
import { current, t, toggle } from "./words.js";
import { act, latchkey, newUser, sealedOf, settings } from "./world.js";

function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** What a phone is: one user, two devices with a token each. */
class Phone {
  constructor(platform) {
    this.platform = platform;
    this.user = newUser();
    this.device = 0;
    this.tokens = [null, null];
    this.number = null;
    this.state = h("p", { class: "state", role: "status" });
    this.answers = h("div", { class: "answers", tabindex: "0", role: "log",
      "aria-label": `${platform}: ${t("no_answers")}` },
      h("p", { class: "soft" }, t("no_answers")));
  }

  get token() { return this.tokens[this.device]; }
  set token(value) { this.tokens[this.device] = value; }

  tell(what, told) {
    const { status, ...rest } = told;
    this.answers.querySelector("p")?.remove();
    this.answers.prepend(h("pre", {},
      `${what}  ${status}\n${JSON.stringify(rest, null, 1)}`));
    this.show();
    return told;
  }

  show() {
    this.state.textContent = [this.user,
      `${t("device")} ${this.device + 1}: ${t(this.token ? "signed_in"
        : "signed_out")}`, this.number || ""].join("\n");
  }

  async call(method, path, body) {
    const told = await latchkey(this.platform, method, path, body, this.token);
    this.tell(`${method} ${path}`, told);
    if (told.status === 401) this.token = null;
    const number = told.data?.phone?.purePhoneNumber
      || told.data?.purePhoneNumber;
    if (number) this.number = number;
    this.show();
    return told;
  }

  async login() {
    const { code } = await act(this.platform, "login", this.user);
    const told = await this.call("POST", "login", { code });
    if (told.code === 0) this.token = told.data.token;
    this.show();
  }

  /** What the client file does at a start. */
  async launch() {
    if (!this.token) return this.login();
    const check = await act(this.platform, "check", this.user);
    const told = await this.call("POST", "session",
      { check: check.ok ? "ok" : "fail" });
    if (told.status === 401 || told.data?.action === "login") await this.login();
  }

  /** The data goes as it is; who must log in does so afterwards. */
  async tap() {
    const popup = await act(this.platform, "phone", this.user);
    if (!popup.encryptedData) return this.tell("tap", popup);
    const told = await this.call("POST", "phone", sealedOf(popup));
    if (told.action === "login") await this.login();
    return told;
  }

  async clear() {
    this.token = null;
    this.number = null;
    this.show();
  }

  /** Meanwhile the platform gives the user another key. */
  async sleep() {
    await settings({ rotate_min: 0 });
    await act(this.platform, "login", this.user);
    await settings({ rotate_min: 60 });
    await this.launch();
  }

  async second() {
    this.device = 1 - this.device;
    this.show();
  }

  draw() {
    const buttons = ["launch", "login", "tap", "clear", "sleep", "second"];
    this.show();
    return h("div", { class: "device", id: this.platform },
      h("div", { class: "phone" },
        h("h2", {}, this.platform === "wechat" ? "WeChat 微信" : "Douyin 抖音"),
        this.state,
        ...buttons.map((name) => h("button", { type: "button",
          class: name === "tap" ? "main" : "", "data-do": name,
          onclick: () => this[name]() }, t(name)))),
      this.answers);
  }
}

function line(name) {
  const results = h("div", { class: "results", role: "status" });
  const show = (platform, which, { ok, text }) => [
    h("span", {}, `${platform}, ${which === "plain" ? t("plain") : which}`),
    h("span", { class: ok ? "good" : "bad" }, `${ok ? "✓" : "✗"} ${text}`)];
  const run = async () => {
    results.replaceChildren("…");
    const rows = [];
    for (const platform of ["wechat", "douyin"]) {
      const told = await play(name, platform);
      for (const which of Object.keys(told)) {
        rows.push(...show(platform, which, told[which]));
      }
    }
    results.replaceChildren(...rows);
  };
  return h("li", { id: `recipe-${name}` }, t(name), " ",
    h("button", { type: "button", onclick: run }, t("run")), results);
}

const phones = ["wechat", "douyin"].map((platform) => new Phone(platform));

function draw() {
  document.documentElement.lang = current() === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
  document.getElementById("language").textContent = t("other");
  document.getElementById("phones").replaceChildren(
    ...phones.map((phone) => phone.draw()));
  document.getElementById("recipes").replaceChildren(
    ...Object.keys(recipes).map(line));
}

document.getElementById("language").addEventListener("click", () => {
  toggle();
  draw();
});
draw();
