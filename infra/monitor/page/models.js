// Models and what can be done with them: promote, roll back, reset; and for all of them pause, resume and save.
import { decide } from "./deciding.js";
import { empty, fill, h, scrolling, table } from "./dom.js";
import { SCORES, count, score, time } from "./format.js";
import { FIRST } from "./overview.js";

export class ModelsSection {
  static id = "models";
  static title = "Models";
  static lead = "What is done here is a decision: a record that every task obeys between two batches, and that is written down.";
  static needs = ["quality", "versions", "heads", "decisions"];

  constructor(element, { head, forget }) {
    Object.assign(this, { head, forget });
    this.all = h("div", { class: "actions left" });
    this.models = h("ul", { class: "cards models" });
    this.versions = h("div", {});
    element.append(this.all, this.models, h("h3", {}, "Versions that can be gone back to"), this.versions);
  }

  button(text, asked, key, more = {}) {
    const act = () => decide(this.head.name, asked, this.answers, this.forget);
    return h("button", { type: "button", "data-key": key, onclick: act, ...more }, text);
  }

  update(answers) {
    this.answers = answers;
    const { versions, quality, heads } = answers;
    const models = (quality?.all?.models ?? []).map((model) => ({ ...model, lately: quality.sliding.models.find((each) => each.model === model.model) }));
    const known = models.length ? models : heads.models.map((model) => ({ model, role: "", versions: [] }));
    fill(this.all,
      heads.paused_tasks.length < heads.tasks && this.button("Pause learning", { action: "pause" }, "pause"),
      heads.paused_tasks.length > 0 && this.button("Resume learning", { action: "resume" }, "resume"),
      this.button("Save all as a version", { action: "save" }, "save"));
    fill(this.models, known.map((model) => this.card(model, quality?.kind)));
    const kept = versions?.versions ?? [];
    fill(this.versions, kept.length ? scrolling("Versions", table("Versions", [
      { title: "Model", cell: (each) => each.model },
      { title: "Version", cell: (each) => each.label },
      { title: "Kept at", cell: (each) => time(each.time_ms) },
      { title: SCORES[FIRST[quality?.kind] ?? "auc"], number: true, cell: (each) => score(each.scores[FIRST[quality?.kind] ?? "auc"]) },
      { title: "Tasks", number: true, cell: (each) => `${each.tasks.length} of ${heads.tasks}` },
      { title: "Action", cell: (each) => this.button("Roll back", { action: "rollback", model: each.model, version: each.label },
        `rollback ${each.model} ${each.label}`, { class: "quiet", "aria-label": `Roll ${each.model} back to ${each.label}` }) },
    ], kept)) : empty("None yet. Versions are kept by time, before what cannot be undone, and by hand."));
  }

  card(model, kind) {
    const first = FIRST[kind];
    const has = (this.answers.versions?.versions ?? []).some((each) => each.model === model.model);
    return h("li", { class: "card" },
      h("div", { class: "card-head" }, h("h3", {}, model.model), model.role && h("span", { class: `badge ${model.role}` }, model.role)),
      model.values && h("p", { class: "big" }, score(model.lately?.values[first]), h("span", {}, ` ${SCORES[first]} lately, ${score(model.values[first])} in all`)),
      h("p", { class: "note" }, model.versions.map((each) => `version ${each.name} in ${each.count} ${each.count === 1 ? "task" : "tasks"}`).join(", "),
        model.values ? `; ${count(model.values.n)} outcomes` : ""),
      h("div", { class: "actions left" },
        model.role === "challenger" && this.button("Promote", { action: "promote", model: model.model }, `promote ${model.model}`, { class: "primary", "aria-label": `Promote ${model.model}` }),
        has && this.button("Roll back…", { action: "rollback", model: model.model }, `back ${model.model}`, { "aria-label": `Roll back ${model.model}` }),
        this.button("Reset", { action: "reset", model: model.model }, `reset ${model.model}`, { class: "danger", "aria-label": `Reset ${model.model}` })));
  }
}
