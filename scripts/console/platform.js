// platform.js -- how the platforms answer: time, error codes, access tokens.

import { metrics } from "./api.js";
import { fill, h, table } from "./dom.js";
import { chart } from "./draw.js";
import { meaning } from "./meaning.js";
import { span, t } from "./text.js";

/** Cumulative buckets -> [[upper bound, count in it]], all labels summed. */
function histogram(samples, name) {
  const buckets = new Map();
  for (const { labels, value } of
    samples.filter((s) => s.name === `${name}_bucket`)) {
    buckets.set(labels.le, (buckets.get(labels.le) || 0) + value);
  }
  const sorted = [...buckets].sort((a, b) => bound(a[0]) - bound(b[0]));
  return sorted.map(([le, value], i) =>
    [le, value - (i ? sorted[i - 1][1] : 0)]);
}

const bound = (le) => (le === "+Inf" ? Infinity : Number(le));

function answers(samples) {
  return samples.filter((s) => s.name === "platform_requests_total")
    .sort((a, b) => b.value - a.value)
    .map(({ labels, value }) => [labels.platform, labels.api,
      h("code", {}, labels.errcode), String(value),
      h("td", { class: "wide" }, meaning(labels.errcode))]);
}

function tokens(samples) {
  const left = Object.fromEntries(samples
    .filter((s) => s.name === "access_token_refreshes_left")
    .map(({ labels, value }) => [labels.app, value]));
  return samples.filter((s) => s.name === "access_token_age_seconds")
    .map(({ labels, value }) => [labels.app, span(value),
      String(left[labels.app] ?? "")]);
}

export async function platform({ body }) {
  const samples = await metrics();
  const times = histogram(samples, "platform_request_duration_seconds");
  fill(body,
    h("section", {}, h("h2", {}, t("platform_time")),
      times.length
        ? chart("bar", t("platform_time"),
          times.map(([le]) => (le === "+Inf" ? "> " + times.at(-2)?.[0] + " s"
            : `≤ ${le} s`)), { [t("calls")]: times.map(([, n]) => n) })
        : h("p", { class: "soft" }, t("nothing_yet"))),
    h("section", {}, h("h2", {}, t("platform_answers")),
      table(t("platform_answers"), [t("platform"), "API", t("errcode"),
        t("calls"), t("meaning")], answers(samples), t("nothing_yet"))),
    h("section", {}, h("h2", {}, t("access_tokens")),
      table(t("access_tokens"), [t("app"), t("age"), t("refreshes_left")], tokens(samples),
        t("nothing_yet"))));
}
