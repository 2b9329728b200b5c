// api.js -- /admin/ and /metrics.  The token is kept for this tab only.

const KEY = "latchkey.admin";

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

/** What the server said no to: status, and its reason and msg where it has. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.msg || body.reason || `HTTP ${status}`);
    this.status = status;
    this.reason = body.reason;
  }
}

async function call(method, path, signal) {
  const answer = await fetch(path, {
    method, signal, cache: "no-store",
    headers: { Authorization: `Bearer ${token.get() || ""}` },
  });
  if (answer.ok) return answer;
  throw new Refusal(answer.status, await answer.json().catch(() => ({})));
}

async function json(method, path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const words = new URLSearchParams(given).toString();
  const answer = await call(method, path + (words ? "?" + words : ""));
  return answer.status === 204 ? {} : answer.json();
}

export const get = (path, query) => json("GET", path, query);
export const post = (path, query) => json("POST", path, query);
export const remove = (path, query) => json("DELETE", path, query);

/** The sample lines of Prometheus's text: [{name, labels, value}], the
 * prefix latchkey_ left out. */
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.match(/^latchkey_(\w+)(?:\{(.*)\})? (\S+)$/);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of
      (found[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\n/g, "\n").replace(/\\(.)/g, "$1");
    }
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

export async function metrics() {
  return parseMetrics(await (await call("GET", "/metrics")).text());
}

/** Calls on({event, data}) for each server-sent event until signal aborts or
 * the server ends. */
export async function events(path, signal, on) {
  const answer = await call("GET", path, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { event: "message", data: "" };
      for (const line of part.split("\n")) {
        const [, name, text] = line.match(/^(\w+): ?(.*)$/) || [];
        if (name === "data") event.data += text;
        else if (name === "event") event.event = text;
      }
      if (event.data) on(event);
    }
  }
}
