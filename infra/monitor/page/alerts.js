// Alerts: what the pipeline declares to be told of, whether it lasts, and when it began and was over.
import { empty, fill, h, scrolling, table } from "./dom.js";
import { score, time } from "./format.js";

export class AlertsSection {
  static id = "alerts";
  static title = "Alerts";
  static lead = "What the pipeline declares, judged once a window on the reports of all tasks.";
  static needs = ["alerts"];

  constructor(element) {
    this.body = h("div", {});
    element.append(this.body);
  }

  update({ alerts }) {
    const { declared, alerts: told } = alerts;
    fill(this.body, declared.length || told.length ? [
      scrolling("Alerts declared", table("Alerts declared", [
        { title: "Alert", cell: (each) => each.name },
        { title: "Now", cell: standing },
        { title: "It begins when", cell: rule },
      ], declared)),
      h("h3", {}, "What was told, newest first"),
      told.length ? scrolling("What was told", table("What was told", [
        { title: "Window until", cell: ({ alert }) => time(alert.window_end_time_ms) },
        { title: "What", cell: ({ alert }) => [h("b", {}, alert.name), alert.lasts ? " began" : " was over"] },
        { title: "Measured", cell: ({ alert }) => `${alert.measure} was ${score(alert.value)}; the bound is ${alert.bound}` },
        { title: "Without tasks", cell: ({ alert }) => alert.waiting.join(", ") || "–" },
      ], told)) : empty("Nothing yet."),
    ] : empty("No alerts are declared: Pipeline(…, alerts=[…]) declares them."));
  }
}

const standing = ({ lasts }) => h("span", { class: `badge ${lasts ? "bad" : "good"}` }, lasts ? "lasts" : "quiet");

function rule({ measure, bound, over, windows, pauses }) {
  const taken = over === 1 ? "" : `, over ${over} windows,`;
  const often = windows === 1 ? "" : ` ${windows} windows in a row`;
  return `${measure}${taken} is ${bound}${often}${pauses ? "; learning is paused while it lasts" : ""}`;
}

/** A badge for each alert that lasts. */
export const lasting = (names) => names.map((name) => h("span", { class: "badge bad" }, name));
