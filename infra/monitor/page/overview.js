// All pipelines, a card each: is it well, how good is its champion, what moves.
import { lasting } from "./alerts.js";
import { empty, fill, h, s } from "./dom.js";
import { SCORES, count, duration, rate, score, share, time } from "./format.js";

const WIDTH = 240;
const HEIGHT = 48;
const LATELY = 120;

/** The score that a kind of target is first judged by. */
export const FIRST = { binary: "auc", multiclass: "accuracy", regression: "mae" };

export class Overview {
  name = "";

  constructor() {
    this.cards = h("ul", { class: "cards" });
    this.element = h("div", { class: "page" }, h("h1", {}, "Pipelines"), this.cards);
    this.parts = new Map();
  }

  wanted(heads) {
    return (heads ?? []).flatMap(({ name }) => ["history", "flow"].map((part) => ({ pipeline: name, part })));
  }

  heads(heads) {
    this.known = heads;
    this.draw();
  }

  came(pipeline, part, answer) {
    this.parts.set(`${pipeline} ${part}`, answer);
    this.draw();
  }

  draw() {
    if (!this.known) return;
    fill(this.cards, this.known.map((head) => this.card(head)));
    if (!this.known.length) fill(this.cards, empty("No pipeline yet. Start one: riverrun up pipeline.py"));
  }

  card(head) {
    const history = this.parts.get(`${head.name} history`);
    const flow = this.parts.get(`${head.name} flow`);
    const champion = history?.models.find((model) => model.role === "champion");
    const first = history && FIRST[history.kind];
    const values = champion?.scores[first] ?? [];
    const events = flow?.topics.find((topic) => topic.role === "event");
    const lag = flow?.topics.reduce((sum, topic) => sum + (topic.lag ?? 0), 0);
    const pauses = head.paused_tasks.length;
    const state = pauses ? ["warn", `paused in ${pauses} of ${head.tasks} tasks`]
      : flow && flow.group_state !== "Stable" ? ["warn", "no worker runs"]
      : flow?.tasks.some((task) => task.recovery) ? ["warn", "recovering"] : ["good", "learning"];
    const records = history?.records.slice(-history.sliding_periods).reduce((a, b) => a + b, 0);
    const rejects = history?.rejects.slice(-history.sliding_periods).reduce((a, b) => a + b, 0);
    return h("li", { class: "card" },
      h("div", { class: "card-head" },
        h("h2", {}, h("a", { href: `#/${encodeURIComponent(head.name)}`, "data-key": head.name }, head.name)),
        h("span", { class: `badge ${state[0]}` }, state[1])),
      head.alerts.length > 0 && h("p", { class: "badges" }, lasting(head.alerts)),
      h("p", { class: "big" }, score(values.at(-1)),
        h("span", {}, champion ? ` ${SCORES[first]} of ${champion.model}, the champion` : " no scores yet")),
      spark(values.slice(-LATELY), champion ? `${SCORES[first]} of ${champion.model}` : ""),
      h("dl", { class: "facts" },
        fact("Events", flow ? rate(events?.done_per_s) : "–"),
        fact("Lag", flow ? `${count(lag)} records` : "–"),
        fact("Labels awaited", count(history?.pending_labels.at(-1))),
        fact("Rejected", share(records ? rejects / (records + rejects) : null)),
        fact("Label delay", duration(history?.label_delay_mean_ms.findLast((each) => each != null))),
        fact("Reported until", time(head.newest_time_ms))));
  }
}

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** A line without axes: how it went lately. */
function spark(values, label) {
  const found = values.filter((value) => value != null);
  if (found.length < 2) return null;
  const low = Math.min(...found);
  const high = Math.max(...found);
  const x = (place) => (place / (values.length - 1)) * (WIDTH - 4) + 2;
  const y = (value) => HEIGHT - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - 8);
  const points = values.map((value, place) => (value == null ? null : `${x(place).toFixed(1)},${y(value).toFixed(1)}`));
  const text = `${label} over ${values.length} windows: from ${score(low)} to ${score(high)}, now ${score(values.at(-1))}`;
  return s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text, preserveAspectRatio: "none" },
    s("polyline", { points: points.filter(Boolean).join(" ") }));
}
