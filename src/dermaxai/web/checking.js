// The button that runs the sanity checks; what they found is shown by the viewer.

import { button, make, say, served } from "./states.js";

const SECONDS = 3; // per method, measured with the embedded model on one processor core
const TOGETHER = ["consensus", "spread"]; // made from the maps of the others, so not checked

class Checking {
  constructor(viewer, slot, context) {
    Object.assign(this, { viewer, slot, context, entry: context.entry });
    this.home = make("div", { class: "check-home" });
    this.place = make("div", { class: "check-progress" });
    slot.replaceChildren(this.home, this.place);
    this.draw();
  }

  draw() {
    const { sanity, methods } = this.entry.page;
    const done = Object.keys(sanity ?? {}).length > 0;
    const count = methods.filter((method) => !TOGETHER.includes(method.name)).length;
    const parts = done ? [] : [say(make("p", { class: "soft" }), "check.more")];
    if (!served.models.length) parts.push(done ? "" : say(make("p", { class: "soft" }), "ask.no_model"));
    else if (this.entry.state !== "ready") parts.push(say(make("p", { class: "soft" }), "check.later"));
    else parts.push(this.run(done, SECONDS * Math.max(1, count)));
    this.home.replaceChildren(...parts);
    this.viewer.get("checks").hidden = false;
  }

  run(done, seconds) {
    const go = button(done ? "check.again" : "check.run", () => this.context.ask("sanity", {}, go, this.place));
    return make("div", { class: "row" }, go, make("span", { class: "soft", say: ["check.seconds", { seconds }] }));
  }

  /** More of the case is there. */
  refresh(entry) {
    this.entry = entry;
    this.draw();
  }

  speak() {
    this.viewer.get("checks").hidden = false;
  }

  destroy() {
    this.slot.replaceChildren();
  }
}

export const mountChecking = (viewer, slot, context) => new Checking(viewer, slot, context);
