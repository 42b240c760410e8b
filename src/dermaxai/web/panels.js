// What stands around the caption: banner, warnings, concepts, words of a question, how the case was made.

import { make, saidOf, warningRows } from "./telling.js";

/** The banners of an unknown and of a blurred photo, and the warnings. */
export function showNotes(viewer) {
  const { outside, blur, broken } = viewer.case;
  viewer.get("outside").hidden = !outside?.flag;
  if (outside)
    viewer.get("outside-text").textContent = viewer.t("outside.text", { score: viewer.number(outside.score), threshold: viewer.number(outside.threshold) });
  viewer.get("blurred").hidden = !blur?.flag;
  if (blur)
    viewer.get("blurred-text").textContent = viewer.t("blurred.text", { width: viewer.number(blur.width), threshold: viewer.number(blur.threshold) });
  const told = [...warningRows(viewer), ...broken.map((entry) => make("li", {}, viewer.t("warnings.map", entry)))];
  viewer.get("warnings").hidden = !told.length;
  viewer.get("warning-rows").replaceChildren(...told);
}

/** Bars linked with words both ways; one that has a map of its own shows it. */
export function buildConcepts(viewer) {
  const { concepts } = viewer.case;
  const most = Math.max(...concepts.map((concept) => Math.abs(concept.weight ?? 0)), 1e-9);
  viewer.get("concepts").hidden = !concepts.length;
  viewer.bars = concepts.map((concept) => buildBar(viewer, concept, most));
  viewer.get("bars").replaceChildren(...viewer.bars.map(({ row }) => row));
}

function buildBar(viewer, concept, most) {
  const words = concept.words.filter((index) => index < viewer.words.length);
  const said = words.map((index) => viewer.label(`word:${index}`)).join(", ");
  const own = viewer.case.targets.findIndex(({ kind, text }) => kind === "concept" && text === concept.name);
  const key = own < 0 || !viewer.shown(`query:${own}`) ? null : `query:${own}`;
  const name = concept.names[viewer.state.language] ?? concept.name;
  const bar = make("i");
  bar.style.width = `${(100 * Math.abs(concept.weight ?? 0)) / most}%`;
  const enter = ({ pointerType }) => {
    if (key && pointerType === "mouse") viewer.show(key);
    lightWords(viewer, words);
  };
  const leave = () => {
    lightWords(viewer, []);
    if (key && viewer.state.pinned) viewer.show(viewer.state.pinned);
  };
  const row = make("li", { onpointerenter: (event) => enter(event), onpointerleave: () => leave() },
    key ? viewer.button(key, { class: "concept-name" }, name) : make("span", { class: "concept-name" }, name),
    make("span", { class: "track" }, bar), make("b", {}, viewer.number(concept.weight, 2)),
    make("small", { class: said ? null : "doubt" }, said ? viewer.t("concepts.words", { words: said }) : `⚠ ${viewer.t("concepts.no_word")}`));
  row.addEventListener("focusin", () => lightWords(viewer, words));
  row.addEventListener("focusout", () => lightWords(viewer, []));
  return { row, words, key };
}

function lightWords(viewer, words) {
  viewer.words.forEach((_, index) => viewer.wordButton(index).classList.toggle("lit", words.includes(index)));
}

/** Lights the bars that say the word shown, or the one whose map is shown. */
export function lightBars(viewer, key) {
  const word = key?.startsWith("word:") ? Number(key.slice(5)) : null;
  for (const { row, words, key: own } of viewer.bars) row.classList.toggle("lit", words.includes(word) || (own !== null && own === key));
}

/** What the concepts are worth, beside what the mean image alone would do. */
export function showFit(viewer) {
  const { fit } = viewer.case;
  const numbers = fit && { penalty: viewer.number(fit.penalty), cosine: viewer.number(fit.cosine), with_mean: viewer.number(fit.with_mean), of_mean: viewer.number(fit.of_mean) };
  viewer.get("fit").textContent = fit ? viewer.t("concepts.fit", { ...fit, ...numbers, mean: saidOf(viewer, "mean")[0] ?? fit.mean }) : "";
}

/** The words of a question, each underlaid by its share of the similarity. */
export function showText(viewer, key, map) {
  const found = map && viewer.case.texts.find((text) => text.target === map.target && text.method === map.method);
  const home = viewer.get("about-text");
  home.hidden = !found;
  if (!found) return home.replaceChildren();
  const { text } = viewer.case.targets[map.target];
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

/** The table 'How made', where the case brings it along as rows [key, [[text, key, values], …], exact]. */
export function showMade(viewer) {
  const { made } = viewer.case;
  if (!made) return;
  viewer.get("made-section").hidden = !made.length;
  const inSigns = ([name, text]) => [name, text.replace(/^([\d.]+)(%?)$/, (_, number, sign) => viewer.number(Number(number), 6) + (sign && "\u00a0%"))];
  const valuesOf = (values) => Object.fromEntries(Object.entries(JSON.parse(values || "{}")).map(inSigns));
  const notes = saidOf(viewer, "notes");
  const ofNotes = (text) => text.split("; ").map((note, place) => notes[place] ?? note).join("; ");
  const piece = ([text, key, values]) => (key ? viewer.t(key, valuesOf(values)) : text);
  viewer.get("made").replaceChildren(...made.map(([key, pieces, exact]) => make("div", {},
    make("dt", {}, viewer.t(`made.${key}`)), make("dd", { class: exact ? "exact" : null }, key === "notes" ? ofNotes(pieces[0][0]) : pieces.map(piece).join("")))));
}
