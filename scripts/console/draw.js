// draw.js -- charts by Chart.js, from the system's package; where it is not
// installed, the tables beside them say the same.

import { h } from "./dom.js";
import { t } from "./text.js";

const colors = ["#0a7d5a", "#c2571a", "#3a6ea5", "#8e44ad", "#b3261e",
  "#a67c00", "#00838f", "#6d4c41", "#546e7a"];

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

/** A chart of series {name: [values]} over labels; stacked bars or lines. */
export function chart(kind, title, labels, series, stacked) {
  if (!window.Chart) return h("p", { class: "soft" }, t("no_chart"));
  const canvas = h("canvas", { role: "img", "aria-label": title });
  const datasets = Object.entries(series).map(([label, data], i) => ({
    label, data, backgroundColor: colors[i % colors.length],
    borderColor: colors[i % colors.length], borderWidth: kind === "line" ? 2 : 0,
    pointRadius: 0, tension: 0.2,
  }));
  const scale = { stacked, ticks: { color: css("--soft"), precision: 0 },
    grid: { color: css("--line") } };
  queueMicrotask(() => new window.Chart(canvas, {
    type: kind, data: { labels, datasets },
    options: {
      animation: false, maintainAspectRatio: false,
      plugins: { legend: { labels: { color: css("--text") },
        display: datasets.length > 1 } },
      scales: { x: scale, y: { ...scale, beginAtZero: true } },
    },
  }));
  return h("div", { class: "chart" }, canvas);
}
