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
      make("span", {}, concept.name), make("span", { class: "track" }, bar), make("b", {}, viewer.number(concept.weight, 2)),
      make("small", {}, said ? viewer.t("concepts.words", { words: said }) : viewer.t("concepts.no_word")));
  }));
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
