// The flow as a picture: where records come in, what becomes of them, how fast, and what is left behind.
import { h, s, scrolling, table } from "./dom.js";
import { count, duration, named, rate, share, total } from "./format.js";

const BOX = 74;
const GAP = 18;
const NARROW = 760;

export class FlowSection {
  static id = "flow";
  static title = "Flow";
  static lead = "Where records come in and what becomes of them, now.";
  static needs = ["flow", "quality", "heads"];

  constructor(element) {
    this.figure = h("figure", { class: "flow" });
    this.picture = h("div", {});
    this.numbers = h("details", {}, h("summary", {}, "The same as a table"));
    this.figure.append(this.picture, this.numbers);
    element.append(this.figure);
    this.width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - this.width) > 1) this.draw();
    }).observe(this.figure);
  }

  update(answers) {
    this.answers = answers;
    this.draw();
  }

  draw() {
    const { flow, quality, heads } = this.answers ?? {};
    if (!flow) return;
    this.width = this.figure.clientWidth;
    if (!this.width) return;
    const parts = steps(flow, quality, heads);
    const drawn = this.width < NARROW ? tall(parts, this.width) : wide(parts, this.width);
    this.picture.replaceChildren(drawn);
    const open = this.numbers.querySelector("table");
    const made = table("Topics of the pipeline", [
      { title: "Topic", cell: (topic) => topic.topic },
      { title: "Role", cell: (topic) => topic.role },
      { title: "In", number: true, cell: (topic) => rate(topic.per_s) },
      { title: "Read", number: true, cell: (topic) => rate(topic.done_per_s) },
      { title: "Lag, records", number: true, cell: (topic) => count(topic.lag) },
      { title: "End offsets", number: true, cell: (topic) => count(topic.end) },
    ], flow.topics);
    if (open) open.replaceWith(made);
    else this.numbers.append(scrolling("Topics", made));
  }
}

/** The boxes: inputs, then what happens in a worker one after the other, each with what leaves it downwards. */
function steps(flow, quality, heads) {
  const span = quality?.sliding;
  const lately = span ? `in ${duration(span.end_time_ms - span.start_time_ms)}` : "";
  const out = (role) => flow.topics.find((topic) => topic.role === role);
  const inputs = flow.topics.filter((topic) => topic.lag != null).map((topic) => ({
    title: topic.topic, lines: [`${rate(topic.per_s)} in`, `lag ${count(topic.lag)}`], live: topic.done_per_s > 0,
    kind: topic.role, late: topic.lag > 0,
  }));
  const came = total(span?.records);
  const refused = total(span?.rejects);
  const pauses = heads.paused_tasks.length;
  const predictions = out("predictions");
  const outcomes = out("outcomes");
  const read = flow.over_s ? flow.topics.reduce((sum, topic) => sum + (topic.done_per_s ?? 0), 0) : null;
  return {
    inputs,
    chain: [
      { title: "Clean", lines: [`${rate(read)} read`], live: read > 0,
        out: { title: "rejects", lines: [rate(out("rejects").per_s), `${share(came ? refused / (came + refused) : null)} of records`] } },
      { title: "Predict", lines: [rate(predictions.per_s), `${heads.models.length} models`], live: predictions.per_s > 0,
        out: { title: "predictions", lines: [rate(predictions.per_s), `${count(span?.predicted)} ${lately}`] } },
      { title: "Wait for the label", lines: [`${count(span?.pending_labels)} pending`], live: outcomes.per_s > 0,
        out: { title: "expired", lines: [`${count(span && named(span.labels, "expired"))} ${lately}`] } },
      { title: "Score, then learn",
        lines: [rate(outcomes.per_s), pauses ? `paused in ${pauses} of ${heads.tasks}` : "learning"], live: outcomes.per_s > 0,
        late: pauses > 0,
        out: { title: "outcomes", lines: [rate(outcomes.per_s), `${count(span && named(span.labels, "scored"))} scored ${lately}`] } },
    ],
  };
}

const cut = (text, width) => {
  const room = Math.max(6, Math.floor((width - 24) / 7.4));
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
};

function box(part, x, y, width, kind = "") {
  return s("g", { class: `box ${kind} ${part.late ? "late" : ""}`, transform: `translate(${x} ${y})` },
    s("title", {}, [part.title, ...part.lines].join(", ")),
    s("rect", { width, height: BOX, rx: 12 }),
    s("text", { x: 14, y: 24, class: "name" }, cut(part.title, width)),
    part.lines.map((line, place) => s("text", { x: 14, y: 44 + 18 * place }, cut(line, width))));
}

const edge = (path, live, kind = "") => s("path", { d: path, class: `edge ${live ? "live" : ""} ${kind}` });

function said({ inputs, chain }) {
  const parts = [...inputs, ...chain, ...chain.map((each) => each.out)];
  return `Flow of records. ${parts.map((part) => `${part.title}: ${part.lines.join(", ")}`).join(". ")}.`;
}

/** Inputs on the left, the chain to the right of them, what leaves it below. */
function wide(parts, width) {
  const { inputs, chain } = parts;
  const columns = chain.length + 1;
  const between = 40;
  const own = (width - between * (columns - 1)) / columns;
  const rows = Math.max(inputs.length, 2);
  const height = Math.max(rows * BOX + (rows - 1) * GAP, 2 * BOX + 3 * GAP + 26) + 34;
  const top = 34;
  const middle = top + BOX / 2;
  const content = [];
  inputs.forEach((input, place) => {
    const y = top + place * (BOX + GAP);
    const from = y + BOX / 2;
    const to = own + between;
    content.push(edge(`M${own} ${from} C${own + between / 2} ${from} ${to - between / 2} ${middle} ${to} ${middle}`, input.live));
    content.push(box(input, 0, y, own, "input"));
  });
  const below = height - BOX;
  chain.forEach((step, place) => {
    const x = (place + 1) * (own + between);
    if (place) content.push(edge(`M${x - between} ${middle} H${x}`, step.live));
    content.push(edge(`M${x + own / 2} ${top + BOX} V${below}`, step.live && place !== 2, "down"));
    content.push(box(step, x, top, own, "step"), box(step.out, x, below, own, "out"));
  });
  const learn = 4 * (own + between) + own / 2;
  const predict = 2 * (own + between) + own / 2;
  content.unshift(edge(`M${learn} ${top} C${learn} ${top - 36} ${predict} ${top - 36} ${predict} ${top}`, chain[3].live, "back"));
  content.push(s("text", { x: (learn + predict) / 2, y: 14, class: "note", "text-anchor": "middle" }, "what it learned"));
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said(parts) }, content);
}

/** The same from top to bottom, for a narrow page: what leaves a step stands beside it. */
function tall(parts, width) {
  const { inputs, chain } = parts;
  const content = [];
  const half = (width - GAP) / 2;
  const step = BOX + GAP;
  const begin = inputs.length * step + GAP;
  inputs.forEach((input, place) => {
    const y = place * step;
    content.push(edge(`M${half} ${y + BOX / 2} H${half + GAP / 2} V${begin - GAP} H${half / 2} V${begin}`, input.live));
    content.push(box(input, 0, y, half, "input"));
  });
  chain.forEach((each, place) => {
    const y = begin + place * step;
    if (place) content.push(edge(`M${half / 2} ${y - GAP} V${y}`, each.live));
    content.push(edge(`M${half} ${y + BOX / 2} H${half + GAP}`, each.live && place !== 2));
    content.push(box(each, 0, y, half, "step"), box(each.out, half + GAP, y, half, "out"));
  });
  const height = begin + chain.length * step - GAP;
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said(parts) }, content);
}
