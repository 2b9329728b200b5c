// live.js -- events as they come.

import { events } from "./api.js";
import { fill, h } from "./dom.js";
import { clock, t } from "./text.js";

const SHOWN = 200;

function line({ event, data }) {
  let told;
  try { told = JSON.parse(data); } catch { told = { data }; }
  const { at, ...rest } = told;
  return h("li", {},
    h("span", { class: "soft" }, clock(at || Date.now() / 1000), " "),
    h("strong", { class: rest.reason ? "bad" : "good" },
      rest.event || rest.kind || event), " ",
    Object.entries(rest).filter(([name]) => name !== "event" && name !== "kind")
      .map(([name, value]) => `${name}=${value} `));
}

export async function live({ body, signal }) {
  const state = h("p", { class: "soft", role: "status" }, t("listening"));
  const list = h("ol", { class: "timeline" });
  fill(body, h("section", {}, state, list));
  for (;;) {
    await events("/admin/events", signal, (event) => {
      list.prepend(line(event));
      while (list.children.length > SHOWN) list.lastChild.remove();
    });
    fill(state, t("reconnecting"));
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    if (signal.aborted) return;
    fill(state, t("listening"));
  }
}
