// Features: how their values are spread lately, against how they were spread before.
import { Chart, axis, plain } from "./charts.js";
import { empty, fill, h, s, scrolling, table } from "./dom.js";
import { clockText, share } from "./format.js";

const LITTLE = 0.1;
const MUCH = 0.25;
const [WIDTH, HEIGHT] = [120, 30];

export class FeaturesSection {
  static id = "features";
  static title = "Features";
  static lead = "";
  static needs = ["features"];

  constructor(element) {
    this.lead = element.querySelector(".lead");
    this.list = h("div", {});
    this.chart = new Chart("Spread of a feature", 400);
    this.body = h("div", { class: "columns features" }, this.list, this.chart.element);
    this.none = empty("No feature is known yet: they are told with the first closed window.");
    this.body.hidden = this.none.hidden = true;
    element.append(this.body, this.none);
  }

  update({ features }) {
    this.answer = features;
    this.body.hidden = !features.features.length;
    this.none.hidden = !this.body.hidden;
    if (this.body.hidden) return;
    const until = features.reference_end_time_ms;
    this.lead.textContent = until
      ? `Lately (from ${clockText(features.current_start_time_ms)}) against the reference, all that came before ${clockText(until)}. ` +
        `PSI is how far apart the two are: below ${LITTLE} is little, above ${MUCH} is much.`
      : "There is nothing to compare with yet: the reference is what came before the newest windows.";
    this.sorted = [...features.features].sort((a, b) => (b.psi ?? -1) - (a.psi ?? -1) || a.name.localeCompare(b.name));
    if (!this.sorted.some((each) => each.name === this.chosen)) this.chosen = this.sorted[0].name;
    this.draw();
  }

  draw() {
    fill(this.list, scrolling("Features", table("Features, those that moved most first", [
      { title: "Feature", cell: (each) => h("button", { type: "button", class: "link", "data-key": `feature ${each.name}`,
        "aria-pressed": each.name === this.chosen ? "true" : "false", onclick: () => { this.chosen = each.name; this.draw(); } }, each.name) },
      { title: "PSI", number: true, cell: (each) => h("span", { class: `badge ${grade(each.psi)[0]}`, title: grade(each.psi)[1] },
        each.psi == null ? "–" : each.psi.toFixed(3)) },
      { title: "Missing", number: true, cell: (each) => share(each.current_missing / (each.current_n + each.current_missing)) },
      { title: "Before and now", cell: small },
    ], this.sorted)), this.answer.features_end && h("p", { class: "note" }, `Features from ${this.answer.features_end} on are too many to tell.`));
    const feature = this.sorted.find((each) => each.name === this.chosen);
    this.chart.caption.textContent = `${feature.name}: share of events, before and now`;
    this.chart.draw((colour) => figure(colour, feature),
      `Spread of ${feature.name}: PSI ${feature.psi == null ? "unknown" : feature.psi.toFixed(3)}, ${grade(feature.psi)[1]}.`,
      () => table(`Spread of ${feature.name}`, [
        { title: "Value", cell: (bar) => bar.name },
        { title: "Before", number: true, cell: (bar) => share(bar.reference) },
        { title: "Now", number: true, cell: (bar) => share(bar.current) },
      ], feature.bars));
  }
}

const grade = (psi) => (psi == null ? ["", "unknown"] : psi < LITTLE ? ["good", "moved little"] : psi < MUCH ? ["warn", "moved"] : ["bad", "moved much"]);

function figure(colour, { bars }) {
  const numbers = bars.length && bars.every((bar) => bar.low != null);
  const x = bars.map((bar) => (numbers ? (bar.low + bar.high) / 2 : plain(bar.name)));
  const names = bars.map((bar) => plain(bar.name));
  const width = numbers ? bars.map((bar) => (bar.high - bar.low || 1) * 0.92) : undefined;
  return {
    data: [
      { type: "bar", name: "before", x, y: bars.map((bar) => bar.reference), width, text: names, textposition: "none",
        marker: { color: colour.quiet, opacity: 0.45 }, hovertemplate: "%{text}: %{y:.2%} before<extra></extra>" },
      numbers
        ? { type: "scatter", mode: "lines", name: "now", x, y: bars.map((bar) => bar.current), text: names,
          line: { color: colour.accent, width: 2.4, shape: "hvh" }, hovertemplate: "%{text}: %{y:.2%} now<extra></extra>" }
        : { type: "bar", name: "now", x, y: bars.map((bar) => bar.current), text: names, textposition: "none",
          marker: { color: colour.accent }, hovertemplate: "%{text}: %{y:.2%} now<extra></extra>" },
    ],
    layout: {
      barmode: numbers ? "overlay" : "group", bargap: 0.2,
      xaxis: axis(colour, numbers ? { showgrid: false } : { type: "category", showgrid: false }),
      yaxis: axis(colour, { tickformat: ".0%", rangemode: "tozero" }),
    },
  };
}

/** Both spreads, small enough for a line of a table. */
function small({ name, bars }) {
  const top = Math.max(...bars.flatMap((bar) => [bar.reference, bar.current]), 1e-9);
  const step = WIDTH / Math.max(bars.length, 1);
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 4);
  const line = bars.map((bar, place) => `${place ? "L" : "M"}${(place * step).toFixed(1)} ${y(bar.current).toFixed(1)} h${step.toFixed(1)}`).join(" ");
  return s("svg", { class: "small", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Spread of ${name}` },
    bars.map((bar, place) => s("rect", { x: place * step + 0.4, width: Math.max(step - 0.8, 0.5), y: y(bar.reference), height: HEIGHT - 1 - y(bar.reference) })),
    s("path", { d: line }));
}

