// Numbers, shares, durations and times as people read them.
import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const seconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const SCORES = {
  auc: "AUC", log_loss: "log loss", accuracy: "accuracy", f1: "F1", precision: "precision", recall: "recall",
  mae: "MAE", rmse: "RMSE", r2: "R²",
};

/** 12,345; none for null. */
export const count = (number) => (number == null ? "–" : whole.format(number));

/** Four digits: 0.9126. */
export const score = (value) => (value == null ? "–" : Math.abs(value) >= 100 ? whole.format(value) : value.toPrecision(4));

/** 0.3 %, 12 %; for shares between 0 and 1. */
export function share(value) {
  if (value == null || Number.isNaN(value)) return "–";
  const percent = 100 * value;
  return `${percent && percent < 9.95 ? percent.toFixed(percent < 0.095 ? 2 : 1) : percent.toFixed(0)} %`;
}

/** 4,203 /s, 1.5 /s; none for null. */
export const rate = (perS) => perS == null ? "–" : `${perS >= 10 || perS === 0 ? whole.format(perS) : perS.toFixed(1)} /s`;

/** 3 h 20 min, 45 s, 120 ms. */
export function duration(ms) {
  if (ms == null) return "–";
  const steps = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];
  for (const [place, [length, unit]] of steps.entries()) {
    if (Math.abs(ms) < length) continue;
    const large = Math.trunc(ms / length);
    const next = steps[place + 1];
    const rest = next ? Math.trunc((Math.abs(ms) % length) / next[0]) : 0;
    return rest && Math.abs(large) < 10 ? `${large} ${unit} ${rest} ${next[1]}` : `${large} ${unit}`;
  }
  return ms ? `${Math.round(ms)} ms` : "0 s";
}

/** A moment in local time, with UTC in its title. */
export function time(ms) {
  if (ms == null) return "–";
  const at = new Date(ms);
  return h("time", { datetime: at.toISOString(), title: at.toISOString().replace("T", " ").replace(".000Z", " UTC") },
    clock.format(at));
}

export const clockText = (ms) => clock.format(new Date(ms));
export const secondsText = (ms) => seconds.format(new Date(ms));

/** A moment as the charts' library takes local times. */
export function localIso(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export const total = (counts) => (counts ?? []).reduce((sum, each) => sum + each.count, 0);
export const named = (counts, name) => (counts ?? []).find((each) => each.name === name)?.count ?? 0;
