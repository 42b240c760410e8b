// What stands around the caption: banner, warnings, concepts, scores, colour scale, the sheet of all words.

import { paint } from "./painting.js";

const JUDGED = ["deletion", "insertion"]; // as scores.py
const VERDICTS = { y: "yes", n: "no", u: "undecided", "-": "" };
const MARKS = { yes: "✓", no: "✗", undecided: "?", "": "" };
const THUMB = 240; // canvas pixels on the longer side

/** A new element; attributes that begin with "on" are listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** The banner of an unknown photo, and the warnings. */
export function showNotes(viewer) {
  const { outside, warnings, broken } = viewer.case;
  viewer.get("outside").hidden = !outside?.flag;
  if (outside)
    viewer.get("outside-text").textContent = viewer.t("outside.text", { score: viewer.number(outside.score), threshold: viewer.number(outside.threshold) });
  const notes = [...warnings, ...broken.map((entry) => viewer.t("warnings.map", entry))];
  viewer.get("warnings").hidden = !notes.length;
  viewer.page.querySelector("#warnings ul").replaceChildren(...notes.map((note) => make("li", {}, note)));
}

/** Bars; pointing at one lights its words. */
export function showConcepts(viewer) {
  const { concepts } = viewer.case;
  const most = Math.max(...concepts.map((concept) => Math.abs(concept.weight ?? 0)), 1e-9);
  viewer.get("concepts").hidden = !concepts.length;
  viewer.get("bars").replaceChildren(...concepts.map((concept) => {
    const words = concept.words.filter((index) => index < viewer.words.length);
    const said = words.map((index) => viewer.label(`word:${index}`)).join(", ");
    const bar = make("i");
    bar.style.width = `${(100 * Math.abs(concept.weight ?? 0)) / most}%`;
    const light = (on) => words.forEach((index) => viewer.wordButton(index).classList.toggle("lit", on));
    return make("li", { onpointerenter: () => light(true), onpointerleave: () => light(false) },
      make("span", {}, concept.names[viewer.state.language] ?? concept.name), make("span", { class: "track" }, bar), make("b", {}, viewer.number(concept.weight, 2)),
      make("small", {}, said ? viewer.t("concepts.words", { words: said }) : viewer.t("concepts.no_word")));
  }));
}

/** What the concepts are worth, beside what the mean image alone would do. */
export function showFit(viewer) {
  const { fit } = viewer.case;
  viewer.get("fit").textContent = fit ? viewer.t("concepts.fit", { ...fit, cosine: viewer.number(fit.cosine), with_mean: viewer.number(fit.with_mean), of_mean: viewer.number(fit.of_mean) }) : "";
}

/** The words of a question, each underlaid by its share of the similarity. */
export function showText(viewer, target, map) {
  const found = map && viewer.case.texts.find((text) => text.target === target && text.method === map.method);
  const home = viewer.get("about-text");
  home.hidden = !found;
  if (!found) return home.replaceChildren();
  const { text } = viewer.case.targets[target];
  const peak = Math.max(...found.words.map(([, , value]) => Math.abs(value ?? 0)), 1e-12);
  const parts = [`${viewer.t("text.shares")} `];
  let done = 0;
  for (const [start, stop, value] of found.words) {
    const mark = make("span", { class: value < 0 ? "share against" : "share", title: viewer.number(value) }, text.slice(start, stop));
    mark.style.setProperty("--share", `${Math.round((100 * Math.abs(value ?? 0)) / peak)}%`);
    parts.push(text.slice(done, start), mark);
    done = stop;
  }
  home.replaceChildren(...parts, text.slice(done));
}

/** How alike the maps of several methods are for the question shown: rank correlations. */
export function showAgreement(viewer, target) {
  const found = viewer.case.agreements.find((agreement) => agreement.target === target);
  viewer.get("agreement").hidden = !found;
  if (!found) return;
  const names = found.methods.map((name) => viewer.name("method", name));
  const size = names.length;
  const cell = (value) => {
    const entry = make("td", {}, value === null ? "–" : viewer.number(value, 2));
    entry.style.setProperty("--share", `${Math.round(60 * Math.abs(value ?? 0))}%`);
    entry.classList.toggle("against", value < 0);
    return entry;
  };
  const head = make("tr", {}, make("td"), ...names.map((name, index) => make("th", { scope: "col", title: name }, String(index + 1))));
  const rows = names.map((name, row) => make("tr", {}, make("th", { scope: "row" }, `${row + 1} ${name}`),
    ...found.correlations.slice(row * size, (row + 1) * size).map(cell)));
  viewer.get("agreement-rows").replaceChildren(head, ...rows);
}

/** What a word's map adds up to beside the word's evidence, and the caution where that is little or against it. */
export function account(viewer, map) {
  if (!map?.account) return [];
  const { told, nats, doubt } = map.account;
  const sum = viewer.t("map.account", { told: viewer.number(told, 2), nats: viewer.number(nats, 2) });
  return doubt ? [sum, viewer.t(`map.${doubt}`)] : [sum];
}

export function showAccount(viewer, map) {
  const [sum = "", caution = ""] = account(viewer, map);
  viewer.get("about-account").textContent = sum;
  viewer.get("about-caution").textContent = caution;
  viewer.get("about-caution").hidden = !caution;
}

/** The scores of one map: metric, protocol, value, verdict, and the random maps it is compared with. */
function scoresOf(viewer, map) {
  const place = viewer.maps.indexOf(map);
  return viewer.case.trust.filter(({ values }) => (values[place] ?? null) !== null).map((entry) => {
    const value = entry.values[place];
    const [low, high, n] = entry.spread[place] ?? [value, value, 1];
    return { ...entry, value, low, high, n, verdict: VERDICTS[entry.verdicts[place]], random: entry.random[entry.which[place]] };
  });
}

/** What deletion and insertion say together: a verdict where they agree, or "" unless both were measured. */
export function verdict(viewer, map) {
  const told = (map ? scoresOf(viewer, map) : []).filter(({ metric, verdict }) => JUDGED.includes(metric) && verdict).map((score) => score.verdict);
  if (told.length < JUDGED.length) return "";
  return new Set(told).size > 1 ? "undecided" : told[0];
}

/** Whether a map can be trusted: its value on the range of random maps, and the verdict in words. */
export function showTrust(viewer, map) {
  const home = viewer.get("trust");
  const judged = map ? scoresOf(viewer, map).filter(({ random }) => random) : [];
  home.hidden = !judged.length;
  if (!judged.length) return;
  const { protocol } = judged[0];
  const how = viewer.t("trust.protocol", { ...protocol, removal: viewer.name("removal", protocol.removal) });
  home.replaceChildren(make("h3", {}, viewer.t("trust")), ...judged.map((score) => ruler(viewer, score)), make("p", {}, make("small", {}, how)));
}

function ruler(viewer, { metric, value, n, random: [baseline, low, high], verdict, ...own }) {
  const least = Math.min(value, low), span = Math.max(value, high) - least || 1;
  const at = (number) => `${4 + (92 * (number - least)) / span}%`;
  const band = make("i", { class: "band" }), tick = make("i", { class: "tick" }), mark = make("i", { class: "dot" });
  band.style.left = at(low);
  band.style.width = `${(92 * (high - low)) / span}%`;
  tick.style.left = at(baseline);
  mark.style.left = at(value);
  const [mean, from, to] = [baseline, low, high].map((number) => viewer.number(number));
  const told = n > 1 ? `${viewer.number(value)} [${interval(viewer, own.low, own.high)}]` : viewer.number(value);
  return make("div", { class: `ruler ${verdict}` },
    make("p", {}, make("b", {}, viewer.name("metric", metric)), " ", viewer.t("trust.numbers", { value: told, baseline: mean, low: from, high: to })),
    make("div", { class: "axis", "aria-hidden": "true" }, band, tick, mark),
    make("p", {}, make("strong", {}, `${MARKS[verdict]} ${viewer.t(`trust.${verdict}`)}`), " ", make("small", {}, viewer.t(`trust.${metric}`))));
}

/** The scores of a map that stand beside no random maps, or those of the caption where it has none. */
export function showScores(viewer, map) {
  const own = map ? scoresOf(viewer, map).filter(({ random }) => !random) : [];
  const rows = own.length ? own : viewer.case.scores.filter(([, of]) => of === "caption")
    .map(([metric, , n, value, low, high]) => ({ metric, n, value, low, high }));
  viewer.get("scores").hidden = !rows.length;
  viewer.get("scores-title").textContent = viewer.t(own.length ? "scores" : "scores.caption");
  viewer.get("score-rows").replaceChildren(...rows.map(({ metric, n, value, low, high }) => row(viewer.name("metric", metric), viewer.number(value), interval(viewer, low, high), String(n))));
  showSanity(viewer, map);
}

/** The checks of the method in use, and of the words of the caption. */
function showSanity(viewer, map) {
  const method = viewer.case.methods[map ? map.method : viewer.state.method] ?? {};
  const names = [method.name, `${method.name}:${method.variant}`, "caption"];
  const rows = Object.entries(viewer.case.sanity).flatMap(([check, { limit, rows }]) => names.filter((name) => rows[name]).map((name) => {
    const [value, low, high, n, letter] = rows[name];
    const verdict = VERDICTS[letter], key = `check.${check}`;
    const side = viewer.t(check === "mirrored_photo" ? "sanity.above" : "sanity.below", { limit: viewer.number(limit) });
    const range = interval(viewer, low, high);
    return make("li", { class: verdict },
      make("strong", {}, `${MARKS[verdict]} ${viewer.t(key)}: ${viewer.t(`sanity.${verdict}`)}`),
      ` ${viewer.number(value, 2)}${range && ` [${range}]`}, ${side}, n ${n}. `,
      make("small", {}, verdict === "no" ? viewer.t(`${key}.fails`) : ""));
  }));
  viewer.get("sanity").hidden = !rows.length;
  viewer.page.querySelector("#sanity ul").replaceChildren(...rows);
}

const interval = (viewer, low, high) => (low === null || low === high ? "" : `${viewer.number(low)} … ${viewer.number(high)}`);
const row = (name, ...cells) => make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell)));

/** The colour bar with the numbers of the range in use. */
export function drawScale(viewer, map) {
  viewer.get("scale").classList.toggle("empty", !map?.peak);
  if (!map?.peak) return;
  const { limit, colours } = viewer.look(map);
  const context = viewer.get("bar").getContext("2d");
  const image = context.createImageData(256, 1);
  const table = map.signed ? colours.diverging : colours.viridis;
  for (let i = 0; i < 256; i++) image.data.set([...table.slice(3 * i, 3 * i + 3), 255], 4 * i);
  context.putImageData(image, 0, 0);
  viewer.get("low").textContent = viewer.number(map.signed ? -limit : 0);
  viewer.get("high").textContent = viewer.number(limit);
  viewer.get("scalar").textContent = viewer.name("scalar", map.scalar);
}

/** One word of the sheet. */
export function drawThumb(viewer, key) {
  const map = viewer.map(key);
  const canvas = make("canvas", { "aria-hidden": "true" });
  viewer.fit(canvas, THUMB);
  const context = canvas.getContext("2d");
  context.drawImage(viewer.get("photo"), 0, 0, canvas.width, canvas.height);
  if (map) {
    const layer = make("canvas");
    viewer.fit(layer, THUMB);
    paint(layer, map, viewer.case.photo, viewer.look(map));
    context.drawImage(layer, 0, 0);
  }
  const why = viewer.prior(key) || map?.account?.doubt || (verdict(viewer, map) === "no" && "no");
  const note = why ? viewer.t(`figure.${why}`) : map ? "" : viewer.t("figure.no_map");
  const attributes = { class: map ? "thumb" : "thumb none", "aria-label": viewer.told(key) };
  const thumb = viewer.button(key, attributes, canvas, make("span", {}, viewer.label(key)), make("small", { class: map && why ? "doubt" : null }, note));
  thumb.classList.toggle("active", key === viewer.state.target);
  return thumb;
}
