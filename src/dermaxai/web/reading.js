// The reading room: what a reader says of a word, what they saw before, and how far readers agree.
//
// mountReading(viewer, context)   into context.slot: answer, marked places, comment
// mountBlind(home, context)       into context.slot: the reader's own reading; then context.load()
// mountSummary(home)              agreement and exports, for an admin
//
// context = { id, entry, slot, owner(), reader(), isNamed(), askName(), load() }. Each returns { destroy(), speak() };
// the first two also greet(), for when whoever is reading has chosen a pseudonym.

import { Fault, get, post } from "./api.js";
import { draftsOf, isBrought, keepBegun, unsent } from "./begun.js";
import { Onward } from "./next.js";
import { drawPills } from "./pills.js";
import { Board, boundsOf, placeOf, TOOLS } from "./regions.js";
import { broughtNote, drawSaid, drawUnsent, SIGNS } from "./said.js";
import { announce, button, make, name, say, served, showFault, t } from "./states.js";
import { icon } from "./tools.js";

export { mountBlind } from "./blind.js";
export { mountSummary } from "./summary.js";

const ANSWERS = ["agree", "wrong_place", "wrong_word"];
const WHOLE = ["agree", "wrong_word"]; // a description as a whole has no place
const COMMENT = 2000;
const REST = 200; // milliseconds for which a word is pointed at before the form turns to it

/** A region in words. */
function told(region, number, photo) {
  const { width, height } = boundsOf(region);
  const size = (length) => Math.round(length);
  return t(`reading.region.${region.kind}`, { number, width: size(width), height: size(height), place: t(`region.${placeOf(region, photo)}`) });
}

class Room {
  constructor(viewer, context) {
    Object.assign(this, { viewer, context, key: null, drafts: draftsOf(context.owner(), context.id, viewer.case.captions[0]?.text ?? ""), answers: [], everyone: null, draft: null });
    this.board = new Board(viewer.overlay, viewer.case.photo, (what, values) => this.hear(what, values));
    this.stopping = new AbortController();
    const on = (target, type, react) => target.addEventListener(type, react, { signal: this.stopping.signal });
    this.build();
    on(viewer.root, "dermaxai:select", ({ detail }) => this.follow(detail));
    on(viewer.root, "dermaxai:method", () => this.showMethod());
    on(document, "keydown", (event) => this.press(event));
    this.follow({ key: viewer.state.target, pinned: viewer.state.pinned });
    const [begun] = unsent(this.drafts);
    if (begun) this.open(begun);
    this.load();
  }

  /** Own answers, and everybody's for an admin. */
  async load() {
    try {
      const found = await get(`/api/cases/${this.context.id}/feedback`);
      const alone = served.blind ? await get(`/api/cases/${this.context.id}/reading`) : {};
      if (this.stopping.signal.aborted) return;
      Object.assign(this, { answers: found.answers, everyone: found.everyone, alone: alone.reading, alones: alone.everyone });
      showFault(this.trouble, null);
    } catch (fault) {
      showFault(this.trouble, fault, button("action.again", () => this.load()));
    }
    this.take(this.key);
    this.showMine();
    this.onward.show(this.answers.some((one) => one.current));
  }

  build() {
    this.subject = make("div", { class: "pills", role: "radiogroup", label: "reading.about" });
    this.method = make("p", { class: "soft" });
    this.pills = make("div", { class: "pills", role: "radiogroup", label: "reading.answer" });
    this.more = make("p", { class: "soft answer-more" });
    this.marking = this.buildTools();
    this.comment = make("textarea", { rows: 2, maxlength: COMMENT, oninput: () => this.change({ comment: this.comment.value }) });
    this.left = make("small", { class: "soft" });
    this.save = make("button", { class: "button primary", say: "reading.save" });
    this.status = make("span", { class: "soft", role: "status" });
    this.trouble = make("div", { hidden: true });
    this.onward = new Onward(this.context.id);
    this.brought = broughtNote(this.drafts, () => this.take(this.key));
    this.unsent = make("p", { class: "soft unsent" });
    this.who = make("p", { class: "soft" });
    this.mine = make("div", { class: "mine" });
    this.form = make("form", { class: "judge", onsubmit: (event) => this.send(event) },
      make("h2", { say: "reading" }), this.brought, this.subject, this.method, this.pills, this.more, this.marking,
      make("label", { class: "field" }, make("span", { say: "reading.comment" }), this.comment, this.left),
      this.trouble, make("div", { class: "row" }, this.save, this.status), this.onward.home, this.unsent, this.who, this.mine);
    this.context.slot.replaceChildren(this.form);
    this.showWho();
    this.addKeys();
  }

  buildTools() {
    this.tools = TOOLS.map((tool) => make("button", { type: "button", class: "button tool", "data-tool": tool, "aria-pressed": "false", onclick: () => this.use(this.board.tool === tool ? null : tool) }, icon(tool), make("span", { say: `reading.${tool}` })));
    this.size = make("input", { type: "range", min: 1, max: 50, step: 0.5, label: "reading.size", oninput: () => this.board.resize((this.size.valueAsNumber / 200) * this.longest()) });
    this.sizes = make("label", { class: "sizes", hidden: true }, make("span", { say: "reading.size" }), this.size);
    this.hint = make("p", { class: "soft hint", hidden: true });
    this.ending = button("reading.close", () => this.board.closeShape(), "", { hidden: true });
    this.undo = button("reading.undo", () => this.board.undo(), "quiet");
    this.clear = button("reading.clear", () => this.board.clear(), "quiet");
    this.done = button("reading.done", () => this.use(null), "", { hidden: true });
    this.list = make("ol", { class: "marks-list" });
    this.short = make("div", { hidden: true });
    this.dock = make("div", { class: "dock" }, make("div", { class: "row", role: "toolbar", label: "reading.tools" }, ...this.tools, this.sizes, this.ending, this.undo, this.clear, this.done), this.short, this.hint);
    return make("div", { class: "marking", role: "group", label: "reading.mark" }, make("h3", { say: "reading.mark" }), this.dock, this.list);
  }

  longest() {
    return Math.max(this.viewer.case.photo.width, this.viewer.case.photo.height);
  }

  /** The keys of this room in the viewer's list of keys. */
  addKeys() {
    const home = this.viewer.root.querySelector('[data-slot="keys"]');
    this.keys = make("dl", {}, make("dt", {}, make("kbd", {}, "B")), make("dd", { say: "reading.keys.brush" }), make("dt", {}, make("kbd", {}, "N")), make("dd", { say: "reading.keys.next" }));
    home?.append(this.keys);
  }

  /** A pinned word becomes the subject; one that is only pointed at does so while nothing is being said. */
  follow({ key, pinned }) {
    const wanted = pinned ?? key;
    clearTimeout(this.later);
    if (!wanted?.startsWith("word:") || wanted === this.key) return this.showMethod();
    if (pinned || !this.key) return this.take(wanted);
    const busy = () => this.draft?.changed || this.board.tool || this.form.contains(document.activeElement);
    this.later = setTimeout(() => !busy() && this.take(wanted), REST);
  }

  /** What is being said of a word, or of 'caption'. */
  take(key) {
    if (this.board.tool) this.use(null);
    this.key = key;
    if (key?.startsWith("word:")) this.last = key;
    if (!this.drafts.get(key)?.changed) this.drafts.set(key, this.fresh(key));
    this.draft = this.drafts.get(key);
    this.comment.value = this.draft.comment;
    this.board.load(this.draft.regions);
    this.show();
  }

  fresh(key) {
    const given = this.answers.find((one) => one.current && one.word === this.wordOf(key));
    return { answer: given?.answer ?? "", regions: given?.regions ?? [], comment: given?.comment ?? "", given, changed: false };
  }

  wordOf(key) {
    return key?.startsWith("word:") ? Number(key.slice(5)) : null;
  }

  change(values) {
    Object.assign(this.draft, values, { changed: true });
    keepBegun(this.drafts);
    this.hold();
    this.show();
  }

  /** Whoever begins to answer keeps the word under discussion. */
  hold() {
    if (this.key?.startsWith("word:") && this.viewer.state.pinned !== this.key) this.viewer.select(this.key, { pin: true });
  }

  show() {
    const { key, draft, viewer } = this;
    const isWord = this.wordOf(key) !== null;
    this.showSubject();
    this.showMethod();
    const kinds = isWord ? ANSWERS : WHOLE;
    const prefix = isWord ? "reading" : "reading.caption";
    drawPills(this.pills, "answer", kinds.map((answer) => [answer, `${prefix}.${answer}`, {}, SIGNS[answer]]), draft.answer, (answer) => this.change({ answer }));
    this.more.hidden = !draft.answer;
    if (draft.answer) say(this.more, `${prefix}.${draft.answer}.more`);
    this.marking.hidden = !isWord || draft.answer === "wrong_word";
    if (this.marking.hidden && this.board.tool) this.use(null);
    this.viewer.overlay.classList.toggle("unmarked", this.marking.hidden);
    say(this.left, "reading.left", { number: COMMENT - this.comment.value.length });
    this.left.hidden = this.comment.value.length < COMMENT - 200;
    if (draft.changed) say(this.status, "reading.unsaved");
    else if (draft.given) say(this.status, "reading.saved");
    else this.quiet(this.status);
    drawUnsent(this.unsent, unsent(this.drafts).filter((other) => other !== key), viewer, (other) => this.open(other));
    this.brought.hidden = !isBrought(this.drafts);
    this.showMarks();
  }

  quiet(element) {
    delete element.dataset.say;
    element.textContent = "";
  }

  showSubject() {
    const word = this.last && this.viewer.label(this.last);
    const choices = [word && [this.last, "reading.word", { word }], ["caption", "reading.caption", {}]].filter(Boolean);
    drawPills(this.subject, "subject", choices, this.key ?? "", (key) => {
      this.take(key);
      this.hold();
    });
  }

  /** The map in sight: that is what 'place' is about. */
  shownMap() {
    const { pinned, target } = this.viewer.state;
    return this.key?.startsWith("word:") && this.key === (pinned ?? target) ? this.viewer.shown(this.key) : undefined;
  }

  /** Whose map of this word is in sight; none where the map answers where the photo matches the same text. */
  shownMethod() {
    const map = this.shownMap();
    return map && this.viewer.bond(this.key, map) !== "similar" ? this.viewer.case.methods[map.method].name : "";
  }

  showMethod() {
    this.method.hidden = this.wordOf(this.key) === null;
    const method = this.shownMethod();
    if (method) say(this.method, "reading.method", { method: name("method", method) });
    else say(this.method, this.shownMap() ? "reading.method.similar" : "reading.method.none");
  }

  showMarks() {
    const { regions } = this.board;
    this.list.replaceChildren(...regions.map((region, index) => make("li", {}, make("span", {}, told(region, index + 1, this.viewer.case.photo)),
      make("button", { type: "button", class: "button quiet", label: ["reading.remove", { number: index + 1 }], onclick: () => this.board.remove(index) }, "×"))));
    const none = !regions.length && !this.board.draft;
    this.undo.disabled = this.clear.disabled = none;
  }

  /** Takes up a tool: the photo comes into sight, the tools stay beside it. */
  use(tool) {
    const before = this.board.tool;
    const held = document.activeElement === this.viewer.overlay || this.dock.contains(document.activeElement);
    this.board.use(tool, tool ? t("reading.canvas", { tool: t(`reading.${tool}`) }) : "");
    for (const one of this.tools) one.setAttribute("aria-pressed", one.dataset.tool === tool);
    this.form.classList.toggle("marking-now", Boolean(tool));
    this.done.hidden = this.hint.hidden = !tool;
    this.sizes.hidden = tool !== "brush";
    this.ending.hidden = tool !== "polygon";
    this.ending.disabled = !this.board.canClose();
    this.showSize();
    if (tool) {
      this.hold();
      this.hint.replaceChildren(make("span", { say: `reading.hint.${tool}` }), " ", make("span", { say: "reading.hint.keys" }));
      const beside = matchMedia("(min-width: 860px)").matches;
      if (beside) this.dock.scrollIntoView({ block: "nearest" });
      else this.viewer.get("stage").scrollIntoView({ block: "center" });
      this.viewer.overlay.focus({ preventScroll: true });
    } else if (before && held) this.tools.find((one) => one.dataset.tool === before).focus();
  }

  showSize() {
    this.size.value = (this.board.radius / this.longest()) * 200;
    this.size.setAttribute("aria-valuetext", t("reading.size.value", { number: Math.round(this.board.radius) }));
  }

  hear(what, { region, number, x, y } = {}) {
    const { photo } = this.viewer.case;
    if (what !== "moved" && what !== "size") showFault(this.short, null);
    if (what === "added" || what === "removed") {
      this.change({ regions: this.board.regions.map((one) => ({ ...one })) });
      if (region) announce(`reading.${what}`, { what: told(region, number, photo) });
    } else if (what === "moved") announce("reading.at", { x, y });
    else if (what === "leave") this.use(null);
    else if (what === "size") this.showSize();
    else announce(`reading.${what}`);
    this.ending.disabled = !this.board.canClose();
    this.undo.disabled = !this.board.regions.length && !this.board.draft;
  }

  /** B takes up the brush, wherever the focus is, unless somebody is writing. */
  press(event) {
    const { target } = event;
    const writing = target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable], dialog");
    if (event.code !== "KeyB" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || writing || document.querySelector("dialog[open]")) return;
    if (this.marking.hidden || this.viewer.root.querySelector("[data-part=keys-on]")?.checked === false) return;
    event.preventDefault();
    this.use(this.board.tool === "brush" ? null : "brush");
  }

  async send(event) {
    event.preventDefault();
    const short = this.board.unfinished();
    showFault(this.short, short ? new Fault({ error: `${short}Unfinished` }) : null);
    if (short) return this.short.scrollIntoView({ block: "nearest" });
    this.board.finish();
    const { draft, key } = this;
    if (!draft?.answer || key === null) {
      say(this.status, "reading.answer.missing");
      this.pills.querySelector("input")?.focus();
      return;
    }
    if (!this.context.isNamed() && !(await this.context.askName())) return;
    const body = {
      answer: draft.answer, caption: this.viewer.case.captions[0]?.text ?? "", word: this.wordOf(key), method: this.shownMethod(),
      regions: this.marking.hidden ? [] : draft.regions, comment: this.comment.value,
    };
    this.save.disabled = true;
    say(this.status, "reading.saving");
    try {
      await post(`/api/cases/${this.context.id}/feedback`, body);
      draft.changed = false;
      keepBegun(this.drafts);
      showFault(this.trouble, null);
      this.showWho();
      await this.load();
      announce("reading.saved");
    } catch (fault) {
      say(this.status, "reading.unsaved");
      const again = fault.error === "Conflict" ? [button("action.again", () => this.context.load())] : [];
      showFault(this.trouble, fault, ...again);
    } finally {
      this.save.disabled = false;
    }
  }

  /** Whoever is reading has a pseudonym now: earlier answers come back. */
  greet() {
    this.showWho();
    this.load();
  }

  showWho() {
    this.who.replaceChildren(this.context.isNamed() ? say(make("span"), "reading.who", { name: this.context.reader().name })
      : make("span", {}, say(make("span"), "reading.who.none"), " ", button("reading.who.choose", async () => (await this.context.askName()) && this.showWho(), "quiet")));
  }

  showMine() {
    drawSaid(this.mine, this, (key) => this.open(key));
  }

  open(key) {
    if (key !== "caption") this.viewer.select(key, { pin: true });
    this.take(key);
  }

  /** After a change of language: what `say` does not reach. */
  speak() {
    this.show();
    this.showMine();
    if (this.board.tool) this.viewer.overlay.setAttribute("aria-label", t("reading.canvas", { tool: t(`reading.${this.board.tool}`) }));
  }

  destroy() {
    clearTimeout(this.later);
    this.stopping.abort();
    this.board.destroy();
    this.keys.remove();
  }
}

export const mountReading = (viewer, context) => new Room(viewer, context);
