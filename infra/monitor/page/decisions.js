// The audit: what was decided, by whom and why, and what each task made of it.
import { empty, fill, h, scrolling, table } from "./dom.js";
import { time } from "./format.js";

export class DecisionsSection {
  static id = "decisions";
  static title = "Decisions";
  static lead = "What was decided, by whom and why, and what each task made of it. Newest first.";
  static needs = ["decisions", "heads"];

  constructor(element) {
    this.list = h("div", {});
    element.append(this.list);
  }

  update({ decisions, heads }) {
    const found = decisions.decisions;
    fill(this.list, found.length ? scrolling("Decisions", table("Decisions", [
      { title: "When", cell: (each) => time(each.decided_time_ms) },
      { title: "What", cell: (each) => [h("b", {}, each.action), " ", each.model ?? "", each.version ? ` to ${each.version}` : ""] },
      { title: "Who", cell: (each) => each.by },
      { title: "Why", cell: (each) => h("span", { class: "why" }, each.why) },
      { title: "What tasks made of it", cell: (each) => outcome(each, heads.tasks) },
    ], found)) : empty("Nothing was decided yet. Buttons are with the models above; so is riverrun models."));
  }
}

function outcome(each, tasks) {
  const refused = each.answers.filter((answer) => !answer.obeyed);
  const obeyed = each.answers.length - refused.length;
  const list = (answers) => answers.map((answer) => answer.task).sort((a, b) => a - b).join(", ");
  return h("span", { class: "outcome" },
    obeyed > 0 && h("span", { class: "badge good" }, `obeyed by ${obeyed === tasks ? "all tasks" : `task ${list(each.answers.filter((a) => a.obeyed))}`}`),
    refused.length > 0 && h("span", { class: "badge bad" }, `refused by ${refused.length === tasks ? "all tasks" : `task ${list(refused)}`}`),
    refused.length > 0 && h("small", {}, [...new Set(refused.map((answer) => answer.reason))].join("; ")),
    each.waiting.length > 0 && h("span", { class: "badge warn" }, `task ${each.waiting.join(", ")} has not answered`));
}
