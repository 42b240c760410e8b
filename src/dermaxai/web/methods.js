// The methods side by side for the chosen word, and the sheet of all words.

import { develop, plate, pointAt, pointTo } from "./cursor.js";
import { paint } from "./painting.js";
import { MARKS, change, doubtOf, glance, judgedOf, make, sentence, told, verdict, warningsOf } from "./telling.js";

const TILE = 200; // canvas pixels on the longer side
const THUMB = 220;

/** A tile for every method; which are shown depends on the word. */
export function buildTiles(viewer) {
  viewer.tiles = viewer.order.map((method, place) => buildTile(viewer, method, place));
  viewer.get("tiles").replaceChildren(...viewer.tiles.map(({ button }) => button));
  develop(viewer, viewer.tiles.map(({ under }) => under));
}

function buildTile(viewer, method, place) {
  const { under, over } = plate(viewer, TILE);
  const cell = make("i", { class: "cell", hidden: true });
  const frame = make("span", { class: "plate" }, under, over, cell, place < 9 && make("kbd", { "aria-hidden": "true" }, String(place + 1)));
  const where = make("span", { class: "where" }), judged = make("span", { class: "judged" }), doubt = make("span", { class: "doubt" }), bond = make("span", { class: "bond" });
  const title = make("span", { class: "name" }, viewer.methodName(viewer.case.methods[method]));
  const button = make("button", {
    type: "button", class: viewer.isSummary(method) ? "tile together" : "tile", "data-method": method,
    onclick: () => viewer.choose(method),
    onpointermove: (event) => pointTo(viewer, pointAt(viewer, event, over)),
    onpointerleave: () => pointTo(viewer, null),
  }, frame, title, where, judged, doubt, bond);
  return { button, under, over, cell, where, judged, doubt, bond, method, map: undefined, glance: "" };
}

/** The words of every tile for the question shown. */
export function fillTiles(viewer, key) {
  const chosen = viewer.shown(key);
  for (const tile of viewer.tiles) {
    tile.map = key ? viewer.map(key, tile.method) : undefined;
    tile.button.hidden = !tile.map;
    if (tile.map) fillTile(viewer, key, tile);
    change(tile.button, "aria-pressed", String(Boolean(tile.map) && tile.map === chosen));
  }
  viewer.get("methods-title").textContent = key ? viewer.t("methods", { word: viewer.label(key) }) : viewer.t("methods.none");
  viewer.get("range-told").textContent = chosen ? viewer.t(`range.${viewer.range()}`) : key ? sentence(viewer, key) : viewer.t("word.none");
}

function fillTile(viewer, key, tile) {
  const { map } = tile;
  const trust = verdict(viewer, map), bond = viewer.bond(key, map);
  tile.glance = glance(viewer, map);
  tile.where.textContent = tile.glance;
  const scores = judgedOf(viewer, map);
  tile.judged.hidden = !scores.length;
  tile.judged.replaceChildren(...scores.map((score) => make("span", { class: score.verdict }, `${viewer.t(`short.${score.metric}`)} ${viewer.number(score.value, 2)} ${MARKS[score.verdict]}`)));
  const doubts = [doubtOf(viewer, map), warningsOf(viewer, map).length && `⚠ ${viewer.t("tile.warning")}`].filter(Boolean);
  tile.doubt.replaceChildren(...doubts.map((text) => make("span", {}, text)));
  tile.bond.textContent = bond && viewer.t(`tile.${bond}`);
  tile.button.classList.toggle("weak", trust === "no" || map.peak === 0);
  change(tile.button, "aria-label", [told(viewer, key, map), ...warningsOf(viewer, map)].join(" "));
}

export function paintTiles(viewer) {
  for (const { map, over } of viewer.tiles) if (map) paint(over, map, viewer.case.photo, viewer.look(map));
}

/** The sheet: every word with its map by the chosen method; words without a map stand below, by their reason. */
export function buildSheet(viewer) {
  const keys = viewer.words.map((_, index) => `word:${index}`);
  viewer.thumbs = keys.filter((key) => viewer.shown(key)).map((key) => buildThumb(viewer, key));
  viewer.get("thumbs").replaceChildren(...viewer.thumbs.map(({ button }) => button));
  viewer.get("grid").hidden = !viewer.thumbs.length;
  const without = ["expected", "despite", "no_map"].map((why) => [why, keys.filter((key) => !viewer.shown(key) && (viewer.prior(key) || "no_map") === why)]);
  viewer.get("mapless").replaceChildren(...without.filter(([, some]) => some.length).map(([why, some]) => make("p", {}, `${viewer.t(`sheet.${why}`)} `,
    ...some.flatMap((key) => [viewer.button(key, { class: "plain-word" }, viewer.label(key)), " "]))));
  develop(viewer, viewer.thumbs.map(({ under }) => under));
}

function buildThumb(viewer, key) {
  const { under, over } = plate(viewer, THUMB);
  const note = make("small");
  const button = viewer.button(key, { class: "thumb" }, make("span", { class: "plate" }, under, over), make("span", { class: "name" }, viewer.label(key)), note);
  return { button, under, over, note, key };
}

export function paintSheet(viewer) {
  for (const { button, over, note, key } of viewer.thumbs) {
    const map = viewer.map(key);
    const doubt = map && doubtOf(viewer, map);
    button.className = map ? "thumb" : "thumb none";
    button.classList.toggle("active", key === viewer.state.target);
    button.classList.toggle("weak", Boolean(map) && (map.peak === 0 || verdict(viewer, map) === "no"));
    button.setAttribute("aria-label", told(viewer, key, map));
    note.className = doubt ? "doubt" : "";
    note.textContent = map ? doubt || (map.peak ? "" : viewer.t("figure.zero")) : viewer.t("figure.no_map");
    paint(over, map, viewer.case.photo, map && viewer.look(map));
  }
}

/** Of the methods that answer the question: mean agreement, and whether they disagree. */
export function showAgreement(viewer, key) {
  const target = key ? viewer.target(key) : -1;
  const found = key && viewer.case.agreements.find((agreement) => agreement.target === target);
  viewer.get("agree").hidden = viewer.get("agreement").hidden = !found;
  if (!found) return;
  const mean = make("span", {}, `${viewer.t("agreement.mean")} `, make("b", {}, viewer.number(found.mean, 2)));
  viewer.get("agree").classList.toggle("warned", found.disagree);
  viewer.get("agree").replaceChildren(mean, found.disagree ? make("strong", {}, ` ⚠ ${viewer.t("agreement.low")}`) : "");
  viewer.get("agreement-rows").replaceChildren(...matrix(viewer, found));
}

function matrix(viewer, { methods, correlations }) {
  const names = methods.map((name) => viewer.ownName(name)), size = names.length;
  const cell = (value) => {
    const entry = make("td", { class: value < 0 ? "against" : null }, value === null ? "–" : viewer.number(value, 2));
    entry.style.setProperty("--share", `${Math.round(60 * Math.abs(value ?? 0))}%`);
    return entry;
  };
  const head = make("tr", {}, make("td"), ...names.map((name, index) => make("th", { scope: "col", "aria-label": name }, String(index + 1))));
  return [head, ...names.map((name, row) => make("tr", {}, make("th", { scope: "row" }, `${row + 1} ${name}`),
    ...correlations.slice(row * size, (row + 1) * size).map(cell)))];
}

