// What was said of a case so far: own answers, own blind reading, and for an admin what everybody said.

import { discard, isBrought } from "./begun.js";
import { button, make, moment, name, say, t } from "./states.js";

export const SIGNS = { agree: "✓", wrong_place: "↔", wrong_word: "✗" };

/** One answer as a line; its word opens it again. */
function line(one, open, whose = "") {
  const whole = one.word === null;
  const subject = make("button", { type: "button", class: "button quiet", disabled: !one.current, onclick: () => open(whole ? "caption" : `word:${one.word}`) }, whole ? t("reading.caption") : one.text);
  const facts = [
    one.regions.length && t("reading.marks", { number: one.regions.length }), one.comment && `“${one.comment}”`,
    one.method && name("method", one.method), one.current ? moment(one.created) : t("reading.old"),
  ];
  const answer = `${SIGNS[one.answer]} ${t(whole && one.answer !== "wrong_place" ? `reading.caption.${one.answer}` : `reading.${one.answer}`)}`;
  return make("li", {}, whose && make("b", {}, whose), subject, make("span", {}, answer), make("small", {}, facts.filter(Boolean).join(" · ")));
}

/** One blind reading as a line. */
function alone(one, whose = "") {
  const facts = [one.diagnosis, one.confidence && t("reading.blind.sure", { number: one.confidence }), moment(one.created)];
  return make("li", {}, whose && make("b", {}, whose), make("span", { class: "findings" }, one.findings), make("small", {}, facts.filter(Boolean).join(" · ")));
}

const part = (key, rows) => rows.length > 0 && make("details", {}, make("summary", {}, say(make("span"), key), ` ${rows.length}`), make("ul", {}, ...rows));

/** Fills `home` with what `said` holds: answers, everyone, alone, alones; `open(key)` opens an answer again. */
export function drawSaid(home, said, open) {
  home.replaceChildren(...[
    part("reading.mine", said.answers.map((one) => line(one, open))),
    part("reading.blind.own", said.alone ? [alone(said.alone)] : []),
    part("reading.others", [...(said.everyone ?? []).map((one) => line(one, open, one.pseudonym)), ...(said.alones ?? []).map((one) => alone(one, one.pseudonym))]),
  ].filter(Boolean));
}

/** The other subjects, by key, of answers that are begun and not saved: none is forgotten. */
export function drawUnsent(home, keys, viewer, open) {
  const subject = (key) => (key === "caption" ? t("reading.caption") : viewer.label(key));
  home.hidden = !keys.length;
  home.replaceChildren(make("span", { say: "reading.unsaved" }), ": ", ...keys.map((key) => make("button", { type: "button", class: "button quiet", onclick: () => open(key) }, subject(key))));
}

/** Says that drafts came back with the page; `renew()` follows where they are discarded. */
export function broughtNote(drafts, renew) {
  const note = make("p", { class: "soft brought", hidden: !isBrought(drafts) }, make("span", { say: "reading.brought" }), " ", button("reading.discard", () => {
    discard(drafts);
    note.hidden = true;
    renew();
  }, "quiet"));
  return note;
}
