// The case on two printed pages, made when it is printed: pictures of the words, then numbers and how made.

import { plate, develop } from "./cursor.js";
import { paint } from "./painting.js";
import { MARKS, doubtOf, glance, interval, judgedOf, make, percent, seen, sentence, verdict, verdictOf } from "./telling.js";
import { bestOf } from "./trust.js";

const PICTURES = 10; // words with a picture
const COLUMNS = 8; // words in the table of methods
const PHOTO = 900, PICTURE = 420; // canvas pixels on the longer side
const LARGEST = 9.5, SMALLEST = 5; // points; a page that is too full is set smaller

/** Fills `home` with the two pages. */
export function buildPaper(viewer, home, heads) {
  const keys = viewer.words.map((_, index) => `word:${index}`);
  const shown = keys.filter((key) => viewer.shown(key));
  const pages = [
    make("section", { class: "sheet" }, heading(viewer, heads), front(viewer), ...words(viewer, shown, keys)),
    make("section", { class: "sheet" }, ...table(viewer, shown), make("div", { class: "halves" }, concepts(viewer), checks(viewer, shown)), ...ending(viewer)),
  ];
  home.replaceChildren(...pages);
  pages.forEach(shrink);
}

/** Sets a page in the largest type in which it fits, a wide table in smaller type than the rest. */
function shrink(page) {
  const table = page.querySelector("table");
  for (let size = LARGEST; size >= SMALLEST; size -= 0.25) {
    page.style.fontSize = `${size}pt`;
    for (let part = 0.88; table && part >= 0.5 && page.scrollWidth > page.clientWidth; part -= 0.04)
      table.style.fontSize = `${part}em`;
    if (page.scrollHeight <= page.clientHeight) return;
  }
}

const heading = (viewer, { notices }) => make("header", {}, make("b", {}, `DermaXAI · ${viewer.t("title")}`), ...notices.map((text) => make("p", {}, text)));

function front(viewer) {
  const { under } = plate(viewer, PHOTO);
  develop(viewer, [under]);
  const [first, ...others] = viewer.case.captions;
  const part = seen(viewer, viewer.maps[0]);
  return make("div", { class: "front" }, make("div", {}, under, part ? make("p", { class: "legend" }, part) : ""), make("div", {},
    make("h2", {}, viewer.t("caption")), make("p", { class: "said", lang: first?.language }, first?.text || viewer.t("caption.empty")),
    ...others.map(({ language, text }) => make("p", { class: "other", lang: language }, text)),
    ...["outside", "blurred"].filter((name) => !viewer.get(name).hidden)
      .map((name) => make("p", { class: "caution" }, make("b", {}, viewer.t(name)), " ", viewer.get(`${name}-text`).textContent))));
}

function words(viewer, shown, keys) {
  const pictures = shown.slice(0, PICTURES).map((key) => picture(viewer, key));
  const rest = keys.filter((key) => !shown.includes(key));
  const list = (some) => some.map((key) => viewer.label(key)).join(", ");
  return [
    make("h2", {}, viewer.t("paper.words")), make("p", { class: "legend" }, viewer.t("paper.best")),
    make("div", { class: `pictures of-${pictures.length <= 3 ? 3 : pictures.length === 5 || pictures.length > 8 ? 5 : 4}` }, ...pictures),
    shown.length > PICTURES ? make("p", { class: "legend" }, viewer.t("paper.more", { words: list(shown.slice(PICTURES)) })) : "",
    rest.length ? make("p", { class: "legend" }, viewer.t("paper.without", { words: list(rest) })) : "",
  ];
}

function picture(viewer, key) {
  const own = viewer.order.map((method) => viewer.map(key, method)).filter((map) => map && !viewer.bond(key, map) && !viewer.isSummary(map.method));
  const map = bestOf(viewer, own) ?? viewer.shown(key);
  const { under, over } = plate(viewer, PICTURE);
  if (viewer.get("grey").checked) under.getContext("2d").filter = "grayscale(0.85)";
  develop(viewer, [under]);
  under.getContext("2d").filter = "none";
  paint(over, map, viewer.case.photo, { ...viewer.look(map), limit: map.peak, threshold: 0 });
  under.getContext("2d").drawImage(over, 0, 0);
  const trust = verdict(viewer, map), doubt = doubtOf(viewer, map);
  return make("figure", {}, under, make("figcaption", {}, make("b", {}, viewer.label(key)),
    make("span", {}, `${viewer.methodName(viewer.case.methods[map.method])}: ${glance(viewer, map)}`),
    trust ? make("span", { class: trust }, `${MARKS[trust]} ${viewer.t(`trust.${trust}`)}`) : "",
    doubt && trust !== "no" ? make("span", { class: "no" }, doubt) : ""));
}

/** Methods by words: deletion / insertion and their mark, or how concentrated the map is; then the checks. */
function table(viewer, shown) {
  const keys = shown.slice(0, COLUMNS), sanity = Object.entries(viewer.case.sanity).filter(([check]) => check !== "blank_words");
  const methods = viewer.order.filter((method) => keys.some((key) => viewer.map(key, method)));
  if (!methods.length) return [];
  const measured = viewer.maps.some((map) => judgedOf(viewer, map).length);
  const heads = [...keys.map((key) => viewer.label(key)), ...sanity.map(([check]) => viewer.t(`check.${check}`))];
  const rows = methods.map((method) => make("tr", {}, make("th", { scope: "row" }, viewer.methodName(viewer.case.methods[method])),
    ...keys.map((key) => make("td", {}, cellText(viewer, viewer.map(key, method)))),
    ...sanity.map(([, { rows: checked }]) => make("td", {}, checkText(viewer, checked, viewer.case.methods[method])))));
  return [
    make("h2", {}, viewer.t("paper.methods")), make("p", { class: "legend" }, viewer.t(measured ? "paper.measured" : "paper.unmeasured"), " ", measured ? viewer.t("trust.marks") : ""),
    make("table", {}, make("thead", {}, make("tr", {}, make("td"), ...heads.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows)),
  ];
}

function cellText(viewer, map) {
  if (!map) return "·";
  const scores = judgedOf(viewer, map);
  if (!scores.length) return map.peak ? percent(map.share) : "0";
  return `${scores.map(({ value }) => viewer.number(value, 2)).join(" / ")} ${MARKS[verdict(viewer, map)]}`;
}

function checkText(viewer, checked, { name, variant }) {
  const [value, , , , letter] = checked[name] ?? checked[`${name}:${variant}`] ?? [];
  return value === undefined ? "·" : `${viewer.number(value, 2)} ${MARKS[verdictOf(letter)]}`;
}

function concepts(viewer) {
  const rows = viewer.case.concepts.map(({ name, names, weight, words: said }) => make("li", {}, make("b", {}, viewer.number(weight, 2)), ` ${names[viewer.state.language] ?? name} `,
    make("small", {}, said.length ? said.filter((index) => index < viewer.words.length).map((index) => viewer.label(`word:${index}`)).join(", ") : viewer.t("concepts.no_word"))));
  return make("div", {}, rows.length ? make("h2", {}, viewer.t("concepts")) : "", make("ul", {}, ...rows), make("p", { class: "legend" }, viewer.get("fit").textContent));
}

function checks(viewer, shown) {
  const agreed = shown.map((key) => [key, viewer.case.agreements.find(({ target }) => target === viewer.target(key))]).filter(([, found]) => found);
  const plain = viewer.case.sanity.blank_words?.rows.caption;
  const range = plain && interval(viewer, plain[1], plain[2]);
  const warnings = [...viewer.get("warning-rows").children].map((row) => row.textContent);
  const zero = shown.filter((key) => viewer.shown(key).peak === 0).map((key) => `${viewer.t("figure.word", { word: viewer.label(key) })}: ${sentence(viewer, key, viewer.shown(key))}`);
  const rows = [
    ...agreed.map(([key, { mean, disagree }]) => `${viewer.t("agreement.mean")} ${viewer.t("figure.word", { word: viewer.label(key) })}: ${viewer.number(mean, 2)}${disagree ? ` ⚠ ${viewer.t("agreement.low")}` : ""}`),
    ...(plain ? [`${viewer.t("check.blank_words")}: ${viewer.number(plain[0], 2)}${range && ` [${range}]`} ${MARKS[verdictOf(plain[4])]} ${viewer.t("sanity.below", { limit: viewer.number(viewer.case.sanity.blank_words.limit) })}`] : []),
    ...zero, ...warnings.map((text) => `⚠ ${text}`),
  ];
  return make("div", {}, rows.length ? make("h2", {}, viewer.t("paper.checks")) : "", make("ul", {}, ...rows.map((text) => make("li", {}, text))));
}

/** Readings, how made, limits: as on the page. */
function ending(viewer) {
  const said = [...viewer.root.querySelectorAll(".readings li")].map((row) => make("li", {}, [...row.querySelectorAll("p")].map((part) => part.textContent).join(" – ")));
  const limits = viewer.root.querySelector(".limits ul").cloneNode(true), made = viewer.get("made").cloneNode(true);
  for (const part of [made, ...made.querySelectorAll("[data-part]")]) part.removeAttribute("data-part");
  return [
    ...(said.length ? [make("h2", {}, viewer.t("readings")), make("ul", {}, ...said)] : []),
    make("h2", {}, viewer.t("made")), made, make("h2", {}, viewer.t("limits")), limits,
  ];
}
