// Words of the page, elements, and what is drawn when something is missing or wrong.

const data = JSON.parse(document.getElementById("dermaxai-page").textContent);

/** What the server said before anything was asked: texts, colours, models, blind, open, largest, version;
 *  `worker`, the state of the model, is told later. */
export const served = data;

const tables = Object.fromEntries(["en", "ru"].map((language) => [
  language, Object.fromEntries(data.texts.keys.map((key, index) => [key, data.texts[language][index]])),
]));

export const speech = { language: document.documentElement.lang };

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

/** The string `key` in the language of the page; where it has plural forms, the one for `values.number`. */
export function t(key, values = {}) {
  const entry = tables[speech.language][key] ?? key;
  if (typeof entry === "string") return fill(entry, values);
  const form = new Intl.PluralRules(speech.language).select(values.number);
  return fill(entry[form] ?? entry.other ?? entry.many, { ...values, number: number(values.number) });
}

export const has = (key) => key in tables[speech.language];

/** The readable name of a method, metric, …, or the name itself. */
export function name(kind, entry) {
  const [plain, variant] = entry.split(":");
  const known = tables[speech.language][`${kind}.${plain}`] ?? plain;
  return variant ? `${known} (${variant})` : known;
}

/** The reader's own kind of the language: dates of en-GB are not those of en-US. */
const locale = () => navigator.languages.find((one) => one.split("-")[0] === speech.language) ?? speech.language;

export const number = (value, digits = 3) => new Intl.NumberFormat(locale(), { maximumSignificantDigits: digits }).format(value);

/** How a served model is called: a folder by its own name, unless another one has the same. */
export function modelName(model) {
  const last = (path) => path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
  return data.models.filter((one) => last(one) === last(model)).length > 1 ? model : last(model);
}

/** What a case's table 'How made' tells under `key`, as plain text. */
export const madeOf = (page, key) => ((page?.made ?? []).find(([row]) => row === key)?.[1] ?? []).map(([text]) => text).join("");

/** A moment in the reader's time zone. */
export const moment = (text) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

/** Whole seconds, or minutes and seconds. */
export function duration(seconds) {
  if (seconds < 9.95) return t("time.seconds", { seconds: new Intl.NumberFormat(locale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(seconds) });
  if (seconds < 90) return t("time.seconds", { seconds: Math.round(seconds) });
  return t("time.minutes", { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
}

/** Bytes as kB, MB or GB. */
export function bytes(count) {
  const power = count >= 1e9 ? 3 : count >= 1e6 ? 2 : 1;
  return `${new Intl.NumberFormat(locale(), { maximumFractionDigits: power > 1 ? 1 : 0 }).format(count / 1000 ** power)} ${t(`bytes.${power}`)}`;
}

const KEYS = "dermaxai:single-keys";

/** Whether single letters are commands; who dictates or slips can turn them off, everywhere at once. */
export const singleKeys = () => kept(KEYS) !== "off";

/** What the browser keeps under a name, or null; some browsers keep nothing. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Lets the browser keep a text under a name, where it does. */
export function keep(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch { /* forgotten with the page */ }
}

/** Turns single letters on or off, and every box that says so. */
export function setSingleKeys(on) {
  keep(KEYS, on ? "on" : "off");
  for (const box of document.querySelectorAll("[data-part=keys-on]")) box.checked = on;
}

/** A new element; attributes beginning with "on" are listeners, `say` is a string of the catalogue. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) element.addEventListener(attribute.slice(2), value);
    else if (attribute === "say") say(element, ...[value].flat());
    else if (attribute === "label") label(element, ...[value].flat());
    else if (value !== null && value !== false && value !== undefined) element.setAttribute(attribute, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Lets `element` say a string, now and after every change of language. */
export function say(element, key, values = {}) {
  element.dataset.say = key;
  element.dataset.sayValues = JSON.stringify(values);
  element.textContent = t(key, values);
  return element;
}

/** The same for its accessible name. */
export function label(element, key, values = {}) {
  element.dataset.sayLabel = key;
  element.dataset.labelValues = JSON.stringify(values);
  element.setAttribute("aria-label", t(key, values));
  return element;
}

/** Lets `element` say what the server said: its English fields `names`, or what `said` has of them in the language
 *  of the page, now and after every change of language. */
export function quote(element, told, ...names) {
  const own = Object.entries(told.said ?? {}).map(([language, fields]) => [language, names.map((name) => fields[name])]);
  element.dataset.quote = JSON.stringify({ en: names.map((name) => told[name]), ...Object.fromEntries(own) });
  return sayQuote(element);
}

function sayQuote(element) {
  const { en, [speech.language]: own = [] } = JSON.parse(element.dataset.quote);
  const parts = en.map((text, place) => text && make("span", { lang: own[place] ? speech.language : "en" }, own[place] ?? text));
  element.replaceChildren(...parts.filter(Boolean).flatMap((part, place) => (place ? [" ", part] : [part])));
  return element;
}

/** Says everything below `root` again, in the language of the page. */
export function translate(root) {
  const values = (text) => JSON.parse(text ?? "{}");
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = t(element.dataset.say, values(element.dataset.sayValues));
  for (const element of root.querySelectorAll("[data-say-label]")) element.setAttribute("aria-label", t(element.dataset.sayLabel, values(element.dataset.labelValues)));
  for (const element of root.querySelectorAll("[data-say-placeholder]")) element.placeholder = t(element.dataset.sayPlaceholder);
  for (const element of root.querySelectorAll("[data-say-title]")) element.title = t(element.dataset.sayTitle);
  for (const element of root.querySelectorAll("[data-quote]")) sayQuote(element);
}

/** A copy of a template of the page, in its language. */
export function copy(id) {
  const part = document.getElementById(id).content.firstElementChild.cloneNode(true);
  translate(part);
  return part;
}

/** One sentence for a screen reader, without moving the focus. */
export function announce(key, values = {}) {
  const home = document.getElementById("announcer");
  home.textContent = "";
  requestAnimationFrame(() => (home.textContent = t(key, values)));
}

/** A button; `kind` is '', 'primary', 'quiet' or 'danger'. */
export const button = (key, onclick, kind = "", attributes = {}) =>
  make("button", { type: "button", class: `button ${kind}`.trim(), say: key, onclick, ...attributes });

const named = (fault) => (has(`error.${fault.error}`) ? fault.error : "other");

/** An error as a card: what went wrong, what to do, the server's own words; `actions` are buttons. */
export function faultCard(fault, ...actions) {
  const kind = named(fault);
  const card = make("div", { class: "fault", role: "alert", "data-error": fault.error },
    make("strong", { say: `error.${kind}` }),
    make("p", { say: `error.${kind}.do` }),
    (fault.message || fault.hint) && quote(make("p", { class: "told" }), fault, "message", "hint"));
  if (actions.length) card.append(make("div", { class: "row" }, ...actions));
  return card;
}

/** Puts an error where it happened; null takes it away. */
export function showFault(home, fault, ...actions) {
  home.hidden = !fault;
  home.replaceChildren(...(fault ? [faultCard(fault, ...actions)] : []));
}

/** A quiet picture of nothing: a title, a sentence, and what to do about it. */
export function emptiness(key, ...actions) {
  return make("div", { class: "emptiness" }, make("h2", { say: key }), make("p", { say: `${key}.more` }),
    actions.length ? make("div", { class: "row" }, ...actions) : null);
}

/** Asks in a dialog; resolves to whether the answer was yes. */
export function confirm(key, values, kind = "danger") {
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "confirm-title" });
  const answer = (value) => () => dialog.close(value);
  dialog.append(make("h2", { id: "confirm-title", say: [key, values] }), make("p", { say: [`${key}.more`, values] }),
    make("div", { class: "row end" }, button("action.cancel", answer("")), button(`${key}.yes`, answer("yes"), kind)));
  return open(dialog).then((value) => value === "yes");
}

/** Opens a dialog once and resolves to what it was closed with. */
export function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
  dialog.addEventListener("cancel", () => (dialog.returnValue = ""));
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(dialog.returnValue);
  }));
}
