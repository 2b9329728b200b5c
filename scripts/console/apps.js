// apps.js -- each policy as it acts: defaults filled in, secrets masked.

import { get, post } from "./api.js";
import { fill, h, table } from "./dom.js";
import { clock, span, t, translate } from "./text.js";

/** A policy's value for people: its numbers are seconds, but for two. */
function shown(path, value) {
  if (path.startsWith("limit.") && Array.isArray(value)) {
    return `${value[0]} / ${span(value[1])}`;
  }
  if (Array.isArray(value)) return value.join(", ");
  if (path.startsWith("limit.") || value === 0) return t("off");
  const counts = path === "key.keep" || path === "session.max";
  return typeof value === "number" && !counts ? span(value) : String(value);
}

/** {a: {b: 1}} -> [["a.b", "1 s"]], sorted. */
function flat(value, path = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return [[path, shown(path, value)]];
  }
  return Object.keys(value).sort().flatMap((name) =>
    flat(value[name], path ? `${path}.${name}` : name));
}

function probe(name) {
  const said = h("span", { role: "status" });
  const press = async () => {
    fill(said, t("loading"));
    try {
      const { ok, msg } = await post(`/admin/apps/${encodeURIComponent(name)}/test`);
      fill(said, h("span", { class: ok ? "good" : "bad" },
        translate(msg)));
    } catch (error) {
      fill(said, h("span", { class: "bad" }, error.message));
    }
  };
  return h("div", { class: "row" },
    h("button", { type: "button", onclick: press }, t("test_connection")),
    said);
}

function card(app) {
  const { name, path, error, about, ...fields } = app;
  return h("section", { id: `app-${name}` }, h("h2", {}, name),
    error ? h("p", { class: "bad", role: "alert" }, t("does_not_load"), " ",
      h("code", {}, error)) : null,
    path ? h("p", { class: "soft" }, h("code", {}, path)) : null,
    path ? probe(name) : null,
    h("details", {}, h("summary", {}, t("policy")),
      table(name, [t("field"), t("value")], flat(fields).map(([field, value]) =>
        [h("code", {}, field), h("td", { class: "wide" }, value)]),
        t("nothing_yet"))));
}

function reloadLine({ last_reload: last, generation }) {
  if (!last) return h("p", {}, t("generation", generation));
  return h("p", {}, t("generation", last.generation), " · ",
    h("span", { class: last.ok ? "good" : "bad" },
      `${last.ok ? t("reload_ok") : t("reload_failed")} ${clock(last.at)} `),
    last.error ? h("code", {}, last.error) : null);
}

export async function apps({ body, again }) {
  const [status, list] = await Promise.all([
    get("/admin/status"), get("/admin/apps")]);
  const reload = async () => {
    await post("/admin/reload");
    setTimeout(again, 700);
  };
  fill(body,
    h("section", {},
      h("p", {}, `latchkey ${status.version} · `,
        t("running", status.workers), " ", span(status.uptime)),
      reloadLine(status),
      h("button", { type: "button", onclick: reload }, t("reload"))),
    list.apps.length ? list.apps.map(card)
      : h("p", { class: "soft" }, t("no_apps")));
}
