// users.js -- who is who, their sessions; ending them, and erasure.

import { get, remove } from "./api.js";
import { choice, confirm, field, fill, h, table } from "./dom.js";
import { clock, t } from "./text.js";

const path = (id) => `/admin/users/${encodeURIComponent(id)}`;

const when = (seconds) => (seconds ? clock(seconds) : "");

/** A button that asks, does it, and says so. */
function risky(label, question, act, said) {
  const press = async () => {
    if (!await confirm(question, t("yes"), t("no"))) return;
    await act();
    fill(said, t("done"));
  };
  return h("button", { type: "button", class: "danger", onclick: press }, label);
}

async function showPerson(id, shown) {
  const { sessions } = await get(`${path(id)}/sessions`);
  const said = h("span", { class: "good", role: "status" });
  fill(shown, h("section", { tabindex: "-1" },
    h("h2", {}, t("sessions"), " ", h("code", {}, id)),
    table(t("sessions"), [t("app"), "openid", t("device"), t("created"),
      t("used"), t("expires")], sessions.map((s) => [s.app,
      h("code", {}, s.openid || ""), s.device || "", when(s.created),
      when(s.used), when(s.expires)]), t("nothing_yet")),
    h("div", { class: "row" },
      risky(t("revoke_all"), t("revoke_question"), async () => {
        await remove(`${path(id)}/sessions`);
        await showPerson(id, shown);
      }, said),
      risky(t("erase"), t("erase_question"), async () => {
        await remove(path(id));
        fill(shown, h("p", { class: "good", role: "status" }, t("done")));
      }, said), said)));
  shown.firstChild.focus();
}

function found(users, shown) {
  return table(t("users"), [t("phone"), t("app"), t("sessions"), t("created"),
    t("by_id"), "openid", "unionid"], users.map((user) => [
    user.phone || "–", user.app,
    h("button", { type: "button",
      onclick: () => showPerson(user.id, shown) }, t("sessions")),
    h("td", { class: "time" }, when(user.created)), h("code", {}, user.id),
    h("code", {}, user.openid || ""), h("code", {}, user.unionid || "")]),
  t("nobody"));
}

export async function users({ body }) {
  const { apps } = await get("/admin/apps");
  const names = apps.map(({ name }) => name);
  let by = "phone";
  const app = h("select", { name: "app" },
    names.map((name) => h("option", { value: name }, name)));
  const ofApp = field(t("app"), app);
  ofApp.hidden = true;
  const text = h("input", { name: "text", required: true, autocomplete: "off",
    spellcheck: "false" });
  const hits = h("div", {});
  const shown = h("div", {});
  const find = async (event) => {
    event.preventDefault();
    fill(shown);
    const value = text.value.trim();
    if (by === "id") return showPerson(value, fill(shown));
    const query = by === "openid" ? { app: app.value, openid: value }
      : { phone: value };
    const { users: list } = await get("/admin/users", query);
    fill(hits, found(list, shown));
  };
  fill(body, h("section", {},
    h("form", { onsubmit: find },
      field(t("search_by"), choice([["phone", t("by_phone")],
        ["openid", t("by_openid")], ["id", t("by_id")]], by,
      (value) => { by = value; ofApp.hidden = by !== "openid"; })),
      ofApp, field(t("value"), text),
      h("button", { class: "main" }, t("find"))),
    hits), shown);
}
