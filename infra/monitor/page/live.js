// Keeps what is shown up to date: hears what has changed, and fetches that, and only while somebody can see it.
import { ask, pathOf } from "./api.js";

/** At least so long between two rounds of fetching, however many events come. */
export const PAUSE_MS = 500;
const AGAIN_MS = 2_000;

const PARTS = {
  flow: "flow", history: "history?last=400", quality: "quality", features: "features", alarms: "alarms?last=500",
  alerts: "alerts?last=100",
  decisions: "decisions?last=100", versions: "versions", rejects: "rejects?last=25",
};
const CHANGED_BY = {
  metrics: ["history", "quality", "features", "rejects"], drift: ["alarms"], decisions: ["decisions", "flow"],
  control: ["decisions"], alerts: ["alerts"], versions: ["versions"], flow: ["flow"], everything: Object.keys(PARTS),
};

/** One listener to the monitor. `told` hears {connected, asOf, problem}; `shown` gives what is wanted now. */
export class Live {
  constructor({ wanted, came, told }) {
    Object.assign(this, { wanted, came, told });
    this.stale = new Map(); // "pipeline part" -> true
    this.headsStale = true;
    this.rounds = 0;
    document.addEventListener("visibilitychange", () => this.schedule());
    this.listen();
  }

  listen() {
    this.source?.close();
    this.source = new EventSource("/api/events");
    this.source.addEventListener("open", () => this.told({ connected: true }));
    this.source.addEventListener("changed", (event) => this.heard(JSON.parse(event.data).what));
    this.source.addEventListener("error", () => {
      this.told({ connected: false });
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.listen(), AGAIN_MS);
    });
  }

  heard(what) {
    for (const [pipeline, outputs] of Object.entries(what)) {
      if (outputs.some((output) => output !== "flow")) this.headsStale = true;
      for (const output of outputs) {
        for (const part of CHANGED_BY[output] ?? []) this.stale.set(`${pipeline} ${part}`, true);
      }
    }
    this.schedule();
  }

  /** Everything of this pipeline is wanted anew. */
  forget(pipeline) {
    for (const part of Object.keys(PARTS)) this.stale.set(`${pipeline} ${part}`, true);
    this.schedule();
  }

  /** Fetch soon; once, however often this is called. */
  schedule() {
    if (this.timer || this.fetching || document.hidden) return;
    const since = performance.now() - (this.roundedAt ?? -Infinity);
    this.timer = setTimeout(() => this.round(), Math.max(0, (this.pause ?? PAUSE_MS) - since));
  }

  async round() {
    this.timer = null;
    this.fetching = true;
    const began = performance.now();
    let failed = false;
    try {
      if (this.headsStale) {
        this.headsStale = false;
        this.came("", "heads", await ask("/api/pipelines"));
      }
      const due = this.wanted().filter((each) => this.stale.get(`${each.pipeline} ${each.part}`));
      for (const { pipeline, part } of due) this.stale.delete(`${pipeline} ${part}`);
      await Promise.all(due.map(async ({ pipeline, part }) => {
        try {
          this.came(pipeline, part, await ask(pathOf(pipeline, PARTS[part])));
        } catch (error) {
          this.stale.set(`${pipeline} ${part}`, true);
          throw error;
        }
      }));
      if (due.length) this.rounds += 1;
      this.told({ asOf: Date.now(), problem: null });
    } catch (error) {
      failed = true;
      this.headsStale = true;
      this.told({ problem: error });
    } finally {
      this.fetching = false;
      this.roundedAt = performance.now();
      // a slow machine is asked less often
      this.pause = failed ? AGAIN_MS : Math.max(PAUSE_MS, 2 * (this.roundedAt - began));
      const more = this.wanted().some((each) => this.stale.get(`${each.pipeline} ${each.part}`));
      if (failed || more || this.headsStale) this.schedule();
    }
  }
}
