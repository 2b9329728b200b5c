// playground.js -- the page: a phone for each platform with the server's
// answers beside it, and the recipes.
//
// What is clicked is done in turn: recipes set the sandbox's clock and rules.

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

let last = Promise.resolve();

/** A listener that begins when what was clicked before is done. */
const inTurn = (f) => () => { last = last.then(f).catch(console.error); };

/** What a phone is: one user, two devices with a token each. */
class Phone {
  constructor(platform) {
    this.platform = platform;
    this.user = newUser();
    this.device = 0;
    this.tokens = [null, null];
    this.number = null;
    this.state = h("p", { class: "state", role: "status" });
    this.answers = h("div", { class: "answers", tabindex: "0", role: "log" },
      h("p", { class: "soft", "data-text": "no_answers" }));
  }

  get token() { return this.tokens[this.device]; }
  set token(value) { this.tokens[this.device] = value; }

  tell(what, told) {
    const { status, ...rest } = told;
    this.answers.querySelector("p")?.remove();
    this.answers.prepend(h("pre", {},
      h("strong", {}, `${what}  ${status}`),
      `\n${JSON.stringify(rest, null, 1)}`));
    this.show();
    return told;
  }

  show() {
    this.state.textContent = [this.user,
      `${t("device")} ${this.device + 1}: ${t(this.token ? "signed_in"
        : "signed_out")}`, this.number || ""].join("\n");
    this.other.textContent = t(this.device ? "first" : "second");
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
    const button = (name) => h("button", { type: "button",
      class: name === "tap" ? "main" : "", "data-do": name,
      onclick: inTurn(() => this[name]()) }, t(name));
    this.other = button("second");
    this.answers.setAttribute("aria-label",
      `${t(this.platform)}: ${t("no_answers")}`);
    this.show();
    return h("div", { class: "device", id: this.platform },
      h("div", { class: "phone" }, h("h2", {}, t(this.platform)), this.state,
        ...["launch", "login", "tap", "clear", "sleep"].map(button),
        this.other),
      this.answers);
  }
}

/** A recipe: what it does, a button, and how each back-end fared. */
function line(name) {
  const results = h("div", { class: "table", role: "status" });
  const cell = ({ ok, text }) => h("td", { class: ok ? "good" : "bad" },
    `${ok ? "✓" : "✗"} ${t(text)}`);
  const run = async () => {
    results.replaceChildren("…");
    const rows = [];
    for (const platform of ["wechat", "douyin"]) {
      const told = await play(name, platform);
      rows.push(h("tr", {}, h("th", { scope: "row" }, t(platform)),
        cell(told.plain), cell(told.latchkey)));
    }
    results.replaceChildren(h("table", {},
      h("tr", {}, ...["", t("plain"), "latchkey"].map((head) =>
        h("th", { scope: "col" }, head))), ...rows));
  };
  return h("li", { id: `recipe-${name}` }, t(name), " ",
    h("button", { type: "button", onclick: inTurn(run) }, t("run")), results);
}

const phones = ["wechat", "douyin"].map((platform) => new Phone(platform));

function draw() {
  document.documentElement.lang = current() === "zh" ? "zh-CN" : "en";
  document.getElementById("language").textContent = t("other");
  document.getElementById("phones").replaceChildren(
    ...phones.map((phone) => phone.draw()));
  document.getElementById("recipes").replaceChildren(
    ...Object.keys(recipes).map(line));
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
}

document.getElementById("all").addEventListener("click", () => {
  for (const button of document.querySelectorAll("#recipes button")) {
    button.click();
  }
});

document.getElementById("language").addEventListener("click", () => {
  toggle();
  draw();
});
draw();
