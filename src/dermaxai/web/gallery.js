// The list of cases: search, sort, filter, pages, and two of them side by side.

import { isNamed, reader } from "./access.js";
import { address, get, on } from "./api.js";
import { endOf, findNext, keepOrder, nextLink, progressOf } from "./next.js";
import { button, copy, emptiness, make, moment, number, say, served, showFault, t } from "./states.js";

const PER_PAGE = 24;
const DEFAULTS = { text: "", sort: "created", state: "", after: 0, with: "" };
const TOLD = ["created", "name"]; // orders that say nothing of the model
const UPWARDS = ["caption", "name", "faithfulness"]; // sorted from the first letter, from the worst

/** Whether the list must not tell what the model said: blind mode, and nobody who leads the study. */
const isVeiled = () => served.blind && !(reader()?.role === "admin" && reader().by !== "local");

/** What stands in the place of a caption. */
const untold = (state) => ({
  ready: "caption.empty", failed: "cases.failed", stopped: served.models.length ? "cases.stopped" : "case.cancelled",
}[state] ?? `cases.state.${state}`);

/** Neither a search nor an order by what the model said. */
function veil(form) {
  form.querySelector(".grow").hidden = true;
  for (const option of form.elements.sort.querySelectorAll("option")) if (!TOLD.includes(option.value)) option.remove();
  form.append(say(make("p", { class: "soft" }), "cases.blind"));
}

class GalleryView {
  constructor(home, query) {
    this.root = copy("view-cases");
    this.search = { ...DEFAULTS, ...query, after: Number(query.after ?? 0) };
    this.chosen = this.search.with ? [this.search.with] : [];
    this.total = 0;
    home.replaceChildren(this.root);
    this.listen();
    this.stopUp = on("up", () => this.load());
    this.load();
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  title() {
    return t("cases.title");
  }

  listen() {
    const form = this.part("finder");
    if (isVeiled()) veil(form);
    if (!isNamed()) form.elements.state.querySelector("[value=unread]").remove();
    for (const name of ["text", "sort", "state"]) form.elements[name].value = this.search[name];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      clearTimeout(this.pending);
      this.pending = setTimeout(() => this.change({ text: form.elements.text.value.trim(), sort: form.elements.sort.value, state: form.elements.state.value, after: 0 }), 180);
    });
    this.part("before").addEventListener("click", () => this.change({ after: Math.max(0, this.search.after - PER_PAGE) }));
    this.part("after").addEventListener("click", () => this.change({ after: this.search.after + PER_PAGE }));
    this.part("list").addEventListener("keydown", (event) => this.move(event));
    this.part("chosen-none").addEventListener("click", () => this.choose([]));
  }

  /** Another search; the address tells it, so that it can be come back to. */
  change(changes) {
    Object.assign(this.search, changes);
    const told = Object.fromEntries(Object.entries(this.search).filter(([name, value]) => value !== DEFAULTS[name]));
    history.replaceState(null, "", address("#/cases", told));
    this.load();
  }

  async load() {
    const { text, sort, state, after } = this.search;
    const unread = state === "unread" && isNamed();
    const descending = !UPWARDS.includes(sort);
    const asked = { text, sort, state: state === "unread" ? "" : state, after, limit: PER_PAGE, descending, ...(unread && { unread }) };
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const { cases, total } = await get(address("/api/cases", asked));
      if (turn !== this.turn) return;
      this.total = total;
      this.cases = cases;
      showFault(this.part("trouble"), null);
      this.draw();
      keepOrder(sort, descending);
      this.tellProgress(turn);
      if (cases.some((one) => one.state === "waiting")) this.again();
    } catch (fault) {
      if (turn === this.turn) showFault(this.part("trouble"), fault, button("action.again", () => this.load()));
    }
  }

  /** How much of all this reader has read, and the way on. */
  async tellProgress(turn) {
    const found = isNamed() ? await findNext().catch(() => null) : null;
    if (turn !== this.turn) return;
    const home = this.part("progress");
    home.hidden = !found?.cases;
    if (found) home.replaceChildren(make("span", { say: found.case ? progressOf(found) : endOf(found) }), found.case ? nextLink(found) : "");
  }

  again() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.root.isConnected && this.load(), 2500);
  }

  draw() {
    const { cases, total } = this;
    const focus = document.activeElement?.closest?.("[data-case]")?.dataset.case;
    const list = this.part("list");
    list.replaceChildren(...cases.map((entry) => this.row(entry)));
    if (focus) list.querySelector(`[data-case="${focus}"] a`)?.focus({ preventScroll: true });
    if (!cases.length) list.append(make("li", { class: "nothing" }, this.search.text || this.search.state ? this.noMatch() : this.nothing()));
    say(this.part("count"), "cases.count", { number: total });
    const { after } = this.search;
    this.part("pager").hidden = total <= PER_PAGE;
    this.part("before").disabled = after === 0;
    this.part("after").disabled = after + PER_PAGE >= total;
    say(this.part("range"), "cases.range", { from: after + 1, to: Math.min(after + PER_PAGE, total), all: total });
    this.choose(this.chosen);
  }

  nothing() {
    return emptiness(served.models.length ? "cases.empty" : "cases.empty.review", served.models.length ? make("a", { class: "button primary", href: "#/", say: "page.new" }) : null);
  }

  noMatch() {
    return emptiness("cases.no_match", button("cases.all", () => {
      const form = this.part("finder");
      form.elements.text.value = form.elements.state.value = "";
      this.change({ text: "", state: "", after: 0 });
      form.elements.text.focus();
    }));
  }

  row(entry) {
    const ready = entry.state === "ready" && !entry.hidden;
    const title = entry.hidden ? say(make("span", { class: "soft" }), "cases.hidden") : make("span", { lang: entry.language ?? null }, entry.caption || "");
    if (!entry.hidden && !entry.caption) say(title, untold(entry.state));
    const facts = [entry.name, entry.encoder, moment(entry.created)].filter(Boolean);
    const tick = make("input", { type: "checkbox", value: entry.id, disabled: !ready, label: ["cases.choose", { name: entry.caption || entry.name || entry.id }],
      onchange: (event) => this.toggle(entry.id, event.target.checked) });
    return make("li", { class: `case-row ${entry.state}`, "data-case": entry.id },
      make("label", { class: "case-tick" }, tick),
      make("a", { href: `#/case/${entry.id}`, class: "case-link" },
        make("span", { class: "thumb-box" }, make("img", { src: `/api/cases/${entry.id}/thumb?revision=${entry.revision}`, alt: "", loading: "lazy" })),
        make("span", { class: "case-text" }, make("span", { class: "case-caption" }, title), make("small", {}, facts.join(" · "))),
        entry.hidden ? null : this.scores(entry)));
  }

  scores(entry) {
    const parts = [];
    if (typeof entry.disagreement === "number") {
      const inner = make("i");
      inner.style.width = `${Math.min(100, 50 * entry.disagreement)}%`;
      parts.push(make("span", { class: "gauge" }, make("small", { say: "cases.disagreement" }), make("span", { class: "track" }, inner), make("b", {}, number(entry.disagreement, 2))));
    }
    if (typeof entry.faithfulness === "number") {
      parts.push(make("span", { class: `gauge ${entry.faithfulness > 0 ? "" : "bad"}` }, make("small", { say: "cases.faithfulness" }), make("b", {}, `${entry.faithfulness > 0 ? "+" : ""}${number(entry.faithfulness, 2)}`.replace("-", "−"))));
    }
    if (entry.outside) parts.push(make("small", { class: "fit", say: "cases.outside" }));
    return make("span", { class: "case-scores" }, ...parts);
  }

  toggle(id, on) {
    this.choose(on ? [...this.chosen, id].slice(-2) : this.chosen.filter((one) => one !== id));
  }

  choose(ids) {
    this.chosen = ids;
    for (const tick of this.root.querySelectorAll(".case-tick input")) tick.checked = ids.includes(tick.value);
    for (const row of this.root.querySelectorAll("[data-case]")) row.classList.toggle("taken", ids.includes(row.dataset.case));
    this.part("chosen").hidden = !ids.length;
    say(this.part("chosen-text"), ids.length === 1 ? "cases.chosen.one" : "cases.chosen.two");
    const go = this.part("chosen-go");
    go.toggleAttribute("hidden", ids.length !== 2);
    if (ids.length === 2) go.href = `#/compare/${ids[0]}/${ids[1]}`;
  }

  move(event) {
    const links = [...this.root.querySelectorAll(".case-link")];
    const now = links.indexOf(document.activeElement);
    if (now < 0) return;
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: links.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      links[Math.min(Math.max(next, 0), links.length - 1)].focus();
    } else if (event.key === "x" || event.key === "X") {
      links[now].parentElement.querySelector("input:not(:disabled)")?.click();
    }
  }

  /** The search field, or the first case, for the keyboard. */
  focus() {
    this.part("finder").elements.text.focus();
  }

  speak() {
    if (this.cases) this.draw();
  }

  destroy() {
    this.stopUp();
    clearTimeout(this.pending);
    clearTimeout(this.later);
    this.turn += 1;
  }
}

export const openGallery = (home, query) => new GalleryView(home, query);
