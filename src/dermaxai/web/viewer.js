// The viewer of one case: words, maps, sliders, keyboard. No library, no request.
// `mount(document, bundle)` brings a page to life; the report carries its bundle, a server would send it.

import { colourTable, decode, paint, unpack } from "./painting.js";
import { account, drawScale, drawThumb, make, showAccount, showAgreement, showConcepts, showFit, showNotes, showScores, showText, showTrust, verdict } from "./panels.js";

const CANVAS = 640; // pixels on the longer side; the browser enlarges the rest

class Viewer {
  constructor(page, bundle) {
    this.page = page;
    this.case = bundle.case;
    const { keys, ...languages } = bundle.texts;
    const table = (texts) => Object.fromEntries(keys.map((key, index) => [key, texts[index]]));
    this.texts = Object.fromEntries(Object.entries(languages).map(([name, texts]) => [name, table(texts)]));
    this.maps = unpack(this.case.maps).map((map) => decode(map, this.case));
    this.colours = Object.fromEntries(Object.entries(bundle.colours).map(([name, table]) => [name, colourTable(table)]));
    this.state = { language: page.documentElement.lang, method: 0, target: null, pinned: null };
    this.words = this.case.captions.length ? this.case.captions[0].words : [];
    this.listen();
    this.build();
    this.show(this.first());
  }

  get(id) {
    return this.page.getElementById(id);
  }

  t(key, values = {}) {
    const text = this.texts[this.state.language][key] ?? key;
    return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
  }

  /** The readable name of a method, metric, scalar or setting, or the name itself. */
  name(kind, name) {
    return this.texts[this.state.language][`${kind}.${name}`] ?? name;
  }

  number(value, digits = 3) {
    if (value === null) return "–";
    return new Intl.NumberFormat(this.state.language, { maximumSignificantDigits: digits }).format(value);
  }

  /** The word that owes most to the image; what an untouched page shows. */
  first() {
    const known = this.words.map((_, index) => `word:${index}`).filter((key) => this.map(key));
    const nats = (key) => this.case.evidence[key.slice(5)]?.nats ?? 0;
    return known.sort((a, b) => nats(b) - nats(a))[0] ?? null;
  }

  /** Index in the bundle's targets of a key 'word:3' or 'query:7'. */
  target(key) {
    const [kind, index] = (key ?? ":").split(":");
    return kind === "query" ? Number(index) : this.case.targets.findIndex((target) => target.word === Number(index || -1));
  }

  map(key, method = this.state.method) {
    if (key === null || this.prior(key)) return undefined;
    const target = this.target(key);
    return this.maps.find((map) => map.target === target && map.method === method);
  }

  /** Why a word has no map, 'expected' or 'despite'; '' for one that comes from the image. */
  prior(key) {
    return (key?.startsWith("word:") && this.case.evidence[key.slice(5)]?.prior) || "";
  }

  label(key) {
    if (key.startsWith("word:")) {
      const word = this.words[key.slice(5)];
      return this.case.captions[0].text.slice(word.start, word.stop);
    }
    const { text, against } = this.case.targets[this.target(key)];
    return against ? this.t("against", { word: text, other: against }) : text;
  }

  methodName({ name, variant }) {
    const several = this.case.methods.filter((method) => method.name === name).length > 1;
    return `${this.name("method", name)}${several && variant ? ` (${variant})` : ""}`;
  }

  look(map) {
    const same = this.page.querySelector("[name=range]:checked").value === "same";
    const peaks = this.maps.filter((other) => other.method === map.method).map((other) => other.peak);
    return {
      limit: same ? Math.max(...peaks) : map.peak,
      opacity: this.get("opacity").value / 100,
      threshold: this.get("threshold").value / 100,
      colours: this.colours,
    };
  }

  sentence(key, map) {
    if (this.prior(key)) return this.t(`word.${this.prior(key)}`);
    if (!map) return this.t("map.missing");
    if (map.peak === 0) return this.t("map.none");
    if (!map.region) return this.t("map.negative");
    const percent = (share) => Math.round(100 * share);
    const region = this.t(`region.${map.region}`);
    return this.t("map.hottest", { region, share: percent(map.share), area: percent(map.place.tenth) });
  }

  /** What must be known of a map's method beside the map, such as that it ignores the question. */
  note(map) {
    const key = map && `note.${this.case.methods[map.method].name}`;
    return this.texts[this.state.language][key] ?? "";
  }

  /** A map as one text, for who does not see it. */
  told(key) {
    const map = this.map(key);
    const method = this.case.methods[this.state.method];
    const trust = verdict(this, map);
    const sentence = [this.sentence(key, map), this.note(map), ...account(this, map), trust && this.t(`trust.${trust}`)].filter(Boolean).join(" ");
    return this.t("map.label", { word: this.label(key), method: method ? this.methodName(method) : "", sentence });
  }

  /** Everything that depends on the language or the case, once. */
  build() {
    this.page.documentElement.lang = this.state.language;
    for (const element of this.page.querySelectorAll("[data-t]")) element.textContent = this.t(element.dataset.t, JSON.parse(element.dataset.values ?? "{}"));
    for (const element of this.page.querySelectorAll("[data-t-label]"))
      element.setAttribute("aria-label", this.t(element.dataset.tLabel));
    for (const element of this.page.querySelectorAll("[data-t-alt]")) element.alt = this.t(element.dataset.tAlt);
    for (const button of this.page.querySelectorAll("[data-language]"))
      button.setAttribute("aria-pressed", button.dataset.language === this.state.language);
    this.buildCaption();
    this.buildQueries();
    this.buildMethods();
    showNotes(this);
    showConcepts(this);
    showFit(this);
    this.get("value").textContent = this.t("map.read");
  }

  button(key, attributes, ...children) {
    return make("button", {
      type: "button", "data-key": key, ...attributes,
      onpointerenter: (event) => event.pointerType === "mouse" && this.show(key),
      onpointerleave: () => this.state.pinned && this.show(this.state.pinned),
      onfocus: () => this.show(key),
      onclick: () => this.pin(key),
    }, ...children);
  }

  buildCaption() {
    const home = this.get("caption");
    if (!this.words.length) home.textContent = this.t("caption.empty");
    if (!this.words.length) return;
    const { text } = this.case.captions[0];
    let done = 0;
    home.replaceChildren();
    this.words.forEach((word, index) => {
      const key = `word:${index}`;
      const prior = this.prior(key);
      const hint = prior ? this.t(`word.${prior}`) : `${this.t("word.certainty")}: ${this.percent(word.certainty)}`;
      const button = this.button(key, { class: prior ? "word prior" : "word", title: hint, tabindex: index ? -1 : 0 });
      button.textContent = text.slice(word.start, word.stop);
      button.style.textDecorationThickness = `${(0.5 + 4.5 * (word.certainty ?? 0)).toFixed(1)}px`;
      home.append(text.slice(done, word.start), button);
      done = word.stop;
    });
    home.append(text.slice(done));
  }

  percent(share) {
    return share === null ? "–" : `${Math.round(100 * share)} %`;
  }

  buildQueries() {
    const asked = this.case.targets.map((target, index) => ({ ...target, key: `query:${index}` })).filter((target) => target.word === null);
    this.get("queries").hidden = !asked.length;
    this.get("query-chips").replaceChildren(
      ...asked.map(({ key, kind }) => this.button(key, {}, this.label(key), make("small", {}, this.t(`query.${kind}`)))),
    );
  }

  buildMethods() {
    const choices = this.case.methods.map((method, index) =>
      make("label", {},
        make("input", { type: "radio", name: "method", value: index, checked: index === this.state.method }),
        make("span", {}, this.methodName(method))),
    );
    this.get("methods").replaceChildren(...choices);
    this.get("controls").hidden = !this.maps.length;
  }

  wordButton(index) {
    return this.get("caption").querySelectorAll(".word")[index];
  }

  /** Shows one word or question, or the plain photo for `null`. */
  show(key) {
    this.state.target = key;
    for (const button of this.page.querySelectorAll("[data-key]")) {
      button.classList.toggle("active", button.dataset.key === key);
      button.setAttribute("aria-pressed", button.dataset.key === this.state.pinned);
    }
    this.words.forEach((_, index) => (this.wordButton(index).tabIndex = key === `word:${index}` || (!key?.startsWith("word:") && !index) ? 0 : -1));
    this.describe(key);
    this.draw();
  }

  /** A method that has a map, where the chosen one has none for what was asked. */
  chooseMethod(key) {
    if (this.map(key) || this.prior(key)) return;
    const target = this.target(key);
    const other = this.maps.find((map) => map.target === target);
    if (!other) return;
    this.state.method = other.method;
    this.page.querySelectorAll("[name=method]")[other.method].checked = true;
    this.refresh();
  }

  pin(key) {
    this.chooseMethod(key);
    this.state.pinned = this.state.pinned === key ? null : key;
    this.show(key);
    this.get("stage").scrollIntoView({ block: "nearest" });
  }

  describe(key) {
    const map = key && this.map(key);
    this.get("about-word").textContent = key ? this.label(key) : this.t("word.none");
    this.get("about-map").textContent = key ? [this.sentence(key, map), this.note(map)].filter(Boolean).join(" ") : "";
    showAccount(this, map);
    showText(this, key && this.target(key), map);
    showAgreement(this, key && this.target(key));
    const index = key?.startsWith("word:") ? Number(key.slice(5)) : null;
    const facts = [];
    if (index !== null) {
      facts.push([this.t("word.certainty"), this.percent(this.words[index].certainty)]);
      const evidence = this.case.evidence[index];
      if (evidence) facts.push([this.t("word.evidence"), `×${this.number(Math.exp(evidence.nats), 2)}`]);
    }
    const parts = facts.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, value)));
    if (this.state.pinned && this.state.pinned === key) parts.push(make("span", { class: "pin" }, this.t("word.unpin")));
    this.get("about-facts").replaceChildren(...parts);
    showTrust(this, map);
    showScores(this, map);
  }

  draw() {
    const { target } = this.state;
    const map = target ? this.map(target) : undefined;
    const layer = this.get("layer");
    this.fit(layer, CANVAS);
    if (map) paint(layer, map, this.case.photo, this.look(map));
    layer.setAttribute("aria-label", target ? this.told(target) : this.t("map.photo"));
    drawScale(this, map);
    this.get("opacity-value").textContent = `${this.get("opacity").value} %`;
    this.get("threshold-value").textContent = `${this.get("threshold").value} %`;
    this.readCell(null);
  }

  /** A canvas with the photo's proportions; also clears it. */
  fit(canvas, longest) {
    const { width, height } = this.case.photo;
    canvas.width = Math.round((longest * width) / Math.max(width, height));
    canvas.height = Math.round((longest * height) / Math.max(width, height));
  }

  drawGrid() {
    this.get("grid").hidden = !this.words.length || !this.maps.length;
    this.get("thumbs").replaceChildren(...this.words.map((_, index) => drawThumb(this, `word:${index}`)));
  }

  /** Value at one cell {row, column}; `null` clears, `undefined` is outside what the model saw. */
  readCell(cell) {
    const map = this.state.target ? this.map(this.state.target) : undefined;
    const outline = this.get("cell");
    this.cell = cell;
    outline.hidden = this.get("mark").hidden = !map || !cell;
    if (cell === null || !map) return void (this.get("value").textContent = map ? this.t("map.read") : "");
    if (!cell) return void (this.get("value").textContent = this.t("map.beyond"));
    const { place } = map;
    const { rows, columns } = place;
    const { width, height } = this.case.photo;
    const value = map.values[cell.row * columns + cell.column];
    const share = Math.min(Math.max(value / (this.look(map).limit || 1), -1), 1);
    outline.style.left = `${(100 * (place.left + (cell.column * place.width) / columns)) / width}%`;
    outline.style.top = `${(100 * (place.top + (cell.row * place.height) / rows)) / height}%`;
    outline.style.width = `${(100 * place.width) / columns / width}%`;
    outline.style.height = `${(100 * place.height) / rows / height}%`;
    this.get("mark").style.left = `${map.signed ? 50 + 50 * share : 100 * Math.max(share, 0)}%`;
    this.get("value").textContent = this.t("map.value", { value: this.number(value), row: cell.row + 1, column: cell.column + 1 });
  }

  cellAt(event) {
    const map = this.state.target ? this.map(this.state.target) : undefined;
    if (!map) return null;
    const box = this.get("layer").getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * this.case.photo.height;
    const x = ((event.clientX - box.left) / box.width) * this.case.photo.width;
    const row = Math.floor(((y - map.place.top) / map.place.height) * map.place.rows);
    const column = Math.floor(((x - map.place.left) / map.place.width) * map.place.columns);
    return row >= 0 && row < map.place.rows && column >= 0 && column < map.place.columns ? { row, column } : undefined;
  }

  listen() {
    const stage = this.get("stage");
    stage.addEventListener("pointermove", (event) => this.readCell(this.cellAt(event)));
    stage.addEventListener("pointerleave", () => this.readCell(null));
    stage.addEventListener("keydown", (event) => this.moveCell(event));
    this.get("caption").addEventListener("keydown", (event) => this.moveWord(event));
    this.page.addEventListener("keydown", (event) => this.press(event));
    this.get("controls").addEventListener("submit", (event) => event.preventDefault());
    this.get("controls").addEventListener("input", (event) => {
      if (event.target.name === "method") this.state.method = Number(event.target.value);
      this.refresh();
    });
    for (const button of this.page.querySelectorAll("[data-language]"))
      button.addEventListener("click", () => this.speak(button.dataset.language));
    this.get("photo").decode().then(() => this.drawGrid());
  }

  refresh() {
    this.show(this.state.target);
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.drawGrid());
  }

  speak(language) {
    this.state.language = language;
    this.build();
    this.refresh();
  }

  moveWord(event) {
    const now = [...this.get("caption").querySelectorAll(".word")].indexOf(this.page.activeElement);
    const last = this.words.length - 1;
    const next = { ArrowRight: Math.min(now + 1, last), ArrowLeft: Math.max(now - 1, 0), Home: 0, End: last }[event.key];
    if (now < 0 || next === undefined) return;
    event.preventDefault();
    this.wordButton(next).focus();
  }

  moveCell(event) {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    const map = this.state.target ? this.map(this.state.target) : undefined;
    if (down === undefined || !map) return;
    event.preventDefault();
    const { row, column } = this.cell || { row: Math.floor(map.place.rows / 2), column: Math.floor(map.place.columns / 2) };
    const keep = (at, count) => Math.min(Math.max(at, 0), count - 1);
    this.readCell({ row: keep(row + down, map.place.rows), column: keep(column + right, map.place.columns) });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      this.state.pinned = null;
      this.show(null);
    } else if (/^[1-9]$/.test(event.key) && Number(event.key) <= this.case.methods.length) {
      this.page.querySelectorAll("[name=method]")[Number(event.key) - 1].click();
    } else if (/^[oOpP]$/.test(event.key)) {
      this.get("opacity").valueAsNumber += /[oO]/.test(event.key) ? -5 : 5;
      this.refresh();
    }
  }
}

/** Brings `page` to life with the `bundle` {case, texts, colours} of report.py. */
export function mount(page, bundle) {
  return new Viewer(page, bundle);
}

const inside = document.getElementById("dermaxai");
if (inside) mount(document, JSON.parse(inside.textContent));
