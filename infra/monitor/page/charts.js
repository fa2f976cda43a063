// Charts: plotly.js, loaded when the first one is drawn, in the page's colours and with its numbers as a table.
import { h, scrolling } from "./dom.js";

let loading = null;

/** The library; it is large, so the page comes first. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: new URL("plotly.min.js", import.meta.url).href });
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("the charts' library did not come"));
    });
    document.head.append(script);
  });
  return loading;
}

/** The colours as they are now: the style sheet has them, light and dark. */
export function colours() {
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const names = ["text", "soft", "line", "accent", "bad", "warn", "series-1", "series-2", "series-3", "series-4", "series-5", "quiet", "panel"];
  const found = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  return found;
}

/** Text as the library takes it: it would read tags and links out of it. */
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const axis = (colour, more) => ({
  gridcolor: colour.line, linecolor: colour.line, zeroline: false, ticks: "", automargin: true, fixedrange: true, ...more,
});

/** The title of an axis. */
export const titled = (text) => ({ text, font: { size: 12.5 }, standoff: 8 });

/** A figure: title, chart, and a table of the same numbers. `traces` and `rows` are made when they are needed. */
export class Chart {
  constructor(title, height = 300) {
    this.area = h("div", { class: "chart", role: "img", "aria-label": title });
    this.area.style.height = `${height}px`;
    this.height = height;
    this.caption = h("figcaption", {}, title);
    this.table = h("div", {});
    this.details = h("details", { ontoggle: () => this.showTable() }, h("summary", {}, "The same as a table"), this.table);
    this.element = h("figure", {}, this.caption, this.area, this.details);
    this.onTheme = () => this.element.isConnected && this.made && this.redraw();
    document.addEventListener("theme", this.onTheme);
  }

  /** make(colours) -> {data, layout}; said: what one sees, in a sentence; rows() -> a table. */
  draw(make, said, rows) {
    Object.assign(this, { make, rows });
    this.area.setAttribute("aria-label", said);
    this.showTable();
    this.redraw();
  }

  async redraw() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let Plotly;
    try {
      Plotly = await library();
    } catch {
      return; // the connection is lost, which the page says; what comes next draws it
    }
    if (turn !== this.turn || !this.element.isConnected) return;
    const colour = colours();
    const { data, layout } = this.make(colour);
    await Plotly.react(this.area, data, {
      height: this.height,
      margin: { l: 8, r: 12, t: 8, b: 8, pad: 4 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: "system-ui, sans-serif", size: 12.5, color: colour.soft },
      hoverlabel: { bgcolor: colour.panel, bordercolor: colour.line, font: { color: colour.text } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour.text } },
      ...layout,
    }, { displayModeBar: false, responsive: true });
    this.made = true;
  }

  showTable() {
    if (this.details.open && this.rows) this.table.replaceChildren(scrolling(this.caption.textContent, this.rows()));
  }
}

/** How a model is drawn: the champion strong, what does not learn broken. */
export function look(models, colour) {
  const order = ["champion", "challenger", "baseline"];
  const sorted = [...models].sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
  const seen = { champion: 0, challenger: 0, baseline: 0 };
  const palette = ["series-2", "series-3", "series-5"];
  return Object.fromEntries(sorted.map(({ model, role }) => {
    const place = seen[role]++;
    if (role === "champion") return [model, { color: colour.accent, width: 2.6, dash: "solid" }];
    if (role === "challenger") return [model, { color: colour[palette[place % palette.length]], width: 1.6, dash: "solid" }];
    return [model, { color: place % 2 ? colour.quiet : colour["series-4"], width: 1.6, dash: place % 2 ? "dot" : "dash" }];
  }));
}
