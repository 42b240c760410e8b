// Questions about a case: why this word and not that one, any other text, concepts, further methods, scores.

import { post } from "./api.js";
import { JobPanel } from "./progress.js";
import { announce, button, faultCard, madeOf, make, say, served } from "./states.js";
import { methodTick, readTables } from "./wishes.js";

const SECONDS = { first: 5, each: 1.5 }; // of measuring: random maps, then each map; the embedded model on one processor core
const KINDS = ["query", "concept", "diagnosis"];

class Asking {
  constructor(viewer, root, context) {
    Object.assign(this, { viewer, root, context, entry: context.entry, word: null, panels: [] });
    this.slot = root.querySelector('[data-slot="ask"]');
    this.draw();
    this.hear = (event) => event.detail.pinned && this.choose(event.detail.pinned);
    this.take = (event) => this.suggest(event.detail);
    root.addEventListener("dermaxai:select", this.hear);
    root.addEventListener("dermaxai:alternative", this.take);
    this.choose(viewer.state.pinned ?? viewer.state.target ?? null);
  }

  /** Whether a model is there to answer. */
  get canAsk() {
    return served.models.length > 0 && this.entry.state === "ready";
  }

  draw() {
    if (!served.models.length) return this.slot.replaceChildren(say(make("p", { class: "soft" }), "ask.no_model"));
    this.contrast = this.contrastForm();
    this.query = this.queryForm();
    this.more = this.moreButtons();
    this.answers = make("div", { class: "answers" });
    this.slot.replaceChildren(make("section", { class: "ask", label: "ask" }, make("h3", { say: "ask" }), this.contrast, this.query, this.more, this.answers));
    this.refresh(this.entry);
  }

  contrastForm() {
    const list = make("datalist", { id: "rivals" });
    const input = make("input", { id: "ask-against", name: "against", list: "rivals", maxlength: 300, autocomplete: "off", spellcheck: "false", required: true });
    const told = make("label", { for: "ask-against" });
    const form = make("form", { class: "ask-line", onsubmit: (event) => this.sendContrast(event) },
      told, input, make("button", { class: "button", say: "ask.contrast.go" }), list);
    Object.assign(form, { input, told, list });
    return form;
  }

  queryForm() {
    const input = make("input", { id: "ask-text", name: "text", maxlength: 300, autocomplete: "off", required: true });
    const kind = make("select", { name: "kind", label: "ask.kind" }, ...KINDS.map((entry) => make("option", { value: entry, say: `query.${entry}` })));
    const warning = make("p", { class: "caution", say: "ask.diagnosis", hidden: true });
    kind.addEventListener("change", () => (warning.hidden = kind.value !== "diagnosis"));
    const form = make("form", { class: "ask-line", onsubmit: (event) => this.sendQuery(event) },
      make("label", { for: "ask-text", say: "ask.query" }), input, kind, make("button", { class: "button", say: "ask.query.go" }), warning);
    Object.assign(form, { input, choice: kind });
    return form;
  }

  moreButtons() {
    const concepts = button("ask.concepts", () => this.run("concepts", {}, concepts), "quiet");
    const measure = button("ask.measure", () => this.run("measure", {}, measure), "quiet");
    const seconds = make("span", { class: "soft", "data-part": "measure-seconds" });
    const methods = make("details", { class: "further", ontoggle: () => methods.open && this.fillMethods(methods) }, make("summary", { say: "ask.methods" }), make("div"));
    return make("div", { class: "row further-row" }, concepts, measure, seconds, methods);
  }

  async fillMethods(home) {
    const box = home.querySelector("div");
    try {
      const tables = await readTables();
      const had = this.entry.page.methods.map((method) => method.name);
      const others = tables.methods.filter((method) => !had.includes(method.name));
      const encoder = tables.encoders.find((one) => one.name === madeOf(this.entry.page, "encoder").split(/\s/)[0]);
      const form = make("form", { class: "method-list", onsubmit: (event) => this.sendMethods(event) },
        ...others.map((method) => methodTick(method, encoder, false)), make("button", { class: "button", say: "ask.methods.go" }));
      box.replaceChildren(others.length ? form : say(make("p", { class: "soft" }), "ask.methods.all"));
    } catch (fault) {
      box.replaceChildren(faultCard(fault));
    }
  }

  /** The word that is pinned becomes the one that is asked about. */
  choose(key) {
    if (!this.contrast) return;
    const words = this.viewer.case.captions[0]?.words ?? [];
    const index = key?.startsWith("word:") ? Number(key.slice(5)) : null;
    const word = index === null ? null : words[index];
    if (index !== null && !word) return;
    if (word) this.word = { index, text: this.viewer.case.captions[0].text.slice(word.start, word.stop) };
    if (this.word) say(this.contrast.told, "ask.contrast", { word: this.word.text });
    else say(this.contrast.told, "ask.contrast.none");
    const rivals = this.viewer.case.alternatives?.[this.word?.index] ?? [];
    this.contrast.list.replaceChildren(...rivals.map(([text]) => make("option", { value: text })));
    this.enable();
  }

  /** Another word that the model might have said, chosen in the viewer. */
  suggest({ word, text }) {
    this.choose(typeof word === "number" ? `word:${word}` : word);
    this.contrast.input.value = text;
    this.contrast.input.focus();
  }

  enable() {
    const words = this.viewer.case.captions[0]?.words.length > 0;
    for (const field of this.slot.querySelectorAll("input, select, .ask-line button, .further-row button")) field.disabled = !this.canAsk;
    this.contrast.hidden = !words;
    this.contrast.input.disabled = !this.canAsk || !this.word;
    this.contrast.querySelector("button").disabled = !this.canAsk || !this.word;
  }

  /** More of the case is there. */
  refresh(entry) {
    this.entry = entry;
    if (!this.contrast) return;
    const { concepts, trust, maps } = entry.page;
    const [first, second] = this.more.querySelectorAll(":scope > button");
    first.hidden = concepts.length > 0;
    second.hidden = trust.length > 0 || !(maps.rows ?? maps).length;
    const seconds = this.more.querySelector("[data-part=measure-seconds]");
    seconds.hidden = second.hidden;
    say(seconds, "check.seconds", { seconds: this.secondsOfMeasuring() });
    this.choose(this.viewer.state.pinned ?? (this.word ? `word:${this.word.index}` : this.viewer.state.target));
  }

  /** About how long measuring takes, to five seconds. */
  secondsOfMeasuring() {
    const { maps, case: page } = this.viewer;
    const judged = maps.filter((map) => page.methods[map.method].name !== "spread").length;
    return 5 * Math.ceil((SECONDS.first + SECONDS.each * judged) / 5);
  }

  sendContrast(event) {
    event.preventDefault();
    if (!this.word) return;
    this.run("contrast", { word: this.word.text, against: this.contrast.input.value.trim() }, event.submitter);
  }

  sendQuery(event) {
    event.preventDefault();
    this.run("query", { text: this.query.input.value.trim(), kind: this.query.choice.value }, event.submitter);
  }

  sendMethods(event) {
    event.preventDefault();
    const methods = [...event.target.querySelectorAll(":checked")].map((box) => box.value);
    if (methods.length) this.run("methods", { methods }, event.submitter);
  }

  /** Asks one question: its progress stands here, its answer in the viewer. What was typed stays. */
  async run(what, body, source, home = null) {
    const place = make("div", { class: "answer" });
    (home ?? this.answers).prepend(place);
    if (source) source.disabled = true;
    const before = new Set(this.viewer.case.targets.map((target) => JSON.stringify(target)));
    try {
      const { job } = await post(`/api/cases/${this.context.id}/${what}`, body);
      const panel = new JobPanel(place, job, { small: !["sanity", "measure", "methods"].includes(what), ended: (over) => this.finish(over, place, source, before) });
      this.panels.push(panel);
    } catch (fault) {
      place.replaceChildren(faultCard(fault, button("action.close", () => place.remove(), "quiet")));
      if (source) source.disabled = false;
    }
  }

  async finish(job, place, source, before) {
    if (source) source.disabled = false;
    if (job.state === "done") {
      place.remove();
      await this.context.load();
      const fresh = this.viewer.case.targets.findLastIndex((target) => !before.has(JSON.stringify(target)) && target.word === null);
      if (fresh >= 0 && ["query", "contrast"].includes(job.kind)) this.viewer.select(this.keyOf(fresh), { pin: true });
      announce("ask.done");
    } else if (job.state === "cancelled") setTimeout(() => place.remove(), 2000);
    else place.querySelector(".job")?.append(button("action.close", () => place.remove(), "quiet"));
  }

  /** A text that is a word of the caption is shown with that word. */
  keyOf(target) {
    const { text, against } = this.viewer.case.targets[target];
    const caption = this.viewer.case.captions[0];
    const word = against ? -1 : caption.words.findIndex(({ start, stop }) => caption.text.slice(start, stop).toLowerCase() === text.toLowerCase());
    return word < 0 ? `query:${target}` : `word:${word}`;
  }

  speak() {
    this.choose(this.word ? `word:${this.word.index}` : null);
  }

  /** The field of a question, for the keyboard. */
  focus(what) {
    if (what === "contrast" && !this.viewer.state.pinned) this.choose(this.viewer.state.target);
    (what === "contrast" ? this.contrast : this.query)?.input.focus();
  }

  destroy() {
    this.root.removeEventListener("dermaxai:select", this.hear);
    this.root.removeEventListener("dermaxai:alternative", this.take);
    for (const panel of this.panels) panel.destroy();
  }
}

export const mountAsking = (viewer, root, context) => new Asking(viewer, root, context);
