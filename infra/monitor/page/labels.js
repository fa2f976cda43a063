// Labels: how long they take to come, how many are awaited, and what became of them.
import { Chart, axis, titled } from "./charts.js";
import { empty, fill, h, table } from "./dom.js";
import { count, duration, localIso, share, time, total } from "./format.js";

const WORDS = {
  scored: "scored, then learned from", expired: "never came", duplicate: "came again", corrected: "came again, with another value",
  orphan: "of no event that is known", early: "came before their event",
};
const ROWS = 100;

export class LabelsSection {
  static id = "labels";
  static title = "Labels";
  static lead = "How long labels take to come, in event time, and how many are still awaited.";
  static needs = ["quality", "history"];

  constructor(element) {
    this.fates = h("dl", { class: "facts wide" });
    this.delay = new Chart("Label delay: share of labels by how late they came", 280);
    this.pending = new Chart("Labels awaited at the end of each window", 280);
    this.body = h("div", {}, this.fates, h("div", { class: "columns two" }, this.delay.element, this.pending.element));
    this.none = empty("No label has come yet.");
    this.body.hidden = this.none.hidden = true;
    element.append(this.body, this.none);
  }

  update({ quality, history }) {
    const span = quality?.sliding;
    const counts = span?.label_delay_counts ?? [];
    const sum = counts.reduce((a, b) => a + b, 0);
    this.none.hidden = Boolean(sum);
    this.body.hidden = !sum;
    if (!sum) return;
    const all = total(span.labels);
    fill(this.fates, span.labels.map((each) => h("div", {}, h("dt", {}, each.name),
      h("dd", {}, count(each.count), h("small", {}, ` ${share(each.count / all)}, ${WORDS[each.name] ?? ""}`)))));
    const bounds = span.label_delay_bounds_ms;
    const first = counts.findIndex((each) => each > 0);
    const last = counts.findLastIndex((each) => each > 0);
    const places = counts.map((_, place) => place).slice(Math.max(0, first - 1), last + 2);
    const name = (place) => (place < bounds.length ? `≤ ${duration(bounds[place])}` : `> ${duration(bounds.at(-1))}`);
    this.delay.draw((colour) => ({
      data: [{ type: "bar", x: places.map(name), y: places.map((place) => counts[place] / sum), marker: { color: colour.accent },
        hovertemplate: "%{x}: %{y:.1%}<extra></extra>" }],
      layout: { bargap: 0.15, xaxis: axis(colour, { type: "category" }), yaxis: axis(colour, { tickformat: ".0%", rangemode: "tozero" }) },
    }), `Labels came after ${duration(span.label_delay_sum_ms / sum)} on average.`,
    () => table("Label delay", [
      { title: "Delay", cell: name }, { title: "Labels", number: true, cell: (place) => count(counts[place]) },
      { title: "Share", number: true, cell: (place) => share(counts[place] / sum) },
    ], places));
    if (!history?.end_time_ms.length) return;
    const x = history.end_time_ms.map(localIso);
    this.pending.draw((colour) => ({
      data: [{ type: "scatter", mode: x.length < 3 ? "markers" : "lines", x, y: history.pending_labels, fill: "tozeroy",
        line: { color: colour.accent, width: 1.6 }, hovertemplate: "%{y:,} labels<extra></extra>" }],
      layout: { hovermode: "x unified", xaxis: axis(colour, { type: "date", showgrid: false }), yaxis: axis(colour, { rangemode: "tozero", title: titled("labels") }) },
    }), `Labels awaited over time, now ${count(history.pending_labels.at(-1))}.`,
    () => table("Labels awaited", [
      { title: "Until", cell: (place) => time(history.end_time_ms[place]) },
      { title: "Awaited", number: true, cell: (place) => count(history.pending_labels[place]) },
      { title: "Mean delay", number: true, cell: (place) => duration(history.label_delay_mean_ms[place]) },
    ], x.map((_, place) => place).reverse().slice(0, ROWS)));
  }
}
