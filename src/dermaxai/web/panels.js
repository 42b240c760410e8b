// What stands around the caption: banner, warnings, concepts, scores, colour scale, the sheet of all words.

import { paint } from "./painting.js";

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

/** Scores of the map of one word, or of the caption where it has none. */
export function showScores(viewer, index, map) {
  const name = map && index !== null ? `${viewer.case.methods[map.method].name}/${index}` : "";
  const own = viewer.case.scores.filter(([, of]) => of === name);
  const rows = own.length ? own : viewer.case.scores.filter(([, of]) => of === "caption");
  viewer.get("scores").hidden = !rows.length;
  viewer.get("scores-title").textContent = viewer.t(own.length ? "scores" : "scores.caption");
  viewer.get("score-rows").replaceChildren(...rows.map(([metric, , n, value, low, high]) => make("tr", {},
    make("th", { scope: "row" }, viewer.name("metric", metric)),
    make("td", {}, viewer.number(value)),
    make("td", {}, `${viewer.number(low)} … ${viewer.number(high)}`),
    make("td", {}, String(n)))));
}

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
  const why = viewer.prior(key) || map?.account?.doubt;
  const note = why ? viewer.t(`figure.${why}`) : map ? "" : viewer.t("figure.no_map");
  const attributes = { class: map ? "thumb" : "thumb none", "aria-label": viewer.told(key) };
  const thumb = viewer.button(key, attributes, canvas, make("span", {}, viewer.label(key)), make("small", { class: map?.account?.doubt ? "doubt" : null }, note));
  thumb.classList.toggle("active", key === viewer.state.target);
  return thumb;
}
