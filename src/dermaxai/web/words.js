// The caption as words to point at, and what is said of the chosen one.

import { account, artefacts, change, make, notes, percent, seen, sentence, told } from "./telling.js";
import { showScores, showTrust } from "./trust.js";
import { showText } from "./panels.js";

const THINNEST = 0.5, THICKEST = 5; // pixels of the line under an impossible and a certain word

export function buildCaption(viewer) {
  const home = viewer.get("caption");
  const [caption] = viewer.case.captions;
  if (caption) home.lang = caption.language;
  home.classList.toggle("none", !viewer.words.length);
  if (!viewer.words.length) return void (home.textContent = viewer.t(caption ? "caption.empty" : "caption.waiting"));
  let done = 0;
  home.replaceChildren();
  viewer.words.forEach((word, index) => {
    const key = `word:${index}`;
    const quiet = viewer.prior(key) || (word.common && !viewer.shown(key));
    const button = viewer.button(key, { class: quiet ? "word prior" : word.common ? "word common" : "word", tabindex: index ? -1 : 0 });
    button.textContent = caption.text.slice(word.start, word.stop);
    button.style.textDecorationThickness = `${(THINNEST + (THICKEST - THINNEST) * (word.certainty ?? 0)).toFixed(1)}px`;
    const [behind] = caption.text.slice(word.stop).match(/^[^\s\p{L}\p{N}]*/u);
    home.append(caption.text.slice(done, word.start), behind ? make("span", { class: "kept" }, button, behind) : button);
    done = word.stop + behind.length;
  });
  home.append(caption.text.slice(done));
  viewer.wordButtons = [...home.querySelectorAll(".word")];
}

/** The same photo in the other languages. */
export function buildOthers(viewer) {
  const others = viewer.case.captions.slice(1).map(({ language, text }) => make("p", { class: "other", lang: language }, text));
  viewer.get("others").replaceChildren(...others);
}

/** Questions beside the caption; a text that a word of the caption also asks is shown with that word. */
export function buildQueries(viewer) {
  const asked = viewer.case.targets.map((target, index) => ({ ...target, key: `query:${index}` }))
    .filter((target) => target.word === null && !viewer.isHoused(target) && viewer.shown(target.key));
  viewer.get("queries").hidden = !asked.length;
  viewer.get("query-chips").replaceChildren(
    ...asked.map(({ key, kind }) => viewer.button(key, {}, viewer.label(key), make("small", {}, viewer.t(`query.${kind}`)))),
  );
}

/** All that is said beside the photo. */
export function describe(viewer, key) {
  const map = viewer.shown(key);
  const [sum, caution] = account(viewer, map);
  viewer.get("about-word").textContent = key ? viewer.label(key) : viewer.t("word.none");
  viewer.get("about-map").textContent = key ? [sentence(viewer, key, map), ...notes(viewer, key, map), seen(viewer, map)].filter(Boolean).join(" ") : "";
  viewer.get("about-account").textContent = sum;
  const cautions = [caution, artefacts(viewer, map)].filter(Boolean).join(" ");
  viewer.get("about-caution").textContent = cautions;
  viewer.get("about-caution").hidden = !cautions;
  viewer.get("told").textContent = key ? told(viewer, key, map) : "";
  viewer.get("about-facts").replaceChildren(...facts(viewer, key));
  showText(viewer, key, map);
  showAlternatives(viewer, key);
  showTrust(viewer, map);
  showScores(viewer, map);
}

function facts(viewer, key) {
  const found = [];
  if (key?.startsWith("word:")) {
    const { certainty, logprob } = viewer.words[key.slice(5)];
    const evidence = viewer.case.evidence[key.slice(5)];
    found.push([viewer.t("word.certainty"), percent(certainty), logprob === undefined ? "" : `log p ${viewer.number(logprob, 2)}`]);
    if (evidence) found.push([viewer.t("word.evidence"), `×${viewer.number(Math.exp(evidence.nats), 2)}`, ""]);
  }
  const parts = found.map(([name, value, more]) => make("span", {}, `${name} `, make("b", {}, value), more && make("small", {}, ` ${more}`)));
  if (viewer.state.pinned && viewer.state.pinned === key) parts.push(make("span", { class: "pin" }, viewer.t("word.unpin")));
  return parts;
}

/** What the model would have said instead of the pinned word. */
function showAlternatives(viewer, key) {
  const home = viewer.get("alternatives");
  const index = key?.startsWith("word:") ? key.slice(5) : null;
  const found = viewer.state.pinned === key && viewer.case.alternatives?.[index];
  home.hidden = !found?.length;
  if (home.hidden) return;
  const live = viewer.root.querySelector("[data-slot=ask]")?.children.length;
  home.replaceChildren(`${viewer.t("word.instead")} `, ...found.flatMap(([text, logprob], place) => {
    const inside = [make("span", {}, text), make("small", {}, ` ${logprob === null ? "–" : percent(Math.exp(logprob))}`)];
    const choose = () => viewer.send("alternative", { word: Number(index), text });
    return [place ? ", " : "", live ? make("button", { type: "button", class: "link", onclick: choose }, ...inside) : make("span", {}, ...inside)];
  }));
}

/** The word that can be reached by Tab: the chosen one, else the first. */
export function rove(viewer, key) {
  viewer.words.forEach((_, index) => {
    const here = key === `word:${index}` || (!key?.startsWith("word:") && !index);
    change(viewer.wordButton(index), "tabindex", here ? "0" : "-1");
  });
}

/** Goes `step` words on, or to the word at `place`. */
export function goToWord(viewer, step, place) {
  const last = viewer.words.length - 1;
  const { target } = viewer.state;
  const now = target?.startsWith("word:") ? Number(target.slice(5)) : -1;
  const next = Math.min(Math.max(place ?? (now < 0 ? 0 : now + step), 0), last);
  if (last >= 0) viewer.wordButton(next).focus();
}
