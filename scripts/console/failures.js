// failures.js -- what failed, why, and what happened to its user.

import { get } from "./api.js";
import { choice, field, fill, h, table } from "./dom.js";
import { chart } from "./draw.js";
import { explain } from "./meaning.js";
import { clock, t, translate } from "./text.js";

const BARS = 24;

const why = (failure) => failure.cause || failure.reason;

/** Counts by cause in equal spans from the oldest until now. */
function overTime(list) {
  const now = Date.now() / 1000;
  const first = Math.min(now - 600, list.at(-1).at);
  const span = (now - first) / BARS;
  const series = {};
  for (const failure of list) {
    const counts = series[why(failure)] ||= new Array(BARS).fill(0);
    counts[Math.min(BARS - 1, Math.floor((failure.at - first) / span))]++;
  }
  const labels = Array.from({ length: BARS }, (_, i) =>
    clock(first + i * span).replace(/^.*[ ,]/, ""));
  return chart("bar", t("over_time"), labels, series, true);
}

function sums(list) {
  const counts = {};
  for (const failure of list) {
    counts[why(failure)] = (counts[why(failure)] || 0) + 1;
  }
  return table(t("over_time"), [t("cause"), t("calls"), t("meaning")],
    Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, n]) =>
      [h("code", {}, name), String(n),
        h("td", { class: "wide" }, explain(name))]), t("none_failed"));
}

/** One step of a user's timeline. */
function step({ at, what, key, cause }) {
  const words = {
    login: [t("step_login"), key ? h("code", {}, ` ${key}`) : ""],
    refused: [h("span", { class: "bad" }, t("step_refused"), " ",
      h("code", {}, cause))],
    rescued: [h("span", { class: "good" }, t("step_rescued")),
      key ? h("code", {}, ` ${key}`) : ""],
  };
  return h("li", {}, h("span", { class: "soft" }, clock(at)), " ",
    words[what] || what);
}

/** What became of it. */
function outcome({ rescue }) {
  if (!rescue) return "";
  if (rescue.done) {
    return h("p", { class: "good" }, t("was_rescued"), " ", clock(rescue.at));
  }
  return h("p", { class: "warn" }, t("not_rescued"), " ", translate(rescue.why || ""));
}

function detail(failure) {
  return h("section", { tabindex: "-1" },
    h("h2", {}, t("timeline_of"), " ", h("code", {},
      failure.user_id || failure.openid || "?")),
    h("p", {}, h("code", {}, why(failure)), " ", explain(why(failure))),
    failure.sealed_with
      ? h("p", {}, t("sealed_with"), " ", h("code", {}, translate(failure.sealed_with)))
      : null,
    failure.timeline ? h("ol", { class: "timeline" },
      failure.timeline.map(step)) : null,
    outcome(failure));
}

function rows(list, shown) {
  const look = (failure) => () => {
    fill(shown, detail(failure));
    shown.firstChild.focus();
  };
  return list.slice(0, 100).map((failure) => [
    h("td", { class: "time" }, clock(failure.at)), failure.app, failure.route,
    h("td", {}, h("code", { title: explain(why(failure)) }, why(failure))),
    failure.user_id || failure.identity || failure.openid
      ? h("button", { type: "button", onclick: look(failure) }, t("timeline"))
      : "",
    h("code", {}, failure.request_id || "")]);
}

export async function failures({ body, rest }) {
  const { apps } = await get("/admin/apps");
  const names = apps.filter(({ path }) => path).map(({ name }) => name);
  const app = names.includes(rest[0]) ? rest[0] : "";
  const { failures: list } = await get("/admin/failures", { app });
  const shown = h("div", {});
  const go = (name) => { location.hash = `#/failures/${name}`; };
  fill(body,
    h("section", {},
      field(t("app"), choice([["", t("all_apps")],
        ...names.map((name) => [name, name])], app, go))),
    h("section", {}, h("h2", {}, t("over_time")),
      list.length ? overTime(list) : null, sums(list)),
    shown,
    h("section", {}, h("h2", {}, t("last_failures")),
      table(t("last_failures"), [t("time"), t("app"), t("route"), t("cause"),
        t("user"), t("request")], rows(list, shown), t("none_failed"))));
}
