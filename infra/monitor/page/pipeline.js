// One pipeline: its sections, each of which is brought up to date while it can be seen.
import { h } from "./dom.js";
import { count, duration, named, rate, score, SCORES, share, time, total } from "./format.js";
import { FIRST } from "./overview.js";
import { AlertsSection, lasting } from "./alerts.js";
import { DecisionsSection } from "./decisions.js";
import { FeaturesSection } from "./features.js";
import { FlowSection } from "./flow.js";
import { LabelsSection } from "./labels.js";
import { ModelsSection } from "./models.js";
import { QualitySection } from "./quality.js";
import { RejectsSection } from "./rejects.js";
import { ScoresSection } from "./scores.js";
import { TasksSection } from "./tasks.js";

const SECTIONS = [
  FlowSection, ScoresSection, QualitySection, LabelsSection, FeaturesSection, RejectsSection, AlertsSection,
  TasksSection, ModelsSection, DecisionsSection,
];
const ALWAYS = ["flow", "history", "quality"];

export class PipelineView {
  constructor(head, forget, schedule) {
    this.name = head.name;
    this.answers = { heads: head };
    this.visible = new Set();
    this.tiles = h("dl", { class: "tiles" });
    this.state = h("p", { class: "state" });
    this.sections = SECTIONS.map((Section) => {
      const element = h("section", { id: Section.id, "aria-labelledby": `${Section.id}-title` },
        h("h2", { id: `${Section.id}-title` }, Section.title), h("p", { class: "lead" }, Section.lead));
      return { id: Section.id, needs: Section.needs, element, made: new Section(element, { head, forget }), seen: null };
    });
    this.element = h("div", { class: "page" },
      h("div", { class: "title" }, h("h1", {}, head.name), this.state),
      this.tiles,
      h("nav", { class: "sections", "aria-label": "Sections of this page" },
        SECTIONS.map((Section) => h("a", { href: `#/${encodeURIComponent(head.name)}/${Section.id}` }, Section.title))),
      this.sections.map((section) => section.element));
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) this.visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
      this.update();
      schedule();
    }, { rootMargin: "400px" });
    for (const section of this.sections) this.watch.observe(section.element);
  }

  close() {
    this.watch.disconnect();
  }

  go(id) {
    this.sections.find((section) => section.id === id)?.element.scrollIntoView();
  }

  wanted() {
    const seen = this.sections.filter((section) => this.visible.has(section.id)).flatMap((section) => section.needs);
    return [...new Set([...ALWAYS, ...seen])].filter((part) => part !== "heads").map((part) => ({ pipeline: this.name, part }));
  }

  heads(heads) {
    this.came(this.name, "heads", heads.find((each) => each.name === this.name));
  }

  came(pipeline, part, answer) {
    if (pipeline !== this.name) return;
    this.answers = { ...this.answers, [part]: answer };
    this.summarize();
    this.update();
  }

  /** Draw what can be seen and has other answers than it was drawn with. */
  update() {
    for (const section of this.sections) {
      const given = section.needs.map((part) => this.answers[part]);
      if (!this.visible.has(section.id) || given.every((each, place) => each === section.seen?.[place])) continue;
      if (given[0] === undefined) continue;
      section.seen = given;
      section.made.update(this.answers);
    }
  }

  summarize() {
    const { flow, history, quality, heads } = this.answers;
    const pauses = heads.paused_tasks.length;
    const runs = flow?.group_state === "Stable";
    const [kind, text] = flow && !runs ? ["warn", flow.members.length ? "tasks change hands" : "no worker runs"]
      : flow?.tasks.some((task) => task.recovery) ? ["warn", "recovering"]
      : pauses ? ["warn", pauses === heads.tasks ? "learning is paused" : `learning is paused in ${pauses} of ${heads.tasks} tasks`]
        : ["good", "learning"];
    this.state.replaceChildren(h("span", { class: `badge ${kind}` }, text), ...lasting(heads.alerts),
      h("span", {}, " reported until ", time(heads.newest_time_ms)));
    const champion = quality?.sliding?.models.find((model) => model.role === "champion");
    const first = FIRST[quality?.kind];
    const events = flow?.topics.find((topic) => topic.role === "event");
    const lag = flow?.topics.reduce((sum, topic) => sum + (topic.lag ?? 0), 0);
    const span = quality?.sliding;
    const delays = span && span.label_delay_counts.reduce((a, b) => a + b, 0);
    const came = span && total(span.records);
    const refused = span && total(span.rejects);
    const over = history && `over ${duration(history.sliding_periods * history.period_ms)}`;
    this.tiles.replaceChildren(
      tile("Champion", champion ? score(champion.values[first]) : "–", champion ? `${SCORES[first]} of ${champion.model}` : "no scores yet"),
      tile("Events", flow ? rate(events?.done_per_s) : "–", span ? `${count(span.predicted)} predicted ${over}` : ""),
      tile("Lag", count(lag), "records to read"),
      tile("Labels awaited", count(span?.pending_labels), delays ? `${duration(span.label_delay_sum_ms / delays)} on average` : ""),
      tile("Rejected", share(came ? refused / (came + refused) : null), span ? `${count(refused)} records ${over}` : ""),
      tile("Expired", count(span && named(span.labels, "expired")), span ? `without a label, ${over}` : ""));
  }
}

const tile = (name, value, note) =>
  h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, h("b", {}, value), h("small", {}, note)));
