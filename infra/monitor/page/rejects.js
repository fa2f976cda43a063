// Rejects: what could not be used, why, and the newest of them as they came.
import { empty, fill, h } from "./dom.js";
import { count, share, time, total } from "./format.js";

export class RejectsSection {
  static id = "rejects";
  static title = "Rejects";
  static lead = "Records that could not be used. They are kept whole, and can be sent again with riverrun rejects redrive.";
  static needs = ["rejects", "quality"];

  constructor(element, { head }) {
    this.name = head.name;
    this.reasons = h("ul", { class: "bars" });
    this.samples = h("ol", { class: "samples" });
    this.none = empty("Nothing was rejected.");
    this.body = h("div", { class: "columns rejects" },
      h("div", {}, h("h3", {}, "By reason, since the beginning"), this.reasons),
      h("div", {}, h("h3", {}, "The newest"), this.samples));
    this.body.hidden = this.none.hidden = true;
    element.append(this.body, this.none);
  }

  update({ rejects, quality }) {
    const reasons = [...(quality?.all?.rejects ?? [])].sort((a, b) => b.count - a.count);
    this.none.hidden = Boolean(rejects?.rejects.length || reasons.length);
    this.body.hidden = !this.none.hidden;
    const sum = total(reasons);
    fill(this.reasons, reasons.map((reason) => {
      const bar = h("li", {}, h("span", {}, reason.name), h("b", {}, count(reason.count)), h("small", {}, share(reason.count / sum)));
      bar.style.setProperty("--share", (reason.count / sum).toFixed(3));
      return bar;
    }));
    const open = new Set([...this.samples.querySelectorAll("details[open]")].map((each) => each.dataset.at));
    fill(this.samples, (rejects?.rejects ?? []).map((each) => sample(each, open.has(each.where))));
  }
}

function sample(reject, open) {
  return h("li", {}, h("details", { open, "data-at": reject.where },
    h("summary", { "data-key": reject.where },
      h("span", { class: "badge" }, reject.reason), h("b", {}, reject.field || "the whole record"), h("span", {}, time(reject.timestamp_ms))),
    h("p", {}, reject.detail),
    h("dl", { class: "facts wide" },
      h("div", {}, h("dt", {}, "Came in"), h("dd", {}, reject.source)),
      h("div", {}, h("dt", {}, "Kept in"), h("dd", {}, reject.where)),
      h("div", {}, h("dt", {}, "Key"), h("dd", {}, h("code", {}, reject.key ?? "none")))),
    h("pre", { tabindex: 0, "aria-label": "The record's value" }, reject.value ?? "(no value)"),
    reject.cut && h("p", { class: "note" }, `Cut: the record has ${count(reject.size)} bytes. riverrun rejects show has it whole.`)));
}
