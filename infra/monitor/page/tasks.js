// Tasks and the workers that have them: how far they are, how fast they go, what a restart would replay.
import { empty, fill, h, scrolling, table } from "./dom.js";
import { count, duration, rate } from "./format.js";

export class TasksSection {
  static id = "tasks";
  static title = "Tasks and workers";
  static lead = "A task has one partition of every topic. After a crash another worker brings it back from its checkpoint and its journal.";
  static needs = ["flow"];

  constructor(element) {
    this.workers = h("p", {});
    this.tasks = h("div", {});
    element.append(this.workers, this.tasks);
  }

  update({ flow }) {
    const members = flow.members;
    fill(this.workers, members.length
      ? [`${members.length} ${members.length === 1 ? "worker" : "workers"}, group ${flow.group_state.toLowerCase()}: `,
        members.map((each) => h("span", { class: "badge" }, `${each.worker} on ${each.host}: ${each.tasks.length ? `tasks ${each.tasks.join(", ")}` : "no task"}`))]
      : empty("No worker runs. Start one: riverrun worker FILE --id 1"));
    fill(this.tasks, scrolling("Tasks", table("Tasks", [
      { title: "Task", cell: (task) => String(task.task) },
      { title: "Worker", cell: (task) => task.worker ?? h("span", { class: "badge warn" }, "nobody") },
      { title: "Speed", number: true, cell: (task) => rate(task.done_per_s) },
      { title: "Lag, records", number: true, cell: (task) => count(task.lag_records) },
      { title: "Checkpoint age", number: true, cell: (task) => duration(task.checkpoint_age_ms) },
      { title: "A restart replays", number: true, cell: (task) => (task.recovery ? recovering(task.recovery) : `${count(task.to_replay_records)} records`) },
      { title: "Journal", number: true, cell: (task) => (task.journal_sequence == null ? "–" : `#${count(task.journal_sequence)}`) },
      { title: "Models", cell: (task) => h("span", { class: `badge ${task.learns ? "good" : "warn"}` }, task.learns ? "learn" : "paused") },
      { title: "Next offsets", cell: (task) => h("span", { class: "offsets" }, task.positions.map((each) => h("span", {}, `${each.name} ${count(each.count)}`))) },
    ], flow.tasks)));
  }
}

/** How far it has come, for the eye and for those who listen. */
const recovering = ({ replayed, total, worker }) => h("label", { class: "recovery", title: `Worker ${worker} brings it back` },
  `recovering: ${count(replayed)} of ${count(total)} records`,
  h("progress", { value: String(replayed), max: String(total) }));
