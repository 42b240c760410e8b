// A case and what can be asked of it, in one of the languages; knows nothing of elements.

import { colourTable, decode, unpack } from "./painting.js";
import { fill, readTexts } from "./telling.js";

const SIMILAR = ["query", "concept", "diagnosis"]; // kinds of questions that may ask for the text of a word
const TOGETHER = ["consensus", "spread"]; // methods made from the maps of the others, shown behind them

/** Methods in the order of their tiles and number keys: what sums up the others comes last. */
function orderOf(methods) {
  const late = (index) => TOGETHER.includes(methods[index].name);
  const indices = methods.map((_, index) => index);
  return [...indices.filter((index) => !late(index)), ...indices.filter(late)];
}

const isSimilar = ({ kind, word, text, against }, wanted) =>
  word === null && against === null && SIMILAR.includes(kind) && text.toLowerCase() === wanted;

export class Holding {
  constructor({ texts, colours, language }) {
    this.texts = readTexts(texts);
    this.colours = Object.fromEntries(Object.entries(colours).map(([name, table]) => [name, colourTable(table)]));
    this.formats = new Map(); // making one takes longer than drawing a tile
    this.state = { language: language ?? document.documentElement.lang, method: 0, target: null, pinned: null };
  }

  get language() {
    return this.state.language;
  }

  t(key, values = {}) {
    const text = this.texts[this.state.language][key] ?? key;
    return typeof text === "string" ? fill(text, values) : this.count(key, values.number ?? 0, values);
  }

  /** The plural form of a string for a whole number, which also fills {number}. */
  count(key, number, values = {}) {
    const forms = this.texts[this.state.language][key];
    const form = forms[new Intl.PluralRules(this.state.language).select(number)] ?? forms.other ?? forms.many;
    return fill(form, { number: this.number(number, 15), ...values });
  }

  /** The readable name of a method, metric, scalar or setting, or the name itself. */
  name(kind, name) {
    return this.texts[this.state.language][`${kind}.${name}`] ?? name;
  }

  /** The same for 'method' or 'method:variant'. */
  ownName(name) {
    const [method, variant] = name.split(":");
    return variant ? `${this.name("method", method)} (${variant})` : this.name("method", method);
  }

  methodName({ name, variant }) {
    const several = this.case.methods.filter((method) => method.name === name).length > 1;
    return this.ownName(several && variant ? `${name}:${variant}` : name);
  }

  number(value, digits = 3) {
    if (value === null || value === undefined) return "–";
    const name = `${this.state.language} ${digits}`;
    if (!this.formats.has(name)) this.formats.set(name, new Intl.NumberFormat(this.state.language, { maximumSignificantDigits: digits }));
    return this.formats.get(name).format(value || 0).replace("-", "−"); // no minus before zero
  }

  /** Reads a case: its words, and its maps by question and method. */
  hold(page) {
    this.case = page;
    this.words = page.captions[0]?.words ?? [];
    this.maps = unpack(page.maps, page.places).map((map, index) => ({ ...decode(map, page), index }));
    this.found = new Map(this.maps.map((map) => [`${map.target} ${map.method}`, map]));
    this.order = orderOf(page.methods);
    this.blind = new Map(this.maps.filter((map) => page.methods[map.method].reads === false).map((map) => [map.method, map]));
  }

  /** The word that owes most to the image; what an untouched page shows. */
  first() {
    const known = this.words.map((_, index) => `word:${index}`).filter((key) => this.shown(key));
    const nats = (key) => this.case.evidence[key.slice(5)]?.nats ?? 0;
    return known.sort((a, b) => nats(b) - nats(a))[0] ?? null;
  }

  /** Index in the case's targets of a key 'word:3' or 'query:7'. */
  target(key) {
    const [kind, index] = (key ?? ":").split(":");
    return kind === "query" ? Number(index) : this.case.targets.findIndex((target) => target.word === Number(index || -1));
  }

  /** The map of a method: of the question itself, else of the same text, else of a method that asks nothing. */
  map(key, method = this.state.method) {
    if (!key || this.prior(key)) return undefined;
    const own = this.found.get(`${this.target(key)} ${method}`);
    if (own || !key.startsWith("word:")) return own ?? (this.found.size && this.asks(key) ? this.blind.get(method) : undefined);
    if (this.isSummary(method)) return undefined;
    const text = this.label(key).toLowerCase();
    const similar = this.case.targets.findIndex((target) => isSimilar(target, text));
    return this.found.get(`${similar} ${method}`) ?? (this.asks(key) ? this.blind.get(method) : undefined);
  }

  /** Whether any method that reads questions answers this one. */
  asks(key) {
    const target = this.target(key);
    return this.maps.some((map) => map.target === target && !this.blind.has(map.method));
  }

  /** The map to show large: that of the chosen method, else of the first that has one. */
  shown(key) {
    if (!key) return undefined;
    const own = this.map(key);
    if (own) return own;
    const other = this.order.find((method) => this.map(key, method));
    return other === undefined ? undefined : this.map(key, other);
  }

  /** How a map belongs to a question: '' for its own, 'similar' for the same text, 'blind' for no question. */
  bond(key, map) {
    if (this.case.methods[map.method].reads === false) return "blind";
    return map.target === this.target(key) ? "" : "similar";
  }

  /** Why a word has no map, 'expected' or 'despite'; '' for one that comes from the image. */
  prior(key) {
    return (key?.startsWith("word:") && this.case.evidence[key.slice(5)]?.prior) || "";
  }

  /** Whether a question is shown elsewhere: with a word of the caption, or with a concept. */
  isHoused({ kind, text, against }) {
    if (kind === "concept") return this.case.concepts.some((concept) => concept.name === text);
    if (against !== null || !SIMILAR.includes(kind)) return false;
    return this.words.some((_, index) => this.label(`word:${index}`).toLowerCase() === text.toLowerCase() && this.shown(`word:${index}`));
  }

  label(key) {
    if (key.startsWith("word:")) {
      const word = this.words[key.slice(5)];
      return this.case.captions[0].text.slice(word.start, word.stop);
    }
    const { kind, text, against } = this.case.targets[this.target(key)];
    const known = kind === "concept" && this.case.concepts.find((concept) => concept.name === text)?.names[this.state.language];
    return against ? this.t("against", { word: text, other: against }) : known || text;
  }

  /** Whether a method is made from the maps of the others. */
  isSummary(method) {
    return TOGETHER.includes(this.case.methods[method]?.name);
  }
}
