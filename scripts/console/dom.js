// dom.js -- elements made in a line.  Text is always text, never markup.

/** An element: h("a", {href: "#/", onclick: f}, "text", child, [children]). */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child != null));
  return element;
}

/** A table of heads (texts) and rows (lists of cells: text or element). */
export function table(caption, heads, rows, empty) {
  if (!rows.length) return h("p", { class: "soft" }, empty);
  return h("div", { class: "table", tabindex: "0", role: "region",
    "aria-label": caption },
    h("table", {},
      h("caption", { class: "sr" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" },
        head)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) =>
        cell instanceof Node && cell.tagName === "TD" ? cell
          : h("td", {}, cell ?? "")))))));
}

/** A labelled field. */
export function field(label, input) {
  return h("label", {}, label, input);
}

/** A choice among [value, text] pairs. */
export function choice(options, value, onchange) {
  const select = h("select", { onchange: () => onchange(select.value) },
    options.map(([option, text]) =>
      h("option", { value: option, selected: option === value }, text)));
  return select;
}

/** Asks before what cannot be undone; resolves to whether to go on. */
export function confirm(question, yes, no) {
  return new Promise((resolve) => {
    const done = (answer) => () => { dialog.close(); resolve(answer); };
    const dialog = h("dialog", { onclose: () => { dialog.remove();
      resolve(false); } },
      h("p", {}, question),
      h("div", { class: "row" },
        h("button", { type: "button", class: "danger", onclick: done(true) },
          yes),
        h("button", { type: "button", onclick: done(false) }, no)));
    document.body.append(dialog);
    dialog.showModal();
  });
}
