// The page: which view is shown, what it wants, and how the connection is.
import { send } from "./api.js";
import { empty, fill, h, say } from "./dom.js";
import { secondsText } from "./format.js";
import { Live } from "./live.js";
import { Overview } from "./overview.js";
import { PipelineView } from "./pipeline.js";

const main = document.getElementById("main");
const known = new Map(); // "pipeline part" -> the newest answer
let heads = null;
let view = null;
let asOf = null;
let connected = false;
let askingToken = false;

/** #/flights/scores -> ["flights", "scores"] */
const place = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);

function show() {
  if (!heads) return;
  const [name, section] = place();
  const head = heads.find((each) => each.name === name);
  if (view?.name !== name) {
    view?.close?.();
    view = head ? new PipelineView(head, () => live.forget(name), () => live.schedule()) : name ? null : new Overview();
    fill(main, view?.element ?? empty(`There is no pipeline ${name} here. `, h("a", { href: "#/" }, "All pipelines")));
    document.title = name ? `${name} · riverrun monitor` : "riverrun monitor";
    for (const [key, answer] of known) {
      const [pipeline, part] = key.split(" ");
      view?.came(pipeline, part, answer);
    }
    scrollTo(0, 0);
  }
  view?.heads(heads);
  showNav(name);
  if (section) view?.go?.(section);
  live.schedule();
}

function showNav(current) {
  fill(document.getElementById("pipelines"), heads.length > 1 || current ? [
    h("a", { href: "#/", "data-key": "all", "aria-current": !current && "page" }, "All"),
    heads.map(({ name }) =>
      h("a", { href: `#/${encodeURIComponent(name)}`, "data-key": name, "aria-current": name === current && "page" }, name)),
  ] : []);
}

function came(pipeline, part, answer) {
  asOf = Date.now();
  if (part === "heads") {
    heads = answer.pipelines;
    show();
    return;
  }
  known.set(`${pipeline} ${part}`, answer);
  view?.came(pipeline, part, answer);
}

function told(news) {
  const was = connected;
  if (news.connected !== undefined) connected = news.connected;
  if (news.asOf) asOf = news.asOf;
  const status = document.getElementById("connection");
  const problem = news.problem;
  if (problem?.status === 401) askToken();
  const stale = !connected || Boolean(problem);
  if (!connected) live?.schedule();
  status.classList.toggle("lost", stale);
  document.body.classList.toggle("stale", stale);
  const since = asOf ? `; as of ${secondsText(asOf)}` : "";
  const text = !connected ? `connection lost, trying again${since}` : problem ? `${problem.message}${since}` : "live";
  document.getElementById("connection-text").textContent = text;
  if (was !== connected) say(connected ? "Connected." : "The connection is lost. What you see is old.");
  if (problem && !heads) fill(main, empty(`${problem.message}. `, problem.remedy ?? "", " Trying again…"));
}

/** Ask for the token once; a cookie stands for it from then on. */
function askToken() {
  if (askingToken) return;
  askingToken = true;
  const token = h("input", { type: "password", id: "token", required: true, autocomplete: "current-password" });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const dialog = h("dialog", { "aria-labelledby": "token-title" },
    h("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      try {
        await send("/api/session", {}, token.value);
        dialog.close();
      } catch (error) {
        wrong.textContent = error.message;
      }
    } },
    h("h2", { id: "token-title" }, "This monitor asks for a token"),
    h("p", {}, "It is the value of ", h("code", {}, "RIVERRUN_MONITOR_TOKEN"), " where the monitor runs."),
    h("label", { for: "token" }, "Token"), token, wrong,
    h("div", { class: "actions" }, h("button", { class: "primary" }, "Go on"))));
  dialog.addEventListener("close", () => {
    dialog.remove();
    askingToken = false;
    live.listen();
    live.schedule();
  });
  document.body.append(dialog);
  dialog.showModal();
}

const live = new Live({ wanted: () => view?.wanted(heads) ?? [], came, told });
addEventListener("hashchange", show);
