// How far readers agree with each other and with the maps of each method, and everything they said as files.

import { get } from "./api.js";
import { emptiness, make, name, showFault, speech, t } from "./states.js";

const ANSWERS = ["agree", "wrong_place", "wrong_word"];
const TABLES = [["feedback", "feedback"], ["readings", "readings"], ["cases", "list"], ["events", "events"]];

const two = (value) => new Intl.NumberFormat(speech.language, { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "negative" }).format(value).replace("-", "−");

/** A value with its interval; a dash where it is not defined. */
const told = ({ value, low, high }) => (value === null ? "–" : low === null ? two(value) : `${two(value)} (${two(low)} – ${two(high)})`);

const head = (...keys) => make("thead", {}, make("tr", {}, ...keys.map((key) => make("th", { scope: "col", say: key }))));
const row = (first, ...cells) => make("tr", {}, make("th", { scope: "row" }, first), ...cells.map((cell) => make("td", {}, cell)));
const table = (caption, header, rows) => make("div", { class: "wide", tabindex: "0", role: "group", label: caption }, make("table", { class: "study" }, header, make("tbody", {}, ...rows)));
const words = (key, values) => make("span", { say: [key, values] });

class Summary {
  constructor(home) {
    this.home = make("section", { class: "study-page" });
    home.replaceChildren(this.home);
    this.load();
  }

  async load() {
    const trouble = make("div", { hidden: true });
    const wait = make("p", { class: "soft", role: "status", say: "reading.sum.wait" });
    this.home.replaceChildren(make("h1", { say: "reading.sum" }), trouble, wait);
    try {
      const study = await get("/api/agreement");
      if (this.home.isConnected) this.draw(study);
    } catch (fault) {
      wait.remove();
      showFault(trouble, fault);
    }
  }

  draw(study) {
    this.study = study;
    const counts = make("p", { class: "study-counts" }, ...[["readers", study.readers.length], ["cases", study.cases], ["answers", study.answers]].map(([key, count]) => words(`reading.sum.${key}`, { number: count })));
    const notes = ["replaced", "outdated"].filter((key) => study[key]).map((key) => make("p", { class: "soft", say: [`reading.sum.${key}`, { number: study[key] }] }));
    notes.push(...study.alike.map((names) => make("p", { class: "caution", say: ["reading.sum.alike", { names: names.join(", ") }] })));
    const parts = study.answers || study.readers.length ? this.parts(study) : [emptiness("reading.sum.none")];
    this.home.replaceChildren(make("h1", { say: "reading.sum" }), counts, ...notes, ...parts, this.exports());
  }

  parts(study) {
    const found = [this.readers(study), make("p", { class: "soft", say: "reading.sum.more" }), this.concord("words", study.words)];
    if (study.captions.items || study.captions.single) found.push(this.concord("captions", study.captions));
    return [...found, this.regions(study.regions), study.methods.length ? this.methods(study) : ""];
  }

  readers({ readers }) {
    return table("reading.sum.reader", head(...["reader", "seen", "said", "alone"].map((key) => `reading.sum.${key}`)), readers.map((one) => row(one.pseudonym, one.cases, one.answers, one.readings)));
  }

  concord(what, found) {
    const lines = ["items", "single", "mixed"].filter((key) => key === "items" || found[key]).map((key) => words(`reading.sum.${key}`, { number: found[key] }));
    const part = make("section", {}, make("h2", { say: `reading.sum.${what}` }), make("p", { class: "soft" }, ...lines.flatMap((line) => [line, " "])));
    if (found.undefined) part.append(make("p", { class: "caution", say: `reading.sum.${found.undefined}` }));
    if (!found.items) return part;
    const prefix = what === "words" ? "reading" : "reading.caption";
    const answers = ANSWERS.filter((answer) => what === "words" || answer !== "wrong_place");
    part.append(make("p", { class: "study-main" }, words("reading.sum.kappa", {}), " ", make("b", {}, told(found.kappa)), " · ", words("reading.sum.agreement", {}), " ", make("b", {}, told(found.agreement))),
      table(`reading.sum.${what}`, head("reading.sum.answer", "reading.sum.share", "reading.sum.kappa"),
        answers.map((answer) => row(words(`${prefix}.${answer}`, {}), told(found.answers[answer].share), told(found.answers[answer].kappa)))));
    return part;
  }

  regions(found) {
    const value = found.items ? make("p", { class: "study-main" }, make("b", {}, told(found.dice)), " · ", words("reading.sum.pairs", { number: found.dice.n })) : make("p", { class: "soft", say: "reading.sum.regions.none" });
    return make("section", {}, make("h2", { say: "reading.sum.regions" }), value);
  }

  methods({ methods }) {
    const keys = ["reading.sum.method", "reading.sum.said", ...ANSWERS.map((answer) => `reading.${answer}`), "reading.sum.energy", "reading.sum.chance", "reading.sum.marked"];
    const rows = methods.map((one) => row(one.method ? name("method", one.method) : words("reading.sum.no_map", {}), one.answers,
      ...ANSWERS.map((answer) => told(one.shares[answer])), told(one.energy), told(one.chance), one.energy.n));
    return make("section", {}, make("h2", { say: "reading.sum.methods" }), table("reading.sum.methods", head(...keys), rows));
  }

  exports() {
    const links = TABLES.flatMap(([what, key]) => ["csv", "json"].map((form) =>
      make("a", { class: "button", href: `/api/export/${what}?format=${form}${form === "csv" ? "&bom=yes" : ""}`, download: "", "data-export": `${what}.${form}` }, t(`reading.sum.${form}`, { what: t(`reading.sum.${key}`) }))));
    return make("section", {}, make("h2", { say: "reading.sum.export" }), make("p", { class: "soft", say: "reading.sum.export.more" }), make("div", { class: "row" }, ...links));
  }

  speak() {
    if (this.study) this.draw(this.study);
  }

  destroy() {
    this.home.remove();
  }
}

export const mountSummary = (home) => new Summary(home);
