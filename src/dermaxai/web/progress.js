// Jobs as they happen: one step per line, with its seconds; how many are ahead; stop.

import { follow, hasEnded, remove } from "./api.js";
import { announce, button, duration, faultCard, has, make, name, say, served, t } from "./states.js";

const SIGNS = { waiting: "○", running: "◐", done: "●", failed: "✕", skipped: "–", cancelled: "–" };

/** How a step of a job is called: its own string, or the method of that name. */
export const stepName = (step) => (has(`stage.${step}`) ? t(`stage.${step}`) : name("method", step));

/** What a job is doing, as one sentence's key and values. */
export function jobSentence(job) {
  if (job.state === "waiting" && !job.ahead) return [served.worker && served.worker !== "ready" ? "job.model" : "job.next"];
  if (job.state === "waiting") return ["job.ahead", { number: job.ahead }];
  if (job.state === "running" && job.cancel) return ["job.cancelling"];
  if (job.state !== "running") return [`job.${job.state}`];
  const now = job.stages.find((stage) => stage.state === "running");
  const done = job.stages.filter((stage) => stage.state === "done").length;
  return now ? ["job.at", { step: stepName(now.name), done: Math.min(done + 1, job.stages.length), all: job.stages.length }] : ["job.running"];
}

/** Share of the steps that are done, 0 to 1. */
export function jobShare(job) {
  if (job.state === "done") return 1;
  const steps = job.stages.filter((stage) => stage.state !== "skipped");
  const worth = (stage) => ({ done: 1, failed: 1, running: 0.4 })[stage.state] ?? 0;
  return steps.length ? steps.reduce((sum, stage) => sum + worth(stage), 0) / steps.length : 0;
}

/** A thin bar that a screen reader can read. */
export function bar(share, key = "job.share") {
  const inner = make("i");
  inner.style.width = `${Math.round(100 * share)}%`;
  return make("div", { class: "meter", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * share), label: key }, inner);
}

/** The panel of one job; `heard(job)` is told of every change, `ended(job)` of the end. */
export class JobPanel {
  constructor(home, job, { heard = () => {}, ended = () => {}, small = false } = {}) {
    Object.assign(this, { home, job, heard, ended, small, began: performance.now() });
    this.draw();
    this.stop = hasEnded(job) ? () => {} : follow(job.id, (now) => this.hear(now));
    this.clock = setInterval(() => this.tick(), 200);
  }

  hear(job) {
    const before = this.job.stages.find((stage) => stage.state === "running")?.name;
    const now = job.stages.find((stage) => stage.state === "running")?.name;
    if (now !== before) this.began = performance.now();
    if (now && now !== before && !this.small) announce("job.at", jobSentence(job)[1]);
    this.job = job;
    this.draw();
    this.heard(job);
    if (!hasEnded(job)) return;
    clearInterval(this.clock);
    announce(`job.${job.state}`);
    this.ended(job);
  }

  /** Only the seconds of the step at hand; the rest waits for news. */
  tick() {
    const home = this.home.querySelector("[data-running]");
    if (home) home.textContent = duration((performance.now() - this.began) / 1000);
  }

  draw() {
    const { job } = this;
    const told = say(make("p", { class: "job-now" }), ...jobSentence(job));
    const cancel = hasEnded(job) ? null : button("job.cancel", () => this.cancel(), "quiet");
    const steps = make("ol", { class: "steps" }, ...job.stages.map((stage) => this.step(stage)));
    const parts = [make("div", { class: "job-head" }, told, cancel), bar(jobShare(job)), this.small ? null : steps];
    if (job.error) parts.push(faultCard(job.error));
    this.home.replaceChildren(make("div", { class: `job ${job.state}`, "data-job": job.id }, ...parts.filter(Boolean)));
    this.tick();
  }

  step(stage) {
    const seconds = stage.state === "running" ? make("span", { class: "seconds", "data-running": true })
      : make("span", { class: "seconds" }, stage.seconds ? duration(stage.seconds) : "");
    return make("li", { class: stage.state },
      make("i", { "aria-hidden": "true" }, SIGNS[stage.state] ?? "○"),
      make("span", {}, stepName(stage.name), make("span", { class: "unseen" }, ` – ${t(`step.${stage.state}`)}`), stage.note ? make("small", {}, stage.note) : null),
      seconds);
  }

  async cancel() {
    this.home.querySelector("button").disabled = true;
    try {
      await remove(`/api/jobs/${this.job.id}`);
      announce("job.cancelling");
    } catch (fault) {
      this.home.append(faultCard(fault));
    }
  }

  destroy() {
    this.stop();
    clearInterval(this.clock);
  }
}
