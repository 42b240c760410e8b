// The viewer of one case: words, maps, methods, keyboard. No library, no request.
// `mount(root, bundle)` brings the markup of viewer.html.j2 to life; several can stand on one page.

import { listenCursor, develop, showCursor } from "./cursor.js";
import { Holding } from "./holding.js";
import { forgetKeys, listenKeys } from "./keys.js";
import { buildSheet, buildTiles, fillTiles, paintSheet, paintTiles, showAgreement } from "./methods.js";
import { fit, paint, paintBar } from "./painting.js";
import { buildConcepts, lightBars, showFit, showMade, showNotes } from "./panels.js";
import { change, make, told, translate } from "./telling.js";
import { showSanity, showScoreTable } from "./trust.js";
import { buildCaption, buildOthers, buildQueries, describe, rove } from "./words.js";

const CANVAS = 640; // pixels on the longer side; the browser enlarges the rest
const HUSH = 250; // milliseconds without a further key before a map is read aloud

let mounted = 0;

class Viewer extends Holding {
  constructor(root, bundle) {
    super(bundle);
    this.root = root;
    this.parts = new Map();
    this.stopping = new AbortController();
    this.wanted = new Set();
    this.seen = new Set();
    this.point = this.cell = null;
    this.overlay = this.get("overlay");
    this.get("told").id = `viewer-${++mounted}-told`;
    if (bundle.photo) this.get("photo").src = bundle.photo;
    this.take(bundle.case);
    this.state.method = this.shown(this.first())?.method ?? this.order[0] ?? 0;
    this.attend();
    this.build();
    this.show(this.first());
  }

  get(part) {
    if (!this.parts.has(part)) this.parts.set(part, this.root.querySelector(`[data-part="${part}"]`));
    return this.parts.get(part);
  }

  /** Takes a case in: gives the photo's proportions to what lies over it. */
  take(page) {
    this.hold(page);
    fit(this.get("layer"), page.photo, CANVAS);
    this.overlay.setAttribute("viewBox", `0 0 ${page.photo.width} ${page.photo.height}`);
    this.get("stage").closest(".case").style.setProperty("--ratio", page.photo.width / page.photo.height);
  }

  range() {
    return this.get("controls").querySelector("[name=range]:checked").value;
  }

  look(map) {
    const range = this.range();
    const beside = {
      own: () => false,
      same: (other) => other.method === map.method,
      methods: (other) => other.target === map.target && other.scalar === map.scalar,
    }[range];
    return {
      limit: Math.max(map.peak, ...this.maps.filter(beside).map((other) => other.peak)),
      opacity: this.get("opacity").value / 100,
      threshold: this.get("threshold").value / 100,
      colour: this.get("controls").querySelector("[name=colours]:checked").value,
      colours: this.colours,
    };
  }

  /** Everything that depends on the language or the case, once; what had the focus keeps it. */
  build() {
    const held = this.root.contains(document.activeElement) ? document.activeElement.dataset : {};
    this.root.lang = this.state.language;
    translate(this.root, (key) => this.t(key));
    buildTiles(this);
    buildCaption(this);
    buildOthers(this);
    buildQueries(this);
    buildConcepts(this);
    buildSheet(this);
    showNotes(this);
    showFit(this);
    showMade(this);
    this.get("controls").hidden = this.get("scale").hidden = !this.maps.length;
    this.get("methods").hidden = !this.maps.length;
    this.get("legend").hidden = this.get("about").hidden = !this.words.length;
    this.want("sheet");
    const name = ["key", "method"].find((one) => held[one]);
    if (name) this.root.querySelector(`[data-${name}="${held[name]}"]`)?.focus({ preventScroll: true });
  }

  /** A button that shows a question while pointed at or focused, and pins it when pressed. */
  button(key, attributes, ...children) {
    return make("button", {
      type: "button", "data-key": key, "aria-describedby": attributes.class?.startsWith("word") ? this.get("told").id : null, ...attributes,
      onpointerenter: (event) => event.pointerType === "mouse" && this.show(key),
      onpointerleave: () => this.goBack(),
      onfocus: () => this.show(key),
      onblur: ({ relatedTarget }) => relatedTarget && this.goBack(),
      onclick: () => this.pin(key),
    }, ...children);
  }

  /** From what was only looked at to what is pinned. */
  goBack() {
    const { pinned, target } = this.state;
    if (pinned && target !== pinned) this.show(pinned);
  }

  wordButton(index) {
    return this.wordButtons[index];
  }

  /** Shows one word or question, or the plain photo for `null`. */
  show(key) {
    this.state.target = key;
    for (const button of this.root.querySelectorAll("[data-key]")) {
      button.classList.toggle("active", button.dataset.key === key);
      change(button, "aria-pressed", String(button.dataset.key === this.state.pinned));
    }
    rove(this, key);
    describe(this, key);
    fillTiles(this, key);
    showAgreement(this, key);
    showScoreTable(this);
    showSanity(this, this.shown(key));
    lightBars(this, key);
    this.get("layer").setAttribute("aria-label", key ? told(this, key, this.shown(key)) : this.t("map.photo"));
    this.want("maps");
    this.send("select", { key, pinned: this.state.pinned });
  }

  /** Shows a question from outside; `pin` keeps it. */
  select(key, { pin = false } = {}) {
    if (pin) this.state.pinned = key;
    this.show(key);
  }

  pin(key) {
    this.state.pinned = this.state.pinned === key ? null : key;
    this.show(key);
    this.get("stage").scrollIntoView({ block: "nearest" });
  }

  clear() {
    this.state.pinned = null;
    this.show(null);
  }

  /** Shows another method large. */
  choose(method) {
    this.state.method = method;
    this.refresh();
    this.send("method", { method: this.case.methods[method].name });
  }

  /** The same by the place of a tile; false where it has no map. */
  choosePlace(place) {
    const method = this.order[place];
    if (method === undefined || !this.map(this.state.target, method)) return false;
    this.choose(method);
    return true;
  }

  slide(part, step) {
    this.get(part).valueAsNumber += step;
    this.refresh();
  }

  refresh() {
    this.show(this.state.target);
    this.want("sheet");
  }

  speak(language) {
    this.state.language = language;
    this.build();
    this.refresh();
    this.send("language", { language });
  }

  /** More of the same case: what was chosen stays chosen. */
  update(page) {
    const { method, target, pinned } = this.state;
    const name = (key) => (key?.startsWith("query:") ? JSON.stringify(this.case.targets[this.target(key)]) : key);
    const [shown, kept, chosen] = [name(target), name(pinned), JSON.stringify(this.case.methods[method])];
    this.take(page);
    const found = (text) => (text?.startsWith("{") ? page.targets.map((entry, index) => [JSON.stringify(entry), `query:${index}`]).find(([entry]) => entry === text)?.[1] ?? null : text);
    this.state.method = Math.max(page.methods.findIndex((entry) => JSON.stringify(entry) === chosen), 0);
    this.state.pinned = found(kept);
    this.build();
    this.show(found(shown) ?? this.first());
  }

  destroy() {
    this.stopping.abort();
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.later);
    clearTimeout(this.hush);
    forgetKeys(this);
  }

  listen(target, type, react) {
    target.addEventListener(type, react, { signal: this.stopping.signal });
  }

  attend() {
    listenCursor(this);
    listenKeys(this);
    this.listen(this.get("controls"), "submit", (event) => event.preventDefault());
    this.listen(this.get("controls"), "input", () => this.refresh());
    this.listen(this.root, "pointerover", ({ target }) => ["about", "methods"].forEach((part) => steady(this.get(part), target)));
    this.listen(this.get("score-table"), "toggle", () => showScoreTable(this));
    this.listen(this.get("photo"), "load", () => develop(this, [...this.tiles, ...this.thumbs].map(({ under }) => under)));
    this.watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.seen[isIntersecting ? "add" : "delete"](target.dataset.part);
      this.want();
    }, { rootMargin: "100px" });
    for (const part of ["methods", "grid"]) this.watch.observe(this.get(part));
  }

  /** Asks for the next frame to draw 'maps', 'sheet' or 'cursor'. */
  want(...what) {
    for (const entry of what) this.wanted.add(entry);
    if (this.wanted.has("maps")) this.wanted.add("layer").add("tiles").add("cursor").delete("maps");
    this.frame ??= requestAnimationFrame(() => this.drawSeen());
  }

  /** Draws what can be seen at once, the rest when there is time. */
  drawSeen() {
    this.frame = undefined;
    this.draw({ layer: true, cursor: true, tiles: this.seen.has("methods"), sheet: this.seen.has("grid") });
    clearTimeout(this.later);
    if (this.wanted.size) this.later = setTimeout(() => this.draw(), HUSH);
  }

  draw(now = { layer: true, cursor: true, tiles: true, sheet: true }) {
    const tasks = { layer: () => this.drawLayer(), tiles: () => paintTiles(this), sheet: () => paintSheet(this), cursor: () => showCursor(this) };
    for (const [name, task] of Object.entries(tasks)) if (now[name] && this.wanted.delete(name)) task();
  }

  drawLayer() {
    const map = this.shown(this.state.target);
    const look = map && this.look(map);
    paint(this.get("layer"), map, this.case.photo, look);
    this.get("opacity-value").textContent = `${this.get("opacity").value} %`;
    this.get("threshold-value").textContent = `${this.get("threshold").value} %`;
    this.get("scale").classList.toggle("empty", !map?.peak);
    this.get("diverging").hidden = !map?.signed;
    this.root.classList.toggle("mapped", Boolean(map?.peak));
    this.root.classList.toggle("grey", this.get("grey").checked);
    if (!map?.peak) return;
    paintBar(this.get("bar"), map, look);
    this.get("low").textContent = this.number(map.signed ? -look.limit : 0);
    this.get("high").textContent = this.number(look.limit);
    this.get("scalar").textContent = this.name("scalar", map.scalar);
  }

  /** Says something to who listens, once it stays. */
  announce(text) {
    clearTimeout(this.hush);
    this.hush = setTimeout(() => (this.get("live").textContent = text), HUSH);
  }

  send(name, detail) {
    this.root.dispatchEvent(new CustomEvent(`dermaxai:${name}`, { bubbles: true, detail }));
  }
}

/** Keeps the height of what stands above the pointer, so that nothing moves away under it. */
function steady(part, target) {
  const below = !part.contains(target) && Boolean(part.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING);
  if (below !== Boolean(part.style.minHeight)) part.style.minHeight = below ? `${part.offsetHeight}px` : "";
}

/** Brings the markup in `root` to life with a `bundle` {case, texts, colours, language, photo}. */
export function mount(root, bundle) {
  return new Viewer(root, bundle);
}
