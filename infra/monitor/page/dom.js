// Elements from data. Text goes in as text, never as markup: whatever an event holds, it stays what it is.

const SVG = "http://www.w3.org/2000/svg";

function fitted(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** An HTML element: h("p", {class: "note"}, "text", child). Attributes that are null or false are left out. */
export const h = (tag, attributes, ...children) => fitted(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fitted(document.createElementNS(SVG, tag), attributes, children);

/** Replace what is in an element; the focus stays on what has the same data-key. */
export function fill(parent, ...children) {
  const active = document.activeElement;
  const key = parent.contains(active) ? active.dataset?.key : null;
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** A table. Columns: {title, number, cell(row) -> text or element}. */
export function table(caption, columns, rows) {
  const head = columns.map((column) => h("th", { scope: "col", class: column.number && "number" }, column.title));
  const body = rows.map((row) =>
    h("tr", {}, columns.map((column, place) => {
      const content = column.cell(row) ?? "–";
      return place ? h("td", { class: column.number && "number" }, content) : h("th", { scope: "row" }, content);
    })));
  return h("table", {},
    h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
}

/** A table that may be wider than the page: it scrolls in a box of its own, also by keyboard. */
export const scrolling = (label, content) =>
  h("div", { class: "scrolling", role: "region", "aria-label": `Table: ${label}`, tabindex: 0, "data-key": `scroll ${label}` }, content);

/** What stands where there is nothing yet: says what to do. */
export const empty = (...content) => h("p", { class: "empty" }, content);

/** Say it to those who listen. */
export function say(text) {
  document.getElementById("news").textContent = text;
}
