// What is said: numbers, names, and the sentence that every map has.

const JUDGED = ["deletion", "insertion"]; // as scores.py
const VERDICTS = { y: "yes", n: "no", u: "undecided", "-": "" };
const LARGE_ARTEFACTS = 0.1; // share of a map's energy on hair, ruler or ink that deserves a caution

export const MARKS = { yes: "✓", no: "✗", undecided: "?", "": "" };
export const verdictOf = (letter) => VERDICTS[letter] ?? "";

/** A new element; attributes that begin with "on" are listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== false && child !== undefined));
  return element;
}

/** Sets an attribute where it is another one: the browser looks at every one that is set. */
export function change(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** The strings of a bundle, a table for each language. */
export function readTexts({ keys, ...languages }) {
  const table = (texts) => Object.fromEntries(keys.map((key, index) => [key, texts[index]]));
  return Object.fromEntries(Object.entries(languages).map(([name, texts]) => [name, table(texts)]));
}

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

/** Every string of an element in the language that `t` speaks. */
export function translate(home, t) {
  for (const element of home.querySelectorAll("[data-t]"))
    element.textContent = t(element.dataset.t);
  for (const element of home.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of home.querySelectorAll("[data-t-alt]")) element.alt = t(element.dataset.tAlt);
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  return share > 0 && share < 0.005 ? "<\u00a01\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
}

/** '0.31 … 0.42', or '' for a value without an interval. */
export const interval = (viewer, low, high) =>
  low === null || low === high ? "" : `${viewer.number(low)} … ${viewer.number(high)}`;

/** What share of the photo the model saw, unless it saw all of it. */
export function seen(viewer, map) {
  const { photo } = viewer.case;
  const share = map?.peak ? Math.round((100 * map.place.width * map.place.height) / (photo.width * photo.height)) : 100;
  return share < 99 ? viewer.t("map.seen", { share }) : "";
}

/** Where a map is hottest, or why there is nothing to see. */
export function sentence(viewer, key, map) {
  if (viewer.prior(key)) return viewer.t(`word.${viewer.prior(key)}`);
  if (!map) return viewer.t("map.missing");
  if (map.peak === 0) return viewer.t("map.none");
  if (!map.region) return viewer.t("map.negative");
  const region = viewer.t(`region.${map.region}`);
  return viewer.t("map.hottest", { region, share: Math.round(100 * map.share), area: Math.round(100 * map.place.tenth) });
}

/** The same in a few words. */
export function glance(viewer, map) {
  if (map.peak === 0) return viewer.t("figure.zero");
  if (!map.region) return viewer.t("figure.negative");
  return `${viewer.t(`region.${map.region}`)}, ${percent(map.share)}`;
}

/** What must be known of a map's method, such as that it ignores the question. */
export function notes(viewer, key, map) {
  if (!map) return [];
  const { name } = viewer.case.methods[map.method];
  const own = viewer.texts[viewer.state.language][`note.${name}`];
  return [viewer.bond(key, map) === "similar" && viewer.t("tile.similar.more"), own].filter(Boolean);
}

/** What a word's map adds up to beside the word's evidence, and the caution where that is little or against it. */
export function account(viewer, map) {
  if (!map?.account) return ["", ""];
  const { told, nats, doubt } = map.account;
  const sum = viewer.t("map.account", { told: viewer.number(told, 2), nats: viewer.number(nats, 2) });
  return [sum, doubt ? viewer.t(`map.${doubt}`) : ""];
}

/** The caution where much of a map lies on hair, a ruler or ink. */
export function artefacts(viewer, map) {
  const share = map && scoresOf(viewer, map).find(({ metric }) => metric === "artefact_share")?.value;
  return share >= LARGE_ARTEFACTS ? viewer.t("map.artefacts", { share: Math.round(100 * share) }) : "";
}

/** What the case says under `name`, in the language of the viewer: a list, empty in English; null where not known. */
export const saidOf = (viewer, name) => viewer.case.said?.[viewer.state.language]?.[name] ?? [];

/** The warnings of the case as elements, in the language of the viewer where they are known in it. */
export function warningRows(viewer) {
  const { warnings } = viewer.case;
  return warnings.map((text, place) => make("li", { lang: inOwn(viewer, place) ? viewer.state.language : "en" }, inOwn(viewer, place) ?? text));
}

const inOwn = (viewer, place) => saidOf(viewer, "warnings")[place];

/** The warnings that name a map's method. */
export function warningsOf(viewer, map) {
  const { name } = viewer.case.methods[map.method];
  const told = viewer.case.warnings.map((text, place) => [text, inOwn(viewer, place) ?? text]);
  return told.filter(([text]) => text.startsWith(`'${name}'`)).map(([, own]) => own);
}

/** The scores of one map: metric, protocol, value, verdict, and the random maps it is compared with. */
export function scoresOf(viewer, map) {
  const place = map.index;
  return viewer.case.trust.filter(({ values }) => (values[place] ?? null) !== null).map((entry) => {
    const value = entry.values[place];
    const [low, high, n] = entry.spread[place] ?? [value, value, 1];
    return { ...entry, value, low, high, n, verdict: verdictOf(entry.verdicts[place]), random: entry.random[entry.which[place]] };
  });
}

export const judgedOf = (viewer, map) => scoresOf(viewer, map).filter(({ metric }) => JUDGED.includes(metric));

/** What deletion and insertion say together: a verdict where they agree, or "" unless both were measured. */
export function verdict(viewer, map) {
  const told = (map ? judgedOf(viewer, map) : []).filter((score) => score.verdict).map((score) => score.verdict);
  if (told.length < JUDGED.length) return "";
  return new Set(told).size > 1 ? "undecided" : told[0];
}

/** Why a map should be doubted, in a few words; '' where nothing speaks against it. */
export function doubtOf(viewer, map) {
  const why = verdict(viewer, map) === "no" ? "no" : map.account?.doubt;
  return why ? viewer.t(`figure.${why}`) : "";
}

/** A map as one text, for who does not see it. */
export function told(viewer, key, map) {
  const method = map && viewer.case.methods[map.method];
  const trust = verdict(viewer, map);
  const parts = [
    sentence(viewer, key, map), ...notes(viewer, key, map), ...account(viewer, map), artefacts(viewer, map),
    trust && viewer.t(`trust.${trust}`),
  ];
  const whole = parts.filter(Boolean).join(" ");
  if (!method) return `${viewer.label(key)}. ${whole}`;
  return viewer.t("map.label", { word: viewer.label(key), method: viewer.methodName(method), sentence: whole });
}
