// Whether a map can be trusted: its scores beside random maps, the table of all methods, the checks.

import { MARKS, interval, make, scoresOf, verdict, verdictOf } from "./telling.js";

const RANKS = ["yes", "undecided", "", "no"]; // verdicts, the best first

/** The value of a map on the range of random maps, and the verdict in words. */
export function showTrust(viewer, map) {
  const home = viewer.get("trust");
  const judged = map ? scoresOf(viewer, map).filter(({ random }) => random) : [];
  home.hidden = !judged.length;
  if (home.hidden) return;
  const { protocol } = judged[0];
  const how = viewer.t("trust.protocol", { ...protocol, removal: viewer.name("removal", protocol.removal) });
  home.replaceChildren(make("h4", {}, viewer.t("trust")), ...judged.map((score) => ruler(viewer, score)), make("p", {}, make("small", {}, how)));
}

function ruler(viewer, { metric, value, n, random: [baseline, low, high], verdict: judged, ...own }) {
  const least = Math.min(value, low), span = Math.max(value, high) - least || 1;
  const at = (number) => `${4 + (92 * (number - least)) / span}%`;
  const band = make("i", { class: "band" }), tick = make("i", { class: "tick" }), mark = make("i", { class: "dot" });
  band.style.left = at(low);
  band.style.width = `${(92 * (high - low)) / span}%`;
  tick.style.left = at(baseline);
  mark.style.left = at(value);
  const [mean, from, to] = [baseline, low, high].map((number) => viewer.number(number));
  const told = n > 1 ? `${viewer.number(value)} [${interval(viewer, own.low, own.high)}]` : viewer.number(value);
  return make("div", { class: `ruler ${judged}` },
    make("p", {}, make("b", {}, viewer.name("metric", metric)), " ", viewer.t("trust.numbers", { value: told, baseline: mean, low: from, high: to })),
    make("div", { class: "axis", "aria-hidden": "true" }, band, tick, mark),
    make("p", {}, make("strong", {}, `${MARKS[judged]} ${viewer.t(`trust.${judged || "undecided"}`)}`), " ", make("small", {}, viewer.t(`trust.${metric}`))));
}

/** The scores of a map that stand beside no random maps, or those of the caption where it has none. */
export function showScores(viewer, map) {
  const own = map ? scoresOf(viewer, map).filter(({ random }) => !random) : [];
  const rows = own.length ? own : viewer.case.scores.filter(([, of]) => of === "caption")
    .map(([metric, , n, value, low, high]) => ({ metric, n, value, low, high }));
  viewer.get("scores").hidden = !rows.length;
  viewer.get("scores-title").textContent = viewer.t(own.length ? "scores" : "scores.caption");
  viewer.get("score-rows").replaceChildren(...rows.map(({ metric, n, value, low, high }) => {
    const range = interval(viewer, low, high);
    return make("tr", {}, make("th", { scope: "row" }, viewer.name("metric", metric)), make("td", {}, viewer.number(value)),
      make("td", {}, range && `[${range}], n ${n}`));
  }));
}

/** Every method with every score for the question shown: value, interval, n, random maps, verdict. */
export function showScoreTable(viewer) {
  const rows = viewer.tiles.filter(({ map }) => map).map(({ map }) => ({ map, scores: scoresOf(viewer, map) }));
  const metrics = [...new Set(rows.flatMap(({ scores }) => scores.map(({ metric }) => metric)))];
  viewer.get("score-table").hidden = !metrics.length;
  if (!metrics.length || !viewer.get("score-table").open) return;
  const heads = [viewer.t("control.method"), ...metrics.map((metric) => viewer.name("metric", metric))];
  viewer.get("score-table-head").replaceChildren(make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  viewer.get("score-table-rows").replaceChildren(...rows.map(({ map, scores }) => make("tr", {},
    make("th", { scope: "row" }, viewer.methodName(viewer.case.methods[map.method])),
    ...metrics.map((metric) => scoreCell(viewer, scores.find((score) => score.metric === metric))))));
}

function scoreCell(viewer, score) {
  if (!score) return make("td", {}, "–");
  const range = interval(viewer, score.low, score.high);
  const random = score.random && viewer.t("scores.beside", { mean: viewer.number(score.random[0], 2), low: viewer.number(score.random[1], 2), high: viewer.number(score.random[2], 2) });
  const more = [range && `[${range}], n ${score.n}`, random].filter(Boolean).join("; ");
  return make("td", { class: score.verdict }, make("span", {}, `${viewer.number(score.value)} ${MARKS[score.verdict]}`), make("small", {}, more));
}

/** The checks of every method that was checked, the one in use first in detail; those of the words last. */
export function showSanity(viewer, map) {
  const checks = Object.entries(viewer.case.sanity);
  viewer.get("sanity").hidden = !checks.length;
  const slot = viewer.root.querySelector("[data-slot=check]");
  viewer.get("checks").hidden = !checks.length && !slot?.children.length;
  const { name, variant } = viewer.case.methods[map ? map.method : viewer.state.method] ?? {};
  const wanted = [name, `${name}:${variant}`, "caption"];
  const rows = checks.flatMap(([check, { limit, rows }]) => wanted.filter((of) => rows[of]).map((of) => checkRow(viewer, check, limit, rows[of], of)));
  viewer.get("sanity-rows").replaceChildren(...rows);
}

function checkRow(viewer, check, limit, [value, low, high, n, letter], of) {
  const judged = verdictOf(letter), key = `check.${check}`;
  const side = viewer.t(check === "mirrored_photo" ? "sanity.above" : "sanity.below", { limit: viewer.number(limit) });
  const range = interval(viewer, low, high);
  const whose = of === "caption" ? "" : ` · ${viewer.ownName(of)}`;
  return make("li", { class: judged },
    make("strong", {}, `${MARKS[judged]} ${viewer.t(key)}: ${viewer.t(`sanity.${judged}`)}`), make("span", { class: "whose" }, whose),
    make("small", {}, `${viewer.number(value, 2)}${range && ` [${range}]`}, ${side}, n ${n}.${judged === "no" ? ` ${viewer.t(`${key}.fails`)}` : ""}`));
}

/** Of a word's maps the one to show alone, as pdf/content.py chooses it. */
export function bestOf(viewer, maps) {
  const value = (map, metric) => scoresOf(viewer, map).find((score) => score.metric === metric)?.value;
  const gap = (map) => value(map, "insertion") - value(map, "deletion") || 0;
  const order = (map) => [map.peak ? 0 : 1, RANKS.indexOf(verdict(viewer, map)), map.account?.doubt ? 1 : 0, -gap(map)];
  const ranked = maps.map((map) => ({ map, order: order(map) })).sort((one, other) => one.order.map((number, at) => number - other.order[at]).find(Boolean) ?? 0);
  return ranked[0]?.map;
}
