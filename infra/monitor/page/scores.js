// Scores over time, a line a model; below them alarms of drift detectors and decisions that changed a model.
import { Chart, axis, look, plain, titled } from "./charts.js";
import { empty, h, table } from "./dom.js";
import { SCORES, clockText, count, localIso, score, time } from "./format.js";

const MARKED = { promote: "promoted", rollback: "rolled back", reset: "reset", pause: "learning paused", resume: "learning resumed" };
const ROWS = 100;

export class ScoresSection {
  static id = "scores";
  static title = "Scores";
  static lead = "Each outcome was predicted before it was learned from. Scores slide over the windows up to each point.";
  static needs = ["history", "alarms", "decisions"];

  constructor(element) {
    this.pick = h("select", { id: "score-pick", onchange: () => this.draw() });
    this.reach = h("select", { id: "score-reach", onchange: () => this.draw() },
      [["400", "all that is held"], ["120", "the last 120 windows"], ["40", "the last 40 windows"]].map(([value, text]) => h("option", { value }, text)));
    this.chart = new Chart("Scores of each model over time", 380);
    this.none = empty("No scores yet: they come with the first closed window, once labels have arrived.");
    this.none.hidden = this.chart.element.hidden = true;
    element.append(
      h("div", { class: "controls" },
        h("label", { for: "score-pick" }, "Score"), this.pick, h("label", { for: "score-reach" }, "Windows"), this.reach),
      this.chart.element, this.none);
  }

  update(answers) {
    this.answers = answers;
    this.draw();
  }

  draw() {
    const { history, alarms, decisions } = this.answers;
    const names = Object.keys(SCORES).filter((name) => history.models.some((model) => model.scores[name]));
    this.none.hidden = names.length > 0;
    this.chart.element.hidden = !names.length;
    if (!names.length) return;
    if (names.join() !== this.names) {
      const chosen = this.pick.value;
      this.pick.replaceChildren(...names.map((name) => h("option", { value: name }, SCORES[name])));
      if (names.includes(chosen)) this.pick.value = chosen;
      this.names = names.join();
    }
    const name = this.pick.value;
    const begin = Math.max(0, history.end_time_ms.length - Number(this.reach.value));
    const times = history.end_time_ms.slice(begin);
    const models = history.models.filter((model) => model.scores[name]);
    const marks = marksOf(history.start_time_ms[begin], times.at(-1), alarms?.alarms ?? [], decisions?.decisions ?? []);
    const said = models.map((model) => `${model.model} ${score(model.scores[name].at(-1))}`).join(", ");
    this.chart.draw((colour) => this.figure(colour, name, models, times, begin, marks),
      `${SCORES[name]} over time, now: ${said}. ${marks.alarms.length} alarms of drift, ${marks.decisions.length} decisions.`,
      () => table(`${SCORES[name]} by window`, [
        { title: "Until", cell: (place) => time(history.end_time_ms[place]) },
        ...models.map((model) => ({ title: model.model, number: true, cell: (place) => score(model.scores[name][place]) })),
        { title: "Outcomes", number: true, cell: (place) => count(models[0].n[place]) },
      ], times.map((_, place) => begin + place).reverse().slice(0, ROWS)));
  }

  figure(colour, name, models, times, begin, marks) {
    const looks = look(models, colour);
    const x = times.map(localIso);
    const data = models.map((model) => ({
      type: "scatter", mode: times.length < 3 ? "markers" : "lines", name: plain(model.model), x, y: model.scores[name].slice(begin),
      line: looks[model.model], marker: { color: looks[model.model].color }, hovertemplate: "%{y:.4f}",
    }));
    const along = (list, label, symbol, color, y) => list.length && data.push({
      type: "scatter", mode: "markers", name: label, x: list.map((each) => localIso(each.at)), y: list.map(() => y),
      yaxis: "y2", marker: { symbol, size: 9, color, line: { color, width: 1.4 } }, text: list.map((each) => plain(each.text)), hovertemplate: "%{text}<extra></extra>",
    });
    along(marks.alarms, "drift", "line-ns", colour.warn, 0);
    along(marks.decisions, "decision", "diamond", colour.accent, 1);
    const shapes = marks.decisions.map(({ at }) => ({
      type: "line", x0: localIso(at), x1: localIso(at), y0: 0, y1: 1, yref: "paper", line: { color: colour.accent, width: 1, dash: "dot" },
    }));
    return { data, layout: {
      hovermode: "x unified", shapes,
      xaxis: axis(colour, { type: "date", showgrid: false, anchor: "y2" }),
      yaxis: axis(colour, { domain: [0.16, 1], range: reach(models, name, begin), title: titled(SCORES[name]) }),
      yaxis2: axis(colour, { domain: [0, 0.1], range: [-0.6, 1.6], showgrid: false, showticklabels: false }),
    } };
  }
}

/** What the models that learn span but for their first steps, and all others if they are not far off. */
function reach(models, name, begin) {
  const values = (list) => list.flatMap((model) => model.scores[name].slice(begin)).filter((value) => value != null).sort((a, b) => a - b);
  const learning = values(models.filter((model) => model.role !== "baseline"));
  const every = values(models);
  if (learning.length < 20) return undefined;
  const at = (list, part) => list[Math.round(part * (list.length - 1))];
  const [low, high] = [at(learning, 0.03), at(learning, 0.97)];
  const span = high - low || Math.abs(high) * 0.05 || 1;
  const bottom = Math.max(Math.min(at(every, 0.01), low), low - 3 * span);
  const top = Math.min(Math.max(at(every, 0.99), high), high + 3 * span);
  return [bottom - 0.12 * (top - bottom), top + 0.12 * (top - bottom)];
}

/** Alarms and decisions between two times, each with when and what. */
function marksOf(from, until, alarms, decisions) {
  const within = ({ at }) => at >= from && at <= until;
  return {
    alarms: alarms.map(({ alarm }) => ({
      at: alarm.time_ms, text: `${alarm.detector} on ${alarm.watched}, task ${alarm.task}, ${clockText(alarm.time_ms)}`,
    })).filter(within),
    decisions: decisions.filter((each) => MARKED[each.action] && each.answers.some((answer) => answer.obeyed)).map((each) => ({
      at: Math.min(until, Math.max(...each.answers.map((answer) => answer.time_ms))),
      text: `${each.model ?? "all models"} ${MARKED[each.action]} by ${each.by}`,
    })).filter(within),
  };
}

