// How good the models are: all scores, what is taken for what, and for a binary target ROC and calibration.
import { Chart, axis, look, plain, titled } from "./charts.js";
import { empty, fill, h, scrolling, table } from "./dom.js";
import { SCORES, count, score, share } from "./format.js";

export class QualitySection {
  static id = "quality";
  static title = "Quality";
  static lead = "All scores of each model, what it takes for what, and whether its probabilities can be believed.";
  static needs = ["quality"];

  constructor(element) {
    this.reach = h("select", { id: "quality-reach", onchange: () => this.draw() },
      h("option", { value: "sliding" }, "lately (the sliding windows)"), h("option", { value: "all" }, "since the beginning"));
    this.pick = h("select", { id: "quality-model", onchange: () => this.draw() });
    this.scores = h("div", {});
    this.confusion = h("figure", {});
    this.roc = new Chart("ROC: how many of the true ones are found, at which price", 330);
    this.calibration = new Chart("Calibration: what was said, and what came true", 330);
    this.body = h("div", {}, this.scores,
      h("div", { class: "controls" }, h("label", { for: "quality-model" }, "Confusion of"), this.pick),
      h("div", { class: "columns" }, this.confusion, this.roc.element, this.calibration.element));
    this.none = empty("Nothing has been scored yet: scores come with the first labels.");
    this.body.hidden = this.none.hidden = true;
    element.append(h("div", { class: "controls" }, h("label", { for: "quality-reach" }, "Outcomes"), this.reach), this.body, this.none);
  }

  update(answers) {
    this.answers = answers;
    this.draw();
  }

  draw() {
    const { quality } = this.answers;
    const span = quality[this.reach.value];
    this.body.hidden = !span?.models.length;
    this.none.hidden = !this.body.hidden;
    if (this.body.hidden) return;
    const names = Object.keys(SCORES).filter((name) => span.models.some((model) => model.values[name] != null));
    fill(this.scores, scrolling("Scores", table("Scores of each model", [
      { title: "Model", cell: (model) => [model.model, " ", h("span", { class: `badge ${model.role}` }, model.role)] },
      { title: "Outcomes", number: true, cell: (model) => count(model.values.n) },
      ...names.map((name) => ({ title: SCORES[name], number: true, cell: (model) => score(model.values[name]) })),
    ], span.models)));
    this.drawConfusion(span.models);
    const curves = span.models.filter((model) => model.roc.length);
    this.roc.element.hidden = this.calibration.element.hidden = !curves.length;
    if (curves.length) this.drawCurves(curves);
  }

  drawConfusion(models) {
    const named = models.map((model) => model.model);
    if (named.join("\n") !== this.named) {
      const chosen = this.pick.value;
      this.pick.replaceChildren(...named.map((name) => h("option", { value: name }, name)));
      if (named.includes(chosen)) this.pick.value = chosen;
      this.named = named.join("\n");
    }
    const model = models.find((each) => each.model === this.pick.value) ?? models[0];
    this.confusion.hidden = this.pick.parentElement.hidden = !model.confusion.length;
    const cell = (label, prediction) => model.confusion.find((each) => each.label === label && each.prediction === prediction)?.count ?? 0;
    const labels = [...new Set(model.confusion.map((each) => each.label))].sort();
    const predictions = [...new Set([...labels, ...model.confusion.map((each) => each.prediction)])];
    const rows = new Map(labels.map((label) => [label, predictions.reduce((sum, each) => sum + cell(label, each), 0)]));
    const shaded = (label, prediction) => {
      const part = rows.get(label) ? cell(label, prediction) / rows.get(label) : 0;
      const made = h("td", { class: `cell ${label === prediction ? "right" : "wrong-cell"}` },
        h("b", {}, count(cell(label, prediction))), h("small", {}, share(part)));
      made.style.setProperty("--share", part.toFixed(3));
      return made;
    };
    fill(this.confusion, h("figcaption", {}, `Confusion: what ${model.model} took for what`),
      scrolling("Confusion", h("table", { class: "confusion" },
        h("caption", { class: "unseen" }, "Rows are labels, columns predictions; shares are of the row."),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "label ╲ predicted"),
          predictions.map((each) => h("th", { scope: "col" }, each || "(none)")))),
        h("tbody", {}, labels.map((label) =>
          h("tr", {}, h("th", { scope: "row" }, label), predictions.map((each) => shaded(label, each))))))));
  }

  drawCurves(models) {
    const lines = (colour, x, y, more) => models.map((model) => ({
      type: "scatter", name: plain(model.model), x: x(model), y: y(model), line: look(models, colour)[model.model],
      marker: { color: look(models, colour)[model.model].color, size: 6 }, ...more,
    }));
    const diagonal = (colour) => ({
      type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], line: { color: colour.quiet, width: 1, dash: "dot" }, hoverinfo: "skip", showlegend: false,
    });
    const unit = { range: [-0.015, 1.015], tickformat: ".0%", dtick: 0.25 };
    const layout = (colour, x, y) => ({
      xaxis: axis(colour, { ...unit, title: titled(x) }), yaxis: axis(colour, { ...unit, title: titled(y) }),
    });
    this.roc.draw((colour) => ({
      data: [diagonal(colour), ...lines(colour, (m) => m.roc.map((p) => p[0]), (m) => m.roc.map((p) => p[1]),
        { mode: "lines", hovertemplate: "%{y:.1%} found, %{x:.1%} false alarms" })],
      layout: layout(colour, "false alarms, of all that are false", "found, of all that are true"),
    }), `ROC curves. Areas: ${models.map((m) => `${m.model} ${score(m.values.auc)}`).join(", ")}.`,
    () => table("ROC", [
      { title: "False alarms", cell: (p) => share(p[0]) }, { title: `Found by ${models[0].model}`, number: true, cell: (p) => share(p[1]) },
    ], models[0].roc));
    this.calibration.draw((colour) => ({
      data: [diagonal(colour), ...lines(colour, (m) => m.calibration.map((g) => g.predicted), (m) => m.calibration.map((g) => g.observed),
        { mode: "lines+markers", hovertemplate: "said %{x:.1%}, came true %{y:.1%}" })],
      layout: layout(colour, "said: the mean probability", "came true"),
    }), `Calibration of ${models.map((m) => m.model).join(", ")}, in ten groups of what was said.`,
    () => table("Calibration", [
      { title: "Model", cell: ([m]) => m.model }, { title: "Said", number: true, cell: ([, g]) => share(g.predicted) },
      { title: "Came true", number: true, cell: ([, g]) => share(g.observed) }, { title: "Outcomes", number: true, cell: ([, g]) => count(g.n) },
    ], models.flatMap((m) => m.calibration.map((g) => [m, g]))));
  }
}
