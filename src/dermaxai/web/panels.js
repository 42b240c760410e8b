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

/** Scores of the map of one word, or of the caption where it has none. */
export function showScores(viewer, index, map) {
  const name = map && index !== null ? `${viewer.case.methods[map.method].name}/${index}` : "";
  const own = viewer.case.scores.filter((score) => score.of === name);
  const rows = own.length ? own : viewer.case.scores.filter((score) => score.of === "caption");
  viewer.get("scores").hidden = !rows.length;
  viewer.get("scores-title").textContent = viewer.t(own.length ? "scores" : "scores.caption");
  viewer.get("score-rows").replaceChildren(...rows.map((score) => make("tr", {},
    make("th", { scope: "row" }, viewer.texts[viewer.state.language][`metric.${score.metric}`] ?? score.metric),
    make("td", {}, viewer.number(score.value)),
    make("td", {}, `${viewer.number(score.low)} … ${viewer.number(score.high)}`),
    make("td", {}, String(score.n)))));
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
  viewer.get("scalar").textContent = map.scalar;
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
  const note = viewer.t(viewer.prior(key) ? "figure.prior" : map ? "" : "figure.no_map");
  const thumb = viewer.button(key, { class: map ? "thumb" : "thumb none" }, canvas, make("span", {}, viewer.label(key)), make("small", {}, note));
  thumb.classList.toggle("active", key === viewer.state.target);
  return thumb;
}
