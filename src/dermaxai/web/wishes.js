// What is asked of a photo: model, methods with how well they fit it, language, scores. The choice is kept.

import { get } from "./api.js";
import { button, bytes, faultCard, keep, kept, make, modelName, name, say, served, speech } from "./states.js";

const FAST = ["evidence", "grad_eclip"];
const PACES = ["fast", "moderate", "slow"];
const KEPT = "dermaxai:choices";

const known = { tables: null };

/** The methods and the models that the server knows; asked for once. Throws: Fault. */
export async function readTables() {
  known.tables ??= await Promise.all([get("/api/methods"), get("/api/encoders")]).then(([methods, encoders]) => ({
    methods: methods.methods ?? methods, encoders: encoders.encoders ?? encoders,
  })).catch((fault) => {
    known.tables = null;
    throw fault;
  });
  return known.tables;
}

/** How well a method fits an encoder of the table for the words of a caption; one that the table does not know is untested. */
export function fitOf(method, encoder) {
  if (!encoder) return { level: "untested" };
  const fits = method.answers.map((kind) => ({ kind, level: "supported", ...method.support[encoder.name]?.[kind] }));
  const first = fits.find(({ kind }) => kind === "word") ?? fits.find(({ kind }) => kind === "query") ?? fits[0];
  if (first.level !== "impossible" || fits.every((fit) => fit.level === "impossible")) return first;
  return { ...first, level: "doubtful", instead: "" };
}

/** What was chosen last. */
const chosen = () => JSON.parse(kept(KEPT) ?? "{}");

/** A tick box for a method, with how well it fits. */
export function methodTick(method, encoder, checked) {
  const fit = fitOf(method, encoder);
  const impossible = fit.level === "impossible";
  const mark = fit.level === "supported" ? "" : `fit.${fit.level}`;
  const why = [fit.why, fit.instead && `→ ${name("method", fit.instead)}`].filter(Boolean).join(" ");
  return make("label", { class: `tickbox method ${fit.level}` },
    make("input", { type: "checkbox", name: "methods", value: method.name, checked: checked && !impossible, disabled: impossible }),
    make("span", {}, make("b", {}, name("method", method.name)),
      mark && make("small", { class: "fit", say: mark }), method.speed !== "fast" && make("small", { class: "pace", say: `speed.${method.speed}` }), why && make("small", { class: "why", lang: "en" }, why)));
}

/** What is asked of a new photo. */
export const choices = () => {
  const { model, methods, lang, measure } = chosen();
  return { model: served.models.includes(model) ? model : served.models[0], methods: methods?.length ? methods : FAST, lang: lang ?? speech.language, measure: String(measure ?? false) };
};

/** The form of the choices. */
export class Wishes {
  constructor(form) {
    this.form = form;
    form.addEventListener("change", () => this.keep());
    form.addEventListener("submit", (event) => event.preventDefault());
    this.fill();
  }

  part(name) {
    return this.form.querySelector(`[data-part="${name}"]`);
  }

  async fill() {
    const wanted = chosen(), { form } = this;
    const models = served.models;
    form.model.replaceChildren(...models.map((model) => make("option", { value: model }, modelName(model))));
    if (models.includes(wanted.model)) form.model.value = wanted.model;
    this.part("model-field").hidden = models.length < 2;
    form.lang.value = wanted.lang ?? speech.language;
    form.measure.checked = wanted.measure ?? false;
    form.model.onchange = () => this.drawMethods();
    try {
      await readTables();
      this.drawMethods();
    } catch (fault) {
      this.part("methods").replaceChildren(faultCard(fault, button("action.again", () => this.fill())));
    }
  }

  drawMethods() {
    const { methods, encoders } = known.tables;
    const encoder = encoders.find((entry) => entry.name === this.form.model.value);
    this.tellWeights(encoder);
    const wanted = chosen().methods ?? FAST;
    const fast = methods.filter((method) => FAST.includes(method.name));
    const others = methods.filter((method) => !FAST.includes(method.name)).sort((a, b) => PACES.indexOf(a.speed) - PACES.indexOf(b.speed));
    const ticks = (list) => list.map((method) => methodTick(method, encoder, wanted.includes(method.name)));
    this.part("methods").replaceChildren(...ticks(fast),
      make("details", { open: others.some((method) => wanted.includes(method.name)) }, make("summary", { say: ["choices.more", { number: others.length }] }), ...ticks(others)));
  }

  /** What is missing of the chosen model, how large it is, and where it is to be put. */
  tellWeights(encoder) {
    const home = this.part("weights");
    home.hidden = !encoder || encoder.here;
    if (!home.hidden) say(home, "choices.model.missing", { size: encoder.megabytes ? bytes(encoder.megabytes * 1e6) : "?", how: encoder.how });
  }

  keep() {
    const { form } = this;
    const methods = [...form.querySelectorAll("[name=methods]:checked")].map((box) => box.value);
    keep(KEPT, JSON.stringify({ model: form.model.value, methods, lang: form.lang.value, measure: form.measure.checked }));
  }

  speak() {
    if (known.tables) this.drawMethods();
  }
}
