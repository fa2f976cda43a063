// A decision is asked for: what it does, who takes it and why. Nothing is sent before that is confirmed.
import { pathOf, send } from "./api.js";
import { h, say } from "./dom.js";

const SAID = {
  promote: ["Promote", "becomes the champion; the champion goes on as a challenger."],
  rollback: ["Roll back", "goes back to a version, and its scores begin anew."],
  reset: ["Reset", "forgets all it has learned, and its scores. It is kept as it is now, so this can be undone."],
  pause: ["Pause learning", "No model learns. They go on predicting and being scored."],
  resume: ["Resume learning", "All models learn again."],
  save: ["Save a version", "All models can be gone back to as they are now."],
};
const WAIT_S = 8;
const obeyed = new Map(); // pipeline -> decisions obeyed, as its tasks answered us: the picture may come later

/** Ask, then send. `asked` has the action, and the model and version where they are known. */
export function decide(pipeline, asked, answers, forget) {
  const [title, does] = SAID[asked.action];
  const field = (label, control) => h("div", { class: "field" }, h("label", { for: control.id }, label), control);
  const by = h("input", { id: "by", required: true, maxlength: 200, autocomplete: "username", value: localStorage.getItem("riverrun.by") ?? "" });
  const why = h("textarea", { id: "why", required: true, maxlength: 1000, rows: 2 });
  let version = null;
  if (asked.action === "save") version = h("input", { id: "version", required: true, maxlength: 200 });
  if (asked.action === "rollback") {
    const kept = answers.versions.versions.filter((each) => each.model === asked.model);
    version = h("select", { id: "version" }, kept.map((each) => h("option", { value: each.label, selected: each.label === asked.version }, each.label)));
  }
  const after = inTheLightOf(pipeline, answers);
  const result = h("div", { class: "result", role: "status" });
  const confirm = h("button", { class: asked.action === "reset" ? "danger" : "primary" }, title);
  const leave = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const form = h("form", { method: "dialog", onsubmit: submit },
    h("h2", { id: "ask-title" }, asked.model ? `${title} ${asked.model}?` : `${title}?`),
    h("p", {}, asked.model && [h("b", {}, asked.model), " "], does),
    version && field(asked.action === "save" ? "Name of the version" : "Version", version),
    field("Who decides", by), field("Why", why), result, h("div", { class: "actions" }, leave, confirm));
  const opener = document.activeElement?.dataset.key;
  const dialog = h("dialog", { "aria-labelledby": "ask-title", onclose }, form);

  function onclose() {
    dialog.remove();
    if (opener) document.querySelector(`[data-key="${CSS.escape(opener)}"]`)?.focus(); // it may be drawn anew by now
  }

  async function submit(event) {
    event.preventDefault();
    localStorage.setItem("riverrun.by", by.value);
    confirm.disabled = true;
    result.className = "result";
    result.replaceChildren(`Sent to all tasks of ${pipeline}. Waiting for their answers…`);
    try {
      const body = { action: asked.action, by: by.value, why: why.value, after, wait_s: WAIT_S };
      if (asked.model) body.model = asked.model;
      if (version) body.version = version.value;
      finish(await send(pathOf(pipeline, "decisions"), body));
    } catch (error) {
      confirm.disabled = false;
      show("bad", [error.message, error.remedy && h("br"), error.remedy]);
    }
  }

  function show(kind, content) {
    result.className = `result ${kind}`;
    result.replaceChildren(...content.filter(Boolean));
  }

  function finish(decided) {
    const refused = decided.answers.filter((each) => !each.obeyed);
    const done = decided.answers.length - refused.length;
    remember(pipeline, decided);
    const reasons = [...new Set(refused.map((each) => each.reason))];
    const text = [
      done && `Obeyed by ${done} of ${decided.answers.length + decided.waiting.length} tasks.`,
      refused.length && `Refused by ${refused.length}: ${reasons.join("; ")}.`,
      decided.waiting.length && `Tasks ${decided.waiting.join(", ")} have not answered yet. They will, once a worker has them.`,
    ].filter(Boolean);
    show(refused.length ? "bad" : decided.waiting.length ? "warn" : "good", [text.join(" ")]);
    say(`${title}: ${text.join(" ")}`);
    leave.textContent = "Close";
    confirm.remove();
    leave.focus();
    forget();
  }

  document.body.append(dialog);
  dialog.showModal();
  (version && !asked.version ? version : by.value ? why : by).focus();
}

/** How many decisions were obeyed when this one is taken: a task that has obeyed more refuses it. Null where they differ. */
function inTheLightOf(pipeline, { decisions }) {
  if (decisions?.obeyed == null || obeyed.get(pipeline) === null) return null;
  return Math.max(decisions.obeyed, obeyed.get(pipeline) ?? 0);
}

function remember(pipeline, { answers, waiting }) {
  const numbers = new Set(answers.map((each) => each.number));
  obeyed.set(pipeline, waiting.length || numbers.size !== 1 ? null : [...numbers][0]);
}
