// Jobs as they happen: one step per line, with its share and its seconds; how many are ahead; stop.

import { follow, hasEnded, remove } from "./api.js";
import { announce, button, duration, faultCard, has, make, name, quote, say, served, t } from "./states.js";
import { percent } from "./telling.js";

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
  const worth = (stage) => ({ done: 1, failed: 1, running: stage.share ?? 0.4 })[stage.state] ?? 0;
  return steps.length ? steps.reduce((sum, stage) => sum + worth(stage), 0) / steps.length : 0;
}

/** A thin bar that a screen reader can read, called by a string's key, or plainly by `called`. */
export function bar(share, key = "job.share", called = null) {
  const named = called === null ? { label: key } : { "aria-label": called };
  return fill(make("div", { class: "meter", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, ...named }, make("i")), share);
}

/** Move a bar to a share, 0 to 1. */
function fill(meter, share) {
  const reached = Math.round(100 * share);
  meter.setAttribute("aria-valuenow", reached);
  meter.firstElementChild.style.width = `${reached}%`;
  return meter;
}

/** The bar of the step at hand, once it tells how far it is. */
function stepBar({ name: step, state, share }) {
  if (state !== "running" || !(share > 0)) return null;
  const meter = bar(share, "", stepName(step));
  meter.dataset.step = "";
  return meter;
}

/** Which map a step is at, 'method: check (2 / 12)', by the names that readers know; any other note as it is. */
function noteOf(stage) {
  const [, method, variant, check, count] = /^(\w+)(?::(\S+?))?(?:: (\w+))?( \(\d+ \/ \d+\))$/.exec(stage.note) ?? [];
  if (!count || (check && !has(`check.${check}`))) return quote(make("small"), stage, "note");
  const named = variant ? `${name("method", method)} (${variant})` : name("method", method);
  return make("small", {}, named, check ? `: ${t(`check.${check}`)}` : "", count);
}

/** What of a job is drawn anew when it changes; shares move what is there, so that nobody loses the focus. */
const shape = ({ state, cancel, ahead, error, stages }) => JSON.stringify([state, cancel, ahead, error, stages.map(({ share, ...rest }) => [share > 0, rest]), served.worker]);

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
    if (!home) return;
    const { share } = this.job.stages.find((stage) => stage.state === "running") ?? {};
    const seconds = duration((performance.now() - this.began) / 1000);
    home.textContent = share > 0 ? `${percent(share)} · ${seconds}` : seconds;
  }

  draw() {
    const now = shape(this.job);
    if (now !== this.shape) this.build();
    this.shape = now;
    fill(this.home.querySelector("[data-whole]"), jobShare(this.job));
    const step = this.home.querySelector("[data-step]");
    if (step) fill(step, this.job.stages.find((stage) => stage.state === "running").share);
    this.tick();
  }

  build() {
    const { job } = this;
    const focused = this.home.querySelector("[data-stop]")?.matches(":focus");
    const told = say(make("p", { class: "job-now" }), ...jobSentence(job));
    const cancel = hasEnded(job) ? null : button("job.cancel", () => this.cancel(), "quiet", { "data-stop": true });
    const steps = make("ol", { class: "steps" }, ...job.stages.map((stage) => this.step(stage)));
    const whole = bar(jobShare(job));
    whole.dataset.whole = "";
    const parts = [make("div", { class: "job-head" }, told, cancel), whole, this.small ? null : steps];
    if (job.error) parts.push(faultCard(job.error));
    this.home.replaceChildren(make("div", { class: `job ${job.state}`, "data-job": job.id }, ...parts.filter(Boolean)));
    if (focused) cancel?.focus({ preventScroll: true });
  }

  step(stage) {
    const seconds = stage.state === "running" ? make("span", { class: "seconds", "data-running": true })
      : make("span", { class: "seconds" }, stage.seconds ? duration(stage.seconds) : "");
    return make("li", { class: stage.state },
      make("i", { "aria-hidden": "true" }, SIGNS[stage.state] ?? "○"),
      make("span", {}, stepName(stage.name), make("span", { class: "unseen" }, ` – ${t(`step.${stage.state}`)}`), stage.note ? noteOf(stage) : null),
      seconds, stepBar(stage));
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
