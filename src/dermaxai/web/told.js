// What readers said of the case, in the report: their answers, and on demand the places they marked.

import { make } from "./telling.js";

const SVG = "http://www.w3.org/2000/svg";

export function showReadings(viewer, readings) {
  const home = viewer.root.querySelector("[data-slot=reading]");
  if (!readings.length) return;
  const rows = readings.map((entry) => answerRow(viewer, entry));
  home.replaceChildren(make("section", { class: "readings" }, make("h2", {}, viewer.t("readings")), make("ul", {}, ...rows)));
}

function answerRow(viewer, { pseudonym, word, text, answer, comment, regions = [] }) {
  const known = Number.isInteger(word) && viewer.words[word];
  const about = known ? viewer.label(`word:${word}`) : text;
  const show = make("button", { type: "button", class: "plain", "aria-pressed": "false", onclick: () => toggle(viewer, show, known ? `word:${word}` : null, regions) }, viewer.t("readings.place"));
  return make("li", {},
    make("p", {}, make("b", {}, pseudonym), ` ${about ? viewer.t("figure.word", { word: about }) : viewer.t("readings.whole")}: `, make("strong", { class: `answer-${answer}` }, viewer.t(`readings.${answer}`))),
    comment ? make("p", { class: "comment" }, comment) : "", regions.length ? show : "");
}

/** Draws the marked places over the photo, or takes them away. */
function toggle(viewer, button, key, regions) {
  const on = button.getAttribute("aria-pressed") !== "true";
  for (const other of viewer.root.querySelectorAll(".readings [aria-pressed]")) other.setAttribute("aria-pressed", String(other === button && on));
  viewer.overlay.replaceChildren(...(on ? regions.map(shape) : []));
  if (!on) return;
  if (key) viewer.select(key);
  viewer.get("stage").scrollIntoView({ block: "nearest" });
}

/** A region in photo pixels. */
function shape({ kind, points, radius = 0 }) {
  const list = points.map((point) => point.join(",")).join(" ");
  const [[x, y], [right, bottom] = [0, 0]] = points;
  const [tag, attributes] = {
    box: ["rect", { x: Math.min(x, right), y: Math.min(y, bottom), width: Math.abs(right - x), height: Math.abs(bottom - y) }],
    point: ["circle", { cx: x, cy: y, r: 5 }],
    polygon: ["polygon", { points: list }],
    brush: ["polyline", { points: points.length > 1 ? list : `${list} ${list}`, "stroke-width": 2 * radius, class: "region stroke" }],
  }[kind];
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries({ class: "region", ...attributes })) element.setAttribute(name, value);
  return element;
}
