// console.js -- the frame: token, pages by the address's #, language, theme.

import { Refusal, token } from "./api.js";
import { fill, field, h } from "./dom.js";
import { language, setLanguage, t } from "./text.js";
import { apps } from "./apps.js";
import { failures } from "./failures.js";
import { live } from "./live.js";
import { platform } from "./platform.js";
import { users } from "./users.js";

const pages = { failures, apps, users, platform, live };
const main = document.getElementById("main");
let left = new AbortController(); // aborts when the page shown is left

function frame(name) {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
  const other = document.getElementById("language");
  other.textContent = t("other_language");
  other.lang = language() === "zh" ? "en" : "zh";
  fill(document.getElementById("nav"), Object.keys(pages).map((page) =>
    h("a", { href: `#/${page}`, "aria-current": page === name && "page" },
      t(page))));
  document.getElementById("leave").hidden = !token.get();
}

function askToken(wrong) {
  const input = h("input", { type: "password", name: "token", required: true,
    autocomplete: "off", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    token.set(input.value.trim());
    show();
  };
  fill(main, h("h1", {}, t("sign_in")), h("section", {},
    h("p", {}, t("token_where"), " ", h("code", {}, "var/admin.token")),
    wrong ? h("p", { class: "bad", role: "alert" }, t("token_wrong")) : null,
    h("form", { onsubmit: submit }, field(t("token"), input),
      h("button", { class: "main" }, t("enter")))));
  input.focus();
}

/** What went wrong, said on the page. */
function failed(error) {
  if (error.name === "AbortError") return;
  if (error instanceof Refusal && error.status === 401) {
    const wrong = Boolean(token.get());
    token.clear();
    askToken(wrong);
    return;
  }
  main.append(h("p", { class: "bad", role: "alert" },
    t("failed"), " ", error.message));
}

async function show() {
  left.abort();
  left = new AbortController();
  const [, name = "failures", ...rest] =
    location.hash.split("/").map(decodeURIComponent);
  const page = pages[name] ? name : "failures";
  frame(page);
  if (!token.get()) return askToken(false);
  const mine = left.signal;
  const body = h("div", {}, h("p", { class: "soft" }, t("loading")));
  fill(main, h("h1", {}, t(page)), body);
  try {
    await pages[page]({ body, rest, signal: mine, again: show });
  } catch (error) {
    if (!mine.aborted) failed(error);
  }
}

function nextTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("latchkey.theme", root.dataset.theme);
  show();
}

const theme = localStorage.getItem("latchkey.theme");
if (theme) document.documentElement.dataset.theme = theme;
document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("language").addEventListener("click", () => {
  setLanguage(language() === "zh" ? "en" : "zh");
  show();
});
document.getElementById("leave").addEventListener("click", () => {
  token.clear();
  show();
});
window.addEventListener("hashchange", () => {
  show();
  main.focus();
});
window.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});
show();
