// Two cases side by side: the same word lights in both, words of only one are marked, one choice of method.

import { get, hasEnded, on } from "./api.js";
import { mountViewer } from "./case.js";
import { pointTo } from "./cursor.js";
import { JobPanel } from "./progress.js";
import { copy, emptiness, faultCard, madeOf, moment, say, speech, t } from "./states.js";

const SIDES = ["left", "right"];

/** For each word of `one` the index of the same word in `other`, or -1; the n-th "dark" is the n-th there. */
export function alignWords(one, other) {
  const plain = (caption) => (caption?.words ?? []).map((word) => caption.text.slice(word.start, word.stop).toLocaleLowerCase());
  const [here, there] = [plain(one), plain(other)];
  return here.map((word, index) => {
    const nth = here.slice(0, index).filter((before) => before === word).length;
    return there.map((entry, place) => [entry, place]).filter(([entry]) => entry === word)[nth]?.[1] ?? -1;
  });
}

class CompareView {
  constructor(home, ids) {
    Object.assign(this, { ids, entries: [], viewers: [], panels: [], aligned: [], busy: false, gone: false });
    this.root = copy("view-compare");
    home.replaceChildren(this.root);
    this.stopUp = on("up", () => !this.viewers.length && this.load());
    this.load();
  }

  side(index) {
    return this.root.querySelector(`[data-part="${SIDES[index]}"]`);
  }

  title() {
    return t("compare.title");
  }

  async load() {
    const found = await Promise.allSettled(this.ids.map((id) => get(`/api/cases/${id}`)));
    if (this.gone) return;
    this.entries = found.map((one) => one.value ?? null);
    found.forEach((one, index) => this.fill(index, one));
    if (this.viewers.filter(Boolean).length === 2) this.align();
  }

  fill(index, { value: entry, reason }) {
    const side = this.side(index), body = side.querySelector("[data-part=body]");
    const link = side.querySelector("[data-part=name]");
    link.href = `#/case/${this.ids[index]}`;
    link.textContent = entry?.name || this.ids[index];
    if (!entry) return body.replaceChildren(reason.error === "NotFound" ? emptiness("case.none") : faultCard(reason));
    side.querySelector("[data-part=facts]").textContent = [this.maker(entry), moment(entry.created)].filter(Boolean).join(" · ");
    if (!entry.page || entry.state !== "ready") return this.wait(entry, body);
    if (this.viewers[index]) return;
    this.viewers[index] = mountViewer(body, entry);
    side.addEventListener("dermaxai:select", (event) => this.follow(index, event.detail));
    for (const part of body.querySelectorAll("section[aria-label]")) part.setAttribute("role", "group"); // the landmarks are the two sides
    side.addEventListener("dermaxai:cell", (event) => this.point(index, event.detail.cell));
    side.addEventListener("dermaxai:method", (event) => this.sameMethod(index, event.detail.method));
  }

  /** A case that is still being made: its progress, then both again. */
  wait(entry, body) {
    const { job } = entry;
    if (!job || hasEnded(job)) return body.replaceChildren(emptiness("compare.waiting"));
    this.panels.push(new JobPanel(body, job, { ended: () => !this.gone && this.load() }));
  }

  /** Which encoder and captioner made a case. */
  maker(entry) {
    const of = (key) => madeOf(entry.page, key).split(/\s{2,}/)[0];
    return [...new Set([of("encoder"), of("captioner")].filter(Boolean))].join(" + ");
  }

  align() {
    const captions = this.viewers.map((viewer) => viewer.case.captions[0]);
    this.aligned = [alignWords(captions[0], captions[1]), alignWords(captions[1], captions[0])];
    this.mark();
    const same = this.aligned[0].filter((place) => place >= 0).length;
    const alone = this.aligned.map((places) => places.filter((place) => place < 0).length);
    say(this.root.querySelector("[data-part=told]"), "compare.told", { same, left: alone[0], right: alone[1] });
    const [one, other] = this.entries.map((entry) => madeOf(entry.page, "encoder") + madeOf(entry.page, "captioner"));
    say(this.root.querySelector("[data-part=range]"), one === other ? "compare.range" : "compare.range.models");
  }

  /** Words that the other caption does not have. */
  mark() {
    this.aligned.forEach((places, index) => places.forEach((place, word) => {
      const element = this.side(index).querySelector(`[data-key="word:${word}"]`);
      element?.classList.toggle("alone", place < 0);
      if (place < 0 && element) element.dataset.alone = `, ${t("compare.alone")}`;
    }));
  }

  follow(index, { key, pinned }) {
    const other = this.viewers[1 - index];
    if (this.busy || !other || !this.aligned.length) return;
    if (key && !key.startsWith("word:")) return;
    const word = key ? this.aligned[index][Number(key.slice(5))] : -1;
    this.busy = true;
    if (!pinned) other.state.pinned = null;
    other.select(word < 0 ? null : `word:${word}`, { pin: pinned === key });
    this.busy = false;
  }

  /** One cursor over both, where both show the same photo. */
  point(index, cell) {
    const [one, other] = this.entries.map((entry) => entry && madeOf(entry.page, "sha256"));
    if (this.busy || !this.viewers[1 - index] || one !== other) return;
    this.busy = true;
    pointTo(this.viewers[1 - index], cell && { x: cell.x, y: cell.y });
    this.busy = false;
  }

  sameMethod(index, method) {
    const other = this.viewers[1 - index];
    const place = other?.case.methods.findIndex((one) => one.name === method) ?? -1;
    if (this.busy || place < 0) return;
    this.busy = true;
    other.choose(place);
    this.busy = false;
  }

  speak() {
    for (const viewer of this.viewers) viewer?.speak(speech.language);
    this.mark();
  }

  destroy() {
    this.gone = true;
    this.stopUp();
    for (const one of [...this.viewers, ...this.panels]) one?.destroy();
  }
}

export const openCompare = (home, ids) => new CompareView(home, ids);
